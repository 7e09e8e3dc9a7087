"""Every test runs on one thread, without a network, and with egsde imported first."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("WANDB_MODE", "offline")

import egsde  # noqa: E402, F401, I001  (first: it prepares the import of torchvision)
import pytest  # noqa: E402
import torch  # noqa: E402

from runs import trained  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny trained score/ and classifier/, as train.py leaves them."""
    out = tmp_path_factory.mktemp("weights")
    trained(out / "score", "callbacks.previews=null", "trainer.max_steps=2")
    trained(
        out / "classifier",
        "model=classifier",
        "network.width=32",
        "trainer.max_steps=2",
        drop=("network.num_channels", "network.num_head_channels", "callbacks.previews"),
    )
    return out
