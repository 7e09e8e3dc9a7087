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
    with pytest.raises(ValueError, match="net.h5; use .pt, .pth, .bin or .safetensors"):
        read_weights(tmp_path / "net.h5")
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
        load_official("dse", {"image_size": 16, "classifier_pool": "spatial", **SMALL}, state)


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


@pytest.mark.parametrize("head", ["I2Iout.", "out."])
def test_adaptive_pooling_is_guided_diffusions(head):
    """EncoderUNetModel(pool="adaptive"): norm, SiLU, mean over pixels, a 1x1 convolution."""
    official = torch.nn.Sequential(
        torch.nn.GroupNorm(32, 64), torch.nn.SiLU(), torch.nn.AdaptiveAvgPool2d((1, 1)),
        torch.nn.Conv2d(64, 2, 1), torch.nn.Flatten(),
    )  # fmt: skip
    trunk = fill(make("dse")).state_dict()
    state = {k: v for k, v in trunk.items() if not k.startswith("I2Iout.")}
    state |= {f"{head}{k}": v for k, v in official.state_dict().items()}
    config = {"image_size": 16, "classifier_width": 32, "classifier_depth": 1,
              "classifier_attention_resolutions": "8", "classifier_pool": "adaptive",
              "channel_mult": SMALL["channel_mult"],
              "num_head_channels": SMALL["num_head_channels"]}  # fmt: skip
    net = load_official("dse", config, state)
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([3.0, 700.0])
    with torch.no_grad():
        assert torch.allclose(net(x, t), official(net.features(x, t)), atol=1e-6)
        assert net(x, t).std() > 0


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.", "module._orig_mod."])
@pytest.mark.parametrize("around", [(), ("state_dict",), ("ema",), ("epoch", "model")])
def test_what_trainers_put_around_weights_is_taken_off(prefix, around, tmp_path):
    net = make("adm")
    content = {prefix + k: v for k, v in net.state_dict().items()}
    if around:
        content = {around[-1]: content, "step": 3, "optimizer": {"lr": 0.1, "state": {}}}
    torch.save(content, tmp_path / "net.pt")
    assert read_weights(tmp_path / "net.pt").keys() == net.state_dict().keys()


def test_averaged_weights_come_before_raw_ones(tmp_path):
    raw, averaged = ({"a": torch.full((2,), v)} for v in (1.0, 2.0))
    for name in ("ema", "model_ema", "ema_state_dict", "params_ema"):
        torch.save({"model": raw, name: averaged}, tmp_path / "net.pt")
        assert torch.equal(read_weights(tmp_path / "net.pt")["a"], averaged["a"])


def test_palettes_published_layout_loads():
    """Network.denoise_fn of Janspiry/Palette, beside the schedule's buffers."""
    net = make("adm", in_channels=6)
    state = {f"denoise_fn.{k}".replace("time_embed.", "cond_embed."): v
             for k, v in net.state_dict().items()}  # fmt: skip
    state |= {"gammas": torch.rand(10), "posterior_mean_coef1": torch.rand(10)}
    config = {"image_size": 16, "in_channel": 6, "out_channel": 3, "inner_channel": 32,
              "channel_mults": [1, 2], "res_blocks": 1, "attn_res": [2],
              "num_head_channels": 32}  # fmt: skip
    loaded = load_official("palette", config, state)
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html><title>Google Drive", "is a web page, not weights"),
        (b"\n  <html lang=en>", "is a web page, not weights"),
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "pointer of Git LFS"),
        (b"PK\x03\x04 and no more", "cut short or damaged"),
        (b"nothing known", "cut short or damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_is_no_weights_file_is_called_what_it_is(content, words, suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        read_weights(path)
    assert str(path) in str(caught.value) and "weights_only" not in str(caught.value)


def test_a_truncated_file_is_named(tmp_path):
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"net{suffix}"
        state = {"a": torch.zeros(1000)}
        torch.save(state, path) if suffix == ".pt" else save_file(state, path)
        path.write_bytes(path.read_bytes()[:-700])
        with pytest.raises(ValueError, match=rf"net{suffix} is cut short or damaged"):
            read_weights(path)


def test_a_head_of_statistics_sees_every_map_and_no_place():
    """Logits stay where the places of a map are exchanged, and change with its contrast."""
    net = fill(ADMEncoder(16, 3, width=32, depth=1, channel_mult=(1, 2), num_head_channels=32,
                          attention_resolutions="8", pool="statistics")).eval()  # fmt: skip
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([3.0, 700.0])
    with torch.no_grad():
        maps = list(net.maps(x, t))
        assert len(maps) == len(net.input_blocks) + 1
        assert torch.equal(maps[-1], net.features(x, t))
        logits = net(x, t)
        moved = [m.flatten(2)[..., torch.randperm(m[0, 0].numel())].view_as(m) for m in maps]
        assert torch.allclose(net.I2Iout(moved), logits, atol=1e-5)
        for k in range(len(maps)):
            other = [m + (m - m.mean((2, 3), keepdim=True)) * (i == k) for i, m in enumerate(maps)]
            assert (net.I2Iout(other) - logits).abs().min() > 1e-4
