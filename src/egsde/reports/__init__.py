"""Pictures of results."""

from egsde.reports.grid import draw_grid

__all__ = ["draw_grid"]
