"""Trainings one after the other in each of two processes: what torchrun starts for the tests.

torchrun --standalone --nproc-per-node=2 tests/faults/two_processes.py JOBS.json

JOBS.json: a list of [folder, options]. A training that a signal stops is as good as one that ends.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import egsde  # noqa: F401, I001  (first: it prepares the import of torchvision)
import torch

from egsde.programs.train import train
from runs import composed


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for folder, options in json.loads(Path(sys.argv[1]).read_text()):
        print(f"-- {folder}", flush=True)
        try:
            train(composed("train", folder, *options, "trainer=ddp_cpu"))
        except SystemExit as stop:
            print(f"-- ended with {stop.code} on {os.environ['RANK']}", flush=True)


if __name__ == "__main__":
    main()
