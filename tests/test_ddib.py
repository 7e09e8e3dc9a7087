"""DDIB: the exact affine map, cycles that close at the solver's order, encoding, two networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from demo_networks import write_networks
from egsde.energies import Energy
from egsde.methods import ddib
from egsde.methods.ddib import Encode, NoNoise, TwoWay, end_noisy
from egsde.methods.diffusion import networks_of
from egsde.noise import Noise
from egsde.programs.sample import build_translator
from egsde.sampling.grids import Respaced, Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import ScoreFunction, ScoreModel
from egsde.sde import DDPM, VE, VP
from egsde.solvers import DDIM, Ancestral, EulerMaruyama
from egsde.solvers.heun import Heun
from egsde.solvers.rk45 import RK45
from egsde.source import Source
from problems import Gaussian, Mixture, Pointwise, RecordedMixture, f64
from runs import composed
from shared import shared_path

SOURCE, TARGET = Gaussian(-1.0, 0.25), Gaussian(1.0, 0.04)
NOISE = Noise(0, [str(k) for k in range(9)])


def points() -> torch.Tensor:
    return torch.linspace(-2, 2, 9, dtype=torch.float64).view(9, 1, 1, 1)


def there_and_back(sde, solver, grid, source=SOURCE, target=TARGET):
    sampler = Sampler(solver, grid, denoise=False)
    there = ddib(target.score(sde), sampler, source.score(sde))
    back = ddib(source.score(sde), sampler, target.score(sde))
    y = there(points(), NOISE)
    return y, back(y, NOISE)


def test_the_recorded_exact_map():
    oracle = np.load(shared_path("oracles/ddib_gaussian.npz"))
    assert tuple(oracle["args"]) == (-1.0, 0.25, 1.0, 0.04)
    assert np.allclose(oracle["x"], points().flatten())
    y, _ = there_and_back(VP(t_min=1e-6), RK45(1e-8, 1e-8), Uniform(1))
    assert np.allclose(y.flatten(), oracle["y"], rtol=0, atol=2e-6)  # 1e-6: the shorter process


@pytest.mark.parametrize(
    ("solver", "order", "cycle", "steps"),
    [(DDIM(), 1, 1, 200), (EulerMaruyama(eta=0), 1, 1, 200), (Heun(), 2, 3, 100)],
    ids=["ddim", "euler", "heun"],
)
def test_the_map_and_its_cycle_converge_at_the_solvers_order(solver, order, cycle, steps):
    """A step up and the same step down leave C h^(p+1) + C (-h)^(p+1): an even order gains one."""
    sde, errors = VP(), []
    (low, before), (high, after) = (SOURCE.moments(sde, f64(t)) for t in (1e-3, 1.0))
    (start, above), (end, below) = (TARGET.moments(sde, f64(t)) for t in (1.0, 1e-3))
    latent = high + (after / before).sqrt() * (points() - low)
    exact = end + (below / above).sqrt() * (latent - start)
    for n in (steps, 2 * steps):
        y, back = there_and_back(sde, solver, Uniform(n))
        errors.append([float((z - e).abs().max()) for z, e in ((y, exact), (back, points()))])
    slopes = np.log2(np.divide(*errors))
    assert slopes == pytest.approx([order, cycle], abs=0.1)
    assert order == solver.weak_order


def test_not_symmetric_is_the_official_loop():
    """ddim_reverse_sample feeds clean data to the lowest level and goes on to alpha = 0."""
    sde, mixture = DDPM(), RecordedMixture()
    score, sampler = mixture.score(sde), Sampler(DDIM(), Respaced(50), denoise=False)
    x = y = mixture.means + 0.1
    levels = end_noisy(sde, sampler.times(sde, 1.0))

    def parts(z, t):
        eps = -sde.sigma(t) * score(z, t)
        return eps, (z - sde.sigma(t) * eps) / sde.alpha(t)

    for t, above in zip(levels.flip(0), [*levels.flip(0)[1:], None], strict=True):
        eps, x0 = parts(y, t)
        y = eps if above is None else sde.alpha(above) * x0 + sde.sigma(above) * eps
    for t, below in zip(levels, [*levels[1:], f64(0.0)], strict=True):
        eps, x0 = parts(y, t)
        y = sde.alpha(below) * x0 + sde.sigma(below) * eps
    made = ddib(score, sampler, score, symmetric=False)(x, Noise(0, ["a", "b", "c"]))
    assert (made - y).abs().max() < 1e-12


def test_not_symmetric_starts_from_noise_of_the_process():
    """Whatever its largest sigma: the step beyond the top changes next to nothing there."""
    sde, sampler, score = VE(), Sampler(DDIM(), Uniform(400), denoise=False), SOURCE.score(VE())
    made = [ddib(TARGET.score(sde), sampler, score, symmetric=s)(points(), NOISE)
            for s in (True, False)]  # fmt: skip
    assert (made[0] - made[1]).abs().max() < 0.02


@pytest.mark.parametrize("target", [TARGET, Mixture()], ids=["gaussian", "mixture"])
def test_an_adaptive_cycle_returns_the_source(target):
    _, back = there_and_back(VP(), RK45(1e-8, 1e-8), Uniform(1), target=target)
    assert (back - points()).abs().max() < 1e-6


def test_a_cycle_on_a_chain_closes_only_between_the_same_levels():
    """With the step into clean data (the official code) the error stops falling."""
    sde, errors = DDPM(), {}
    for symmetric in (True, False):
        for steps in (125, 250):
            sampler = Sampler(DDIM(), Uniform(steps), denoise=False)
            there, back = (
                ddib(b.score(sde), sampler, a.score(sde), symmetric=symmetric)
                for a, b in ((SOURCE, TARGET), (TARGET, SOURCE))
            )
            wrong = back(there(points(), NOISE), NOISE) - points()
            errors[symmetric, steps] = float(wrong.abs().max())
    assert errors[True, 250] == pytest.approx(errors[True, 125] / 2, rel=0.06)
    assert errors[True, 250] < errors[False, 250]


@pytest.mark.parametrize("grid", [Uniform(10), Uniform(1000), Respaced(10)], ids=repr)
def test_a_walk_on_a_chain_ends_at_level_one(grid):
    sde = DDPM()
    times = TwoWay(grid).times(sde, 1.0)
    assert (times.diff() < 0).all() and times[0] == 1 and sde.level(times[-1]) == 1
    assert torch.equal(end_noisy(sde, times), times)
    continuous = Uniform(10).times(VP(), 1.0)
    assert torch.equal(TwoWay(Uniform(10)).times(VP(), 1.0), continuous)


def test_encoding_asks_the_source_score_at_each_time_of_the_way_up():
    sde, asked = DDPM(), []

    def score(y, t, source):
        asked.append((int(sde.level(t)), source.x0))
        return SOURCE.score(sde)(y, t)

    sampler = Sampler(DDIM(), Uniform(4), denoise=False)
    ddib(TARGET.score(sde), sampler, ScoreFunction(score, sde))(points(), NOISE)
    assert [level for level, _ in asked] == [1, 250, 500, 750]
    assert all(torch.equal(x0, points()) for _, x0 in asked)


def test_a_solver_that_draws_noise_is_refused():
    sampler = Sampler(Ancestral(), Uniform(10), denoise=False)
    translate = ddib(TARGET.score(VP()), sampler, SOURCE.score(VP()))
    with pytest.raises(ValueError, match="encoded by a deterministic solver.*sampler=ddim"):
        translate(points(), NOISE)


def test_the_result_does_not_depend_on_noise_or_batch():
    sde, sampler = DDPM(), Sampler(DDIM(), Uniform(20), denoise=False)
    source, target = ScoreModel(Pointwise(), sde), Mixture().score(sde)
    x = torch.rand(2, 3, 4, 4, generator=torch.manual_seed(0))
    y = ddib(target, sampler, source)(x, Noise(0, ["a", "b"]))
    alone = ddib(target, sampler, source)(x[1:], Noise(7, ["c"]))
    assert torch.equal(y[1:], alone) and y.dtype == torch.float32


def test_an_energy_leads_the_way_down_to_what_it_makes_of_the_target():
    """E = log p_target - log p_other: the guided score is the other's, and so is where it ends."""
    sde, sampler, other = VP(), Sampler(DDIM(), Uniform(50), denoise=False), Gaussian(0.3, 0.5)

    class Towards(Energy):
        def grad(self, y, t, source):
            return TARGET.score(sde)(y, t) - other.score(sde)(y, t)

    source = SOURCE.score(sde)
    led = ddib(TARGET.score(sde), sampler, source, Towards())(points(), NOISE)
    assert torch.allclose(led, ddib(other.score(sde), sampler, source)(points(), NOISE), atol=1e-12)
    assert (led - ddib(TARGET.score(sde), sampler, source)(points(), NOISE)).abs().min() > 0.1


