"""Scores and extractors from files: our `weights.safetensors`, and official checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from egsde.networks import load_official
from egsde.networks import read_weights as read_checkpoint
from egsde.scores import Extractor, Score, ScoreModel, blueprints
from egsde.scores.blueprints import Allow
from egsde.scores.conditional import ConditionalScore
from egsde.scores.container import about, find, is_ours, read_config, read_shapes, read_weights
from egsde.scores.kinds import OPTIONS, TIMELESS, named
from egsde.scores.labels import of_class
from egsde.scores.predictions import EpsPrediction
from egsde.scores.process import said, same_process
from egsde.scores.record import class_of
from egsde.scores.told import Told
from egsde.sde import SDE


def opened(
    path: Path,
    kind: str,
    sde: SDE | None,
    use: str,
    allow: Allow,
    part: str = "",
    *,
    option: str = "score.weights",
    side: str = "target",
) -> tuple[nn.Module, Any, Any]:
    """The network, its prediction, if any, and its process: `sde`, or without one the file's.

    part: of a file with several networks, with a dot.
    The network's `record` is what the file says of it, with the option that named the file and the
    side whose images it makes: a run asks whether they agree. ValueError for a file of another kind
    or process, or one that cannot be opened.
    """
    config = read_config(path)
    if config["kind"] != kind:
        other = OPTIONS.get(config["kind"], "another option")
        found = named(config["kind"])
        raise ValueError(f"{path} holds a {found}, not a {kind}; it goes with {other}")
    shapes = read_shapes(path, use, part)
    trained = prediction = None
    with about(path):
        if kind not in TIMELESS:
            trained = blueprints.part(config["sde"], "sde", allow)
        if kind not in {"classifier", *TIMELESS}:
            prediction = blueprints.part(config["prediction"], "prediction", allow)
        same = sde is None or trained is None or same_process(trained, sde, prediction)
        network = blueprints.network(config["network"], shapes, allow)
    if not same:
        raise ValueError(
            f"{path} was trained with {said(trained)}, but the configuration has {said(sde)}; "
            "choose the sde= it was trained with"
        )
    network.load_state_dict(read_weights(path, use, part))
    network.record = config | {"file": str(path), "option": option, "side": side}
    return network.eval().requires_grad_(False), prediction, trained if sde is None else sde


def load_score(
    weights: str | Path | None,
    sde: SDE | None = None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
    domain: str | None = None,
    label: str | int | None = None,
    guidance: float = 1.0,
) -> Score:
    """The score model in a file of `train.py`; `use`: "averaged" or "raw" weights.

    sde: the process to sample with, which must be the one that it was trained with; None: that one.
    allow: packages whose classes the file may name, beside ours. domain, label, guidance: of a
    file that knows several domains, as in `Told`. FileNotFoundError without a file, ValueError for
    one that holds no score.
    """
    path = find(weights, "score.weights")
    return _score(path, sde, use, autocast, allow, Told("target", domain, label, guidance))


def makes_both(weights: str | Path) -> bool:
    """Whether a file of ours, if it is one, knows several domains (model=labelled)."""
    try:
        path = find(weights, "score.weights")
    except FileNotFoundError:
        return False
    return is_ours(path) and read_config(path)["kind"] == "labelled"


def _score(
    path: Path, sde: SDE | None, use: str, autocast: bool, allow: Allow, told: Told
) -> Score:
    kind = "labelled" if makes_both(path) else "score"
    network, prediction, sde = opened(
        path, kind, sde, use, allow, option=told.option, side=told.side
    )
    if kind == "labelled":
        with about(path):
            return told.score(network, sde, prediction, autocast)
    told.refuse(path)
    return ScoreModel(network, sde, prediction, autocast=autocast)


def load_conditional(
    weights: str | None,
    sde: SDE | None = None,
    use: str = "averaged",
    autocast: bool = False,
    noised: bool = False,
    masked: bool = False,
    allow: Allow = (),
) -> ConditionalScore:
    """The conditional score in a file of `train.py model=conditional`, palette or sr3."""
    path = find(weights, "score.weights")
    network, prediction, sde = opened(path, "conditional", sde, use, allow)
    return ConditionalScore(
        network, sde, prediction, noised=noised, masked=masked, autocast=autocast
    )


def load_cycle(
    weights: str | None,
    sde: SDE | None = None,
    use: str = "averaged",
    autocast: bool = False,
    makes: str = "y",
    allow: Allow = (),
) -> ConditionalScore:
    """One score in a file of `train.py model=cycle`; makes: "y", its target, or "x", its source.
    ValueError for another side."""
    if makes not in ("x", "y"):
        raise ValueError(f"score.makes={makes!r} is unknown; use y (the target) or x (the source)")
    path = find(weights, "score.weights")
    side = "target" if makes == "y" else "source"
    network, prediction, sde = opened(path, "cycle", sde, use, allow, f"{makes}.", side=side)
    return ConditionalScore(network, sde, prediction, autocast=autocast)


def load_source_score(
    weights: str | Path | None,
    sde: SDE | None = None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
    domain: str | None = None,
    label: str | int | None = None,
    guidance: float = 1.0,
    beside: str | None = None,
    otherwise: str | None = None,
) -> Score:
    """`load_score` for the source domain; ValueError says how to get one where none is given.

    beside: the file of the target's score, which is taken where it knows the source, too;
    otherwise: a file that is taken where it does not.
    """
    if weights is None:
        weights = beside if beside is not None and makes_both(beside) else otherwise
    if weights is None:
        raise ValueError(
            "this translator needs a score of the source domain, too, and none is given. Train it "
            "with the domains exchanged, `python train.py data.source=3d data.target=flat "
            "out=source` for the demo's, and add source_score.weights=source/weights.safetensors; "
            "or train one network for both, model=labelled, and give it as score.weights"
        )
    told = Told("source", domain, label, guidance)
    return _score(find(weights, told.option), sde, use, autocast, allow, told)


def load_extractor(
    weights: str | None,
    sde: SDE | None = None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
    target: str | None = None,
) -> Extractor:
    """The domain classifier in a file of `train.py model=classifier`, frozen.

    sde: as in `load_score`. target: the domain that it judges translations by, where that is not
    the file's own. FileNotFoundError without a file, ValueError for one that holds no
    classifier or was trained with another process.
    """
    option = "extractor.weights"
    network, _, sde = opened(find(weights, option), "classifier", sde, use, allow, option=option)
    record: Any = network.record
    extractor = Extractor(network, sde, autocast=autocast)
    extractor.target = class_of(record, target)
    return extractor


def _refuse_ours(path: Path, option: str) -> None:
    if is_ours(path):
        raise ValueError(f"{path} is no official checkpoint but one of train.py; add {option}")


def official_score(
    kind: str,
    config: Mapping[str, Any],
    weights: str | None,
    sde: SDE,
    autocast: bool = False,
    label: int | None = None,
) -> Score:
    """A published score network (`afhq_dog_4m.pt`, `celebahq_female_ddpm.pth`), predicting eps.

    label: the class of a class-conditional one (`256x256_diffusion.pt`: ImageNet's 0 .. 999).
    ValueError where a label is missing, or there are none.
    """
    path = find(weights, "score.weights")
    _refuse_ours(path, "score=trained")
    network = load_official(kind, dict(config), read_checkpoint(path)).requires_grad_(False)
    return of_class(network, sde, EpsPrediction(), label, str(path), autocast=autocast)


def official_extractor(
    config: Mapping[str, Any], weights: str | None, sde: SDE, autocast: bool = False
) -> Extractor:
    """A published domain-specific extractor (`cat2dog_dse.pt`)."""
    path = find(weights, "extractor.weights")
    _refuse_ours(path, "extractor=trained")
    network = load_official("dse", dict(config), read_checkpoint(path))
    return Extractor(network.requires_grad_(False), sde, autocast=autocast)
