"""Translate images and measure the result: `python sample.py --help`."""

from egsde.programs.start import sample

if __name__ == "__main__":
    sample()
