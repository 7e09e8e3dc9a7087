"""Official networks with their recorded weights, and recorded runs as noises to replay."""

from __future__ import annotations

import json

import torch

from egsde.networks import load_official, read_weights
from egsde.noise import Replay
from shared import shared_path


def network(kind: str, name: str) -> torch.nn.Module:
    tensors = read_weights(shared_path(f"fixtures/{name}.safetensors"))
    config = json.loads(shared_path(f"fixtures/{name}.json").read_text())["config"]
    state = {k[len("state.") :]: v for k, v in tensors.items() if k.startswith("state.")}
    return load_official(kind, config, state).eval()


def recording(name: str) -> tuple[dict, Replay]:
    tensors = read_weights(shared_path(f"fixtures/{name}.safetensors"))
    noises = {f"0/step/{i}": [z] for i, z in enumerate(tensors["noise"])}
    return tensors, Replay({"0/start": [tensors["e"][0]], **noises})
