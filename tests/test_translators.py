"""EGSDE and SDEdit: exact Gaussian laws, identities, invariances, masks, repeats, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from egsde.energies import DomainCosine, Energy, LowPassL2
from egsde.methods import egsde, sdedit
from egsde.methods.diffusion import Diffusion
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import Extractor, ScoreModel
from egsde.sde import DDPM, VP
from egsde.solvers import DDIM, Ancestral, EulerMaruyama
from problems import Gaussian, Impulses, Pointwise, SquaredDistance, TinyNet, f64
from shared import shared_path

MODES = ["expectation", "fresh", "shared"]  # their numbers in the recording
SAMPLERS = [
    Sampler(Ancestral(), Uniform(40), denoise=True),
    Sampler(DDIM(), Uniform(40), denoise=True),
    Sampler(EulerMaruyama(), Uniform(40), denoise=True),
]
IDS = ["a", "b", "c", "d"]


def images() -> torch.Tensor:
    return torch.rand(4, 3, 16, 16, generator=torch.manual_seed(0)) * 2 - 1


def toy(sde, seed: int = 0):
    """A parameter-free score and the paper's energy on a tiny extractor."""
    energy = 50 * DomainCosine(Extractor(TinyNet(seed), sde)) + 0.5 * LowPassL2(4)
    return ScoreModel(Pointwise(), sde), energy


def test_egsde_moments_equal_the_exact_recursion_in_all_noise_modes():
    """27 recorded rows: Gaussian data, quadratic energy, 100 Euler steps from M to 0."""
    oracle = np.load(shared_path("oracles/egsde_gaussian.npz"))
    sde, data = VP(t_min=0.0), Gaussian(float(oracle["mu"]), float(oracle["s2"]))
    for start, weight, mode, mean, variance in oracle["rows"]:
        noise = Impulses(240)
        sampler = Sampler(EulerMaruyama(), Uniform(round(100 / start)), denoise=False)
        energy = SquaredDistance(weight)
        translate = egsde(data.score(sde), sampler, energy, start, MODES[int(mode)])
        y = translate(noise.images(float(oracle["x0"])), noise)
        assert np.allclose(noise.moments(y), (mean, variance), rtol=1e-12)


