"""Hashes of what the demo draws and trains: the same before and after a change that moves code.

    python benchmarks/fingerprint.py > before.txt    # on the commit before; again on the new one
    diff before.txt after.txt

Hashes are of pixels and of tensors, not of files, so the configuration inside a file may change.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[1]
SAMPLES = {
    "egsde": "",
    "egsde_fast": "translator=egsde_fast",
    "dpmpp_2m": "sampler=dpmpp_2m sampler.grid.steps=63",
    "unipc": "sampler=unipc sampler.grid.steps=8",
    "pc": "sampler=pc sampler.grid.steps=8",
    "ddim": "sampler=ddim sampler.grid.steps=8",
    "edm_heun": "sampler=edm_heun sampler.grid.steps=6",
    "ilvr": "translator=ilvr sampler.grid.steps=20",
    "ccdf": "translator=ccdf sampler.grid.steps=20",
    "sddm": "translator=sddm",
    "cycle_diffusion": "translator=cycle_diffusion",
    "ddib": "translator=ddib sampler=ddim sampler.grid.steps=10",
}
TRAININGS = {
    "score": "",
    "classifier": "model=classifier",
    "cycle": "model=cycle",
}


def run(program: str, out: Path, options: str) -> str:
    """ "ok", or the end of what the program said."""
    command = [sys.executable, str(ROOT / f"{program}.py"), f"out={out}", *options.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return "ok" if done.returncode == 0 else " ".join(done.stderr.split())[-300:]


def pictures(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted((folder / "images").rglob("*.png")):
        digest.update(path.name.encode() + np.asarray(Image.open(path)).tobytes())
    return digest.hexdigest()[:16]


def tensors(path: Path) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(load_file(path).items()):
        digest.update(name.encode() + value.tobytes())
    return digest.hexdigest()[:16]


def main() -> None:
    chosen = sys.argv[1:] or [*SAMPLES, *TRAININGS]
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            out = Path(folder) / name
            if name in SAMPLES:
                state = run("sample", out, f"limit=2 metrics=none {SAMPLES[name]}")
                print(name, pictures(out) if state == "ok" else state, flush=True)
            else:
                state = run("train", out, f"trainer=smoke {TRAININGS[name]}")
                weights = out / "weights.safetensors"
                print(name, tensors(weights) if state == "ok" else state, flush=True)


if __name__ == "__main__":
    main()
