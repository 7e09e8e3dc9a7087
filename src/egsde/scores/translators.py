"""Networks that translate by themselves, from files: they bring their own process, if any.

Generators (x -> y), flows and bridges between two domains, and the denoising diffusion GAN.
"""

from __future__ import annotations

from pathlib import Path

from egsde.networks import read_weights as read_checkpoint
from egsde.networks.published_generators import generator_of
from egsde.scores.blueprints import Allow
from egsde.scores.conditional import ConditionalScore
from egsde.scores.container import find, is_ours
from egsde.scores.files import opened
from egsde.scores.generator import Generator
from egsde.scores.latent import LatentScore
from egsde.scores.model import ScoreModel

OPTION = "translator.weights"


def _side(makes: str) -> str:
    if makes not in ("x", "y"):
        raise ValueError(f"makes={makes!r} is unknown; use y (the target) or x (the source)")
    return "target" if makes == "y" else "source"


def load_generator(
    weights: str | Path | None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
    makes: str = "y",
) -> Generator:
    """A generator of `train.py model=cyclegan`, pix2pix, cut or fastcut, or of a file published
    for CycleGAN, pix2pix or CUT. makes: "x": of CycleGAN's other direction."""
    path, side = find(weights, OPTION), _side(makes)
    if not is_ours(path):
        return Generator(generator_of(read_checkpoint(path), str(path)), autocast=autocast)
    part = f"to_{makes}."
    network, *_ = opened(path, "generator", None, use, allow, part, option=OPTION, side=side)
    return Generator(network, autocast=autocast)


def load_bridge(
    weights: str | Path | None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
    kind: str = "bridge",
    part: str = "",
) -> ScoreModel:
    """The score of a flow or a bridge of `train.py`, with the process that is in its file.

    part: "x" or "y" of a file with both directions (dsbm).
    """
    side = _side(part or "y")
    network, prediction, sde = opened(
        find(weights, OPTION), kind, None, use, allow, f"{part}." if part else "", option=OPTION,
        side=side,
    )  # fmt: skip
    return ScoreModel(network, sde, prediction, autocast=autocast)


def load_conditional_bridge(
    weights: str | Path | None, use: str = "averaged", autocast: bool = False, allow: Allow = ()
) -> ConditionalScore:
    """`load_bridge` for a network that sees the source, too (DDBM)."""
    network, prediction, sde = opened(
        find(weights, OPTION), "conditional_bridge", None, use, allow, option=OPTION
    )
    return ConditionalScore(network, sde, prediction, autocast=autocast)


def load_ddgan(
    weights: str | Path | None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
    kind: str = "ddgan",
) -> LatentScore:
    """The generator of `train.py model=ddgan`, or unsb, as a score."""
    network, prediction, sde = opened(
        find(weights, OPTION), kind, None, use, allow, "generator.", option=OPTION
    )
    return LatentScore(network, sde, prediction, autocast=autocast)
