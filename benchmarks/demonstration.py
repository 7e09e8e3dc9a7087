"""Every method on the demonstration with many settings: distance to the truth, nearer, domain.

    python benchmarks/demonstration.py --weights src/egsde/demo --split val --out DIR [--only cycle]

One row a setting in DIR/SPLIT.csv, made once; with --part 2/8 every eighth setting from the second,
for as many processes as a GPU feeds. FID and KID are benchmarks/translation.py's.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from egsde.data import Fluent
from egsde.data.images import to_tensor
from egsde.energies import DomainCosine, LowPassL2
from egsde.linear import LowPass, cubic
from egsde.methods import cycle_diffusion, ddib, egsde, egsde_fast, ilvr, sddm, sdedit
from egsde.noise import Noise
from egsde.sampling import Sampler
from egsde.sampling.grids import Uniform
from egsde.scores.files import load_extractor, load_score
from egsde.sde import DDPM, linear_betas
from egsde.solvers import DDIM, Ancestral

Make = Callable[[], Any]


def settings(target: Any, source: Any, guide: Any) -> dict[str, Make]:
    """Translators by name: method, start, and what else was set."""
    realism = DomainCosine(guide)
    ancestral = Sampler(Ancestral(), Uniform(100), denoise=True)
    guided = [(100, 0.5, 8), (300, 1, 4), (300, 4, 4), (600, 4, 4), (1000, 4, 4), (1000, 8, 4)]
    made: dict[str, Make] = {}
    for t in (0.2, 0.3, 0.4, 0.5):
        made[f"sdedit t={t}"] = lambda t=t: sdedit(target, ancestral, t_start=t)
        for r, f, k in guided:
            energy = r * realism + f * LowPassL2(k)
            name = f"t={t} realism={r} faithfulness={f} factor={k}"
            made[f"egsde {name}"] = lambda t=t, e=energy: egsde(target, ancestral, e, t)
            made[f"egsde_fast {name}"] = lambda t=t, e=energy: egsde_fast(target, e, t, steps=40)
    for eta, t in product((0.1, 0.5, 1.0), (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)):
        ddim = Sampler(DDIM(eta), Uniform(40), denoise=True)
        for r, f in ((0, 0), (100, 0), (200, 0), (300, 0), (400, 1), (500, 2), (800, 4)):
            energy = r * realism + f * LowPassL2(4) if r else None
            made[f"cycle t={t} eta={eta} realism={r} faithfulness={f}"] = (
                lambda t=t, s=ddim, e=(energy): cycle_diffusion(target, s, source, e, t, refine=0)
            )
    for k in (2, 4, 8):
        made[f"ilvr factor={k}"] = lambda k=k: ilvr(target, ancestral, LowPass(k, cubic))
    ode = Sampler(DDIM(0.0), Uniform(50), denoise=True)
    for t in (None, 0.5, 0.3):
        made[f"ddib t={t or 1}"] = lambda t=t: ddib(target, ode, source, t)
    for t, r in product((0.2, 0.3, 0.4), (600, 1000)):
        energy, few = r * realism + 4 * LowPassL2(4), Sampler(DDIM(0.0), Uniform(40), denoise=True)
        made[f"ddib t={t} realism={r} faithfulness=4"] = lambda t=t, s=few, e=energy: ddib(
            target, s, source, e, t
        )
    terms = {"realism": realism, "faithfulness": LowPassL2(8)}
    made["sddm"] = lambda: sddm(target, ancestral, terms, blocks=4)
    return made


def images(split: str, device: str) -> tuple[list[str], Tensor, Tensor]:
    """Ids, drawings and renderings, (B, 3, 64, 64) in [-1, 1]."""
    both = [Fluent().images(style, split, 64) for style in ("flat", "3d")]
    stacks = [torch.stack([to_tensor(s.array(i)) for i in range(len(s.ids))]) for s in both]
    return both[0].ids, stacks[0].to(device), stacks[1].to(device)


@torch.no_grad()
def measured(y: Tensor, x: Tensor, truth: Tensor, judge: Any) -> dict[str, float]:
    """What README's table shows of translations y, and of the untouched sources x."""
    t = torch.tensor(judge.sde.t_noisy, dtype=torch.float64)

    def apart(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).flatten(1).norm(dim=1)

    made, left = apart(y, truth) / 2, apart(x, truth) / 2
    features = [judge.features(images, t) for images in (y, x, truth)]
    domain = [(judge(images, t).argmax(1) == 1).float().mean().item() for images in (y, x, truth)]
    return {
        "l2_truth": made.mean().item(),
        "l2_truth_source": left.mean().item(),
        "nearer": (made < left).float().mean().item(),
        "l2": (apart(y, x) / 2).mean().item(),
        "features_truth": apart(features[0], features[2]).mean().item(),
        "features_truth_source": apart(features[1], features[2]).mean().item(),
        **dict(zip(("domain", "domain_source", "domain_truth"), domain, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("src/egsde/demo"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="settings whose name has this")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--limit", type=int, help="images")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sde = DDPM(linear_betas())
    target, source = (
        load_score(args.weights / "flat_and_3d.safetensors", sde, autocast=True, label=name).to(
            device
        )
        for name in ("3d", "flat")
    )
    guide, judge = (
        load_extractor(args.weights / f"{name}.safetensors", sde, autocast=fast).to(device)
        for name, fast in (("flat_or_3d", True), ("judge", False))
    )
    ids, x, truth = images(args.split, device)
    ids, x, truth = ids[: args.limit], x[: args.limit], truth[: args.limit]
    part, parts = map(int, args.part.split("/"))
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{args.split}-{part}.csv"
    known = {row["setting"] for row in csv.DictReader(path.open())} if path.exists() else set()
    every = {n: m for n, m in settings(target, source, guide).items() if args.only in n}
    for name in list(every)[part - 1 :: parts]:
        if name in known:
            continue
        before, began = target.calls + source.calls, time.perf_counter()
        y = every[name]()(x, Noise(0, ids)).clamp(-1, 1)
        row = {
            "setting": name,
            "evaluations": target.calls + source.calls - before,
            "seconds": time.perf_counter() - began,
            **measured(y, x, truth, judge),
        }
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)


if __name__ == "__main__":
    main()
