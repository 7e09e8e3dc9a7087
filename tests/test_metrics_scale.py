"""Many images: time grows with their number, memory does not, and the definitions are the known."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from egsde.evaluation.metrics import distances, features
from egsde.evaluation.metrics.distances import BLOCK, EXACT, frechet, kid, kid_definition


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same definitions at a tenth of the size."""
    for name, value in (("EXACT", 1000), ("SUBSETS", 10), ("SUBSET", 100), ("BLOCK", 819)):
        monkeypatch.setattr(distances, name, value)


def rows(n: int, seed: int, d: int = 16) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


@pytest.mark.usefixtures("small")
def test_above_its_limit_kid_is_torch_fidelitys() -> None:
    a, b = rows(1001, 0).double(), rows(1500, 1).double() + 0.1
    options = {"kid_subsets": 10, "kid_subset_size": 100, "rng_seed": 2020, "verbose": False}
    theirs = kid_features_to_metric(a, b, **options)
    value, error = kid(a, b)
    assert value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    spread = theirs["kernel_inception_distance_std"] / 10**0.5
    assert error == pytest.approx(spread, rel=1e-9)
    assert abs(value - kid(a[:1000], b[:1000])[0]) < 4 * error


def test_the_protocol_says_how_kid_was_taken() -> None:
    assert "100 subsets of 1000" in kid_definition(EXACT + 1, 2000)
    assert "100 subsets of 500" in kid_definition(EXACT + 1, 500)
    assert "all pairs" in kid_definition(EXACT, 10)


@pytest.mark.usefixtures("small")
def test_the_work_grows_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the rows: the same kernel values for KID, twice the blocks for FID, none larger."""
    sizes: dict[int, tuple[int, int, int]] = {}
    kernel, qr = distances.kernel, torch.linalg.qr
    for n in (2_000, 4_000):
        values, blocks = [], []

        def counted(a, b, values=values):
            values.append(len(a) * len(b))
            return kernel(a, b)

        def factored(rows, mode, blocks=blocks):
            blocks.append(len(rows))
            return qr(rows, mode=mode)

        monkeypatch.setattr(distances, "kernel", counted)
        monkeypatch.setattr(torch.linalg, "qr", factored)
        kid(rows(n, 0, 4), rows(n, 1, 4))
        frechet(rows(n, 0, 4), rows(n, 1, 4))
        sizes[n] = sum(values), len(blocks), max(blocks)
        assert max(values) <= 2**24
    (one, blocks_of_one, largest), (two, blocks_of_two, still) = sizes.values()
    assert one == two == 10 * 4 * 100**2 and blocks_of_one == 2 * 3 and blocks_of_two == 2 * 5
    assert largest <= still <= 819 + 4


def test_fid_by_blocks_is_that_of_the_whole() -> None:
    a, b = rows(3 * BLOCK + 5, 2), 1.1 * rows(2 * BLOCK, 3) + 0.2
    cov = [np.cov(x.double().numpy(), rowvar=False) for x in (a, b)]
    root = np.sqrt(np.linalg.eigvals(cov[0] @ cov[1]).real).sum()
    mean = (a.double().mean(0) - b.double().mean(0)).square().sum()
    want = float(mean) + np.trace(cov[0]) + np.trace(cov[1]) - 2 * root
    assert frechet(a, b) == pytest.approx(want, rel=1e-9)


def others(file: Path) -> list[bytes]:
    """Caches of another network, or whose rows are none."""
    with np.load(file) as stored:
        held = dict(stored)
    made = []
    for changed in ({"fingerprint": np.array("other")}, {"features": held["features"] * np.nan},
                    {"features": held["features"][0]}, {"features": held["features"][:2]},
                    {"hashes": held["hashes"][:, :3]}):  # fmt: skip
        buffer = io.BytesIO()
        np.savez(buffer, **(held | changed))
        made.append(buffer.getvalue())
    return made


def test_a_cache_that_is_damaged_or_cannot_be_written_costs_no_number(tmp_path) -> None:
    class Sums:
        fingerprint = "sums"

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, :3]

    of_set = features.Features(Sums(), torch.Tensor.float, torch.device("cpu")).of_set  # type: ignore[arg-type]
    images = torch.arange(4 * 12, dtype=torch.uint8).reshape(4, 3, 2, 2)
    first = of_set([images], "k", tmp_path)
    (file,) = tmp_path.iterdir()
    right = file.read_bytes()
    for content in (b"", right[:99], *others(file)):
        file.write_bytes(content)
        with pytest.warns(UserWarning, match="damaged.*computed again"):
            assert torch.equal(of_set([images], "k", tmp_path), first)
        assert len(features.load(file)) == 4
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert torch.equal(of_set([images], "k", tmp_path / "file" / "in"), first)
