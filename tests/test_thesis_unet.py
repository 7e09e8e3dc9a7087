"""The UNet of the conditional SDE models (Palette's) under its own names, against its numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from egsde.networks import load_official
from egsde.networks.official import BUILDERS
from egsde.scores.conditional import ConditionalScore
from egsde.sde import VP
from runs import composed
from shared import shared_path


def test_names_shapes_and_size(tmp_path):
    recorded = json.loads(shared_path("oracles/thesis_unet_shapes.json").read_text())
    state = {name: torch.empty(shape) for name, shape in recorded["shapes"].items()}
    net = load_official("palette", recorded["config"], state)
    assert sum(p.numel() for p in net.parameters()) == recorded["n_params"] == 62_641_347
    blocks = [m for m in net.modules() if type(m).__name__ == "AttentionBlock"]
    assert len(blocks) == recorded["n_attention_blocks"] == 1
    overrides = ("model=conditional", "network=palette_64", "data.size=64")
    with torch.device("meta"):
        ours = instantiate(composed("train", tmp_path, *overrides).network)
    shapes = {name: value.shape for name, value in ours.state_dict().items()}
    assert shapes == {name: value.shape for name, value in net.state_dict().items()}


@pytest.fixture(scope="module")
def recorded():
    return np.load(shared_path("oracles/thesis_unet_forward.npz"))


@pytest.fixture(scope="module")
def net(recorded):
    """Weights by the recorded rule: flat element j of parameter i is 0.05 sin(0.37 j + i)."""
    config = json.loads(str(recorded["config"]))
    names = [str(name) for name in recorded["param_order"]]
    assert str(recorded["rule"]).endswith("0.05*sin(0.37*j+i)")
    ours = BUILDERS["palette"](config).state_dict()
    shapes = [ours[name.replace("cond_embed.", "time_embed.")].shape for name in names]
    state = {}
    for i, name in enumerate(names):
        j = np.arange(shapes[i].numel())
        values = (0.05 * np.sin(0.37 * j + i)).astype(np.float32)
        state[name] = torch.from_numpy(values).reshape(shapes[i])
    return load_official("palette", config, state)


def test_outputs(net, recorded):
    x, t = (torch.from_numpy(recorded[key]) for key in ("x", "t"))
    with torch.no_grad():
        y = net(x, t)
    assert np.abs(y.numpy() - recorded["y"]).max() < 1e-5


def test_the_score_of_the_continuous_process(net, recorded):
    """Time label 999 t, condition first, score = -net / sigma."""
    x = torch.from_numpy(recorded["x"])
    condition, y = x.chunk(2, dim=1)
    sde, t = VP(), torch.tensor(0.3, dtype=torch.float64)
    score = ConditionalScore(net, sde).given(condition)
    with torch.no_grad():
        expected = -net(x, torch.full((2,), 299.7)) / float(sde.sigma(t))
        assert torch.allclose(score(y, t), expected, atol=1e-5)
