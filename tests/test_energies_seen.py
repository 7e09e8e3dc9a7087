"""Energies of networks that others train: CLIP, LPIPS and DINO, tiny and random, from folders."""

from __future__ import annotations

import builtins
import json

import pytest
import torch
from PIL import Image
from torchvision.models import alexnet

import egsde
from egsde.codecs import BlockDCT
from egsde.energies import Decoded, OnDenoised, load_clip, load_dino
from egsde.evaluation.metrics.lpips import load_lpips
from egsde.noise import Noise
from egsde.sde import VP
from egsde.source import Source
from problems import Gaussian, f64
from runs import command

WORDS = ["<|startoftext|>", "<|endoftext|>", "a</w>", "dog</w>", "a", "d", "g", "g</w>", "o", "do"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("seen")
    text = {"vocab_size": len(WORDS), "max_position_embeddings": 6, "eos_token_id": 1}
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
             "num_attention_heads": 2}  # fmt: skip
    image = {**small, "image_size": 16, "patch_size": 4}
    clip = transformers.CLIPModel(transformers.CLIPConfig(
        text_config={**small, **text}, vision_config=image, projection_dim=8,
    ))  # fmt: skip
    clip.save_pretrained(made / "clip")
    words = {word: place for place, word in enumerate(WORDS)}
    (made / "clip/vocab.json").write_text(json.dumps(words))
    (made / "clip/merges.txt").write_text("#version: 0.2\nd o\ndo g</w>\n")
    (made / "clip/tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 6})
    )
    (made / "clip/preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    )
    transformers.ViTModel(transformers.ViTConfig(**image)).save_pretrained(made / "dino")
    dino2 = transformers.Dinov2Model(transformers.Dinov2Config(**{**image, "mlp_ratio": 1}))
    dino2.save_pretrained(made / "dinov2")
    features = alexnet(weights=None).features.state_dict(prefix="features.")  # all that is read
    torch.save(features, made / "alexnet.pth")
    return made


MADE = {
    "clip_prompt": lambda folders: load_clip(folders / "clip", prompt="a dog"),
    "clip_source": lambda folders: load_clip(folders / "clip"),
    "dino": lambda folders: load_dino(folders / "dino"),
    "dinov2": lambda folders: load_dino(folders / "dinov2", layer=0),
    "lpips": lambda folders: load_lpips(weights=folders / "alexnet.pth", side=32),
}


def terms(folders):
    return {name: make(folders) for name, make in MADE.items()}


def source(x):
    return Source(x, VP(), Noise(0, [str(i) for i in range(len(x))]))


def images(seed: int, side: int = 16, channels: int = 3) -> torch.Tensor:
    torch.manual_seed(seed)
    return (torch.rand(2, channels, side, side) * 2 - 1).double()


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in ("clip_source", "dino") else n for n in MADE],
)
def test_gradients_are_those_of_the_value(folders, name):
    """By differences along random directions, plain, decoded and on the denoised image; and no
    image sees another."""
    energy = MADE[name](folders)
    (energy.seen if hasattr(energy, "seen") else energy).net.double()
    law, t = Gaussian(0.1, 0.2).score(VP()), f64(0.3)
    codec = BlockDCT(2)
    x, y = images(0), images(1)
    cases = [
        (energy, x, y),
        (Decoded(energy, codec), codec.encode(x), codec.encode(y)),
        (OnDenoised(energy, law), x, y),
        (OnDenoised(Decoded(energy, codec), law), codec.encode(x), codec.encode(y)),
    ]
    for each, x, y in cases:
        given = source(x)
        value, slope = each(y, t, given), each.grad(y, t, given)
        assert (
            value.shape == (2,) and value.dtype == y.dtype and slope.abs().amax((1, 2, 3)).min() > 0
        )
        way = torch.randn_like(y)
        way, h = way / way.norm(), 1e-4
        ends = [each(y + sign * h * way, t, given) for sign in (1, -1)]
        assert torch.allclose(
            (ends[0] - ends[1]) / (2 * h), (slope * way).sum((1, 2, 3)), rtol=2e-3, atol=1e-7
        )
    alone = energy(images(1)[:1], t, source(images(0)[:1]))
    assert torch.allclose(alone, energy(images(1), t, source(images(0)))[:1])


def test_what_each_value_means(folders):
    """Zero, or the least, at the source itself; of a prompt and a picture by hand."""
    made, x, t = terms(folders), images(0), f64(0.0)
    for name in ("clip_source", "dino", "dinov2", "lpips"):
        assert made[name](x, t, source(x)).abs().max() < 1e-6
        assert made[name](images(1), t, source(x)).min() > 0
    clip = made["clip_prompt"].seen.net
    ids = torch.tensor([[0, 2, 3, 1, 1, 1]])
    text = clip.text_projection(clip.text_model(ids).pooler_output)
    seen = clip.visual_projection(clip.vision_model(images(0).float()).pooler_output)
    cosine = torch.nn.functional.cosine_similarity(seen, text)
    assert torch.allclose(made["clip_prompt"](x, t, source(x)).float(), 1 - cosine, atol=1e-5)
    picture = folders / "p.png"
    Image.new("RGB", (16, 16), (200, 30, 30)).save(picture)
    red = torch.tensor([200, 30, 30]).double().view(1, 3, 1, 1).expand(2, -1, 16, 16) / 127.5 - 1
    like = load_clip(folders / "clip", image=picture)
    assert like(red, t, source(x)).abs().max() < 1e-5 < like(x, t, source(x)).min()


