"""Scores of text-conditional latent networks (Stable Diffusion's layout, Rombach 2022)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from egsde.networks.described import described
from egsde.networks.diffusers_unet import check_numbers, modern
from egsde.networks.folders import (
    read_json,
    read_tensors,
    read_tokenizer,
    read_transformer,
    tokens_of,
)
from egsde.scores.diffusers import check_process, diffusers_folder, prediction_of
from egsde.scores.labels import Extrapolated
from egsde.scores.model import ScoreModel
from egsde.scores.process import Score
from egsde.sde import SDE

NEEDED = "needs pip install 'egsde[diffusers]'"


class TextUNet(nn.Module):
    """A UNet2DConditionModel that always sees one text, (1, L, D) as its encoder gave it."""

    text: Tensor

    def __init__(self, net: Any, text: Tensor) -> None:
        super().__init__()
        self.net = net
        self.in_channels, self.image_size = net.config["in_channels"], net.config["sample_size"]
        self.register_buffer("text", text)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """x (B, Z, h, w) latents, t (B,) -> (B, Z, h, w)."""
        text = self.text.to(x.dtype).expand(len(x), -1, -1)
        return self.net(x, t, encoder_hidden_states=text, return_dict=False)[0]


def load_text_score(
    weights: str | Path | None,
    sde: SDE,
    prompt: str,
    negative: str = "",
    guidance: float = 7.5,
    autocast: bool = False,
) -> Score:
    """The score of latents given a prompt, led away from `negative` (classifier-free guidance).

    weights: a folder with unet, text_encoder, tokenizer and scheduler; its vae is codec=diffusers.
    guidance: 1 is the prompt's score alone. ValueError for what the folder lacks.
    """
    folder = diffusers_folder(weights)
    check_process(folder, sde)
    try:
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTokenizer
    except ImportError as error:
        raise ValueError(f"score=stable_diffusion {NEEDED}") from error
    unet = _unet(folder / "unet", UNet2DConditionModel)
    encoder: Any = read_transformer(folder / "text_encoder", "CLIPTextModel")
    tokenizer = read_tokenizer(folder / "tokenizer", CLIPTokenizer)

    def given(text: str) -> ScoreModel:
        embedded = _embedded(tokenizer, encoder, text)
        return ScoreModel(TextUNet(unet, embedded), sde, prediction_of(folder), autocast=autocast)

    asked = given(prompt)
    return asked if guidance == 1 else Extrapolated(asked, given(negative), guidance)


def _unet(folder: Path, kind: Any) -> nn.Module:
    file = folder / "config.json"
    settings, given = read_json(file), read_tensors(folder)
    if (name := settings.get("_class_name")) != kind.__name__:
        raise ValueError(f"{file} is of a {name!s:.80}; a {kind.__name__} is wanted")
    check_numbers(file, settings)
    state = {modern(key): value for key, value in given.items()}
    try:
        return described(
            lambda: kind.from_config(settings), state, len(state), "what config.json describes"
        )
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


@torch.no_grad()
def _embedded(tokenizer: Any, encoder: Any, text: str) -> Tensor:
    tokens = tokens_of(tokenizer, text, encoder.config)
    return encoder(tokens.input_ids)[0].float()
