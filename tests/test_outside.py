"""Parts of a user in a folder outside the package, from the command line to the written files.

`tests/outside` is that folder: a Python file and a YAML a part, given by --config-dir alone.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import egsde
from demo_networks import write_networks
from egsde.programs.teacher import teacher
from runs import TRAIN, command

HERE = Path(__file__).parent
README = (HERE.parent / "README.md").read_text()
TINY = [
    o for o in TRAIN if not o.startswith(("network", "trainer.max", "trainer.val", "callbacks"))
]
SHORT = ["trainer.max_steps=2", "trainer.val_check_interval=2", "data.num_workers=0"]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory):
    """A copy of the folder that no import path names, with the README's example in it."""
    folder = tmp_path_factory.mktemp("outside") / "my_parts"
    shutil.copytree(HERE / "outside", folder)
    for kind in ("python", "yaml"):
        block = re.search(rf"```{kind}\n# my_parts/(\S+)\n(.*?)```", README, re.DOTALL)
        assert block, f"README's {kind} of a part of one's own"
        (folder / block[1]).write_text(block[2])
    before = list(sys.path)
    yield folder
    sys.path[:] = before
    for name in ("colour", "parts_energies", "parts_process", "parts_around"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [*write_networks(tmp_path_factory.mktemp("networks")), "limit=2", "data.batch_size=2"]


def translated(out: Path, folder: Path, *options: str, rc: int = 0) -> np.ndarray:
    """The pixels that sample.py writes with these options, (n, h, w, 3)."""
    assert command("sample", "--config-dir", str(folder), *options, f"out={out}") == rc
    found = sorted((out / "images").rglob("*.png"))
    return np.stack([np.asarray(Image.open(path)) for path in found]) if found else np.empty(0)


def evaluations(out: Path) -> dict[str, float]:
    return json.loads((out / "metrics.json").read_text())["nfe"]


@pytest.fixture(scope="module")
def plain(outside, networks, tmp_path_factory) -> np.ndarray:
    return translated(tmp_path_factory.mktemp("plain"), outside, *networks)


@pytest.mark.parametrize(
    ("term", "network"),
    [
        ("bright", None),
        ("judged", "critic"),
        ("seen", "eye"),
        pytest.param("flat", None, marks=pytest.mark.slow),
    ],
)
def test_an_energy_takes_one_override(outside, networks, plain, tmp_path, term, network):
    """Its gradient moves the pixels; its network is recorded and counted."""
    pixels = translated(tmp_path, outside, *networks, f"+energy/term@energy.terms.mine={term}",
                        "+energy.weights.mine=1000")  # fmt: skip
    assert pixels.shape == plain.shape and (pixels != plain).any()
    recorded = json.loads((tmp_path / "run.json").read_text())["weights"]
    assert set(recorded) == {"score", "extractor"} | ({network} if network else set())
    nfe = evaluations(tmp_path)
    assert network is None or nfe[network] == nfe["score"]


def test_the_readmes_energy_without_a_weight_counts_once(outside, networks, plain, tmp_path):
    told = re.search(r"sample\.py --config-dir my_parts (\+energy\S+)$", README, re.MULTILINE)
    assert told
    once = translated(tmp_path / "a", outside, *networks, told[1])
    same = translated(tmp_path / "b", outside, *networks, told[1], "+energy.weights.colour=1.0")
    assert np.array_equal(once, same) and (once != plain).any()


@pytest.mark.parametrize("sampler", ["plain_euler", "leaps"])
def test_a_solver_and_a_sampler(outside, networks, plain, tmp_path, sampler):
    options = [o for o in networks if not o.startswith(("sampler", "extractor"))]
    pixels = translated(tmp_path, outside, *options, "experiment=none", f"sampler={sampler}",
                        "translator=sdedit")  # fmt: skip
    assert pixels.shape == plain.shape and (pixels != plain).any()
    assert 0 < evaluations(tmp_path)["score"] <= 4


def test_a_score_that_is_a_function_is_told_its_process(outside, networks, plain, tmp_path, capsys):
    options = [o for o in networks if not o.startswith(("score", "extractor", "energy"))]
    given = [
        *options,
        "experiment=none",
        "score=grey",
        "translator=sdedit",
        "energy=none",
        "sampler=ddim",
    ]
    pixels = translated(tmp_path / "a", outside, *given)
    assert pixels.shape == plain.shape and (pixels != plain).any()
    translated(tmp_path / "b", outside, *given, "+score.knows=false", rc=1)
    assert "does not know its process" in (said := capsys.readouterr().err)
    assert "ScoreFunction(score, sde)" in said


def test_a_translator_without_a_score(outside, networks, tmp_path):
    networks = [o for o in networks if not o.startswith("translator")]
    pixels = translated(tmp_path, outside, *networks, "translator=mirror")
    assert len(pixels) == 2 and evaluations(tmp_path) == {}
    with (tmp_path / "images.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    noisy = translated(tmp_path / "n", outside, *networks, "translator=mirror",
                       "+translator.noisy=0.5")  # fmt: skip
    assert (noisy != pixels).any()


def test_metrics_as_a_function_and_as_a_metric(outside, networks, tmp_path):
    """One number an image, the same in every batch; PSNR as ours where the cap is not reached."""
    options = [*(o for o in networks if "=pairwise" not in o), "metrics=mine"]
    translated(tmp_path, outside, *options)
    with (tmp_path / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and all(0 < float(row["far"]) <= 1 for row in rows)
    assert all(abs(float(row["peak"]) - float(row["psnr"])) < 1e-3 for row in rows)
    assert rows[0]["peak"] != rows[1]["peak"]


def train(outside: Path, out: Path, *options: str) -> int:
    given = ["--config-dir", str(outside), *TINY, *SHORT, "translate=null", *options]
    return command("train", *given, f"out={out}")


SCORE = ["translator=sdedit", "energy=none", "score=trained", "data.size=16", "limit=2",
         "metrics=pairwise", "trainer.accelerator=cpu", "logger=none", "experiment=none",
         "sampler=ddim", "sampler.grid.steps=4"]  # fmt: skip
NETWORK = ["network=tiny", "network.num_channels=32", "network.channel_mult=[1]",
           "network.num_head_channels=32"]  # fmt: skip


def test_a_data_set_trains_and_its_weights_load_without_leave(outside, tmp_path):
    run = tmp_path / "run"
    assert train(outside, run, "data=stripes", *NETWORK) == 0
    weights = f"score.weights={run / 'weights.safetensors'}"
    pixels = translated(tmp_path / "out", outside, "data=stripes", *SCORE, weights)
    assert pixels.shape == (2, 16, 16, 3)


@pytest.mark.parametrize(
    ("part", "package"),
    [
        pytest.param(("network=small",), "parts_process", marks=pytest.mark.slow),
        (("sde=steady", *NETWORK), "parts_process"),
    ],
    ids=["network", "sde"],
)
def test_a_network_and_a_process_train_and_load_by_leave(outside, tmp_path, capsys, part, package):
    run, leave = tmp_path / "run", f"allow=[{package}]"
    assert train(outside, run, *part) == 1
    assert leave in capsys.readouterr().err and not (run / "weights.safetensors").exists()
    assert not (run / "config.yaml").exists()  # before the first step, and before anything else
    assert train(outside, run, *part, leave) == 0
    sde = [option for option in part if option.startswith("sde")]
    options = [*SCORE, *sde, f"score.weights={run / 'weights.safetensors'}"]
    assert translated(tmp_path / "no", outside, *options, rc=1).size == 0
    assert leave in (said := capsys.readouterr().err) and str(run) in said
    assert translated(tmp_path / "yes", outside, *options, leave).shape == (2, 16, 16, 3)
    for folder in (run, tmp_path / "yes"):  # in Python, and as a student's teacher
        with pytest.raises(ValueError, match=re.escape(leave)):
            egsde.load(folder)
        assert egsde.load(folder, leave, "seed=1").size == 16
    with pytest.raises(ValueError, match=re.escape(leave)):
        teacher(tmp_path / "yes")
    assert teacher(tmp_path / "yes", allow=[package]).images[2] == 16


def test_leave_is_not_taken_from_a_file(outside, networks, tmp_path, capsys):
    (outside / "experiment").mkdir(exist_ok=True)
    (outside / "experiment" / "leave.yaml").write_text("# @package _global_\nallow: [os]\n")
    translated(tmp_path, outside, *networks, "experiment=leave", rc=1)
    assert "on the command line" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["sde=steady", "+sde.speed=2"], "it takes T, t_min"),
        (["sde=steady", "sde._target_=parts_process.Strait"], "cannot be imported"),
        (["sde=steady", "sde._target_=no_such.Sde"], "cannot be imported"),
    ],
)
def test_what_does_not_fit_is_said(outside, networks, tmp_path, capsys, options, said):
    translated(tmp_path, outside, *networks, *options, rc=1)
    assert said in capsys.readouterr().err
