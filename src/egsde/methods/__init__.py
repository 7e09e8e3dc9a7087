"""The papers' methods: one function each, with the paper's defaults, and the translators' parts."""

from egsde.methods.average import MeanOfSamples
from egsde.methods.ccdf import ccdf
from egsde.methods.cycle_diffusion import CycleDiffusion, IntoClean, Replayed, cycle_diffusion
from egsde.methods.ddib import Encode, NoNoise, TwoWay, ddib
from egsde.methods.diffusion import Diffusion, OnePass, Translator, networks_of, noised, prior
from egsde.methods.dps import dps
from egsde.methods.egsde import algorithm_1, egsde, egsde_fast, sdedit
from egsde.methods.freedom import freedom
from egsde.methods.guidance import classifier_guidance, generate
from egsde.methods.ilvr import ilvr
from egsde.methods.paired import paired
from egsde.methods.palette import NoiseInHoles, palette
from egsde.methods.repaint import repaint
from egsde.methods.score_sde import colourise, inpaint
from egsde.methods.sddm import MultiGradientScore, sddm
from egsde.methods.sr3 import Cascade, Stage, sr3
from egsde.methods.student import Student, student
from egsde.methods.teacher import Teacher
from egsde.methods.tiled import Tiled
from egsde.methods.translators import at_source, bridge, ddgan, from_file, one_pass, unchanged
from egsde.methods.unit_ddpm import JointTranslator, Released, unit_ddpm

__all__ = [
    "MultiGradientScore",
    "Cascade",
    "CycleDiffusion",
    "Diffusion",
    "Encode",
    "NoiseInHoles",
    "IntoClean",
    "MeanOfSamples",
    "NoNoise",
    "OnePass",
    "Released",
    "Replayed",
    "JointTranslator",
    "Stage",
    "Student",
    "Teacher",
    "Tiled",
    "Translator",
    "TwoWay",
    "algorithm_1",
    "at_source",
    "bridge",
    "ccdf",
    "classifier_guidance",
    "colourise",
    "cycle_diffusion",
    "ddgan",
    "ddib",
    "dps",
    "egsde",
    "egsde_fast",
    "freedom",
    "from_file",
    "generate",
    "ilvr",
    "inpaint",
    "networks_of",
    "noised",
    "one_pass",
    "paired",
    "palette",
    "prior",
    "repaint",
    "sddm",
    "sdedit",
    "sr3",
    "student",
    "unchanged",
    "unit_ddpm",
]
