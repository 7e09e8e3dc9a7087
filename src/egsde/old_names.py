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


def current(node: Any) -> Any:
    """A plain configuration with today's names in place of old ones."""
    if isinstance(node, dict):
        return {key: current(value) for key, value in node.items()}
    if isinstance(node, list):
        return [current(value) for value in node]
    top, _, rest = node.partition(".") if isinstance(node, str) else ("", "", "")
    module, _, name = rest.partition(".")
    if top == "egsde" and name and module in MOVED:
        return f"egsde.{MOVED[module]}.{name}"
    return node
