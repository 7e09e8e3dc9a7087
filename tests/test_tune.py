"""`egsde tune` on a known bowl of costs, `egsde study` on known numbers, and a walk through all."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from demo_networks import write_networks
from egsde.evaluation.metrics import inception, inception_weights
from egsde.programs import compare, pairs, study, trials, tune
from egsde.programs.secrets import recorded
from shared import shared_path

DATA = ["data=folder", "data.source=a", "data.target=b", "data.size=16", "score.weights=x.safe",
        "extractor.weights=y.safe"]  # fmt: skip


def bowl(cfg) -> None:
    """What sample.py would leave: best at t_start 0.35, realism 100, faithfulness 2, factor 2."""
    energy = cfg.energy.weights
    ratios = torch.tensor([energy.realism / 100, energy.faithfulness / 2, cfg.factor / 2]).log()
    away = float(ratios.square().sum()) + 20 * (cfg.t_start - 0.35) ** 2
    away += 0.001 * (cfg.sampler.grid.steps < 250)
    metrics = {"kid": 0.01 + 0.01 * away, "kid_source": 0.1, "l2": 5 + away, "l2_floor": 20.0}
    out = Path(cfg.out)
    assert cfg.split == "val" and cfg.metrics.protocol.reference_split == "val" and cfg.limit == 8
    record = {"program": "sample.py", "config": recorded(cfg)}
    (out / "run.json").write_text(json.dumps(record))
    (out / "metrics.json").write_text(
        json.dumps({"metrics": metrics, "nfe": {"score": cfg.sampler.grid.steps}})
    )


@pytest.mark.slow
def test_tuning_finds_the_bottom_of_a_bowl_and_goes_on(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(trials, "sample", bowl)
    monkeypatch.setattr(trials.Trials, "refuse_blind", lambda self: None)
    best = tune.tune(DATA, tmp_path, minutes=60, limit=8)
    assert best.settings["t_start"] == pytest.approx(0.35, abs=0.05)
    assert best.settings["energy.weights.realism"] == pytest.approx(100, rel=0.5)
    assert best.settings["factor"] == 2 and best.settings["sampler.grid.steps"] < 1000
    rows = list(csv.DictReader((tmp_path / "trials.csv").open()))
    untuned = next(row for row in rows if row["what"] == "untuned")
    assert float(untuned["cost"]) > 2 * best.cost(0.5)
    assert sum(row["what"] == "tuned" for row in rows) == 1
    kept = list(csv.DictReader((tmp_path / "frontier.csv").open()))
    costs = [(float(row["l2"]), float(row["kid"])) for row in kept]
    assert costs == sorted(costs) and [k for _, k in costs] == sorted(
        (k for _, k in costs), reverse=True
    )
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        cfg = compose("tuned")
    assert cfg.t_start == best.settings["t_start"] and cfg.split == "test"
    monkeypatch.setattr(trials, "sample", lambda cfg: pytest.fail("done already"))
    assert tune.tune(DATA, tmp_path, minutes=60, limit=8).settings == best.settings
    assert "--config-name tuned" in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "steps"), [(None, 1000), (0.01, 1000), (0.5, 125), (100, 25)])
def test_a_trial_fits_the_minutes(seconds, steps, tmp_path: Path, monkeypatch, capsys):
    """Of 10 minutes a trial may take two; seconds: of a step of the 8 images, None: not known."""

    def timed(cfg) -> None:
        bowl(cfg)
        file = Path(cfg.out) / "metrics.json"
        took = seconds and seconds * cfg.sampler.grid.steps / 8
        numbers = {**json.loads(file.read_text()), "n": 8, "seconds_per_image": took}
        file.write_text(json.dumps(numbers))

    monkeypatch.setattr(trials, "sample", timed)
    for _ in range(2):  # read again, it is the same
        known = trials.Trials(DATA, tmp_path, 8)
        start = tune._within(known, known.defaults(), minutes=10)
        assert start == {**known.defaults(), "sampler.grid.steps": steps}
        assert len(known.done) == 1
    assert ("all begin with" in capsys.readouterr().out) == (steps < 1000)
    assert tune._within(known, {"t_start": 0.5, "sampler.grid.steps": 4}, 0.01) == {
        "t_start": 0.5, "sampler.grid.steps": 4,
    }  # fmt: skip


def test_a_setting_that_cannot_be_is_passed_over(tmp_path: Path, monkeypatch, capsys):
    """A low pass that does not divide the image; what was given is refused as ever."""

    def small(cfg) -> None:
        if 16 % cfg.factor:
            raise ValueError(f"a factor of {cfg.factor} does not divide 16")
        bowl(cfg)

    monkeypatch.setattr(trials, "sample", small)
    known = trials.Trials(DATA, tmp_path, 8)
    with pytest.raises(ValueError, match="3 does not divide"):
        known.run({"factor": 3})
    assert known.run({"factor": 2}).cost(0.5) < 1
    assert known.run({"factor": 3}).cost(0.5) == float("inf")
    assert "not possible: a factor of 3 does not divide 16" in capsys.readouterr().out
    assert trials.frontier(list(known.done.values())) == [known.run({"factor": 2})]


def test_a_search_reads_no_trial_of_another(tmp_path: Path, monkeypatch):
    """Neither of other settings, data or networks, nor what says nothing of itself."""
    monkeypatch.setattr(trials, "sample", bowl)
    trials.Trials(DATA, tmp_path, 8).run({})
    monkeypatch.setattr(trials, "sample", lambda cfg: pytest.fail("another"))
    assert trials.Trials(DATA, tmp_path, 8).run({}).metrics["l2_floor"] == 20
    for words, limit in ((["seed=3", "data.source=c"], 8), ([], 9)):
        with pytest.raises(ValueError, match="a trial of another search"):
            trials.Trials([*DATA, *words], tmp_path, limit).run({})
    file = next(tmp_path.glob("trials/*/metrics.json"))
    file.write_text('{"metrics": {"l2": "low"}}')
    with pytest.raises(ValueError, match=r"metrics\.json is damaged"):
        trials.Trials(DATA, tmp_path, 8).run({})
    (file.parent / "run.json").unlink()
    with pytest.raises(ValueError, match="no run.json that says whose"):
        trials.Trials(DATA, tmp_path, 8).run({})


def test_a_search_goes_on_with_the_networks_that_it_began_with(tmp_path: Path):
    network = tmp_path / "x.safetensors"
    config = {"score": {"weights": str(network)}, "extractor": {"weights": None}}
    for content in (b"one", b"one"):
        network.write_bytes(content)
        trials.refuse_changed(tmp_path, config)
    network.write_bytes(b"two")
    with pytest.raises(ValueError, match=r"score\.weights=.* has changed since"):
        trials.refuse_changed(tmp_path, config)


def test_what_cannot_be_judged_is_told(tmp_path: Path):
    blind = trials.Trial({}, tmp_path, {"l2": 1.0}, 1, 0)
    with pytest.raises(ValueError, match="neither KID"):
        blind.cost(0.5)
    judged = trials.Trial({}, tmp_path, {"l2": 2.0, "l2_floor": 4.0, "domain": 0.75}, 1, 0)
    assert judged.cost(0.5) == pytest.approx(0.25 + 0.25)
    with pytest.raises(ValueError, match="limit=1"):
        tune.main(["limit=1"])


@pytest.mark.parametrize(
    ("given", "pictures", "network", "words"),
    [
        ("metrics=none", 3, True, "measures no l2"),
        ("metrics=pairwise", 3, True, "neither KID"),
        ("metrics.kid=false", 3, True, "neither KID"),
        ("metrics=default", 3, False, "neither KID"),
        ("metrics=default", 1, True, "neither KID"),
        ("metrics=default", 3, True, None),
        ("metrics=domain", 1, False, None),
    ],
)
def test_what_cannot_be_judged_is_told_before_the_first_trial(
    given, pictures, network, words, tmp_path, monkeypatch
):  # fmt: skip
    for k in range(pictures):
        for domain, split in product("ab", ("train", "val")):
            (tmp_path / domain / split).mkdir(parents=True, exist_ok=True)
            colour = (80 * k, 9 * ord(domain) % 256, 90)
            Image.new("RGB", (16, 16), colour).save(tmp_path / domain / split / f"{k}.png")
    monkeypatch.setenv("EGSDE_INCEPTION", "")
    monkeypatch.setattr(inception_weights, "locate", lambda *_: tmp_path if network else None)
    monkeypatch.setattr(inception_weights, "read", lambda path: {})
    monkeypatch.setattr(inception, "Inception", lambda *_, **__: "network")
    begun = []
    monkeypatch.setattr(trials.Trials, "run", lambda *_: begun.append(1) or 1 / 0)
    options = ["data=folder", f"data.source={tmp_path / 'a'}", f"data.target={tmp_path / 'b'}",
               *write_networks(tmp_path)[:3], given,
               f"judge.weights={tmp_path / 'classifier.safetensors'}"]  # fmt: skip
    error, match = (ZeroDivisionError, "zero") if words is None else (ValueError, words)
    with pytest.raises(error, match=match):
        tune.tune(options, tmp_path / "out", 1.0)
    assert bool(begun) == (words is None) == (tmp_path / "out").exists()


def test_a_step_halves_from_round_to_round():
    start = {"t_start": 0.5, "energy.weights.realism": 500, "factor": 8}
    assert trials.moved(start, "t_start", False, 0)["t_start"] == 0.35
    assert trials.moved(start, "t_start", False, 1)["t_start"] == 0.425
    assert trials.moved(start, "energy.weights.realism", True, 1)["energy.weights.realism"] == 1000
    assert trials.moved(start, "factor", False, 0)["factor"] == 4
    assert trials.moved({"t_start": 0.1}, "t_start", False, 0) is None
    assert trials.moved({"factor": 1}, "factor", False, 0) is None


def test_a_study_ranks_by_kid_and_prints_the_winners_commands(tmp_path: Path, monkeypatch, capsys):
    asked: list[list[str]] = []

    def called(command: list[str]) -> bool:
        asked.append(command)
        out = Path(next(word for word in command if word.startswith("out="))[4:])
        (out / "images").mkdir(parents=True)
        if "train" in command:
            (out / "weights.safetensors").touch()
            return True
        kid = {"egsde": 0.01, "sdedit": 0.03}.get(out.name)
        metrics = {"kid": kid, "l2": 3.0, "kid_source": 0.1, "domain": 0.5}
        numbers = {
            "metrics": metrics,
            "intervals": {"kid": [0.005, 0.04], "kid_source": [0.09, 0.2]},
            "nfe": {"score": 50},
        }
        (out / "metrics.json").write_text(json.dumps(numbers))
        return kid is not None

    given = ["target=b", "minutes=1", f"out={tmp_path / 'absent'}"]
    monkeypatch.setattr(study, "_called", called)
    for own, words in (("source=a", "no images of 'a'"), ("score=x", "no weights at")):
        with pytest.raises((ValueError, OSError), match=words):  # before anything is started
            study.main([*given, own, *(["source=a"] if own != "source=a" else [])])
    assert not asked
    monkeypatch.setattr(study.Study, "_look", lambda self: None)
    monkeypatch.setattr(study, "compare", lambda folders, out, names: [out / "compare.html"])
    given = ["source=a", "target=b", "minutes=1", "methods=[sdedit,egsde,ilvr]", f"out={tmp_path}"]
    study.main(given)
    rows = list(csv.DictReader((tmp_path / "study.csv").open()))
    assert [row["method"] for row in rows] == ["egsde", "sdedit", "do nothing"]  # ilvr failed
    assert rows[0]["kid_low"] == "0.005" and rows[2]["kid"] == "0.1"
    assert rows[2]["kid_high"] == "0.2"
    trained = [command for command in asked if "train" in command]
    assert len(trained) == 3 and all("model=classifier" in command for command in trained[1:])
    assert "seed=1" in trained[2] and "seed=1" not in trained[1]
    judged = [f"judge.weights={tmp_path / 'networks/judge/weights.safetensors'}" in command
              for command in asked if "sample" in command]  # fmt: skip
    assert judged == [True] * 3  # by a network that guides none of them
    assert all("+trainer.max_time" in " ".join(command) for command in trained)
    told = capsys.readouterr().out
    assert "egsde is first" in told and "split=test" in told and "flatters" not in told
    asked.clear()
    monkeypatch.setattr(study, "opened", lambda folder: folder)
    monkeypatch.setattr(study, "report", lambda run: [run / "report.html"])
    study.main([*given[:3], "methods=egsde", f"out={tmp_path / 'one'}"])
    told = capsys.readouterr().out
    assert f"a page to look at: {tmp_path / 'one' / 'egsde' / 'report.html'}" in told
    asked.clear()
    study.main([*given[:-1], "judge=none", f"out={tmp_path / 'own'}"])
    assert len([command for command in asked if "train" in command]) == 2
    assert any("judge.weights" in " ".join(command) for command in asked)
    assert "domain is told by the classifier that guides" in capsys.readouterr().out
    with pytest.raises(ValueError, match="minutes="):
        study.main(["source=a", "target=b"])
    with pytest.raises(ValueError, match="methods=magic is unknown"):
        study.main([*given, "methods=[magic]"])


@pytest.mark.slow
def test_the_walk_of_a_newcomer(tmp_path: Path):
    """Two folders of 40 pictures and nothing else: train, tune, sample, evaluate, compare."""
    for kind, place in (("a", "cat"), ("b", "dog")):
        files = sorted(shared_path("data/catdog_faces_128").rglob(f"*{place}*/*"))
        files = [f for f in files if f.suffix in (".png", ".jpg")][:40]
        (tmp_path / kind).mkdir()
        for k, file in enumerate(files):
            Image.open(file).convert("RGB").save(tmp_path / kind / f"{k:04d}.png")
        assert len(files) == 40

    def run(*words: str) -> str:
        env = {**os.environ, "EGSDE_OFFLINE": "1"}
        done = subprocess.run([sys.executable, "-m", "egsde", *words], cwd=tmp_path, env=env,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    data = ["data=folder", "data.source=a", "data.target=b", "data.size=16"]
    nets = ["score.weights=runs/score/weights.safetensors",
            "extractor.weights=runs/classifier/weights.safetensors"]  # fmt: skip
    for name, model in (("score", []), ("classifier", ["model=classifier"])):
        run("train", *model, *data, "trainer=smoke", f"out=runs/{name}")
    run("tune", "minutes=0.3", "limit=4", "out=runs/tune", "sampler=ddim",
        "sampler.grid.steps=4", "metrics=domain", *data, *nets)  # fmt: skip
    run("sample", "--config-path", "runs/tune", "--config-name", "tuned", "out=runs/tuned")
    for name in ("ours", "again"):
        run("evaluate", "source=a", "target=b", "split=test", "output=runs/tuned", nets[1],
            f"out=runs/{name}")  # fmt: skip
    run("compare", "runs/ours", "runs/again", "out=runs/compared")
    assert (tmp_path / "runs/compared/compare.html").is_file()
    ours, tuned = (json.loads((tmp_path / f"runs/{n}/metrics.json").read_text())["metrics"]
                   for n in ("ours", "tuned"))  # fmt: skip
    for name in ("l2", "psnr", "ssim", "domain"):
        assert ours[name] == pytest.approx(tuned[name], rel=1e-6)


def test_settings_that_are_no_numbers():
    for given in ("minutes=nan", "minutes=-1", "balance=inf"):
        with pytest.raises(ValueError, match="finite number"):
            tune.main([given])


@pytest.mark.parametrize("tool", [tune, study, compare, pairs])
def test_an_empty_setting_of_a_tool_is_a_shell_variable_that_is_not_set(tool):
    for given in ("out=", "out= "):
        with pytest.raises(ValueError, match="out= is empty; was it a shell variable"):
            tool.main([given])
