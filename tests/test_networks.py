"""Networks against the official code's recorded outputs, keys and gradients."""

from __future__ import annotations

import json

import pytest
import torch
from omegaconf import OmegaConf

from egsde.networks import (
    ADMEncoder,
    ADMUNet,
    DDPMUNet,
    load_official,
    read_weights,
)
from shared import shared_path

KINDS = {"adm_updown": "adm", "adm_plain": "adm", "ddpm_small": "ddpm", "dse_2class": "dse"}
SMALL = {"channel_mult": [1, 2], "num_head_channels": 32}


def recorded(name: str) -> tuple[dict, dict, dict]:
    """The config, the weights and the other tensors of a recording."""
    tensors = read_weights(shared_path(f"fixtures/{name}.safetensors"))
    config = json.loads(shared_path(f"fixtures/{name}.json").read_text())["config"]
    state = {k[len("state.") :]: v for k, v in tensors.items() if k.startswith("state.")}
    return config, state, {k: v for k, v in tensors.items() if not k.startswith("state.")}


def official(name: str):
    config, state, tensors = recorded(name)
    return load_official(KINDS[name], config, state), tensors


def close(got: torch.Tensor, wanted: torch.Tensor) -> None:
    """Within 1e-5 of the largest value: float32 rounding differs between instruction sets."""
    scale = max(1.0, wanted.abs().max().item())
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5 * scale)


