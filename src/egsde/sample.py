"""`python -m egsde.sample`, the same as `egsde sample`."""

from egsde.programs.start import sample

if __name__ == "__main__":
    sample()
