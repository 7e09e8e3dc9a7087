"""What happens around training: logging, export, translation with its measures."""

from egsde.callbacks.csv import CSV
from egsde.callbacks.export import Export
from egsde.callbacks.steps import Steps
from egsde.callbacks.throughput import Throughput
from egsde.callbacks.translate import Report, Translate

__all__ = ["CSV", "Export", "Report", "Steps", "Throughput", "Translate"]
