"""Configurations of version 0.1 name classes where they were then; their runs go on."""

from __future__ import annotations

import pytest
from hydra.utils import get_object

from egsde.old_names import current

RENAMED_TO = {  # the short names that changed
    "EDM": "EDMPrediction",
    "Eps": "EpsPrediction",
    "Uniform": "UniformTimes",
    "UnpairedData": "TwoDomains",
    "beta": "kernel_std",
}
OLD = [
    "egsde.predictions.Eps",
    "egsde.predictions.EDM",
    "egsde.predictions.LogSigma",
    "egsde.conditional.ConditionalScore",
    "egsde.scores.ScoreModel",
    "egsde.sde.DDPM",
    "egsde.networks.ADMUNet",
    "egsde.data.UnpairedData",
    "egsde.degradations.OneOf",
    "egsde.modules.ScoreModule",
    "egsde.modules.InLoop",
    "egsde.objectives.Uniform",
    "egsde.in_loop.Detached",
    "egsde.callbacks.Translate",
    "egsde.sampler.Sampler",
    "egsde.grids.LogSNR",
    "egsde.solvers.ancestral.beta",
    "egsde.filters.LowPass",
    "egsde.operators.Box",
    "egsde.cascade.Cascade",
    "egsde.translators.OnePass",
    "egsde.metrics.Suite",
    "egsde.likelihood.Hutchinson",
    "egsde.weights.load_score",
]


@pytest.mark.parametrize("name", OLD)
def test_an_old_name_finds_its_object(name):
    old, new = name.rsplit(".", 1)[1], get_object(current(name)).__name__
    assert new == RENAMED_TO.get(old, old)


def test_a_method_that_was_given_its_process_reads_the_scores():
    score = {"_target_": "egsde.weights.load_score", "sde": "vp"}
    old = {"_target_": "egsde.translators.sdedit", "sde": "vp", "score": score}
    new = current(old)
    assert set(new) == {"_target_", "score"} and new["score"]["sde"] == "vp"


def test_a_function_that_hydra_got_is_named_itself():
    old = {"_target_": "hydra.utils.get_method", "path": "egsde.solvers.ancestral.beta"}
    assert current(old) == {"_target_": "egsde.solvers.ancestral.kernel_std", "_partial_": True}


@pytest.mark.parametrize("name", ["egsde.sampling.Sampler", "egsde", "other.grids.LogSNR", 3, None])
def test_other_values_stay(name):
    assert current({"a": [name]}) == {"a": [name]}
