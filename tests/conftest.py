"""Every test runs on one thread, without a network, and with egsde imported first."""

from __future__ import annotations

import os

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start, too

import egsde  # noqa: E402, F401, I001  (first: it prepares the import of torchvision)
import torch  # noqa: E402

torch.set_num_threads(1)
