"""CycleDiffusion: the DPM-Encoder's path and noises, reconstruction, Gaussian laws, refinement."""

from __future__ import annotations

import pytest
import torch

from egsde.methods import cycle_diffusion
from egsde.methods.cycle_diffusion import IntoClean, Replayed
from egsde.methods.diffusion import Diffusion, networks_of
from egsde.noise import Noise, Replay
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import ScoreModel
from egsde.sde import DDPM, VP, Reverse
from egsde.solvers import DDIM, Ancestral
from problems import Gaussian, Mixture, Pointwise, SquaredDistance, f64, named

IDS = ["a", "b", "c"]
SOURCE, TARGET = Gaussian(-1.0, 0.25), Gaussian(1.0, 0.04)
SOLVERS = [DDIM(0.1), DDIM(1.0), Ancestral(), DDIM()]


def images(dtype=torch.float32) -> torch.Tensor:
    return torch.rand(3, 3, 4, 4, generator=torch.manual_seed(0), dtype=dtype) * 2 - 1


@pytest.mark.parametrize("solver", SOLVERS, ids=named)
@pytest.mark.parametrize("sde", [DDPM(), VP()], ids=named)
def test_equal_scores_return_the_source(sde, solver):
    score, sampler = ScoreModel(Pointwise(), sde), Sampler(solver, Uniform(20), denoise=True)
    same = cycle_diffusion(score, sampler, score, refine=0)
    assert (same(images(), Noise(0, IDS)) - images()).abs().max() < 2e-6
    official = cycle_diffusion(score, sampler, score, refine=0, exact=False)
    assert (official(images(), Noise(0, IDS)) - images()).abs().max() > 1e-3  # no last noise


def test_the_replayed_noises_are_those_of_the_dpm_encoder():
    """By hand, with alpha bar: x_T, x_{t-1} ~ q(. | x_t, x_0), z_t = (x_{t-1} - mu_t) / sigma_t;
    then the target's DDIM(0.1) run on the recorded z."""
    sde, eta, x0 = DDPM(), 0.1, images(torch.float64)
    sampler = Sampler(DDIM(eta), Uniform(10), denoise=False)
    source, target = Mixture().score(sde), TARGET.score(sde)
    times = sampler.times(sde, 0.5)
    noise = Noise(3, IDS)
    fresh = noise.child(0)
    bar = [float(sde.alpha(t) ** 2) for t in times]
    x = bar[0] ** 0.5 * x0 + (1 - bar[0]) ** 0.5 * fresh.stream("start")(x0)
    records = {"0/start": [fresh.stream("start")(x0)]}
    for i, t in enumerate(times[:-1]):
        a, b = bar[i], bar[i + 1]
        c1 = eta * ((1 - a / b) * (1 - b) / (1 - a)) ** 0.5
        c2 = (1 - b - c1**2) ** 0.5
        given = (x - a**0.5 * x0) / (1 - a) ** 0.5
        after = b**0.5 * x0 + c2 * given + c1 * fresh.stream(f"step/{i}")(x0)
        eps = -((1 - a) ** 0.5) * source(x, t)
        mu = b**0.5 * (x - (1 - a) ** 0.5 * eps) / a**0.5 + c2 * eps
        records[f"0/step/{i}"] = [(after - mu) / c1 if c1 > 0 else torch.zeros_like(x)]
        x = after
    assert torch.allclose(x, x0, atol=1e-12)
    expected = Diffusion(target, sampler, t_start=0.5)(x0, Replay(records))
    ours = cycle_diffusion(target, sampler, source, t_start=0.5, refine=0, exact=False)
    assert (ours(x0, noise) - expected).abs().max() < 1e-9


