"""`python -m egsde.sample`, the same as `egsde sample`."""

from egsde.programs.cli import sample

if __name__ == "__main__":
    sample()
