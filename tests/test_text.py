"""A text-conditional network in Stable Diffusion's layout: tiny, made of the classes, random."""

from __future__ import annotations

import json

import pytest
import torch

import egsde
from egsde.codecs import Latent, load_diffusers_codec
from egsde.scores.diffusers import chain_of
from egsde.scores.text import load_text_score

pytestmark = pytest.mark.slow
WORDS = ["<|startoftext|>", "<|endoftext|>", "a</w>", "a", "c", "d", "g", "o", "t"]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    diffusers = pytest.importorskip("diffusers")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("sd")
    diffusers.UNet2DConditionModel(
        sample_size=4, block_out_channels=(32,), layers_per_block=1, cross_attention_dim=16,
        down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",),
        attention_head_dim=8,
    ).save_pretrained(folder / "unet")  # fmt: skip
    diffusers.AutoencoderKL(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=8,
    ).save_pretrained(folder / "vae")  # fmt: skip
    transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=6, bos_token_id=0, eos_token_id=1,
        )
    ).save_pretrained(folder / "text_encoder")  # fmt: skip
    (folder / "tokenizer").mkdir()
    words = {word: place for place, word in enumerate(WORDS)}
    (folder / "tokenizer/vocab.json").write_text(json.dumps(words))
    (folder / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer/tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 6})
    )
    diffusers.PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    ).save_pretrained(folder / "scheduler")
    return folder


def test_the_score_is_the_networks_under_guidance(pipeline):
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    sde = chain_of(pipeline)
    score = load_text_score(pipeline, sde, "a", negative="", guidance=3.0)
    unet = UNet2DConditionModel.from_pretrained(pipeline / "unet").eval()
    encoder = CLIPTextModel.from_pretrained(pipeline / "text_encoder").eval()
    tokenizer = CLIPTokenizer.from_pretrained(pipeline / "tokenizer")
    x, t = torch.randn(2, 4, 4, 4), torch.tensor(0.5, dtype=torch.float64)
    with torch.no_grad():
        both = []
        for text in ("a", ""):
            ids = tokenizer(text, padding="max_length", max_length=6, return_tensors="pt").input_ids
            state = encoder(ids)[0].expand(2, -1, -1)
            both.append(unet(x, torch.full((2,), 499.0), encoder_hidden_states=state).sample)
        eps = both[1] + 3.0 * (both[0] - both[1])
        found = score(x, t)
    assert (both[0] - both[1]).abs().max() > 1e-6  # the text matters
    assert torch.allclose(found, (-eps / sde.sigma(t)).float(), atol=1e-4)


def test_it_translates_through_its_vae(pipeline):
    given = ["score=stable_diffusion", f"score.weights={pipeline}", "score.prompt='a'"]
    codec = ["codec=diffusers", f"codec.weights={pipeline}", "sampler.grid.steps=10"]
    data = ["experiment=none", "data=folder", "data.source=a", "data.target=b", "data.size=8"]
    from egsde.noise import Noise
    from egsde.programs.sample import build_translator
    from runs import composed

    plain = ["translator=sdedit", "energy=none"]
    translator = build_translator(composed("sample", "out", *data, *plain, *given, *codec))
    assert type(translator) is Latent
    y = translator(torch.zeros(1, 3, 8, 8), Noise(0, ["a"]))
    assert y.shape == (1, 3, 8, 8) and bool(y.isfinite().all())
    assert load_diffusers_codec(pipeline).factor == 2


def test_what_is_missing_is_named(pipeline, tmp_path):
    with pytest.raises(ValueError, match=r"DDPM\(1000\).*leave sde= out"):
        load_text_score(pipeline, egsde.VP(), "a")
    (tmp_path / "unet").mkdir()
    with pytest.raises(ValueError, match=r"unet/config\.json is not there"):
        load_text_score(tmp_path, egsde.VP(), "a")
