"""What happens around training: logging, export, translation with its measures."""

from egsde.programs.callbacks.best import Best
from egsde.programs.callbacks.checkpoints import Checkpoints
from egsde.programs.callbacks.csv import CSV
from egsde.programs.callbacks.curve import Curve
from egsde.programs.callbacks.early import Early
from egsde.programs.callbacks.export import Export
from egsde.programs.callbacks.same_run import same_run
from egsde.programs.callbacks.steps import Steps
from egsde.programs.callbacks.throughput import Throughput
from egsde.programs.callbacks.translate import Report, Translate
from egsde.programs.callbacks.validation import Validation

__all__ = [
    "Best",
    "CSV",
    "Checkpoints",
    "Curve",
    "Early",
    "Export",
    "Report",
    "Steps",
    "Throughput",
    "Translate",
    "Validation",
    "same_run",
]
