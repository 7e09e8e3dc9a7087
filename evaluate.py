"""Measure how likely images are under a score: `python evaluate.py --help`."""

from egsde.programs.start import evaluate

if __name__ == "__main__":
    evaluate()
