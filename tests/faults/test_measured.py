"""A process that is lost while a folder is measured, a run of Weights & Biases that was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from egsde.evaluation.metrics.suite import Suite
from faults.forked import Forked
from faults.test_disk_full import tool
from faults.test_signals import ROOT, group_ends, second_of
from faults.test_workers import folders, translating
from runs import TRAIN, command, rows
from wandb_files import read_run

pytestmark = pytest.mark.slow
SLOW = """
import os, time
from pathlib import Path
from stand_in import Twelve

class Slow(Twelve):
    def forward(self, x):
        Path(__file__).with_name(f"features-{os.environ.get('LOCAL_RANK', 0)}").touch()
        time.sleep(0.3)
        return super().forward(x)

def slow(path=None, download=True):
    return Slow()
"""


def test_a_signal_while_it_measures_loses_no_number(tmp_path, monkeypatch):
    out, compute = tmp_path / "out", Suite.compute

    def measured(self, *others):
        os.kill(os.getpid(), signal.SIGTERM)
        return compute(self, *others)

    monkeypatch.setattr(Suite, "compute", measured)
    job = Forked(translating(tmp_path, out, "limit=2", "metrics=pairwise"), tmp_path / "log")
    assert job.wait() == 143, job.said
    assert "stopped by SIGTERM: 2 images are there, and measured" in job.said.splitlines()[-2]
    assert json.loads((out / "metrics.json").read_text())["metrics"]["l2"] > 0


def test_a_process_that_is_lost_while_features_are_extracted_is_named(tmp_path):
    folders(tmp_path)
    (tmp_path / "slow_features.py").write_text(SLOW)
    place = [str(tmp_path), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    job = subprocess.Popen(
        [sys.executable, str(ROOT / "evaluate.py"), "output=cats/test", "target=dogs/test",
         "source=cats/test", "metrics.extractor._target_=slow_features.slow",
         "metrics.protocol.resize._target_=stand_in.Shrink", "metrics.cache=null",
         "allow=[slow_features,stand_in]", "trainer=ddp_cpu", "logger=none", "out=run"],
        cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(place)},
    )  # fmt: skip
    while len(list(tmp_path.glob("features-*"))) < 2:
        assert job.poll() is None, job.communicate()
        time.sleep(0.02)
    os.kill(second_of(job, "evaluate.py"), signal.SIGKILL)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 1 and group_ends(job.pid), (out, err)
    assert "process 1 of 2 has ended with signal 9" in err and "Traceback" not in err
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_a_killed_run_of_weights_and_biases_goes_on_as_itself(tmp_path):
    """Under its id, from the last save on; its rows were on the disk while it ran."""
    out = tmp_path / "out"
    tiny = [o for o in TRAIN if not o.startswith(("data.size", "translate", "trainer.max"))]
    options = [*tiny, "logger=wandb", "logger.wandb.offline=true", "translate=null", "data.size=8",
               "callbacks.checkpoint.every=2", "trainer.max_steps=9", f"out={out}"]  # fmt: skip
    hang = ["+callbacks.stop._target_=stops.Hang", "+callbacks.stop.steps=6"]

    def steps() -> list[list[int]]:
        files = sorted((out / "wandb").glob("offline-*/run-*.wandb"))
        return [[int(row["trainer/global_step"]) for row in read_run(file).history
                 if "train/loss" in row] for file in files]  # fmt: skip

    job = Forked(lambda: command("train", *options, *hang), tmp_path / "log")
    job.until(lambda: steps() == [[0, 1, 2, 3, 4]])
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -9, job.said
    again = Forked(lambda: command("train", *options), tmp_path / "log")
    assert again.wait() == 0, again.said
    assert steps() == [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8]]
    runs = [read_run(file) for file in (out / "wandb").glob("offline-*/run-*.wandb")]
    assert {run.id for run in runs if run.id} == {(out / "wandb" / "id").read_text()}
    assert [row["step"] for row in rows(out)] == list(range(9))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_demo_ends_with_its_page_open(name, tmp_path):
    pytest.importorskip("gradio")
    port, number = 17861 + (name == "SIGTERM"), getattr(signal, name)
    job = Forked(tool("demo", f"port={port}"), tmp_path / "log")
    address, opened = f"http://127.0.0.1:{port}", []

    def answers() -> bool:
        try:
            opened.append(urllib.request.urlopen(address, timeout=5))
        except OSError:
            time.sleep(0.2)
        return bool(opened)

    job.until(answers)
    opened.append(urllib.request.urlopen(f"{address}/gradio_api/heartbeat/abc", timeout=5))
    os.kill(job.pid, number)
    assert job.wait(15) == 128 + number, job.said
    assert "Traceback" not in job.said and f"stopped by {name}" in job.said.splitlines()[-2]
