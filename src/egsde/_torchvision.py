"""Make a CUDA build of torchvision importable beside a CPU build of torch.

Package indexes carry only CUDA builds of torchvision. Beside a CPU torch its compiled library does
not load, its operators stay unregistered, and `import torchvision` (with it torchmetrics and
lightning) dies with "operator torchvision::nms does not exist". Nothing here uses these operators,
so declaring their schemas is enough. It is done when torchvision is first imported, and only where
its own library does not load: a healthy installation is left alone.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_kept: list[Any] = []  # a torch.library.Library unregisters its schemas when it is collected


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing; sees the first import of torchvision go by."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec("torchvision")
            if spec is not None and spec.origin is not None:
                _declare_missing_operators(Path(spec.origin).parent)
        return None


def _declare_missing_operators(package: Path) -> None:
    import torch

    for library in [*package.glob("_C*.so"), *package.glob("_C*.pyd")]:
        try:
            torch.ops.load_library(str(library))
            return
        except OSError:
            continue
    schemas = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        schemas.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(schemas)


def install() -> None:
    """Watch for the first import of torchvision; does nothing if that has happened."""
    if "torchvision" not in sys.modules:
        sys.meta_path.insert(0, _BeforeTorchvision())
