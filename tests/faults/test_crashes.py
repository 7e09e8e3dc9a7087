"""Killed at a file event or at any moment, a command that is given again ends as if nothing was."""

from __future__ import annotations

import csv
import json
import random
import shutil
import time
from pathlib import Path

import pytest
import torch

from demo_networks import write_networks
from egsde.programs.sample import sample
from faults.children import child, kills, told
from runs import composed, rows, trained

pytestmark = pytest.mark.slow
TRAIN = ("translate=null", "data.flip=true", "limit=10", "network.channel_mult=[1]",
         "data.size=8")  # fmt: skip


def translating(networks: list[str], out: Path, *options: str):
    few = ["limit=6", "data.eval_batch_size=2", "sampler.grid.steps=10"]
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


def survived(work, out: Path, check, count: int, straight_events: int, seconds: float) -> dict:
    """Kill `count` times, half at random file events and half at random moments; go on; check."""
    chance, found = random.Random(0), {"file event": 0, "moment": 0, "had ended": 0}
    events = list(range(1, straight_events + 1))
    chosen = sorted(chance.sample(events, min(-(-count // 2), len(events))))
    for turn in range(count):
        shutil.rmtree(out, ignore_errors=True)
        if turn < len(chosen):
            code, _ = child(work, out, last=chosen[turn])
            kind = "file event"
        else:
            code, _ = child(work, out, after=chance.uniform(0.1, 1.0) * seconds)
            kind = "moment"
        found[kind if code == -9 else "had ended"] += 1
        assert code in (0, -9), told(out)
        assert child(work, out)[0] == 0, told(out)
        check()
    return found


def test_translations_that_are_killed(tmp_path, record_property):
    networks = write_networks(tmp_path)
    straight, out = tmp_path / "straight", tmp_path / "out"
    work = translating(networks, straight)
    child(work, straight)
    shutil.rmtree(straight)
    began = time.perf_counter()
    code, events = child(work, straight)
    seconds = time.perf_counter() - began
    assert code == 0 and events > 30, told(straight)
    found = survived(translating(networks, out), out, lambda: same_translations(out, straight),
                     kills(10), events, seconds)  # fmt: skip
    record_property("killed", str(found))
    print(f"translations: killed {found} of {events} file events")
    assert found["file event"] >= 1


def test_trainings_that_are_killed(tmp_path, record_property):
    straight, out = tmp_path / "straight", tmp_path / "out"

    def training(folder: Path):
        return lambda: trained(folder, *TRAIN)

    began = time.perf_counter()
    code, events = child(training(straight), straight)
    seconds = time.perf_counter() - began
    assert code == 0 and events > 10, told(straight)
    found = survived(training(out), out, lambda: same_training(out, straight),
                     kills(8), events, seconds)  # fmt: skip
    record_property("killed", str(found))
    print(f"trainings: killed {found} of {events} file events")
    assert found["file event"] >= 1


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
