"""Networks from official checkpoints: a config and a state dict in, a checked module out.

adm: guided-diffusion and ilvr_adm; ddpm: ermongroup/ddim; dse: the classifier of ML-GSAI/EGSDE;
palette: the UNet of Janspiry/Palette, also that of conditional models trained with its code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from egsde.networks.adm_encoder import ADMEncoder
from egsde.networks.adm_unet import ADMUNet
from egsde.networks.ddpm_unet import DDPMUNet
from egsde.networks.files import read_weights, without_prefix
from egsde.networks.sizes import numbers

Config = Mapping[str, Any]
State = Mapping[str, Tensor]

# Entries of official configs that say nothing about the network's shape or output.
SILENT = {
    "use_fp16",
    "use_checkpoint",
    "var_type",
    "type",
    "ema",
    "ema_rate",
    "num_diffusion_timesteps",
    "diffusion_steps",
    "noise_schedule",
    "timestep_respacing",
    "use_kl",
    "predict_xstart",
    "rescale_timesteps",
    "rescale_learned_sigmas",
    "phase",
}


def _make(net: Callable[..., nn.Module], config: Config) -> nn.Module:
    """net(**config) without the silent entries; ValueError names options that net does not have."""
    options = {k: v for k, v in config.items() if k not in SILENT}
    known = set(signature(net).parameters)
    if unknown := sorted(set(options) - known):
        raise ValueError(f"unknown options {unknown} of the network; it knows {sorted(known)}")
    if "image_size" not in options:
        raise ValueError("the config has no image_size; give the side of the training images")
    return net(**options)


def _renamed(config: Config, names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in config.items()}


def _adm(config: Config) -> nn.Module:
    """The options of `create_model`."""
    return _make(ADMUNet, _renamed(config, {"new_attention_order": "use_new_attention_order"}))


def _ddpm(config: Config) -> nn.Module:
    """The `model` and `data.image_size` entries of the official YAML files."""
    return _make(DDPMUNet, config)


def _dse(config: Config) -> nn.Module:
    """The options of `create_dse` (classifier_*), or those of the class it makes.

    The class (recognised by model_channels) takes attention_resolutions as downsampling factors.
    """
    options = _renamed(
        {key.removeprefix("classifier_"): value for key, value in config.items()},
        {
            "model_channels": "width",
            "num_res_blocks": "depth",
            "out_channels": "num_classes",
            "num_class": "num_classes",
            "new_attention_order": "use_new_attention_order",
        },
    )
    if "model_channels" in config and "attention_resolutions" in config:
        size = config["image_size"]
        factors = numbers(config["attention_resolutions"])
        options["attention_resolutions"] = [size // factor for factor in factors]
    return _make(ADMEncoder, options)


def _palette(config: Config) -> nn.Module:
    """Palette's UNet: ADM's under other names. attn_res are downsampling factors, not sides."""
    names = {
        "in_channel": "in_channels",
        "out_channel": "out_channels",
        "inner_channel": "num_channels",
        "channel_mults": "channel_mult",
        "res_blocks": "num_res_blocks",
        "attn_res": "attention_resolutions",
    }
    options = _renamed(config, names)
    size = options.get("image_size", 0)
    factors = numbers(options.get("attention_resolutions"))
    options["attention_resolutions"] = [size // factor for factor in factors]
    return _make(ADMUNet, options)


BUILDERS: Mapping[str, Callable[[Config], nn.Module]] = {
    "adm": _adm,
    "ddpm": _ddpm,
    "dse": _dse,
    "palette": _palette,
}
# Beginnings of names: theirs, ours. EGSDE calls the head of guided-diffusion's classifier I2Iout.
RENAMED = {"palette": {"cond_embed.": "time_embed."}, "dse": {"out.": "I2Iout."}}


def load_official(kind: str, config: Config, state_dict: State) -> nn.Module:
    """The network of that kind ("adm", "ddpm", "dse", "palette") with these weights, in eval mode.

    `config` has the official option names; a `module.` prefix of the keys is removed. Raises
    ValueError for an unknown kind or option, and with a list of all keys that do not fit.
    """
    if kind not in BUILDERS:
        raise ValueError(f"unknown kind {kind!r} of official network; use one of {list(BUILDERS)}")
    with torch.device("meta"):  # compares the shapes before any memory is taken
        net = BUILDERS[kind](config)
    state = without_prefix(state_dict)
    for theirs, ours in RENAMED.get(kind, {}).items():
        state = {_renamed_start(key, theirs, ours): value for key, value in state.items()}
    check_fit(net.state_dict(), state, f"the {kind!r} network that the config describes")
    net = net.to_empty(device="cpu")
    net.load_state_dict(state)
    return net.eval()


def _renamed_start(name: str, start: str, new: str) -> str:
    return new + name.removeprefix(start) if name.startswith(start) else name


def load_official_file(kind: str, config: Config, path: str | Path) -> nn.Module:
    """`load_official` with the weights in a .pt, .pth or .safetensors file."""
    return load_official(kind, config, read_weights(path))


def start_from_imagenet(net: ADMEncoder, state_dict: State) -> ADMEncoder:
    """Copy guided-diffusion's ImageNet classifier, all but its head `out.*`: EGSDE's recipe.

    `256x256_classifier.pt` fits ADMEncoder(256). ValueError lists the keys that do not fit.
    """
    trunk = {k: v for k, v in without_prefix(state_dict).items() if not k.startswith("out.")}
    own = {k: v for k, v in net.state_dict().items() if not k.startswith(net.own_head)}
    check_fit(own, trunk, "the 'dse' network that the config describes")
    net.load_state_dict(trunk, strict=False)
    return net


def widened(net: nn.Module, state_dict: State) -> dict[str, Tensor]:
    """The same weights where `net` sees a condition before the image: its channels count zero.

    Only the input layer may be wider than in `state_dict`, so that the network starts as the
    unconditional one; where anything else differs the weights come back as they are. What `net`
    adds for a second time is zero at first, and stays its own; a table of labels that the weights
    lack begins with zeros.
    """
    own = net.state_dict()
    state = {k: v for k, v in own.items() if k.startswith("end_time.")}
    state |= {k: torch.zeros_like(v) for k, v in own.items() if k.startswith("label_emb.")}
    state |= dict(state_dict)
    other = [k for k, v in state.items() if k in own and own[k].shape != v.shape]
    if len(other) == 1:
        value, shape = state[other[0]], own[other[0]].shape
        inputs, rest = shape[1], (value.shape[:1] + value.shape[2:], shape[:1] + shape[2:])
        if rest[0] == rest[1] and inputs > value.shape[1]:
            zeros = value.new_zeros(len(value), inputs - value.shape[1], *value.shape[2:])
            state[other[0]] = torch.cat([zeros, value], dim=1)
    return state


def check_fit(expected: State, got: State, network: str) -> None:
    """ValueError that lists what of a file's weights does not fit a network."""
    missing = sorted(set(expected) - set(got))
    unexpected = sorted(set(got) - set(expected))
    misshaped = [
        f"{key} (network {tuple(expected[key].shape)}, file {tuple(got[key].shape)})"
        for key in expected
        if key in got and expected[key].shape != got[key].shape
    ]
    if missing or unexpected or misshaped:
        raise ValueError(
            f"the weights do not fit {network}:\n"
            f"  missing keys: {_some(missing)}\n"
            f"  unexpected keys: {_some(unexpected)}\n"
            f"  misshaped keys: {_some(misshaped)}\n"
            "Most often the config has drifted from the one of training: compare image_size, "
            "channel multipliers, width, residual blocks, attention resolutions, learn_sigma, "
            "class_cond and resblock_updown; or the file is of another kind."
        )


def _some(names: Iterable[str], most: int = 20) -> str:
    names = [name[:200] for name in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def sha256_of(weights: nn.Module | str | Path) -> str:
    """SHA-256 over the sorted (name, dtype, shape, bytes) of a module or of a file's weights.

    A module and a file of its state dict have the same hash, whatever the order or file format.
    """
    state = read_weights(weights) if isinstance(weights, (str, Path)) else weights.state_dict()
    state = without_prefix(state)
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
