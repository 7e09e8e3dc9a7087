"""Folders of runs, searches and sweeps that a stranger has sent or a crash has left: nothing is
written outside of them, no damaged file ends in a traceback, no pickle is opened."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import OmegaConf

from egsde.data import Written
from egsde.disk import appending, found_object, whole
from egsde.programs import report
from egsde.programs.callbacks.csv import CSV, rows_of
from egsde.programs.callbacks.same_run import same_run
from egsde.programs.callbacks.shelf import Seconds
from egsde.programs.first import refuse_unfinished
from egsde.programs.line import read
from egsde.programs.lock import held
from egsde.programs.records import claim
from egsde.programs.shards import Shard, place, refuse_missing
from egsde.programs.study import Study
from egsde.programs.sweep import JOBS, Table
from egsde.programs.tune import tune
from runs import command
from test_hostile_runs import a_run

MINE = "what I wrote\n"
DEEP = "[" * 10**5


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file of the person's own, to which links in the folder lead."""
    path = tmp_path / "home" / "notes"
    path.parent.mkdir()
    path.write_text(MINE)
    return path


def test_what_is_half_written_may_be_a_link(tmp_path, mine):
    """A page of a stranger's run is written beside a link in the place of its unfinished file."""
    run = a_run(tmp_path / "run")
    (run / ".report.html.tmp").symlink_to(mine)
    report.main([str(run)])
    assert (run / "report.html").is_file() and not (run / "report.html").is_symlink()
    away = tmp_path / "home" / "new"
    (run / ".run.json.tmp").symlink_to(away)  # that leads to nothing yet
    with whole(run / "run.json") as temporary:
        temporary.write_text("{}")
    assert mine.read_text() == MINE and not away.exists()


def test_rows_and_locks_are_not_written_through_links(tmp_path, mine):
    out = tmp_path / "run"
    out.mkdir()
    for name in ("seconds.csv", "seconds-0-of-4.csv", ".lock", ".lock-0-of-4"):
        (out / name).symlink_to(mine)
        with pytest.raises(ValueError, match=f"{name} is a link to"):
            if name.startswith(".lock"):
                with held(out, name):
                    pass
            else:
                with appending(out / name) as file:
                    file.write("a")
        (out / name).unlink()
    for name in ("wandb", "made", "pairs"):
        (out / name).symlink_to(mine.parent)
        with pytest.raises(ValueError, match="is a link to"):
            claim(out, "sample.py")
        (out / name).unlink()
    assert mine.read_text() == MINE and os.listdir(mine.parent) == ["notes"]


def test_a_file_in_the_place_of_a_folder(tmp_path):
    """And a folder in the place of a file, in a run, a search, a study: told before the work."""
    run, search, study = tmp_path / "run", tmp_path / "search", tmp_path / "study"
    for out in (run, search, study):
        out.mkdir()
    for name in ("images", "checkpoints", "wandb"):
        (run / name).touch()
        with pytest.raises(ValueError, match=rf"{name} is a file, in the place of a folder"):
            claim(run, "sample.py")
        (run / name).unlink()
    for name in ("metrics.json", "weights.safetensors", "checkpoints/last.ckpt"):
        (run / name).mkdir(parents=True)
        with pytest.raises(ValueError, match=rf"{name} is a folder, in the place of a file"):
            claim(run, "sample.py")
        (run / name).rmdir()
    (run / "checkpoints").rmdir()
    claim(run, "sample.py")
    (search / "trials").touch()
    with pytest.raises(ValueError, match="trials is a file"):
        tune([], search, 1.0)
    (study / "networks").touch()
    own = {"minutes": 1.0, "methods": ["sdedit"], "judge": "none"}
    with pytest.raises(ValueError, match="networks is a file"):
        Study(study, own, []).run()


