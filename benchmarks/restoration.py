"""Palette and SR3 against bicubic enlargement and mean fill: a table and a picture.

    python benchmarks/restoration.py --out DIR --palette palette/weights.safetensors \
        --sr3 sr3/weights.safetensors [--tasks inpaint shrink] [--samples 1 8] \
        [--steps 20] [--limit 100] [overrides of sample.py]

PSNR and SSIM to the truth, on held-out images, of one sample and of the mean of several: a draw
from the posterior is on average 3 dB further from the truth than the posterior's mean, which is
the better guess and the blurrier picture. Leaves table.md, results.csv and restoration.png; runs
that are there already are read, not made again.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image
from torch import Tensor
from translation import run

from egsde.data import output_name
from egsde.evaluation.metrics import psnr, ssim
from egsde.evaluation.reports import draw_grid
from egsde.programs.callbacks.pictures import to_uint8
from egsde.programs.cli import CONF

Fill = Callable[[Tensor, Tensor], Tensor]  # (condition, mask) -> a restored image without a model
Pictures = dict[str, list[Tensor]]
COLUMNS = ("psnr", "ssim", "better", "evaluations", "seconds")


def as_it_is(x0: Tensor, mask: Tensor) -> Tensor:
    """The condition: the enlarged, grey or compressed image."""
    return x0


def mean_fill(x0: Tensor, mask: Tensor) -> Tensor:
    """Hidden pixels take the mean colour of the known ones."""
    mean = (mask * x0).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp(min=1)
    return torch.where(mask > 0, x0, mean)


# task: what is compared with, its name, and the method
TASKS: dict[str, tuple[Fill, str, str]] = {
    "inpaint": (mean_fill, "mean fill", "palette"),
    "uncrop": (mean_fill, "mean fill", "palette"),
    "colourise": (as_it_is, "grey", "palette"),
    "jpeg": (as_it_is, "JPEG", "palette"),
    "shrink": (as_it_is, "bicubic", "sr3"),
}


def given(task: str, args: argparse.Namespace) -> list[str]:
    """The overrides of sample.py that name a task's images."""
    return ["experiment=none", f"translator={TASKS[task][2]}", f"degradation={task}",
            f"limit={args.limit}", *args.overrides]  # fmt: skip


def images(task: str, args: argparse.Namespace) -> tuple[list[str], dict[str, Tensor]]:
    """Names, and x0, truth and mask of all of them, in [-1, 1] and 0 or 1."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("sample", given(task, args))
    batches = list(instantiate(cfg.data).translation_loader(cfg.split))
    names = [name for batch in batches for name in batch["id"]]
    return names, {k: torch.cat([b[k] for b in batches]) for k in ("x0", "truth", "mask")}


def measured(restored: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Per image, of uint8 images."""
    y, x = restored / 255, truth / 255
    return {"psnr": psnr(y, x), "ssim": ssim(y, x)}


def restore(task: str, samples: int, names: list[str], args: argparse.Namespace) -> Any:
    """uint8 images as sample.py leaves them, evaluations and seconds per image."""
    method = TASKS[task][2]
    weights = getattr(args, method)
    if weights is None:
        raise ValueError(f"the task {task} needs the weights of {method}; add --{method}=PATH")
    folder = args.out / task / f"samples{samples}_steps{args.steps}"
    found = run(
        folder, *given(task, args), f"score.weights={weights.absolute()}", "metrics=pairwise",
        f"translator.samples={samples}", f"sampler.grid.steps={args.steps}", f"seed={args.seed}",
    )  # fmt: skip
    files = (np.asarray(Image.open(folder / "images" / output_name(name))) for name in names)
    made = torch.stack([torch.from_numpy(np.array(file)).permute(2, 0, 1) for file in files])
    return made, found["nfe"]["score"], found["seconds_per_image"]


def compare(task: str, args: argparse.Namespace) -> tuple[list[dict[str, Any]], Pictures]:
    """The rows of a task, and some images of each. better: the share of images on which PSNR is
    above that of the row without a model."""
    fill, name, method = TASKS[task]
    ids, batch = images(task, args)
    truth = to_uint8(batch["truth"])
    plain = to_uint8(fill(batch["x0"], batch["mask"]))
    base = measured(plain, truth)
    rows = [row(task, name, base, base, 0.0, 0.0)]
    shown = {"source": to_uint8(batch["x0"]), name: plain}
    for samples in args.samples:
        made, evaluations, seconds = restore(task, samples, ids, args)
        label = "sample" if samples == 1 else f"mean of {samples}"
        found = measured(made, truth)
        rows.append(row(task, f"{method}, {label}", found, base, evaluations, seconds))
        shown[label] = made
    shown["truth"] = truth
    place = torch.linspace(0, len(ids) - 1, min(args.columns, len(ids))).long()
    return rows, {label: list(pictures[place]) for label, pictures in shown.items()}


def row(
    task: str, name: str, found: dict[str, Tensor], base: dict[str, Tensor],
    evaluations: float, seconds: float | None,
) -> dict[str, Any]:  # fmt: skip
    """One line of the table."""
    means = {key: float(values.mean()) for key, values in found.items()}
    better = float((found["psnr"] > base["psnr"]).double().mean())
    numbers = means | {"better": better, "evaluations": evaluations, "seconds": seconds}
    return {"task": task, "method": name, **numbers}


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = ["| task | method | PSNR | SSIM | better | evaluations |", "|---" * 6 + "|"]
    for r in rows:
        better = f"{r['better']:.0%}" if r["evaluations"] else ""
        lines.append(f"| {r['task']} | {r['method']} | {r['psnr']:.2f} | {r['ssim']:.3f} | "
                     f"{better} | {r['evaluations']:.0f} |")  # fmt: skip
    path.write_text("\n".join(lines) + "\n")


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["task", "method", *COLUMNS])
        writer.writeheader()
        writer.writerows(rows)


def stack(path: Path, grids: list[Image.Image]) -> None:
    """The tasks' pictures, one below the other."""
    canvas = Image.new("RGB", (max(g.width for g in grids), sum(g.height + 12 for g in grids)),
                       "white")  # fmt: skip
    top = 0
    for grid in grids:
        canvas.paste(grid, (0, top))
        top += grid.height + 12
    canvas.save(path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--palette", type=Path)
    parser.add_argument("--sr3", type=Path)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--samples", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args, args.overrides = parser.parse_known_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    results = [compare(task, args) for task in args.tasks]
    rows = [line for lines, _ in results for line in lines]
    write_csv(args.out / "results.csv", rows)
    write_table(args.out / "table.md", rows)
    stack(args.out / "restoration.png", [draw_grid(shown, cell=64) for _, shown in results])
    print((args.out / "table.md").read_text())


if __name__ == "__main__":
    main()
