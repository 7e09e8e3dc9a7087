"""Error against network evaluations for every sampler: on an exact mixture, and FID of the demo.

    python benchmarks/samplers.py mixture --out DIR
    python benchmarks/samplers.py demo [--samplers ddim dpmpp_2m] [--steps 20 40 100] --out DIR \
        [overrides of sample.py]

`mixture`: 0.3 N(-1, 0.2^2) + 0.7 N(1, 0.2^2) with its exact score under `--sde`; the error is the
Wasserstein-1 distance to the law at t_min, of samples at the noise's exact quantiles or drawn.
`demo`: the embedded images by SDEdit from 0.5, FID to the target; settings as in conf/sampler. CSV
and PNG; runs that are there already are read, not made again.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import Tensor

from egsde.noise import Noise
from egsde.programs.cli import CONF
from egsde.programs.sample import sample
from egsde.sde import SDE, Reverse

STOCHASTIC = ("euler_maruyama", "ancestral", "reverse_diffusion", "heun_sde", "srk", "pc",
              "sde_dpmpp_1", "sde_dpmpp_2m", "sa_solver", "guided_adams")  # fmt: skip
DETERMINISTIC = ("ddim", "heun_ode", "edm_heun", "dpm_solver", "dpm_solver_single", "dpmpp_2m",
                 "dpmpp_3m", "dpmpp_single", "unipc", "ode_rk45")  # fmt: skip
STEPS = (5, 10, 20, 40, 80, 160, 320)
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # of the adaptive solver, in place of steps
SAMPLES = 2**16  # of the mixture, as the pixels of one image
Point = tuple[str, float, float]  # sampler, evaluations, error


@dataclass
class Exact:
    """The mixture under an SDE: its score, and how often it was asked."""

    sde: SDE
    means = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    deviation: float = 0.2
    calls: int = 0

    def spread(self, t: Tensor) -> Tensor:
        """Variance of a component at time t."""
        return (self.sde.alpha(t) * self.deviation).square() + self.sde.sigma(t).square()

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """grad log p_t(x)."""
        self.calls += 1
        centres = (self.sde.alpha(t) * self.means).view(-1, *[1] * x.ndim)
        exponents = -(x - centres).square() / (2 * self.spread(t))
        share = (exponents + self.weights.log().view(-1, *[1] * x.ndim)).softmax(0)
        return ((centres - x) * share).sum(0) / self.spread(t)

    def quantiles(self, levels: Tensor, t: Tensor) -> Tensor:
        """x with P(x_t < x) = level, by bisection."""
        centres, scale = self.sde.alpha(t) * self.means, self.spread(t).sqrt()
        reach = float(centres.abs().max() + 10 * scale)
        low, high = torch.full_like(levels, -reach), torch.full_like(levels, reach)
        for _ in range(60):
            middle = (low + high) / 2
            below = torch.special.ndtr((middle[:, None] - centres) / scale) @ self.weights
            low = torch.where(below < levels, middle, low)
            high = torch.where(below < levels, high, middle)
        return (low + high) / 2


def on_mixture(name: str, sde_name: str, setting: str) -> Point:
    """One sampler with one number of steps: evaluations and the distance of the laws."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("sample", [f"sampler={name}", f"sde={sde_name}", "experiment=none", setting])
    sde, sampler = instantiate(cfg.sde), instantiate(cfg.sampler)
    exact, times = Exact(sde), sampler.times(sde, sde.T)
    levels = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) / SAMPLES
    start = exact.quantiles(levels, times[0]).view(1, 1, -1, 256)
    raw = replace(sampler, denoise=False)  # the law at t_min; a denoised one is narrower
    x = raw.run(Reverse(sde, exact.score), start, times, Noise(0, ["mixture"]))
    error = (x.flatten().sort().values - exact.quantiles(levels, times[-1])).abs().mean()
    return name, exact.calls, float(error)


def settings(name: str) -> list[str]:
    """One override for each point of a sampler's curve."""
    if name == "ode_rk45":
        return [f"sampler.solver={{rtol:{tol},atol:{tol}}}" for tol in TOLERANCES]
    return [f"sampler.grid.steps={steps}" for steps in STEPS]


def on_demo(name: str, steps: int, args: argparse.Namespace) -> list[Point]:
    """One sampler on the demo's network: evaluations and FID, made or read; [] if refused."""
    folder = args.out / f"{name}_{steps}"
    if not (folder / "metrics.json").exists():
        given = [f"out={folder}", f"sampler={name}", f"sampler.grid.steps={steps}", "logger=none",
                 "translator=sdedit", "t_start=0.5", "score.autocast=true"]  # fmt: skip
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("sample", [*given, *args.overrides])
        try:
            sample(cfg)
        except InstantiationException as error:  # steps that the demo's chain does not have
            print(f"{name}: {error}")
            return []
    found = json.loads((folder / "metrics.json").read_text())
    return [(name, found["nfe"]["score"], found["metrics"]["fid"])]


def plot(path: Path, points: list[Point], error: str) -> None:
    """One line per sampler: solid where it adds noise, dashed where it does not."""
    figure, axes = plt.subplots(figsize=(7, 5))
    for i, name in enumerate(dict.fromkeys(point[0] for point in points)):
        line = sorted((calls, value) for which, calls, value in points if which == name)
        style = "-" if name in STOCHASTIC else "--"
        axes.plot(*zip(*line, strict=True), style, marker=".", label=name, color=f"C{i % 10}")
    axes.set(
        xlabel="network evaluations",
        ylabel=error,
        xscale="log",
        yscale="linear" if error == "FID" else "log",
    )
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem", choices=("mixture", "demo"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samplers", nargs="+", default=[*STOCHASTIC, *DETERMINISTIC])
    parser.add_argument("--sde", default="vp", help="of the mixture")
    parser.add_argument("--steps", nargs="+", type=int, default=[20, 40, 100], help="of the demo")
    args, args.overrides = parser.parse_known_args()
    args.out.mkdir(parents=True, exist_ok=True)
    points = []
    for name in args.samplers:
        if args.problem == "mixture":
            points += [on_mixture(name, args.sde, setting) for setting in settings(name)]
        else:
            points += [point for steps in args.steps for point in on_demo(name, steps, args)]
        print(*points[-1], flush=True)
    label = "Wasserstein-1 distance" if args.problem == "mixture" else "FID"
    with (args.out / f"{args.problem}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("sampler", "evaluations", label), *points])
    plot(args.out / f"{args.problem}.png", points, label)


if __name__ == "__main__":
    main()
