"""What an image's sides have to be multiples of: halvings of networks, factors of low passes."""

from __future__ import annotations

import math
from typing import Any

from egsde.methods.diffusion import networks_of
from egsde.programs.inputs import parts_of


def multiple_of(translator: Any) -> int:
    """The least common multiple over a translator's networks (`multiple`) and filters (`factor`).

    A network that does not say is taken to accept every size.
    """
    found = [getattr(part, "factor", 1) for part in parts_of(translator, set())]
    for network in networks_of(translator).values():
        found += [getattr(part, "multiple", 1) for part in network.modules()]
    return math.lcm(*(value for value in found if isinstance(value, int) and value > 0))
