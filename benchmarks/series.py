"""Flicker of a clip and a volume by method and by noise key; pictures for docs/pictures.md.

    python benchmarks/series.py --out runs/series [--rows sdedit egsde] [overrides of sample.py]

Sources are made of the demo's held-out drawings: `clip.gif`, one that moves by a pixel a frame;
`scan.tif`, a grey solid whose slices grow and shrink; `large.png`, 2048 x 1536 with many of them.
The table, `table.md`, has flicker with a key a series, moved along the flow, and a key an image.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from egsde.data import Fluent
from egsde.data.containers.gif import animated

ROWS = {
    "sdedit": ["translator=sdedit", "energy=none", "t_start=0.2", "sampler=ancestral"],
    "egsde": ["translator=egsde", "t_start=0.2", "sampler=ancestral"],
    "default": [],
}
KEYS = ("null", "flow", "false")
SIDE, FRAMES = 64, 8


def drawings(count: int) -> np.ndarray:
    """uint8 (count, 64, 64, 3)."""
    images = Fluent().images("flat", "test", SIDE)
    places = np.linspace(0, len(images.ids) - 1, count).astype(int)
    return np.stack([images.array(int(i)) for i in places])


def clip(path: Path) -> None:
    one = np.pad(drawings(9)[4], ((8, 8), (8, 8), (0, 0)), constant_values=255)
    frames = np.stack([one[8 : 8 + SIDE, 4 + k : 4 + k + SIDE] for k in range(FRAMES)])
    path.write_bytes(animated(frames, [80] * FRAMES, 0, None))


def scan(path: Path) -> None:
    one = Image.fromarray(drawings(9)[4]).convert("L")
    slices = []
    for k in range(FRAMES):
        z = (k + 0.5) / FRAMES * 2 - 1
        side = round(SIDE * (1 - z**2 / 2))
        canvas = Image.new("L", (SIDE, SIDE), 255)
        canvas.paste(one.resize((side, side)), ((SIDE - side) // 2, (SIDE - side) // 2))
        slices.append(np.asarray(canvas))
    tifffile.imwrite(path, np.stack(slices), photometric="minisblack")


def large(path: Path, width: int = 2048, height: int = 1536) -> None:
    canvas, step = np.full((height, width, 3), 255, np.uint8), 72
    places = [(y, x) for y in range(4, height - SIDE, step) for x in range(4, width - SIDE, step)]
    every = drawings(min(len(places), 243))
    for k, (y, x) in enumerate(places):
        down = (k * 5) % 8
        canvas[y + down : y + down + SIDE, x : x + SIDE][: height - y - down] = every[
            k % len(every)
        ]
    Image.fromarray(canvas).save(path)


def flicker(out: Path, source: Path, options: list[str]) -> float:
    if not (out / "metrics.json").is_file():
        command = [sys.executable, "sample.py", f"out={out}", f"data.source={source}", "report=0",
                   "trajectory=0", "logger=none", *options]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return float(json.loads((out / "metrics.json").read_text())["metrics"]["flicker"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    args, overrides = parser.parse_known_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sources = {"clip.gif": clip, "scan.tif": scan, "large.png": large}
    for name, make in sources.items():
        make(args.out / name)
    lines = [
        "| source | method | a key a series | moved along the flow | a key an image |",
        "|---|---|---|---|---|",
    ]
    for name in ("clip.gif", "scan.tif"):
        for row in args.rows:
            found = [
                flicker(args.out / f"{name}-{row}-{key}", args.out / name,
                        [*ROWS[row], f"data.series={key}", *overrides])
                for key in KEYS
            ]  # fmt: skip
            lines.append(
                f"| {name} | {row} | " + " | ".join(f"{value:.4f}" for value in found) + " |"
            )
            (args.out / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
