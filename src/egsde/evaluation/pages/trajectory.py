"""The way of one image: states, denoised estimates and energies at some times, as a file.

NAME.npz of k moments and e energies: step (k,), t (k,), states and denoised uint8 (k, H, W, 3),
energies (k, e) with NaN where one was not asked, names (e,). A state is shown as
y / sqrt(alpha^2 + sigma^2), whose noise has the standard deviation 1 at every t.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from egsde.data.kinds import numbers
from egsde.disk import whole
from egsde.opened import check_zip, member


@dataclass(frozen=True)
class Trajectory:
    """The arrays of the file, as above."""

    step: np.ndarray
    t: np.ndarray
    states: np.ndarray
    denoised: np.ndarray
    energies: np.ndarray
    names: np.ndarray

    def save(self, path: Path) -> None:
        """The file is whole or not there."""
        with whole(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{f.name: getattr(self, f.name) for f in fields(self)})


def trajectory_path(out: Path, output: str) -> Path:
    """Where the way of the image that is written to images/OUTPUT lies."""
    return out / "trajectories" / f"{output.removesuffix('.png')}.npz"


def load_trajectory(path: Path) -> Trajectory | None:
    """What `save` has written; None where there is no such file, or a damaged one."""
    try:
        with path.open("rb") as packed, zipfile.ZipFile(packed) as archive:
            check_zip(packed)
            held = (member(archive, f"{f.name}.npy") for f in fields(Trajectory))
            found = Trajectory(*map(numbers, held))
    except Exception:  # a damaged zip raises whatever its bytes make it raise
        return None
    k, e = len(found.t), len(found.names)
    pictures = found.states.shape == found.denoised.shape and found.states.dtype == np.uint8
    right = pictures and found.states.ndim == 4 and len(found.states) == k
    return found if right and found.energies.shape == (k, e) and len(found.step) == k else None