def test_the_result_has_the_targets_law():
    """Sources drawn from their own law, so that path and noises are jointly the source process's:
    mean and variance of the results are the target's up to the steps' error."""
    sde, n = DDPM(), 2000
    sampler = Sampler(Ancestral(), Uniform(50), denoise=False)
    translate = cycle_diffusion(
        TARGET.score(sde), sampler, SOURCE.score(sde), t_start=1.0, refine=0
    )
    noise = Noise(5, ["one"])
    draws = torch.randn(1, 1, 1, n, generator=torch.manual_seed(1), dtype=torch.float64)
    y = translate(-1 + 0.5 * draws, noise)
    assert float(y.mean()) == pytest.approx(1.0, abs=0.02)
    assert float(y.std()) == pytest.approx(0.2, abs=0.02)


def test_steps_states_and_network_calls():
    sde = DDPM()
    ours, theirs = ScoreModel(Pointwise(), sde), ScoreModel(Pointwise(), sde)
    sampler = Sampler(DDIM(0.1), Uniform(20), denoise=False)
    translate = cycle_diffusion(ours, sampler, theirs)
    states = list(translate.trajectory(images(), Noise(0, IDS)))
    assert translate.steps == 17 + 2 == ours.calls and theirs.calls == 17
    assert len(states) == 18 + 3
    assert torch.equal(states[-1][2], translate(images(), Noise(0, IDS)))
    assert networks_of(translate) == {"source_score": theirs, "score": ours}


def test_refinement_is_sdedit_with_noises_of_its_own():
    sde = DDPM()
    score, sampler = ScoreModel(Pointwise(), sde), Sampler(DDIM(0.1), Uniform(20), denoise=False)
    noise = Noise(0, IDS)
    first = cycle_diffusion(score, sampler, Mixture().score(sde), refine=0)(images(), noise)
    both = cycle_diffusion(score, sampler, Mixture().score(sde), refine=0.1)(images(), noise)
    again = Diffusion(score, Sampler(Ancestral(), Uniform(20), denoise=False), t_start=0.1)
    assert torch.equal(both, again(first, noise.child("refine")))


def test_energy_guides_the_target_only():
    sde, noise = DDPM(), Noise(0, IDS)
    score, sampler = ScoreModel(Pointwise(), sde), Sampler(DDIM(0.1), Uniform(50), denoise=False)
    target = Gaussian(0.0, 0.5).score(sde)
    free = cycle_diffusion(target, sampler, score, refine=0)(images(), noise)
    energy = SquaredDistance(5.0)
    pulled = cycle_diffusion(target, sampler, score, energy, refine=0)(images(), noise)
    assert (pulled - images()).abs().mean() < 0.7 * (free - images()).abs().mean()


def test_an_image_does_not_depend_on_its_batch():
    sde = DDPM()
    sampler = Sampler(DDIM(0.1), Uniform(20), denoise=False)
    translate = cycle_diffusion(ScoreModel(Pointwise(), sde), sampler, Mixture().score(sde))
    whole = translate(images(), Noise(0, IDS))
    alone = translate(images()[1:2], Noise(0, ["b"]))
    assert torch.equal(whole[1:2], alone) and whole.dtype == torch.float32


def test_the_grid_goes_into_clean_data_where_there_is_any():
    assert float(IntoClean(Uniform(10)).times(VP(), 0.5)[-1]) == 0
    chain = Uniform(10).times(DDPM(), 0.5)
    assert torch.equal(IntoClean(Uniform(10)).times(DDPM(), 0.5), chain)


def test_one_step_takes_the_sources_noise():
    """y_s = x_s + target mean - source mean, from equal states: the difference of the means."""
    sde, x0 = DDPM(), images(torch.float64)
    reverses = [Reverse(sde, p.score(sde)) for p in (SOURCE, TARGET, Gaussian(0.0, 0.0))]
    t, s, x = f64(0.5), f64(0.45), x0 + 0.3
    solver, z = Ancestral(), torch.ones_like(x0)
    step = Replayed(solver, reverses[0], reverses[2]).step(reverses[1], x, t, s, lambda x: z)[0]
    path = solver.step(reverses[2], x, t, s, lambda x: z)[0]
    mean = [solver.step(r, x, t, s, torch.zeros_like)[0] for r in reverses[:2]]
    assert torch.allclose(step - path, mean[1] - mean[0], atol=1e-12)
