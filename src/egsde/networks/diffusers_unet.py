"""Folders of diffusers' UNet2DModel: config.json and weights, to a network and back.

The layout of the DDPM networks (google/ddpm-celebahq-256 and alike) is our DDPMUNet under other
names. Whatever else the class can be is opened by diffusers itself, an extra of egsde.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from egsde.networks.ddpm_unet import DDPMUNet
from egsde.networks.described import described
from egsde.networks.folders import read_json, read_tensors, there

LARGEST = 10**5  # of a number in a config
WEIGHTS = "diffusion_pytorch_model.safetensors"  # that are written
# What UNet2DModel is without an entry in its config, where our network takes every value ...
FREE: dict[str, Any] = {
    "sample_size": None,
    "in_channels": 3,
    "out_channels": 3,
    "freq_shift": 0,
    "flip_sin_to_cos": True,
    "down_block_types": ["DownBlock2D", *["AttnDownBlock2D"] * 3],
    "up_block_types": [*["AttnUpBlock2D"] * 3, "UpBlock2D"],
    "block_out_channels": [224, 448, 672, 896],
    "layers_per_block": 2,
    "downsample_padding": 1,
    "dropout": 0.0,
    "attention_head_dim": 8,
    "norm_eps": 1e-5,
}
# ... and where it has this one alone.
FIXED: dict[str, Any] = {
    "center_input_sample": False,
    "time_embedding_type": "positional",
    "time_embedding_dim": None,
    "mid_block_type": "UNetMidBlock2D",
    "mid_block_scale_factor": 1,
    "downsample_type": "conv",
    "upsample_type": "conv",
    "act_fn": "silu",
    "norm_num_groups": 32,
    "attn_norm_num_groups": None,
    "resnet_time_scale_shift": "default",
    "add_attention": True,
    "class_embed_type": None,
    "num_class_embeds": None,
}
SILENT = {"num_train_timesteps"}
ATTENTION = {"DownBlock2D": False, "AttnDownBlock2D": True}
UP = {"DownBlock2D": "UpBlock2D", "AttnDownBlock2D": "AttnUpBlock2D"}
# Names inside a block: theirs, ours.
INSIDE = (
    ("time_emb_proj", "temb_proj"),
    ("conv_shortcut", "nin_shortcut"),
    ("group_norm", "norm"),
    ("to_q", "q"),
    ("to_k", "k"),
    ("to_v", "v"),
    ("to_out.0", "proj_out"),
)
OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}  # before 0.15


def unet_folder(path: Path) -> Path | None:
    """Where a UNet's config.json lies: in a pipeline's `unet`, or in the folder itself."""
    folders = (path / "unet", path)
    return next((folder for folder in folders if there(folder / "config.json")), None)


class DiffusersUNet(nn.Module):
    """A model of diffusers (x, t, label) -> .sample as one of our networks."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        self.in_channels = net.config["in_channels"]

    @property
    def label_emb(self) -> nn.Module | None:
        """The table of classes, None where the network is told none."""
        return getattr(self.net, "class_embedding", None)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """x (B, C, H, W), t (B,) in 0..999 -> (B, C', H, W)."""
        more = {} if label is None else {"class_labels": label}
        return self.net(x, t, return_dict=False, **more)[0]


def read_unet(path: Path) -> nn.Module:
    """The UNet2DModel of a folder, frozen; ValueError names the file and what is wrong with it."""
    folder = unet_folder(path)
    if folder is None:
        raise ValueError(
            f"{path} is no folder of diffusers: neither unet/config.json nor config.json is there; "
            "give the folder that save_pretrained wrote"
        )
    file = folder / "config.json"
    config = read_json(file)
    if (name := config.get("_class_name", "UNet2DModel")) != "UNet2DModel":
        raise ValueError(f"{file} is of a {name}, and score=diffusers takes a UNet2DModel")
    _check(file, config)
    given = read_tensors(folder)
    key = _other(config)
    try:
        net = described(
            lambda: _foreign(config, key) if key else DDPMUNet(**_options(config)),
            lambda net: given if key else _ours(given, net.state_dict()),
            len(given),
            "the network that config.json describes",
        )
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    return DiffusersUNet(net).eval() if key else net


