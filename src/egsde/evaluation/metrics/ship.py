"""Keep cached reference features with the package.

    python -m egsde.evaluation.metrics.ship FILE ...

FILE: what an evaluation left in ~/.cache/egsde/features.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from egsde.evaluation.metrics import features


def ship(file: Path) -> Path:
    """The file's copy in the package's data folder; FID with it differs by about 1e-3."""
    target = features.SHIPPED / file.name
    features.save(features.load(file), target, np.float16)
    return target


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(ship(Path(name)))
