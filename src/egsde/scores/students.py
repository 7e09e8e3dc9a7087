"""Flow maps from files of `train.py model=student`."""

from __future__ import annotations

from egsde.scores.blueprints import Allow
from egsde.scores.container import find, read_config
from egsde.scores.files import opened
from egsde.scores.flow_map import FlowMap
from egsde.sde import SDE


def load_student(
    weights: str | None,
    sde: SDE | None = None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Allow = (),
) -> FlowMap:
    """The flow map in a file of `train.py model=student`, with the times of its teacher's walk.
    ValueError where it does not hold them."""
    path = find(weights, "score.weights")
    network, prediction, sde = opened(path, "student", sde, use, allow)
    times = read_config(path).get("times")
    if not isinstance(times, list):
        raise ValueError(f"{path} does not say between which times it maps; train it again")
    skip = read_config(path).get("skip", 0.0)
    return FlowMap(network, sde, prediction, times=times, skip=skip, autocast=autocast)
