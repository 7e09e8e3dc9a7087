"""The ablations of EGSDE (Zhao 2022), the start M and the weight of each expert; and its steps.

    python benchmarks/ablations.py --out DIR --experiment faces start [overrides of sample.py]
    python benchmarks/ablations.py --out DIR --experiment faces experts [overrides of sample.py]
    python benchmarks/ablations.py --out DIR --experiment faces steps [overrides of sample.py]

`start`: SDEdit and EGSDE from M = 0.3 T to 0.7 T. `experts`: one weight varies, the other stays at
the experiment's. `steps`: EGSDE and egsde_fast against the evaluations of the score. FID, L2, PSNR
and SSIM as curves, rows of pictures, a CSV and a table; rows that are there already are read, not
made again.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt
from hydra import compose, initialize_config_dir
from translation import Runs, measure_all, stack_grids, write_csv, write_table

from egsde.programs.cli import CONF

STARTS = (0.3, 0.4, 0.5, 0.6, 0.7)
FACTORS = (0, 0.5, 1, 2, 4)  # of the experiment's weights
STEPS = {"egsde": (48, 83, 100, 1000), "egsde_fast": (16, 24, 36, 83)}  # over the whole process
LABELS = {
    "start": "start M / T",
    "experts": "weight / weight of the experiment",
    "steps": "evaluations of the score",
}
PANELS = {"fid": "FID to the target", "l2": "L2 to the source", "psnr": "PSNR", "ssim": "SSIM"}
Curve = list[tuple[float, str]]  # (place on the x axis, row)


def curves(study: str, args: argparse.Namespace) -> dict[str, Curve]:
    """The rows of a study by the name of their curve."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("sample", [f"experiment={args.experiment}", *args.overrides])
    start, weights = float(cfg.translator.t_start), cfg.energy.weights
    s, i = float(weights.realism), float(weights.faithfulness)
    if study == "start":
        return {
            "SDEdit": [(m, f"sdedit:{m}") for m in STARTS],
            f"EGSDE, weights {s:g} / {i:g}": [(m, f"egsde:{m}:{s:g}:{i:g}") for m in STARTS],
        }
    if study == "steps":
        return {
            name: [(n, f"{name}:{start:g}:{s:g}:{i:g}:{n}") for n in steps]
            for name, steps in STEPS.items()
        }
    return {
        f"realism varies, faithfulness {i:g}": [
            (f, f"egsde:{start:g}:{f * s:g}:{i:g}") for f in FACTORS
        ],
        f"faithfulness varies, realism {s:g}": [
            (f, f"egsde:{start:g}:{s:g}:{f * i:g}") for f in FACTORS
        ],
    }


def plot(path: Path, study: str, drawn: dict[str, Curve], results: Runs) -> None:
    """One panel per metric, one line per curve, bars of the seeds' deviation; steps are drawn at
    the evaluations they took."""
    shown = [k for k in PANELS if all(k in run for runs in results.values() for run in runs)]
    figure, panels = plt.subplots(1, len(shown), figsize=(3.6 * len(shown), 3.2), squeeze=False)
    for axes, metric in zip(panels[0], shown, strict=True):
        for name, curve in drawn.items():
            values = [[run[metric] for run in results[row]] for _, row in curve]
            counted = [results[row][0]["evaluations"] for _, row in curve]
            axes.errorbar(
                counted if study == "steps" else [x for x, _ in curve],
                [statistics.fmean(v) for v in values],
                yerr=[statistics.pstdev(v) for v in values], marker="o", capsize=2, label=name,
            )  # fmt: skip
        axes.set(xlabel=LABELS[study], title=PANELS[metric])
        if study == "steps":
            axes.set_xscale("log")
    panels[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=[*LABELS])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--experiment", default="demo")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    drawn = curves(args.study, args)
    args.rows = unique(row for curve in drawn.values() for _, row in curve)
    results = measure_all(args)
    write_csv(args.out / f"{args.study}.csv", results, args.seeds)
    write_table(args.out / f"{args.study}.md", results)
    plot(args.out / f"{args.study}.png", args.study, drawn, results)
    stack_grids(args.out / f"{args.study}_pictures.png", args, results)
    print((args.out / f"{args.study}.md").read_text())


def unique(rows: Iterable[str]) -> list[str]:
    """Each once, in order."""
    return list(dict.fromkeys(rows))


if __name__ == "__main__":
    main()
