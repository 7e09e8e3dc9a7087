"""Names of translations, bootstrap intervals, and a run's folder read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egsde.data import Written, output_name, output_names
from egsde.evaluation import intervals, runs
from egsde.evaluation.metrics import frechet, kid


def test_a_translation_has_its_sources_name():
    ids = ["a/0412.jpg", "b.PNG", "two.jpg", "two.png", "odd.jpg.png", "plain"]
    assert list(output_names(ids).values()) == [
        *("a/0412.png", "b.png", "two.jpg.png", "two.png", "odd.jpg.png.png", "plain.png")
    ]


@given(st.sets(st.sampled_from([f"{a}{b}{c}" for a in "xy" for b in ("", ".jpg", ".png")
                                for c in (".png", ".jpg", ".jpg.png")])))  # fmt: skip
def test_no_two_share_a_file(ids):
    names = output_names(sorted(ids))
    assert len(set(names.values())) == len(ids)


def test_files_of_before_are_found(tmp_path: Path):
    (tmp_path / "images").mkdir()
    for name in ("new.png", output_name("old.jpg")):
        (tmp_path / "images" / name).touch()
    written = Written(tmp_path).naming(["new.jpg", "old.jpg", "absent.jpg"])
    found = [written.path(name).name for name in written.names]
    assert found == ["new.png", "old.jpg.png", "absent.png"]


def test_the_interval_of_a_mean_covers_as_often_as_it_says():
    chance = np.random.default_rng(0)
    bounds = [intervals.of_mean(chance.exponential(size=60), draws=400) for _ in range(300)]
    covered = np.mean([low <= 1 <= high for low, high in bounds])
    assert 0.88 < covered < 0.98  # 0.95 for normal numbers; these are skewed, 300 draws: 1.3 %
    assert intervals.of_mean([1.0]) is None
    same = intervals.of_difference([1.0, 2, 4], [1.0, 2, 4])
    assert same == (0, 0, 0)


def test_a_paired_difference_is_narrower_than_its_parts():
    chance = np.random.default_rng(1)
    hard = chance.normal(size=80) * 5
    a, b = hard + 1 + 0.1 * chance.normal(size=80), hard
    mean, low, high = intervals.of_difference(a, b)
    assert low < mean < high and high - low < 0.1
    assert np.diff(intervals.of_mean(a)) > 1


def test_resampled_fid_and_kid_are_those_of_the_rows():
    """Of every row once, the Gram form is the distance itself; the interval holds it."""
    a, b = (
        torch.randn(n, 6, generator=torch.Generator().manual_seed(n)).double() for n in (40, 30)
    )
    b = b + 0.5
    grams = [x @ y.mT for x, y in ((a, a), (b, b), (a, b))]
    i, j = torch.arange(40), torch.arange(30)
    assert intervals._fid(grams, i, j) == pytest.approx(frechet(a, b), rel=1e-9)
    kernels = [(g / 6 + 1) ** 3 for g in grams]
    assert intervals._kid(kernels, i, j) == pytest.approx(kid(a, b)[0], rel=1e-9)
    values = {"fid": frechet(a, b), "kid": kid(a, b)[0]}
    found = intervals.of_sets(a, b, values)
    assert all(low < values[name] < high for name, (low, high) in found.items())
    spread = (found["kid"][1] - found["kid"][0]) / 3.92
    assert spread == pytest.approx(kid(a, b)[1], rel=0.5)  # two estimates of one error
    assert intervals.of_sets(a, b, values) == found
    assert "kid" not in intervals.of_sets(a[:2], b[:2], values)  # half of the draws are one image


def test_a_run_is_read_back_and_two_are_compared(tmp_path: Path):
    for name, shift in (("one", 0.0), ("two", 1.0)):
        out = tmp_path / name
        (out / "images").mkdir(parents=True)
        (out / "images" / "a.png").touch()
        rows = "".join(f"{k}.jpg,{v + shift}\n" for k, v in (("a", 1), ("b", 3), ("c", 2)))
        (out / "images.csv").write_text(f"id,l2\n{rows}")
        numbers = {"metrics": {"l2": 2 + shift}, "intervals": {"l2": [1, 3]}, "nfe": {"score": 5}}
        (out / "metrics.json").write_text(json.dumps(numbers))
    one, two = runs.load(tmp_path / "one"), runs.load(tmp_path / "two")
    assert one.ids == ["a.jpg", "b.jpg", "c.jpg"] and one.nfe == 5 and one.record == {}
    assert one.images == {"a.jpg": tmp_path / "one/images/a.png"}
    assert one.intervals["l2"] == (1, 3) and one.column("l2")["b.jpg"] == 3
    assert runs.difference(two, one, "l2") == (1, 1, 1)
    with pytest.raises(ValueError, match="no metrics.json"):
        runs.load(tmp_path)
