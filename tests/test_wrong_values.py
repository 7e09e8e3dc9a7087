"""A wrong value, wherever it stands, is refused in words that name it, or is a right one."""

from __future__ import annotations

import pytest

from demo_networks import write_networks
from runs import TRAIN, composed
from wrong_values import VALUES, answer

USUAL = {
    "sample": ("sampler.grid.steps", "data.batch_size", "seed", "energy.weights.realism"),
    "train": ("trainer.max_steps", "module.ema_decay", "data.flip"),
}


def program(name, folder):
    networks = write_networks(folder)
    return composed(name, folder / "out", *(networks if name == "sample" else TRAIN))


@pytest.mark.parametrize("value", [".nan", ".inf", "word", "[1,a]", "null"])
@pytest.mark.parametrize("name", USUAL)
def test_every_setting_that_is_usual(name, value, tmp_path):
    cfg = program(name, tmp_path)
    for key in USUAL[name]:
        told = answer(name, cfg, key, VALUES[value], build=False)
        assert told is not None and key.split(".")[-1] in told, (key, told)
