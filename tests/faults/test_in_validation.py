"""A signal in a validation: a training says at once how long it goes on; a second one stops it."""

from __future__ import annotations

import os
import signal
import time

import pytest
import torch

from faults.forked import Forked
from runs import TRAIN, command

SLOWLY = ("data=fluent", "sampler.grid.steps=1000", "translate.images=16", "limit=10",
          "network.channel_mult=[1]", "callbacks.checkpoint.every=2",
          "+callbacks.stop._target_=stops.InValidation", "+callbacks.stop.steps=3")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("twice", [False, True])
def test_a_signal_in_a_validation(twice, tmp_path):
    """The first validation follows step 3, and steps 2, 4, ... are saved."""
    out = tmp_path / "out"
    tiny = [o for o in TRAIN if not o.startswith(("sampler", "translate", "limit"))]
    options = [*tiny, *SLOWLY, *([] if twice else ["translate=null"]), f"out={out}"]
    job = Forked(lambda: command("train", *options), tmp_path / "log")
    job.until(lambda: "SIGTERM: stops once the validation that runs has ended" in job.said)
    began = time.monotonic()
    if twice:
        assert "a second Ctrl-C stops at once, and step 2 is the last saved" in job.said
        time.sleep(1.2)
        os.killpg(job.pid, signal.SIGINT)
    assert job.wait() == (130 if twice else 143) and job.alone(), job.said
    assert "Traceback" not in job.said and time.monotonic() - began < 15
    told, again = job.said.splitlines()[-2:]
    name, step = ("SIGINT", 2) if twice else ("SIGTERM", 3)
    assert f"stopped by {name}: step {step} is the last saved" in told, job.said
    assert again.startswith("to go on: python ") and f"out={out}" in again
    saved = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == step
    assert not list(out.rglob("*.tmp")) and not list(out.rglob(".lock*"))
