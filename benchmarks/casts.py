"""Colour casts and noise left, by what a network predicts and by how much noise a step adds.

    python benchmarks/casts.py --out runs/casts [--steps 300] [--images 64]

The same small network learns the demo's renderings at 16 px as eps, v and x_0, equally long; each
translates the same held-out drawings by SDEdit from `--t-start`, by several samplers. `tint` is the
shift of the mean colour (CIELAB) to the source and to the truth, `noise` what is finer than 3 px,
in grey levels. Leaves casts.csv and prints the table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tables import show

from egsde.programs.written import write_table

SAMPLERS = ("ancestral", "ancestral_beta", "ddim", "dpmpp_2m")
NAMES = ("tint", "tint_truth", "tint_truth_source", "noise", "noise_truth")
DATA = ("data=fluent", "data.size=16", "data.num_workers=0")


def run(program: str, *options: str) -> None:
    subprocess.run([sys.executable, program, *options, *DATA], check=True)


def rows_of(prediction: str, args: argparse.Namespace) -> list[dict[str, object]]:
    place = args.out / prediction
    run(
        "train.py", "network=tiny", f"prediction={prediction}", f"trainer.max_steps={args.steps}",
        f"trainer.val_check_interval={args.steps}", "translate=null", "best=val/loss",
        "module.ema_decay=0.99", "logger=csv", f"out={place / 'score'}",
    )  # fmt: skip
    run(
        "sample.py", "-m", "experiment=none", f"sampler={','.join(SAMPLERS)}", "translator=sdedit",
        "energy=none", f"score.weights={place / 'score' / 'weights.safetensors'}",
        "metrics=pairwise", f"limit={args.images}", f"t_start={args.t_start}", "report=0",
        "trajectory=0", "logger=none", "sampler.grid.steps=40", f"hydra.sweep.dir={place / 'out'}",
        "objective=l2",
    )  # fmt: skip
    found = []
    for job, sampler in enumerate(SAMPLERS):
        text = (place / "out" / str(job) / "metrics.json").read_text()
        numbers = json.loads(text)["metrics"]
        found.append(
            {"prediction": prediction, "sampler": sampler} | {n: numbers[n] for n in NAMES}
        )
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--predictions", nargs="+", default=["eps", "v", "x0"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--t-start", type=float, default=0.6)
    args = parser.parse_args(arguments)
    rows: list[dict[str, object]] = []
    for prediction in args.predictions:
        rows += rows_of(prediction, args)
        write_table(args.out / "casts.csv", rows)
    show(rows, 2)


if __name__ == "__main__":
    main()
