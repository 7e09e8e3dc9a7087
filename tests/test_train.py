"""What a training run leaves behind: numbers, previews, checkpoints, weights."""

from __future__ import annotations

import math
import os

import pytest
import torch
from hydra.utils import instantiate
from PIL import Image

from egsde.scores.container import read_config, read_weights
from egsde.scores.files import load_extractor, load_score
from egsde.sde import DDPM, VP
from runs import composed, rows, trained


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    out = tmp_path_factory.mktemp("score")
    return out, trained(out, drop=("best",))


def test_the_numbers_are_logged(score):
    out, objective = score
    logged = rows(out)
    assert [row["step"] for row in logged] == list(range(6))
    for row in logged:
        assert row["train/loss"] > 0 and row["train/grad_norm"] > 0
        assert row["train/images_per_second"] > 0
        assert row["train/lr"] == pytest.approx(1e-3 * (row["step"] + 1) / 100)
    validated = [row for row in logged if "val/loss" in row]
    assert [row["step"] for row in validated] == [2, 5]
    assert validated[-1]["val/loss"] == pytest.approx(objective)
    for row in validated:
        assert {"val/l2", "val/psnr", "val/ssim"} <= row.keys()
        assert sum(name.startswith("val/loss/t") for name in row) >= 3
    assert any(name.startswith("train/loss/t") for name in logged[0])


def test_previews_are_drawn(score):
    pictures = sorted((score[0] / "previews").glob("*.png"))
    assert [p.stem for p in pictures] == ["step_0000003", "step_0000006"]
    assert Image.open(pictures[0]).width >= 3 * 16


def test_checkpoints_hold_plain_values(score):
    saved = torch.load(score[0] / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 6 and saved["config"]["network"]["num_channels"] == 32
    before = torch.load(score[0] / "checkpoints" / "previous.ckpt", weights_only=True)
    assert before["global_step"] == 3 and before["callbacks"]
    names = {path.name for path in (score[0] / "checkpoints").iterdir()}
    assert names == {"last.ckpt", "previous.ckpt", "best.ckpt"}


def test_weights_are_chosen_by_name_and_know_their_configuration(score):
    path = score[0] / "weights.safetensors"
    saved = torch.load(score[0] / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for use, prefix in (("averaged", "ema.net."), ("raw", "network.")):
        weights = read_weights(path, use)
        assert all(torch.equal(value, saved[prefix + name]) for name, value in weights.items())
    config = read_config(path)
    assert config["kind"] == "score" and config["steps"] == 6 and config["seed"] == 0
    model = load_score(str(path), DDPM(), "raw")
    assert torch.equal(
        model.net.state_dict()["out.2.weight"], read_weights(path, "raw")["out.2.weight"]
    )
    with pytest.raises(ValueError, match="choose one of these"):
        load_score(str(path), DDPM(), "best")
    with pytest.raises(ValueError, match="choose the sde="):
        load_score(str(path), VP())
    with pytest.raises(ValueError, match="holds a score, not a classifier"):
        load_extractor(str(path), DDPM())


def test_a_run_starts_from_given_weights(score, tmp_path):
    path = score[0] / "weights.safetensors"
    trained(tmp_path, f"init_weights={path}", "module.optimizer.lr=0", "trainer.max_steps=1",
            "translate=null")  # fmt: skip
    before = read_weights(path, "averaged")
    for use in ("averaged", "raw"):
        after = read_weights(tmp_path / "weights.safetensors", use)
        assert all(torch.allclose(after[k], v, atol=1e-7) for k, v in before.items())


def test_a_classifier_starts_from_the_encoder_half_of_a_score(score, tmp_path):
    trained(tmp_path, "model=classifier", "network=encoder_tiny", "network.channel_mult=[1]",
            "network.pool=statistics", f"init_weights={score[0] / 'weights.safetensors'}",
            "module.optimizer.lr=0", "module.ema_decay=0", "trainer.max_steps=1",
            drop=("network", "translate", "sampler", "metrics"))  # fmt: skip
    before = read_weights(score[0] / "weights.safetensors", "averaged")
    after = read_weights(tmp_path / "weights.safetensors", "raw")
    assert {k for k in after if k not in before} == {k for k in after if k.startswith("I2Iout.")}
    assert all(torch.equal(v, before[k]) for k, v in after.items() if k in before)
    assert load_extractor(str(tmp_path / "weights.safetensors"), DDPM()).net.all_maps


@pytest.mark.parametrize("use", ["averaged", pytest.param("raw", marks=pytest.mark.slow)])
def test_a_checkpoint_opens_as_its_weights_do(score, use, tmp_path):
    last, weights = score[0] / "checkpoints" / "last.ckpt", score[0] / "weights.safetensors"
    networks = [load_score(path, DDPM(), use).net.state_dict() for path in (last, weights)]
    assert all(torch.equal(value, networks[1][name]) for name, value in networks[0].items())
    with pytest.raises(ValueError, match="last.ckpt holds a score, not a classifier"):
        load_extractor(str(last), DDPM())
    trained(tmp_path, f"init_weights={last}", "module.optimizer.lr=0", "trainer.max_steps=1",
            "translate=null")  # fmt: skip
    before, after = (read_weights(p, "raw") for p in (last, tmp_path / "weights.safetensors"))
    assert all(torch.allclose(after[k], v, atol=0.1) for k, v in before.items())


def test_weights_are_for_everyone_whom_the_umask_lets_read(score):
    mask = os.umask(0)
    os.umask(mask)
    for name in ("weights.safetensors", "checkpoints/last.ckpt"):
        assert (score[0] / name).stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["network.num_channels=64", "network.num_head_channels=64"], "misshaped keys: "),
        (["network.channel_mult=[1,1]"], "missing keys: "),
        (["model=classifier", "network.channel_mult=[1,1]"], "missing keys: "),
    ],
)
@pytest.mark.parametrize(
    "name",
    ["weights.safetensors", pytest.param("checkpoints/last.ckpt", marks=pytest.mark.slow)],
)
def test_weights_of_another_network_start_none(given, words, name, score, tmp_path):
    path, drop = score[0] / name, ("network", "translate", "sampler", "metrics")
    with pytest.raises(ValueError, match=words) as caught:
        trained(tmp_path, f"init_weights={path}", *given,
                drop=drop if "model=classifier" in given else ())  # fmt: skip
    assert f"init_weights={path}" in str(caught.value)


