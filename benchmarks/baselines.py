"""Quoted rows of all baselines beside folders of their outputs, or of ours, that are measured here.

    python benchmarks/baselines.py --out runs/baselines --task cat2dog CUT=outputs/cut

docs/data/baselines.csv holds what talk and papers quote, each row with where it was read. A folder
counts by its metrics.json; one of pictures is measured first, by evaluate.py, with `--source`,
`--target` and `--metrics` (egsde_paper: the papers' protocol). Leaves baselines.csv and
baselines.png (FID against L2).
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt

QUOTED = Path(__file__).parents[1] / "docs" / "data" / "baselines.csv"
NUMBERS = ("fid", "l2", "psnr", "ssim")
Row = dict[str, str | float | None]


def quoted(task: str | None = None) -> list[Row]:
    """The quoted rows, of one task or all; numbers that are not quoted are None."""
    with QUOTED.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if task in (None, row["task"])]
    if not rows:
        raise ValueError(f"task {task!r} has no quoted row; see {QUOTED}")
    text = ("task", "method", "quoted_from")
    return [
        {k: v if k in text else float(v) if v else None for k, v in row.items()} for row in rows
    ]


def measured(name: str, folder: Path, args: argparse.Namespace) -> Row:
    """A row of what is in a folder: its metrics.json, or its pictures, measured first."""
    file = folder / "metrics.json"
    if not file.exists():
        if not (args.source and args.target):
            raise ValueError(
                f"{folder} has no metrics.json; its pictures are measured with --source=DIR "
                "--target=DIR, the images that were translated and real ones of the target"
            )
        out = args.out / name
        asked = [f"source={args.source}", f"output={folder}", f"target={args.target}", f"out={out}"]
        command = [sys.executable, "-m", "egsde", "evaluate", *asked, f"metrics={args.metrics}"]
        subprocess.run(command, check=True)
        file = out / "metrics.json"
    found = json.loads(file.read_text())["metrics"]
    return {"task": args.task, "method": name, **{k: found.get(k) for k in NUMBERS},
            "quoted_from": f"measured: {folder}"}  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--task", default="cat2dog")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--target", type=Path)
    parser.add_argument("--metrics", default="egsde_paper")
    parser.add_argument("folders", nargs="*", help="NAME=DIR")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = quoted(args.task)
    for text in args.folders:
        name, _, folder = text.partition("=")
        if not folder:
            parser.error(f"{text} is no NAME=DIR")
        rows.append(measured(name, Path(folder), args))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with open(args.out / "baselines.csv", "w", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)
    figure, axes = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
    for row in rows:
        if row["fid"] is None or row["l2"] is None:
            continue
        ours = str(row["quoted_from"]).startswith("measured")
        axes.plot(row["l2"], row["fid"], "o" if ours else "s", color="C1" if ours else "C0")
        axes.annotate(str(row["method"]), (row["l2"], row["fid"]), xytext=(5, 4),
                      textcoords="offset points", fontsize=8)  # fmt: skip
    axes.set(xlabel="L2 to the source (faithful: left)", ylabel="FID (real: low)",
             title=f"{args.task}: quoted (squares), measured here (circles)")  # fmt: skip
    axes.margins(x=0.2)  # room for the last name
    axes.grid(alpha=0.3)
    figure.savefig(args.out / "baselines.png", dpi=120)


if __name__ == "__main__":
    main()
