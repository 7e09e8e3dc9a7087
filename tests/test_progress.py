"""The bar of a run ends at n of n, whatever the shares of its images add up to."""

from __future__ import annotations

import pytest
import torch

from egsde.programs.callbacks import progress
from egsde.programs.callbacks.progress import images_bar, step_by_step


@pytest.mark.parametrize(("images", "steps", "batch"), [(247, 24, 32), (247, 7, 10), (3, 500, 3)])
def test_the_bar_ends_at_the_number_of_images(images, steps, batch, capsys, monkeypatch):
    monkeypatch.setattr(progress, "BRIEF", 0.0)
    score = torch.nn.Identity()
    with images_bar(images) as advance:
        for first in range(0, images, batch):
            count = min(batch, images - first)
            with step_by_step(score, steps, count, advance):
                for _ in range(steps):
                    score(torch.zeros(1))
    told = capsys.readouterr().out
    assert f"{images}/{images}" in told and len(told.strip().splitlines()) == 1  # no terminal here
