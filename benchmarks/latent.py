"""Latent against pixel: equal seconds of training, then SDEdit at several numbers of evaluations.

    python benchmarks/latent.py --out runs/latent --size 64 --seconds 600 --precision bf16-mixed

The latent side shares its seconds between an autoencoder (two thirds) and the score of its latents.
Leaves latent.csv (KID, `domain` by the shipped judge, the L2 distance to the truth, all with their
intervals, seconds an image, for each space and number of evaluations, and what doing nothing has)
and latent.png, KID and distance against seconds: equal seconds are one above another, equal
evaluations have one number. What follows are settings of both trainings and samplings.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

NUMBERS = {"kid": "KID", "l2_truth": "L2 to the truth"}
MEASURED = ("kid", "domain", "l2_truth")


def run(program: str, *settings: str) -> None:
    """One of egsde's programs in a process of its own."""
    subprocess.run([sys.executable, "-m", "egsde", program, *settings], check=True)


def trained(out: Path, seconds: int, *settings: str) -> Path:
    """The weights of a training of so many seconds; one that is there is read, not made again."""
    file = out / "weights.safetensors"
    if not file.exists():
        length = f'+trainer.max_time="00:00:{seconds // 60:02d}:{seconds % 60:02d}"'
        validation = ["trainer.val_check_interval=100", "+trainer.limit_val_batches=2"]
        run("train", *settings, "translate=null", "trainer.max_steps=-1", length, *validation,
            f"out={out}")  # fmt: skip
    return file


def spaces(
    out: Path, seconds: int, size: int, precision: str, more: list[str]
) -> dict[str, list[str]]:
    """Settings of sample.py for both spaces, their networks trained."""
    data = [f"data.size={size}", *more]
    training = ["module.ema_decay=0.99", f"trainer.precision={precision}", *data]
    pixel = trained(out / "pixel", seconds, *training)
    codec = trained(out / "autoencoder", 2 * seconds // 3, "model=autoencoder", *training)
    inside = ["codec=kl", f"codec.weights={codec}"]
    fits = [f"network.image_size={size // 4}", "++network.in_channels=4",
            "++network.out_channels=4", "network.num_head_channels=32"]  # fmt: skip
    latent = trained(out / "latent", seconds // 3, *inside, *fits, *training)
    return {
        "pixel": [f"score.weights={pixel}", *data],
        "latent": [f"score.weights={latent}", *inside, *data],
    }


def measured(out: Path, settings: list[str], evaluations: int, start: float) -> dict[str, dict]:
    """What sample.py leaves of SDEdit from `start` at so many evaluations."""
    steps = round(evaluations / start)
    if not (out / "metrics.json").exists():
        run("sample", "experiment=none", "translator=sdedit", "energy=none", f"t_start={start}",
            "sampler=dpmpp_2m", f"sampler.grid.steps={steps}", "metrics=domain", "report=0",
            f"out={out}", *settings)  # fmt: skip
    return json.loads((out / "metrics.json").read_text())


def line(space: str, evaluations: int, found: dict, ending: str = "") -> dict[str, float | str]:
    """A line of the table; `ending` `_source` is doing nothing."""
    numbers, intervals = found["metrics"], found.get("intervals", {})
    made: dict[str, float | str] = {"space": space, "evaluations": evaluations}
    for name in MEASURED:
        made[name] = numbers.get(name + ending)
        made[f"{name}_low"], made[f"{name}_high"] = intervals.get(name + ending, (None, None))
    seconds = numbers.get("seconds_per_image", found.get("seconds_per_image"))
    return made | {"seconds": 0.0 if ending else seconds}


def drawn(rows: list[dict[str, float | str]], out: Path) -> None:
    """latent.png."""
    figure, axes = plt.subplots(1, len(NUMBERS), figsize=(10, 4), layout="constrained")
    for axis, (key, name) in zip(axes, NUMBERS.items(), strict=True):
        for space in dict.fromkeys(row["space"] for row in rows):
            mine = [row for row in rows if row["space"] == space]
            x, y = ([float(row[k]) for row in mine] for k in ("seconds", key))
            axis.plot(x, y, "o-", label=str(space))
            for row, at in zip(mine, zip(x, y, strict=True), strict=True):
                axis.annotate(str(row["evaluations"]), at, xytext=(4, 4),
                              textcoords="offset points", fontsize=8)  # fmt: skip
        axis.set(xscale="log", xlabel="seconds an image", ylabel=name)
        axis.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    axes[0].legend(title="diffusion in (evaluations)")
    figure.savefig(out / "latent.png", dpi=120)


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=90, help="of training, each space")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--precision", default="32-true", help="of the trainings")
    parser.add_argument("--start", type=float, default=0.4)
    parser.add_argument("--evaluations", default="4,12,20", help="numbers with commas")
    parser.add_argument("settings", nargs="*", help="overrides of train.py and sample.py")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    both = [s for s in args.settings if not s.startswith("limit=")]
    limit = [s for s in args.settings if s.startswith("limit=")]
    rows: list[dict[str, float | str]] = []
    for space, settings in spaces(args.out, args.seconds, args.size, args.precision, both).items():
        for n in map(int, args.evaluations.split(",")):
            found = measured(args.out / f"{space}_{n}", [*settings, *limit], n, args.start)
            rows.append(line(space, n, found))
    nothing = line("do nothing", 0, found, "_source")
    with (args.out / "latent.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows([*rows, nothing])
    drawn(rows, args.out)


if __name__ == "__main__":
    main()
