"""The bar of a run ends at n of n, whatever the shares of its images add up to."""

from __future__ import annotations

import pytest
import torch

from egsde.programs.callbacks import progress
from egsde.programs.callbacks.progress import bars_alone, images_bar, minutes_bar, step_by_step
from egsde.programs.callbacks.reference import _images


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


def test_a_line_grows_while_features_are_extracted(capsys, monkeypatch):
    """One for the real images, one for the sources: else nothing would be said for minutes."""
    for name in ("BRIEF", "FIRST"):
        monkeypatch.setattr(progress, name, 0.0)
    images = [{"image": torch.zeros(3, 2, 2), "x0": torch.zeros(3, 2, 2)}] * 3
    for name in ("image", "x0"):
        assert len(list(_images(images, name, range(3), lambda: None, shown=True))) == 3
    told = capsys.readouterr().out
    for domain in ("target", "source"):
        assert f"features of the {domain}: 1/3 images, " in told
        assert f"features of the {domain}: 3/3 images in " in told


def test_a_search_keeps_words_back_and_shows_its_bars(capsys, monkeypatch):
    """Without a terminal as lines, the first after FIRST; on one as bars inside of the search's."""
    monkeypatch.setattr(progress, "BRIEF", 0.0)
    monkeypatch.setattr(progress, "FIRST", 0.0)
    with minutes_bar(1, "tuning") as passed, bars_alone():
        print("kept back")
        with images_bar(4, doing="translating") as advance:
            advance(2)
        passed(30)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("translating: 2/4 images, ") and told[0].endswith(" s left")
    assert told[1].startswith("translating: 4/4 images in ") and len(told) == 2

    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes what is captured for a terminal
    with minutes_bar(1, "tuning") as passed:
        with bars_alone(), images_bar(4, doing="translating") as advance:
            advance(2)
            inner, outer = progress.inside[-1].tasks[::-1]
            assert (inner.completed, inner.total) == (2, 4)
        passed(30)
        assert (outer.completed, outer.total) == (30, 60) and len(progress.inside[-1].tasks) == 1
    assert "60/60" in capsys.readouterr().out and not progress.inside
