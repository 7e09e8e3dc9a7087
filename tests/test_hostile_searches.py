"""Databases of trials that anyone may have made: nothing runs, none is of another."""

from __future__ import annotations

import pickle
import sqlite3
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from egsde.programs.searches import check_search
from runs import command
from test_hostile import MARK, Runs


def search(storage: object, *given: str, sampler: str = "TPESampler", **more: object) -> DictConfig:
    """What a search is composed to, as far as its database is concerned."""
    sweeper = {"storage": storage, "sampler": {"_target_": f"optuna.samplers.{sampler}"},
               "study_name": "egsde", "direction": "minimize", "params": {"t_start": "choice(1)"},
               **more}  # fmt: skip
    hydra = {"sweeper": sweeper, "overrides": {"task": list(given)}, "job": {"name": "sample"}}
    return OmegaConf.create({"hydra": hydra, "objective": "l2", "score": {"weights": None}})


def a_database(path: Path, *orders: str) -> str:
    with sqlite3.connect(path) as opened:
        for order in orders:
            opened.execute(order)
    opened.close()
    return f"sqlite:///{path}"


STUDIES = "CREATE TABLE studies (study_id INTEGER, study_name VARCHAR)"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n"
FOREIGN = {  # orders, and part of the answer
    "another program's": (["CREATE TABLE customers (name)"], "program, with a table customers"),
    "a view without an end": ([f"CREATE VIEW trials AS {ENDLESS}"], "computes in its view trials"),
    "a trigger": ([STUDIES, "CREATE TRIGGER t AFTER INSERT ON studies BEGIN SELECT 1; END"],
                  "computes in its trigger t"),
    "a column that is computed": (
        ["CREATE TABLE trials (a, b AS (printf('%.*c', 1000000000, 'x')))"], "in its table trials"),
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_databases_that_compute(tmp_path, what):
    orders, words = FOREIGN[what]
    storage = a_database(tmp_path / "a.db", *orders)
    with pytest.raises(ValueError, match="a.db") as told:
        check_search(search(storage))
    assert words in str(told.value)


def test_files_that_are_no_database(tmp_path):
    whole = Path(
        a_database(tmp_path / "a.db", STUDIES, "CREATE TABLE trials (a)")[10:]
    ).read_bytes()
    (tmp_path / "folder").mkdir()
    contents = {"b": b"<html>" * 99, "c": whole[:5000], "d": whole[:100] + bytes(len(whole) - 100)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name, words in {"b": "cannot be read as SQLite", "c": "", "d": "", "folder": "is a folder",
                        "e/f.db": "is not there"}.items():  # fmt: skip
        with pytest.raises(ValueError, match="storage=sqlite:///") as told:
            check_search(search(f"sqlite:///{tmp_path / name}"))
        assert words in str(told.value) and name.split("/")[0] in str(told.value)


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ("search.db", "is no database of SQL"),
        ("sqlite:search.db", "is no database of SQL"),
        ("redis://localhost:6379", "Redis keeps pickles"),
        ("rediss://localhost", "Redis keeps pickles"),
        ("https://example.com/a.db", "is no database of SQL"),
        (3, "is no database of SQL"),
    ],
)
def test_places_that_are_no_database(storage, words):
    with pytest.raises(ValueError, match="sqlite:///FILE.db is one") as told:
        check_search(search(storage))
    assert words in str(told.value)


@pytest.mark.parametrize("sampler", ["CmaEsSampler", "PyCmaSampler"])
def test_no_sampler_unpickles_what_a_database_holds(tmp_path, sampler):
    """CMA-ES keeps its state as a pickle in the trials' attributes."""
    mark, table = tmp_path / MARK, "trial_system_attributes"
    state = pickle.dumps(Runs(mark)).hex()
    row = f"INSERT INTO {table} VALUES ('cma:optimizer', '\"{state}\"')"
    storage = a_database(tmp_path / "a.db", f"CREATE TABLE {table} (key, value_json)", row)
    with pytest.raises(ValueError, match="open pickles that lie in the database"):
        check_search(search(storage, sampler=sampler))
    assert not mark.exists()
    check_search(search(None, sampler=sampler))


def test_the_program_answers_before_any_trial(tmp_path, capsys):
    """Of what a callback of Hydra raises Hydra would warn, and go on."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    storage = a_database(tmp_path / "a.db", "CREATE TABLE customers (name)")
    out = tmp_path / "out"
    assert command("sample", "hparams_search=optuna", f"out={out}", "data.size=16",
                   f"hydra.sweeper.storage={storage}") == 1  # fmt: skip
    told = capsys.readouterr().err
    assert "another program" in told and "Traceback" not in told
    assert not list(out.glob("*/run.json"))


def test_trials_are_those_of_one_search(tmp_path):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    optuna = pytest.importorskip("optuna")
    storage = f"sqlite:///{tmp_path / 'kept.db'}"
    if optuna.__version__.startswith("2.") and not sqlalchemy.__version__.startswith("1."):
        with pytest.raises(ValueError, match='pip install "SQLAlchemy<2"'):
            check_search(search(storage))
        return
    weights = tmp_path / "net.safetensors"
    weights.write_bytes(b"one")

    def given(*overrides: str, objective: str = "l2", **more: object) -> DictConfig:
        made = search(storage, *overrides, **more)
        return OmegaConf.merge(made, {"objective": objective, "score": {"weights": str(weights)}})  # type: ignore[return-value]

    check_search(given("limit=2", "t_start=choice(1)"))
    study = optuna.load_study(study_name="egsde", storage=storage)
    study.tell(study.ask(), 1.0)
    check_search(given("limit=2", "out=elsewhere"))  # goes on
    for other, words in (
        (given("limit=3"), "settings was ['limit=2'], is ['limit=3']"),
        (given("limit=2", objective="psnr"), "objective was l2, is psnr"),
        (given("limit=2", direction="maximize"), "of the direction ['minimize']"),
    ):
        with pytest.raises(ValueError, match="study_name=NAME begins another") as told:
            check_search(other)
        assert words in str(told.value)
    weights.write_bytes(b"two")
    with pytest.raises(ValueError, match=r"score\.weights was"):
        check_search(given("limit=2"))
    check_search(given("limit=2", study_name="second"))
    theirs = optuna.create_study(study_name="theirs", storage=storage)
    theirs.tell(theirs.ask(), 1.0)
    with pytest.raises(ValueError, match="holds trials of another program"):
        check_search(given("limit=2", study_name="theirs"))