def test_sdedit_contracts_to_the_data_as_recorded():
    """E[y | x0] = mu + rho (x0 - mu) exactly; the variance to first order in the step."""
    oracle = np.load(shared_path("oracles/sdedit_gaussian.npz"))
    for s2, start, rho, variance in oracle["rows"][::2]:
        sde, data = VP(t_min=0.0), Gaussian(-0.5, s2)
        errors = []
        for steps in (100, 200):
            noise = Impulses(steps + 2)
            sampler = Sampler(Ancestral(), Uniform(round(steps / start)), denoise=False)
            y = sdedit(data.score(sde), sampler, start)(noise.images(1.0), noise)
            mean, reached = noise.moments(y)
            assert mean == pytest.approx(-0.5 + rho * 1.5, rel=1e-9)
            errors.append(abs(reached - variance) / variance)
        assert errors[1] < 0.6 * errors[0] or errors[0] < 1e-3


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["ancestral", "ddim", "em"])
@pytest.mark.parametrize("sde", [DDPM(), VP()], ids=repr)
def test_egsde_of_zero_weights_is_sdedit_bit_for_bit(sde, sampler):
    score, energy = toy(sde)
    noise = Noise(5, IDS)
    expected = sdedit(score, sampler)(images(), noise)
    assert torch.equal(egsde(score, sampler, 0 * energy)(images(), noise), expected)
    assert torch.equal(egsde(score, sampler, None)(images(), noise), expected)
    assert not torch.equal(egsde(score, sampler, energy)(images(), noise), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sde", [DDPM(), VP()], ids=repr)
def test_an_image_is_the_same_alone_in_a_batch_and_in_any_order(sde, mode):
    score, energy = toy(sde)
    translate = egsde(score, SAMPLERS[0], energy, source_noise=mode)
    whole = translate(images(), Noise(5, IDS))
    order = [2, 0, 3, 1]
    permuted = translate(images()[order], Noise(5, [IDS[k] for k in order]))
    assert (permuted - whole[order]).abs().max() < 1e-4 * whole.abs().max()
    alone = torch.cat([translate(images()[k : k + 1], Noise(5, IDS[k : k + 1])) for k in range(4)])
    assert (alone - whole).abs().max() < 1e-4 * whole.abs().max()


def test_bit_equal_alone_and_in_a_batch_where_the_network_is():
    sde = DDPM()
    score = ScoreModel(Pointwise(), sde)
    translate = egsde(score, SAMPLERS[0], SquaredDistance(0.3), source_noise="fresh")
    whole = translate(images(), Noise(5, IDS))
    for k in range(4):
        alone = translate(images()[k : k + 1], Noise(5, IDS[k : k + 1]))
        assert torch.equal(alone, whole[k : k + 1])


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["ancestral", "ddim", "em"])
@pytest.mark.parametrize("sde", [DDPM(), VP()], ids=repr)
def test_mask_keeps_its_region_exactly(sde, sampler):
    score, _ = toy(sde)
    mask = torch.zeros(4, 1, 16, 16)
    mask[:, :, 4:12] = 1
    y = sdedit(score, sampler, mask=True)(images(), Noise(5, IDS), mask=mask)
    kept = mask.bool().expand_as(y)
    assert torch.equal(y[kept], images()[kept])
    assert (y - images())[~kept].abs().min() > 0
    with pytest.raises(ValueError, match="needs a mask"):
        sdedit(score, sampler, mask=True)(images(), Noise(5, IDS))


@pytest.mark.parametrize("old_time", [False, True])
def test_masked_sdedit_keeps_pixels_at_the_level_of_its_time(old_time):
    """After a step from t to s: q(x_s | x_0), or the official code's q(x_t | x_0)."""
    sde, noise, mask = DDPM(), Noise(5, IDS), torch.zeros(4, 1, 16, 16)
    mask[:, :, 4:12] = 1
    score, _ = toy(sde)
    sampler = Sampler(Ancestral(), Uniform(20), denoise=False)
    translate = sdedit(score, sampler, mask=True, old_time=old_time)
    eps, times = noise.child(0).stream("start")(images()), translate.times
    levels = times[:-1] if old_time else times[1:]
    states = [y for _, _, y in translate.trajectory(images(), noise, mask=mask)][1:]
    kept = mask.bool().expand_as(images())
    for y, level in zip(states[:-1], levels[:-1], strict=True):
        assert torch.equal(y[kept], sde.perturb(images(), level, eps)[kept])
    assert torch.equal(states[-1][kept], images()[kept])


def test_official_step_count_and_network_calls():
    sde = DDPM()
    score, energy = toy(sde)
    translate = egsde(
        score, Sampler(Ancestral(), Uniform(1000), denoise=False), energy, t_start=0.05
    )
    states = list(translate.trajectory(images(), Noise(5, IDS)))
    assert [i for i, _, _ in states] == list(range(51))
    assert [int(sde.level(t)) for _, t, _ in states] == list(range(50, -1, -1))
    assert score.calls == 50
    assert energy.terms["DomainCosine"].extractor.calls == 100
    assert torch.equal(states[-1][2], translate(images(), Noise(5, IDS)))


