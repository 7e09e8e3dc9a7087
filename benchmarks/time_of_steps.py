"""Seconds of a translation against its steps and the image's size (the thesis's figure 7, right).

    python benchmarks/time_of_steps.py --out runs/time --sizes 16 32 64 --steps 10 20 50 100

The conditional network of `model=conditional`, untrained: time does not depend on the weights. The
fastest of `--repeats` runs of one image, in seconds of the processor, which other work on the
machine changes little. Leaves time.csv and time.png.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from egsde.noise import Noise
from egsde.programs.cli import CONF
from egsde.sampling.sampler import Sampler
from egsde.scores.conditional import ConditionalScore
from egsde.sde import VP, Reverse


def problem(size: int, overrides: list[str]) -> tuple[ConditionalScore, Sampler]:
    """A score for images of this size and the sampler of the model."""
    given = ["model=conditional", f"data.size={size}", "sampler=dpmpp_2m", *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", given)
    torch.manual_seed(0)
    return ConditionalScore(instantiate(cfg.network).eval(), VP()), instantiate(cfg.sampler)


@torch.no_grad()
def seconds(
    score: ConditionalScore, sampler: Sampler, size: int, steps: int, repeats: int
) -> float:
    """The fastest of several translations of one image."""
    walk = Sampler(sampler.solver, type(sampler.grid)(steps), denoise=False)
    sde, noise = score.sde, Noise(0, ["image"])
    condition = noise.stream("condition")(torch.empty(1, 3, size, size))
    start, times = noise.stream("start")(condition), walk.times(sde, sde.T)
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        walk.run(Reverse(sde, score.given(condition)), start, times, noise)
        taken.append(time.process_time() - began)
    return min(taken)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 10, 20, 50, 100])
    parser.add_argument("--repeats", type=int, default=3)
    args, overrides = parser.parse_known_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(5.5, 4), layout="constrained")
    rows = []
    for size in args.sizes:
        score, sampler = problem(size, overrides)
        seconds(score, sampler, size, 2, 1)  # the first call allocates
        taken = [seconds(score, sampler, size, n, args.repeats) for n in args.steps]
        slope = float(np.polyfit(args.steps, taken, 1)[0])
        rows += [(size, n, f"{value:.4f}") for n, value in zip(args.steps, taken, strict=True)]
        axes.plot(args.steps, taken, "o-", label=f"{size} px: {1000 * slope:.1f} ms a step")
    axes.set(xlabel="steps", ylabel="processor seconds an image", xscale="log", yscale="log")
    axes.set_xticks(args.steps, map(str, args.steps))
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(args.out / "time.png", dpi=120)
    with open(args.out / "time.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["size", "steps", "seconds"])
        table.writerows(rows)


if __name__ == "__main__":
    main()
