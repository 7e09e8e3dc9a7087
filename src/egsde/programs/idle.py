"""Single settings that a part has and, as it is composed, leaves unread; and what weights mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

Reads = Callable[[DictConfig], bool]
SETS = ("metrics.fid", "metrics.kid", "metrics.prc", "metrics.isc")
OF_SETS = r"metrics\.(cache|extractor\..*|protocol\.(resize.*|reference_split))"
OF_TRAINING = r"data\.(flip|augment.*|train_size|train_limit|resident|view)"


@dataclass(frozen=True)
class Idle:
    """keys: a pattern of whole keys; read: whether anything reads them; told: why nothing does."""

    keys: str
    read: Reads
    told: str


def asked(*keys: str) -> Reads:
    """Whether one of these is given and neither zero nor false."""
    return lambda cfg: any(map(bool, (_at(cfg, key) for key in keys)))


def never(cfg: DictConfig) -> bool:
    """Whatever the configuration is, nothing reads them."""
    return False


def _at(cfg: DictConfig, key: str) -> Any:
    return OmegaConf.select(cfg, key, throw_on_resolution_failure=False)


def _guided(cfg: DictConfig) -> bool:
    """Whether an energy reads the noised source."""
    if not asked("translator.energy")(cfg) or _at(cfg, "translator.energy._target_") == NO_ENERGY:
        return False
    weights = _at(cfg, "translator.energy.weights")
    return weights is None or any(weights.values())


def _translates_beside(cfg: DictConfig) -> bool:
    name = str(_at(cfg, "translator._target_")).rpartition(".")[2]
    return asked("translate")(cfg) and (name in BESIDE or asked("translator.mask")(cfg))


def _negative(cfg: DictConfig) -> bool:
    return _at(cfg, "score.guidance") != 1


NO_ENERGY = "egsde.energies.none"
BESIDE = ("repaint", "inpaint", "palette", "ccdf")
SCORED = (Idle(r"score\.negative", _negative, "score.guidance=1 asks for the prompt alone"),)
MEASURED = (
    Idle(OF_SETS, asked(*SETS), "sets are not compared (metrics.fid, kid, prc and isc are false)"),
    Idle(r"metrics\.kid_subset", asked("metrics.kid"), "metrics.kid=false"),
)
UNTRAINED = Idle(OF_TRAINING, never, "only trainings read it")
RULES: dict[str, tuple[Idle, ...]] = {
    "sample": (
        Idle("outside", asked("uncertainty"), "uncertainty=K is not given"),
        Idle(r"translator\.source_noise", _guided, "no energy is there that sees the source"),
        UNTRAINED, *SCORED, *MEASURED,
    ),
    "train": (
        Idle(r"data\.(mask|low)", _translates_beside, "no translation of the validation reads it"),
        Idle(r"module\.commitment", asked("network.codes"), "network.codes is not given"),
        Idle(r"module\.kl", lambda cfg: not asked("network.codes")(cfg),
             "the autoencoder has codes (network.codes), and module.commitment"),
        Idle(r"module\.perceptual", asked("module.likeness", "module.extractor"),
             "no network compares (perceptual=classifier or lpips)"),
        Idle(r"module\.(adversarial|start)", asked("module.discriminator"),
             "there is no judge (discriminator=patch)"),
        Idle(r"module\.game.*", asked("module.discriminator", "module.judges", "module.judge",
                                      "module.critic"), "there is no judge"),
        Idle(r"module\.reconstruct\..*|gradient.*", asked("module.cycle"), "module.cycle is 0"),
        *MEASURED,
    ),
    "evaluate": (
        Idle("pattern|partial|series", asked("source"), "there is no source="),
        Idle(r"metrics\.(fid|kid|prc|isc|kid_subset)|" + OF_SETS, asked("target"),
             "there is no target="),
        *MEASURED,
    ),
    "likelihood": (UNTRAINED, *SCORED),
    "export": (Idle("use", asked("weights"), "there is no weights="), UNTRAINED, *SCORED),
}  # fmt: skip


def idle(program: str, cfg: DictConfig, keys: Iterable[str]) -> list[str]:
    """What to say of each of these keys that nothing reads."""
    told = []
    for key in keys:
        if (term := re.match(r"energy\.terms\.(\w+)\.", key)) and _off(cfg, term[1]):
            told.append(f"{key}: no effect, energy.weights.{term[1]}=0 switches its term off")
        for rule in RULES[program]:
            if re.fullmatch(rule.keys, key) and not rule.read(cfg):
                told.append(f"{key}: no effect, {rule.told}")
                break
    return told


def weighing(cfg: DictConfig) -> list[str]:
    """What to say of an energy's terms that push away, or that have no weight."""
    weights = _at(cfg, "energy.weights")
    if not isinstance(weights, DictConfig):
        return []
    return [
        *(
            f"energy.weights.{name!s}={value} pushes away from what its term draws to: an energy "
            "is low where an image is good, so weights are above 0; 0 switches a term off"
            for name, value in weights.items()
            if value < 0
        ),
        *(
            f"energy.terms.{name} has no weight and counts once; +energy.weights.{name}=VALUE "
            "weighs it"
            for name in map(str, _at(cfg, "energy.terms") or {})
            if name not in weights
        ),
    ]


def weighed(cfg: DictConfig) -> DictConfig:
    """The configuration without the terms of the energy that have no weight."""
    terms = _at(cfg, "energy.terms")
    off = [str(name) for name in terms or {} if _off(cfg, str(name))]
    if not off:
        return cfg
    copy = OmegaConf.masked_copy(cfg, [str(key) for key in cfg])
    copy._set_parent(cfg._get_parent())
    with open_dict(copy):
        copy.energy = {**copy.energy, "terms": {k: v for k, v in terms.items() if k not in off}}
    return copy


def _off(cfg: DictConfig, term: str) -> bool:
    return _at(cfg, f"energy.weights.{term}") == 0
