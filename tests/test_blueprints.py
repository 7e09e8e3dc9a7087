"""A weights file names parts by a table: old names, new names, nothing else, nothing too large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from demo_networks import SCORE, SDE
from egsde.programs.settings import CONF
from egsde.scores import blueprints
from egsde.scores.container import PACKAGE, read_config, save_weights
from egsde.scores.files import load_score
from egsde.scores.names import NAMES, OLD_MODULES, short_of_old
from egsde.scores.predictions import EpsPrediction
from egsde.sde import DDPM, cosine_betas

OLD = ".".join(["egsde", "predictions"])  # in pieces, so that no renaming reaches it
NETWORK = {"class": "MLP", "channels": 2, "width": 8, "depth": 1}
CONFIG = {
    "format": 2,
    "kind": "score",
    "network": NETWORK,
    "sde": {"class": "DDPM"},
    "prediction": {"class": "Eps"},
}


def write(path: Path, config: Any, width: int = 8, depth: int = 1) -> Path:
    """A file with this text as its configuration, whatever it is, and a small MLP's weights."""
    net = blueprints._made({**NETWORK, "width": width, "depth": depth}, "network")
    tensors = {f"averaged.{k}": v for k, v in net.state_dict().items()}
    text = config if isinstance(config, str) else json.dumps(config)
    save_file(tensors, path, metadata={"egsde": text})
    return path


def test_every_name_is_one_class():
    for place, table in NAMES.items():
        made = [blueprints._find(path) for path in table.values()]
        assert all(map(callable, made)) and len(set(made)) == len(table), place
        names = [thing.__name__.removesuffix("Prediction") for thing in made]
        assert names == list(table), place


def test_every_old_name_is_todays_class():
    """As files without a format number spell it: the package or the module that held the class."""
    for place, modules in OLD_MODULES.items():
        for name in NAMES[place]:
            assert short_of_old(f"{modules[0]}.{name}", place) in NAMES[place] or place == "inner"
    for old in ("egsde.sde.DDPM", "egsde.sde.chains.DDPM"):
        assert short_of_old(old, "sde") == "DDPM"
    assert short_of_old("egsde.sde.linear_betas", "inner") == "linear_betas"
    assert short_of_old(f"{OLD}.NoiseLevel", "inner") == "NoiseLevel"
    assert short_of_old("egsde.programs.cli.DDPM", "sde") == "egsde.programs.cli.DDPM"
    assert short_of_old("egsde.sde.DDPM", "network") == "egsde.sde.DDPM"


def test_files_of_the_first_format_load_as_before(tmp_path):
    """Bitwise: a file with `_target_` opens as the same network that one with names does."""
    torch.manual_seed(0)
    net = instantiate(SCORE)
    label = {"_target_": "egsde.scores.predictions.LogSigma", "factor": 0.5}
    prediction = {"_target_": "egsde.scores.predictions.EpsPrediction", "label": label}
    config = {"kind": "score", "network": SCORE, "sde": SDE, "prediction": prediction}
    save_weights(tmp_path / "new.safetensors", {"averaged": net}, config)
    tensors = load_file(tmp_path / "new.safetensors")
    text = json.dumps(config).replace("egsde.scores.predictions", OLD)
    metadata = {"egsde": text.replace("EpsPrediction", "Eps")}
    save_file(tensors, tmp_path / "old.safetensors", metadata=metadata)
    new, old = (load_score(tmp_path / f"{name}.safetensors", DDPM()) for name in ("new", "old"))
    assert read_config(tmp_path / "new.safetensors") == read_config(tmp_path / "old.safetensors")
    assert new.prediction == old.prediction and old.prediction.label.factor == 0.5
    x, t = torch.randn(2, 3, 16, 16), torch.tensor(0.5, dtype=torch.float64)
    assert torch.equal(new(x, t), old(x, t)) and new(x, t).isfinite().all()


def test_the_shipped_files_load():
    for name, kind in (("flat_and_3d", "labelled"), ("flat_or_3d", "classifier")):
        config = read_config(PACKAGE / "demo" / f"{name}.safetensors")
        assert config["kind"] == kind and config["network"]["class"] in NAMES["network"]
    assert load_score("demo/flat_and_3d.safetensors", DDPM()).prediction == EpsPrediction()


