"""What `egsde export` can write: graphs, each with its description."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from omegaconf import DictConfig
from torch import nn

from egsde.codecs import load_codec
from egsde.methods.diffusion import Translator, networks_of
from egsde.programs import latents
from egsde.programs.alone import ALONE, DRAWN, WHOLE
from egsde.programs.apart import apart
from egsde.programs.build import Parts
from egsde.programs.graphs import GRAPHS, DecoderGraph, EncoderGraph, TranslatorGraph
from egsde.programs.load import load
from egsde.programs.multiples import multiple_of
from egsde.programs.sample import overrides
from egsde.scores import blueprints
from egsde.scores.container import PACKAGE, find, read_config
from egsde.scores.files import load_conditional, load_extractor, load_score
from egsde.scores.record import domains_of, paths_of

OPENERS: Mapping[str, Any] = {  # kind of a weights file: what makes a part of it
    "score": load_score,
    "labelled": load_score,
    "conditional": load_conditional,
    "classifier": load_extractor,
}
OWN = ("weights=", "format=", "use=", "licence=", "out=", "hydra/", "hydra.")  # of this program
DEMO = "Apache-2.0; pictures: Fluent Emoji (MIT)"


def exportable(cfg: DictConfig) -> list[tuple[nn.Module, dict[str, Any]]]:
    """`cfg.weights`, an autoencoder in two halves, or else the configured translator.

    ValueError for weights that are no whole thing.
    """
    if cfg.weights is None:
        return [_translator(latents.translator_of(Parts(cfg)), cfg.data)]
    kind = read_config(path := find(cfg.weights, "weights"))["kind"]
    own = (*OWN, "allow=", *(["score.label="] if kind == "labelled" else []))
    idle = [word for word in overrides() if not word.startswith(own)]
    if idle and kind in (*OPENERS, "autoencoder"):
        rank_zero_warn(f"{' and '.join(idle)}: no effect, {path} is exported by itself")
    if kind in OPENERS:
        return [_network(cfg, path)]
    if kind in ALONE:
        return [_translator(*_alone(cfg, path, kind))]
    if kind == "autoencoder":
        return _codec(cfg, path)
    raise ValueError(
        f"{path} holds a part of kind {kind}; alone, {', '.join({**OPENERS, **ALONE})} and "
        "autoencoder can be exported. Give a whole translator in its place: translator=... and no "
        "weights="
    )


def _alone(cfg: DictConfig, path: Path, kind: str) -> tuple[Translator, Mapping[str, Any]]:
    """What translates with a file by itself, and its data."""
    asked = [word for word in overrides() if not word.startswith(OWN)]
    steps = [] if kind in WHOLE or kind == "student" else ["sampler=ddim"]
    with apart():
        whole = load(path, *steps, *asked, allow=cfg.allow)
    return whole.translator, whole.config["data"]


def _codec(cfg: DictConfig, path: Path) -> list[tuple[nn.Module, dict[str, Any]]]:
    """Both halves of an autoencoder: images to latents, and back."""
    record, codec = read_config(path), load_codec(path, cfg.use, cfg.allow)
    data = record.get("data") or {}
    size, channels = data.get("size") or codec.factor, int(data.get("channels") or 3)
    about = {
        "size": list(size) if isinstance(size, (list, tuple)) else [size, size],
        "channels": channels,
        "latent": {"factor": codec.factor, "scale": codec.scale, "mark": codec.mark},
        "domains": paths_of(record),
        "range": data.get("range"),
        "T": 1.0,
        "licence": "not stated",
    }
    halves = {"encoder": EncoderGraph(codec).eval(), "decoder": DecoderGraph(codec).eval()}
    return [
        (graph, about | {"kind": kind} | _named(graph, codec.factor))
        for kind, graph in halves.items()
    ]


def _network(cfg: DictConfig, path: Path) -> tuple[nn.Module, dict[str, Any]]:
    record = read_config(path)
    kind = record["kind"]
    sde = blueprints.part(record["sde"], "sde", cfg.allow)
    told = {"label": cfg.score.get("label")} if kind == "labelled" else {}
    model: Any = OPENERS[kind](str(path), sde, use=cfg.use, allow=cfg.allow, **told)
    graph = GRAPHS[type(model)](model).eval()
    data, network = record.get("data") or {}, record.get("network") or {}
    latent = {} if "space" in record else data  # a codec's latents are of other sides and channels
    size = latent.get("size") or network.get("image_size") or 1
    channels = latent.get("channels") or network.get("out_channels") or network.get("in_channels")
    levels = sde.levels or 1000
    times = torch.arange(levels + 1, dtype=torch.float64) / levels * sde.T
    about = {
        "kind": "score" if kind == "labelled" else kind,
        "size": list(size) if isinstance(size, (list, tuple)) else [size, size],
        "channels": int(channels or network.get("channels") or 3),
        "domains": paths_of(record),
        **({"makes": domains_of(record)[model.net.record["label"]]} if told else {}),
        "range": data.get("range"),
        "sde": record["sde"],
        "prediction": record.get("prediction"),
        "T": sde.T,
        "levels": sde.levels,
        "times": times.tolist(),
        "alpha": sde.alpha(times).tolist(),
        "sigma": sde.sigma(times).tolist(),
        "licence": DEMO if PACKAGE in path.parents else "not stated",
    }
    return graph, about | _named(graph, multiple_of(model))


def _translator(
    translator: Translator, data: Mapping[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    """ValueError for networks of a method whose noise is part of it."""
    networks = networks_of(translator)
    graph = TranslatorGraph(translator).eval()
    size = data["size"]
    modules: list[Any] = [m for n in networks.values() for m in n.modules()]
    records = [m.record for m in modules if hasattr(m, "record")]
    steps = getattr(translator, "steps", 1)  # 0: a first guess alone, without noise
    if steps and (drawn := sorted({str(record.get("kind")) for record in records} & DRAWN)):
        raise ValueError(
            f"weights of kind {drawn[0]} draw noise at every step, and a graph draws none; without "
            "it, translations would follow another law. What can be written: its first guess "
            "(sampler=at_once), flow_matching, rectified_flow, or a student"
        )
    files = [Path(str(record["file"])) for record in records]
    ours = bool(files) and all(PACKAGE in path.parents for path in files)
    saved: Mapping[str, Any] = (records[0].get("data") or {}) if records else {}
    about = {
        "kind": "translator",
        "size": [size, size] if isinstance(size, int) else list(size),
        "channels": int(saved.get("channels") or 3),
        "domains": [saved.get(key) or data[key] for key in ("source", "target")],
        "range": saved.get("range"),
        "steps": steps,
        "T": 1.0,
        "licence": DEMO if ours else "not stated",
    }
    return graph, about | _named(graph, multiple_of(translator))


def _named(graph: Any, multiple: int) -> dict[str, Any]:
    return {
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "multiple": multiple,
        "pixels": "image = 2 (pixel - range[0]) / (range[1] - range[0]) - 1, (B, C, H, W)",
    }
