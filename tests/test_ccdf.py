"""CCDF: linear measurements, exact error of a late start against a full run, consistency."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from egsde.constraints import DataConsistency, Estimate
from egsde.linear.filters import LowPass, box
from egsde.linear.operators import Box, Grey, KSpace, Operator, Pixels
from egsde.methods import ccdf
from egsde.methods.diffusion import Diffusion, prior
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import ScoreFunction
from egsde.sde import DDPM, SDE, VP
from egsde.solvers import DDIM, Ancestral
from egsde.source import Source
from problems import Mixture, f64, named

IDS = ["a", "b"]


def images() -> Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.manual_seed(0), dtype=torch.float64) * 2 - 1


def mask() -> Tensor:
    known = torch.zeros(2, 1, 8, 8)
    known[:, :, 2:5, 1:] = 1
    return known


@dataclass(frozen=True)
class Rows(Operator):
    """A user's operator: any orthonormal rows on the flattened image."""

    matrix: Tensor

    def forward(self, x):
        return x.flatten(1) @ self.matrix.T

    def adjoint(self, y):
        return (y @ self.matrix).unflatten(1, (3, 8, 8))


ROWS = torch.linalg.qr(torch.randn(192, 60, generator=torch.manual_seed(1), dtype=torch.float64))[0]
OPERATORS = [Box(2), Box(4), Grey(), Pixels(), KSpace(2), KSpace(4, 0.3), Rows(ROWS.T)]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda o: type(o).__name__)
def test_adjoint_and_orthonormal_rows(operator):
    given, x = operator.given({"mask": mask()}), images()
    y = given.forward(x)
    other = given.forward(images().flip(-1))
    inner = (given.adjoint(other) * x).sum()
    product = (other.conj() * y).real.sum()  # of complex measurements, too
    assert float(product) == pytest.approx(float(inner), rel=1e-12)
    assert (given.forward(given.adjoint(y)) - y).abs().max() < 1e-12
    assert (given.forward(given.estimate(y)) - y).abs().max() < 1e-12


def test_box_projection_is_the_box_low_pass():
    operator, x = Box(4), images()
    assert torch.allclose(operator.adjoint(operator.forward(x)), LowPass(4, box)(x), atol=1e-14)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("sde", [DDPM(), VP()], ids=named)
@pytest.mark.parametrize("solver", [Ancestral(), DDIM()], ids=named)
def test_measurement_is_consistent_at_the_end_and_nothing_else_is_read(solver, sde, operator):
    x0, noise = images(), Noise(0, IDS)
    sampler = Sampler(solver, Uniform(100), denoise=True)
    translate = ccdf(Mixture().score(sde), sampler, operator)
    y = translate(x0, noise, mask=mask())
    given = operator.given({"mask": mask()})
    assert (given.forward(y) - given.forward(x0)).abs().max() < 1e-12
    unseen = x0 + 0.5 * (x0.flip(-2) - given.adjoint(given.forward(x0.flip(-2))))
    assert (translate(unseen, noise, mask=mask()) - y).abs().max() < 1e-9
    assert len(translate.times) == 21


def test_low_resolution_images_take_the_place_of_the_source():
    sde, low, noise = DDPM(), torch.rand(2, 3, 2, 2, dtype=torch.float64), Noise(0, IDS)
    translate = ccdf(
        Mixture().score(sde),
        Sampler(Ancestral(), Uniform(100), denoise=False),
        Box(4),
        t_start=0.5,
    )
    y = translate(images(), noise, low=low)
    blocks = y.unflatten(-1, (2, 4)).unflatten(-3, (2, 4)).mean((-1, -3))
    assert (blocks - low).abs().max() < 1e-12
    same = low.repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert (translate(same, noise) - y).abs().max() < 1e-9
    with pytest.raises(ValueError, match=r"\(2, 3, 4, 4\) do not fit .* give \(2, 3, 2, 2\)"):
        translate(images(), noise, low=torch.zeros(2, 3, 4, 4))


@dataclass(frozen=True)
class Smooth:
    """Images of 1 x 8 pixels N(0, K), K_ij = exp(-|i - j| / length): exact score."""

    length: float = 8.0

    def covariance(self) -> Tensor:
        place = torch.arange(8, dtype=torch.float64)
        return (-(place[:, None] - place).abs() / self.length).exp()

    def score(self, sde: SDE):
        values, vectors = torch.linalg.eigh(self.covariance())

        def score(y: Tensor, t: Tensor, source: object = None) -> Tensor:
            variance = sde.alpha(t).square() * values + sde.sigma(t).square()
            return -(y @ vectors / variance) @ vectors.T

        return ScoreFunction(score, sde)


