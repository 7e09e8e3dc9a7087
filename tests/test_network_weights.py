"""Loading official weights: real key lists, prefixes, file formats, hashes and errors."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from egsde.networks import (
    ADMEncoder,
    ADMUNet,
    DDPMUNet,
    load_official,
    load_official_file,
    read_weights,
    sha256_of,
    start_from_imagenet,
)
from shared import shared_path
from test_networks import SMALL, fill, make

# Real configurations: AFHQ dog (cat2dog.yml), CelebA-HQ female (male2female.yml), the extractor.
REAL = {
    "adm": {
        "image_size": 256,
        "num_channels": 128,
        "num_res_blocks": 1,
        "learn_sigma": True,
        "class_cond": False,
        "attention_resolutions": "16",
        "num_heads": 4,
        "num_head_channels": 64,
        "use_scale_shift_norm": True,
        "resblock_updown": True,
        "dropout": 0.0,
        "use_fp16": False,
        "use_new_attention_order": False,
        "var_type": "fixedsmall",
    },
    "ddpm": {
        "image_size": 256,
        "ch": 128,
        "out_ch": 3,
        "in_channels": 3,
        "ch_mult": [1, 1, 2, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_resolutions": [16],
        "dropout": 0.0,
        "resamp_with_conv": True,
    },
    "dse": {
        "image_size": 256,
        "num_class": 2,
        "classifier_width": 128,
        "classifier_depth": 2,
        "classifier_attention_resolutions": "32,16,8",
        "classifier_use_scale_shift_norm": True,
        "classifier_resblock_updown": True,
        "classifier_pool": "attention",
    },
}


@pytest.mark.parametrize("kind", ["adm", "ddpm", "dse"])
def test_real_networks_have_the_official_keys(kind):
    keys = json.loads(shared_path(f"fixtures/keys_{kind}_256.json").read_text())
    state = {k: torch.zeros(1).expand(shape) for k, shape in keys.items()}
    net = load_official(kind, REAL[kind], state)
    assert {k: list(v.shape) for k, v in net.state_dict().items()} == keys
    assert list(net.state_dict()) == list(keys)
    with torch.device("meta"):
        nets = {
            "adm": ADMUNet(256, learn_sigma=True),
            "ddpm": DDPMUNet(256),
            "dse": ADMEncoder(256),
        }
    default = nets[kind]
    assert {k: list(v.shape) for k, v in default.state_dict().items()} == keys


def test_prefix_file_formats_and_hash(tmp_path):
    net = fill(make("ddpm"))
    config = {
        "image_size": 16,
        "ch": 32,
        "ch_mult": [1, 2],
        "num_res_blocks": 1,
        "attn_resolutions": [8],
    }
    state = {f"module.{k}": v for k, v in reversed(net.state_dict().items())}
    other = {k: v + 1 for k, v in state.items()}
    optimiser = {"state": {}, "param_groups": []}
    torch.save(state, tmp_path / "plain.pt")
    torch.save([other, optimiser, 1, 20, state], tmp_path / "training.pth")
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "net.safetensors")
    for name in ("plain.pt", "training.pth", "net.safetensors"):
        loaded = load_official_file("ddpm", config, tmp_path / name)
        assert not loaded.training
        assert sha256_of(loaded) == sha256_of(net) == sha256_of(tmp_path / name)
    torch.save({"epoch": 3}, tmp_path / "wrong.pt")
    with pytest.raises(ValueError, match="wrong.pt holds no state dict .* but .'epoch'"):
        read_weights(tmp_path / "wrong.pt")
    with pytest.raises(ValueError, match="net.bin; use .pt, .pth or .safetensors"):
        read_weights(tmp_path / "net.bin")
    with torch.no_grad():
        net.conv_in.bias[0] += 1e-6
    assert sha256_of(net) != sha256_of(loaded)


def test_load_errors_name_the_keys():
    config = {"image_size": 16, "num_channels": 32, "attention_resolutions": "8", **SMALL}
    state = make("adm").state_dict()
    state["extra.weight"] = state.pop("time_embed.2.bias")
    with pytest.raises(ValueError) as caught:
        load_official("adm", {**config, "learn_sigma": True}, state)
    text = str(caught.value)
    assert "missing keys: time_embed.2.bias" in text and "unexpected keys: extra.weight" in text
    assert "out.2.weight (network (6, 32, 3, 3), file (3, 32, 3, 3))" in text
    assert "drifted" in text
    with pytest.raises(ValueError, match=r"unknown kind 'unet' .* 'dse', 'palette'\]"):
        load_official("unet", config, state)
    with pytest.raises(ValueError, match="unknown options .'num_chanels'.*'num_channels'"):
        load_official("adm", {**config, "num_chanels": 32}, state)
    with pytest.raises(ValueError, match="pool='spatial'"):
        load_official("dse", {**config, "classifier_pool": "spatial"}, state)


def test_imagenet_classifier_starts_all_but_the_head():
    donor, net = fill(make("dse", num_classes=7)), make("dse", num_classes=3)
    head = {k: v.clone() for k, v in net.state_dict().items() if k.startswith("I2Iout.")}
    state = {k.replace("I2Iout.", "out."): v for k, v in donor.state_dict().items()}
    start_from_imagenet(net, state)
    for key, value in net.state_dict().items():
        assert torch.equal(value, head.get(key, state.get(key)))
    state.pop("middle_block.1.qkv.bias")
    with pytest.raises(ValueError, match="missing keys: middle_block.1.qkv.bias"):
        start_from_imagenet(net, state)
