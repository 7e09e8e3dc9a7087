"""`python -m egsde.evaluate`, the same as `egsde evaluate`."""

from egsde.programs.start import evaluate

if __name__ == "__main__":
    evaluate()
