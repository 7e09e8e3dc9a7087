"""`egsde export`: a network, or a whole deterministic translator, as one file for other programs.

What was written is read back and compared with PyTorch on other inputs, batches and sizes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from omegaconf import DictConfig
from torch import Tensor

import egsde
from egsde.noise import Noise
from egsde.programs.exportable import exportable
from egsde.programs.formats import FORMATS, Format
from egsde.programs.graphs import LATENT
from egsde.programs.line import one_of
from egsde.programs.lock import held
from egsde.programs.records import claim
from egsde.programs.run import prepare
from egsde.scores.container import find
from egsde.scores.diffusers import save_pipeline
from egsde.scores.files import load_score

TOLERANCE = 1e-4  # of the largest value


def export(cfg: DictConfig) -> None:
    """Write `cfg.weights`, or else the configured translator, in `cfg.format`.

    Weights of a kind that translates by itself, a student or a CycleGAN, are a whole translator.
    ValueError for a translator that draws noise on its way, and where the file computes anything
    else than PyTorch.
    """
    out, _ = prepare(cfg, "export")
    one_of("format", str(cfg.format), [*FORMATS, "diffusers"])
    with held(out):
        claim(out, "export.py")
        if cfg.format == "diffusers":
            print(f"{_pipeline(cfg, out)}: DDPMPipeline.from_pretrained samples it")
            return
        for graph, about in exportable(cfg):
            about |= {"egsde": egsde.__version__, "licence": cfg.licence or about["licence"]}
            path, dynamic, worst = written(graph, FORMATS[cfg.format], out, about)
            free = "batch, height and width" if dynamic else "batch"
            print(f"{path}: {free} free; {worst:.1e} from PyTorch, relative to the largest value")


def _pipeline(cfg: DictConfig, out: Path) -> Path:
    path = find(cfg.weights, "weights")
    score: Any = load_score(path, use=cfg.use, allow=cfg.allow)
    save_pipeline(score, out)
    return out


def written(graph: Any, form: Format, out: Path, about: dict[str, Any]) -> tuple[Path, bool, float]:
    """The file, whether height and width are free in it, and how far it is from PyTorch.
    ValueError where it cannot be written, or differs by more than TOLERANCE."""
    path, step = out / f"{about['kind']}{form.suffix}", about["multiple"]
    side = max(about["size"][0], 2 * step), max(about["size"][1], 2 * step)
    reasons: list[str] = []
    for dynamic in (True, False):
        height, width = (side[0], side[1] + step) if dynamic else about["size"]
        inputs = example(graph, about, 2, height, width)
        # What varies has to differ in the checks; a fixed side is what the networks were made for.
        others = [(3, height, width), *([(1, height + 2 * step, width)] if dynamic else [])]
        described = about | {"free": ["batch", *(["height", "width"] if dynamic else [])]}
        try:
            form.write(graph, inputs, sides(graph, step, dynamic), path, texts(described))
            run = form.read(path)
            worst = max(difference(graph, run, example(graph, about, *shape)) for shape in others)
            if not worst <= TOLERANCE:
                raise RuntimeError(f"the file is {worst:.1e} from PyTorch")
        except Exception as error:  # whatever an exporter says to a network that fixes its size
            if isinstance(error, ValueError) and not dynamic:
                raise
            reasons.append(" ".join(str(error).split())[:300])
            path.unlink(missing_ok=True)
            continue
        if reasons:
            rank_zero_warn(f"the size is fixed at {height} x {width}: {reasons[0]}")
        return path, dynamic, worst
    raise ValueError(f"{about['kind']} cannot be written as {form.suffix}: {reasons[-1]}")


def sides(graph: Any, step: int, dynamic: bool) -> dict[str, dict[int, Any]]:
    """torch.export's dynamic shapes: the batch, and sides that `step` divides."""
    batch = torch.export.Dim("batch")
    most = max(3, 8192 // step)
    height, width = (torch.export.Dim(name, min=2, max=most) for name in ("height", "width"))

    def free(name: str) -> dict[int, Any]:
        if name == "t" or not dynamic:
            return {0: batch}
        of = step // getattr(graph, "factor", 1) if name in LATENT else step
        return {0: batch, 2: of * height, 3: of * width}

    return {name: free(name) for name in graph.inputs}


def example(graph: Any, about: Mapping[str, Any], batch: int, h: int, w: int) -> tuple[Tensor, ...]:
    """Inputs of the graph: noisy images, and times of the process."""
    levels = about.get("levels") or 1000
    apart = levels * torch.arange(1, batch + 1) // (batch + 1)  # of times, on the process's levels
    noise = Noise(0, [f"{h}x{w}/{b}" for b in range(batch)])
    like = torch.zeros(batch, about["channels"], h, w)

    def drawn(name: str) -> Tensor:
        if name == "t":
            return (apart / levels * about["T"]).float()
        return noise.stream(name)(graph.noise_of(like) if name in LATENT else like)

    return tuple(map(drawn, graph.inputs))


def difference(graph: Any, run: Any, inputs: Sequence[Tensor]) -> float:
    """The largest difference of any output, relative to the output's largest value (at least 1)."""
    with torch.no_grad():
        found = graph(*inputs)
    found = found if isinstance(found, tuple) else (found,)
    values = run([x.numpy() for x in inputs])
    pairs = zip(found, values, strict=True)
    return max(
        float(np.abs(ours.numpy() - theirs).max() / max(1.0, float(ours.abs().max())))
        for ours, theirs in pairs
    )


def texts(about: Mapping[str, Any]) -> dict[str, str]:
    """Everything as texts: what is no text becomes JSON."""
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in about.items()}
