"""Every grid on every process: ends, number of steps, spacing."""

from __future__ import annotations

import pytest
import torch

from egsde.noise import Noise
from egsde.sampling import Sampler
from egsde.sampling.grids import AtOnce, Karras, LogSNR, Quadratic, Respaced, Uniform
from egsde.sde import (
    DDPM,
    EDM,
    NCSN,
    SDE,
    VE,
    VP,
    CosineVP,
    SubVP,
    cosine_betas,
    geometric_sigmas,
    jsd_betas,
)
from egsde.sde.reverse import Reverse
from egsde.solvers import Ancestral
from problems import Gaussian, f64

GRIDS = [Uniform(20), Quadratic(12), LogSNR(12), Karras(12), Karras(8, rho=3.0), Respaced(10)]
SDES = [VP(), SubVP(), VE(), CosineVP(), EDM(), DDPM(), NCSN()]


def log_snr(sde: SDE, t: torch.Tensor) -> torch.Tensor:
    return sde.alpha(t).log() - sde.sigma(t).log()


@pytest.mark.parametrize("grid", GRIDS, ids=repr)
@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_grids_fall_from_the_start_to_the_end(grid, sde):
    for start in (sde.T, float(sde.snap(f64(sde.T / 2)))):
        times = grid.times(sde, start)
        assert times.dtype == torch.float64
        assert times[0] == start and times[-1] == sde.t_min
        share = float(sde.fraction(f64(start)))
        assert len(times) == round(grid.steps * share) + 1
        assert (times.diff() < 0).all() and torch.equal(sde.snap(times), times)
        assert (sde.sigma(times[:-1]) > 0).all()


@pytest.mark.parametrize("sde", SDES[:5], ids=repr)
def test_spacing_on_continuous_processes(sde):
    def even(values):
        steps = values.diff()
        return torch.allclose(steps, steps.mean().expand(len(steps)), rtol=1e-6)

    assert even(Uniform(10).times(sde, sde.T))
    assert even(Quadratic(10).times(sde, sde.T).sqrt())
    assert even(log_snr(sde, LogSNR(10).times(sde, sde.T)))
    assert even((-log_snr(sde, Karras(10).times(sde, sde.T)) / 7).exp())
    assert even((-log_snr(sde, Karras(10, rho=2).times(sde, sde.T)) / 2).exp())


@pytest.mark.parametrize(("steps", "rho"), [(17, 7.0), (39, 5.0)])
def test_karras_on_edm_is_the_papers_table(steps, rho):
    ramp = torch.arange(steps + 1, dtype=torch.float64) / steps
    largest, smallest = 80 ** (1 / rho), 0.002 ** (1 / rho)
    sigmas = (largest + ramp * (smallest - largest)) ** rho
    times = Karras(steps, rho).times(EDM(), 80.0)
    assert torch.allclose(times, sigmas, rtol=1e-12)


@pytest.mark.parametrize("make", [LogSNR, Karras])
@pytest.mark.parametrize("sde", [DDPM(), NCSN()], ids=repr)
def test_chains_take_the_level_nearest_in_value(sde, make):
    """The ends are levels, so a grid with as many levels as the chain visits every one of them."""
    levels = torch.arange(1000, -1, -1, dtype=torch.float64) / 1000
    if make is LogSNR and sde is SDES[-1]:  # NCSN's levels are even in log sigma
        assert torch.equal(LogSNR(1000).times(sde, 1.0), levels)
    times = make(30).times(sde, 1.0)
    wanted = torch.linspace(0, 1, 30, dtype=torch.float64)
    value = log_snr(sde, levels[:-1])
    if make is Karras:
        value = -((-value / 7).exp())
    targets = value[0] + wanted * (value[-1] - value[0])
    nearest = (value[None] - targets[:, None]).abs().argmin(1)
    assert torch.equal(times[:-1], levels[nearest])


def test_short_chains_have_few_steps():
    sde = NCSN(geometric_sigmas(10, 0.01, 1.0))
    assert len(LogSNR(10).times(sde, 1.0)) == len(Uniform(10).times(sde, 1.0)) == 11
    with pytest.raises(ValueError, match="at most 10 steps; use steps=10"):
        Uniform(11).times(sde, 1.0)


@pytest.mark.parametrize(
    ("grid", "sde", "start", "message"),
    [
        (LogSNR(10), DDPM(jsd_betas()), 1.0, "no signal at 1.0.*use Uniform"),
        # cosine betas end in a jump of log-SNR by 3.5, so a fine grid has two points in it
        (LogSNR(10), DDPM(cosine_betas()), 1.0, "twice: from t_start=1.0 it can take at most 8"),
        (LogSNR(10), VP(), 0.0, "outside"),
        (Karras(10), EDM(), 81.0, "outside"),
        (Karras(10), CosineVP(), 1.0, "outside"),
    ],
)
def test_impossible_starts_are_errors(grid, sde, start, message):
    with pytest.raises(ValueError, match=message):
        grid.times(sde, start)


def test_rho_is_positive():
    with pytest.raises(ValueError, match="rho above 0"):
        Karras(rho=0.0)


def test_respaced_visits_the_levels_of_guided_diffusion():
    """space_timesteps(1000, [count]) for every count: its sums of strides, rounded one by one."""
    sde = DDPM()
    for count in range(2, 1001):
        stride, index, indices = 999 / (count - 1), 0.0, []
        for _ in range(count):
            indices.append(round(index))
            index += stride
        levels = sde.level(Respaced(count).times(sde, 1.0))
        assert levels.tolist() == [i + 1 for i in reversed(indices)] + [0], count


@pytest.mark.parametrize("sde", [VP(), EDM()], ids=str)
def test_at_once_is_the_clean_image_that_the_start_tells(sde):
    """E[x_0 | x] of N(m, v) is m + a v (x - a m) / (a^2 v + sigma^2)."""
    law, t = Gaussian(0.5, 0.04), f64(0.6 * sde.T)
    sampler, x = Sampler(Ancestral(), AtOnce()), torch.randn(3, 1, 2, 2, dtype=torch.float64)
    times = sampler.times(sde, float(t))
    assert times.tolist() == [float(t)]
    y = sampler.run(Reverse(sde, law.score(sde)), x, times, Noise(0, ["a", "b", "c"]))
    a, noise = sde.alpha(t), sde.sigma(t).square()
    exact = 0.5 + a * 0.04 * (x - a * 0.5) / (a.square() * 0.04 + noise)
    torch.testing.assert_close(y, exact)


def test_at_once_without_its_guess_is_refused():
    with pytest.raises(ValueError, match="the start would come back"):
        Sampler(Ancestral(), AtOnce(), denoise=False)
