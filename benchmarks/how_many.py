"""How many images a score needs: equal short trainings on 64, 250 and 1000 of the demo's.

    python benchmarks/how_many.py --out runs/how_many [--counts 64 250 1000] [--steps 60]

Each starts from the embedded score of the drawings and sees `steps` batches of 16 renderings, of so
many different ones; then the default translator translates the same held-out drawings with it. Row
0 translates with the score of the drawings itself. Leaves how_many.csv and prints the table.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

from tables import show

from egsde.programs.written import write_table
from egsde.scores.container import find, read_config, save_weights
from egsde.scores.files import load_score

BOTH = "demo/flat_and_3d.safetensors"
NAMES = ("kid", "kid_source", "domain", "l2_truth", "l2_truth_source", "nearer")


def run(program: str, *options: str) -> None:
    subprocess.run([sys.executable, program, "logger=none", *options], check=True)


def drawings(file: Path) -> Path:
    """The embedded score told to make drawings, as a file that knows nothing of renderings."""
    record = read_config(find(BOTH, "weights"))
    data = record["data"] | {"source": "3d", "target": "flat"}
    network = record["network"] | {"class_cond": False}
    net = load_score(BOTH, label="flat").net
    file.parent.mkdir(parents=True, exist_ok=True)
    config = record | {"kind": "score", "network": network, "data": data}
    save_weights(file, {"averaged": net}, config, half=True)
    return file


def trained(count: int, steps: int, start: Path, out: Path) -> Path:
    """The averaged weights of a training on so many images, and its loss on the validation's."""
    run(
        "train.py", "data=fluent", "network=folded_64", f"limit={count}", f"out={out}",
        f"init_weights={start}", "data.batch_size=16", "data.num_workers=0",
        "module.ema_decay=0.95", "module.schedule.warmup=5", "module.optimizer.lr=2e-4",
        f"trainer.max_steps={steps}", f"trainer.val_check_interval={steps}",
        "translate=null", "best=val/loss", "logger=csv",
    )  # fmt: skip
    return out / "weights.safetensors"


def loss(out: Path) -> float:
    with (out / "metrics.csv").open(newline="") as file:
        return next(float(r["val/loss"]) for r in csv.DictReader(file) if r.get("val/loss"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[64, 250, 1000])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--images", type=int, default=64)
    args = parser.parse_args(arguments)
    rows, flat = [], drawings(args.out / "flat.safetensors")
    for count in (0, *args.counts):
        place = args.out / str(count)
        score = trained(count, args.steps, flat, place / "score") if count else flat
        run(
            "sample.py", f"score.weights={score}", f"limit={args.images}", "check=false",
            "report=0", "trajectory=0", f"out={place / 'out'}",
        )  # fmt: skip
        found = json.loads((place / "out" / "metrics.json").read_text())["metrics"]
        row = {"images": count, "val_loss": loss(place / "score") if count else None}
        rows.append(row | {name: found[name] for name in NAMES})
        write_table(args.out / "how_many.csv", rows)
    show(rows, 4)


if __name__ == "__main__":
    main()