def test_repeats_start_from_the_result_and_keep_noising_the_original():
    """runners/egsde.py: y is perturbed anew, x_t is made from x0, each repeat has its own noise."""
    sde, noise = DDPM(), Noise(5, IDS)
    score = ScoreModel(Pointwise(), sde)
    seen = []

    class Watch(SquaredDistance):
        def grad(self, y, t, source):
            seen.append((source.x0, source.at(t), source.start(t)))
            return torch.zeros_like(y)

    sampler = Sampler(Ancestral(), Uniform(10), denoise=False)
    twice = egsde(score, sampler, Watch(1.0), repeats=2)
    once = egsde(score, sampler, None)(images(), noise)
    y = twice(images(), noise)
    first, second = seen[0], seen[5]
    assert torch.equal(first[0], images()) and torch.equal(second[0], images())
    assert torch.equal(first[1], first[2])  # the official first step: y == x_t
    eps = noise.child(1).stream("start")(images())
    t = f64(0.5)
    assert torch.equal(second[1], sde.perturb(images(), t, eps))
    assert torch.equal(second[2], sde.perturb(once, t, eps))
    assert not torch.equal(y, once)


def test_first_step_of_shared_noise_has_no_guidance_and_fresh_noise_has():
    sde = DDPM()
    gradients = {}
    for mode in ("shared", "fresh"):
        norms = []

        class Watch(LowPassL2):
            def grad(self, y, t, source, norms=norms):
                gradient = super().grad(y, t, source)
                norms.append(float(gradient.abs().max()))
                return gradient

        score = ScoreModel(Pointwise(), sde)
        egsde(score, SAMPLERS[0], Watch(4), source_noise=mode)(images(), Noise(5, IDS))
        gradients[mode] = norms
    assert gradients["shared"][0] == 0 < gradients["fresh"][0]


def test_guidance_lowers_the_energy_along_the_path():
    sde = DDPM()
    score, _ = toy(sde)
    low = LowPassL2(4)
    reached = {}
    for weight in (0.0, 0.5):
        y = egsde(score, SAMPLERS[0], weight * low)(images(), Noise(5, IDS))
        reached[weight] = (low(y, f64(0.0), Zero(images()))).mean()
    assert reached[0.5] < 0.5 * reached[0.0]


class Zero:
    """x_t at t = 0."""

    def __init__(self, x0):
        self.x0 = x0

    def mean(self, t):
        return self.x0


def test_energies_differentiate_inside_an_inference_mode_loop():
    sde = DDPM()
    score, energy = toy(sde)
    translate = egsde(score, SAMPLERS[0], energy)
    expected = translate(images(), Noise(5, IDS))
    with torch.inference_mode():
        y = translate(images(), Noise(5, IDS))
    assert torch.equal(y, expected)
    assert not y.requires_grad


class Product(Energy):
    """What keeps the source, and a mask, for the gradient; its network is not frozen."""

    def __init__(self):
        self.net = torch.nn.Conv2d(3, 3, 1)

    def __call__(self, y, t, source):
        seen = self.net(source.x0) * self.net(y) * source.cond["mask"]
        return seen.flatten(1).sum(1)


def test_energies_may_keep_the_source_inside_an_inference_mode_loop():
    torch.manual_seed(0)
    translate = egsde(toy(DDPM())[0], SAMPLERS[0], Product())
    expected = translate(images(), Noise(5, IDS), mask=torch.ones(len(IDS), 1, 1, 1))
    with torch.inference_mode():
        y = translate(images(), Noise(5, IDS), mask=torch.ones(len(IDS), 1, 1, 1))
    assert torch.equal(y, expected)


def test_state_stays_float32_and_times_float64():
    sde = VP()
    score, energy = toy(sde)
    for _, t, y in egsde(score, SAMPLERS[0], energy).trajectory(images(), Noise(5, IDS)):
        assert (t.dtype, y.dtype) == (torch.float64, torch.float32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t_start": 0.0001}, "between levels 0 and 1"),
        ({"t_start": 0.0}, "outside"),
        ({"source_noise": "one"}, "source_noise is 'one'"),
        ({"repeats": 0}, "repeats must be at least 1, got 0"),
    ],
)
def test_wrong_options_fail_before_any_sampling(options, message):
    sde = DDPM()
    with pytest.raises(ValueError, match=message):
        Diffusion(Gaussian().score(sde), SAMPLERS[0], **options)
