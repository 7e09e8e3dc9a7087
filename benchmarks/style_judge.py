"""A judge of the demonstration's styles that shares nothing with the networks here.

    python benchmarks/style_judge.py [--cache ROWS.pt] RUN ...

A logistic regression on means and deviations of five early and middle layers of Inception, which
tell how a picture is drawn more than what it shows (the statistics of Huang 2017, arXiv
1703.06868). It is fitted on the training pictures, its penalty chosen by the validation pictures'
likelihood. Printed: how many of the untouched test pictures of each style it knows, and the share
of each run's translations that it takes for 3D.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from demonstration import images
from PIL import Image
from tables import show
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from egsde.data.images import to_tensor
from egsde.evaluation.metrics.inception import Inception, find_inception

SPLITS = ("train", "val", "test")
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
LAYERS = ("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5c", "Mixed_6a", "Mixed_6c")
SIZE = 128  # of the network's input: 64 px twice enlarged


class Regression:
    """Logistic regression on standardised rows (n, d) with the penalty `l2` |w|^2."""

    def __init__(self, rows: Tensor, labels: Tensor, l2: float) -> None:
        self.mean, self.std = rows.mean(0), rows.std(0) + 1e-6
        self.w = torch.zeros(rows.shape[1] + 1, dtype=rows.dtype, requires_grad=True)
        steps = torch.optim.LBFGS([self.w], max_iter=300, line_search_fn="strong_wolfe")

        def cost() -> Tensor:
            steps.zero_grad()
            fit = binary_cross_entropy_with_logits(self(rows), labels)
            loss = fit + l2 * self.w[:-1].square().sum()
            loss.backward()
            return loss

        steps.step(cost)
        self.w.requires_grad_(False)

    def __call__(self, rows: Tensor) -> Tensor:
        """Log odds (n,) of label 1."""
        return (rows - self.mean) / self.std @ self.w[:-1] + self.w[-1]


def known(odds: Tensor, labels: Tensor) -> float:
    """The share whose sign of the log odds is right."""
    return float(((odds > 0) == (labels > 0)).double().mean())


@torch.no_grad()
def rows_of(network: Inception, x: Tensor) -> Tensor:
    """Means and deviations over each map of LAYERS, (n, 4160), of images in [-1, 1]."""

    def statistics(images: Tensor) -> Tensor:
        maps = interpolate(images.float(), (SIZE, SIZE), mode="bilinear") * 127.5 / 128
        maps, found = maps.contiguous(memory_format=torch.channels_last), []
        for name, layer in network.layers.named_children():
            maps = layer(maps)
            if name in LAYERS:
                found += [maps.mean((2, 3)), maps.std((2, 3))]
            if name == LAYERS[-1]:
                break
        return torch.cat(found, 1)

    return torch.cat([statistics(part) for part in x.split(32)]).double()


def labels_of(pictures: Tensor) -> Tensor:
    """0 for the first half, the drawings, 1 for the renderings."""
    return torch.arange(2).repeat_interleave(len(pictures) // 2).double()


def made(run: Path) -> Tensor:
    """The translations of a run of sample.py."""
    files = sorted((run / "images").iterdir())
    return torch.stack([to_tensor(np.asarray(Image.open(file).convert("RGB"))) for file in files])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, help="the pictures' rows, made where they are not")
    parser.add_argument("runs", nargs="*", type=Path)
    given = parser.parse_args()
    network = find_inception()
    if network is None:
        raise SystemExit("this judge needs the weights of Inception")
    if given.cache and given.cache.exists():
        rows = torch.load(given.cache, weights_only=True)
    else:
        rows = {s: rows_of(network, torch.cat(images(s, "cpu")[1:])) for s in SPLITS}
        if given.cache:
            torch.save(rows, given.cache)
    labels = {split: labels_of(found) for split, found in rows.items()}
    fits = {l2: Regression(rows["train"], labels["train"], l2) for l2 in PENALTIES}
    cost = {
        l2: float(binary_cross_entropy_with_logits(fit(rows["val"]), labels["val"]))
        for l2, fit in fits.items()
    }
    l2 = min(cost, key=cost.__getitem__)
    odds = {split: fits[l2](found) for split, found in rows.items()}
    print(f"penalty {l2:g}, chosen on the validation pictures")
    right = []
    for split, found in odds.items():
        half = len(found) // 2
        each = zip(("flat", "3d"), (found[:half], found[half:]), strict=True)
        shares = {style: known(part, torch.full_like(part, style == "3d")) for style, part in each}
        right.append({"split": split, **shares, "both": known(found, labels[split])})
    show(right, 4)
    taken = []
    for run in given.runs:
        solid = fits[l2](rows_of(network, made(run))) > 0
        taken.append({"run": run.name, "images": len(solid), "3d": float(solid.double().mean())})
    if taken:
        show(taken, 4)


if __name__ == "__main__":
    main()
