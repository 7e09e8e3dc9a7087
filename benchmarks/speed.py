"""Seconds of a step beside other codes on the same random weights, by part, and the floor.

    python benchmarks/speed.py --out runs/speed official=DIR --sizes 32 64 256 --batches 1 4 16

official: a checkout of ML-GSAI/EGSDE, which also holds guided-diffusion's loop. All codes take
turns in one process; the numbers are medians of `--repeats` turns. On a CPU they are processor
seconds, which other work on the machine changes little ("busy" marks where there was some); on
CUDA, of the clock. The floor: the counted operations at the measured peak of a large convolution
and of a matrix product. Leaves speed.csv, parts.csv, speed.md and speed.png.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from speed_cases import Case, Diffusers, Official, Ours
from speed_clock import Work, alternating, busy, counted, largest, most_bytes, of, peaks, sizes_of

PRECISIONS = {
    "fp32": {}, "bf16": {"autocast": True}, "tf32": {}, "compiled": {},
    "bf16_compiled": {"autocast": True},
}  # fmt: skip
Row = dict[str, Any]


def works_of(case: Case, ours: Ours, official: Path | None) -> dict[str, Work]:
    """Every code's steps by name."""
    works: dict[str, Work] = {"ours": ours.translated}
    if official is not None:
        theirs = Official(official, ours)
        works |= {"official": theirs.translated, "guided-diffusion, no energy": theirs.generated}
        works["ours, no energy"] = lambda: ours.translated(guided=False)
    try:
        beside = Diffusers(case)
    except ImportError:
        return works
    return works | {
        "diffusers, no energy": beside.theirs,
        "ours, on diffusers' weights": beside.ours,
    }


def measured(
    case: Case, precision: str, threads: int, official: Path | None, repeats: int
) -> tuple[list[Row], Row]:
    """Rows of all codes on one case, and the parts of our step."""
    ours = Ours(case, "compiled" in precision)
    works = works_of(case, ours, official if precision == "fp32" else None)
    if precision != "fp32":
        works = {"ours": works["ours"]}
    both = alternating({**works, **ours.parts()}, repeats, case.device)
    taken = {name: both.pop(name) for name in works}
    dtype = torch.bfloat16 if case.autocast else torch.float32
    best = peaks(case.device, dtype)
    common = {
        "size": case.size, "batch": case.batch, "threads": threads, "precision": precision,
        "busy": int(busy(threads)),
    }  # fmt: skip
    rows = []
    for name, one in taken.items():
        row: Row = {"code": name, **common}
        row["seconds_a_step"] = of(one, case.device) / case.steps
        row["wall_a_step"] = one.wall / case.steps
        row["images_a_second_500_steps"] = case.batch / (500 * row["wall_a_step"])
        if "compiled" not in precision:  # its operations are not seen one by one
            operations = counted(works[name])
            row["gflop_a_step"] = sum(operations) / case.steps / 1e9
            row["floor_a_step"] = best.floor(*operations) / case.steps
            row["over_floor"] = row["seconds_a_step"] / row["floor_a_step"]
            row["mib"] = most_bytes(works[name], case.device) / 2**20
        rows.append(row)
    if "official" in taken:
        rows[0]["over_official"] = rows[0]["seconds_a_step"] / next(
            row["seconds_a_step"] for row in rows if row["code"] == "official"
        )
        rows[0]["difference"] = largest(works["ours"](), works["official"]())
    seconds = {name: of(one, case.device) for name, one in both.items()}
    gradient, inner = seconds.pop("gradient"), ("features of x_t", "features of y")
    parts = {**seconds, "backward": gradient - sum(seconds[name] for name in inner)}
    parts["solver, Python"] = rows[0]["seconds_a_step"] - sum(parts.values())
    told = {"peak_convolution": best.convolution / 1e9, "peak_product": best.product / 1e9}
    networks = {"unet": sizes_of(ours.unet), "encoder": sizes_of(ours.encoder)}
    return rows, {**common, **parts, **told, **networks}


def written(path: Path, rows: list[Row]) -> None:
    """A CSV of all keys that some row has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows({k: _short(v) for k, v in row.items()} for row in rows)


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


def table_of(rows: Iterable[Row]) -> str:
    """Lines of markdown; ms an image and step, ratios to the official code and to the floor."""
    lines = [
        "| px | batch | threads | precision | code | ms an image and step | to the official | "
        "to the floor | GFLOP | MiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        first = [r["size"], r["batch"], r["threads"], r["precision"], r["code"]]
        milliseconds = f"{1000 * r['seconds_a_step'] / r['batch']:.1f}{'*' if r['busy'] else ''}"
        rest = [_two(r.get("over_official")), _two(r.get("over_floor"))]
        more = [_two(r.get("gflop_a_step")), _two(r.get("mib"))]
        lines.append("| " + " | ".join(map(str, [*first, milliseconds, *rest, *more])) + " |")
    return "\n".join([*lines, "", "\\* other work ran on the machine", ""])


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def draw(rows: list[Row], parts: list[Row], path: Path) -> None:
    """Our parts, stacked, beside each code's step and the floor."""
    names = [
        "score", "features of x_t", "features of y", "backward", "filter", "noise",
        "solver, Python",
    ]  # fmt: skip
    figure, axes = plt.subplots(
        1, len(parts), figsize=(max(4.5, 2.7 * len(parts)), 4), layout="constrained", squeeze=False
    )
    for axis, part in zip(axes[0], parts, strict=True):
        key = ("size", "batch", "threads", "precision")
        mine = [
            r for r in rows if all(r[k] == part[k] for k in key) and "no energy" not in r["code"]
        ]
        mine = [r for r in mine if "diffusers" not in r["code"]]
        bottom = 0.0
        for place, name in enumerate(names):
            height = max(0.0, 1000 * part[name] / part["batch"])
            axis.bar("ours", height, bottom=bottom, color=f"C{place}", label=name)
            bottom += height
        for row in mine[1:]:
            axis.bar(row["code"], 1000 * row["seconds_a_step"] / row["batch"], color="0.6")
        if "floor_a_step" in mine[0]:
            floor = 1000 * mine[0]["floor_a_step"] / part["batch"]
            axis.axhline(floor, color="k", ls=":", label="floor")
        axis.set_title(f"{part['size']} px, batch {part['batch']}, {part['precision']}", fontsize=9)
    axes[0][0].set_ylabel("ms an image and step")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="*", help="official=DIR")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 256])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["fp32"])
    parser.add_argument("--width", type=int, default=128, help="of both networks")
    parser.add_argument("--steps", type=int, default=1, help="of one measurement")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(arguments)
    folders = dict(text.partition("=")[::2] for text in args.folders)
    if unknown := sorted(set(folders) - {"official"}):
        parser.error(f"unknown folders {unknown}; give official=DIR")
    official = Path(folders["official"]).absolute() if folders else None
    args.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    parts: list[Row] = []
    device = torch.device(args.device)
    before = torch.get_num_threads()
    for threads, precision, size, batch in product(
        args.threads, args.precisions, args.sizes, args.batches
    ):
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = (
            precision == "tf32"
        )
        case = Case(size, batch, args.width, device, args.steps, **PRECISIONS[precision])
        found, part = measured(case, precision, threads, official, args.repeats)
        rows, parts = [*rows, *found], [*parts, part]
        print(table_of(found), flush=True)
        written(args.out / "speed.csv", rows)
        written(args.out / "parts.csv", parts)
        (args.out / "speed.md").write_text(table_of(rows))
        draw(rows, parts, args.out / "speed.png")
    torch.set_num_threads(before)


if __name__ == "__main__":
    main()
