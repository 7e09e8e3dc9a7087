"""Where the classes are now that the configuration of an older run names.

Files of weights have a table of their own (`scores.names`).
"""

from __future__ import annotations

from typing import Any

MOVED = {  # the module of version 0.1 -> the room that has its names
    "average": "methods",
    "callbacks": "programs.callbacks",
    "cascade": "methods",
    "conditional": "scores",
    "cycle_diffusion": "methods",
    "degradations": "data.degradations",
    "filters": "linear",
    "grids": "sampling",
    "hidden": "methods",
    "in_loop": "training.in_loop",
    "jumps": "sampling",
    "likelihood": "evaluation.likelihood",
    "manifold": "methods",
    "metrics": "evaluation.metrics",
    "modules": "training.modules",
    "objectives": "training.objectives",
    "operators": "linear",
    "predictions": "scores.predictions",
    "sampler": "sampling",
    "score_decorators": "scores",
    "side_by_side": "methods",
    "starts": "methods",
    "translators": "methods",
    "weights": "scores.files",
}

RENAMED = {  # after the move
    "egsde.data.SideBySide": "egsde.data.HalvesOfAFile",
    "egsde.data.UnpairedData": "egsde.data.TwoDomains",
    "egsde.evaluation.likelihood.LogProb": "egsde.evaluation.likelihood.LogDensity",
    "egsde.scores.predictions.EDM": "egsde.scores.predictions.EDMPrediction",
    "egsde.scores.predictions.Eps": "egsde.scores.predictions.EpsPrediction",
    "egsde.scores.predictions.Score": "egsde.scores.predictions.ScorePrediction",
    "egsde.scores.predictions.V": "egsde.scores.predictions.VPrediction",
    "egsde.scores.predictions.X0": "egsde.scores.predictions.X0Prediction",
    "egsde.solvers.ancestral.beta": "egsde.solvers.ancestral.kernel_std",
    "egsde.solvers.ancestral.posterior": "egsde.solvers.ancestral.posterior_std",
    "egsde.training.modules.Replay": "egsde.training.modules.KeptPartners",
    "egsde.training.objectives.Uniform": "egsde.training.objectives.UniformTimes",
}


KNOWN_BY_SCORE = ("egsde.methods.", "egsde.evaluation.likelihood.")


def current(node: Any) -> Any:
    """A plain configuration with today's names in place of old ones.

    A method's process, which stood beside its score, is left out: the score knows it. A function
    was named by Hydra's get_method, and is now a node with nothing but `_partial_`.
    """
    if isinstance(node, dict):
        today = {key: current(value) for key, value in node.items()}
        if str(today.get("_target_")).startswith(KNOWN_BY_SCORE):
            today.pop("sde", None)
        if today.get("_target_") == "hydra.utils.get_method" and set(today) == {"_target_", "path"}:
            return {"_target_": today["path"], "_partial_": True}
        return today
    if isinstance(node, list):
        return [current(value) for value in node]
    top, _, rest = node.partition(".") if isinstance(node, str) else ("", "", "")
    module, _, name = rest.partition(".")
    if top == "egsde" and name and module in MOVED:
        node = f"egsde.{MOVED[module]}.{name}"
    return RENAMED.get(node, node) if isinstance(node, str) else node
