"""The variational bound on -log p of a chain of ancestral steps (Ho 2020, eq. 5).

One draw x_t ~ q(x_t | x_0) for every time of the grid; the bound holds for any grid, and for a
continuous process too, whose last step decodes from t_min.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.evaluation.likelihood.terms import Decoder, Discretised, posterior, prior_kl, step_kl
from egsde.noise import Noise, Replay
from egsde.sampling.grids import Grid, Uniform
from egsde.scores import Score, process_of
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.ancestral import kernel_std


@dataclass(frozen=True)
class VariationalBound:
    """noise_std: standard deviation of a step's noise, `ancestral.posterior_std` or `kernel_std`.

    With kernel_std the bound tightens as steps shrink; with posterior_std a gap stays, since the
    last steps always halve the noise. The decoder sees N(x0-hat, sigma^2 / alpha^2) at the last
    noisy time. clip: x0-hat is kept in [-1, 1], as in the official code.
    """

    score: Score
    grid: Grid = Uniform(1000)
    noise_std: Callable[[Tensor, Tensor, Tensor], Tensor] = kernel_std
    decoder: Decoder = Discretised()
    clip: bool = True

    names = ("bits_per_dim", "prior", "steps", "decoder")  # of what it measures

    @property
    def sde(self) -> SDE:
        return process_of(self.score)

    @property
    def steps(self) -> int:
        """Evaluations of the score."""
        return len(self.noisy_times())

    def noisy_times(self) -> Tensor:
        """The times of the grid with sigma > 0, float64, falling."""
        times = self.grid.times(self.sde, self.sde.T)
        return times[self.sde.sigma(times) > 0]

    def __call__(self, x: Tensor, noise: Noise | Replay) -> dict[str, Tensor]:
        """Per image (B,): bits_per_dim, and its parts prior, steps, decoder in bits/dim too."""
        parts = self.terms(x, noise)
        dims = x[0].numel()
        share = {name: part / (dims * math.log(2)) for name, part in parts.items()}
        total = torch.stack(list(parts.values())).sum(0)
        return {"bits_per_dim": self.decoder.bits(total, dims), **share}

    @torch.no_grad()
    def terms(self, x0: Tensor, noise: Noise | Replay) -> dict[str, Tensor]:
        """prior, steps and decoder of the bound in nats, (B,) float64 each."""
        sde, times, x = self.sde, self.noisy_times(), x0.double()
        steps = x.new_zeros(len(x))
        x0_hat = x
        for i, t in enumerate(times):
            x_t = sde.perturb(x0, t, noise.stream(f"bound/{i}")(x0))
            x0_hat = self._x0(x_t, t)
            if i + 1 < len(times):
                s = times[i + 1]
                mean, _ = posterior(sde, x0_hat, x_t.double(), (t, s))
                std = self.noise_std(sde.transition(s, t)[1], sde.sigma(s), sde.sigma(t))
                steps = steps + step_kl(sde, x, x_t.double(), (t, s), (mean, std))
        last = times[-1]
        decoded = self.decoder.log_prob(x, x0_hat, sde.sigma(last) / sde.alpha(last))
        return {"prior": prior_kl(sde, x), "steps": steps, "decoder": -decoded}

    def _x0(self, x: Tensor, t: Tensor) -> Tensor:
        x0 = Reverse(self.sde, lambda x, t: self.score(x, t, None)).x0(x, t).double()
        return x0.clamp(-1, 1) if self.clip else x0
