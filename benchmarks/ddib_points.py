"""Two ODEs between points (DDIB, Su 2023, figures 2 to 4): six sets of the plane, and a line.

    python benchmarks/ddib_points.py --out runs/ddib_points

The score of each set is exact: that of `--centres` of its points, each with a deviation of 0.03.
Leaves ddib_points.png (source, latent, target and back again, coloured by the source's places),
ddib_line.png (paths between two laws on the line, which keep their order) and ddib_points.csv: the
largest and the mean distance of a cycle, and the mean distance of a made point to the target's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from egsde.data.toy import DOMAINS
from egsde.methods import ddib
from egsde.methods.ddib import Encode, NoNoise
from egsde.noise import Noise
from egsde.programs.written import write_table
from egsde.sampling.grids import LogSNR
from egsde.sampling.sampler import Sampler
from egsde.scores import ScoreFunction
from egsde.sde import VP
from egsde.sde.reverse import Reverse
from egsde.solvers import Heun
from egsde.source import Source

PAIRS = (
    ("moons", "checkerboard"),
    ("rings", "concentric_squares"),
    ("parallel_rings", "parallel_squares"),
)
DEVIATION, WIDE = 0.03, 0.12  # of a point of the plane, and of a mode of the line


def empirical(sde: VP, centres: Tensor, deviation: float = DEVIATION) -> ScoreFunction:
    """The score of points (n, C), each N(., deviation^2), as images (B, C, 1, 1)."""

    def score(y: Tensor, t: Tensor, source: object = None) -> Tensor:
        alpha = sde.alpha(t)
        spread = (alpha * deviation).square() + sde.sigma(t).square()
        offset = alpha * centres - y.flatten(1)[:, None]  # (B, n, C)
        share = (-offset.square().sum(-1) / (2 * spread)).softmax(1)
        return ((share[..., None] * offset).sum(1) / spread)[:, :, None, None]

    return ScoreFunction(score, sde)


def drawn(domain: str, count: int, seed: int) -> Tensor:
    """float64 (count, 2)."""
    return torch.from_numpy(DOMAINS[domain](np.random.default_rng(seed), count)).double()


def latent(score: ScoreFunction, sampler: Sampler, x: Tensor) -> Tensor:
    """Where the source's ODE ends."""
    source = Source(x, score.sde, Noise(0, [""]))
    return Encode(score, sampler)(source, sampler.times(score.sde, 1.0), NoNoise())


def plane(count: int, centres: int, steps: int) -> tuple[list[dict[str, object]], list]:
    """Rows of numbers and, for each pair, its four clouds."""
    sde, sampler = VP(), Sampler(Heun(), LogSNR(steps), denoise=False)
    rows, clouds = [], []
    for a, b in PAIRS:
        there, here = (empirical(sde, drawn(name, centres, 1)) for name in (b, a))
        x = drawn(a, count, 2)[:, :, None, None]
        noise = Noise(0, [""] * count)
        y = ddib(there, sampler, here)(x, noise)
        back = ddib(here, sampler, there)(y, noise)
        cycle = (back - x).flatten(1).norm(dim=1)
        near = torch.cdist(y.flatten(1), drawn(b, centres, 1)).amin(1)
        row = {"cycle_mean": float(cycle.mean()), "cycle_most": float(cycle.max())}
        rows.append({"source": a, "target": b, **row, "to_target": float(near.mean())})
        clouds.append((a, x, latent(here, sampler, x), b, y, back))
    return rows, clouds


def line(count: int, steps: int) -> tuple[Tensor, Tensor]:
    """Times (n,) and paths (n, count) from a law on the line to noise and down to another."""
    sde, sampler = VP(), Sampler(Heun(), LogSNR(steps), denoise=False)
    pair = ([[-0.8], [0.1], [0.7]], [[-0.5], [0.5]])
    laws = (torch.tensor(centres, dtype=torch.float64) for centres in pair)
    here, there = (empirical(sde, centres, WIDE) for centres in laws)
    generator = np.random.default_rng(0)
    drawn_from = generator.choice(np.ravel(pair[0]), count) + WIDE * generator.normal(size=count)
    places = torch.from_numpy(np.sort(drawn_from))[:, None, None, None]
    walk, source = ddib(there, sampler, here), Source(places, sde, Noise(0, [""]))
    times, reverse = walk.times.flip(0), Reverse.given(sde, here, source)
    up = [y for _, _, y in sampler.trajectory(reverse, places, times, NoNoise(), source=source)]
    down = [y for _, _, y in walk.trajectory(places, Noise(0, [""] * count))]
    paths = torch.stack([y.flatten() for y in (*up, *down)])
    return torch.cat([times, 2 - times.flip(0)]), paths


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--centres", type=int, default=300)
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    rows, clouds = plane(args.points, args.centres, args.steps)
    short = [{k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows]
    write_table(args.out / "ddib_points.csv", short)
    figure, axes = plt.subplots(len(clouds), 4, figsize=(9, 2.3 * len(clouds)),
                                layout="constrained", squeeze=False)  # fmt: skip
    for row, (a, x, z, b, y, back) in zip(axes, clouds, strict=True):
        shown = ((a, x), ("latent", z), (b, y), ("back", back))
        for axis, (name, points) in zip(row, shown, strict=True):
            axis.scatter(*points.flatten(1).T, c=x[:, 0].flatten(), s=3, cmap="viridis")
            axis.set_title(name.replace("_", " "), fontsize=9)
            axis.set_aspect("equal")
            axis.set_xticks([])
            axis.set_yticks([])
    figure.savefig(args.out / "ddib_points.png", dpi=110)
    times, paths = line(40, args.steps)
    figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
    axis.plot(times, paths, lw=0.7, color="C0")
    axis.axvline(1, color="0.6", lw=0.8, ls=":")
    axis.set_xticks([0, 1, 2], ["source", "noise", "target"])
    figure.savefig(args.out / "ddib_line.png", dpi=110)
    plt.close("all")
    return rows


if __name__ == "__main__":
    for found in main():
        print(found)
