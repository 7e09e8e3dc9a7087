"""Networks of a right kind and a wrong shape are told by their file, not by a traceback."""

from __future__ import annotations

import pytest
import torch

import egsde
from egsde.networks import MLP, ADMEncoder, ADMUNet
from egsde.programs.callbacks.fitting import fitting
from egsde.scores.container import save_weights
from runs import command

NETS = {
    "points": (MLP, {"width": 16, "depth": 1}),
    "grey": (ADMUNet, {"image_size": 8, "num_channels": 32, "channel_mult": [1], "in_channels": 1,
                       "attention_resolutions": [], "num_head_channels": 32}),
    "score": (ADMUNet, {"image_size": 8, "num_channels": 32, "channel_mult": [1],
                        "attention_resolutions": [], "num_head_channels": 32}),
    "classifier": (ADMEncoder, {"image_size": 8, "width": 32, "depth": 1, "channel_mult": [1],
                                "in_channels": 4, "attention_resolutions": [],
                                "num_head_channels": 32}),
}  # fmt: skip


def saved(path, name: str, kind: str, data=None) -> str:
    network, options = NETS[name]
    config = {"kind": kind, "network": {"class": network.__name__, **options},
              "sde": {"class": "DDPM"}, "prediction": {"class": "Eps"}, "data": data}  # fmt: skip
    file = path / f"{name}.safetensors"
    save_weights(file, {"averaged": network(**options)}, config)
    return str(file)


@pytest.mark.parametrize(
    ("name", "kind"), [("points", "score"), ("grey", "score"), ("score", "conditional")]
)
def test_a_picture_that_a_network_does_not_take(name, kind, tmp_path):
    file = saved(tmp_path, name, kind)
    with pytest.raises(ValueError, match=rf"{name}.safetensors, a {kind}: its network does not"):
        translator = egsde.load(file, "data.size=8", "data.channels=3", "sampler.grid.steps=2")
        translator.translate(torch.zeros(3, 8, 8))


def test_on_the_command_line(tmp_path, capsys):
    score, guide = saved(tmp_path, "score", "score"), saved(tmp_path, "classifier", "classifier")
    code = command("sample", "translator=egsde", "data.size=8", "limit=1", "report=0",
                   "metrics=none", "sampler.grid.steps=4", f"score.weights={score}",
                   f"extractor.weights={guide}", "trainer.accelerator=cpu",
                   f"out={tmp_path / 'out'}")  # fmt: skip
    told = capsys.readouterr().err
    assert code == 1 and "classifier.safetensors, a classifier: its network" in told
    assert "Traceback" not in told


def test_other_errors_pass():
    for error in (RuntimeError("x"), torch.OutOfMemoryError("x")):
        with pytest.raises(type(error)), fitting():
            raise error
