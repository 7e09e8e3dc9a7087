"""Single steps recorded from guided-diffusion (Dhariwal & Nichol 2021), replayed by our solvers.

The recorded network predicts the exact noise of a mixture and learns the log-variance, with
fraction (1 + tanh x) / 2 between its bounds; the energy is E(y) = 0.35 |y|^2 - 0.1 sum y, so that
the classifier's gradient is 0.1 - 0.7 y. x0-hat is clipped to [-1, 1]. Recorded in float32.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from egsde.evaluation.likelihood import Discretised, step_kl
from egsde.sde import DDPM, Reverse, cosine_betas, linear_betas
from egsde.solvers import DDIM, Ancestral
from problems import RecordedMixture, f64
from shared import shared_path

IMAGES = range(6)  # at levels 1, 2, 51, 301, 701, 1000


@pytest.fixture(scope="module")
def record() -> dict[str, Tensor]:
    file = np.load(shared_path("oracles/guided_diffusion_steps.npz"))
    return {name: torch.from_numpy(file[name]) for name in file}


@pytest.fixture(scope="module")
def mixture() -> RecordedMixture:
    return RecordedMixture()


def guidance(y: Tensor) -> Tensor:
    """-grad E."""
    return 0.1 - 0.7 * y


def at(record: dict[str, Tensor], b: int) -> tuple[DDPM, Tensor, Tensor, Tensor]:
    """(sde, x, t, s) of one image; index i of the records is level i + 1."""
    level = int(record["t"][b]) + 1
    t, s = (f64(k / 1000) for k in (level, level - 1))
    return DDPM(), record["x"][b : b + 1].double(), t, s


def clipped_score(mixture: RecordedMixture, sde: DDPM, guided: bool = False):
    """The score of an x0-hat kept in [-1, 1], minus grad E where guided."""

    def score(x: Tensor, t: Tensor) -> Tensor:
        alpha, variance = sde.alpha(t), sde.sigma(t).square()
        x0 = (x + variance * mixture.score(sde)(x, t)) / alpha
        score = (alpha * x0.clamp(-1, 1) - x) / variance
        return score + guidance(x) if guided else score

    return score


def learned_log_variance(record: dict[str, Tensor], b: int, x: Tensor) -> Tensor:
    """Between the posterior's and the kernel's; into clean data level 2's stands for the first."""
    sde, _, t, s = at(record, b)
    if float(s) == 0:
        smallest = Ancestral().noise_std(
            sde.transition(t, 2 * t)[1], sde.sigma(t), sde.sigma(2 * t)
        )
    else:
        smallest = Ancestral().noise_std(sde.transition(s, t)[1], sde.sigma(s), sde.sigma(t))
    fraction = (1 + x.tanh()) / 2
    largest = sde.transition(s, t)[1]
    return 2 * (fraction * largest.log() + (1 - fraction) * smallest.log())


def quiet(x: Tensor) -> Tensor:
    raise AssertionError("a deterministic step draws nothing")


def close(ours: Tensor, record: dict[str, Tensor], name: str, b: int, atol: float = 1e-5) -> bool:
    return torch.allclose(ours, record[name][b : b + 1].double(), rtol=1e-5, atol=atol)


