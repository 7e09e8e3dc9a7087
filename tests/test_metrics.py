"""The suite: the same numbers on one process as on several, and nothing silently missing."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from egsde.data import Fluent, TwoDomains
from egsde.evaluation.metrics import (
    CleanFid,
    DomainAccuracy,
    EvaluationProtocol,
    Suite,
    features,
    frechet,
    kid,
    pairwise,
)
from egsde.evaluation.metrics.reference import Reference
from egsde.programs.callbacks.pictures import to_uint8
from egsde.scores.files import load_extractor
from egsde.sde import DDPM


class Tiny(torch.nn.Module):
    """A feature network of twelve numbers that counts its images."""

    fingerprint = "tiny"

    def __init__(self) -> None:
        super().__init__()
        self.images = 0

    def describe(self) -> dict[str, object]:
        return {"extractor": "tiny", "weights_sha256": self.fingerprint}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.images += len(x)
        return F.adaptive_avg_pool2d(x, 2).flatten(1).float()


def shrink(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255


def images(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, 16, 16), generator=generator, dtype=torch.uint8)


def suite(cache: Path, network: torch.nn.Module | None = None, **options: object) -> Suite:
    return Suite(
        EvaluationProtocol(name="test", resize=shrink),
        extractor=lambda: network or Tiny(),
        cache=cache,
        **options,
    )


Y, X, TRUTH, TARGET = images(7, 0), images(7, 1), images(7, 2), images(9, 3)
WAYS = ("", "_source", "_floor", "_truth", "_truth_source")
IDS = [f"cat/{i}" for i in range(7)]


class Ranks:
    """Several processes in turn: first each says its part, then each hears all."""

    def __init__(self, world: int) -> None:
        self.said: list[list] = [[] for _ in range(world)]

    def say(self, rank: int) -> Callable[[object], list]:
        return lambda part: self.said[rank].append(part) or [part]

    def hear(self) -> Callable[[object], list]:
        calls = itertools.count()

        def gather(part: object) -> list:
            call = next(calls)
            return [parts[call] for parts in self.said]

        return gather


def evaluate(cache: Path, order: list[int], world: int, batch: int, shard_reference: bool) -> dict:
    """The result that each of `world` processes gets, after checking that it is one result."""
    ranks = [suite(cache / str(rank)) for rank in range(world)]
    reference = Ranks(world)
    for rank, one in enumerate(ranks):
        one.start()
        mine = order[rank::world]
        for k in range(0, len(mine), batch):
            i = mine[k : k + batch]
            one.update([IDS[j] for j in i], Y[i], X[i], TRUTH[i])
        if shard_reference:
            target, source = TARGET[rank::world], X[rank::world]
            say = reference.say(rank)
            one.set_reference(target.split(2), source.split(3), "k", gather=say)
        else:
            one.set_reference(TARGET.split(4), [X], "k")
    results = Ranks(world)
    for rank, one in enumerate(ranks):
        if shard_reference:
            one.reference = Reference()
            one.set_reference([], [], "k", gather=reference.hear())
        one.compute(results.say(rank))
    heard = [one.compute(results.hear()) for one in ranks]
    assert all(result == heard[0] for result in heard)
    return heard[0]


@pytest.mark.filterwarnings("ignore:FID")
def test_same_numbers_for_any_order_batch_and_process_count(tmp_path: Path) -> None:
    want = evaluate(tmp_path / "one", list(range(7)), 1, 7, False)
    assert set(want["metrics"]) == {
        *("fid", "fid_floor", "fid_source", "kid", "kid_floor", "kid_source", "kid_se"),
        *("precision", "precision_floor", "precision_source"),
        *("recall", "recall_floor", "recall_source", "nearer"),
        *(f"{k}{of}" for k in ("l2", "psnr", "ssim") for of in WAYS),
    }
    assert {"fid", "kid", "precision", "l2", "ssim_truth"} <= want["intervals"].keys()
    for name, (low, high) in want["intervals"].items():
        assert low - 1e-9 <= want["metrics"][name] <= high + 1e-9
    assert want["metrics"]["l2_source"] == 0 and want["metrics"]["psnr_source"] == 100
    assert want["protocol"]["n_images"] == 7 and want["protocol"]["n_reference"] == 9
    for world, batch, split in ((2, 3, True), (9, 2, False)):
        got = evaluate(tmp_path / f"{world}{split}", [6, 2, 0, 4, 5, 1, 3], world, batch, split)
        assert got == want


@pytest.mark.filterwarnings("ignore:FID")
def test_numbers_are_those_of_the_functions(tmp_path: Path) -> None:
    got = evaluate(tmp_path, list(range(7)), 1, 3, False)
    rows = {k: Tiny()(shrink(v)).double() for k, v in {"y": Y, "x": X, "t": TARGET}.items()}
    assert got["metrics"]["fid"] == pytest.approx(frechet(rows["y"], rows["t"]), rel=1e-9)
    assert got["metrics"]["fid_source"] == pytest.approx(frechet(rows["x"], rows["t"]), rel=1e-9)
    assert got["metrics"]["kid"] == pytest.approx(kid(rows["y"], rows["t"])[0], rel=1e-9)
    ssim = pairwise.ssim(Y / 255, TRUTH / 255)
    assert [row["ssim_truth"] for row in got["per_image"]] == ssim.tolist()
    assert [row["id"] for row in got["per_image"]] == IDS
    json.dumps(got)


@pytest.mark.filterwarnings("ignore:FID")
def test_floor_has_the_counts_of_the_fid_or_is_of_halves(tmp_path: Path) -> None:
    real = images(12, 4)
    one = suite(tmp_path)
    one.start()
    one.update(IDS, Y, X)
    one.set_reference([TARGET], [], "halves")
    result = one.compute()
    assert result["protocol"]["n_floor"] == [5, 4]
    assert result["metrics"]["fid_floor"] == frechet(
        one.reference.target[::2], one.reference.target[1::2]
    )
    one.set_reference([TARGET], [], "others", floor=[real])
    result = one.compute()
    assert result["protocol"]["n_floor"] == [7, 9]
    assert result["protocol"]["floor"] == "other real images"
    assert result["metrics"]["fid_floor"] == frechet(one.reference.real[:7], one.reference.target)
    assert result["metrics"]["kid_floor"] == kid(one.reference.real[:7], one.reference.target)[0]


def test_image_counted_twice_is_an_error(tmp_path: Path) -> None:
    one = suite(tmp_path, fid=False, kid=False, prc=False)
    one.start()
    one.update(IDS[:2], Y[:2], X[:2])
    one.update(IDS[1:2], Y[1:2], X[1:2])
    with pytest.raises(ValueError, match="'cat/1' was counted twice"):
        one.compute()


def test_reference_rows_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Tiny()
    doubled = torch.cat([TARGET, TARGET[:1]])
    for _ in range(2):
        one = suite(tmp_path / "cache", network)
        one.start()
        one.set_reference(doubled.split(4), [], "k")
        assert len(one.reference.target) == 10
        assert network.images == 9
    file = next((tmp_path / "cache").glob("k-target-*.npz"))
    shipped = tmp_path / "shipped" / file.name.replace("k-", "other-")
    features.save(features.load(file), shipped, np.float16)
    monkeypatch.setattr(features, "SHIPPED", shipped.parent)
    two = suite(tmp_path / "empty", network)
    two.start()
    two.set_reference(doubled.split(4), [], "k")
    assert network.images == 9 and not (tmp_path / "empty").exists()
    torch.testing.assert_close(
        two.reference.target, one.reference.target, rtol=5e-4, atol=1e-6
    )  # float16


def test_few_images_are_told_once_and_never_refused(tmp_path: Path) -> None:
    one = suite(tmp_path)
    one.start()
    one.set_reference([TARGET], [], "k")
    one.update(IDS, Y, X)
    with pytest.warns(UserWarning, match="FID of 7 images with 12 features is biased"):
        assert "fid_source" not in one.compute()["metrics"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one.compute()
    one.start()
    one.update(IDS[:1], Y[:1], X[:1])
    with pytest.warns(UserWarning, match="1 translations, 9 reference images"):
        usual = {f"{k}{of}" for k in ("l2", "psnr", "ssim") for of in ("", "_source")}
        assert set(one.compute()["metrics"]) == usual
    empty = suite(tmp_path, fid=False, kid=False, prc=False)
    empty.start()
    assert empty.compute()["metrics"] == {} and empty.compute()["per_image"] == []


@pytest.mark.parametrize(("style", "side"), [("flat", "source"), ("3d", "target")])
def test_shipped_rows_are_those_of_the_embedded_test_images(style: str, side: str) -> None:
    """Else the first run would take minutes: ship again after a change of data or resize."""

    class Named(Tiny):
        fingerprint = "c9ce7f36d5ee9536ecde7e5b5b679a59d152a85abff7981e0d6c0e5d706e3557"

    network = features.Features(Named(), CleanFid(), torch.device("cpu"))
    pictures = torch.from_numpy(Fluent().images(style, "test", 64).arrays).permute(0, 3, 1, 2)
    file = features.SHIPPED / f"fluent-64-flat-3d-test-{side}-{network.fingerprint}.npz"
    rows = features.load(file)
    assert {features.image_hash(picture) for picture in pictures} == set(rows)
    assert all(row.shape == (2048,) and row.min() >= 0 for row in rows.values())


def test_the_domain_is_that_of_the_largest_logit() -> None:
    """On the real images of the demo it tells most of both styles; it is averaged as the rest."""
    shares = {}
    for style, other in (("flat", "3d"), ("3d", "flat")):
        extractor = load_extractor("demo/flat_or_3d.safetensors", DDPM(), target=other)
        classify = DomainAccuracy(extractor)  # of the sources: few are taken for the target
        suite = Suite(fid=False, kid=False, prc=False, single={"domain": classify})
        data = TwoDomains(Fluent(), style, other, size=64, limit=60)
        suite.start()
        for batch in data.translation_loader("train", batch_size=30):
            image = to_uint8(batch["x0"])
            suite.update(batch["id"], image, image)
        shares[style] = suite.compute()["metrics"]["domain"]
    assert shares["3d"] < 0.1 and shares["flat"] < 0.1
