"""Seconds and memory of one evaluation by network, size and batch.

    python benchmarks/networks.py --out runs/networks [--networks tiny folded_64 ddpm_256 adm_256] \
        [--sizes 32 64 128] [--batches 1 4] [--gradient]

Untrained networks: neither depends on the weights. On a CPU the seconds are those of the processor,
in medians of `--repeats` turns; memory is the peak of all tensors alive at once beside the weights.
--gradient: with the way back to the image, as an energy needs it. Leaves networks.csv.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from speed_clock import alternating, most_bytes

from egsde.programs.cli import CONF
from egsde.scores import ScoreModel
from egsde.sde import DDPM

MIB = 2**20
HEAD = ("network", "parameters in millions", "px", "batch", "ms an image", "MiB an image")


def score_of(network: str, size: int, device: torch.device) -> ScoreModel:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", [f"network={network}", f"data.size={size}"])
    torch.manual_seed(0)
    return ScoreModel(instantiate(cfg.network).to(device).eval().requires_grad_(False), DDPM())


def measured(score: ScoreModel, size: int, batch: int, repeats: int, gradient: bool) -> list[str]:
    device = next(score.parameters()).device
    x = torch.randn(batch, 3, size, size, device=device, requires_grad=gradient)
    t = torch.tensor(0.5, dtype=torch.float64)

    def once() -> None:
        with torch.set_grad_enabled(gradient):
            y = score(x, t)
            if gradient:
                torch.autograd.grad(y.square().sum(), x)

    taken = alternating({"once": once}, repeats, device)["once"]
    seconds = taken.wall if device.type == "cuda" else taken.cpu
    return [f"{1000 * seconds / batch:.1f}", f"{most_bytes(once, device) / MIB / batch:.1f}"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", default=["tiny", "folded_64"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--gradient", action="store_true")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "networks.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEAD)
        print("| " + " | ".join(HEAD) + " |\n" + "|---" * len(HEAD) + "|")
        for network in args.networks:
            for size in args.sizes:
                score = score_of(network, size, args.device)
                count = f"{sum(p.numel() for p in score.parameters()) / 1e6:.1f}"
                for batch in args.batches:
                    found = measured(score, size, batch, args.repeats, args.gradient)
                    row = [network, count, str(size), str(batch), *found]
                    table.writerow(row)
                    print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
