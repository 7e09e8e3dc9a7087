"""Tiles: the whole picture's translation, without seams, in bounded memory."""

from __future__ import annotations

import math

import pytest
import torch

from egsde.constraints import KeepKnown
from egsde.energies import DomainCosine, LowPassL2
from egsde.methods import Tiled, egsde, sdedit
from egsde.methods.diffusion import Diffusion
from egsde.noise import Noise
from egsde.sampling import Sampler, Uniform
from egsde.scores import Extractor, ScoreModel
from egsde.sde import VP
from egsde.solvers import DDIM
from runs import composed

SDE = VP()
SAMPLER = Sampler(DDIM(), Uniform(8))


class Field(torch.nn.Module):
    """The noise in a state of the Gaussian field of spectrum 1 / (0.2 + |k|^2), whole or a tile:
    eps = sigma F^-1 [F x / (alpha^2 S + sigma^2)], mirrored at the borders."""

    multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def forward(self, x, t):
        self.most = max(self.most, len(x))
        time = t.double() / 999
        alpha, sigma = (f(time).to(x)[:, None, None, None] for f in (SDE.alpha, SDE.sigma))
        mirrored = torch.cat([x, x.flip(-1)], -1)
        mirrored = torch.cat([mirrored, mirrored.flip(-2)], -2)
        rows, columns = (torch.fft.fftfreq(n) * 2 * math.pi for n in mirrored.shape[-2:])
        k = (2 - 2 * rows.cos())[:, None] + (2 - 2 * columns.cos())
        spectrum = 1 / (0.2 + k)
        found = torch.fft.ifft2(torch.fft.fft2(mirrored) / (alpha**2 * spectrum + sigma**2))
        return sigma * found.real[..., : x.shape[-2], : x.shape[-1]]


class Pointwise(torch.nn.Module):
    multiple = 4

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mix = torch.nn.Conv2d(1, 1, 1)

    def forward(self, x, t):
        return torch.tanh(self.mix(x)) + t[:, None, None, None] / 1000

    def features(self, x, t):
        pooled = torch.nn.functional.avg_pool2d(x, 4)
        return torch.cat([pooled, pooled.square() + 1, t[:, None, None, None] / 500 + pooled], 1)


def pictures(height: int = 40, width: int = 56) -> torch.Tensor:
    return torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


NOISE = Noise(0, ["a", "b"])


def test_a_gaussian_field_in_tiles_is_the_whole_field():
    """Correlations end after some pixels: tiles of 24 that share 12 differ from the whole by 2 % of
    its spread in the mean, 20 % at most, and so does a shift of the tiles by 5."""
    net, x0 = Field(), pictures()
    plain = sdedit(ScoreModel(net, SDE), SAMPLER, t_start=0.75)
    whole = plain(x0, NOISE)
    spread = float(whole.std())
    net.most = 0
    tiled = Tiled(plain, 24, 12, batch=3)(x0, NOISE)
    assert net.most == 6  # three tiles of two pictures
    shifted = Tiled(plain, 24, 12, shift=5)(x0, NOISE)
    for one, other in ((tiled, whole), (shifted, tiled)):
        assert float((one - other).square().mean().sqrt()) < 0.02 * spread
        assert float((one - other).abs().max()) < 0.2 * spread  # at a corner
    assert torch.equal(plain(x0, NOISE), whole)  # nothing of the tiles is left


@pytest.mark.parametrize("batch", [1, 5])
def test_what_sees_single_pixels_is_exact_with_energies_and_constraints(batch):
    """Features of 4 x 4 pixels stitch; the low pass and the known pixels are of the whole."""
    net = Pointwise()
    score, x0 = ScoreModel(net, SDE), pictures(16, 28)
    mask = (torch.rand(2, 1, 16, 28, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    energy = 5 * DomainCosine(Extractor(Pointwise(), SDE)) + 0.3 * LowPassL2(4)
    guided = egsde(score, SAMPLER, energy, t_start=0.75)
    kept = Diffusion(guided.score, SAMPLER, constraint=KeepKnown(False), t_start=0.75)
    for translator, cond in ((guided, {}), (kept, {"mask": mask})):
        whole = translator(x0, NOISE, **cond)
        tiled = Tiled(translator, 8, 4, batch=batch)(x0, NOISE, **cond)
        assert torch.allclose(tiled, whole, atol=2e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8, "overlap": 8}, "0 < overlap < size"),
        ({"size": 10, "overlap": 4}, "multiples of 4"),
        ({"size": 8, "overlap": 4, "shift": 4}, "past a whole tile"),
    ],
)
def test_tiles_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Tiled(sdedit(ScoreModel(Pointwise(), SDE), SAMPLER), **options)


def test_tiles_are_an_option_of_the_translator(tmp_path):
    cfg = composed("sample", tmp_path, "translator/tiles=multi_diffusion")
    assert cfg.tiles.size == 64 and cfg.tiles.overlap == 16
    from egsde.programs.sample import build_translator

    made = build_translator(cfg)
    assert isinstance(made, Tiled) and made.steps == made.translator.steps
