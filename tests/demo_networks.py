"""Small random networks in the files that sample.py reads, for tests of everything but quality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate

from egsde.scores.container import save_weights

SDE = {"_target_": "egsde.sde.DDPM", "betas": {"_target_": "egsde.sde.linear_betas"}}
SCORE = {
    "_target_": "egsde.networks.ADMUNet",
    "image_size": 16,
    "num_channels": 32,
    "channel_mult": [1],
    "num_res_blocks": 1,
    "attention_resolutions": [],
    "num_head_channels": 32,
}
CLASSIFIER = {
    "_target_": "egsde.networks.ADMEncoder",
    "image_size": 16,
    "num_classes": 2,
    "width": 32,
    "depth": 1,
    "channel_mult": [1, 1],
    "attention_resolutions": [],
    "num_head_channels": 32,
}


def _save(path: Path, kind: str, network: dict[str, Any], seed: int) -> Path:
    torch.manual_seed(seed)
    module = instantiate(network)
    for parameter in module.parameters():  # zero-initialised layers too, so that outputs matter
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    prediction = {"_target_": "egsde.scores.predictions.EpsPrediction"} if kind == "score" else None
    config = {"kind": kind, "network": network, "sde": SDE, "prediction": prediction}
    save_weights(path, {"averaged": module}, config)
    return path


def write_networks(folder: Path) -> list[str]:
    """Score and classifier for 16 px in `folder`; returns the overrides that choose them."""
    score = _save(folder / "score.safetensors", "score", SCORE, seed=1)
    classifier = _save(folder / "classifier.safetensors", "classifier", CLASSIFIER, seed=2)
    return [
        f"score.weights={score}",
        f"extractor.weights={classifier}",
        "data.size=16",
        "sampler.grid.steps=10",
        "translator.t_start=0.5",
        "factor=2",
        "metrics=pairwise",
        "trainer.accelerator=cpu",
        "logger=none",
        "trajectory=0",
    ]
