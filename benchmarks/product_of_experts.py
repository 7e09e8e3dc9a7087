"""EGSDE as a product of experts (Zhao 2022, section 3.4), in closed form and by samples.

    python benchmarks/product_of_experts.py --out runs/product_of_experts

On the line p(y) = 0.3 N(-1, 0.2^2) + 0.7 N(1, 0.2^2), the expert of realism exp(-l_s (y - 1)^2) and
the expert of faithfulness exp(-l_i (y - x_t)^2) of a source x = 0.4 multiply to a mixture again.
The guided score s - grad E is its score: Langevin steps under it find that density at a fixed time.
The walk from M to 0 ends near the product of the clean experts, not at it: its energies see x_t.
Leaves experts.csv (the densities), distances.csv (Wasserstein-1) and experts.png.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from egsde.energies import Energy, Guided, WeightedSum
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import SDE, VP, Reverse
from egsde.solvers import EulerMaruyama
from egsde.source import Source

MEANS, WEIGHTS, DEVIATION = (-1.0, 1.0), (0.3, 0.7), 0.2
SOURCE, WANTED = 0.4, 1.0  # the source's value, what the expert of realism asks for
REALISM, FAITHFULNESS = 1.0, 2.0
LINE = torch.linspace(-3, 3, 1201, dtype=torch.float64)


def mixture(sde: SDE, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logarithms of the weights, means and variance of p_t."""
    alpha = sde.alpha(t)
    variance = (alpha * DEVIATION).square() + sde.sigma(t).square()
    return torch.tensor(WEIGHTS).double().log(), alpha * torch.tensor(MEANS).double(), variance


def product(sde: SDE, t: Tensor, experts: list[tuple[float, float]]) -> tuple[Tensor, ...]:
    """The mixture times exp(-l (y - c)^2) of each (l, c): a mixture again."""
    log, means, variance = mixture(sde, t)
    for rate, centre in experts:
        joint = variance + 1 / (2 * rate)
        log = log - (means - centre).square() / (2 * joint)
        means = (means / variance + 2 * rate * centre) / (1 / variance + 2 * rate)
        variance = 1 / (1 / variance + 2 * rate)
    return log - log.logsumexp(0), means, variance


def density(log: Tensor, means: Tensor, variance: Tensor) -> Tensor:
    """On LINE, normalised."""
    exponents = log[:, None] - (LINE - means[:, None]).square() / (2 * variance)
    return exponents.logsumexp(0).exp() / (2 * torch.pi * variance).sqrt()


@dataclass(frozen=True)
class Exact:
    """The score of p_t."""

    sde: SDE

    def __call__(self, y: Tensor, t: Tensor, source: object = None) -> Tensor:
        log, means, variance = mixture(self.sde, t)
        shape = (-1, *[1] * y.ndim)
        from_centres = means.view(shape) - y
        share = (log.view(shape) - from_centres.square() / (2 * variance)).softmax(0)
        return (share * from_centres).sum(0) / variance


@dataclass(frozen=True, eq=False)
class Square(Energy):
    """(y - c)^2, c a constant or the source's x_t (the average over its noise)."""

    centre: float | None = None

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return (y - self._centre(t, source)).square().flatten(1).sum(1)

    def grad(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return 2 * (y - self._centre(t, source))

    def _centre(self, t: Tensor, source: Source) -> Tensor | float:
        return source.mean(t) if self.centre is None else self.centre


def distance(samples: Tensor, wanted: Tensor) -> float:
    """Wasserstein-1 of samples to a density on LINE."""
    below = torch.searchsorted(samples.flatten().sort().values, LINE) / samples.numel()
    cumulative = wanted.cumsum(0) / wanted.sum()
    return float((below - cumulative).abs().sum() * (LINE[1] - LINE[0]))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=40_000)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--time", type=float, default=0.2, help="of the fixed-time experts")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    sde, noise = VP(), Noise(0, ["points"])
    t = torch.tensor(args.time, dtype=torch.float64)
    x0 = torch.full((1, 1, 1, args.samples), SOURCE, dtype=torch.float64)
    source = Source(x0, sde, noise, "expectation")
    energy = WeightedSum({"realism": Square(WANTED), "faithfulness": Square()},
                         {"realism": REALISM, "faithfulness": FAITHFULNESS})  # fmt: skip
    guided = Guided(Exact(sde), energy)

    y, step = source.start(t), 2e-3
    for k in range(2 * args.steps):
        y = y + step * guided(y, t, source) + (2 * step) ** 0.5 * noise.stream(f"l/{k}")(y)
    alpha = float(sde.alpha(t))
    experts = [(REALISM, WANTED), (FAITHFULNESS, alpha * SOURCE)]
    here = density(*product(sde, t, experts))
    sampler = Sampler(EulerMaruyama(), Uniform(args.steps), denoise=False)
    times = sampler.times(sde, 0.5)
    walk = sampler.trajectory(Reverse(sde, lambda y, t: guided(y, t, source)),
                              source.start(times[0]), times, noise, None, source)  # fmt: skip
    *_, (_, _, end) = walk
    clean = density(*product(sde, times[-1], [(REALISM, WANTED), (FAITHFULNESS, SOURCE)]))

    alone = density(*mixture(sde, t))
    columns = {"p_t": alone, "realism": torch.exp(-REALISM * (LINE - WANTED) ** 2),
               "faithfulness": torch.exp(-FAITHFULNESS * (LINE - alpha * SOURCE) ** 2),
               "product at t": here, "product at 0": clean}  # fmt: skip
    with open(args.out / "experts.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["y", *columns])
        table.writerows(zip(LINE.tolist(), *(c.tolist() for c in columns.values()), strict=True))
    found = {"Langevin at t": distance(y, here), "EGSDE from 0.5": distance(end, clean),
             "no experts": distance(end, density(*mixture(sde, times[-1])))}  # fmt: skip
    with open(args.out / "distances.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["samples", "Wasserstein-1"])
        table.writerows((name, f"{value:.4f}") for name, value in found.items())
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    for name in ("p_t", "realism", "faithfulness", "product at t"):
        panels[0].plot(LINE, columns[name], label=name, linewidth=2 if "product" in name else 1)
    for axes, samples, wanted, name in (
        (panels[1], y, here, "Langevin at t"), (panels[2], end, clean, "EGSDE from 0.5")
    ):  # fmt: skip
        axes.hist(samples.flatten().numpy(), 120, range=(-3, 3), density=True, color="#8fb8de")
        axes.plot(LINE, wanted, color="black", label="the product, closed form")
        axes.set_title(f"{name}: W1 = {found[name]:.3f}")
    panels[0].set_title(f"experts at t = {args.time}")
    for axes in panels:
        axes.set(xlabel="y", xlim=(-2.5, 2.5))
        axes.legend(fontsize=8)
    figure.savefig(args.out / "experts.png", dpi=120)


if __name__ == "__main__":
    main()