def test_an_id_of_weights_and_biases(tmp_path, mine, monkeypatch):
    """It is a word, of a file in the folder."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name, said in {"a": "../../x", "b": "two\nlines", "c": "x" * 99, "d": "ab12"}.items():
        kept = tmp_path / name / "wandb" / "id"
        kept.parent.mkdir(parents=True)
        kept.write_text(said)
        same_run(tmp_path / name, offline=True)
        assert (kept.read_text() == said) == (name == "d")
    kept = tmp_path / "e" / "wandb" / "id"
    kept.parent.mkdir(parents=True)
    kept.symlink_to(mine)
    with pytest.raises(ValueError, match="id is a link to"):
        same_run(tmp_path / "e", offline=True)
    assert mine.read_text() == MINE


def job(folder: Path, number: int) -> None:
    hydra = {"mode": RunMode.MULTIRUN, "sweep": {"dir": str(folder), "subdir": str(number)},
             "job": {"num": number}}  # fmt: skip
    returned = JobReturn(overrides=[f"seed={number}"], status=JobStatus.COMPLETED)
    returned.return_value = 1.0
    Table().on_job_end(OmegaConf.create({"hydra": hydra, "objective": "l2"}), returned)


ROWS = ["", "{", "[]", DEEP, "{}", '{"row": 3, "keys": []}', '{"row": {}, "keys": []}',
        '{"row": {"folder": "../../etc"}, "keys": []}', '{"row": {"folder": 3}, "keys": [[1]]}',
        '{"row": {"folder": "0"}, "keys": ["seed"]}', '{"row": {"folder": "0", "a": []}, "keys": '
        '["a"]}', '{"keys": ["seed"]}']  # fmt: skip


def test_rows_of_jobs_that_are_none(tmp_path, capsys):
    """The table of a sweep has the rows of its jobs; damaged and foreign ones are left out."""
    job(tmp_path, 0)
    for k, text in enumerate(ROWS):
        (tmp_path / JOBS / f"{100 + k:06d}.json").write_text(text)
    for name, text in (("1", DEEP), ("2", '{"metrics": 3}'), ("3", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(text if name != "2" else "{}")
        job(tmp_path, int(name))
    table = Table()
    table.folder = tmp_path
    table.show()
    assert "4 jobs" in capsys.readouterr().out
    assert len((tmp_path / "sweep.csv").read_text().splitlines()) == 5


def test_a_sweep_deletes_nothing_elsewhere(tmp_path, capsys):
    """Rows of a sweep before are deleted, but not through a link; Hydra, which warns of what a
    callback raises and goes on, is ended."""
    away, sweep = tmp_path / "away", tmp_path / "sweep"
    for path in (away, sweep):
        path.mkdir()
    (away / "mine.json").write_text(MINE)
    (sweep / JOBS).symlink_to(away)
    assert command("sample", "-m", "seed=0,1", f"hydra.sweep.dir={sweep}") == 1
    told = capsys.readouterr().err
    assert "is a link to" in told and "warning" not in told
    assert sorted(os.listdir(sweep)) == [JOBS] and os.listdir(away) == ["mine.json"]
    assert (away / "mine.json").read_text() == MINE


def test_searches_write_into_no_link(tmp_path, mine):
    own = {"methods": ["sdedit"], "minutes": 1.0, "judge": "none"}
    for name in ("networks", "sdedit"):
        out = tmp_path / f"study_{name}"
        out.mkdir()
        (out / name).symlink_to(mine.parent)
        with pytest.raises(ValueError, match=f"{name} is a link to"):
            Study(out, own, []).run()
    out = tmp_path / "tune"
    out.mkdir()
    (out / "trials").symlink_to(mine.parent)
    data = ["data=folder", "data.source=a", "data.target=b", "data.size=16", "score.weights=x.safe",
            "extractor.weights=y.safe"]  # fmt: skip
    with pytest.raises(ValueError, match="trials is a link to"):
        tune(data, out, 1.0)
    assert os.listdir(mine.parent) == ["notes"]


def test_records_that_are_damaged(tmp_path):
    """What no number hangs on is as good as absent; a cut cell ends what is read."""
    for text in ("", "[]", "{", DEEP, "\0"):
        (tmp_path / "run.json").write_text(text)
        assert found_object(tmp_path / "run.json") == {}
        assert not Written.of(tmp_path).deep
    (tmp_path / "seconds.csv").write_text("a.png,1\n" + "x" * 200_000 + ",1\nb.png,2\n")
    assert Seconds(tmp_path).of == {"a.png": 1.0}
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,0.5\n²,0.5\n" + f"2,{'x' * 200_000}\n3,0.1\n")
    assert list(rows_of(path)) == [1]


@pytest.mark.parametrize("harm", [
    lambda text: text[: len(text) // 2], lambda text: "", lambda text: text + "\0" * 9,
    lambda text: "a,b\n1,2\n"],
    ids=["half", "empty", "zeros", "another's"],
)  # fmt: skip
def test_a_table_that_is_damaged_is_named(harm, tmp_path):
    """The rows of a training that goes on, of which some cannot be read any more."""
    first = CSV(tmp_path)
    for step in range(6):
        first.log_metrics({"loss": 0.5}, step)
    first.save()
    CSV(tmp_path).log_metrics({"loss": 0.4}, 6)  # as in a run that goes on: no word
    first.path.write_text(harm(first.path.read_text()))
    with pytest.warns(UserWarning, match=r"metrics.csv is damaged: it goes on with the [0-6] rows"):
        CSV(tmp_path).log_metrics({"loss": 0.4}, 6)


def test_a_merge_of_very_many_shards_ends(tmp_path):
    """The shard of an image that is missing is computed, and not looked for among all."""
    count = 10**15
    with pytest.raises(ValueError, match=f"start again shard={place('a', count)}/{count}"):
        refuse_missing(["a"], 1, count)
    assert all(Shard(place(name, 7), 7).has(name) for name in "abcdefgh")
    images = SimpleNamespace(indices=[0], dataset=SimpleNamespace(ids=["a.png"]))
    data = SimpleNamespace(translations=lambda split: images)
    for content in ({}, {"config": None}, {"config": {"shard": ["x"]}}, {"config": {"shard": 3}}):
        (tmp_path / "run.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r"a\.png|is none: give K/N"):
            refuse_unfinished(tmp_path, data, "test")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [["--experimental-rerun", "x.pickle"],
                                   ["--experimental-rerun=x.pickle"]])  # fmt: skip
def test_hydras_pickle_of_a_run_is_not_opened(given):
    with pytest.raises(ValueError, match="would open a pickle, which may run anything"):
        read("train", given)
