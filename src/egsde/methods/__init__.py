"""The papers' methods: one function each, with the paper's defaults."""

from egsde.methods.conditional import paired, palette, sr3, unit_ddpm
from egsde.methods.constrained import ccdf, colourise, ilvr, inpaint, repaint
from egsde.methods.coupled import cycle_diffusion, ddib
from egsde.methods.guided import (
    classifier_guidance,
    dps,
    egsde,
    egsde_fast,
    generate,
    sddm,
    sdedit,
)

__all__ = [
    "ccdf",
    "classifier_guidance",
    "colourise",
    "cycle_diffusion",
    "ddib",
    "dps",
    "egsde",
    "egsde_fast",
    "generate",
    "ilvr",
    "inpaint",
    "paired",
    "palette",
    "repaint",
    "sddm",
    "sdedit",
    "sr3",
    "unit_ddpm",
]
