"""Sweeps: every job a folder and a value of its own, in one process or in several."""

from __future__ import annotations

import csv
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from demo_networks import write_networks
from egsde.programs import ended
from egsde.programs.folders import claiming
from egsde.programs.lock import held
from egsde.programs.settings import CONF
from runs import TRAIN, command


def composed_freely(name: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name)


ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    chosen = write_networks(tmp_path_factory.mktemp("networks"))
    return [option for option in chosen if not option.startswith("logger")] + ["limit=2"]


def resident() -> float:
    """MiB of memory in use; the calling test is skipped where the system does not tell."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        pytest.skip("this system has no /proc")
    return int(statistics.read_text().split()[1]) * resource.getpagesize() / 2**20


def test_a_second_sweep_in_the_folder_is_refused(networks, tmp_path, capsys):
    """Its jobs would take the folders that the first has not come to, and its table's rows."""
    row, out = tmp_path / ".jobs" / "000000.json", f"out={tmp_path}"
    row.parent.mkdir()
    row.write_text("{}")
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        with held(tmp_path, ".lock-sweep"):
            os.write(writing, b".")
            signal.pause()
    os.read(reading, 1)
    try:
        assert command("sample", "-m", *networks, "seed=0,1", out) == 1
        assert f'is in use by {{"process": {pid}' in capsys.readouterr().err and row.exists()
        assert command("sample", "-m", *networks, "shard=0/2,2/2", out) == 1
        assert "shard=2/2 is none" in capsys.readouterr().err
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert command("sample", "-m", *networks, "seed=a,b", out) == 1
    assert "in use" not in capsys.readouterr().err and not list(tmp_path.glob(".lock*"))


@pytest.mark.slow
def test_three_jobs_in_one_process(networks, tmp_path, monkeypatch):
    from egsde.programs import sample as module

    memory = []
    inner = module.sample

    def measured(cfg):
        value = inner(cfg)
        memory.append(resident())
        return value

    monkeypatch.setattr(module, "sample", measured)
    weights = "energy.weights.realism=300,500,700"
    assert command("sample", "-m", *networks, weights, f"hydra.sweep.dir={tmp_path}") == 0
    found = [json.loads((tmp_path / str(i) / "metrics.json").read_text()) for i in range(3)]
    assert len({f["metrics"]["l2"] for f in found}) == 3
    records = [json.loads((tmp_path / str(i) / "run.json").read_text()) for i in range(3)]
    assert [r["config"]["energy"]["weights"]["realism"] for r in records] == [300, 500, 700]
    assert [Path(r["config"]["out"]) for r in records] == [tmp_path / str(i) for i in range(3)]
    assert all((tmp_path / str(i) / "metrics.csv").exists() for i in range(3))
    assert memory[2] - memory[1] < 30  # MiB; the first job also loads libraries


@pytest.mark.slow
def test_a_job_that_fails_does_not_end_the_sweep(networks, tmp_path, capsys):
    starts = "translator.t_start=0.3,0.33333,0.5"
    assert command("sample", "-m", *networks, starts, f"hydra.sweep.dir={tmp_path}") == 1
    assert "error: " in (told := capsys.readouterr().err) and "Traceback" not in told
    assert [(tmp_path / str(i) / "metrics.json").exists() for i in range(3)] == [True, False, True]


@pytest.mark.slow
def test_optuna_minimises_the_objective(networks, tmp_path):
    pytest.importorskip("optuna")
    arguments = ["hparams_search=optuna", "objective=l2", "hydra.sweeper.n_trials=2"]
    free = [o for o in networks if "t_start" not in o]  # what is given is not searched
    assert command("sample", *free, *arguments, f"hydra.sweep.dir={tmp_path}") == 0
    best = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    found = [json.loads(p.read_text())["metrics"]["l2"] for p in tmp_path.glob("*/metrics.json")]
    assert len(found) == 2 and best["best_value"] == pytest.approx(min(found))
    assert set(best["best_params"]) == {
        "energy.weights.realism", "energy.weights.faithfulness", "translator.t_start"
    }  # fmt: skip


@pytest.mark.slow
def test_a_stored_search_goes_on_in_its_folder(networks, tmp_path):
    """Its trials are numbered through, the folders as in the database, and none is drawn twice."""
    optuna, sqlalchemy = pytest.importorskip("optuna"), pytest.importorskip("sqlalchemy")
    if not sqlalchemy.__version__.startswith("1."):
        pytest.skip("Optuna 2 keeps no trials by SQLAlchemy 2")
    storage = f"sqlite:///{tmp_path / 'kept.db'}"
    free = [o for o in networks if "t_start" not in o]
    given = [*free, "hparams_search=optuna", "objective=l2", f"hydra.sweeper.storage={storage}",
             f"out={tmp_path / 'out'}"]  # fmt: skip
    for count in (2, 1):
        assert command("sample", *given, f"hydra.sweeper.n_trials={count}") == 0
    trials = optuna.load_study(study_name="egsde", storage=storage).trials
    with (tmp_path / "out" / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["folder"] for row in rows] == ["0", "1", "2"] == [str(t.number) for t in trials]
    assert [float(row["l2"]) for row in rows] == [pytest.approx(t.value) for t in trials]
    assert len({t.params["energy.weights.realism"] for t in trials}) == 3


