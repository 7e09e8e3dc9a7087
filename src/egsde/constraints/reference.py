"""At which noise level the source is imposed after a step t -> s: that of s, or that of t.

Papers impose q(x_s | x_0), the state's own level. The official codes of ILVR (ilvr_adm,
gaussian_diffusion.py) and of Score-SDE's inpainter (controllable_generation.py) impose the level
before the step, q(x_t | x_0).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from egsde.source import Source

Reference = Callable[[Source, Tensor], Tensor]  # (source, time after the step) -> time of x_t


def new_time(source: Source, t: Tensor) -> Tensor:
    """The state's own time (the papers)."""
    return t


def old_time(source: Source, t: Tensor) -> Tensor:
    """The time before the step (the official codes); 0 for a last state that is denoised."""
    return source.now if source.now is not None and float(t) > 0 else t
