"""Train a score model or a domain classifier: `python train.py --help`."""

from egsde.programs.start import train

if __name__ == "__main__":
    train()
