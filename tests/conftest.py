"""Every test runs on one thread, without a network, and with egsde imported first."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start, too

import egsde  # noqa: F401, I001  (first: it prepares the import of torchvision)
import pytest
import torch
from hydra.core.hydra_config import HydraConfig

import once

torch.set_num_threads(1)
once.install()
gc.disable()  # until all tests are known: nothing of what is imported becomes garbage


def pytest_collection_finish():
    """What the modules hold stays: each run ends with a search for garbage, half a second in it."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def no_hydra_left():
    """A program that a test has run leaves its configuration behind, which the next would take."""
    yield
    HydraConfig.instance().cfg = None
