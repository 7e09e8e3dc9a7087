"""SSIM to the truth and seconds against steps, of a paired model: training and held-out images.

    python benchmarks/conditional.py --weights RUN/weights.safetensors --out DIR \
        [--steps euler_maruyama:10,100,1000 dpmpp_2m:5,10,20] [--limit 20] \
        sde=vp data=facades data.root=DIR data.size=64 [other overrides of sample.py]

A model that knows its training images by heart comes close to their truth; on others a drawn photo
is not the one that was taken, however good: the two are never one curve. Leaves steps.csv,
steps.png and a picture of each split; points that are there already are read, not made again.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt
from translation import run, stack_grids

STEPS = ("euler_maruyama:10,20,50,100,250,500,1000", "dpmpp_2m:5,10,20,50,100")
SPLITS = {"train": "training images", "test": "held-out images"}
COLUMNS = ("ssim_truth", "psnr_truth", "l2_truth", "seconds_per_image", "evaluations")
Point = dict[str, float]
Curves = dict[tuple[str, str], dict[int, Point]]  # (split, sampler): by steps


def asked(text: str) -> tuple[str, list[int]]:
    """`sampler:steps,steps` as a name and numbers; ValueError for anything else."""
    name, _, numbers = text.partition(":")
    try:
        return name, [int(number) for number in numbers.split(",")]
    except ValueError:
        message = f"{text!r} is no list of steps; write sampler:steps,steps as in dpmpp_2m:5,10"
        raise ValueError(message) from None


def measure(split: str, sampler: str, steps: int, args: argparse.Namespace) -> Point:
    """One point of a curve: metrics to the truth, seconds and evaluations per image."""
    found = run(
        args.out / split / f"{sampler}_{steps}" / f"seed{args.seed}",
        "experiment=none", "translator=paired", "score=conditional", "metrics=pairwise",
        f"score.weights={args.weights}", f"sampler={sampler}", f"sampler.grid.steps={steps}",
        f"split={split}", f"seed={args.seed}", f"limit={args.limit}", *args.overrides,
    )  # fmt: skip
    missing = {"ssim_truth"} - found["metrics"].keys()
    if missing:
        raise ValueError("the images have no truth to be compared with; use paired data")
    seconds = found["seconds_per_image"] or float("nan")
    found = found["metrics"] | {"seconds_per_image": seconds, "evaluations": found["nfe"]["score"]}
    return {name: found[name] for name in COLUMNS}


def write_csv(path: Path, curves: Curves) -> None:
    """One line per split, sampler and number of steps."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "sampler", "steps", *COLUMNS])
        for (split, sampler), points in curves.items():
            for steps, point in points.items():
                writer.writerow([split, sampler, steps, *(point[name] for name in COLUMNS)])


def plateau(points: dict[int, Point], within: float = 0.01) -> int:
    """The fewest steps whose SSIM is within that of the best."""
    best = max(point["ssim_truth"] for point in points.values())
    return min(n for n, point in points.items() if point["ssim_truth"] >= best - within)


def plot(path: Path, curves: Curves) -> None:
    """SSIM and seconds against steps: dashed lines for training images, solid for held-out ones."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.8))
    labels = {"ssim_truth": "SSIM to the truth", "seconds_per_image": "seconds an image"}
    samplers = list(dict.fromkeys(sampler for _, sampler in curves))
    for axes, (metric, label) in zip(panels, labels.items(), strict=True):
        for (split, sampler), points in curves.items():
            axes.plot(
                list(points), [point[metric] for point in points.values()],
                "--" if split == "train" else "-", color=f"C{samplers.index(sampler)}",
                marker=".", label=f"{sampler}, {SPLITS.get(split, split)}",
            )  # fmt: skip
        axes.set(xlabel="steps", ylabel=label, xscale="log")
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def rows(wanted: Iterable[tuple[str, list[int]]]) -> list[str]:
    """The folders of a split, in order."""
    return [f"{sampler}:{n}" for sampler, numbers in wanted for n in numbers]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", nargs="+", default=list(STEPS))
    parser.add_argument("--splits", nargs="+", default=list(SPLITS))
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args, args.overrides = parser.parse_known_args(arguments)
    for listed in (args.steps, args.splits):  # overrides may follow either list
        args.overrides += [text for text in listed if "=" in text]
        listed[:] = [text for text in listed if "=" not in text]
    args.weights, wanted = args.weights.absolute(), [asked(text) for text in args.steps]
    curves: Curves = {}
    for sampler, numbers in wanted:
        for split in args.splits:
            points = {n: measure(split, sampler, n, args) for n in sorted(numbers)}
            curves[split, sampler] = points
            where = f"{sampler}, {SPLITS.get(split, split)}"
            print(f"{where}: within 0.01 of its best SSIM at {plateau(points)} steps")
    write_csv(args.out / "steps.csv", curves)
    plot(args.out / "steps.png", curves)
    for split in args.splits:
        given = argparse.Namespace(out=args.out / split, rows=rows(wanted), seeds=[args.seed])
        stack_grids(args.out / f"{split}.png", given, {"": [{"l2_truth": 0.0}]})
    print((args.out / "steps.csv").read_text())


if __name__ == "__main__":
    main()
