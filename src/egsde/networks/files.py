"""State dicts in files that others wrote, without what trainers and wrappers put around them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

# What wrappers put before names: DataParallel, torch.compile, Lightning, Palette.
PREFIXES = ("module.", "_orig_mod.", "model.", "denoise_fn.")
# Where trainers keep the weights, averaged before raw.
INNER = ("ema", "model_ema", "ema_state_dict", "params_ema", "ema_model",
         "state_dict", "model", "model_state_dict", "params", "net")  # fmt: skip
PAGE = (
    "is a web page, not weights: a download link gave it in their place (Google Drive does for "
    "large files). Download it in a browser, or with a tool made for that site"
)
NO_WEIGHTS = {  # first bytes and what they say
    b"<!doctype": PAGE,
    b"<html": PAGE,
    b"<?xml": PAGE,
    b"version https://git-lfs": "is a pointer of Git LFS, not the file: run `git lfs pull`",
}
DEEPEST = 100  # of lists and names in a checkpoint
MOST = 10**6  # of its values
DAMAGED = "is cut short or damaged, or holds no weights; download or copy it again"


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a .pt, .pth or .safetensors file, on the CPU, without running its code.

    A training state of ermongroup/ddim, a list [model, optimiser, epoch, step, EMA], yields its
    last state dict, which is the averaged one where there is one. ValueError for anything else.
    """
    path = Path(path)
    if path.suffix not in (".pt", ".pth", ".ckpt", ".bin", ".safetensors"):
        raise ValueError(
            f"cannot read weights from {path.name}; use .pt, .pth, .bin or .safetensors"
        )
    content = loaded(path)
    state = _state_in(content)
    if state is None:
        keys = list(content)[:5] if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{path} holds no state dict (names to tensors) but {keys}; save module.state_dict() "
            "alone"
        )
    return without_prefix(state)


def check_head(path: Path) -> None:
    """ValueError for a file whose beginning shows that it holds no weights."""
    with path.open("rb") as file:
        head = file.read(256).lstrip()
    for sign, what in NO_WEIGHTS.items():
        if head[: len(sign)].lower() == sign:
            raise ValueError(f"{path} {what}")
    if not head:
        raise ValueError(f"{path} is empty; download or copy it again")


def loaded(path: Path) -> Any:
    """What torch.save or safetensors wrote; ValueError says what the file is instead."""
    check_head(path)
    check_stored(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, weights_only=True, map_location="cpu")
    except UnpicklingError as error:
        if "global" not in str(error).lower():
            raise ValueError(f"{path} {DAMAGED}") from error
        raise ValueError(
            f"{path} holds Python objects beside its tensors, which could run code and are not "
            "opened; whoever made it can save module.state_dict() alone"
        ) from error
    except Exception as error:  # reading raises whatever the bytes make it raise
        raise ValueError(f"{path} {DAMAGED}") from error
    check_tensors(path, content)
    return content


def check_stored(path: Path) -> None:
    """ValueError for a file that is larger unpacked than it is; torch.save packs nothing."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [m for m in archive.infolist() if m.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path} {DAMAGED}") from error
    if packed:
        raise ValueError(
            f"{path} is compressed, as torch.save leaves nothing, and up to "
            f"{sum(m.file_size for m in packed)} bytes unpacked; unpack it and save it again"
        )


def check_tensors(
    path: Path, content: Any, depth: int = 0, parts: Iterator[int] | None = None
) -> None:
    """ValueError for tensors that say more than their file holds: of strides that repeat one
    number, of no numbers at all (meta), or of another layout; and for lists that stand in
    themselves again and again, which no one could go through. parts: numbers those gone through."""
    parts = count(1) if parts is None else parts
    if next(parts) > MOST:
        raise ValueError(f"{path} holds more than {MOST} values in one another")
    if depth > DEEPEST:
        raise ValueError(f"{path} is nested more than {DEEPEST} deep")
    if torch.is_tensor(content):
        held = content.layout == torch.strided and not (content.is_meta or content.is_quantized)
        bits = content.numel() * content.element_size()
        if not held or bits > content.untyped_storage().nbytes():
            raise ValueError(
                f"{path} holds a tensor of shape {tuple(content.shape)} without all of its "
                "numbers; save contiguous ones of an ordinary layout"
            )
    elif isinstance(content, Mapping):
        for value in content.values():
            check_tensors(path, value, depth + 1, parts)
    elif isinstance(content, (list, tuple)):
        for value in content:
            check_tensors(path, value, depth + 1, parts)


def _state_in(content: Any) -> dict[str, Tensor] | None:
    """The state dict in what a trainer saved, the averaged one where there is one."""
    if isinstance(content, (list, tuple)):
        return next((s for part in reversed(content) if (s := _state_in(part))), None)
    if not isinstance(content, dict) or not content:
        return None
    if all(map(torch.is_tensor, content.values())) and all(isinstance(k, str) for k in content):
        return content
    return next((s for name in INNER if (s := _state_in(content.get(name)))), None)


def without_prefix(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same entries without what wrappers put before every name (PREFIXES).

    Where `denoise_fn.*` stands beside a schedule, as in Palette's files, that network alone.
    """
    state = {k: v for k, v in state_dict.items() if k.startswith("denoise_fn.")}
    state = state or dict(state_dict)
    for prefix in PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            return without_prefix({k.removeprefix(prefix): v for k, v in state.items()})
    return state


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """ValueError as soon as a network that is made inside has more parameters than that."""
    left = count

    def counted(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError(f"the network has more parameters than the file's {count}")

    hook = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        hook.remove()
