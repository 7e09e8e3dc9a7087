"""Networks are of the run's domains, order, size and channels, or the run says both values."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from demo_networks import CLASSIFIER, SCORE, SDE
from egsde.data import TwoDomains
from egsde.programs.agreement import check_networks
from egsde.programs.judged import tell_size
from egsde.scores.container import read_config, save_weights
from egsde.scores.files import load_conditional, load_cycle, load_extractor, load_score
from egsde.scores.files import load_source_score as load_source
from egsde.sde import DDPM
from folders import data, fill
from runs import command, trained

SAVED = {"source": "photos/cats", "target": "photos/dogs", "size": 16, "extra": []}


def run_data(source: str = "/other/cats", target: str = "dogs.zip", *more: str) -> TwoDomains:
    return data("folder", f"data.source={source}", f"data.target={target}", "data.size=16", *more)


def file(folder: Path, kind: str, network: dict[str, Any], **saved: Any) -> str:
    inputs = {"in_channels": 6} if kind in ("conditional", "cycle") else {}
    network = network | inputs
    modules = torch.nn.ModuleDict({p: instantiate(network) for p in "xy"})
    whole = modules if kind == "cycle" else modules["x"]
    prediction = (
        None if kind == "classifier" else {"_target_": "egsde.scores.predictions.EpsPrediction"}
    )
    rest = {"validation": saved.pop("validation", {})}
    config = {"kind": kind, "network": network, "sde": SDE, "prediction": prediction, **rest}
    save_weights(folder / "w.safetensors", {"averaged": whole}, config | {"data": SAVED | saved})
    return str(folder / "w.safetensors")


LOADS = {"score": load_score, "source": load_source, "conditional": load_conditional,
         "cycle": load_cycle, "classifier": load_extractor}  # fmt: skip
RIGHT: dict[str, dict[str, Any]] = {
    "score": {},
    "source": {"source": "dogs", "target": "x/cats"},
    "conditional": {},
    "cycle": {},
    "classifier": {},
}


@pytest.mark.parametrize("kind", LOADS)
def test_right_networks_pass_wherever_the_folders_lie(tmp_path, kind):
    network = CLASSIFIER if kind == "classifier" else SCORE
    path = file(tmp_path, "score" if kind == "source" else kind, network, **RIGHT[kind])
    check_networks([LOADS[kind](path, DDPM())], run_data())


WRONG = [
    ("score", {"target": "wolves"}, "domain: wolves in the file, dogs in this run"),
    ("score", {"size": 32}, "data.size: 32 in the file, 16 in this run"),
    ("score", {"target": "cats", "source": "dogs"}, "domain: cats in the file, dogs in this run"),
    ("source", {}, "domain: dogs in the file, cats in this run"),
    ("source", {"target": "cats", "size": 64}, "data.size: 64"),
    ("conditional", {"source": "dogs", "target": "cats"}, r"\['dogs', 'cats'\] in the file"),
    ("conditional", {"source": "foxes"}, r"\['foxes', 'dogs'\] in the file, \['cats', 'dogs'\]"),
    ("cycle", {"target": "wolves"}, r"\['cats', 'wolves'\] in the file"),
    ("classifier", {"source": "dogs", "target": "cats"}, r"domains: \['dogs', 'cats'\] in the"),
    ("classifier", {"target": "wolves"}, r"\['cats', 'wolves'\] in the file, \['cats', 'dogs'\]"),
    ("classifier", {"size": 256}, "data.size: 256 in the file"),
]


@pytest.mark.parametrize(("kind", "saved", "message"), WRONG)
def test_wrong_networks_are_refused_with_both_values(tmp_path, kind, saved, message):
    network = CLASSIFIER if kind == "classifier" else SCORE
    path = file(tmp_path, "score" if kind == "source" else kind, network, **saved)
    model = LOADS[kind](path, DDPM())
    with pytest.raises(ValueError, match=message) as error:
        check_networks([model], run_data())
    assert path in str(error.value) and "check=false" in str(error.value)
    check_networks([model], run_data(), check=False)


def test_a_label_in_the_record_of_one_domain_is_not_asked(tmp_path):
    model = load_score(file(tmp_path, "score", SCORE), DDPM())
    model.net.record["label"] = 7
    check_networks([model], run_data())


def test_the_other_half_of_a_cycle_makes_the_source(tmp_path):
    path = file(tmp_path, "cycle", SCORE)
    check_networks([load_cycle(path, DDPM(), makes="x")], run_data("dogs", "cats"))
    check_networks([load_cycle(path, DDPM(), makes="x")], run_data("cats", "dogs"))
    with pytest.raises(ValueError, match="source and target"):
        check_networks([load_cycle(path, DDPM(), makes="x")], run_data("dogs", "foxes"))


@pytest.mark.parametrize(("extra", "right"), [("[wild]", True), ("[wolf]", False), ("[]", True)])
def test_extra_domains_are_compared_where_they_are_given(tmp_path, extra, right):
    path = file(tmp_path, "classifier", CLASSIFIER | {"num_classes": 3}, extra=["wild"])
    model, module = load_extractor(path, DDPM()), run_data("cats", "dogs", f"data.extra={extra}")
    if right:
        return check_networks([model], module)
    with pytest.raises(ValueError, match="'wild', 'dogs'.*'wolf', 'dogs'"):
        check_networks([model], module)
    return None


def test_a_file_that_records_no_data_is_not_asked(tmp_path):
    path = file(tmp_path, "score", SCORE)
    config = {k: v for k, v in read_config(Path(path)).items() if k != "data"}
    save_weights(Path(path), {"averaged": load_score(path, DDPM()).net}, config)
    check_networks([load_score(path, DDPM())], run_data("a", "b"))


@pytest.mark.parametrize(
    ("accuracies", "extra", "said"),
    [((0.5, 0.54), [], "52%"), ((0.93, 0.8), [], ""), ((0.33, 0.37), ["wild"], "35%"),
     ((0.6, 0.5), ["wild"], ""), ((0.4, 0.6), [], "50%")],
)  # fmt: skip
def test_a_classifier_near_chance_is_warned_of_with_its_accuracy(tmp_path, accuracies, extra, said):
    bins = dict(zip(("val/accuracy/t0.0-0.1", "val/accuracy/t0.4-0.5"), accuracies, strict=True))
    bins |= {"val/accuracy/t0.9-1.0": 0.5, "val/loss": 0.1}
    network = CLASSIFIER | {"num_classes": 2 + len(extra)}
    path = file(tmp_path, "classifier", network, extra=extra, validation=bins)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        check_networks([load_extractor(path, DDPM())], run_data())
    told = [str(w.message) for w in found if "tells the domains apart" in str(w.message)]
    assert len(told) == bool(said) and (not said or f"images is {said}" in told[0])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["score.weights=demo/flat_and_3d.safetensors", "energy=none"],
         "domain: 3d in the file, b in this run"),
        (["score.weights=demo/flat_and_3d.safetensors",
          "extractor.weights=demo/flat_or_3d.safetensors"], "domain"),
        ([], "no weights are given; add"),
    ],
)  # fmt: skip
def test_own_data_is_never_translated_by_the_emojis_networks(tmp_path, chosen, message, capsys):
    for k, name in enumerate("ab"):
        fill(tmp_path / name, 30, start=40 * k)
    folders = [f"data.source={tmp_path / 'a'}", f"data.target={tmp_path / 'b'}", "data.size=32"]
    own = ["data=folder", *folders, "data.num_workers=0", "trainer.accelerator=cpu", "logger=none",
           "metrics=pairwise", "sampler.grid.steps=2", "translator.t_start=0.5"]  # fmt: skip
    assert command("sample", *own, *chosen, f"out={tmp_path / 'run'}") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "images").exists()


def test_training_records_what_is_asked(tmp_path):
    trained(tmp_path, "model=classifier", "network=encoder_tiny", "network.width=32",
            "network.channel_mult=[1]", "network.num_head_channels=32",
            drop=("network", "translate", "sampler", "metrics"))  # fmt: skip
    config = read_config(tmp_path / "weights.safetensors")
    assert config["data"]["target"] == "3d" and config["data"]["size"] == 16
    assert 0 <= config["validation"]["val/accuracy"] <= 1
    shutil.rmtree(tmp_path / "checkpoints")


def test_a_judge_of_another_size_than_the_pictures_is_told(tmp_path):
    judge = str(file(tmp_path, "classifier", CLASSIFIER))
    cfg = OmegaConf.create({"judge": {"weights": judge}})
    with pytest.warns(UserWarning, match=f"{judge} was trained on images of 16x16, .*32x16"):
        tell_size(cfg, (32, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell_size(cfg, (16, 16))
