"""A run has a folder of its own: default names never meet, and a configuration that is given back
makes a new run."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from egsde.programs import folders
from egsde.programs.secrets import recorded
from faults.test_disk_full import tool
from runs import TRAIN, command, composed

TINY = [*TRAIN, "trainer.max_steps=2", "trainer.val_check_interval=2", "logger=csv"]


def contents(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs_of(here: Path) -> list[Path]:
    return sorted((here / "outputs").iterdir())


class Frozen(folders.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 5, 17, 12, 0, 0)


def test_runs_of_one_second_in_processes_that_start_together(here, monkeypatch):
    """And beside a plain file that has the first name."""
    monkeypatch.setattr(folders, "datetime", Frozen)
    first = "outputs/score-2024-05-17_12-00-00"
    (here / "outputs").mkdir()
    (here / first).touch()
    reading, writing = os.pipe()
    waiting, go = os.pipe()
    started = []
    for _ in range(4):
        if (pid := os.fork()) == 0:
            os.close(go)
            os.read(waiting, 1)  # until all are there
            with folders.claiming(True):
                os.write(writing, f"{folders.new_folder('outputs/score')}\n".encode())
            os._exit(0)
        started.append(pid)
    os.close(go)
    for pid in started:
        os.waitpid(pid, 0)
    claimed = sorted(os.read(reading, 4096).decode().split())
    assert claimed == [f"{first}-{k}" for k in range(2, 6)]


def test_runs_of_one_second_have_two_folders(here, monkeypatch):
    monkeypatch.setattr(folders, "datetime", Frozen)
    names = []
    for _ in range(3):
        with folders.claiming(True):
            names.append(folders.new_folder("outputs/score"))
            assert folders.new_folder("outputs/score") == names[-1]
    first = "outputs/score-2024-05-17_12-00-00"
    assert names == [first, f"{first}-2", f"{first}-3"]
    assert [path.name for path in runs_of(here)] == sorted(Path(name).name for name in names)


@pytest.mark.parametrize("shown", [["--cfg", "job"], ["--cfg", "job", "--resolve"], ["--help"]])
def test_looking_creates_nothing(here, shown, capsys):
    assert command("train", *shown) == 0
    assert "outputs" in capsys.readouterr().out and not list(here.iterdir())


@pytest.mark.parametrize(
    "how",
    [
        "config.yaml",
        *(pytest.param(how, marks=pytest.mark.slow) for how in ("relative", "printed", "literal")),
    ],
)
@pytest.mark.parametrize("named", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_configuration_given_back_makes_a_new_run(here, how, named, capsys):
    assert command("train", *TINY, "out=first") == 0
    folder, name = here / "first", "config"
    if how == "printed":
        capsys.readouterr()
        assert command("train", "--cfg", "job", *TINY) == 0
        folder, name = here / "kept", "mine"
        folder.mkdir()
        (folder / "mine.yaml").write_text(capsys.readouterr().out)
    if how == "literal":
        content = yaml.safe_load((folder / "config.yaml").read_text()) | {"out": str(folder)}
        (folder / "config.yaml").write_text(yaml.safe_dump(content))
    before = contents(here / "first")
    place = "first" if how == "relative" else str(folder)
    more = ["out=second", "seed=1"] if named else ["seed=1"]
    assert command("train", "--config-path", place, "--config-name", name, *more) == 0
    assert contents(here / "first") == before
    out = here / "second" if named else runs_of(here)[0]
    made = {p.name for p in out.iterdir()}
    assert {"weights.safetensors", "config.yaml", "metrics.csv", "checkpoints"} <= made
    others = {"first", "kept"} if how == "printed" else {"first"}
    assert {p.name for p in here.iterdir()} - others == ({"second"} if named else {"outputs"})


@pytest.mark.slow
def test_a_configuration_given_back_from_elsewhere(here):
    """Copied into the folder of another run, and to two jobs of a sweep."""
    for name in ("first", "other"):
        assert command("train", *TINY, f"out={name}") == 0
    (here / "other" / "config.yaml").write_bytes((here / "first" / "config.yaml").read_bytes())
    before = contents(here / "first"), contents(here / "other")
    given = ["--config-path", str(here / "other"), "--config-name", "config"]
    assert command("train", *given) == 0
    assert command("train", "-m", *given, "seed=1,2", "out=sweep") == 0
    assert (contents(here / "first"), contents(here / "other")) == before
    made = [*runs_of(here), here / "sweep" / "0", here / "sweep" / "1"]
    assert len(made) == 3 and all((out / "weights.safetensors").is_file() for out in made)


def test_paths_in_another_runs_folder_are_refused(here, capsys):
    """A configuration of an earlier version, with the old folder in every callback."""
    (here / "old").mkdir()
    arguments = ["callbacks.export.out=old", "logger.csv.out=old/x"]
    for wrong in arguments:
        assert command("train", *TINY, "out=new", wrong) == 1
        assert "is not in this run's folder" in capsys.readouterr().err
    assert not list((here / "old").iterdir())


def test_what_is_saved_follows_out(tmp_path):
    config = {"out": "runs/a", "x": ["runs/a/b", "runs/ab", {"y": "runs/a"}], "kind": "score"}
    saved = folders.to_give_back(config, OmegaConf.create(config), Path("runs/a"), "outputs/score")
    assert saved == {
        "out": "${new_folder:outputs/score}",
        "x": ["${out}/b", "runs/ab", {"y": "${out}"}],
        "kind": "score",
    }


@pytest.mark.parametrize(
    ("program", "given"),
    [("sample", ()), ("train", ("model=cycle",)), ("train", ("model=cut", "data.size=32"))],
)
def test_what_is_saved_keeps_its_references(program, given, tmp_path):
    """The same values; and an override reaches all that it reaches without the file."""
    cfg = composed(program, tmp_path / "run", *given)
    plain = recorded(cfg)
    saved = OmegaConf.create(folders.to_give_back(plain, cfg, tmp_path / "run", "runs"))
    saved.out = str(tmp_path / "run")
    assert OmegaConf.to_container(saved, resolve=True) == plain
    key = "limit" if program == "sample" else "train_limit"
    saved.limit = 2
    assert saved.data[key] == 2


NOWHERE = ["data=folder", "data.source=no", "data.target=no"]
REFUSED = {
    "train": NOWHERE,
    "sample": ["data=fluent", "split=none"],
    "likelihood": ["data=fluent", "split=none"],
    "evaluate": ["output=no"],
    "export": ["weights=no.safetensors"],
    "tune": ["minutes=1", *NOWHERE],
    "study": ["minutes=1", "source=no", "target=no"],
}


@pytest.mark.parametrize("out", [[], ["out=runs/run"]], ids=["its_own", "named"])
@pytest.mark.parametrize("program", REFUSED)
def test_a_refused_command_leaves_no_folder(program, out, here, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)  # that of the program goes with this test
    given = [*REFUSED[program], *out]
    if program in ("tune", "study", "export"):
        assert tool(program, *given)() == 1
    else:
        task = ["task=likelihood"] if program == "likelihood" else []
        assert command("evaluate" if task else program, *task, *given) == 1
    told = capsys.readouterr().err
    assert "error: " in told and "Traceback" not in told and not list(here.iterdir()), told


@pytest.mark.parametrize("given", ["out=", "out=null", "out=' '"])
def test_an_empty_out_is_not_the_working_directory(here, given, capsys):
    assert command("sample", given, "limit=2") == 1
    assert "names no folder; was it a shell variable" in capsys.readouterr().err
    assert not (here / "images").exists() and not (here / "run.json").exists()