def _check(file: Path, config: Mapping[str, Any]) -> None:
    """ValueError unless a config holds plain, sensible values under known names."""
    names = {k for k in config if not k.startswith("_")}
    if unknown := sorted(names - {*FREE, *FIXED, *SILENT}):
        raise ValueError(f"{file} has the unknown setting {', '.join(unknown)}")
    check_numbers(file, config)
    for key, usual in FREE.items():
        if key in config and not _alike(config[key], usual, key):
            raise ValueError(
                f"{file}: {key}={config[key]!r:.80} is none of its kind; {usual} is usual"
            )


def check_numbers(file: Path, config: Mapping[str, Any]) -> None:
    """ValueError for a number that no network has."""
    for key, value in config.items():
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, (int, float)) and not abs(number) <= LARGEST:
                raise ValueError(f"{file}: {key}={value!s:.80} is out of range")


def _alike(value: Any, usual: Any, key: str) -> bool:
    """Whether a value is of the kind of the usual one; a number that counts is 1 or more."""
    if key == "sample_size" or (key == "attention_head_dim" and value is None):
        sides = value if isinstance(value, list) and value else [value]
        return value is None or all(_alike(side, 1, "") for side in sides)
    if isinstance(usual, list):
        return (
            isinstance(value, list) and bool(value) and all(_alike(v, usual[0], "") for v in value)
        )
    if isinstance(usual, (bool, str)):
        return isinstance(value, type(usual))
    least = 0 if key in ("freq_shift", "dropout", "downsample_padding", "norm_eps") else 1
    whole = isinstance(usual, int) and key != "freq_shift"
    right = isinstance(value, int) or (isinstance(value, float) and not whole)
    return right and not isinstance(value, bool) and value >= least


def _other(config: Mapping[str, Any]) -> str:
    """The first setting that DDPMUNet does not have; "" where it has all."""
    down = config.get("down_block_types", FREE["down_block_types"])
    up = config.get("up_block_types", FREE["up_block_types"])
    if any(kind not in ATTENTION for kind in down):
        return "down_block_types"
    if list(up) != [UP[kind] for kind in reversed(down)]:
        return "up_block_types"
    return next((k for k, v in FIXED.items() if config.get(k, v) != v), "")


