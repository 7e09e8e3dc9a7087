"""Both halves of a file of `train.py model=lsgm`: the codec, and the score of its latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from egsde.codecs.learned import Learned
from egsde.networks.lsgm import LSGM
from egsde.scores.blueprints import Allow
from egsde.scores.container import find
from egsde.scores.files import opened
from egsde.scores.mixed import MixedScore
from egsde.sde import SDE

KIND = "lsgm"


def load_lsgm(
    weights: str | Path | None,
    sde: SDE | None = None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
) -> MixedScore:
    """The mixed score; its record names the space of the codec in the same file."""
    network, prediction, sde = _network(weights, sde, use, allow)
    prior: Any = network.prior
    prior.record = network.record | {"space": _codec(network).mark}
    return MixedScore(prior, sde, prediction, autocast=autocast)


def load_lsgm_codec(
    weights: str | Path | None, use: str = "averaged", allow: Allow = ()
) -> Learned:
    """The autoencoder as a codec."""
    return _codec(_network(weights, None, use, allow)[0])


def _network(
    weights: str | Path | None, sde: SDE | None, use: str, allow: Allow
) -> tuple[Any, Any, Any]:
    path = find(weights, "score.weights")
    network, prediction, sde = opened(path, KIND, sde, use, allow)
    if not (hasattr(network, "vae") and hasattr(network, "prior")):
        raise ValueError(f"{path}: its network has no autoencoder and prior, as an lsgm has")
    return network, prediction, sde


def _codec(network: LSGM) -> Learned:
    return Learned(network.vae, network.vae.factor)  # unscaled: the prior learned them as they are
