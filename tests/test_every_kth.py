"""An energy at every k-th step: k = 1 is exact, calls fall by k, the error's order in the step."""

from __future__ import annotations

import math

import pytest
import torch

from egsde.energies import EveryKth
from egsde.methods import egsde
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import VP
from egsde.solvers import DDIM, EulerMaruyama, Heun
from problems import Gaussian, SquaredDistance
from runs import composed

X0 = torch.linspace(-1, 1, 12, dtype=torch.float64).view(1, 3, 2, 2)
SDE = VP(t_min=0.05)


class Counted(SquaredDistance):
    """SquaredDistance that counts its gradients."""

    calls = 0

    def grad(self, y, t, source):
        type(self).calls += 1
        return super().grad(y, t, source)


def end(energy, steps, solver=None, mode="shared"):
    sampler = Sampler(solver or Heun(), Uniform(2 * steps), denoise=False)
    score = Gaussian().score(SDE)
    return egsde(score, sampler, energy, 0.5, source_noise=mode)(X0, Noise(0, ["a"]))


@pytest.mark.parametrize("solver", [Heun(), EulerMaruyama(), DDIM()])
@pytest.mark.parametrize("extrapolate", [False, True])
def test_every_step_is_the_energy_itself(solver, extrapolate):
    plain = SquaredDistance(0.7)
    ours = end(EveryKth(plain, 1, extrapolate), 9, solver, "fresh")
    assert torch.equal(ours, end(plain, 9, solver, "fresh"))


@pytest.mark.parametrize(("k", "calls"), [(1, 12), (2, 6), (5, 3), (12, 1), (50, 1)])
def test_it_is_evaluated_at_every_kth_step(k, calls):
    Counted.calls = 0
    energy, solver = EveryKth(Counted(0.7), k), EulerMaruyama()
    sampler = Sampler(solver, Uniform(12), denoise=False)
    for _ in range(2):  # a second run remembers nothing of the first
        egsde(Gaussian().score(SDE), sampler, energy, SDE.T)(X0, Noise(0, ["a"]))
    assert Counted.calls == 2 * calls


@pytest.mark.parametrize(("extrapolate", "order"), [(False, 1), (True, 2)])
def test_the_error_falls_with_its_order(extrapolate, order):
    plain = SquaredDistance(0.7)
    errors = []
    for steps in (40, 80, 160):
        exact = end(plain, steps)
        errors.append(float((end(EveryKth(plain, 2, extrapolate), steps) - exact).abs().max()))
    slope = math.log2(errors[1] / errors[2])
    assert slope == pytest.approx(order, abs=0.3) and errors[-1] > 1e-9


def test_longer_holding_errs_more_and_less_when_extrapolated():
    plain = SquaredDistance(0.7)
    exact = end(plain, 60)
    errors = {
        (k, extrapolate): float((end(EveryKth(plain, k, extrapolate), 60) - exact).abs().max())
        for k in (2, 4) for extrapolate in (False, True)
    }  # fmt: skip
    assert errors[2, False] < errors[4, False]
    assert errors[2, True] < errors[2, False] and errors[4, True] < errors[4, False]


def test_no_steps_is_an_error():
    with pytest.raises(ValueError, match="k >= 1, got 0"):
        EveryKth(SquaredDistance(1.0), 0)


def test_it_is_one_override(tmp_path):
    cfg = composed("sample", tmp_path, "energy/term@energy.terms.realism=every_kth",
                   "energy.terms.realism.k=3")  # fmt: skip
    term = cfg.energy.terms.realism
    assert term.k == 3 and term.energy._target_ == "egsde.energies.DomainCosine"
