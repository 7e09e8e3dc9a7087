"""The judge of translations: a classifier that gives `domain` where its weights are given."""

from __future__ import annotations

from dataclasses import replace

from lightning.pytorch.utilities import rank_zero_warn
from omegaconf import DictConfig

from egsde.data.fits import sides
from egsde.evaluation.metrics import DomainAccuracy, Suite, per_image
from egsde.programs.build import Parts
from egsde.scores.container import find, is_ours, read_config


def add_judge(suite: Suite, parts: Parts, cfg: DictConfig) -> None:
    """`domain` among the suite's numbers of single images, where it is not and a judge is known.
    FileNotFoundError for one that is not there."""
    judge = cfg.get("judge")
    if judge is None or judge.get("weights") is None or "domain" in suite.each.single:
        return
    find(judge.weights, "judge.weights")
    single = {**suite.each.single, "domain": per_image(DomainAccuracy(parts("judge")))}
    suite.each = replace(suite.each, single=single)


def tell_size(cfg: DictConfig, size: tuple[int, int] | None) -> None:
    """A warning where the judge was trained on images of another (width, height)."""
    judge = cfg.get("judge")
    if size is None or judge is None or judge.get("weights") is None:
        return
    path = find(judge.weights, "judge.weights")
    trained = (read_config(path).get("data") or {}).get("size") if is_ours(path) else None
    if trained is not None and sides(trained) != size[::-1]:
        height, width = sides(trained)
        rank_zero_warn(
            f"{judge.weights} was trained on images of {width}x{height}, and these have "
            f"{size[0]}x{size[1]}: its domain says little; give a judge.weights= of their size"
        )
