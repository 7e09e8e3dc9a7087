"""What train.py translates at validation: by EGSDE where a classifier is given, by SDEdit else.

The classifiers of the embedded networks are taken where they belong to the run's pictures and
process; what is given is taken as it is, and what does not fit is refused where it is opened.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf, open_dict

from egsde.codecs import Latent
from egsde.programs.build import Parts
from egsde.programs.latents import PIXELS
from egsde.programs.line import one_of
from egsde.programs.objectives import named
from egsde.programs.run import given
from egsde.programs.texts import texts
from egsde.programs.values import referred
from egsde.scores.blueprints import part
from egsde.scores.container import find, read_config
from egsde.scores.process import same_process
from egsde.scores.record import short

KID = "val/kid"
NONE = {"_target_": "egsde.energies.none"}


def averaged(**settings: Any) -> None:
    """Stands for the network that is trained; ValueError where something else would hold it."""
    raise ValueError(
        "while training a translator has one score, the one that is trained; translator=sdedit, "
        "egsde, paired and others of one score go, or translate=null"
    )


def settle(cfg: DictConfig) -> None:
    """Write into the configuration what follows from what is given, before anything is built."""
    with open_dict(cfg):
        if cfg.get("callbacks") and "previews" in cfg.callbacks:
            del cfg.callbacks["previews"]  # of a configuration before translate=
        if cfg.get("translate") is None or cfg.data.size == 1:  # points are not drawn
            cfg.translate = None
            return
        if cfg.data.get("limit") is None:
            cfg.data.limit = cfg.translate.images
        for name in [n for n in ("extractor", "judge") if not _reads(cfg.module, n)]:
            if _weights(cfg, name) in (cfg.get("demo") or {}).values() and not _fits(cfg, name):
                cfg[name].weights = None if name == "extractor" else _weights(cfg, "extractor")
        if cfg.get("metrics") is not None:
            _validated(cfg.metrics)
        if _needs(cfg, "translator", "extractor") and _weights(cfg, "extractor") is None:
            _without_classifier(cfg)
        if _needs(cfg, "metrics", "judge") and _weights(cfg, "judge") is None:
            single = cfg.metrics.get("single") or {}
            for name in [n for n in single if _reads(single[n], "judge")]:
                del single[name]
        if str(cfg.trainer.get("precision", "32-true")).startswith("bf16"):
            for name in referred(cfg, "translator", "metrics"):
                if isinstance(cfg.get(name), DictConfig) and "autocast" in cfg[name]:
                    cfg[name].autocast = True


def _without_classifier(cfg: DictConfig) -> None:
    """EGSDE without its energies is SDEdit; what was asked for needs its classifier."""
    asked = [name for name in given() if name.split(".")[0] in ("translator", "energy")]
    if asked:
        return  # told where it is opened
    cfg.energy = OmegaConf.create(NONE)
    rank_zero_only(print)(
        "validation translates by SDEdit: no classifier is given for EGSDE (extractor.weights=...)"
    )


def _needs(cfg: DictConfig, node: str, name: str) -> bool:
    return cfg.get(name) is not None and name in referred(cfg, node)


def _reads(node: Any, name: str) -> bool:
    return isinstance(node, DictConfig) and any(f"${{{name}}}" in text for text in texts(node))


def _validated(metrics: DictConfig) -> None:
    """The test images are for sample.py: reference is what the validation split holds."""
    protocol = metrics.get("protocol")
    if protocol is None:
        metrics.protocol = {"_target_": "egsde.evaluation.metrics.EvaluationProtocol"}
    if protocol is None or protocol.get("reference_split", "test") == "test":
        metrics.protocol.reference_split = "val"


def _weights(cfg: DictConfig, name: str) -> Any:
    """The file of a classifier; None where there is none."""
    node = cfg.get(name)
    if node is None or OmegaConf.is_missing(node, "weights"):
        return None
    return node.get("weights", "")


def _fits(cfg: DictConfig, name: str) -> bool:
    """Whether an embedded classifier is of the run's domains, size and process."""
    record = read_config(find(cfg[name].weights, f"{name}.weights"))
    was, now = record["data"], cfg.data
    if any(short(was[key]) != short(now[key]) for key in ("source", "target")):
        return False
    if was["size"] != now.size or now.get("degradation") is not None:
        return False
    return same_process(part(record["sde"], "sde", ()), Parts(cfg)("sde"))


def translation(parts: Parts, module: Any) -> Any:
    """The callback that translates, with the averaged network in its translator, or None."""
    if parts.cfg.get("translate") is None:
        return None

    def make() -> Any:
        own = {"score": module.averaged} if "score" in parts.cfg.translator else {}
        both = hasattr(module, "averaged_source") and "source_score" in parts.cfg.translator
        if both and parts.cfg.source_score.get("weights") is None:
            own["source_score"] = module.averaged_source
        if str(parts.cfg.trainer.get("precision", "32-true")).startswith("bf16"):
            for score in own.values():
                score.autocast = True
        translator, codec = parts("translator", **own), parts("codec")
        return translator if codec is None or codec.mark == PIXELS else Latent(translator, codec)

    callback = parts("translate")
    callback.make = make
    if callback.metrics is not None:
        callback.metrics.check(parts.cfg.data.size, parts.cfg.data.get("channels", 3))
    return callback


def check_names(cfg: DictConfig, module: Any, metrics: Any) -> None:
    """ValueError for an objective or a best that nothing logs; KID's place as the default is
    taken by the loss where it is not measured."""
    ours = type(module).__module__.startswith("egsde.")
    watched = [f"{stage}/{module.binned}" for stage in ("val", "train")]
    measured = [] if cfg.get("translate") is None else ["val/seconds"]
    measured += [f"val/{name}" for name in (metrics.names if metrics is not None else ())]
    trained = [
        "train/loss",
        *watched,
        "train/grad_norm",
        "train/lr",
        "train/total",
        "train/images_per_second",
        "train/cycle",
        "train/cycle_x",
        "train/cycle_y",
    ]
    for key in ("best", "objective"):
        if cfg.get(key) == KID not in measured and key not in given():
            with open_dict(cfg):
                cfg[key] = "val/loss"
        known = ["val/loss", *measured, *(trained if key == "objective" else watched[:1])]
        for name in named(cfg[key]) if cfg.get(key) is not None else ():
            free = not ours and name.startswith(("train/", "val/"))
            if not free and not name.startswith(tuple(f"{each}/t" for each in watched)):
                one_of(key, name, list(dict.fromkeys(known)))
