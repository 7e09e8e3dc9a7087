"""The judge of translations: a classifier that gives `domain` where its weights are given."""

from __future__ import annotations

from dataclasses import replace

from omegaconf import DictConfig

from egsde.evaluation.metrics import DomainAccuracy, Suite, per_image
from egsde.programs.build import Parts
from egsde.scores.container import find


def add_judge(suite: Suite, parts: Parts, cfg: DictConfig) -> None:
    """`domain` among the suite's numbers of single images, where it is not and a judge is known.
    FileNotFoundError for one that is not there."""
    judge = cfg.get("judge")
    if judge is None or judge.get("weights") is None or "domain" in suite.each.single:
        return
    find(judge.weights, "judge.weights")
    single = {**suite.each.single, "domain": per_image(DomainAccuracy(parts("judge")))}
    suite.each = replace(suite.each, single=single)
