"""Pages to look at: reports, comparisons, blinded pairs; each a file that opens from the disk."""

from egsde.evaluation.pages.report import About, Shown, room, write_report
from egsde.evaluation.pages.trajectory import Trajectory, load_trajectory, trajectory_path

__all__ = [
    "About",
    "Shown",
    "Trajectory",
    "load_trajectory",
    "room",
    "trajectory_path",
    "write_report",
]
