"""score_sde's predictor-corrector runs, replayed by our solvers: same noise, same images to 1e-9.

Its loop corrects, then predicts, at N times from 1 down to eps. The score is that of the recorded
mixture at these times, while the kernels are those of chains of N levels; Langevin's norms are
batch means. Every recorded run is replayed, and every other combination against the same loop
written plainly below.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import product
from math import log

import numpy as np
import pytest
import torch

from egsde.noise import Replay
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, NCSN, SDE, VE, VP, SubVP, geometric_sigmas, linear_betas
from egsde.sde.reverse import Reverse
from egsde.solvers import (
    Ancestral,
    AnnealedLangevin,
    EulerMaruyama,
    Langevin,
    PredictorCorrector,
    ReverseDiffusion,
    Solver,
)
from egsde.solvers.ancestral import kernel_std, posterior_std
from egsde.solvers.langevin import batch_mean
from problems import RecordedMixture
from shared import ROOT, shared_path

PROCESSES = {"vp": VP(), "subvp": SubVP(), "ve": VE()}
PREDICTORS = ["none", "reverse_diffusion", "ancestral_sampling", "euler_maruyama"]
CORRECTORS = ["none", "langevin", "ald"]
FILES = sorted(file.stem for file in (ROOT / "oracles").glob("pc_*.npz"))


def is_run(sde: str, predictor: str, corrector: str, flow: bool) -> bool:
    """Combinations that score_sde has: no ancestral sampling of sub-VP, flow where it is a kernel's
    (its Euler--Maruyama fails without noise)."""
    if (sde, predictor) == ("subvp", "ancestral_sampling") or predictor == corrector == "none":
        return False
    return not flow or predictor == "reverse_diffusion"


RUNS = [run for run in product(PROCESSES, PREDICTORS, CORRECTORS, [False, True]) if is_run(*run)]


# Our solvers, on processes that differ between predictor and corrector as score_sde's do.


@dataclass(frozen=True, eq=False)
class AtOwnTimes(SDE):
    """A continuous process at the recorded times, level i at times[N - i]; level 0 is clean.

    Its kernel is a chain's, or Euler's step of 1 / N where score_sde has no chain (sub-VP).
    """

    process: SDE
    times: torch.Tensor
    chain: SDE | None = None

    def own(self, t):
        level = (t * len(self.times)).round().long()
        return self.times[(len(self.times) - level).clamp(max=len(self.times) - 1)]

    def alpha(self, t):
        return self.process.alpha(self.own(t))

    def sigma(self, t):
        return self.process.sigma(self.own(t)) * (t > 0)

    def drift(self, t):
        return self.process.drift(self.own(t))

    def diffusion(self, t):
        return self.process.diffusion(self.own(t))

    def transition(self, s, t):
        if self.chain is not None:
            return self.chain.transition(s, t)
        return 1 + self.drift(t) * (t - s), self.diffusion(t) * (t - s).sqrt()


class NoisyEnd:
    """A process whose level 0 passes for noisy, so that the last step adds noise, too."""

    def __init__(self, sde: SDE) -> None:
        self.sde = sde

    def __getattr__(self, name):
        return getattr(self.sde, name)

    def sigma(self, t):
        return self.sde.sigma(t).clamp(min=1e-300)


@dataclass(frozen=True)
class On(Solver):
    """A solver that sees a process of its own."""

    sde: SDE
    solver: Solver

    def step(self, reverse, x, t, s, randn, carry=None):
        return self.solver.step(replace(reverse, sde=self.sde), x, t, s, randn, carry)


def ours(run, record) -> tuple[torch.Tensor, torch.Tensor]:
    """(x, x_mean) of a run on our solvers; x_mean leaves out the last predictor's noise."""
    name, predictor, corrector, flow = run
    process, count = PROCESSES[name], int(record["N"])
    times = torch.as_tensor(record["timesteps"])
    ddpm, ncsn = DDPM(linear_betas(count, 0.1 / count, 20 / count)), NCSN(geometric_sigmas(count))
    chain = ncsn if name == "ve" else ddpm
    continuous = AtOwnTimes(process, times)
    sees = continuous if name == "subvp" or predictor == "euler_maruyama" else chain
    predictors = {
        "none": None,
        "reverse_diffusion": ReverseDiffusion(eta=0.0 if flow else 1.0),
        "ancestral_sampling": Ancestral(posterior_std if name == "ve" else kernel_std),
        "euler_maruyama": EulerMaruyama(),
    }
    snr = float(record["snr"])
    correctors = {"none": None, "langevin": Langevin(snr, batch_mean), "ald": AnnealedLangevin(snr)}
    predict, correct = predictors[predictor], correctors[corrector]
    correct = correct and On(AtOwnTimes(process, times, chain), correct)
    score = RecordedMixture().score(process)
    draws = torch.as_tensor(record["noise"])
    draws = draws.reshape(count, -1, *draws.shape[1:])
    noise = Replay({f"step/{k}": list(draws[k]) for k in range(count)})
    levels = torch.arange(count, -1, -1, dtype=torch.float64) / count
    start, ends = torch.as_tensor(record["init"]), []
    for quiet in (False, predict is not None):  # a corrector alone: x_mean is x there
        sde = sees if quiet else NoisyEnd(sees)
        solver = PredictorCorrector(predict and On(sde, predict), correct, corrector_first=True)
        reverse = Reverse(sde, lambda x, t: score(x, continuous.own(t)))
        ends.append(Sampler(solver, grid=None, denoise=False).run(reverse, start, levels, noise))
    return ends[0], ends[1]


