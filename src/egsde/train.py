"""`python -m egsde.train`, the same as `egsde train`."""

from egsde.programs.cli import train

if __name__ == "__main__":
    train()
