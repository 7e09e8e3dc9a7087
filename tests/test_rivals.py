"""Every model that translates by itself: it trains, goes on as if never stopped, and translates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import egsde
from egsde.methods.diffusion import networks_of
from egsde.programs.sample import sample
from egsde.programs.train import train
from egsde.scores.container import read_config, read_weights
from runs import composed

# What makes the networks of each model small at 8 px.
RESNET = ["network.width=4", "network.blocks=1", "discriminator.width=4", "discriminator.layers=1"]
UNET = ["network.num_channels=32", "network.channel_mult=[1]", "network.num_head_channels=32"]
PIX2PIX = ["network.width=4", "discriminator.width=4", "discriminator.layers=1"]
SMALL = {
    "cyclegan": RESNET,
    "pix2pix": PIX2PIX,
    "cut": [*RESNET, "module.terms.nce.layers=[0,4,12]", "module.terms.nce.patches=4",
            "heads.channels=[3,8,16]", "heads.width=8"],
    "fastcut": [*RESNET, "module.terms.nce.layers=[0,4,12]", "module.terms.nce.patches=4",
                "heads.channels=[3,8,16]", "heads.width=8"],
    "ddgan": [*UNET, "discriminator.channel_mult=[1]"],
    "flow_matching": UNET,
    "rectified_flow": UNET,
    "dsbm": [*UNET, "module.wait=1", "sampler.grid.steps=2"],
    "unsb": [*UNET, "discriminator.channel_mult=[1]", "critic.channel_mult=[1]"],
    "i2sb": UNET,
    "ddbm": UNET,
}  # fmt: skip
QUICK = {"cyclegan"}
PAIRED = {"pix2pix", "i2sb", "ddbm"}
NFE = {
    "ddgan": {"score": 2},
    "unsb": {"score": 6},
    **dict.fromkeys(("cyclegan", "pix2pix", "cut", "fastcut"), {"net": 1}),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Two domains of 8 px whose files share their names: light squares become dark."""
    root = tmp_path_factory.mktemp("pairs")
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 2), ("test", 2)):
        for k in range(count):
            pixels = generator.integers(100, 256, (8, 8, 3), dtype=np.uint8)
            for domain, image in (("light", pixels), ("dark", pixels // 2)):
                (root / split / domain).mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(root / split / domain / f"{k:02d}.png")
    return root


def data(model: str, root: Path) -> list[str]:
    kind = "paired_folder" if model in PAIRED else "folder"
    return [f"data={kind}", f"data.root={root}", "data.source=light", "data.target=dark",
            "data.size=8", "data.num_workers=0"]  # fmt: skip


@pytest.mark.parametrize(
    "model", [m if m in QUICK else pytest.param(m, marks=pytest.mark.slow) for m in SMALL]
)
def test_it_trains_goes_on_and_translates(model, folders, tmp_path):
    cfg = composed("train", tmp_path, f"model={model}", *data(model, folders), *SMALL[model],
                   "data.batch_size=2", "data.limit=2", "trainer=smoke",
                   "trainer.val_check_interval=2", "metrics=none")  # fmt: skip
    cfg.module.schedule = {"_target_": "egsde.training.modules.Constant"}
    for out, steps in (("whole", 4), ("cut", 2), ("cut", 4)):
        cfg.out, cfg.trainer.max_steps = str(tmp_path / out), steps
        train(cfg)
    whole, cut = (tmp_path / name / "weights.safetensors" for name in ("whole", "cut"))
    for use in ("averaged", "raw"):
        one, other = read_weights(whole, use), read_weights(cut, use)
        assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    before, after = read_weights(whole, "raw"), read_weights(whole, "averaged")
    assert any(not torch.equal(before[k], after[k]) for k in before)
    assert read_config(whole)["steps"] == 4
    assert len(list((tmp_path / "whole" / "previews").iterdir())) == 2

    cfg = composed("sample", tmp_path / "out", "experiment=none", f"translator={model}",
                   f"translator.weights={whole}", *data(model, folders), "metrics=none",
                   "trainer.accelerator=cpu")  # fmt: skip
    sample(cfg)
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert report["n"] == 2 and report["nfe"] == NFE.get(model, {"score": 21})
    again = egsde.load(tmp_path / "whole")
    assert again.size == 8 and networks_of(again.translator)
    picture = folders / "test" / "light" / "00.png"
    mine = np.asarray(again.translate(picture))
    made = next((tmp_path / "out" / "images").glob("00*"))
    assert np.array_equal(mine, np.asarray(Image.open(made)))
