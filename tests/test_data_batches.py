"""Batches: shards without padding, balance, flips in pairs, exact resume."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from PIL import Image

from egsde.data import Fluent, TwoDomains
from egsde.data.domains import spread
from egsde.data.shards import Batches, shard
from folders import data, fill


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 40), world=st.integers(1, 9), limit=st.integers(1, 50))
def test_shards_are_a_partition(count: int, world: int, limit: int) -> None:
    parts = [shard(count, rank, world) for rank in range(world)]
    assert sorted(sum(parts, [])) == list(range(count))
    chosen = spread(count, limit)
    assert len(chosen) == min(limit, count) and chosen == sorted(set(chosen))
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    per=st.integers(1, 5),
    world=st.integers(1, 4),
    epochs=st.integers(1, 4),
)
def test_every_image_comes_equally_often(
    sizes: list[int], per: int, world: int, epochs: int
) -> None:
    seen = [np.zeros(n, int) for n in sizes]
    ranks = [Batches(sizes, [per] * len(sizes), rank=r, world=world) for r in range(world)]
    assert len({batches.turn for batches in ranks}) == 1
    for batches in ranks:
        for batch in islice(batches, epochs * batches.turn):
            found = [sum(k == domain for k, _, _ in batch) for domain in range(len(sizes))]
            assert found == [per] * len(sizes)
            for domain, place, _ in batch:
                seen[domain][place] += 1
    assert all(times.max() - times.min() <= 1 for times in seen)


def test_ranks_share_what_one_process_would_see() -> None:
    def batches(seed: int, **ranks: int) -> list[list]:
        made = Batches([17], [8 // ranks.get("world", 1)], seed=seed, flip=True, **ranks)
        return list(islice(made, 9))

    two = [batches(3, rank=r, world=2) for r in (0, 1)]
    assert batches(3) == [a + b for a, b in zip(*two, strict=True)]
    assert batches(3) != batches(4)


def test_labelled_batches_are_balanced_in_label_order(tmp_path: Path) -> None:
    for domain, count in (("cat", 9), ("wild", 5), ("dog", 30)):
        fill(tmp_path / "train" / domain, count)
        fill(tmp_path / "val" / domain, 2)
    options = ["data.extra=[wild]", "data.view=labelled", "data.batch_size=9", "data.size=8"]
    module = data("afhq", f"data.root={tmp_path}", *options)
    assert module.domains == ["cat", "wild", "dog"]
    batches = list(islice(module.train_dataloader(), 10))
    assert all(b["label"].bincount().tolist() == [3, 3, 3] for b in batches)
    labelled = [pair for b in batches for pair in zip(b["id"], b["label"].tolist(), strict=True)]
    dogs = [name for name, label in labelled if label == 2]
    assert sorted(dogs) == [f"{k:03d}.png" for k in range(30)]
    val = next(iter(module.val_dataloader()))
    assert sorted(val["label"].tolist()) == [0, 0, 1, 1, 2, 2]


def test_a_batch_of_another_view_than_the_model_reads_says_so() -> None:
    module = data("fluent", "data.view=both", "data.limit=4", "data.batch_size=2")
    shown = next(iter(module.train_dataloader()))
    loop = SimpleNamespace(total_batch_idx=0)
    module.trainer = SimpleNamespace(training=True, fit_loop=loop)  # type: ignore[assignment]
    batch = module.on_after_batch_transfer(shown, 0)
    assert set(batch) == {"id", "id_y", "x", "y"} and batch["x"].shape == (2, 3, 64, 64)
    with pytest.raises(ValueError, match="data.view=both shows id, id_y, x, y, and .* reads image"):
        batch["image"]


def test_flips_mirror_half_of_the_images_and_pairs_together(tmp_path: Path) -> None:
    ramp = Image.fromarray(np.tile(np.arange(0, 256, 16, dtype=np.uint8), (16, 1)))
    for k in range(64):
        for level, domain in enumerate(("A", "B")):  # other bytes, the same pixels
            for split in ("train", "test"):
                (tmp_path / split / domain).mkdir(parents=True, exist_ok=True)
                ramp.save(tmp_path / split / domain / f"{k}.png", compress_level=level)
    module = data("paired_folder", f"data.root={tmp_path}", "data.size=16", "data.batch_size=64")
    batch = next(iter(module.train_dataloader()))
    flipped = batch["x"][:, 0, 0, 0] > 0
    assert 16 <= int(flipped.sum()) <= 48 and torch.equal(batch["x"], batch["y"])
    assert (next(iter(module.val_dataloader()))["x"][:, 0, 0, 0] < 0).all()


def test_limit_and_ranks_of_translation() -> None:
    module = data("fluent", "data.limit=7")
    loaders = [module.translation_loader("test", rank, 2, 2) for rank in (0, 1)]
    ids = [sum((batch["id"] for batch in loader), []) for loader in loaders]
    every = [row["id"] for row in Fluent.index() if row["split"] == "test"]
    assert sorted(ids[0] + ids[1]) == sorted(every[k * 243 // 7] for k in range(7))
    assert [len(part) for part in ids] == [4, 3]


def test_unknown_choices_are_named() -> None:
    store = Fluent()
    with pytest.raises(ValueError, match="target, labelled, both, paired"):
        TwoDomains(store, "flat", "3d", size=32, view="pairs")
    with pytest.raises(ValueError, match="both 'flat'"):
        TwoDomains(store, "flat", "flat", size=32)
    with pytest.raises(ValueError, match="batchsize"):
        TwoDomains(store, "flat", "3d", size=32, batchsize=3)
    with pytest.raises(ValueError, match="flat or 3d"):
        store.images("apple", "test", 32)


def test_a_trainer_that_stands_somewhere_gets_the_batches_from_there() -> None:
    module = data("fluent", "data.batch_size=200", "data.flip=true")
    whole = [batch["id"] for batch in islice(module.train_dataloader(), 21)]
    assert whole[:7] != whole[7:14]
    for steps, together in ((3, 1), (7, 1), (5, 2)):
        trainer = SimpleNamespace(
            global_step=steps, accumulate_grad_batches=together, global_rank=0, world_size=1
        )
        module.trainer = trainer  # type: ignore[assignment]
        rest = [batch["id"] for batch in islice(module.train_dataloader(), 3)]
        assert rest == whole[steps * together :][:3]


def test_loading_leaves_the_global_random_state_alone() -> None:
    module = data("fluent")
    before = torch.random.get_rng_state()
    for loader in (module.train_dataloader(), module.val_dataloader(), module.translation_loader()):
        next(iter(loader))
    assert torch.equal(before, torch.random.get_rng_state())
