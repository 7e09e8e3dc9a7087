"""The paper's experiments: parameters as published, and cat2dog end to end with tiny weights."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image

from egsde.data import output_names
from egsde.energies import DomainCosine, Guided, LowPassL2
from egsde.methods import egsde
from egsde.networks import ADMEncoder, ADMUNet
from egsde.noise import Noise
from egsde.programs.callbacks.pictures import to_uint8
from egsde.programs.sample import build_translator, referred, sample
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import Extractor, ScoreModel
from egsde.sde import DDPM
from egsde.solvers import Ancestral
from folders import CONF, colour
from test_networks import fill

# name: realism, faithfulness, score evaluations, source, target, score network, classes, reference
PUBLISHED = {
    "cat2dog": (500, 2, 500, "cat", "dog", "adm", 2, "val"),
    "cat2dog_dagger": (700, 0.5, 600, "cat", "dog", "adm", 2, "val"),
    "wild2dog": (500, 2, 500, "wild", "dog", "adm", 2, "val"),
    "wild2dog_dagger": (700, 0.5, 600, "wild", "dog", "adm", 2, "val"),
    "male2female": (500, 2, 500, "male", "female", "ddpm", 2, "train"),
    "multi_afhq": (500, 2, 500, "cat", "dog", "adm", 3, "val"),
    "sdedit_cat2dog": (0, 0, 500, "cat", "dog", "adm", 2, "val"),
    "sdedit_wild2dog": (0, 0, 500, "wild", "dog", "adm", 2, "val"),
    "sdedit_male2female": (0, 0, 500, "male", "female", "ddpm", 2, "train"),
}
UNET = {"num_channels": 32, "channel_mult": [1, 2], "num_head_channels": 32, "learn_sigma": True}
ENCODER = {"width": 32, "depth": 1, "channel_mult": [1, 2], "num_head_channels": 32}


def composed(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("sample", [f"experiment={name}", *overrides])


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_papers(name):
    realism, faithfulness, steps, source, target, kind, classes, reference = PUBLISHED[name]
    cfg = composed(name)
    times = instantiate(cfg.sampler).times(instantiate(cfg.sde), cfg.translator.t_start)
    assert len(times) - 1 == steps
    assert torch.equal(times, torch.arange(steps, -1, -1, dtype=torch.float64) / 1000)
    assert instantiate(cfg.sampler).solver == Ancestral()
    assert (cfg.data.source, cfg.data.target, cfg.data.size) == (source, target, 256)
    assert (cfg.score.kind, cfg.score.config.image_size) == (kind, 256)
    assert cfg.metrics.protocol.reference_split == reference
    assert cfg.metrics.protocol.pairwise_size == 256
    assert cfg.translator.repeats == 1
    if name.startswith("sdedit"):
        assert not {"energy", "extractor"} & referred(cfg, "translator")
        return
    assert cfg.energy.weights == {"realism": realism, "faithfulness": faithfulness}
    assert cfg.energy.terms.realism._target_ == "egsde.energies.DomainCosine"
    assert instantiate(cfg.energy.terms.faithfulness) == LowPassL2(32)
    assert cfg.translator.source_noise == "shared"
    assert cfg.extractor.config.num_classes == classes == len([source, *cfg.data.extra, target])


def test_every_row_of_the_paper_is_tested():
    files = {path.stem for path in (CONF / "programs/sample/experiment").glob("*.yaml")} - {
        "none",
        "default",
    }
    ours = ("demo", "faces", "student")
    assert {name for name in files if not name.startswith(ours)} == set(PUBLISHED)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Networks like the published ones at 32 px, their files, and three images in AFHQ's layout."""
    folder = tmp_path_factory.mktemp("small")
    score = fill(ADMUNet(32, attention_resolutions=[16], **UNET), 1)
    extractor = fill(ADMEncoder(32, attention_resolutions=[16], **ENCODER), 2)
    torch.save(score.state_dict(), folder / "score.pt")
    torch.save(extractor.state_dict(), folder / "extractor.pt")
    for domain, count in (("cat", 3), ("dog", 2)):
        images = folder / "afhq" / "val" / domain
        images.mkdir(parents=True)
        for k in range(count):
            colour(40 * k + 20, 32).save(images / f"{domain}{k}.jpg", quality=95)
    overrides = [
        f"data.root={folder / 'afhq'}", "data.size=32", "data.num_workers=0", "metrics=pairwise",
        "trainer.accelerator=cpu", "sampler.grid.steps=10", f"score.weights={folder / 'score.pt'}",
        "score.config={image_size:32,num_channels:32,channel_mult:[1,2],num_head_channels:32}",
    ]  # fmt: skip
    guided = [
        f"extractor.weights={folder / 'extractor.pt'}", "energy.terms.faithfulness.factor=4",
        "extractor.config={image_size:32,width:32,depth:1,channel_mult:[1,2],"
        "attention_resolutions:[16],num_head_channels:32}",
    ]  # fmt: skip
    return score, extractor, overrides, guided


def test_cat2dog_runs_end_to_end_as_the_method_called_by_hand(small, tmp_path):
    score, extractor, overrides, guided = small
    cfg = composed("cat2dog", *overrides, *guided, f"out={tmp_path}")
    sample(cfg)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["n"] == 3 and found["nfe"] == {"score": 5, "extractor": 10}
    assert all(math.isfinite(found["metrics"][name]) for name in ("l2", "psnr", "ssim"))
    assert (tmp_path / "grid.png").exists() and (tmp_path / "run.json").exists()

    sde = DDPM()
    energy = 500 * DomainCosine(Extractor(extractor, sde)) + 2 * LowPassL2(4)
    translate = egsde(ScoreModel(score, sde), Sampler(Ancestral(), Uniform(10)), energy)
    batch = next(iter(instantiate(cfg.data).translation_loader("test")))
    y = to_uint8(translate(batch["x0"], Noise(cfg.seed, batch["id"])))
    names = output_names(batch["id"])
    for name, image in zip(batch["id"], y, strict=True):
        written = np.array(Image.open(tmp_path / "images" / names[name]))
        assert np.abs(written.transpose(2, 0, 1).astype(int) - image.numpy().astype(int)).max() <= 1


def test_sdedit_reads_no_extractor(small):
    translator = build_translator(composed("sdedit_cat2dog", *small[2]))
    assert not isinstance(translator.score, Guided) and translator.t_start == 0.5
