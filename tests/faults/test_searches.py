"""A search or a study that is stopped or killed goes on from what is there; a demo ends."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path

import pytest

from demo_networks import write_networks
from faults.forked import Forked
from faults.test_crashes import pictures, same_translations
from faults.test_disk_full import tool
from faults.test_workers import folders
from runs import command

pytestmark = pytest.mark.slow


def searching(folder: Path, out: Path, minutes: float):
    judged = [o for o in write_networks(folder) if o != "metrics=pairwise"]
    judged += ["metrics=domain", *(f"metrics.{name}=false" for name in ("fid", "kid", "prc")),
               f"judge.weights={folder / 'classifier.safetensors'}", "data=fluent",
               "sampler.grid.steps=4"]  # fmt: skip
    return tool("tune", *judged, f"minutes={minutes}", "limit=2", f"out={out}")


def finished(out: Path) -> dict[str, int]:
    """Trials that have ended, and when."""
    return {p.parent.name: p.stat().st_mtime_ns for p in out.glob("trials/*/metrics.json")}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_a_search_goes_on(name, inside, tmp_path):
    out, number = tmp_path / "out", getattr(signal, name)
    job = Forked(searching(tmp_path, out, 60), tmp_path / "log")
    job.until(lambda: len(finished(out)) >= 2)
    if inside:
        job.until(lambda: any(not (p.parent / "metrics.json").exists()
                              for p in out.glob("trials/*/run.json")))  # fmt: skip
    os.killpg(job.pid, number)
    code = job.wait()
    before = finished(out)
    if name == "SIGKILL":
        assert code == -9
    else:
        assert code == 128 + number, job.said
        told = job.said.splitlines()[-2:]
        assert f"stopped by {name}: {len(before)} trials are done, in {out}" in told[0]
        assert told[1].startswith("to go on: egsde ") and f"out={out}" in told[1]
        assert "Traceback" not in job.said and not list(out.glob("**/.lock"))
    again = Forked(searching(tmp_path, out, 0.1), tmp_path / "log")
    assert again.wait() == 0, again.said
    after = finished(out)
    assert before.items() <= after.items() and len(after) > len(before)
    with (out / "trials.csv").open(newline="") as file:
        assert {row["trial"] for row in csv.DictReader(file)} == after.keys()
    assert not list(out.rglob("*.tmp")) and not list(out.rglob(".lock*"))


def studying(folder: Path, out: Path):
    domains = [f"source={folder / 'cats'}", f"target={folder / 'dogs'}"]
    folders(folder)
    write_networks(folder)
    return tool("study", *domains, "minutes=5", "methods=sdedit,ilvr", "size=16", "limit=4",
                "steps=100", "judge=none", f"score={folder / 'score.safetensors'}", "check=false",
                "metrics=pairwise", "trainer.accelerator=cpu", "data.num_workers=0",
                "data.eval_batch_size=1", "logger=none", f"out={out}")  # fmt: skip


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_a_study_goes_on(name, tmp_path):
    """Killed in its second method: what it has started ends with it, and the first stays."""
    out, number = tmp_path / "out", getattr(signal, name)
    job = Forked(studying(tmp_path, out), tmp_path / "log")
    job.until(lambda: len(list((out / "ilvr" / "images").glob("*.png"))) >= 1, 300)
    os.kill(job.pid, number)
    code = job.wait()
    assert job.alone() and not (out / "ilvr" / ".lock").exists(), job.said
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    if name == "SIGKILL":
        assert code == -9 and "stopped by SIGTERM" in job.said
    else:
        assert code == 128 + number, job.said
        told = job.said.splitlines()[-2:]
        assert f"stopped by {name}: sdedit is translated, in {out}" in told[0]
        assert told[1].startswith("to go on: egsde study ") and f"out={out}" in told[1]
    assert "Traceback" not in job.said
    again = Forked(studying(tmp_path, out), tmp_path / "log")
    assert again.wait(300) == 0, again.said
    assert all(p.stat().st_mtime_ns == made for p, made in before.items() if "images" in p.parts)
    with (out / "study.csv").open(newline="") as file:
        assert {"sdedit", "ilvr"} < {row["method"] for row in csv.DictReader(file)}
    assert not list(out.rglob("*.tmp")) and not list(out.rglob(".lock*"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_sweep_goes_on(name, tmp_path):
    """Stopped in its second job: the table is that of the first, what goes on says it last."""
    number = getattr(signal, name)

    def sweeping(out: Path):
        few = ["data=fluent", "limit=4", "data.eval_batch_size=1", "seed=0,1", f"out={out}"]
        return lambda: command("sample", "-m", *write_networks(tmp_path), *few)

    out, straight = tmp_path / "out", tmp_path / "straight"
    assert Forked(sweeping(straight), tmp_path / "log").wait() == 0
    job = Forked(sweeping(out), tmp_path / "log")
    job.until(lambda: len(pictures(out / "1")) >= 1)
    os.kill(job.pid, number)
    assert job.wait() == 128 + number and job.alone(), job.said
    told = job.said.splitlines()
    assert told[-3].startswith("1 jobs; ") and f"stopped by {name}: " in told[-2], job.said
    assert told[-1].startswith("to go on: python sample.py -m ") and "seed=0,1" in told[-1]
    again = Forked(sweeping(out), tmp_path / "log")
    assert again.wait() == 0, again.said
    for job_of in ("0", "1"):
        same_translations(out / job_of, straight / job_of)
    tables = [(folder / "sweep.csv").read_text().splitlines() for folder in (out, straight)]
    assert list(map(len, tables)) == [3, 3] and not list(out.rglob(".lock*"))
