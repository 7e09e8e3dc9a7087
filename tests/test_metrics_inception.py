"""The Inception network, its input under each protocol, and the conversion of its weights."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from egsde.evaluation.metrics import (
    CleanFid,
    DoublyNormalised,
    Inception,
    PytorchFid,
    TorchFidelity,
    frechet,
    inception,
)
from egsde.evaluation.metrics import inception_weights as weights
from shared import shared_path


def recorded(name: str) -> tuple[dict[str, torch.Tensor], dict]:
    tensors = load_file(shared_path(f"fixtures/{name}.safetensors"))
    return tensors, json.loads(shared_path(f"fixtures/{name}.json").read_text())


@pytest.fixture(scope="module")
def recipe_network() -> Inception:
    """The network with the recorded recipe's weights in place of the trained ones."""
    keys = json.loads(shared_path("fixtures/fid_inception_keys.json").read_text())
    state = {}
    for name, shape in keys["keys"].items():
        state[name] = torch.ones(shape) if name.endswith("running_var") else torch.zeros(shape)
    for i, name in enumerate(keys["param_order"]):
        shape = keys["keys"][name]
        if len(shape) > 1:
            z = np.random.RandomState(555 + i).standard_normal(int(np.prod(shape))).reshape(shape)
            state[name] = torch.from_numpy(z * np.sqrt(2 / np.prod(shape[1:]))).float()
        elif name.endswith("weight"):
            state[name] = torch.ones(shape)
    return Inception(state)


@torch.inference_mode()
def test_inception_is_official(recipe_network: Inception) -> None:
    rows, numbers = recorded("metrics_fid")
    images = {k: rows[f"fid_{k}_u8"].permute(0, 3, 1, 2) for k in "ab"}
    layers = list(recipe_network.layers)
    got = {}
    for k, u8 in images.items():
        x = PytorchFid()(u8)
        for d, part in ((64, layers[:4]), (192, layers[4:7])):
            x = torch.nn.Sequential(*part)(x)
            got[k, d] = F.adaptive_avg_pool2d(x, 1).flatten(1).double()
            torch.testing.assert_close(got[k, d], rows[f"act_{k}_{d}"], rtol=1e-4, atol=1e-5)
    for d in (64, 192):
        assert frechet(got["a", d], got["b", d]) == pytest.approx(numbers[f"fid_{d}"], rel=1e-4)
    deep = recipe_network(PytorchFid()(images["a"][:2])).double()
    torch.testing.assert_close(deep, rows["act_a_2048"][:2], rtol=1e-3, atol=1e-3)
    strange = torch.nn.Sequential(*layers[:7])(DoublyNormalised()(images["a"]))
    strange = F.adaptive_avg_pool2d(strange, 1).flatten(1).double()
    want = rows["act_a_192_male2female_transform"]
    torch.testing.assert_close(strange, want, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_torch_fidelity_protocol_is_its_own_forward(recipe_network: Inception) -> None:
    images = torch.randint(0, 256, (1, 3, 64, 48), dtype=torch.uint8)
    twin = inception.FeatureExtractorInceptionV3.__new__(inception.FeatureExtractorInceptionV3)
    torch.nn.Module.__init__(twin)
    twin.features_list, twin.feature_extractor_internal_dtype = ["2048"], torch.float32
    for name, layer in recipe_network.layers.named_children():
        twin.add_module(name, layer)
    want = twin(images)[0]
    torch.testing.assert_close(recipe_network(TorchFidelity()(images)), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [64, 299, 512])
def test_clean_resize_is_pillows(size: int) -> None:
    image = torch.randint(0, 256, (3, size, size), dtype=torch.uint8)
    planes = [Image.fromarray(c.float().numpy(), mode="F") for c in image]
    want = np.stack([np.asarray(c.resize((299, 299), Image.BICUBIC)).clip(0, 255) for c in planes])
    np.testing.assert_allclose((CleanFid()(image[None])[0] * 128 + 128).numpy(), want, atol=5e-3)


def test_script_weights_convert(recipe_network: Inception, tmp_path: Path) -> None:
    """The package's TorchScript names and order, rebuilt from a known network."""
    official = recipe_network.layers.state_dict()
    names = [n.removesuffix(".conv.weight") for n in official if n.endswith("conv.weight")]
    assert names == list(weights._layer_names())
    parts = {"conv.weight": "weight", "bn.bias": "beta"}
    parts |= {"bn.running_mean": "mean", "bn.running_var": "var"}
    script = {
        f"l.{i}.{b}": official[f"{n}.{a}"] for i, n in enumerate(names) for a, b in parts.items()
    }
    converted = weights.from_script(script)
    assert Inception(converted).fingerprint == recipe_network.fingerprint
    torch.save(converted, tmp_path / "weights.pth")
    read = weights.read(tmp_path / "weights.pth")
    assert all(torch.equal(read[k], v) for k, v in converted.items())
    with pytest.raises(ValueError, match="94 layers, got 1"):
        weights.from_script({k: v for k, v in script.items() if k.startswith("l.0.")})


@pytest.mark.slow
def test_real_network_where_it_is_at_hand() -> None:
    file = weights.locate(download=False)
    if file is None:
        pytest.skip("no Inception weights on this machine")
    network = Inception(weights.read(file))
    assert network.fingerprint.startswith("c9ce7f36d5ee9536")
    x = torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(0)) * 2 - 1
    if file.suffix == ".pt":
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore", DeprecationWarning)
            want = torch.jit.load(str(file))(x)
        torch.testing.assert_close(network(x), want, rtol=1e-5, atol=2e-5)