def test_a_classifier_trains_on_three_domains_of_files(tmp_path):
    for k, domain in enumerate(("cat", "wild", "dog")):
        (tmp_path / "data" / "train" / domain).mkdir(parents=True)
        (tmp_path / "data" / "val" / domain).mkdir(parents=True)
        for split, n in (("train", 4), ("val", 2)):
            for i in range(n):
                picture = Image.new("RGB", (20, 20), (60 * k, 80, 20 * i))
                picture.save(tmp_path / "data" / split / domain / f"{i}.png")

    def run(*more):
        return trained(tmp_path / "out", "model=classifier", "data=folder", "data.source=cat",
                       "data.target=dog", "data.extra=[wild]", f"data.root={tmp_path / 'data'}",
                       "data.num_workers=0", "network.channel_mult=[1,1]", *more,
                       drop=("network", "translate", "sampler", "metrics"))  # fmt: skip

    with pytest.raises(ValueError, match="num_classes=2, but the data has 3 .*cat, wild, dog"):
        run("network.num_classes=2")
    value = run()
    assert abs(value - math.log(3)) < 0.5
    path = tmp_path / "out" / "weights.safetensors"
    extractor = load_extractor(str(path), DDPM())
    assert extractor.net.training is False and read_config(path)["data"]["extra"] == ["wild"]
    assert {"train/accuracy", "val/accuracy"} <= rows(tmp_path / "out")[-1].keys()


def test_limit_counts_training_images(tmp_path):
    data = instantiate(composed("train", tmp_path, "limit=5", "data.batch_size=2").data)
    view = data.viewed("train")
    assert view.sizes == [5] and data.train_dataloader().batch_sampler.turn == 3
    everything = instantiate(composed("train", tmp_path).data).viewed("train")
    ids = everything.domains[0].ids
    assert view.domains[0].ids == [ids[k * len(ids) // 5] for k in range(5)]
    assert (
        data.viewed("val").sizes
        == instantiate(composed("train", tmp_path).data).viewed("val").sizes
    )
    classes = composed("train", tmp_path, "model=classifier", "limit=5").data
    assert instantiate(classes).viewed("train").sizes == [5, 5]
    paired = composed("train", tmp_path, "limit=5", "data.view=paired").data
    assert instantiate(paired).viewed("train").sizes == [5]


@pytest.mark.slow
def test_the_seed_decides_everything(score, tmp_path):
    trained(tmp_path / "same", "translate=null", "trainer.max_steps=2")
    trained(tmp_path / "other", "translate=null", "trainer.max_steps=2", "seed=1")
    first = [row["train/loss"] for row in rows(score[0])][:2]
    assert [row["train/loss"] for row in rows(tmp_path / "same")] == first
    assert [row["train/loss"] for row in rows(tmp_path / "other")] != first


def test_the_heads_of_cut_follow_the_generator(tmp_path):
    for width in (2, 64):
        cfg = composed("train", tmp_path, "model=cut", f"network.width={width}", "network.blocks=6")
        generator, heads = instantiate(cfg.network), instantiate(cfg.heads)
        layers = cfg.module.terms.nce.layers
        for number, features in enumerate(generator.features(torch.zeros(1, 3, 16, 16), layers)):
            assert heads(number, features.flatten(2)[0].T).shape[1] == cfg.heads.width


def test_layers_of_cut_that_a_generator_has_not(tmp_path):
    """Of fewer blocks the fifth layer is on the way up; of fewer still it is not there."""
    cfg = composed("train", tmp_path, "model=cut", "network.width=2", "network.blocks=1")
    generator, heads = instantiate(cfg.network), instantiate(cfg.heads)
    x, layers = torch.zeros(1, 3, 16, 16), list(cfg.module.terms.nce.layers)
    last = generator.features(x, layers)[-1]
    with pytest.raises(ValueError, match="module.terms.nce.layers= that fit network.blocks="):
        heads(4, last.flatten(2)[0].T)
    with pytest.raises(ValueError, match=r"generator's are 0 \.\. 23; it has more"):
        generator.features(x, [0, 24])
    for number, features in enumerate(generator.features(x, [0, 4, 8, 12])):
        heads(number, features.flatten(2)[0].T)
