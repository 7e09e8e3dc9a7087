"""At which noise level the source is imposed after a step t -> s: that of s, or that of t.

Papers impose q(x_s | x_0), the state's own level. The official codes of ILVR (ilvr_adm,
gaussian_diffusion.py) and of Score-SDE's inpainter (controllable_generation.py) impose the level
before the step, q(x_t | x_0).
"""

from __future__ import annotations

from torch import Tensor

from egsde.source import Source


def level(source: Source, t: Tensor, old_time: bool) -> Tensor:
    """The state's own time t, or (old_time) the time before the step; t for a last state that is
    denoised, in both."""
    return source.now if old_time and source.now is not None and float(t) > 0 else t
