"""Our `weights.safetensors` on disk: tensors and, as metadata, what they belong to.

`averaged.<name>` and `raw.<name>` are the networks' weights; the configuration of the network, the
SDE and the prediction (`egsde.scores.blueprints`) makes the file open without any other. A
checkpoint of training (`last.ckpt`) holds the same and is read alike.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from egsde.disk import whole
from egsde.networks.files import check_head, loaded
from egsde.scores import blueprints
from egsde.scores.blueprints import Allow
from egsde.scores.kinds import check_network
from egsde.scores.record import check_record

PACKAGE = Path(__file__).parents[1]
FETCHED = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "egsde" / "networks"
# What of a training's configuration goes with its weights.
RECORDED = ("kind", "network", "sde", "prediction", "data", "seed")
ALSO = ("times", "skip", "space")  # what some modules add to it
COUNTED = (torch.int64, torch.int32)  # steps, say, beside weights
LONGEST = 2**20  # characters of a file's configuration


def find(weights: str | Path | None, hint: str) -> Path:
    """The file: as given, else inside the package (`demo/...`) or among the files fetched from
    elsewhere; FileNotFoundError says where it was looked for. ValueError where none is named."""
    if weights is None:
        raise ValueError(f"no weights are given; add {hint}=PATH")
    if not str(weights).strip():
        raise ValueError(f"{hint}= is an empty path; was it a shell variable that is not set?")
    path = Path(weights).expanduser()
    for candidate in (path, PACKAGE / path, FETCHED / path):
        if candidate.is_file():
            return candidate
    if "://" in str(weights):
        raise FileNotFoundError(f"{hint}={weights} is an address; download the file, and name that")
    if path.is_dir():
        raise FileNotFoundError(
            f"{hint}={weights} is a folder; give a file in it, such as weights.safetensors of a run"
        )
    raise FileNotFoundError(
        f"no weights at {path.absolute()} or in {FETCHED}; give a file that exists: {hint}=PATH"
    )


def save_weights(
    path: Path,
    networks: Mapping[str, nn.Module],
    config: Mapping[str, Any],
    half: bool = False,
    allow: Allow = (),
) -> None:
    """Write `networks` (by name: "averaged", "raw") and the plain `config` to one file.

    half: store float16; opened as float32 again. allow: packages of the user's own parts.
    """
    tensors = {}
    for prefix, network in networks.items():
        for name, value in network.state_dict().items():
            stored = value.half() if half and value.is_floating_point() else value
            tensors[f"{prefix}.{name}"] = stored.detach().cpu().contiguous().clone()
    text = json.dumps(blueprints.described(config, allow), sort_keys=True)
    with whole(path) as temporary:
        save_file(tensors, temporary, metadata={"egsde": text})


class Checkpoint:
    """A checkpoint of training, asked as safetensors asks a file. ValueError for content that is
    none."""

    def __init__(self, content: Any) -> None:
        found = content if isinstance(content, dict) else {}
        state, config = found.get("state_dict", {}), found.get("config")
        named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
        if not named or not all(map(torch.is_tensor, state.values())):
            raise ValueError("its state_dict holds no names with tensors")
        self.tensors = {
            f"{ours}.{name.removeprefix(theirs)}": value
            for theirs, ours in (("ema.net.", "averaged"), ("network.", "raw"))
            for name, value in state.items()
            if name.startswith(theirs)
        }
        self.text: str | None = None
        try:
            if self.tensors and isinstance(config, dict):
                kept = {key: value for key, value in config.items() if key in RECORDED + ALSO}
                self.text = json.dumps(kept)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"its configuration is not plain: {error}") from error

    def metadata(self) -> dict[str, str]:
        """{"egsde": its configuration as JSON}; {} where it has none."""
        return {} if self.text is None else {"egsde": self.text}

    def keys(self) -> list[str]:
        """averaged.NAME and raw.NAME."""
        return list(self.tensors)

    def get_tensor(self, name: str) -> Tensor:
        """The values of a key."""
        return self.tensors[name]

    def get_slice(self, name: str) -> Checkpoint.Shape:
        """What tells the shape of a key."""
        return Checkpoint.Shape(tuple(self.tensors[name].shape))

    @dataclass(frozen=True)
    class Shape:
        """A tensor that nobody reads."""

        shape: tuple[int, ...]

        def get_shape(self) -> tuple[int, ...]:
            """As safetensors calls it."""
            return self.shape


@contextmanager
def about(path: Path) -> Iterator[None]:
    """What a file's content is found at fault with names the file: a ValueError, a
    FileNotFoundError, or a nesting that is too deep, which becomes a ValueError."""
    try:
        yield
    except (ValueError, FileNotFoundError, RecursionError) as error:
        if str(path) in str(error):
            raise
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"{path}: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file; a ValueError names it, whatever is wrong with it."""
    check_head(path)
    content = loaded(path) if path.suffix == ".ckpt" else None
    try:
        with about(path):
            if path.suffix == ".ckpt":
                yield Checkpoint(content)
            else:
                with safe_open(path, framework="pt") as file:
                    yield file
    except SafetensorError as error:
        raise ValueError(f"{path} is no whole safetensors file: {error}") from error


