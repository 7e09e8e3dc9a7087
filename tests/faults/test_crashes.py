"""Killed at a file event or at any moment, a command that is given again ends as if nothing was.

EGSDE_KILLS=50 kills at 50 random moments and at every file event, and writes docs/data/kills.csv.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from demo_networks import write_networks
from egsde.programs.callbacks.checkpoints import TwoFiles
from egsde.programs.sample import sample
from faults.children import Place, child, told
from killed import COUNTS
from runs import composed, rows, trained

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("EGSDE_KILLS", 0))
COUNTED = ("events", "moments", "outside", "loop", "saving")
TRAIN = ("translate=null", "data.flip=true", "limit=10", "network.channel_mult=[1]",
         "data.size=8")  # fmt: skip


def translating(networks: list[str], out: Path, *options: str):
    few = ["limit=6", "data.eval_batch_size=2", "sampler.grid.steps=4"]
    return lambda: sample(composed("sample", out, *networks, *few, *options))


def pictures(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (out / "images").rglob("*.png")}


def same_translations(out: Path, straight: Path) -> None:
    """Every byte of pictures and of the table, every number; nothing half-written."""
    assert pictures(out) == pictures(straight)
    assert (out / "images.csv").read_bytes() == (straight / "images.csv").read_bytes()
    found = [json.loads((folder / "metrics.json").read_text()) for folder in (out, straight)]
    assert found[0]["metrics"] == found[1]["metrics"] and found[0]["nfe"] == found[1]["nfe"]
    names = [{p.name for p in folder.rglob("*")} for folder in (out, straight)]
    assert names[0] == names[1] and not any(name.endswith(".tmp") for name in names[0])


def same_training(out: Path, straight: Path) -> None:
    saved = [
        torch.load(f / "checkpoints" / "last.ckpt", weights_only=True) for f in (out, straight)
    ]
    for part in ("state_dict", "optimizer_states", "global_step"):
        ours, theirs = (torch.utils._pytree.tree_leaves(s[part]) for s in saved)
        equal = (
            torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
            for a, b in zip(ours, theirs, strict=True)
        )  # fmt: skip
        assert all(equal), part
    table = [[{k: v for k, v in r.items() if "second" not in k} for r in rows(f)]
             for f in (out, straight)]  # fmt: skip
    assert table[0] == table[1]
    assert (out / "weights.safetensors").read_bytes() == (
        straight / "weights.safetensors"
    ).read_bytes()
    names = [{p.name for p in folder.rglob("*")} for folder in (out, straight)]
    assert names[0] == names[1] and not any(name.endswith(".tmp") for name in names[0])


def survived(name: str, work, straight_work, folder: Path, check) -> None:
    """Kill at file events and at moments of the loop, go on, check; KILLS in full are kept."""
    out, straight, place = folder / "out", folder / "straight", Place()

    def watched(run):
        def told_where() -> None:
            for owner, method, number in (
                (Trainer, "fit", Place.LOOP), (Trainer, "test", Place.LOOP),
                (TwoFiles, "save_checkpoint", Place.SAVING),
            ):  # fmt: skip
                place.inside(owner, method, number)
            run()

        return told_where

    for _ in range(2):  # the second without what a first run loads
        shutil.rmtree(straight, ignore_errors=True)
        code, events = child(watched(straight_work), straight, place=place)
        assert code == 0 and events > 30, told(straight)
    chance, seconds = random.Random(0), place.seconds
    every = range(1, events + 1)
    at_events = every if KILLS else sorted(chance.sample(every, 4))
    turns = [{"last": event} for event in at_events]
    found: Counter[str] = Counter()
    while turns or found["moments"] < (KILLS or 3):
        turn = turns.pop() if turns else {"after": chance.uniform(0, seconds)}
        shutil.rmtree(out, ignore_errors=True)
        place.shared[0] = Place.OUTSIDE
        # Every fourth moment is one of the whole command, setting up and reporting included.
        whole = "after" in turn and found["moments"] % 4 == 3
        code, _ = child(watched(work), out, **turn, place=None if whole else place)
        assert code in (0, -9), told(out)
        if code == -9:
            found["events" if "last" in turn else "moments"] += 1
            found[COUNTED[2 + place.now]] += 1
        assert child(work, out)[0] == 0, told(out)
        check(out, straight)
    print(f"{name}: {dict(found)} of {events} file events")
    assert found["events"] == len(at_events)
    if KILLS:
        keep(name, events, found)


def keep(name: str, events: int, found: Counter[str]) -> None:
    """The counts of all kills, which docs/reliability.md shows."""
    kept = {name: [events, *(found[key] for key in COUNTED)]}
    if COUNTS.exists():
        with COUNTS.open(newline="") as file:
            kept = {row[0]: row[1:] for row in list(csv.reader(file))[1:]} | kept
    with COUNTS.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["program", "file events", *COUNTED])
        table.writerows([key, *kept[key]] for key in sorted(kept))


def test_translations_that_are_killed(tmp_path):
    networks = write_networks(tmp_path)
    works = [translating(networks, tmp_path / name) for name in ("out", "straight")]
    survived("sample.py", *works, tmp_path, same_translations)


def test_trainings_that_are_killed(tmp_path):
    works = [lambda f=tmp_path / name: trained(f, *TRAIN) for name in ("out", "straight")]
    survived("train.py", *works, tmp_path, same_training)


def test_four_shards_of_which_one_is_killed_are_one_run(tmp_path):
    networks = write_networks(tmp_path)
    options = ("data.eval_batch_size=1", "limit=9")
    straight, out = tmp_path / "straight", tmp_path / "out"
    assert child(translating(networks, straight, *options), straight)[0] == 0, told(straight)
    shards = [translating(networks, out, *options, f"shard={k}/4") for k in range(4)]
    merge = translating(networks, out, *options, "shard=merge")
    for k, work in enumerate(shards):
        code, _ = child(work, out, last=8 if k == 2 else None)
        assert code == (-9 if k == 2 else 0), told(out)
    assert child(merge, out)[0] == 1
    assert "images are missing" in told(out) and "start again shard=2/4" in told(out)
    assert not (out / "metrics.json").exists()
    assert child(shards[2], out)[0] == 0, told(out)
    assert child(merge, out)[0] == 0, told(out)
    assert pictures(out) == pictures(straight) and len(pictures(out)) == 9
    assert (out / "images.csv").read_bytes() == (straight / "images.csv").read_bytes()
    assert (out / "grid.png").read_bytes() == (straight / "grid.png").read_bytes()
    found = [json.loads((folder / "metrics.json").read_text()) for folder in (out, straight)]
    assert all(found[0][key] == found[1][key] for key in ("n", "nfe", "metrics", "protocol"))
    names = {p.relative_to(out).as_posix() for p in out.rglob("*") if "seconds" not in p.name}
    assert names == {p.relative_to(straight).as_posix() for p in straight.rglob("*")
                     if "seconds" not in p.name}  # fmt: skip
    with next(out.glob("seconds-0-of-4.csv")).open() as file:
        assert len(list(csv.reader(file))) > 0