def _foreign(config: Mapping[str, Any], key: str) -> nn.Module:
    try:
        from diffusers import UNet2DModel
    except ImportError as error:
        raise ValueError(
            f"{key}={config.get(key)} is not of the DDPM layout; diffusers itself can open it: "
            "pip install 'egsde[diffusers]'"
        ) from error
    return UNet2DModel.from_config(dict(config))


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of DDPMUNet."""
    c = {**FREE, **config}
    size, widths = c["sample_size"], c["block_out_channels"]
    side = max(size) if isinstance(size, list) else size
    if not isinstance(side, int):
        raise ValueError(f"sample_size={size} is no side of images; write it in")
    levels = [level for level, kind in enumerate(c["down_block_types"]) if ATTENTION[kind]]
    if len(widths) != len(c["down_block_types"]):
        raise ValueError(f"block_out_channels={widths} is not one for each block type")
    return {
        "image_size": side,
        "in_channels": c["in_channels"],
        "out_ch": c["out_channels"],
        "ch": widths[0],
        "ch_mult": [width / widths[0] for width in widths],
        "num_res_blocks": c["layers_per_block"],
        "attn_resolutions": [side // 2**level for level in levels],
        "dropout": c["dropout"],
        "cos_first": c["flip_sin_to_cos"],
        "freq_shift": c["freq_shift"],
        "pad_around": c["downsample_padding"] == 1,
        "head_channels": c["attention_head_dim"],
        "eps": c["norm_eps"],
    }


def theirs(name: str, levels: int) -> str:
    """The name in UNet2DModel of a tensor of a DDPMUNet of so many levels."""
    plain = {"temb.dense.0": "time_embedding.linear_1", "temb.dense.1": "time_embedding.linear_2"}
    plain |= {"norm_out": "conv_norm_out"}
    name = next((new + name.removeprefix(old) for old, new in plain.items()
                 if name.startswith(f"{old}.")), name)  # fmt: skip
    name = re.sub(r"^mid\.block_([12])", lambda m: f"mid_block.resnets.{int(m[1]) - 1}", name)
    name = re.sub(r"^mid\.attn_1", "mid_block.attentions.0", name)
    name = re.sub(r"^down\.(\d+)\.", r"down_blocks.\1.", name)
    name = re.sub(r"^up\.(\d+)\.", lambda m: f"up_blocks.{levels - 1 - int(m[1])}.", name)
    name = re.sub(r"(?<=\d\.)block\.(\d)", r"resnets.\1", name)
    name = re.sub(r"(?<=\d\.)attn\.(\d)", r"attentions.\1", name)
    name = name.replace(".downsample.", ".downsamplers.0.").replace(".upsample.", ".upsamplers.0.")
    if ".resnets." in name or ".attentions." in name:
        head, tail = re.match(r"(.*\.(?:resnets|attentions)\.\d+\.)(.*)", name).groups()  # type: ignore[union-attr]
        for other, ours in INSIDE:
            if tail.startswith(f"{ours}.") and (ours != "norm" or ".attentions." in head):
                return head + other + tail.removeprefix(ours)
    return name


def modern(name: str) -> str:
    """The attention's names before diffusers 0.15 in today's."""
    return re.sub(
        r"(attentions\.\d+\.)(query|key|value|proj_attn)\.", lambda m: f"{m[1]}{OLD[m[2]]}.", name
    )


def _ours(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors under our names; attention's matrices become 1 x 1 convolutions.

    What is missing or left over stays under a name that the comparison then lists.
    """
    levels = 1 + max(int(name.split(".")[1]) for name in own if name.startswith("down."))
    left = {modern(name): value for name, value in given.items()}
    state: dict[str, Tensor] = {}
    for name, value in own.items():
        if (found := left.pop(theirs(name, levels), None)) is not None:
            flat = found.ndim == 2 and value.ndim == 4
            state[name] = found[:, :, None, None] if flat else found
    return {**state, **left}


def their_state(net: DDPMUNet) -> dict[str, Tensor]:
    """The tensors of a DDPMUNet as a UNet2DModel has them."""
    return {
        theirs(name, len(net.down)): (
            value[:, :, 0, 0] if ".attn" in name and value.ndim == 4 else value
        ).cpu().contiguous()
        for name, value in net.state_dict().items()
    }  # fmt: skip


def their_config(net: DDPMUNet) -> dict[str, Any]:
    """The UNet2DModel config of a network; ValueError for halvings without a convolution."""
    down: Any = net.down
    first = down[0].block[0]
    attends = [len(level.attn) > 0 for level in down]
    halving = next((level.downsample for level in down if level.downsample is not None), None)
    if halving is not None and halving.conv is None:
        raise ValueError("diffusers has no halving by means; train with resamp_with_conv=true")
    return {
        "_class_name": "UNet2DModel",
        **FIXED,
        "sample_size": net.image_size,
        "in_channels": net.in_channels,
        "out_channels": net.out_channels,
        "freq_shift": net.temb.shift,
        "flip_sin_to_cos": net.temb.cos_first,
        "down_block_types": ["AttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        "up_block_types": ["AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)],
        "block_out_channels": [level.block[0].conv2.out_channels for level in down],
        "layers_per_block": len(down[0].block),
        "downsample_padding": int(halving is not None and sum(halving.pad) == 4),
        "dropout": first.dropout.p,
        "attention_head_dim": net.head_channels,
        "norm_eps": first.norm1.eps,
    }