def test_energies_see_the_source_under_the_noise_that_encodes_it():
    """At the start x_t is y_t itself, then the source under the same eps; no number is drawn."""
    sde, seen, t_start = VP(), {}, 0.5

    class Watched(Energy):
        def grad(self, y, t, source):
            x = source.at(t)
            seen[float(t)] = x - y, (x - sde.alpha(t) * points()) / sde.sigma(t)
            return torch.zeros_like(y)

    sampler = Sampler(DDIM(), Uniform(20), denoise=False)
    translate = ddib(TARGET.score(sde), sampler, SOURCE.score(sde), Watched(), t_start)
    translate(points(), NoNoise())
    apart, eps = seen[t_start]
    assert apart.abs().max() < 1e-12 and len(seen) > 5
    assert all(torch.allclose(other, eps, rtol=0, atol=1e-12) for _, other in seen.values())


def test_both_networks_are_found_and_a_shared_one_once():
    sde, sampler = DDPM(), Sampler(DDIM(), Uniform(20), denoise=False)
    ours, theirs = ScoreModel(Pointwise(), sde), ScoreModel(Pointwise(), sde)
    found = networks_of(ddib(ours, sampler, theirs))
    assert found["score"] is ours and found["start_score"] is theirs and len(found) == 2
    assert networks_of(ddib(ours, sampler, ours)) == {"score": ours}


