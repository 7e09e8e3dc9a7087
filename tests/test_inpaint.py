"""Score-SDE's inpainting and colourisation: recorded runs, plain loops, exact known parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from egsde.linear.operators import Pixels
from egsde.methods import ccdf, colourise, inpaint
from egsde.noise import Noise, Replay
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import ScoreFunction, ScoreModel
from egsde.sde import DDPM, NCSN, SDE, VE, VP, Reverse, geometric_sigmas, linear_betas
from egsde.solvers import Ancestral, Langevin, PredictorCorrector, ReverseDiffusion
from egsde.solvers.langevin import batch_mean
from problems import Gaussian, Mixture, Pointwise, RecordedMixture, f64
from shared import shared_path

STEPS = 40
CHAINS = {
    "vp": (VP(), DDPM(linear_betas(STEPS, 0.1 / STEPS, 20 / STEPS))),
    "ve": (VE(), NCSN(geometric_sigmas(STEPS))),
}
IDS = ["a", "b"]


@dataclass(frozen=True)
class AtTimes(SDE):
    """score_sde's loop: a continuous process at N times, walked by the kernels of an N-chain.

    Level i of the chain is at times[N - i]; the last step leaves from eps and adds noise.
    """

    process: SDE
    chain: SDE
    times: Tensor
    t_min: float = 0.0

    def own(self, t: Tensor) -> Tensor:
        place = len(self.times) - (t * len(self.times)).round().long()
        return self.times[place.clamp(max=len(self.times) - 1)]

    def alpha(self, t: Tensor) -> Tensor:
        return self.process.alpha(self.own(t))

    def sigma(self, t: Tensor) -> Tensor:
        return self.process.sigma(self.own(t))

    def transition(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return self.chain.transition(s, t)


@pytest.mark.parametrize("name", CHAINS)
def test_inpainting_equals_score_sdes(name):
    """40 steps of corrector, mask, predictor, mask: 160 recorded draws in that order."""
    oracle = np.load(shared_path(f"oracles/inpaint_{name}.npz"))
    data, mask, init, draws = (
        torch.as_tensor(oracle[k]) for k in ("data", "mask", "init", "noise")
    )
    process, chain = CHAINS[name]
    times = torch.linspace(1, float(oracle["eps"]), STEPS, dtype=torch.float64)
    sde = AtTimes(process, chain, times)
    mixture = RecordedMixture().score(process)
    solver = PredictorCorrector(
        ReverseDiffusion(), Langevin(float(oracle["snr"]), batch_mean), corrector_first=True
    )
    translate = inpaint(
        ScoreFunction(lambda y, t, source=None: mixture(y, sde.own(t)), sde),
        Sampler(solver, Uniform(STEPS), denoise=False),
        old_time=True,
        clip=False,
    )
    # Officially the known pixels are clean data at the start.
    translate = replace(translate, start=lambda *_: mask * data + (1 - mask) * init)
    draws = draws.reshape(STEPS, 4, *data.shape)
    records: dict[str, list[Tensor]] = {}
    for i, (corrector, after, predictor, last) in enumerate(draws):
        records |= {
            f"0/step/{i}": [corrector, predictor],
            f"0/source/{i}/0": [after],
            f"0/source/{i}.1/0": [last],
        }
    *_, before, y = (x for *_, x in translate.trajectory(data, Replay(records), mask=mask))
    recorded = torch.as_tensor(oracle["x"])  # x_mean: known pixels without their noise
    known = mask.bool()
    assert (y - recorded)[~known].abs().max() < 1e-9
    mean = process.alpha(times[-1]) * data
    assert (mean - recorded)[known].abs().max() < 1e-12
    assert not torch.equal(before, y)


def images() -> Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.manual_seed(0), dtype=torch.float64) * 2 - 1


def left_half() -> Tensor:
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., :4] = 1
    return mask


def pc(corrector_first: bool, steps: int = 20) -> Sampler:
    solver = PredictorCorrector(ReverseDiffusion(), Langevin(), corrector_first=corrector_first)
    return Sampler(solver, Uniform(steps), denoise=True)


@pytest.mark.parametrize("old_time", [False, True])
@pytest.mark.parametrize("corrector_first", [True, False])
@pytest.mark.parametrize("sde", [VP(), VE(), DDPM()], ids=["vp", "ve", "ddpm"])
def test_known_pixels_end_exactly_the_sources(sde, corrector_first, old_time):
    x0, mask = images(), left_half()
    translate = inpaint(Mixture().score(sde), pc(corrector_first), old_time, clip=False)
    y = translate(x0, Noise(0, IDS), mask=mask)
    known = mask.bool().expand_as(y)
    assert torch.equal(y[known], x0[known]) and (y - x0)[~known].abs().min() > 0
    assert y.isfinite().all()


@pytest.mark.parametrize("corrector_first", [True, False])
def test_imposed_after_the_corrector_and_after_the_predictor(corrector_first):
    """At the time of each, with new noise of the source each time."""
    sde, seen = VP(), []
    translate = inpaint(Mixture().score(sde), pc(corrector_first), clip=False)
    keep = translate.constraint

    def watched(y, t, source):
        seen.append((float(t), source.at(t)))
        return keep(y, t, source)

    replace(translate, constraint=watched)(images(), Noise(0, IDS), mask=left_half())
    times = translate.times
    first, second = (times[:-1], times[1:]) if corrector_first else (times[1:], times[1:])
    expected = [float(t) for both in zip(first, second, strict=True) for t in both]
    assert [t for t, _ in seen] == [*expected, 0.0]
    eps = [(x - sde.alpha(f64(t)) * images()) / sde.sigma(f64(t)) for t, x in seen[:4]]
    assert min((a - b).abs().max() for i, a in enumerate(eps) for b in eps[:i]) > 0.1


def test_the_filled_half_of_a_correlated_image_is_its_conditional_law():
    """Pairs of pixels N(0, [[1, .9], [.9, 1]]), the left one known to be 1: right N(.9, .19).

    The corrector is what pulls the unknown pixels towards the known (compare RePaint).
    """
    sde, rho = VP(), 0.9

    def score(y: Tensor, t: Tensor, source: object = None) -> Tensor:
        a, b = sde.alpha(t).square() + sde.sigma(t).square(), rho * sde.alpha(t).square()
        left, right = y[..., :4], y[..., 4:]
        return torch.cat([b * right - a * left, b * left - a * right], -1) / (a**2 - b**2)

    x0 = torch.ones(8, 3, 8, 8, dtype=torch.float64)
    mask, noise = left_half()[:1].expand(8, -1, -1, -1), Noise(0, list("abcdefgh"))
    means, variances = [], []
    for corrections in (1, 8):
        solver = PredictorCorrector(Ancestral(), Langevin(), corrections)
        sampler = Sampler(solver, Uniform(100), denoise=True)
        y = inpaint(ScoreFunction(score, sde), sampler, clip=False)(x0, noise, mask=mask)[..., 4:]
        means.append(float(y.mean()))
        variances.append(float(y.var()))
    assert abs(means[1] - 0.9) < 0.5 * abs(means[0] - 0.9)
    assert means[1] == pytest.approx(0.9, abs=0.1) and variances[1] == pytest.approx(0.19, abs=0.1)


BASIS = torch.linalg.qr(  # first column: the grey axis
    torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.float64)
)[0]


def test_colourisation_equals_the_plain_loop_in_an_orthonormal_basis():
    """Decouple, replace the grey axis, couple (App. I.3), whatever the two other axes are."""
    sde, x0, noise = VP(), images(), Noise(3, IDS)
    score, solver = Mixture().score(sde), Ancestral()
    sampler = Sampler(solver, Uniform(20), denoise=False)
    ours = colourise(score, sampler, clip=False)(x0, noise)

    grey = torch.zeros(3, dtype=torch.float64)
    grey[0] = 1
    project = torch.einsum("ij,j,kj->ik", BASIS, grey, BASIS)
    draw, times = noise.child(0), sampler.times(sde, 1.0)
    y = sde.sigma(times[0]) * draw.stream("start")(x0)
    for i, (t, s) in enumerate(zip(times[:-1], times[1:], strict=True)):
        y, _ = solver.step(Reverse(sde, score), y, t, s, draw.stream(f"step/{i}"))
        x_s = sde.perturb(x0, s, draw.stream(f"source/{i}/0")(x0))
        y = y + torch.einsum("ik,bkhw->bihw", project, x_s - y)
    assert (ours - y).abs().max() < 1e-12


@pytest.mark.parametrize("sde", [VP(), VE(), DDPM()], ids=["vp", "ve", "ddpm"])
def test_colourisation_keeps_the_grey_image_and_reads_nothing_else(sde):
    x0 = images()
    translate = colourise(Mixture().score(sde), pc(corrector_first=False), clip=False)
    y = translate(x0, Noise(0, IDS))
    assert (y.mean(1) - x0.mean(1)).abs().max() < 1e-12
    assert (y - x0).abs().mean() > 0.1
    grey = x0.mean(1, keepdim=True).expand_as(x0)
    assert (translate(grey, Noise(0, IDS)) - y).abs().max() < 1e-6


def test_each_image_alone_and_in_a_batch():
    sde, x0, mask = VP(), images().float(), left_half()
    score = ScoreModel(Pointwise(), sde)
    for method in (inpaint, colourise):
        translate = method(score, pc(True), clip=False)
        whole = translate(x0, Noise(0, IDS), mask=mask)
        alone = translate(x0[1:], Noise(0, IDS[1:]), mask=mask[1:])
        assert (alone - whole[1:]).abs().max() < 1e-4


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2, 2, 8, 8), (2, 8, 8), (3, 1, 8, 8),
                                   (2, 1, 1, 1), (8, 8), (1, 8)], ids=str)  # fmt: skip
@pytest.mark.parametrize("method", [inpaint, partial(ccdf, operator=Pixels())],
                         ids=["inpaint", "ccdf"])  # fmt: skip
def test_a_mask_that_does_not_fit_is_an_error(method, shape):
    sde = VP()
    translate = method(Gaussian().score(sde), pc(True))
    with pytest.raises(ValueError, match=r"does not fit .* give \(2, 1 or 3, 8, 8\)"):
        translate(images(), Noise(0, IDS), mask=torch.ones(shape))
    with pytest.raises(ValueError, match="needs a mask"):
        translate(images(), Noise(0, IDS), mask=None)