class Recorded:
    """Stands in for `ended.launched`: writes a result, or fails where the seed is 1."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], dict[str, str]]] = []

    def __call__(self, arguments: list[str], env: dict[str, str]) -> int:
        self.calls.append((arguments, env))
        failed = "seed=1" in arguments
        if not failed:
            Path(env["EGSDE_RESULT"]).write_text(json.dumps(0.25))
        return int(failed)


def test_the_subprocess_launcher_starts_the_same_command(tmp_path, monkeypatch, capsys):
    started = Recorded()
    monkeypatch.setattr(ended, "launched", started)
    monkeypatch.setenv("WORLD_SIZE", "2")
    sweep = ["-m", "hydra/launcher=subprocess", f"hydra.sweep.dir={tmp_path / 'a b'}"]
    options = ["trainer=ddp_cpu", "data.source='x,y'", "seed=0,1,2", "hydra.job.name=mine"]
    assert command("train", *sweep, *options) == 1
    assert "job 1 (trainer=ddp_cpu data.source='x,y' seed=1) ended" in capsys.readouterr().err
    assert len(started.calls) == 3
    for number, (arguments, environment) in enumerate(started.calls):
        assert arguments[:4] == [sys.executable, "-m", "egsde", "train"]
        assert {"trainer=ddp_cpu", "data.source='x,y'", f"seed={number}"} <= set(arguments)
        assert {"hydra.job.name=mine", "hydra/job_logging=none", "hydra.mode=RUN"} <= set(arguments)
        assert f"hydra.run.dir='{tmp_path / 'a b' / str(number)}'" in arguments
        given = arguments[4:]
        assert not any(a.startswith(("hydra/launcher", "hydra.sweep", "-m")) for a in given)
        assert "WORLD_SIZE" not in environment and environment["PATH"] == os.environ["PATH"]


def test_a_sweep_leaves_a_table_under_its_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ended, "launched", Recorded())
    out = ["hydra/launcher=subprocess", f"out={tmp_path / '2024_01'}"]
    assert command("train", "-m", *out, "limit=7", "seed=0,1,2") == 1
    with (tmp_path / "2024_01" / "sweep.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["folder"] for row in table] == ["0", "1", "2"]
    assert [row["seed"] for row in table] == ["0", "1", "2"] and table[0]["limit"] == "7"
    assert [row["val/loss"] for row in table] == ["0.25", "", "0.25"]
    assert "ended with exit code 1" in table[1]["error"]
    told = capsys.readouterr().out
    assert "limit" not in told.split("folder")[-1] and "3 jobs; the whole table is" in told


def test_optuna_gets_the_values_of_processes(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    started = Recorded()
    monkeypatch.setattr(ended, "launched", started)
    search = ["hydra/launcher=subprocess", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2",
              "hydra.sweeper.n_jobs=1", "hydra.sweeper.direction=minimize",
              "hydra.sweeper.sampler.seed=0"]  # fmt: skip
    swept = "module.optimizer.lr=interval(0.1,0.2)"
    assert command("train", "-m", *search, swept, f"hydra.sweep.dir={tmp_path}") == 0
    best = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert best["best_value"] == 0.25 and len(started.calls) == 2


@pytest.mark.slow
def test_a_sweep_of_jobs_with_two_processes_each(tmp_path):
    tiny = [o for o in TRAIN if "max_steps" not in o and "interval" not in o]
    program = [sys.executable, str(ROOT / "train.py"), "-m", "hydra/launcher=subprocess", *tiny,
               "trainer=ddp_cpu", "trainer.max_steps=2", "trainer.val_check_interval=2",
               "seed=0,1", f"hydra.sweep.dir={tmp_path / 'sweep'}"]  # fmt: skip
    ended = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sweep"]
    jobs = (p for p in (tmp_path / "sweep").iterdir() if p.name.isdigit())
    folders = sorted(p for p in jobs if p.is_dir())
    assert [p.name for p in folders] == ["0", "1"]
    assert all((p / "weights.safetensors").exists() for p in folders)


def test_jobs_elsewhere_get_the_sweeps_folder(tmp_path, monkeypatch):
    """A job's configuration is sent to another process, or composed anew there."""
    monkeypatch.chdir(tmp_path)
    with claiming(True):
        cfg = composed_freely("sample")
        out = str(cfg.out)
    assert Path(out).is_dir()
    sent = pickle.loads(pickle.dumps(cfg))
    anew = composed_freely("sample")
    OmegaConf.copy_cache(sent, anew)
    assert sent.out == anew.out == out
    assert composed_freely("sample").out != out or len(list(Path("outputs").iterdir())) == 1