# The same runs written plainly, from the formulas of Song 2021 and the conventions above.


def plain_score(x, a, std, mixture):
    variance = (a * np.array(mixture["std"])) ** 2 + std**2
    offset = x[:, None] - a * np.array(mixture["means"])
    square = (offset**2).sum((2, 3, 4))
    log_parts = np.log(mixture["weights"]) - square / (2 * variance)
    log_parts = log_parts - 0.5 * x[0].size * np.log(variance)
    parts = np.exp(log_parts - log_parts.max(1, keepdims=True))
    parts = parts / parts.sum(1, keepdims=True) / variance
    return -(parts[:, :, None, None, None] * offset).sum(1)


def plain(run, record) -> tuple[np.ndarray, np.ndarray]:
    name, predictor, corrector, flow = run
    count, snr = int(record["N"]), float(record["snr"])
    mixture = json.loads(shared_path("oracles/gmm.json").read_text())["gmm"]
    betas = np.linspace(0.1 / count, 20 / count, count)
    sigmas = np.exp(np.linspace(log(0.01), log(50), count))
    x, rows = record["init"], iter(record["noise"])
    for k, t in enumerate(record["timesteps"]):
        i = count - 1 - k
        b, integral = 0.1 + t * 19.9, 0.1 * t + 0.5 * t**2 * 19.9
        a = 1.0 if name == "ve" else np.exp(-0.5 * integral)
        std = {"vp": np.sqrt(1 - a**2), "subvp": 1 - a**2, "ve": 0.01 * 5000**t}[name]
        f = 0.0 if name == "ve" else -0.5 * b
        g = {
            "vp": np.sqrt(b),
            "subvp": np.sqrt(b * (1 - np.exp(-2 * integral))),
            "ve": std * np.sqrt(2 * log(5000)),
        }[name]
        previous = sigmas[i - 1] if i else 0.0
        if corrector != "none":
            score, z = plain_score(x, a, std, mixture), next(rows)
            norms = [np.sqrt((v**2).sum((1, 2, 3))).mean() for v in (z, score)]
            ratio = snr * norms[0] / norms[1] if corrector == "langevin" else snr * std
            size = 2 * ratio**2 * (1 if name == "ve" else 1 - betas[i])
            x = mean = x + size * score + np.sqrt(2 * size) * z
        if predictor == "none":
            continue
        score, z = plain_score(x, a, std, mixture), next(rows)
        if predictor == "ancestral_sampling" and name == "ve":
            gap = sigmas[i] ** 2 - previous**2
            mean, spread = x + gap * score, np.sqrt(previous**2 * gap) / sigmas[i]
        elif predictor == "ancestral_sampling":
            mean, spread = (x + betas[i] * score) / np.sqrt(1 - betas[i]), np.sqrt(betas[i])
        elif predictor == "euler_maruyama":
            mean, spread = x - (f * x - g**2 * score) / count, g / np.sqrt(count)
        else:
            spread = {
                "vp": np.sqrt(betas[i]),
                "subvp": g / np.sqrt(count),
                "ve": np.sqrt(sigmas[i] ** 2 - previous**2),
            }[name]
            shift = np.sqrt(1 - betas[i]) * x - x if name == "vp" else f * x / count
            mean = x - shift + (0.5 if flow else 1.0) * spread**2 * score
            spread = 0.0 if flow else spread
        x = mean + spread * z
    return x, mean


def assert_same(found, expected):
    for value, truth in zip(found, expected, strict=True):
        value, truth = np.asarray(value), np.asarray(truth)
        assert np.abs(value - truth).max() < 1e-9 * max(1, np.abs(truth).max())


@pytest.mark.parametrize("name", FILES)
def test_recorded_run(name):
    record = np.load(shared_path(f"oracles/{name}.npz"))
    flow = name.endswith("_pflow")
    _, sde, rest = name.removesuffix("_pflow").split("_", 2)
    predictor, corrector = rest.rsplit("_", 1)
    run = sde, predictor, corrector, flow
    assert is_run(*run)
    truth = record["x"], record["x_mean"]
    assert_same(ours(run, record), truth)
    assert_same(plain(run, record), truth)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: "-".join(map(str, run)))
def test_any_run_is_the_plain_loop(run):
    count, random = 40, np.random.default_rng(0)
    eps = 1e-5 if run[0] == "ve" else 1e-3
    draws = (run[1] != "none") + (run[2] != "none")
    record = {
        "init": random.normal(size=(8, 3, 2, 2)) * (50 if run[0] == "ve" else 1),
        "noise": random.normal(size=(draws * count, 8, 3, 2, 2)),
        "timesteps": np.linspace(1, eps, count),
        "N": count,
        "snr": 0.16,
    }
    assert_same(ours(run, record), plain(run, record))
