"""One process of 8 beside two of 4: losses and gradients of a short training, as a picture.

python benchmarks/global_batch.py --steps 60 --out docs/global_batch.svg
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]
TINY = ["network.num_channels=32", "network.channel_mult=[1]", "network.num_head_channels=32",
        "data.size=16", "translate=null", "data.flip=true", "trainer.log_every_n_steps=1",
        "trainer.accelerator=cpu"]  # fmt: skip
RUNS = {"1 x 8": ("trainer=default", 8), "2 x 4": ("trainer=ddp_cpu", 4)}


def trained(out: Path, trainer: str, batch: int, steps: int) -> list[dict[str, float]]:
    """The rows of metrics.csv."""
    length = [f"trainer.max_steps={steps}", f"trainer.val_check_interval={steps}"]
    command = [sys.executable, str(ROOT / "train.py"), trainer, *TINY, *length,
               f"data.batch_size={batch}", f"out={out}"]  # fmt: skip
    subprocess.run(command, check=True)
    with (out / "metrics.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("docs/global_batch.svg"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = {
            run: trained(Path(name) / str(batch), trainer, batch, options.steps)
            for run, (trainer, batch) in RUNS.items()
        }
    figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    for panel, key in zip(panels, ("train/loss", "train/grad_norm"), strict=True):
        for (run, rows), style in zip(
            found.items(), ({"lw": 4, "alpha": 0.4}, {"lw": 1}), strict=True
        ):
            panel.plot([r["step"] for r in rows], [r[key] for r in rows], label=run, **style)
        one, two = ([r[key] for r in rows] for rows in found.values())
        apart = max(abs(a - b) / abs(a) for a, b in zip(one, two, strict=True))
        panel.set(xlabel="step", title=f"{key}, at most {apart:.0e} apart (relative)")
        panel.legend()
        print(f"{key}: largest relative difference {apart:.1e} over {len(one)} steps")
    plt.rcParams["svg.hashsalt"] = "egsde"
    figure.savefig(options.out, metadata={"Date": None} if options.out.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
