"""`egsde.load`: a translator from the demo, a run, weights files or a published network's card.

The configuration is the command line's: what `python sample.py OVERRIDES` would build.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict
from PIL import Image
from torch import Tensor

from egsde.data.alike import Picture, of_one
from egsde.data.asked import one_size
from egsde.data.bound import series_in, translated
from egsde.data.fits import Size
from egsde.data.images import decode, to_tensor
from egsde.methods.diffusion import Translator, networks_of
from egsde.networks.diffusers_unet import read_json, unet_folder
from egsde.noise import Noise
from egsde.opened import picture_bytes
from egsde.programs.alone import ALONE, WHOLE, domains
from egsde.programs.callbacks.fitting import fitting
from egsde.programs.callbacks.pictures import to_uint8
from egsde.programs.cards import CARDS
from egsde.programs.line import demonstrated, quoted
from egsde.programs.multiples import padded
from egsde.programs.records import read_record
from egsde.programs.remade import check_remade
from egsde.programs.sample import build_translator
from egsde.programs.settings import CONF
from egsde.programs.taken import image_of, naming, path_of, pixels_of
from egsde.programs.trusted import with_allow
from egsde.scores import blueprints
from egsde.scores.blueprints import Allow
from egsde.scores.container import about, find, read_config


@dataclass(frozen=True)
class PictureTranslator:
    """A translator that takes pictures as they come, and the size that its networks are made for.

    seed: with the picture's name it keys the noise, so the same picture gives the same result
    here, on the command line, alone and in a batch.
    """

    translator: Translator
    size: Size
    config: dict[str, Any]
    seed: int = 0

    @fitting()
    def translate(self, picture: str | Path | Image.Image | Tensor, *names: str) -> Any:
        """The translation of a file, a PIL image or a tensor; a PIL image for a file, else the
        kind that was given.

        Files and PIL images are cut to a centred square of `size`. A tensor (C, H, W) or
        (B, C, H, W) is taken as it is: uint8, or floats in [-1, 1]. names: the pictures' names,
        which key the noise; by default a file's name, else "0", "1", ... A file that is no
        picture of 8 bits and three channels, and any with data.restore or data.fit=keep, gives a
        `Picture`: its numbers, and `save`. A volume or clip (a TIFF of pages, a stack in .npy,
        NIfTI, a DICOM folder, GIF, MP4) gives a `Bound`, the same container again.
        """
        if isinstance(picture, Tensor):
            return self._tensor(picture, names)
        if isinstance(picture, Image.Image):
            return self._picture(picture, names)
        path = path_of(picture)
        with naming(path):
            return self._file(path, names or (path.name,))

    def _file(self, path: Path, names: Sequence[str]) -> Any:
        data = self.config.get("data", {})
        if (series := series_in(path, self.size, data, self._ends())) is not None:
            run = padded(self.translator)
            return translated(
                series, lambda x, noise: run(x.to(self.device), noise).cpu(), data, self.seed
            )
        if (alike := of_one(path, self.size, data, self._ends())) is not None:
            x = to_tensor(alike.images.array(0))
            y = padded(self.translator)(x[None].to(self.device), Noise(self.seed, list(names)))
            return Picture(alike.made(path.name, y[0]))
        return self._picture(decode(picture_bytes(path)), names)

    def _picture(self, image: Image.Image, names: Sequence[str]) -> Image.Image:
        channels = self.config.get("data", {}).get("channels", 3)
        return image_of(self._tensor(pixels_of(image, self.size, channels, self._ends()), names))

    def to(self, device: str | torch.device) -> PictureTranslator:
        """The same on another device; the networks move."""
        for network in networks_of(self.translator).values():
            network.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        parameters = (p for n in networks_of(self.translator).values() for p in n.parameters())
        return next((p.device for p in parameters), torch.device("cpu"))

    def _ends(self) -> Any:
        """The range that the networks were trained on; None where none is recorded."""
        networks = [m for n in networks_of(self.translator).values() for m in n.modules()]
        saved = ((getattr(m, "record", None) or {}).get("data") or {} for m in networks)
        return next((s["range"] for s in saved if s.get("range")), None)

    def _tensor(self, x: Tensor, names: Sequence[str]) -> Tensor:
        whole = x if x.is_floating_point() else x.to(torch.float32).div(127.5).sub(1.0)
        batch = whole if x.ndim == 4 else whole[None]  # (B, C, H, W)
        channels = self.config.get("data", {}).get("channels", 3)
        if batch.ndim != 4 or batch.shape[1] != channels:
            raise ValueError(
                f"an image is a tensor ({channels}, H, W) or (B, {channels}, H, W), "
                f"got {tuple(x.shape)}; translate also takes a file's path and a PIL image"
            )
        ids = list(names) or [str(i) for i in range(len(batch))]
        y = padded(self.translator)(batch.to(self.device), Noise(self.seed, ids)).to(x.device)
        y = y.clamp(-1, 1).to(x.dtype) if x.is_floating_point() else to_uint8(y)
        return y if x.ndim == 4 else y[0]


def load(
    what: str | Path,
    *overrides: str,
    extractor: str | Path | None = None,
    source_score: str | Path | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    allow: Allow = (),
) -> PictureTranslator:
    """A translator ready for pictures.

    what: "demo"; a folder of sample.py, of train.py or of diffusers (a UNet2DModel and its
    scheduler); weights.safetensors of train.py; or a card's name (`egsde.cards`). extractor: a
    classifier, as a file or a card; with it a plain score guides as EGSDE, without it as SDEdit.
    source_score: for translators with two scores. overrides: settings as on the command line.
    allow: packages that a file may name, beside ours; also as the override "allow=[NAME]".
    ValueError or FileNotFoundError say what is missing.
    """
    words = OmegaConf.from_dotlist([word for word in overrides if word.startswith("allow=")])
    allow = (*blueprints.prefixes(allow), *blueprints.prefixes(words.get("allow")))
    given = [*_part("extractor", extractor), *_part("source_score", source_score), *overrides]
    given.append(f"allow=[{','.join(allow)}]")
    path, guided = Path(what).expanduser(), extractor is not None
    if str(what) == "demo":
        cfg = _composed([*demonstrated("sample", given), *given])
    elif str(what) in CARDS:
        cfg = _of_card(str(what), given, guided=guided)
    elif (record := path / "run.json").is_file():
        with about(record):
            whole = OmegaConf.merge(_of_run(record, allow), OmegaConf.from_dotlist(given))
            return _built(whole, seed, device)
    elif (path / "weights.safetensors").is_file():
        cfg = _of_file(path / "weights.safetensors", given, guided, allow)
    elif unet_folder(path) is not None:
        cfg = _of_diffusers(path, given, guided=guided)
    elif path.is_file():
        cfg = _of_file(path, given, guided, allow)
    else:
        raise ValueError(
            f"nothing to load at {path.absolute()}: give demo, a folder of train.py, sample.py or "
            f"diffusers, a weights.safetensors, or one of the cards {', '.join(CARDS)}"
        )
    return _built(cfg, seed, device)


def _built(cfg: Any, seed: int, device: str | torch.device) -> PictureTranslator:
    OmegaConf.update(cfg, "out", None, force_add=True)  # asked for, a folder would be made
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    size = one_size(config["data"].get("size"))
    return PictureTranslator(build_translator(cfg), size, config, seed).to(device)


def _composed(overrides: Sequence[str]) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("sample", list(overrides))


def _part(name: str, given: str | Path | None) -> list[str]:
    """The overrides of a second network."""
    if given is None:
        return []
    if str(given) in CARDS:
        card = CARDS[str(given)]
        if card.part != name:
            raise ValueError(f"{card.name} is a {card.part}; load it as such, not as {name}=")
        return card.overrides()
    path = Path(given).expanduser()
    file = path / "weights.safetensors" if path.is_dir() else path
    chosen = ["extractor=trained"] if name == "extractor" else []
    return [*chosen, f"{name}.weights={quoted(find(file, name))}"]


def _of_card(name: str, given: list[str], guided: bool) -> DictConfig:
    card = CARDS[name]
    if card.part != "score":
        raise ValueError(
            f"{name} is an extractor, which translates nothing by itself; "
            f'load a score with it: egsde.load("afhq_dog", extractor="{name}")'
        )
    plain = ["data.size=256", *([] if guided else ["translator=sdedit", "energy=none"])]
    return _composed(["experiment=none", *domains({}), *plain, *card.overrides(), *given])


def _of_run(path: Path, allow: Allow) -> DictConfig:
    """The configuration of a run of sample.py; ValueError where it names what is not ours."""
    config = read_record(path).get("config")
    check_remade(config, ("data", "translator"), blueprints.prefixes(allow))
    return OmegaConf.create(with_allow(config, list(blueprints.prefixes(allow))))


def _of_diffusers(path: Path, given: list[str], guided: bool) -> DictConfig:
    folder = unet_folder(path) or path
    size = read_json(folder / "config.json").get("sample_size")
    sized = [f"data.size={size}"] if isinstance(size, int) else []
    plain = [] if guided else ["translator=sdedit", "energy=none"]
    chosen = ["score=diffusers", f"score.weights={quoted(path)}"]
    return _composed(["experiment=none", *domains({}), *sized, *plain, *chosen, *given])


def _of_file(path: Path, given: list[str], guided: bool, allow: Allow) -> DictConfig:
    inside = read_config(path)
    kind = inside["kind"]
    if kind not in ALONE:
        raise ValueError(
            f"{path} holds a {kind}, which translates nothing by itself; "
            "load a score and give it as extractor="
        )
    chosen = ["score=trained"] if guided and kind in ("score", "labelled") else list(ALONE[kind])
    network = inside["network"]
    size = network.get("image_size") if isinstance(network, dict) else None
    whole = all(type(n) is int and n > 0 for n in (size if isinstance(size, list) else [size]))
    size = size if size and whole else (inside.get("data") or {}).get("size")
    sized = [f"data.size={size}"] if size is not None else []
    if channels := (inside.get("data") or {}).get("channels"):
        sized.append(f"data.channels={channels}")
    own = "translator.weights" if kind in WHOLE else "score.weights"
    cfg = _composed(
        ["experiment=none", *domains(inside), *sized, *chosen, f"{own}={quoted(path)}", *given]
    )
    with open_dict(cfg), about(path):
        cfg.sde = blueprints.configuration(inside["sde"], "sde", allow)
    return cfg