@pytest.mark.parametrize("method", ["ddib", "cycle_diffusion"])
def test_on_the_command_line(method, tmp_path):
    weights = [w for w in write_networks(tmp_path) if w.startswith("score.")]
    overrides = [
        "experiment=none",
        "source_score.otherwise=null",
        f"translator={method}",
        "sampler.grid.steps=10",
        *weights,
    ]
    with pytest.raises(ValueError, match="train.py data.source=.* source_score.weights="):
        build_translator(composed("sample", tmp_path, *overrides))
    second = f"source_{weights[0]}"
    translate = build_translator(composed("sample", tmp_path, *overrides, second))
    assert len(networks_of(translate)) == 2
    x = torch.rand(1, 3, 16, 16)
    assert translate(x, Noise(0, ["a"])).isfinite().all()


def test_encode_is_a_start_of_its_own():
    """Up to t = 0.5 the Gaussian's exact ODE is affine: the latent has its moments."""
    sde = VP(t_min=1e-6)
    times = Uniform(2).times(sde, 0.5)
    latent = Encode(SOURCE.score(sde), Sampler(RK45(1e-9, 1e-9), Uniform(2), denoise=False))(
        Source(points(), sde, NOISE), times, NOISE
    )
    mean, variance = SOURCE.moments(sde, f64(0.5))
    expected = mean + (variance / 0.25).sqrt() * (points() + 1)
    assert (latent - expected).abs().max() < 1e-5
