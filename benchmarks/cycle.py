"""The unpaired cycle model on points of the plane, as published and mended, at equal time.

    python benchmarks/cycle.py --out DIR [--seconds 90] [--seeds 0 1 2]

The target is the source's moons, turned and moved; the truth of a point is the point turned and
moved, which no model sees. As published: Euler-Maruyama in ten steps, gradients through all four
samplers. Mended: ten steps of DPM-Solver++ whose gradients are left out, partners that are kept,
the first ones by DDIB with a score of each domain, whose training is part of the time;
`independent` is the mended one without them. A CSV, a table and a picture; `domain` is the share
whose nearest training point of both domains is a target's, distances are roots of mean squares.
"""

from __future__ import annotations

import argparse
import csv
import logging
import math
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from egsde.data.toy import moons
from egsde.methods import ddib, paired
from egsde.networks import MLP
from egsde.noise import Noise
from egsde.sampling.grids import LogSNR, Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import ScoreModel
from egsde.scores.conditional import ConditionalScore
from egsde.sde import VP
from egsde.solvers import DDIM, DPMSolverPP, EulerMaruyama
from egsde.training.in_loop import Full
from egsde.training.in_loop.memory import LiveBytes
from egsde.training.modules import (
    Constant,
    Coupling,
    CycleModule,
    InLoop,
    KeptPartners,
    ScoreModule,
)

COUNT, BATCH, ANGLE, SHIFT = 1024, 256, math.radians(20), (0.5, 0.25)
SDE = VP()
FEW = Sampler(DPMSolverPP(order=2), LogSNR(10), denoise=False)
COARSE = Sampler(EulerMaruyama(), Uniform(10), denoise=False)
DIRECT = Sampler(DDIM(), LogSNR(20), denoise=False)


def truth(points: Tensor) -> Tensor:
    """The points turned by ANGLE and moved by SHIFT."""
    c, s = math.cos(ANGLE), math.sin(ANGLE)
    turned = torch.einsum("ij,bjhw->bihw", torch.tensor([[c, -s], [s, c]]), points)
    return turned + torch.tensor(SHIFT)[:, None, None]


class Points:
    """Unpaired training points of both domains, and held-out ones of the source."""

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.x, other, self.held_out = (
            torch.from_numpy(moons(generator, COUNT)).float()[:, :, None, None] for _ in range(3)
        )
        self.y = truth(other)
        self.ids = [str(i) for i in range(COUNT)]

    def unpaired(self) -> DataLoader:
        """Batches of both domains, the second in an order of its own."""

        def collate(rows: list[int]) -> dict:
            others = torch.randperm(COUNT)[: len(rows)].tolist()
            ids, ids_y = [self.ids[i] for i in rows], [self.ids[i] for i in others]
            return {"x": self.x[rows], "y": self.y[others], "id": ids, "id_y": ids_y}

        return DataLoader(range(COUNT), batch_size=BATCH, shuffle=True, collate_fn=collate)  # type: ignore[arg-type]

    def domain(self, name: str) -> DataLoader:
        """Batches of one domain."""
        images = getattr(self, name)
        return DataLoader([{"image": image} for image in images], batch_size=BATCH, shuffle=True)


def adam(parameters) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=2e-3)


def fit(module: ScoreModule | CycleModule, loader: DataLoader, seconds: float) -> None:
    """Train for so long."""
    from lightning.pytorch import Trainer  # once egsde is there: it mends torchvision

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = Trainer(
        max_time=timedelta(seconds=seconds), max_steps=10**9, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader)


def network() -> ConditionalScore:
    return ConditionalScore(MLP(2, in_channels=4, width=64), SDE)


def published(points: Points, seconds: float) -> CycleModule:
    in_loop = InLoop(COARSE, Full())
    module = CycleModule(
        network(), network(), in_loop, adam, Constant(50), ema_decay=0.99,
        self_training=1.0, cycle=10.0, reconstruct=in_loop, teacher=False,
    )  # fmt: skip
    fit(module, points.unpaired(), seconds)
    return module