def is_ours(path: Path) -> bool:
    """Whether the file was written by `save_weights`, or is a checkpoint of training."""
    if path.suffix not in (".safetensors", ".ckpt"):
        return False
    with _opened(path) as file:
        return "egsde" in (file.metadata() or {})


def read_config(path: Path) -> dict[str, Any]:
    """The configuration in a file of `save_weights`, in today's format; ValueError without one."""
    if not is_ours(path):
        raise ValueError(
            f"{path} holds no configuration: it was not written by egsde. Official checkpoints "
            "need their own option, such as score=adm_256 or extractor=dse_256"
        )
    with _opened(path) as file:
        text = file.metadata()["egsde"]
        if len(text) > LONGEST:
            raise ValueError(f"its configuration has {len(text)} characters, at most {LONGEST}")
        try:
            config = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"its configuration is no JSON: {error}") from error
        if not isinstance(config, dict) or not isinstance(config.get("kind"), str):
            raise ValueError('its configuration has no "kind", so it was not written by egsde')
        check_record(config)
        config = blueprints.modern(config)
        check_network(config["kind"], config["network"])
        return config


def _names(file: Any, use: str) -> list[str]:
    keys = list(file.keys())
    found = sorted({key.split(".", 1)[0] for key in keys})
    if use not in found:
        raise ValueError(f"it holds {found}, not {use!r}; choose one of these")
    return [key for key in keys if key.startswith(f"{use}.")]


def read_weights(path: Path, use: str, part: str = "") -> dict[str, Tensor]:
    """The tensors under the name `use`, as float32; part: only those below it, with a dot.
    ValueError where one holds what no network does."""
    with _opened(path) as file:
        start = f"{use}.{part}"
        mine = [key for key in _names(file, use) if key.startswith(start)]
        state = {key.removeprefix(start): file.get_tensor(key) for key in mine}
        for name, value in state.items():
            if not (value.is_floating_point() or value.dtype in COUNTED):
                raise ValueError(f"its {name} is of {value.dtype}, which no network of ours has")
            if not value.isfinite().all():
                raise ValueError(
                    f"its {name} holds NaN or infinity, as where a training has diverged; take an "
                    "earlier file"
                )
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def read_shapes(path: Path, use: str, part: str) -> dict[str, tuple[int, ...]]:
    """Those of `read_weights`, without reading them."""
    with _opened(path) as file:
        start = f"{use}.{part}"
        mine = [key for key in _names(file, use) if key.startswith(start)]
        return {k.removeprefix(start): tuple(file.get_slice(k).get_shape()) for k in mine}
