"""FID against L2 for translators on the same networks: a CSV, a table, a plot and a picture.

    python benchmarks/translation.py --out DIR --experiment demo --seeds 0 1 2 \
        --rows sdedit:0.5 egsde:0.5:100:2 [-- overrides of sample.py]

A row is `translator[:M[:realism:faithfulness[:steps]]]`, steps over the whole process. A row that
is there already is read, not made again, so a run that was cut goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from hydra import compose, initialize_config_dir
from PIL import Image, ImageDraw, ImageFont

from egsde.evaluation.reports.grid import MARGIN
from egsde.programs.checks import GENERAL, ROOTS
from egsde.programs.cli import CONF
from egsde.programs.sample import sample
from egsde.programs.unread import unread

Runs = dict[str, list[dict[str, float]]]  # by row: the metrics of each seed
LABELS = 60  # room for row names beyond the grids' own margin
SETTINGS = ("t_start", "energy.weights.realism", "energy.weights.faithfulness")  # of a row
SHOWN = ("fid", "kid", "l2", "psnr", "ssim", "l2_truth")


def overrides(row: str) -> list[str]:
    """The sample.py overrides of a row."""
    method, *numbers = row.split(":")
    steps = "translator.steps" if method == "egsde_fast" else "sampler.grid.steps"
    settings = zip((*SETTINGS, steps), numbers, strict=False)
    return [f"translator={method}", *(f"{key}={number}" for key, number in settings)]


def measure(row: str, seed: int, args: argparse.Namespace) -> dict[str, float]:
    """The metrics of one row and seed, made or read."""
    folder = args.out / row.replace(":", "_") / f"seed{seed}"
    given = (f"experiment={args.experiment}", f"seed={seed}", *args.overrides)
    found = run(folder, *given, row=overrides(row))
    made = {
        "evaluations": found["nfe"]["score"],
        "seconds_per_image": found["seconds_per_image"] or float("nan"),
    }
    return {**found["metrics"], **made}


def run(folder: Path, *given: str, row: Sequence[str] = ()) -> dict:
    """metrics.json of one run of sample.py in that folder, made or read; ValueError where the
    translator does not read what `row` sets."""
    if not (folder / "metrics.json").exists():
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("sample", [f"out={folder}", "logger=none", *row, *given])
        if told := unread("sample", cfg, ROOTS["sample"], GENERAL["sample"], row):
            raise ValueError(f"{row[0]}, {'; '.join(told)}: shorten its row")
        sample(cfg)
    return json.loads((folder / "metrics.json").read_text())


def measure_all(args: argparse.Namespace) -> Runs:
    """Every row of args.rows with every seed."""
    args.out.mkdir(parents=True, exist_ok=True)
    return {row: [measure(row, seed, args) for seed in args.seeds] for row in args.rows}


def mean_and_deviation(values: list[float]) -> str:
    """`mean +- deviation`, to a sensible number of digits."""
    mean = statistics.fmean(values)
    digits = 1 if mean >= 10 else 2 if mean >= 1 else 3 if mean >= 0.1 else 4
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--experiment", default="demo")
    parser.add_argument("--rows", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    results = measure_all(args)
    write_csv(args.out / "results.csv", results, args.seeds)
    write_table(args.out / "table.md", results)
    plot(args.out / "frontier.png", results)
    stack_grids(args.out / "grids.png", args, results)
    print((args.out / "table.md").read_text())


def write_csv(path: Path, results: Runs, seeds: list[int]) -> None:
    """One line per row and seed."""
    columns = list(dict.fromkeys(k for runs in results.values() for run in runs for k in run))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["row", "seed", *columns])
        writer.writeheader()
        for row, runs in results.items():
            for seed, run in zip(seeds, runs, strict=True):
                writer.writerow({"row": row, "seed": seed, **run})


def write_table(path: Path, results: Runs) -> None:
    """Mean and deviation over the seeds, as Markdown; the floor and the source's own FID below."""
    shown = [k for k in SHOWN if all(k in run for runs in results.values() for run in runs)]
    lines = ["| method | " + " | ".join(shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for row, runs in results.items():
        cells = [mean_and_deviation([run[k] for run in runs]) for k in shown]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    first = next(iter(results.values()))[0]
    for name in ("fid_floor", "fid_source"):
        if name in first:
            lines.append(f"\n{name}: {first[name]:.1f}")
    path.write_text("\n".join(lines) + "\n")


def plot(path: Path, results: Runs) -> None:
    """FID (realism) against L2 (faithfulness): lower left is better."""
    figure, axes = plt.subplots(figsize=(6, 4.5))
    for row, runs in results.items():
        if "fid" not in runs[0]:
            continue
        x, y = [r["l2"] for r in runs], [r["fid"] for r in runs]
        style = (
            {"marker": "s", "color": "tab:gray"} if row.startswith("sdedit") else {"marker": "o"}
        )
        axes.errorbar(
            statistics.fmean(x), statistics.fmean(y),
            xerr=statistics.pstdev(x), yerr=statistics.pstdev(y), label=row, **style,
        )  # fmt: skip
    axes.set(xlabel="L2 to the source", ylabel="FID to the target")
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def stack_grids(path: Path, args: argparse.Namespace, results: Runs) -> None:
    """Sources, the first seed's translations of every row under its name, and any truth."""
    grids = {
        row: Image.open(args.out / row.replace(":", "_") / f"seed{args.seeds[0]}" / "grid.png")
        for row in args.rows
    }
    first = next(iter(grids.values()))
    parts = 3 if "l2_truth" in next(iter(results.values()))[0] else 2
    height = first.height // parts
    strips = [("source", first.crop((0, 0, first.width, height)))]
    for row, grid in grids.items():
        strips.append((row, grid.crop((0, height, grid.width, 2 * height))))
    if parts == 3:
        strips.append(("truth", first.crop((0, 2 * height, first.width, 3 * height))))
    canvas = Image.new("RGB", (first.width + LABELS, height * len(strips)), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for i, (label, strip) in enumerate(strips):
        canvas.paste(strip, (LABELS, i * height))
        draw.rectangle((0, i * height, LABELS + MARGIN - 1, (i + 1) * height), fill="white")
        draw.text((6, i * height + height // 2 - 8), label, fill="black", font=font)
    canvas.save(path)


if __name__ == "__main__":
    main()
