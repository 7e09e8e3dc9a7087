"""Both domains into each other by one cycle model (the thesis's figure 6: horses and zebras).

    python benchmarks/both_ways.py --out runs/both_ways --steps 400 --limit 8 \
        data=horse2zebra data.root=DIR data.size=32

Trains `model=cycle` for `--steps` (or takes `--weights`), translates held-out images of each domain
into the other and back, and leaves both_ways.png (source, translation, back, in both directions)
and both_ways.csv (L2 to the source, and of the way back to it). A run that is there is read.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from egsde.evaluation.reports import draw_grid
from egsde.methods import paired
from egsde.noise import Noise
from egsde.programs.callbacks.pictures import to_uint8
from egsde.programs.cli import CONF
from egsde.programs.train import train
from egsde.scores.files import load_cycle

QUICK = ("model=cycle", "logger=csv", "metrics=pairwise", "translate.images=8")


def settings(out: Path, steps: int, overrides: list[str]):
    """The configuration of the training."""
    given = [
        *QUICK,
        f"trainer.max_steps={steps}",
        f"trainer.val_check_interval={steps}",
        *overrides,
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", [*given, f"out={out.absolute()}"])


def l2(a: Tensor, b: Tensor) -> float:
    """Mean norm of the difference of images in [-1, 1], of values in [0, 1]."""
    return float(((a - b) / 2).flatten(1).norm(dim=1).mean())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--start", type=float, default=0.5, help="time of the noised source")
    parser.add_argument("--weights", type=Path, help="of model=cycle; without: trained here")
    args, overrides = parser.parse_known_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    run = args.out / "train"
    cfg = settings(run, args.steps, overrides)
    weights = args.weights or run / "weights.safetensors"
    if not weights.exists():
        train(cfg)
    data, sde, sampler = instantiate(cfg.data), instantiate(cfg.sde), instantiate(cfg.sampler)
    ways = {}
    for makes in ("y", "x"):
        score = load_cycle(str(weights), sde, makes=makes)
        ways[makes] = paired(score, sampler, t_start=args.start * sde.T)
    rows, table = {}, []
    for (name, other), (there, back) in zip(
        (data.names[:: len(data.names) - 1], data.names[:: 1 - len(data.names)]),
        (("y", "x"), ("x", "y")), strict=True,
    ):  # fmt: skip
        images = data.domain("source" if there == "y" else "target", "test")
        step = max(1, len(images) // args.limit)
        items = [images[i * step] for i in range(min(args.limit, len(images)))]
        x0, noise = torch.stack([i["image"] for i in items]), Noise(0, [i["id"] for i in items])
        made = ways[there](x0, noise)
        again = ways[back](made.clamp(-1, 1), noise.child("back"))
        for label, pictures in ((name, x0), (f"to {other}", made), ("and back", again)):
            rows[f"{label}{' ' if label in rows else ''}"] = list(to_uint8(pictures))
        table.append((name, other, len(items), f"{l2(made, x0):.3f}", f"{l2(again, x0):.3f}"))
    draw_grid(rows).save(args.out / "both_ways.png")
    with open(args.out / "both_ways.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "target", "images", "L2 to the source", "L2 there and back"])
        writer.writerows(table)


if __name__ == "__main__":
    main()
