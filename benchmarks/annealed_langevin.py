"""Annealed and plain Langevin dynamics on two far modes: who finds their weights (0.8 and 0.2)?

    python benchmarks/annealed_langevin.py --out runs/annealed_langevin

The exact score of 0.8 N((-5, -5), I) + 0.2 N((5, 5), I) (Song & Ermon 2019, figure 3). Both take
the same number of steps from the same start, sigma_max z. Leaves weights.csv and histograms.png.
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import NCSN, SDE, Reverse, geometric_sigmas
from egsde.solvers import AnnealedLangevin, PredictorCorrector

WEIGHT, CENTRE = 0.8, 5.0  # of the mode at (-CENTRE, -CENTRE), the other at (CENTRE, CENTRE)


class Points:
    """Noise for points (n, 2, 1, 1) of one id: a draw for all of them at once."""

    def __init__(self, seed: int) -> None:
        self.noise = Noise(seed, ["points"])

    def stream(self, key: str):
        stream = self.noise.stream(key)
        return lambda x: stream(x[None])[0]


def score_of(sde: SDE):
    def score(x: Tensor, t: Tensor) -> Tensor:
        variance = 1 + sde.sigma(t).square()
        odds = math.log(WEIGHT / (1 - WEIGHT)) - 2 * CENTRE * x.sum(1, keepdim=True) / variance
        return ((1 - 2 * odds.sigmoid()) * CENTRE - x) / variance

    return score


def along(x: Tensor) -> Tensor:
    """The coordinate on the line through both modes."""
    return x.sum((1, 2, 3)) / math.sqrt(2)


def draw(ends: dict[str, Tensor], path: Path) -> None:
    line = np.linspace(-12, 12, 600)
    truth = sum(
        weight * np.exp(-0.5 * (line - sign * CENTRE * math.sqrt(2)) ** 2) / math.sqrt(2 * math.pi)
        for weight, sign in ((WEIGHT, -1), (1 - WEIGHT, 1))
    )
    figure, axes = plt.subplots(1, len(ends), figsize=(9, 3), sharey=True, layout="constrained")
    for axis, (name, x) in zip(axes, ends.items(), strict=True):
        position = along(x)
        share = float((position < 0).double().mean())
        axis.hist(position.numpy(), bins=120, range=(-12, 12), density=True, color="#8fb8de")
        axis.plot(line, truth, color="black", linewidth=1)
        axis.set_title(f"{name}: {share:.3f} / {1 - share:.3f}")
        axis.set_xlabel("position on the line through the modes")
    axes[0].set_ylabel("density")
    figure.suptitle(f"True weights {WEIGHT} / {1 - WEIGHT:.1f} (black)")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--levels", type=int, default=20)
    parser.add_argument("--corrections", type=int, default=50)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sde, noise = NCSN(geometric_sigmas(args.levels, 0.1, 20.0)), Points(0)
    start = noise.stream("start")(torch.empty(args.points, 2, 1, 1, dtype=torch.float64))
    start = float(sde.sigmas[-1]) * start
    annealed = Uniform(args.levels).times(sde, 1.0)
    lowest = torch.full_like(annealed, 1 / args.levels)  # stay with the data: steps of 0.02
    ends = {}
    for name, snr, times in (("annealed", 0.3, annealed), ("plain", 0.999, lowest)):
        corrector = AnnealedLangevin(snr)
        solver = PredictorCorrector(None, corrector, args.corrections, corrector_first=True)
        sampler = Sampler(solver, Uniform(args.levels))
        ends[name] = sampler.run(Reverse(sde, score_of(sde)), start, times, noise)
    with open(args.out / "weights.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["method", "steps", "points", "weight", "true weight"])
        for name, x in ends.items():
            weight = float((along(x) < 0).double().mean())
            steps = args.levels * args.corrections
            table.writerow([name, steps, args.points, f"{weight:.4f}", WEIGHT])
    draw(ends, args.out / "histograms.png")


if __name__ == "__main__":
    main()
