"""Every kind of translator that claims to be one graph is one: ONNX computes what PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from egsde.codecs import BlockDCT, Latent, Learned
from egsde.energies import LowPassL2
from egsde.linear import Box, LowPass
from egsde.methods import (
    bridge,
    ccdf,
    cycle_diffusion,
    ddib,
    egsde_fast,
    ilvr,
    one_pass,
    paired,
    sdedit,
    student,
)
from egsde.networks import Autoencoder, ResNetGenerator, UNetGenerator
from egsde.programs.export import written
from egsde.programs.formats import FORMATS
from egsde.programs.graphs import Given, TranslatorGraph
from egsde.programs.multiples import multiple_of
from egsde.sampling import Sampler, Uniform
from egsde.scores import ConditionalScore, FlowMap, ScoreModel
from egsde.scores.labels import LabelledScore
from egsde.scores.mixed import MixedScore
from egsde.scores.predictions import VelocityPrediction
from egsde.sde import DDPM, GeometricVP, Straight
from egsde.solvers import DDIM

SDE = DDPM()
STEPS = Sampler(DDIM(), Uniform(4))


class Small(nn.Module):
    """Two convolutions that see the times and a label."""

    def __init__(self, channels: int = 3, given: int = 0, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(channels + given, 8, 3, padding=1)
        self.last = nn.Conv2d(8, channels, 3, padding=1)
        self.label_emb = nn.Embedding(3, 8)

    def forward(self, x, t, label=None, to=None):
        seen = self.first(x) + t[:, None, None, None] / 100
        if to is not None:
            seen = seen - to[:, None, None, None] / 200
        if label is not None:
            seen = seen + self.label_emb(label)[..., None, None]
        return self.last(torch.sin(seen))


def score(channels: int = 3, seed: int = 0) -> ScoreModel:
    return ScoreModel(Small(channels, seed=seed).eval(), SDE)


def conditional() -> ConditionalScore:
    return ConditionalScore(Small(given=3).eval(), SDE)


def flow(times: list[float]) -> FlowMap:
    return FlowMap(Small(given=3).eval(), SDE, times=times, skip=0.5)


def mixed() -> MixedScore:
    net: Any = Small(2)
    net.alpha = torch.tensor([0.3, 0.8])[:, None, None]
    return MixedScore(net.eval(), GeometricVP())


def autoencoder(**options: Any) -> Learned:
    torch.manual_seed(1)
    net = Autoencoder(8, ch=32, ch_mult=[1, 1], z_channels=2, **options).eval()
    return Learned(net.requires_grad_(False), net.factor)


KINDS: dict[str, Callable[[], Any]] = {
    "ddib": lambda: ddib(score(), STEPS, score(seed=1), t_start=0.5),
    "ddib under an energy": lambda: ddib(score(), STEPS, score(seed=1), LowPassL2(4), t_start=0.5),
    "cycle diffusion without noise": lambda: cycle_diffusion(
        score(), STEPS, score(seed=1), t_start=0.5, refine=0
    ),
    "ccdf": lambda: ccdf(score(), STEPS, Box(2)),
    "a label": lambda: sdedit(LabelledScore(Small().eval(), SDE).given(1), STEPS),
    "paired": lambda: paired(conditional(), STEPS),
    "a partner of a cycle": lambda: paired(conditional(), STEPS, t_start=0.5),
    "flow matching": lambda: bridge(
        ScoreModel(Small().eval(), Straight(), VelocityPrediction()), STEPS
    ),
    "mixed score": lambda: Latent(sdedit(mixed(), STEPS), autoencoder()),
    "a student, one evaluation": lambda: student(flow([0.5, 0.25, 0.0]), 1),
    "a student, two": lambda: student(flow([0.5, 0.25, 0.0]), 2),
    "a ResNet generator": lambda: one_pass(ResNetGenerator(width=4, blocks=1).eval()),
    "a U-Net generator": lambda: one_pass(UNetGenerator(width=4, halvings=3).eval()),
    "blocks of cosines": lambda: Latent(sdedit(score(12), STEPS), BlockDCT(2)),
    "a KL autoencoder": lambda: Latent(sdedit(score(2), STEPS), autoencoder()),
    "a VQ autoencoder": lambda: Latent(sdedit(score(2), STEPS), autoencoder(codes=8)),
}


DRAWS: dict[str, Callable[[], Any]] = {
    "egsde_fast": lambda: egsde_fast(score(), LowPassL2(4), steps=8),
    "ilvr": lambda: ilvr(score(), STEPS, LowPass(4)),
    "cycle diffusion": lambda: cycle_diffusion(score(), STEPS, score(seed=1), t_start=0.5),
}


@pytest.mark.parametrize("kind", DRAWS)
def test_what_draws_on_its_way_is_refused_in_words(kind):
    x = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match="draws noise while it runs"):
        TranslatorGraph(DRAWS[kind]())(x, x)


QUICK = ("ddib", "a student, two", "a KL autoencoder")  # in the default suite, by torchscript


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        pytest.param(kind, form, marks=[] if quick else pytest.mark.slow)
        for kind in KINDS
        for form, quick in (("torchscript", kind in QUICK), ("onnx", False))
    ],
)
def test_one_graph_a_translator(kind, form, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    translator = KINDS[kind]()
    graph = TranslatorGraph(translator).eval()
    about = {"kind": "translator", "size": [8, 8], "channels": 3, "T": 1.0,
             "multiple": multiple_of(translator)}  # fmt: skip
    path, _, worst = written(graph, FORMATS[form], tmp_path, about)
    assert worst < 1e-4
    x0 = torch.rand(3, 3, 8, 8) * 2 - 1
    noise = torch.randn_like(graph.noise_of(x0))
    (y,) = FORMATS[form].read(path)([x0.numpy(), noise.numpy()])
    with torch.no_grad():
        wanted = translator(x0, Given(noise)).numpy()
    assert np.abs(y - wanted).max() <= 1e-4 * max(1.0, float(np.abs(wanted).max()))
    assert np.abs(y - y[:1]).max() > 1e-3  # it sees the sources
