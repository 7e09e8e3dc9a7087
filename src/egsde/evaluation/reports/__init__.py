"""Pictures of results."""

from egsde.evaluation.reports.grid import draw_grid

__all__ = ["draw_grid"]
