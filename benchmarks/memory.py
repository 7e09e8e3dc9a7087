"""Memory and seconds of back-propagation through a sampler, against its steps, by gradient mode.

    python benchmarks/memory.py [--steps 10 50 100] [--sizes 32 64] [--device cuda] --out DIR \
        [overrides of train.py: network=palette_64]

A point is the peak of one forward and backward pass above what was there before (gradients of the
parameters included) and its seconds: on a GPU by the allocator and the clock, on a CPU by counting
every tensor, and processor time. Points that would pass `--limit-mib` or `--limit-seconds`, by the
line through the two before, are left out; the CSV says so.
"""

from __future__ import annotations

import argparse
import csv
import gc
import time
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from egsde.noise import Noise
from egsde.programs.cli import CONF
from egsde.sampling.sampler import Sampler, Walk
from egsde.scores.conditional import ConditionalScore
from egsde.sde import VP, Reverse
from egsde.training.in_loop import Adjoint, Checkpointed, Detached, Full, SquareRoot, Truncated
from egsde.training.in_loop.memory import LiveBytes

MODES = {
    "none": Detached(),
    "full": Full(),
    "checkpointed": Checkpointed(),
    "square_root": SquareRoot(),
    "truncated": Truncated(1),
    "adjoint": Adjoint(),
}
MIB = 2**20


class Point(NamedTuple):
    """mib and seconds are None where the point was left out."""

    mode: str
    size: int
    steps: int
    mib: float | None
    seconds: float | None
    left_out: str = ""


class Problem:
    """One image of this size and a conditional network of these overrides, always the same."""

    def __init__(self, size: int, device: str, overrides: list[str]) -> None:
        given = ["model=conditional", f"data.size={size}", *overrides]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("train", given)
        torch.manual_seed(0)
        network = instantiate(cfg.network).to(device).eval()  # an adjoint needs no dropout
        self.score = ConditionalScore(network, VP())
        self.sampler = instantiate(cfg.sampler)
        self.x, self.condition = torch.randn(2, 1, 3, size, size, device=device)
        self.size = size

    def run(self, mode: str, steps: int) -> None:
        """Forward and, but for "none", backward."""
        self.score.zero_grad(set_to_none=True)
        sde = self.score.sde
        sampler = Sampler(self.sampler.solver, type(self.sampler.grid)(steps), denoise=False)
        reverse, times = Reverse(sde, self.score.given(self.condition)), sampler.times(sde, sde.T)
        y = MODES[mode](Walk(sampler, reverse, times, Noise(0, ["image"])), self.x)
        if y.requires_grad:
            y.square().mean().backward()

    def measure(self, mode: str, steps: int) -> tuple[float, float]:
        """(MiB at once above what is there before, seconds; on a CPU of processor time)."""
        self.score.zero_grad(set_to_none=True)
        gc.collect()
        if not self.x.is_cuda:
            began = time.process_time()
            with LiveBytes() as live:
                self.run(mode, steps)
            return live.peak / MIB, time.process_time() - began
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before, began = torch.cuda.memory_allocated(), time.perf_counter()
        self.run(mode, steps)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - began
        return (torch.cuda.max_memory_allocated() - before) / MIB, seconds


def expected(points: list[Point], steps: int, what: str) -> float:
    """The value at `steps` of the line through the last two points; 0 where it is not known."""
    known = [(p.steps, getattr(p, what)) for p in points if getattr(p, what) is not None][-2:]
    if len(known) < 2:
        return 0.0
    (n0, a), (n1, b) = known
    return b + (b - a) / (n1 - n0) * (steps - n1)


def curve(problem: Problem, mode: str, args: argparse.Namespace) -> list[Point]:
    """One mode at one size, in rising order of steps."""
    points: list[Point] = []
    for steps in sorted(args.steps):
        bounds = {"mib": args.limit_mib, "seconds": args.limit_seconds}
        passed = [k for k, bound in bounds.items() if expected(points, steps, k) > bound]
        if passed:
            reason = f"about {expected(points, steps, passed[0]):.0f} {passed[0]} expected"
            point = Point(mode, problem.size, steps, None, None, reason)
        else:
            point = Point(mode, problem.size, steps, *problem.measure(mode, steps))
        points.append(point)
        print(*point, flush=True)
    return points


def plot(path: Path, points: list[Point]) -> None:
    """Memory above, seconds below; one column for each image size."""
    sizes = list(dict.fromkeys(point.size for point in points))
    figure, axes = plt.subplots(2, len(sizes), figsize=(5 * len(sizes), 7), squeeze=False)
    for column, size in enumerate(sizes):
        for row, (what, label) in enumerate((("mib", "MiB at once"), ("seconds", "seconds"))):
            for i, mode in enumerate(dict.fromkeys(point.mode for point in points)):
                line = [
                    (p.steps, getattr(p, what))
                    for p in points
                    if (p.mode, p.size) == (mode, size) and p.mib is not None
                ]
                if line:
                    marker = "osD^vx"[i % 6]
                    axes[row, column].plot(*zip(*line, strict=True), marker, ls="-", label=mode)
            axes[row, column].set(xscale="log", yscale="log", xlabel="steps", ylabel=label)
        axes[0, column].set_title(f"{size} px")
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", nargs="+", type=int, default=[10, 50, 100, 250, 1000])
    parser.add_argument("--sizes", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--modes", nargs="+", choices=[*MODES], default=[*MODES])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--limit-mib", type=float, default=4000)
    parser.add_argument("--limit-seconds", type=float, default=120)
    args, overrides = parser.parse_known_args(given)
    args.out.mkdir(parents=True, exist_ok=True)
    points = []
    for size in args.sizes:
        for mode in args.modes:
            problem = Problem(size, args.device, overrides)
            problem.measure(mode, 1)  # a first run takes longer
            points += curve(problem, mode, args)
            with (args.out / "memory.csv").open("w", newline="") as file:
                csv.writer(file).writerows([Point._fields, *points])
            plot(args.out / "memory.png", points)


if __name__ == "__main__":
    main()
