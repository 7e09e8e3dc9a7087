"""Own data: the paper's settings at its size, networks for its size, nothing of the demo's."""

from __future__ import annotations

import re

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from folders import fill
from hydra_plugins.egsde_settings import eighth
from runs import command, composed

FOLDER = ("data=folder", "data.source=a", "data.target=b")


@pytest.mark.parametrize(
    ("size", "factor"), [(256, 32), (32, 4), (64, 8), (36, 4), (100, 10), (31, 1), (1, 1)]
)
def test_the_low_pass_leaves_eight_cells_and_divides_the_size(size, factor):
    assert eighth(size) == factor


@pytest.mark.parametrize(
    ("size", "sides"),
    [(256, [16]), (128, [16]), (64, [8]), (16, [8]), (20, [5]), (4, [4])],
)
def test_networks_attend_at_sides_that_they_have(size, sides, tmp_path):
    """The published ones wherever they divide the size."""
    net = composed("train", tmp_path, *FOLDER, f"data.size={size}").network
    assert net.attention_resolutions == sides
    if size < 64:
        instantiate(net)
    if size == 16:
        prior = composed(
            "train", tmp_path, "model=lsgm", *FOLDER, f"data.size={size}"
        ).network.prior
        assert prior.image_size == 4 and prior.attention_resolutions == [4]


def test_autoencoders_take_rectangles_of_any_channels(tmp_path):
    given = [*FOLDER, "data.size=[32,48]", "data.channels=1"]
    net = instantiate(composed("train", tmp_path, "model=autoencoder", *given).network)
    x = torch.zeros(1, 1, 32, 48)
    mean, _ = net.moments(x)
    assert mean.shape == (1, 4, 8, 12) and net.decode(mean).shape == x.shape
    lsgm = composed("train", tmp_path, "model=lsgm", *given).network
    assert lsgm.prior.image_size == [8, 12] and lsgm.prior.attention_resolutions == [8]
    net = instantiate(lsgm)
    assert net.prior(net.vae.moments(x)[0], torch.zeros(1)).shape == mean.shape


@pytest.mark.parametrize(("size", "layers"), [(256, 3), (32, 3), (31, 2), ([16, 40], 2), (8, 1)])
def test_a_judge_of_patches_fits_the_size(size, layers, tmp_path):
    """As composed: the published three layers where there is room, and a logit at least."""
    sides = size if isinstance(size, list) else [size, size]
    given = f"data.size={size}".replace(" ", "")
    for model in ("cut", "pix2pix"):
        cfg = composed("train", tmp_path, f"model={model}", *FOLDER, given)
        assert cfg.discriminator.layers == layers
        judge = instantiate(cfg.discriminator, width=2)
        assert judge(torch.zeros(1, judge.model[0].in_channels, *sides)).numel() >= 1


@pytest.mark.parametrize("size", [32, 64, 256])
def test_other_data_starts_from_the_papers_settings(size, tmp_path):
    cfg = composed("sample", tmp_path, *FOLDER, f"data.size={size}")
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert plain["translator"]["t_start"] == 0.5 and plain["sampler"]["grid"]["steps"] == 1000
    assert plain["energy"]["weights"] == {"realism": 500, "faithfulness": 2}
    assert plain["energy"]["terms"]["faithfulness"]["factor"] == plain["factor"] == size // 8
    assert "demo" not in plain and plain["score"]["weights"] is None


def test_the_embedded_data_keeps_its_own(tmp_path):
    cfg = composed("sample", tmp_path)
    assert cfg.t_start < 0.5 and cfg.sampler.grid.steps == 100
    assert cfg.score.weights.startswith("demo/") and cfg.extractor.weights.startswith("demo/")
    plain = composed("sample", tmp_path, "experiment=none")
    assert plain.t_start == 0.5 and plain.score.weights == cfg.score.weights


def test_it_is_said_and_networks_are_asked_for(tmp_path, capsys):
    for name in "ab":
        fill(tmp_path / name, 30)
    folders = [f"data.{k}={tmp_path / v}" for k, v in (("source", "a"), ("target", "b"))]
    given = ["data=folder", *folders, "data.size=16", "data.num_workers=0"]
    assert command("sample", *given, f"out={tmp_path / 'run'}") == 1
    said = capsys.readouterr()
    assert "settings of the paper, scaled to 16 px: t_start=0.5, weights realism 500" in said.out
    assert re.search(r"error: no weights are given; add (score|extractor).weights=PATH", said.err)
    assert command("sample", "score.weights=none.safetensors", f"out={tmp_path / 'demo'}") == 1
    assert "settings of the paper" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "same"),
    [
        (["data=afhq"], "network=adm_256"),
        pytest.param(["data=celeba_hq", "model=classifier"], "network=dse_256",
                     marks=pytest.mark.slow),
        (["data=fluent", "data.size=32"], "network=tiny"),
        (["data=folder", "data.size=64", "model=classifier"], "network=encoder_tiny"),
        pytest.param(["data=facades", "model=conditional"], "network=adm_256",
                     marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_network_is_chosen_for_the_size(overrides, same, tmp_path):
    chosen, named = (
        OmegaConf.to_container(composed("train", tmp_path, *o).network, resolve=True)
        for o in (overrides, [*overrides, same])
    )
    assert chosen == named


def test_a_chosen_list_can_be_resolved_in_place(tmp_path):
    cfg = composed("train", tmp_path)
    network = OmegaConf.create({"data": {"size": 32}, "network": cfg.network})
    OmegaConf.resolve(network)
    assert list(network.network.channel_mult) == [1, 2, 4]
    assert instantiate(network.network) is not None