def test_structure_is_blind_to_a_change_that_keys_do_not_see(folders):
    """A self-similarity of one patch's key with itself is 1, and the matrix is symmetric."""
    s = terms(folders)["dino"].seen.features(images(0).float())
    assert s.shape == (2, 16, 16)
    assert torch.allclose(s.diagonal(dim1=1, dim2=2), torch.ones(2, 16), atol=1e-5)
    assert torch.allclose(s, s.transpose(1, 2), atol=1e-6)


def test_sizes_and_channels(folders):
    for energy in terms(folders).values():
        grey = images(0, 24, 1).float()
        assert energy(grey, f64(0.2), source(grey)).shape == (2,)
        with pytest.raises(ValueError, match="energy/term=decoded"):
            energy(images(0, 16, 4).float(), f64(0.2), source(images(0, 16, 4).float()))


def test_what_is_wrong_is_said(folders, monkeypatch):
    for load, other in ((load_clip, "dino"), (load_dino, "clip")):
        with pytest.raises(ValueError, match="takes a"):
            load(folders / other)
        with pytest.raises(FileNotFoundError, match="save_pretrained"):
            load(folders / "none")
    with pytest.raises(ValueError, match="not both"):
        load_clip(folders / "clip", prompt="a", image="b.png")
    with pytest.raises(ValueError, match="cannot be opened"):
        load_clip(folders / "clip", image=folders / "none.png")
    with pytest.raises(ValueError, match="layer=2 is none of the 2"):
        load_dino(folders / "dino", layer=2)
    with pytest.raises(ValueError, match="alex, vgg, squeeze"):
        load_lpips("resnet")
    monkeypatch.setenv("EGSDE_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(folders))
    with pytest.raises(ValueError, match="weights="):
        load_lpips("vgg")
    with pytest.raises(ValueError, match="do not fit"):
        load_lpips("squeeze", folders / "alexnet.pth")
    imported = builtins.__import__

    def without(name, *args, **more):
        if name.split(".")[0] == "transformers":
            raise ImportError(name)
        return imported(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    for load, name in ((load_clip, "clip"), (load_dino, "dino")):
        with pytest.raises(ValueError, match=rf"energy/term={name} .*egsde\[perceptual\]"):
            load(folders / name)


def test_from_the_command_line(folders, tmp_path):
    """Terms beside EGSDE's own, inside decoded in latent space, with weights to tune."""
    place = "energy/term@energy.terms"
    given = [
        f"+{place}.clip=clip", f"energy.terms.clip.weights={folders / 'clip'}",
        "energy.terms.clip.prompt=a dog", "+energy.weights.clip=50",
        f"+{place}.dino=dino", f"energy.terms.dino.weights={folders / 'dino'}",
        f"+{place}.lpips=decoded", f"+{place}.lpips.energy=lpips",
        f"energy.terms.lpips.energy.weights={folders / 'alexnet.pth'}", "+energy.weights.lpips=2",
        "energy.weights.realism=0", "experiment=none", "sampler.grid.steps=4", "limit=2",
        "metrics=none", "report=0", "trainer.accelerator=cpu", "data.size=16", "check=false",
        "trajectory=0",
    ]  # fmt: skip
    assert command("sample", *given, f"out={tmp_path / 'a'}", "translator=egsde") == 0
    assert len(list((tmp_path / "a/images").iterdir())) == 2


def test_each_term_guides(folders):
    """More weight, a lower energy of the result."""
    from egsde.methods.egsde import egsde as guided
    from egsde.sampling import Sampler
    from egsde.sampling.grids import Uniform
    from egsde.solvers import EulerMaruyama

    x, law = images(0).float(), Gaussian(0.0, 0.3).score(VP())
    for name, weight in (("clip_prompt", 300.0), ("dino", 3000.0), ("lpips", 3000.0)):
        energy, found = MADE[name](folders), []
        for w in (0.0, weight):
            sampler = Sampler(EulerMaruyama(), Uniform(40))
            y = guided(law, sampler, w * energy, 0.3)(x, Noise(0, ["a", "b"]))
            found.append(float(energy(y, f64(0.0), source(x)).mean()))
        assert found[1] < found[0], name


def test_the_package_names_them():
    assert {"CLIP", "DINO", "LPIPS"} <= set(egsde.energies.__all__)