@dataclass
class Impulses8:
    """Each draw is one in one pixel of a row of its own, after the first `used` rows."""

    used: int = 8
    rows: dict[str, int] = field(default_factory=dict)

    def stream(self, key):
        def randn_like(x):
            z = torch.zeros_like(x)
            rows = torch.arange(self.used, self.used + 8)
            z[rows, 0, 0, torch.arange(8)] = 1
            self.used += 8
            return z

        return randn_like

    def child(self, key):
        return self


@dataclass(frozen=True)
class Left(Operator):
    """Means of neighbouring pixels of a row, times sqrt(2): orthonormal."""

    def forward(self, x):
        return (x[..., ::2] + x[..., 1::2]) / 2**0.5

    def adjoint(self, y):
        return y.repeat_interleave(2, -1) / 2**0.5


def exact_error(translate: Diffusion, data: Smooth) -> float:
    """E ||y - x||^2 per pixel over images and noise: y is linear in both, so no sampling."""
    draws = 2 * (len(translate.times) - 1) + 1
    x0 = torch.zeros(8 + 8 * draws, 1, 1, 8, dtype=torch.float64)
    x0[:8, 0, 0] = torch.linalg.cholesky(data.covariance()).T
    noise = Impulses8()
    y = translate(x0, noise)
    assert noise.used <= len(y)
    return float((y - x0).square().sum()) / 8


def test_a_late_start_has_the_error_of_a_full_run_with_a_fifth_of_the_evaluations():
    """Gaussian data, exact score, exact moments; the posterior mean's error is the floor."""
    sde, data = VP(), Smooth()
    score, operator = data.score(sde), Left()
    sampler = Sampler(Ancestral(), Uniform(200), denoise=True)
    constraint = DataConsistency(operator)
    full = Diffusion(score, sampler, constraint=constraint, start=prior, source_noise="fresh")
    late = ccdf(score, sampler, operator, t_start=0.2)
    errors = [exact_error(translate, data) for translate in (full, late)]
    assert full.steps == 5 * late.steps == 200
    print(errors)
    assert errors[1] < errors[0] * 1.02


def test_two_starts_come_together():
    """The difference of two runs from the same noise shrinks by the reverse steps' slopes."""
    sde, data = VP(), Smooth()
    score, operator, noise = data.score(sde), Left(), Noise(0, ["a"])
    sampler = Sampler(Ancestral(), Uniform(200), denoise=True)
    x0 = torch.linspace(-1, 1, 8, dtype=torch.float64).view(1, 1, 1, 8)
    ratios = []
    for t_start in (0.1, 0.2, 0.4):
        ends = []
        for shift in (0.0, 1.0):

            class Shifted(Estimate):
                def __call__(self, source, times, noise, shift=shift):
                    wrong = shift * torch.tensor([1.0, -1.0]).repeat(4).view(1, 1, 1, 8)
                    x = super().__call__(source, times, noise)
                    return x + source.sde.alpha(times[0]) * wrong

            translate = ccdf(score, sampler, operator, t_start)
            ends.append(
                Diffusion(
                    score,
                    sampler,
                    constraint=translate.constraint,
                    start=Shifted(operator),
                    t_start=t_start,
                    source_noise="fresh",
                )(x0, noise)
            )
        ratios.append(float((ends[1] - ends[0]).abs().mean()))
    print(ratios)
    assert ratios[0] > ratios[1] > ratios[2] and ratios[1] < 0.2


def test_a_measurement_that_is_not_orthonormal_relaxes_towards_it():
    """||A|| <= 1: no step moves away from the measurement."""
    half = Rows(0.5 * ROWS.T)
    sde, x0 = VP(), images()
    source = Source(x0, sde, Noise(0, IDS), "fresh")
    y = images().flip(-1)
    before = (half.forward(y) - half.forward(x0)).norm()
    for _ in range(30):
        y = DataConsistency(half)(y, f64(0.0), source)
        after = (half.forward(y) - half.forward(x0)).norm()
        assert after < before
        before = after
    assert before < 1e-2


def test_wrong_sizes_and_missing_masks_say_what_to_do():
    with pytest.raises(ValueError, match="factor that divides"):
        Box(3).forward(images())
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Box(0)
    with pytest.raises(ValueError, match="data.mask=PATH"):
        Pixels().given({}).forward(images())
