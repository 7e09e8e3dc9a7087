"""A panel of judges of the demonstration, one of which shares nothing with the networks here.

    python benchmarks/panel.py --judges FILE ... [--cache FEATURES.pt] RUN ...

Its log odds of 3D are the mean of the judges' and `weight` times those of a logistic regression on
Inception's 2048 pooled features, fitted on the training pictures; the regression's penalty and the
weight are chosen on the validation pictures. Printed: how many of the untouched pictures of each
style each knows, and the share of each run's translations that the panel takes for 3D.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import torch
from demonstration import images
from PIL import Image
from tables import show
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from egsde.data.images import to_tensor
from egsde.evaluation.metrics.inception import find_inception
from egsde.scores import Extractor
from egsde.scores.files import load_extractor
from egsde.sde import DDPM, linear_betas

PENALTIES, WEIGHTS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0), (0.25, 0.5, 1.0, 2.0)
SPLITS = ("train", "val", "test")


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
def rows_of(x: Tensor) -> Tensor:
    """Inception's features (n, 2048) of images in [-1, 1]."""
    network = find_inception()
    if network is None:
        raise SystemExit("a panel needs the weights of Inception")
    large = (interpolate(b.float(), (299, 299), mode="bilinear") for b in x.split(32))
    return torch.cat([network(b * 127.5 / 128) for b in large]).double()


@torch.no_grad()
def odds_of(judge: Extractor, x: Tensor) -> Tensor:
    """A judge's log odds (n,) of 3D for images in [-1, 1]."""
    t = torch.tensor(judge.sde.t_noisy, dtype=torch.float64)
    logits = torch.cat([judge(b.float(), t) for b in x.split(64)]).double()
    return logits[:, judge.target] - logits[:, 1 - judge.target]


def made(run: Path) -> Tensor:
    """The translations of a run of sample.py."""
    return torch.stack(
        [to_tensor(np.asarray(Image.open(f))) for f in sorted((run / "images").iterdir())]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judges", nargs="+", required=True)
    parser.add_argument("--cache", type=Path, default=Path("features.pt"))
    parser.add_argument("runs", nargs="*", type=Path)
    given = parser.parse_args()
    stacks, labels = {}, {}
    for split in SPLITS:
        _, flat, solid = images(split, "cpu")
        stacks[split] = torch.cat([flat, solid])
        labels[split] = torch.tensor([0.0] * len(flat) + [1.0] * len(solid), dtype=torch.float64)
    if given.cache.exists():
        rows = torch.load(given.cache, weights_only=True)
    else:
        rows = {split: rows_of(stacks[split]) for split in SPLITS}
        torch.save(rows, given.cache)
    judges = {f: load_extractor(f, DDPM(linear_betas()), target="3d") for f in given.judges}
    odds = {s: {f: odds_of(j, stacks[s]) for f, j in judges.items()} for s in SPLITS[1:]}
    mean = {s: torch.stack(list(odds[s].values())).mean(0) for s in SPLITS[1:]}
    fits = {l2: Regression(rows["train"], labels["train"], l2) for l2 in PENALTIES}
    l2, weight = max(
        product(PENALTIES, WEIGHTS),
        key=lambda p: known(mean["val"] + p[1] * fits[p[0]](rows["val"]), labels["val"]),
    )
    probe = fits[l2]
    for split, found in odds.items():
        found["judges"], found["inception"] = mean[split], probe(rows[split])
        found["panel"] = mean[split] + weight * found["inception"]
    print(f"penalty {l2:g} and weight {weight:g}, chosen on the validation pictures")
    right = []
    for name, found in odds["test"].items():
        of = {style: labels["test"] == k for k, style in enumerate(("flat", "3d"))}
        each = {style: known(found[mine], labels["test"][mine]) for style, mine in of.items()}
        right.append({"judge": name, **each, "both": known(found, labels["test"])})
    show(right, 4)
    taken = []
    for run in given.runs:
        x = made(run)
        mine = torch.stack([odds_of(judge, x) for judge in judges.values()]).mean(0)
        panel = mine + weight * probe(rows_of(x))
        taken.append({"run": run.name, "images": len(x), "3d": float((panel > 0).double().mean())})
    if taken:
        show(taken, 4)


if __name__ == "__main__":
    main()
