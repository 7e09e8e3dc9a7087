"""L_hybrid = L_simple + weight L_vlb, where the bound teaches the variance only (Nichol 2021)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.scores import ScoreModel
from egsde.training.objectives.variational import VariationalLoss, step_at


@dataclass(frozen=True)
class Hybrid:
    """The network has twice the image's channels (`learn_sigma`); one evaluation serves both.
    ValueError for other channels."""

    steps: int = 1000
    weight: float = 1e-3  # Nichol 2021, section 3.1

    def __call__(self, score: ScoreModel, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        sde = score.sde
        t, _ = step_at(sde, t, self.steps)
        x = sde.perturb(x0, t, eps)
        outputs = score.outputs(x, t)
        channels = x.shape[1]
        if outputs.shape[1] != 2 * channels:
            raise ValueError(
                f"loss=hybrid learns variances and needs a network of {2 * channels} output "
                f"channels, got {outputs.shape[1]}; set network.learn_sigma=true"
            )
        target = score.prediction.target(x0, eps, sde.alpha(t), sde.sigma(t)).to(x0.dtype)
        simple = (outputs[:, :channels] - target).square().flatten(1).mean(1)
        bound = VariationalLoss(self.steps, mean_gradient=False)
        return simple + self.weight * bound.of_output(score, outputs, x0, x, t)
