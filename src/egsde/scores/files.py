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
from egsde.scores.kinds import OPTIONS, TIMELESS, of_the_source
from egsde.scores.labels import Extrapolated, LabelledScore, of_class
from egsde.scores.predictions import EpsPrediction
from egsde.scores.process import said, same_process
from egsde.scores.record import class_of
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
        if side == "source":
            other = of_the_source(config["kind"], path) or other
        raise ValueError(f"{path} holds a {config['kind']}, not a {kind}; it goes with {other}")
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
) -> ScoreModel:
    """The score model in a file of `train.py`; `use`: "averaged" or "raw" weights.

    sde: the process to sample with, which must be the one that it was trained with; None: that one.
    allow: packages whose classes the file may name, beside ours. FileNotFoundError without a file,
    ValueError for one that holds no score.
    """
    path = find(weights, "score.weights")
    network, prediction, sde = opened(path, "score", sde, use, allow)
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


def load_labelled(
    weights: str | None,
    sde: SDE | None = None,
    label: str | int = "target",
    guidance: float = 1.0,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
) -> Score:
    """One label's score in a file of `train.py model=labelled`.

    label: "source", "target", or a place among its domains. guidance: the scale of classifier-free
    guidance, 1 for none; ValueError where the network has not seen images without a label.
    """
    path = find(weights, "score.weights")
    side = "source" if label == "source" else "target"
    network, prediction, sde = opened(path, "labelled", sde, use, allow, side=side)
    record: Any = network.record
    score = LabelledScore(network, sde, prediction, autocast=autocast)
    domains = 2 + len((record.get("data") or {}).get("extra") or ())
    named: dict[Any, Any] = {"source": 0, "target": domains - 1}
    place = named.get(label, label)
    if not isinstance(place, int) or not 0 <= place < domains:
        raise ValueError(f"score.label={label}: use source, target, or 0 .. {domains - 1}")
    record["label"] = place
    if guidance == 1:
        return score.given(place)
    if score.labels == domains:
        raise ValueError(
            f"score.guidance={guidance} needs a network that has seen images without a label, and "
            f"{path} has not; train with model.drop=0.1, or use guidance=1"
        )
    return Extrapolated(score.given(place), score.given(domains), guidance)


def load_source_score(
    weights: str | None,
    sde: SDE | None = None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
    target: str | None = None,
) -> ScoreModel:
    """`load_score` for the source domain; ValueError says how to get one where none is given.

    target: the file of the target's score, which may hold the source's, too.
    """
    if weights is None:
        held = Path(str(target)).expanduser()
        both = held.is_file() and is_ours(held)
        if both and (words := of_the_source(read_config(held)["kind"], held)):
            raise ValueError(
                "this translator needs a score of the source domain, too, and none is given; "
                f"{held} makes both: add {words}"
            )
        raise ValueError(
            "this translator needs a score of the source domain, too, and none is given. Train it "
            "with the domains exchanged, `python train.py data.source=3d data.target=flat "
            "out=source` for the demo's, and add source_score.weights=source/weights.safetensors"
        )
    option = "source_score.weights"
    network, prediction, sde = opened(
        find(weights, option), "score", sde, use, allow, option=option, side="source"
    )
    return ScoreModel(network, sde, prediction, autocast=autocast)


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
