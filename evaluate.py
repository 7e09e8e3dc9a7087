"""Measure how likely images are under a score: `python evaluate.py --help`."""

from egsde.cli import evaluate

if __name__ == "__main__":
    evaluate()
