"""Files of others' layouts from a stranger, before every reader of them: folders of diffusers,
published generators, students, autoencoders; and the command that a run records."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from egsde.codecs import load_codec
from egsde.networks import DDPMUNet, read_weights
from egsde.networks.diffusers_unet import their_config, their_state
from egsde.programs.demo import networks_of_run
from egsde.scores.diffusers import chain_of, load_diffusers, prediction_of
from egsde.scores.files import load_score
from egsde.scores.students import load_student
from egsde.scores.translators import load_generator
from egsde.sde import DDPM
from test_hostile import MARK, genuine, refused, weights

UNET = {
    "down_block_types": [5, [["DownBlock2D"]], [{}], None],
    "up_block_types": [None, "UpBlock2D"],
    "block_out_channels": [[0], [32, "a"], 32, [], [10**5], [[10**9]], [float("nan")]],
    "sample_size": [[8, "a"], [], 0, -8],
    "in_channels": ["3", -3, 0, True],
    "out_channels": [10**5, 1.5],
    "layers_per_block": [10**5, "2", -1],
    "norm_eps": ["a", None], "dropout": [5, "x"], "attention_head_dim": [0, "a"],
    "freq_shift": [[1]], "flip_sin_to_cos": [1], "evil": [1],
}  # fmt: skip
CHAIN = {
    "_class_name": [["x"], {"a": 1}, "os.system"],
    "beta_schedule": [["linear"], {}, "exec"],
    "prediction_type": [["epsilon"], {}, 3],
    "num_train_timesteps": [True, 10**9, "1000", 0],
    "trained_betas": [[], "abc", [0.1, "a"], [[0.1]], [2.0], {"a": 1}],
    "beta_start": [10**400, None, [1], "x"],
    "beta_end": [-1, 10**400],
}


def folder(path: Path, unet=(), chain=()) -> Path:
    """A small folder of diffusers, with these settings changed."""
    torch.manual_seed(0)
    net = DDPMUNet(8, ch=32, ch_mult=[1], num_res_blocks=1, attn_resolutions=[])
    for name, content in (
        ("unet/config.json", {**their_config(net), **dict(unet)}),
        ("scheduler/scheduler_config.json", {"_class_name": "DDPMScheduler", **dict(chain)}),
    ):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(json.dumps(content))
    save_file(their_state(net), path / "unet" / "diffusion_pytorch_model.safetensors")
    return path


def test_settings_of_a_diffusers_folder(tmp_path):
    assert load_diffusers(folder(tmp_path), DDPM()) is not None
    for key, values in UNET.items():
        for value in values:
            place = folder(tmp_path, {key: value})
            said = refused(place, lambda p=place: load_diffusers(p, DDPM()), tmp_path / MARK)
            assert "config.json" in said
    for key, values in CHAIN.items():
        for value in values:
            place = folder(tmp_path, chain={key: value})

            refused(place, lambda p=place: (chain_of(p), prediction_of(p)), tmp_path / MARK)


def test_settings_of_a_diffusers_autoencoder(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    from egsde.codecs import load_diffusers_codec

    vae = diffusers.AutoencoderKL(
        block_out_channels=[8], layers_per_block=1, latent_channels=2, norm_num_groups=4
    )
    vae.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    usual = json.loads(file.read_text())
    assert load_diffusers_codec(tmp_path).scale == 0.18215
    for key, value in [("scaling_factor", "abc"), ("scaling_factor", [1]), ("scaling_factor", 0),
                       ("shift_factor", "x"), ("block_out_channels", 8),
                       ("block_out_channels", [30000]), ("layers_per_block", 10**4),
                       ("latent_channels", -1), ("down_block_types", ["os.system"])]:  # fmt: skip
        file.write_text(json.dumps({**usual, key: value}))
        refused(file, lambda: load_diffusers_codec(tmp_path), tmp_path / MARK)


STATES = {
    "repeated": lambda: {"model.1.weight": torch.zeros(1).expand(64, 3, 7, 7)},
    "larger than memory": lambda: {"a": torch.zeros(1).expand(10**6, 10**6)},
    "sparse": lambda: {
        "a": torch.sparse_coo_tensor(torch.zeros(2, 0, dtype=torch.long), [], (10**6, 10**6))
    },
    "meta": lambda: {"a": torch.empty(10**6, 10**6, device="meta")},
    "names that are none": lambda: {1: torch.zeros(1)},
    "wide": lambda: {"model.1.weight": torch.zeros(20000, 1, 1, 1), "z.weight": torch.zeros(1, 1)},
    "deep": lambda: {**UNET_STATE, "model." * 5000 + "x": torch.zeros(1)},
    "deeper than pixels": lambda: {**UNET_STATE, "model." * 30 + "x": torch.zeros(1)},
    "cut": lambda: {"model.model.0.weight": torch.zeros(8, 3, 4, 4)},
    "scalar": lambda: {"model.1.weight": torch.zeros(8, 3, 4, 4), "z.weight": torch.tensor(1.0)},
    "flat": lambda: {"model.model.0.weight": torch.tensor(1.0)},
}
UNET_STATE = {f"model.model.{i}.weight": torch.zeros(8, 3, 4, 4) for i in (0, 3)}


@pytest.mark.parametrize("name", STATES)
def test_tensors_that_say_more_than_they_hold(tmp_path, name):
    path = tmp_path / "net.pth"
    torch.save(STATES[name](), path)
    refused(path, lambda: load_generator(path), tmp_path / MARK)


def test_a_checkpoint_that_grows_when_it_is_opened(tmp_path):
    plain, packed = tmp_path / "plain.pth", tmp_path / "packed.pth"
    torch.save({"a": torch.zeros(10**5)}, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    assert read_weights(plain)["a"].shape == (10**5,)
    assert "compressed" in refused(packed, lambda: read_weights(packed), tmp_path / MARK)


RECORDS = [
    *({"data": {key: value}} for key, values in {
        "size": ["x", [1], {}, 10**9, True, ["${oc.env:HOME}", 1]], "channels": ["a", [1], 0, 1.5],
        "range": ["abc", 3, [1], [2, 1], ["a", "b"]], "source": [3, ["a"]], "extra": [[{"b": 1}]],
    }.items() for value in values),
    {"space": 3}, {"validation": {"a": True}}, {"data": [1]},
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=str)
def test_what_a_file_records(tmp_path, record):
    path = weights(tmp_path / "a.safetensors", genuine("score") | record)
    refused(path, lambda: load_score(path, DDPM()), tmp_path / MARK)


def test_what_a_student_and_an_autoencoder_record(tmp_path):
    for record in ({"times": []}, {"times": [True, False]}, {"times": ["a", 0]}, {"times": None},
                   {"times": [1, 2]}, {"times": [1, 0], "skip": "a"}, {"times": [1, 0], "skip": 2},
                   {"times": [1, 0], "skip": None}, {}):  # fmt: skip
        path = weights(tmp_path / "s.safetensors", genuine("score") | {"kind": "student"} | record)
        refused(path, lambda p=path: load_student(str(p), DDPM()), tmp_path / MARK)
    for network in (
        {},
        {"network": {"class": "Autoencoder", "image_size": 8, "ch": 10**6}},
        {"network": {"class": "Autoencoder", "ch_mult": "abc"}},
    ):
        config = genuine("score") | {"kind": "autoencoder"} | network
        path = weights(tmp_path / "c.safetensors", config)
        refused(path, lambda p=path: load_codec(p), tmp_path / MARK)


@pytest.mark.parametrize(
    "words",
    ["score._target_=os.system", "'sampler={_target_: os.system, command: touch MARK}'",
     "'energy.terms.realism={_target_: os.system, command: touch MARK}'", "allow=[my_package]",
     "--config-dir=/tmp", "hydra.searchpath=[file:///]", "'+x=${oc.create:{_target_: os.system}}'",
     "'+x=${oc.env:HOME}'", "'unclosed"],
)  # fmt: skip
def test_the_command_of_a_run(tmp_path, words):
    """egsde demo RUN takes its words; what stands there may come from anyone."""
    path, command = tmp_path / "run.json", "python sample.py experiment=demo "
    path.write_text(json.dumps({"command": command + words.replace("MARK", str(tmp_path / MARK))}))
    refused(path, lambda: networks_of_run(tmp_path), tmp_path / MARK)


def test_the_command_of_a_run_of_ours(tmp_path):
    words = "python sample.py experiment=demo seed=3 out=x"
    (tmp_path / "run.json").write_text(json.dumps({"command": words}))
    found = networks_of_run(tmp_path)
    assert found.given == ("experiment=demo", "seed=3")
    assert os.environ["HOME"] not in str(found)


def test_settings_and_files_of_a_folder_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    from egsde.networks.folders import read_transformer

    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 9,
             "num_attention_heads": 1, "max_position_embeddings": 6}  # fmt: skip
    folder, away = tmp_path / "text_encoder", tmp_path / "away"
    net = transformers.CLIPTextModel(transformers.CLIPTextConfig(**small))
    net.save_pretrained(folder)
    file = folder / "config.json"
    usual = json.loads(file.read_text())
    assert read_transformer(folder, "CLIPTextModel") is not None
    for change in ({"vocab_size": 10**9}, {"max_position_embeddings": 10**9}, {"hidden_size": "a"},
                   {"num_hidden_layers": 10**6}, {"auto_map": {"AutoModel": "evil.Evil"}},
                   {"quantization_config": {"method": "evil"}}, {"hidden_size": 16}):  # fmt: skip
        file.write_text(json.dumps({**usual, **change}))
        refused(folder, lambda: read_transformer(folder, "CLIPTextModel"), tmp_path / MARK)
    file.write_text(json.dumps(usual))
    weights_file = folder / "model.safetensors"
    weights_file.rename(away)
    weights_file.symlink_to(away)
    said = refused(weights_file, lambda: read_transformer(folder, "CLIPTextModel"), tmp_path / MARK)
    assert "link out of its folder" in said
    weights_file.unlink()
    for place in ("../away", "/etc/passwd", None, 3):
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {"a": place}}))
        refused(index, lambda: read_transformer(folder, "CLIPTextModel"), tmp_path / MARK)
