"""Codecs with a network: ours of `train.py model=autoencoder`, and diffusers' AutoencoderKL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from egsde.networks import sha256_of
from egsde.networks.described import described
from egsde.networks.diffusers_unet import check_numbers, modern
from egsde.networks.files import read_weights as read_checkpoint
from egsde.networks.folders import read_json, read_tensors
from egsde.scores import blueprints
from egsde.scores.blueprints import Allow
from egsde.scores.container import about, find, is_ours, read_config, read_shapes, read_weights
from egsde.scores.diffusers import diffusers_folder
from egsde.scores.kinds import OPTIONS

# How a published autoencoder is named.
OTHERS = (
    "a published AutoencoderKL is codec=diffusers codec.weights=DIR (what save_pretrained wrote, "
    "or a pipeline), and a single checkpoint of one codec=diffusers codec.weights=FILE "
    "codec.config=DIR, with the folder of its config.json"
)


@dataclass(frozen=True, eq=False)
class Learned:
    """scale (mean of q(z | x) - shift): deterministic, of a standard deviation of about 1."""

    net: Any
    factor: int
    scale: float = 1.0
    shift: float = 0.0

    @property
    def mark(self) -> str:
        return f"{sha256_of(self.net)[:16]}-{self.scale:.6g}"

    def encode(self, x: Tensor) -> Tensor:
        return (self._on(x).moments(x)[0] - self.shift) * self.scale

    def decode(self, z: Tensor) -> Tensor:
        return self._on(z).decode(z / self.scale + self.shift)

    def _on(self, x: Tensor) -> Any:
        there = next(self.net.parameters()).device  # in a graph nothing is moved
        return self.net if there == x.device else self.net.to(x.device)


def load_codec(weights: str | Path | None, use: str = "averaged", allow: Allow = ()) -> Learned:
    """The codec in a file of `train.py model=autoencoder`, KL or VQ; ValueError for another."""
    if weights is not None and Path(weights).expanduser().is_dir():
        raise ValueError(f"codec.weights={weights} is a folder; {OTHERS}")
    path = find(weights, "codec.weights")
    if not is_ours(path):
        raise ValueError(f"{path} was not written by train.py model=autoencoder; {OTHERS}")
    config = read_config(path)
    if config["kind"] != "autoencoder":
        other = OPTIONS.get(config["kind"], "another option")
        raise ValueError(
            f"{path} holds a {config['kind']}, which goes with {other}, and a codec is an "
            "autoencoder: python train.py model=autoencoder"
        )
    with about(path):
        net = blueprints.network(config["network"], read_shapes(path, use, ""), allow)
    if not all(hasattr(net, part) for part in ("moments", "decode", "factor", "scale")):
        raise ValueError(f"{path} holds a {type(net).__name__}, and a codec is an autoencoder")
    net.load_state_dict(read_weights(path, use))
    net = net.eval().requires_grad_(False)
    return Learned(net, net.factor, float(net.scale))


class DiffusersAutoencoder(nn.Module):
    """diffusers' AutoencoderKL under our names."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        law = self.net.encode(x).latent_dist
        return law.mean, law.logvar

    def decode(self, z: Tensor) -> Tensor:
        return self.net.decode(z).sample


def load_diffusers_codec(weights: str | Path | None, config: str | Path | None = None) -> Learned:
    """The AutoencoderKL of a folder, alone or in a pipeline's `vae`; its scaling_factor is used.

    weights may be a single checkpoint, ours or CompVis' names, with the folder of its config.json
    as `config`. ValueError where diffusers is absent or what is given is something else.
    """
    single = weights is not None and Path(weights).expanduser().is_file()
    if single and config is None:
        raise ValueError(
            f"{weights} is one file, which does not say its settings: add codec.config=DIR, the "
            "folder of its config.json (of an AutoencoderKL); an autoencoder of train.py is "
            "codec=kl or codec=vq"
        )
    folder = diffusers_folder(config if single else weights, "codec.weights")
    folder = folder / "vae" if (folder / "vae" / "config.json").is_file() else folder
    file = folder / "config.json"
    settings = read_json(file)
    if (name := settings.get("_class_name")) != "AutoencoderKL":
        raise ValueError(f"{folder} is of a {name}, and codec=diffusers takes an AutoencoderKL")
    check_numbers(file, settings)
    scale, shift = (
        usual if (value := settings.get(key)) is None else value
        for key, usual in (("scaling_factor", 1.0), ("shift_factor", 0.0))
    )
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (scale, shift))
    if not numbers or scale <= 0:
        raise ValueError(
            f"{file}: scaling_factor={scale!r:.40} and shift_factor={shift!r:.40}, but a number "
            "above 0 and a number are wanted"
        )
    try:
        from diffusers import AutoencoderKL
    except ImportError as error:
        raise ValueError("codec=diffusers needs pip install 'egsde[diffusers]'") from error
    try:
        given = _tensors(Path(str(weights)).expanduser() if single else folder, settings)
        made = described(
            lambda: AutoencoderKL.from_config(settings), given, len(given),
            "the AutoencoderKL that config.json describes",
        )  # fmt: skip
    except Exception as error:  # whatever the class says to what lies there
        where = weights if single else file
        raise ValueError(f"{where}: diffusers cannot open it: {error}") from error
    net = DiffusersAutoencoder(made).eval().requires_grad_(False)
    factor = 2 ** (len(settings.get("block_out_channels", [0])) - 1)
    return Learned(net, factor, scale, shift)


def _tensors(place: Path, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """Of a folder or of one file, under the names of diffusers."""
    if place.is_dir():
        given = read_tensors(place)
    else:
        given = read_checkpoint(place)
        if not any(name.startswith("encoder.down_blocks.") for name in given):  # of CompVis
            from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

            given = convert_ldm_vae_checkpoint(given, settings)
    return {modern(name): value for name, value in given.items()}