def test_a_configuration_is_written_by_names():
    config = {
        "kind": "score",
        "network": {"_target_": "egsde.networks.MLP", "width": 8, "_convert_": "all"},
        "sde": {"_target_": "egsde.sde.DDPM", "betas": {"_target_": "egsde.sde.cosine_betas"}},
        "prediction": {"_target_": "egsde.scores.predictions.EDMPrediction"},
        "data": {"_target_": "elsewhere.Data"},  # a record, never made
    }
    written = blueprints.described(config)
    assert written["format"] == blueprints.FORMAT and written["network"]["class"] == "MLP"
    assert "_convert_" not in written["network"] and written["data"] == config["data"]
    assert written["sde"] == {"class": "DDPM", "betas": {"class": "cosine_betas"}}
    assert written["prediction"] == {"class": "EDM"}
    made = instantiate(blueprints.configuration(written["sde"], "sde"))
    assert torch.equal(made.betas, DDPM(cosine_betas()).betas)
    assert get_object(NAMES["prediction"]["EDM"]).__module__ == "egsde.scores.predictions"


def test_a_part_from_outside_is_refused_until_allowed():
    config = {
        "network": {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 2},
        "sde": SDE,
        "prediction": None,
    }
    with pytest.raises(ValueError, match=r"add allow=\[torch\]"):
        blueprints.described(config)
    written = blueprints.described(config, ["torch.nn"])
    assert written["network"]["class"] == "torch.nn.modules.linear.Linear"
    shapes = {"weight": (2, 1), "bias": (2,)}
    assert blueprints.network(written["network"], shapes, ["torch.nn"]).out_features == 2
    with pytest.raises(ValueError, match="only classes of egsde"):
        blueprints.network(written["network"], shapes, ["torch.n"])
    with pytest.raises(ValueError, match="write allow="):
        blueprints.network(written["network"], shapes, ["torch.nn", ""])
    with pytest.raises(ValueError, match="no class of torch"):  # functions are not made
        blueprints.network({"class": "torch.nn.init.zeros_", "tensor": 1}, shapes, ["torch"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"network": {**NETWORK, "width": 10**6}}, "do not fit"),
        ({"network": {**NETWORK, "width": 10**30}}, "at most 1000000"),
        ({"network": {**NETWORK, "depth": 10**6}}, "more parameters than"),
        ({"network": {**NETWORK, "class": "DDPMUNet"}}, "cannot be made"),
        ({"network": {"class": "ADMUNet", "image_size": 64}}, "more parameters than"),
        ({"sde": {"class": "DDPM", "betas": {"class": "linear_betas", "levels": 10**10}}}, "10000"),
        ({"sde": {"class": "DDPM", "betas": {"class": "warmup_betas", "share": 1e5}}}, "share"),
        ({"sde": {"class": "VP", "t_min": float("inf")}}, "number inf"),
        ({"sde": {"class": "MLP"}}, "only classes of egsde"),
        ({"sde": {"class": "VP", "_partial_": True}}, "no setting"),
        ({"sde": {"class": "VP", "nothing": 1}}, "cannot be made"),
        ({"sde": None}, "describes no sde"),
        ({"prediction": {"class": "${oc.env:HOME}"}}, "no class"),
        ({"prediction": {"class": "Eps", "raw_input": "${oc.create:{}}"}}, "interpolations"),
        ({"format": 3}, "newer"),
        ({"kind": None}, "kind"),
    ],
    ids=str,
)
def test_what_a_file_asks_for_is_checked_first(tmp_path, change, said):
    path = write(tmp_path / "asked.safetensors", {**CONFIG, **change})
    with pytest.raises(ValueError, match=said) as caught:
        load_score(path, DDPM())
    assert str(caught.value).startswith(str(path))


def test_a_plain_file_of_this_kind_loads(tmp_path):
    path = write(tmp_path / "genuine.safetensors", CONFIG)
    assert load_score(path, DDPM()).net.width == 8


def test_every_part_that_conf_offers_has_a_name():
    """Else train.py would ask for allow=[egsde]."""
    for place in ("network", "sde", "prediction"):
        for path in sorted((CONF / place).glob("[!_]*.yaml")):
            node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
            if "_target_" in node:
                name = blueprints._node({"_target_": node["_target_"]}, place)["class"]
                assert name in NAMES[place], path