def test_tables(record):
    for name, betas in [
        ("betas_linear_1000", linear_betas()),
        ("betas_cosine_1000", cosine_betas()),
        ("betas_linear_250", linear_betas(250, 0.1 / 250, 20 / 250)),
    ]:
        assert torch.allclose(betas, record[name], rtol=1e-12, atol=1e-15)
    sde, levels = DDPM(), torch.arange(1, 1001, dtype=torch.float64) / 1000
    before = levels - 1 / 1000
    a, std = sde.transition(before, levels)
    variance = (std * sde.sigma(before) / sde.sigma(levels)).square()
    assert torch.allclose(sde.alpha(levels).square(), record["alphas_cumprod"], rtol=1e-11)
    assert torch.allclose(variance, record["posterior_variance"], rtol=1e-9, atol=1e-18)
    lifted = torch.cat([variance[1:2], variance[1:]]).log()
    assert torch.allclose(lifted, record["posterior_log_variance_clipped"], rtol=1e-11)
    sigma_t = sde.sigma(levels).square()
    from_clean, from_noisy = (
        sde.alpha(before) * std**2 / sigma_t,
        a * sde.sigma(before) ** 2 / sigma_t,
    )
    assert torch.allclose(from_clean, record["posterior_mean_coef1"], rtol=1e-9)
    assert torch.allclose(from_noisy, record["posterior_mean_coef2"], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("b", IMAGES)
def test_mean_and_variance(record, mixture, b):
    """p_mean_variance: the mean is an ancestral step without its noise."""
    sde, x, t, s = at(record, b)
    reverse = Reverse(sde, clipped_score(mixture, sde))
    mean, _ = Ancestral().step(reverse, x, t, s, torch.zeros_like)
    log_variance = learned_log_variance(record, b, x)
    assert close(mean, record, "pmv_mean", b)
    assert close(reverse.x0(x, t), record, "pmv_pred_xstart", b, 3e-5)  # 1 / alpha is 158 at 1000
    assert close(log_variance, record, "pmv_log_variance", b)
    assert close(log_variance.exp(), record, "pmv_variance", b)


@pytest.mark.parametrize("b", IMAGES)
def test_guidance_of_the_mean(record, mixture, b):
    """condition_mean: mean + variance grad log p, with the step's variance; a guided score uses
    that of the kernel, std^2 / a, so ours is brought to it."""
    sde, x, t, s = at(record, b)
    a, std = sde.transition(s, t)
    means = []
    for guided in (False, True):
        reverse = Reverse(sde, clipped_score(mixture, sde, guided))
        means.append(Ancestral().step(reverse, x, t, s, torch.zeros_like)[0])
    assert torch.allclose(means[1] - means[0], std.square() / a * guidance(x), atol=1e-12)
    variance = learned_log_variance(record, b, x).exp()
    ours = means[0] + variance * a / std.square() * (means[1] - means[0])
    assert close(ours, record, "cond_mean", b)


@pytest.mark.parametrize("b", IMAGES)
def test_guidance_of_the_score(record, mixture, b):
    """condition_score: eps - sigma grad log p is our score minus grad E."""
    sde, x, t, s = at(record, b)
    reverse = Reverse(sde, clipped_score(mixture, sde, guided=True))
    mean, _ = Ancestral().step(reverse, x, t, s, torch.zeros_like)
    large = 1 / float(sde.alpha(t))  # float32 eps over alpha
    assert close(reverse.x0(x, t), record, "cond_score_x0", b, 1e-5 + 2e-7 * large)
    assert close(mean, record, "cond_score_mean", b)


@pytest.mark.parametrize("b", IMAGES)
def test_ancestral_step(record, mixture, b):
    """p_sample with its recorded noise and learned variance; none into clean data."""
    sde, x, t, s = at(record, b)
    std = (learned_log_variance(record, b, x) / 2).exp() * float(s > 0)
    solver = Ancestral(lambda *_: std)
    noise = record["noise"][b : b + 1].double()
    ours, _ = solver.step(Reverse(sde, clipped_score(mixture, sde)), x, t, s, lambda x: noise)
    assert close(ours, record, "p_sample", b)


@pytest.mark.parametrize("b", IMAGES)
def test_ddim_steps(record, mixture, b):
    sde, x, t, s = at(record, b)
    reverse = Reverse(sde, clipped_score(mixture, sde))
    noise = record["noise"][b : b + 1].double()
    float32 = 4e-5 if b == 1 else 0.0  # the records' 1 - alpha_bar at level 1, of 1e-4
    assert close(DDIM().step(reverse, x, t, s, quiet)[0], record, "ddim_eta0", b, 1e-5 + float32)
    half, _ = DDIM(0.5).step(reverse, x, t, s, lambda x: noise)
    assert close(half, record, "ddim_eta05", b, 1e-5 + float32)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("b", IMAGES)
def test_ddim_reverse_is_a_step_upwards(record, mixture, b, eta):
    """From level i to i + 1, x0-hat not clipped; above the last level lies pure noise (alpha 0)."""
    levels = int(record["t"][b]) + 1
    sde, x, _, _ = at(record, b)
    sde = DDPM(torch.cat([linear_betas(), torch.ones(1)]))
    t, s = f64(levels / 1001), f64((levels + 1) / 1001)
    ours, _ = DDIM(eta).step(Reverse(sde, mixture.score(sde)), x, t, s, quiet)
    assert close(ours, record, "ddim_reverse", b)


def test_forward_noising(record):
    sde = DDPM()
    t = (record["t"].double() + 1).view(-1, 1, 1, 1) / 1000
    ours = sde.perturb(record["x0"].double(), t, record["noise"].double())
    assert torch.allclose(ours, record["q_sample"].double(), atol=1e-6)


def tanh_cdf(x: Tensor) -> Tensor:
    """The recorded code's approximation of the normal distribution function."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize("b", IMAGES)
def test_terms_of_the_bound(record, mixture, b):
    """At x_t = q_sample; the exact distribution function changes the decoder by 3e-4 bits."""
    sde, _, t, s = at(record, b)
    x0, x = (record[name][b : b + 1].double() for name in ("x0", "q_sample"))
    reverse = Reverse(sde, clipped_score(mixture, sde))
    mean, _ = Ancestral().step(reverse, x, t, s, torch.zeros_like)
    std = (learned_log_variance(record, b, x) / 2).exp()
    recorded = float(record["vb_bpd"][b])
    if s > 0:
        nats = step_kl(sde, x0, x, (t, s), (mean, std))
        assert float(nats) / 12 / math.log(2) == pytest.approx(recorded, abs=1e-5)
    else:
        for cdf, error in [(tanh_cdf, 1e-5), (torch.special.ndtr, 5e-4)]:
            bits = -Discretised(cdf=cdf).log_prob(x0, mean, std) / 12 / math.log(2)
            assert float(bits) == pytest.approx(recorded, abs=error)
