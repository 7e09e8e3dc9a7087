"""Constraints (y, t, source) -> like y: what is imposed on the state after each step."""

from egsde.constraints.data_consistency import DataConsistency, Estimate
from egsde.constraints.keep_known import KeepKnown, ShowKnown
from egsde.constraints.match_blocks import MatchBlocks
from egsde.constraints.match_low_pass import MatchLowPass

__all__ = [
    "DataConsistency",
    "Estimate",
    "KeepKnown",
    "MatchBlocks",
    "MatchLowPass",
    "ShowKnown",
]
