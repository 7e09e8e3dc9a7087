"""What a weights file may name: our classes by short names.

A short name never changes, for files hold it; where a class moves, its path here follows. One table
a place in the file: a network cannot stand where a process is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

NAMES: Mapping[str, Mapping[str, str]] = {
    "network": {
        "ADMEncoder": "egsde.networks.adm_encoder.ADMEncoder",
        "ADMUNet": "egsde.networks.adm_unet.ADMUNet",
        "Autoencoder": "egsde.networks.autoencoder.Autoencoder",
        "DDPMUNet": "egsde.networks.ddpm_unet.DDPMUNet",
        "LSGM": "egsde.networks.lsgm.LSGM",
        "MLP": "egsde.networks.mlp.MLP",
        "Pairing": "egsde.networks.pairing.Pairing",
        "ResNetGenerator": "egsde.networks.resnet_generator.ResNetGenerator",
        "UNetGenerator": "egsde.networks.unet_generator.UNetGenerator",
    },
    "sde": {
        "Brownian": "egsde.sde.bridges.Brownian",
        "CosineVP": "egsde.sde.continuous.CosineVP",
        "DDPM": "egsde.sde.chains.DDPM",
        "EDM": "egsde.sde.continuous.EDM",
        "GeometricVP": "egsde.sde.continuous.GeometricVP",
        "NCSN": "egsde.sde.chains.NCSN",
        "Straight": "egsde.sde.bridges.Straight",
        "SubVP": "egsde.sde.continuous.SubVP",
        "VE": "egsde.sde.continuous.VE",
        "VP": "egsde.sde.continuous.VP",
    },
    "prediction": {
        "EDM": "egsde.scores.predictions.EDMPrediction",
        "Eps": "egsde.scores.predictions.EpsPrediction",
        "Score": "egsde.scores.predictions.ScorePrediction",
        "Velocity": "egsde.scores.predictions.VelocityPrediction",
        "V": "egsde.scores.predictions.VPrediction",
        "X0": "egsde.scores.predictions.X0Prediction",
    },
    "inner": {  # what stands inside a process (its table) or a prediction (its label)
        "LogSigma": "egsde.scores.predictions.LogSigma",
        "NetworkTime": "egsde.scores.predictions.NetworkTime",
        "NoiseLevel": "egsde.scores.predictions.NoiseLevel",
        "const_betas": "egsde.sde.tables.const_betas",
        "cosine_betas": "egsde.sde.tables.cosine_betas",
        "geometric_sigmas": "egsde.sde.tables.geometric_sigmas",
        "jsd_betas": "egsde.sde.tables.jsd_betas",
        "linear_betas": "egsde.sde.tables.linear_betas",
        "quad_betas": "egsde.sde.tables.quad_betas",
        "ratio_betas": "egsde.sde.tables.ratio_betas",
        "sigmoid_betas": "egsde.sde.tables.sigmoid_betas",
        "vp_betas": "egsde.sde.tables.vp_betas",
        "warmup_betas": "egsde.sde.tables.warmup_betas",
    },
}

# Files without a format number, and checkpoints, name a class as Python does: one of these modules
# and the name.
OLD_MODULES: Mapping[str, tuple[str, ...]] = {
    "network": (
        "egsde.networks",
        "egsde.networks.adm_encoder",
        "egsde.networks.adm_unet",
        "egsde.networks.ddpm_unet",
        "egsde.networks.mlp",
        "egsde.networks.pairing",
    ),
    "sde": ("egsde.sde", "egsde.sde.chains", "egsde.sde.continuous"),
    "prediction": ("egsde.predictions", "egsde.scores.predictions"),
    "inner": ("egsde.sde", "egsde.sde.tables", "egsde.predictions", "egsde.scores.predictions"),
}


def short_of_old(name: str, place: str) -> str:
    """The short name for a Python path, of an old file or of a checkpoint; any other name as is."""
    today = {path: short for short, path in NAMES[place].items()}
    if name in today:
        return today[name]
    module, _, last = name.rpartition(".")
    return last if module in OLD_MODULES[place] and last in NAMES[place] else name
