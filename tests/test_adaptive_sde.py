"""Adaptive steps of the reverse SDE: the exact law at the end, few evaluations, image by image."""

from __future__ import annotations

import pytest
import torch

from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, VE, VP, Reverse
from egsde.solvers import AdaptiveSDE, EulerMaruyama
from problems import Gaussian, f64

SIDE = 128


def ended(sde, solver, steps=1):
    """(errors of mean and variance at the end, evaluations) over the pixels of one image."""
    problem, asked = Gaussian(), []

    def score(x, t):
        asked.append(float(t))
        return problem.score(sde)(x, t)

    mean, variance = problem.moments(sde, f64(1.0))
    noise = Noise(0, ["a"])
    x = mean + variance.sqrt() * noise.stream("start")(torch.zeros(1, 1, SIDE, SIDE).double())
    sampler = Sampler(solver, Uniform(steps), denoise=False)
    y = sampler.run(Reverse(sde, score), x, sampler.times(sde, 1.0), noise)
    m, v = (float(part) for part in problem.moments(sde, f64(sde.t_min)))
    return abs(float(y.mean()) - m), abs(float(y.var()) / v - 1), len(asked)


@pytest.mark.parametrize("sde", [VP(), VE(sigma_max=10.0)], ids=["vp", "ve"])
def test_the_law_at_the_end_is_the_datas(sde):
    mean, variance, evaluations = ended(sde, AdaptiveSDE(rtol=0.01))
    assert mean < 0.02 and variance < 0.04  # 16,384 points: 0.004 and 0.011 by chance
    assert evaluations < 500


def test_it_needs_fewer_evaluations_than_equal_steps():
    """On VP equal steps waste most of theirs at much noise, where the field is smooth."""
    _, variance, evaluations = ended(VP(), AdaptiveSDE())
    plain = ended(VP(), EulerMaruyama(), steps=evaluations)[1]
    assert variance < plain, (variance, plain, evaluations)


def test_a_looser_tolerance_asks_less():
    tight, loose = (ended(VP(), AdaptiveSDE(rtol, atol=1e-4))[2] for rtol in (0.01, 0.1))
    assert loose < tight / 2


def test_an_image_does_not_depend_on_its_batch():
    sde, problem = VP(), Gaussian()
    x = torch.linspace(-2, 3, 3 * 64).view(3, 1, 8, 8) ** 3
    reverse = Reverse(sde, problem.score(sde))
    ends = (f64(1.0), f64(sde.t_min))
    ids = ["a", "b", "c"]
    y, _ = AdaptiveSDE().step(reverse, x, *ends, Noise(0, ids).stream("step/0"))
    for row in range(3):
        randn = Noise(0, [ids[row]]).stream("step/0")
        assert torch.equal(AdaptiveSDE().step(reverse, x[[row]], *ends, randn)[0][0], y[row])


def test_what_it_cannot_follow_is_said():
    with pytest.raises(ValueError, match="between the levels"):
        AdaptiveSDE().check(DDPM())
    broken = Reverse(VP(), lambda x, t: x * float("nan"))
    with pytest.raises(ValueError, match="score is not finite"):
        AdaptiveSDE().step(broken, torch.ones(1, 1, 2, 2), f64(1.0), f64(1e-3), torch.zeros_like)
