"""A learned score is wrong where data are rare (Song & Ermon 2019, figure 2).

    python benchmarks/density.py --out runs/density

A network learns the score of 0.3 N(a, 0.15^2 I) + 0.7 N(b, 0.15^2 I) in the plane (data=toy
data.source=modes) by denoising, and is compared with the exact one on a grid, at several noise
levels. More noise fills the plane, so that little of it is rare. Leaves density.csv (noise level,
density relative to its largest, relative error of the score) and density.png.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from egsde.data.toy import MODES, SPREAD, WEIGHTS, modes
from egsde.networks import MLP
from egsde.scores import ScoreModel
from egsde.sde import VP
from egsde.training.objectives import Simple

LEVELS = (0.02, 0.2, 0.5)  # times, as fractions of T
REACH, SIDE = 1.5, 61  # of the grid


def exact(sde: VP, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """log p_t and its gradient, of points (n, 2)."""
    variance = (sde.alpha(t) * SPREAD).square() + sde.sigma(t).square()
    centres = (sde.alpha(t) * torch.tensor(MODES, dtype=x.dtype))[:, None]
    log = torch.tensor(WEIGHTS).log().to(x)[:, None] - (x - centres).square().sum(2) / 2 / variance
    share = log.softmax(0)[..., None]
    return log.logsumexp(0), ((centres - x) * share).sum(0) / variance


def learned(sde: VP, steps: int, seed: int = 0) -> ScoreModel:
    """A small network after so many steps of denoising."""
    torch.manual_seed(seed)
    score, chance = ScoreModel(MLP(width=64), sde), np.random.default_rng(seed)
    optimizer = torch.optim.Adam(score.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x0 = torch.from_numpy(modes(chance, 512)).float()[..., None, None]
        t = sde.training_time(torch.rand(512, 1, 1, 1, dtype=torch.float64))
        loss = Simple()(score, x0, t, torch.randn_like(x0)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return score.eval()


@torch.no_grad()
def measure(score: ScoreModel, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Density relative to its largest, and |s - s*| / |s*|'s mean over the law, on the grid."""
    sde, line = score.sde, torch.linspace(-REACH, REACH, SIDE, dtype=torch.float64)
    x = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).view(-1, 2)
    t = torch.tensor(fraction * sde.T, dtype=torch.float64)
    log, truth = exact(sde, x, t)
    found = score(x.float()[..., None, None], t).double()[..., 0, 0]
    weight = (log - log.max()).exp()
    scale = ((truth.square().sum(1) * weight).sum() / weight.sum()).sqrt()
    return weight.numpy(), ((found - truth).square().sum(1).sqrt() / scale).numpy()


def binned(density: np.ndarray, error: np.ndarray) -> list[tuple[float, float, int]]:
    """(density, mean error, points) by powers of ten of the density, the densest first."""
    power = np.clip(np.floor(-np.log10(np.maximum(density, 1e-12))), 0, 8)
    return [(10.0 ** -(k + 0.5), float(error[power == k].mean()), int((power == k).sum()))
            for k in range(9) if (power == k).any()]  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    score = learned(VP(), args.steps)
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    rows = []
    for level in LEVELS:
        density, error = measure(score, level)
        sigma = float(score.sde.sigma(torch.tensor(level, dtype=torch.float64)))
        found = binned(density, error)
        rows += [(level, f"{sigma:.3f}", f"{d:.2e}", f"{e:.4f}", n) for d, e, n in found]
        panels[0].loglog([d for d, *_ in found], [e for _, e, _ in found], "o-",
                         label=f"t = {level} T, sigma {sigma:.2f}")  # fmt: skip
        if level == LEVELS[0]:
            image = np.log10(error.reshape(SIDE, SIDE))
            extent = (-REACH, REACH, -REACH, REACH)
            shown = panels[1].imshow(image, origin="lower", extent=extent)
            line = np.linspace(-REACH, REACH, SIDE)
            panels[1].contour(line, line, density.reshape(SIDE, SIDE), [0.01, 0.1, 0.5],
                              colors="white")  # fmt: skip
            figure.colorbar(shown, label="log10 of the relative error")
            panels[1].set_title(f"t = {level} T; white: density 0.5, 0.1, 0.01")
    panels[0].set(xlabel="density relative to its largest", ylabel="relative error of the score")
    panels[0].invert_xaxis()
    panels[0].legend()
    figure.savefig(args.out / "density.png", dpi=120)
    with open(args.out / "density.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["t", "sigma", "density", "relative error", "points"])
        table.writerows(rows)


if __name__ == "__main__":
    main()
