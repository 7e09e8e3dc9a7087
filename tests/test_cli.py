"""The command lines: quick help, and errors that tell what to do."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from egsde.programs import cli
from egsde.programs.line import read
from egsde.programs.settings import CONF, head, purposes
from runs import TRAIN, command

ROOT = Path(__file__).parents[1]


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(
    "program",
    [p if p in ("train", "sample") else pytest.param(p, marks=pytest.mark.slow)
     for p in cli.PROGRAMS],
)  # fmt: skip
def test_help_is_quick(program, tmp_path):
    script = ROOT / f"{program}.py"
    program_of = [str(script)] if script.exists() else ["-m", "egsde", program]
    given = [sys.executable, *program_of, "--help"]
    took = []
    while not took or (min(took) >= 3 and len(took) < 4):  # a busy machine counts waiting, too
        before = processor_seconds()
        shown = subprocess.run(given, cwd=tmp_path, capture_output=True, text=True, check=True)
        took.append(processor_seconds() - before)
    assert min(took) < 3
    assert shown.stdout.startswith(f"egsde {program} ") and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "absent"), [("start", "hydra omegaconf numpy torch"), ("cli", "numpy torch")]
)
def test_what_takes_long_is_imported_later(module, absent):
    """Signals are heard before all of it, mistakes are told before most."""
    code = f"import sys, egsde.programs.{module}; print(*sorted(sys.modules))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {*absent.split()} & {*made.stdout.split()}


@pytest.mark.parametrize("tool", cli.TOOLS)
def test_help_of_a_tool_is_read_and_not_imported(tool, monkeypatch, capsys):
    monkeypatch.setattr(cli, "import_module", lambda name: pytest.fail(f"{name} is imported"))
    monkeypatch.setattr(sys, "argv", ["egsde", tool, "--help"])
    cli.main()
    assert capsys.readouterr().out.startswith(f"egsde {tool} ")


def helped(program: str, capsys, *arguments: str) -> tuple[set[str], str]:
    """The groups that --help names, and all of it."""
    assert command(program, "--help", *arguments) == 0
    shown = capsys.readouterr().out
    names, _, settings = shown.partition("== Settings ==")
    found = re.findall(r"^([\w/]+): (.*)$", names, re.M)
    told = purposes()
    assert all(purpose == told[name] for name, purpose in found)
    return {name for name, _ in found}, settings


def test_help_names_the_groups_of_its_program_alone(capsys):
    train, settings = helped("train", capsys, "model=classifier")
    assert "network.dropout" not in settings and "labelled" in settings
    assert {"model", "network", "callbacks", "partners"} <= train
    assert not {"likelihood", "experiments"} & train
    sample, settings = helped("sample", capsys)
    assert {"translator", "energy/term", "sampler", "metrics"} <= sample
    assert not {"model", "network", "loss", "callbacks", "gradient", "likelihood"} & sample
    assert "realism:" in settings and "t_start:" in settings
    evaluate, _ = helped("evaluate", capsys)
    assert {"metrics", "judge"} <= evaluate and "likelihood" not in evaluate
    evaluate, _ = helped("evaluate", capsys, "task=likelihood")
    assert "likelihood" in evaluate and not {"translator", "sampler", "model"} & evaluate


def test_every_group_has_a_purpose_and_every_option_a_line():
    groups = {str(f.parent.relative_to(CONF)) for f in CONF.rglob("*.yaml") if f.parent != CONF}
    assert {g for g in groups if not g.startswith("programs/")} <= set(purposes())
    options = [f for f in CONF.rglob("*.yaml") if f.parent != CONF and f.stem[0] != "_"]
    assert not [str(f.relative_to(CONF)) for f in options if not head(f)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trainer.max_step=3"], "trainer.max_step is not a key; did you mean: trainer.max_steps"),
        (["data=folder", "data.rot=x"], "did you mean: data.root"),
        pytest.param(["-m", "sde=vp,ddpm", "sead=3"], "did you mean: seed", marks=pytest.mark.slow),
        (["sde=vpp"], "Available options in 'sde':\n\tbrownian\n\tcosine_vp"),
        (["trainers=gpu"], "did you mean: trainer"),
        (["hparams_search=grid", "hydra.sweeper.params.seed=1,2"], "by its own name, seed=1,2"),
    ],
)
def test_a_wrong_override_is_answered_with_the_alternatives(arguments, expected, capsys):
    assert command("train", *arguments) == 1
    assert expected in capsys.readouterr().err


def test_no_data_is_told_in_one_screen(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command("train", *TRAIN, "sde=vp", "data=afhq") == 1
    told = capsys.readouterr().err
    assert "error: no images of 'cat'" in told and "stargan-v2" in told
    assert "Traceback" not in told and len(told.splitlines()) < 10


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["network.num_head_channels=7"], "error: num_head_channels=7 does not divide"),
        (["data=folder"], "error: data.source is not given; add data.source="),
        pytest.param(["init_weights=nothing.pt"], "no weights at", marks=pytest.mark.slow),
        (["resume=nothing.ckpt"], "error: no checkpoint at"),
        (["data.source=3d"], "choose two domains"),
    ],
)
def test_errors_of_the_configuration_come_without_a_traceback(
    arguments, expected, tmp_path, capsys
):
    assert command("train", *TRAIN, *arguments, f"out={tmp_path}") == 1
    told = capsys.readouterr().err
    assert expected in told and "Traceback" not in told and "did you mean" not in told


def test_full_error_shows_where(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="choose two domains") as caught:
        command("train", *TRAIN, "data.source=3d", f"out={tmp_path}")
    assert "TwoDomains" in str(caught.getrepr(chain=True))


def test_a_sweep_of_several_processes_a_job_is_refused(tmp_path, capsys):
    arguments = ["-m", "seed=0,1", "trainer=ddp_cpu", f"hydra.sweep.dir={tmp_path}"]
    assert command("train", *arguments) == 1
    assert "hydra/launcher=subprocess" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [("compare", ["a", "b", "out=file"], "file is a file, not a folder"),
     ("compare", ["a", "b", "out=file/x"], "file is a file, not a folder"),
     ("tune", ["out=file"], "file is a file, not a folder"),
     ("compare", ["a", "b", "out=/proc/x"], "/proc/x: nothing can be made in /proc"),
     ("report", [""], "an empty name is given; was it a shell variable"),
     ("pairs", ["a", " ", "out=x"], "an empty name is given; was it a shell variable")],
)  # fmt: skip
def test_names_that_no_tool_can_take(tmp_path, monkeypatch, capsys, tool, arguments, words):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(SystemExit):
        cli.use(tool, arguments)
    assert words in capsys.readouterr().err and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_home_in_out_and_folders_that_cannot_be_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path / "home folder"))
    assert [w for w in read("train", ["out=~/a b"]) if "out=" in w] == [
        f"out='{tmp_path}/home folder/a b'"
    ]
    for program in ("train", "sample", "evaluate"):
        assert command(program, "out=/proc/x") == 1
        assert "/proc/x: nothing can be made in /proc" in capsys.readouterr().err