def fill(net: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Random weights everywhere, also where a fresh network has zeros."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(noise * p[0].numel() ** -0.5 if p.dim() > 1 else 0.1 * noise + (p == 1))
    return net.eval()


@pytest.mark.parametrize("name", ["adm_updown", "adm_plain", "ddpm_small"])
def test_unet_equals_official(name):
    net, want = official(name)
    with torch.no_grad():
        close(net(want["x"], want["t"].float()), want["out"])


@pytest.mark.parametrize("name", ["adm_updown", "adm_plain"])
def test_gradient_of_frozen_unet_equals_official(name):
    net, want = official(name)
    x = want["x"].requires_grad_()
    out = net.requires_grad_(False)(x, want["t"].float())
    close(torch.autograd.grad(out.square().sum(), x)[0], want["grad_of_sum_sq"])


def test_classifier_and_its_features_equal_official():
    net, want = official("dse_2class")
    t, x = want["t"].float(), want["x"].requires_grad_()
    net.requires_grad_(False)
    close(net(x, t).detach(), want["logits"])
    features = net.features(x, t)
    close(features.detach(), want["features"])
    cosine = torch.cosine_similarity(features, net.features(want["x2"], t), dim=1).mean((1, 2))
    close(cosine.detach(), want["cosine_energy"])
    (grad,) = torch.autograd.grad(cosine.sum(), x)
    torch.testing.assert_close(grad, want["grad_cosine_wrt_x"], rtol=0, atol=1e-7)  # values < 1e-2


@pytest.fixture(autouse=True)
def same_draws():
    torch.manual_seed(0)


def make(kind: str, **options) -> torch.nn.Module:
    if kind == "dse":
        return ADMEncoder(
            16, width=32, depth=1, attention_resolutions=[8], in_channels=3, **SMALL, **options
        )
    if kind == "ddpm":
        return DDPMUNet(
            16, ch=32, ch_mult=[1, 2], num_res_blocks=1, attn_resolutions=[8], **options
        )
    return ADMUNet(16, num_channels=32, attention_resolutions=[8], **SMALL, **options)


@pytest.mark.parametrize("kind", ["adm", "ddpm", "dse"])
def test_frozen_network_differentiates_twice(kind):
    """Directional second derivative against a central difference of the gradient, in float64."""
    net = fill(make(kind)).double().requires_grad_(False)
    x, v = torch.randn(2, 1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator())
    t = torch.tensor([300.0])

    def gradient(x: torch.Tensor) -> torch.Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(net(x, t).square().sum(), x, create_graph=True)[0]

    _, product = torch.autograd.functional.vhp(lambda x: net(x, t).square().sum(), x, v)
    h = 1e-4
    difference = (gradient(x + h * v) - gradient(x - h * v)).detach() / (2 * h)
    torch.testing.assert_close(product, difference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["adm", "ddpm", "dse"])
def test_checkpointing_changes_no_gradient(kind):
    plain, saving = fill(make(kind)), fill(make(kind, checkpoint=True))
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([3.0, 700.0])
    inputs = x.clone().requires_grad_(), x.clone().requires_grad_()
    for net, x in zip((plain, saving), inputs, strict=True):
        net(x, t).square().sum().backward()
    assert torch.equal(inputs[0].grad, inputs[1].grad)
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize("kind", ["adm", "ddpm", "dse"])
def test_images_of_a_batch_are_independent(kind):
    net = fill(make(kind))
    x, t = torch.randn(3, 3, 16, 16), torch.tensor([3.0, 500.0, 998.0])
    with torch.no_grad():
        alone = torch.cat([net(x[i : i + 1], t[i : i + 1]) for i in range(3)])
        close(net(x, t), alone)
        close(net(x.contiguous(memory_format=torch.channels_last), t), alone)


@pytest.mark.parametrize("order", [False, True])
def test_attention_orders_are_permutations_of_each_other(order):
    """The two orders read the same qkv rows: (heads, 3, d) against (3, heads, d)."""
    one, other = (fill(make("adm", use_new_attention_order=new)) for new in (order, not order))
    state, heads = other.state_dict(), 2
    for key, value in one.state_dict().items():
        if ".qkv." in key:
            first, second = (3, heads) if order else (heads, 3)
            rows = value.reshape(first, second, -1, *value.shape[1:]).transpose(0, 1)
            state[key] = rows.reshape(value.shape)
    x, t = torch.randn(1, 3, 16, 16), torch.tensor([10.0])
    with torch.no_grad():
        before = other(x, t)
        other.load_state_dict(state)
        assert (one(x, t) - before).abs().max() > 1e-3
        close(other(x, t), one(x, t))


def test_fresh_unet_predicts_zero_and_trains():
    net = make("adm", learn_sigma=True, in_channels=6)
    x, t = torch.randn(2, 6, 16, 16), torch.tensor([1.0, 2.0])
    out = net(x, t)
    assert out.shape == (2, 6, 16, 16) and not out.any()
    (out - 1).square().sum().backward()
    assert net.out[2].weight.grad.abs().max() > 0


def test_labels_change_a_conditional_network_only():
    net = fill(make("adm", class_cond=True, num_class=4))
    x, t = torch.randn(1, 3, 16, 16).expand(2, -1, -1, -1), torch.tensor([5.0, 5.0])
    with torch.no_grad():
        same, differing = (net(x, t, torch.tensor(y)) for y in ([1, 1], [1, 2]))
    close(same[0], same[1])
    assert (differing[0] - differing[1]).abs().max() > 1e-3
    with pytest.raises(ValueError, match="label"):
        net(x, t)


def test_resolutions_and_multipliers_read_alike_from_text_lists_and_numbers():
    nets = [
        ADMUNet(
            32, num_channels=32, num_head_channels=32, channel_mult=mult, attention_resolutions=at
        )
        for mult, at in (("1,2", "16"), ([1, 2], [16]), (OmegaConf.create([1.0, 2.0]), 16))
    ]
    first, *rest = ({k: v.shape for k, v in net.state_dict().items()} for net in nets)
    assert "input_blocks.3.1.qkv.weight" in first and all(keys == first for keys in rest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 96}, "no default channel_mult for image_size=96"),
        ({"channel_mult": "1,2,2,2,2,2,2"}, "image_size=32 cannot be halved 6 times"),
        ({"num_channels": 48}, "48 channels cannot be split into 32 groups"),
        ({"channel_mult": [1], "num_head_channels": 24}, "=24 does not divide the 32 channels"),
        ({"channel_mult": [1], "attention_resolutions": 12}, "resolution 12 does not divide"),
        ({"channel_mult": [1], "num_head_channels": -1, "num_heads": 5}, "cannot have 5 heads"),
    ],
)
def test_impossible_sizes_are_named(options, message):
    defaults = {"image_size": 32, "num_channels": 32, "num_head_channels": 32}
    if "channel_mult" not in options and "image_size" not in options:
        defaults["channel_mult"] = [1, 2]
    with pytest.raises(ValueError, match=message):
        ADMUNet(**{**defaults, **options})


@pytest.mark.parametrize("kind", ["adm", "dse"])
def test_attention_that_no_feature_map_has_is_named(kind):
    options = {"width": 32} if kind == "dse" else {"num_channels": 32}
    make = ADMEncoder if kind == "dse" else ADMUNet
    with pytest.warns(UserWarning, match="no attention at 4: .* have the sides 16, 8"):
        make(16, **options, attention_resolutions="8,4", **SMALL)
    for side in (12, 32):  # between two maps, and above the image
        with pytest.raises(ValueError, match=f"resolution {side} does not divide image_size=16"):
            make(16, **options, attention_resolutions=f"8,{side}", **SMALL)