def mended(points: Points, seconds: float, coupled: bool = True) -> CycleModule:
    coupling = None
    if coupled:
        scores = {}
        for name in "xy":
            score = ScoreModule(ScoreModel(MLP(2, width=64), SDE), adam, Constant(50), 0.99)
            fit(score, points.domain(name), seconds / 4)
            scores[name] = score.averaged
        start = {
            "x": ddib(scores["x"], DIRECT, scores["y"]),
            "y": ddib(scores["y"], DIRECT, scores["x"]),
        }
        coupling, seconds = Coupling(start), seconds / 2
    partners = KeptPartners(InLoop(FEW), every=200, coupling=coupling)
    module = CycleModule(
        network(), network(), partners, adam, Constant(50), ema_decay=0.99, teacher=True
    )
    fit(module, points.unpaired(), seconds)
    return module


METHODS: dict[str, Callable[[Points, float], CycleModule]] = {
    "published": published,
    "independent": lambda points, seconds: mended(points, seconds, coupled=False),
    "mended": mended,
}


def measure(made: Tensor, points: Points) -> dict[str, float]:
    """domain, and the root mean square of the distances to the truth and to the source."""
    everything = torch.cat([points.x, points.y]).flatten(1)
    nearest = torch.cdist(made.flatten(1), everything).argmin(1)

    def distance(other: Tensor) -> float:
        return (made - other).square().sum(1).mean().sqrt().item()

    return {
        "domain": (nearest >= COUNT).float().mean().item(),
        "to_truth": distance(truth(points.held_out)),
        "to_source": distance(points.held_out),
    }


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    args = parser.parse_args(given)
    args.out.mkdir(parents=True, exist_ok=True)
    rows, drawn = [], {}
    for seed in args.seeds:
        points = Points(seed)
        found = {"copy": points.held_out, "truth": truth(points.held_out)}
        used = {"copy": (0.0, 0), "truth": (0.0, 0)}
        for name, train in METHODS.items():
            torch.manual_seed(seed)
            began = time.process_time()
            module = train(points, args.seconds)
            used[name] = (time.process_time() - began, peak(module, points))
            translate = paired(module.averaged, FEW, clip=False)
            found[name] = translate(points.held_out, Noise(seed, points.ids))
        for name, made in found.items():
            seconds, mib = used[name]
            rows.append({"method": name, "seed": seed, "seconds": seconds, "mib": mib,
                         **measure(made, points)})  # fmt: skip
            print(rows[-1], flush=True)
        drawn = drawn or found
    with (args.out / "cycle.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    plot(args.out / "cycle.png", drawn)
    print_table(rows)


def peak(module: CycleModule, points: Points) -> float:
    """MiB at once in one more training step, its partners made in it or found."""
    module.log = lambda *given, **more: None  # type: ignore[method-assign]
    batch = next(iter(points.unpaired()))
    with LiveBytes() as live:
        module.training_step(batch, 0).backward()
    return live.peak / 2**20


def plot(path: Path, found: dict[str, Tensor]) -> None:
    """Each point's translation, in the colour of where it comes from."""
    figure, axes = plt.subplots(
        1, len(found), figsize=(3 * len(found), 3), sharex=True, sharey=True
    )
    source = found["copy"].flatten(1)
    colours = torch.atan2(source[:, 1], source[:, 0])
    for ax, (name, made) in zip(axes, found.items(), strict=True):
        ax.scatter(*made.flatten(1).T, c=colours, cmap="twilight", s=3)
        ax.set(title=name, aspect="equal", xlim=(-1.5, 2), ylim=(-1.2, 1.5))
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def print_table(rows: list[dict]) -> None:
    """Means over the seeds, as Markdown."""
    shown = ["domain", "to_truth", "to_source", "seconds", "mib"]
    print("| method | " + " | ".join(shown) + " |\n" + "|---" * (len(shown) + 1) + "|")
    for name in dict.fromkeys(row["method"] for row in rows):
        cells = [statistics.fmean(r[k] for r in rows if r["method"] == name) for k in shown]
        print(f"| {name} | " + " | ".join(f"{cell:.3g}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
