"""The unpaired cycle model: its loss, its partners, and what a gradient mode lets it learn."""

from __future__ import annotations

import json
from threading import Barrier, Thread, current_thread
from types import SimpleNamespace

import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from demo_networks import write_networks
from egsde.linear.filters import LowPass
from egsde.methods.diffusion import OnePass
from egsde.noise import Noise
from egsde.programs.sample import sample
from egsde.sampling.grids import LogSNR
from egsde.sampling.sampler import Sampler, Walk
from egsde.scores.conditional import ConditionalScore
from egsde.scores.container import read_weights
from egsde.scores.files import load_cycle, load_score
from egsde.sde import DDPM, VP, Reverse
from egsde.solvers import DDIM
from egsde.training import partners as partners_module
from egsde.training.in_loop import Checkpointed, Detached, Full
from egsde.training.modules import Constant, Coupling, CycleModule, InLoop, KeptPartners
from egsde.training.objectives import Simple
from runs import composed, trained

SDE = VP()
SAMPLER = Sampler(DDIM(), LogSNR(4), denoise=True)
IDS = ["a.png", "b.png", "c.png"]


class Net(nn.Module):
    """Condition and image, one channel each, to one channel."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.mix = nn.Conv2d(2, 1, 3, padding=1, dtype=torch.float64)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(0.3 * torch.randn(p.shape, generator=generator, dtype=torch.float64))

    def forward(self, x, t):
        return torch.tanh(self.mix(x)) + t[:, None, None, None] / 1000


def module(**options):
    scores = [ConditionalScore(Net(seed), SDE) for seed in (1, 2)]
    made = CycleModule(*scores, **({"partners": InLoop(SAMPLER), "teacher": False} | options),
                       optimizer=torch.optim.Adam, schedule=Constant())  # fmt: skip
    made._trainer = SimpleNamespace(global_step=0, logger=None)
    made.log = lambda *args, **kwargs: None
    return made


def batch():
    generator = torch.Generator().manual_seed(3)
    x, y = torch.rand(2, 3, 1, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1
    return {"x": x, "y": y, "id": IDS, "id_y": IDS[::-1]}


def loss(made):
    torch.manual_seed(0)
    return made.training_step(batch(), 0)


def test_the_loss_is_that_of_the_thesis():
    """eq. 3.5: four denoising terms at one t and one eps, two reconstructions from noise."""
    made = module(partners=InLoop(SAMPLER, Full()), self_training=1.0, cycle=10.0,
                  reconstruct=InLoop(SAMPLER, Full()))  # fmt: skip
    got = loss(made)

    torch.manual_seed(0)
    t = SDE.training_time(torch.rand(3, 1, 1, 1, dtype=torch.float64))
    x, y = batch()["x"], batch()["y"]
    eps = torch.randn_like(x)
    s_x, s_y = made.scores["x"], made.scores["y"]

    def sample(score, condition, key, ids):
        noise, times = Noise(0, ids).child(f"0/{key}"), SAMPLER.times(SDE, SDE.T)
        start = SDE.sigma(times[0]) * noise.stream("start")(condition)
        states = Walk(SAMPLER, Reverse(SDE, score.given(condition)), times, noise).states(start)
        return list(states)[-1][2]

    made_x, made_y = sample(s_x, y, "x", IDS[::-1]), sample(s_y, x, "y", IDS)
    again_x = sample(s_x, made_y, "x/again", IDS)
    again_y = sample(s_y, made_x, "y/again", IDS[::-1])

    def term(score, condition, target):
        noised = SDE.alpha(t) * target + SDE.sigma(t) * eps
        output = score.net(torch.cat([condition, noised], 1), SDE.network_time(t).flatten())
        return (output - eps).square().mean()

    terms = (
        term(s_x, made_y, x) + term(s_y, made_x, y) + term(s_y, x, made_y) + term(s_x, y, made_x)
    )
    cycle = (again_x - x).square().mean() + (again_y - y).square().mean()
    assert torch.allclose(got, terms + 10 * cycle, rtol=1e-10)


def gradients(made):
    made.zero_grad()
    loss(made).backward()
    return [p.grad.clone() for p in made.network.parameters()]


def test_a_checkpointed_loop_trains_as_the_full_one():
    full, kept = (
        gradients(module(partners=InLoop(SAMPLER, mode), self_training=1.0, cycle=10.0,
                         reconstruct=InLoop(SAMPLER, mode)))
        for mode in (Full(), Checkpointed())
    )  # fmt: skip
    for a, b in zip(full, kept, strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=0)


def test_detached_partners_are_data():
    seen = []

    class Watched(Simple):
        def __call__(self, score, x0, t, eps):
            seen.append(score.condition.requires_grad)
            return super().__call__(score, x0, t, eps)

    gradients(module(partners=InLoop(SAMPLER, Detached()), loss=Watched()))
    assert seen == [False, False]


def test_without_self_training_targets_are_real():
    seen = []

    class Watched(Simple):
        def __call__(self, score, x0, t, eps):
            seen.append(x0)
            return super().__call__(score, x0, t, eps)

    loss(module(loss=Watched()))
    assert torch.equal(seen[0], batch()["x"]) and torch.equal(seen[1], batch()["y"])


def test_the_teacher_makes_the_partners():
    made = module(teacher=True)
    with torch.no_grad():
        for p in made.network.parameters():
            p.add_(1.0)  # the average stays where it was
    seen = []
    made.partners = lambda d, score, *rest: seen.append((d, score.net))
    loss(made)
    assert [net is made.ema.net[d] for d, net in seen] == [True, True]


def test_a_cycle_needs_a_sampler():
    for loop in (None, InLoop(SAMPLER, Detached())):
        with pytest.raises(ValueError, match="reconstruct that gradients flow through"):
            module(cycle=10.0, reconstruct=loop)


def test_gradients_for_nothing_are_refused():
    with pytest.raises(ValueError, match="no effect"):
        module(partners=KeptPartners(InLoop(SAMPLER)), reconstruct=InLoop(SAMPLER, Full()))


BLUR = LowPass(4)


def replay(**options):
    asked = []

    class Watched(InLoop):
        def __call__(self, direction, score, images, ids, noise):
            asked.append((direction, list(ids), images))
            return images / 2

    return KeptPartners(Watched(SAMPLER), **options), asked


def call(partners, ids, images, direction="y"):
    return partners(direction, None, images, ids, Noise(0, ids))


def test_partners_are_kept_for_so_many_uses():
    coupling = Coupling(start={"y": OnePass(BLUR)}, prepare=BLUR)
    partners, asked = replay(every=2, coupling=coupling)
    x = batch()["x"]
    first = [call(partners, IDS, x) for _ in range(2)]
    assert not asked and all(torch.allclose(y, BLUR(x), atol=1e-3) for y in first)
    second = [call(partners, IDS, x) for _ in range(2)]
    assert len(asked) == 1 and torch.allclose(asked[0][2], BLUR(x))
    assert all(torch.allclose(y, BLUR(x) / 2, atol=1e-3) for y in second)
    third = call(partners, IDS, x)
    assert len(asked) == 2 and torch.equal(asked[1][2], x)
    assert torch.allclose(third, x / 2, atol=1e-3)


def test_only_stale_partners_are_made():
    partners, asked = replay(every=2)
    x = batch()["x"]
    call(partners, IDS[:2], x[:2])
    y = call(partners, IDS[1:], x[1:])
    assert [ids for _, ids, _ in asked] == [IDS[:2], IDS[2:]]
    assert torch.allclose(y, x[1:] / 2, atol=1e-3)
    call(partners, IDS[:2], x[:2])
    assert asked[-1][1] == [IDS[1]]


def test_directions_do_not_mix():
    partners, asked = replay(every=9)
    x = batch()["x"]
    call(partners, IDS, x, "x")
    assert torch.allclose(call(partners, IDS, 0 * x, "y"), 0 * x)
    assert [d for d, *_ in asked] == ["x", "y"]


def test_a_direction_without_a_start_waits():
    partners, asked = replay(coupling=Coupling(wait=2))
    x = batch()["x"]
    assert [call(partners, IDS, x) is None for _ in range(3)] == [True, True, False]


def test_kept_partners_survive_a_checkpoint(tmp_path):
    partners, _ = replay(every=5)
    x = batch()["x"]
    before = call(partners, IDS, x)
    torch.save(partners.state_dict(), tmp_path / "state.pt")
    again, asked = replay(every=5)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(call(again, IDS, 0 * x), before) and not asked


def test_two_processes_keep_what_one_keeps(monkeypatch):
    """Three batches of 4, halves of which two processes see: same partners, same state."""
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    turns = [["a", "b", "c", "d"], ["b", "c", "d", "a"], ["a", "a", "b", "e"]]
    pictures = dict(zip("abcde", [*x, x[0] / 3], strict=True))
    alone, _ = replay(every=2, coupling=Coupling(wait=1))
    meet, told = Barrier(2), {}

    def gather(value):
        told[current_thread().name] = value
        meet.wait()
        found = [told[name] for name in sorted(told)]
        meet.wait()
        return found

    pair, seen = [replay(every=2, coupling=Coupling(wait=1))[0] for _ in range(2)], [[], []]

    def process(rank):
        for turn in turns:
            ids = turn[2 * rank : 2 * rank + 2]
            seen[rank].append(call(pair[rank], ids, torch.stack([pictures[n] for n in ids])))

    expected = [call(alone, ids, torch.stack([pictures[n] for n in ids])) for ids in turns]
    monkeypatch.setattr(partners_module, "all_gather", gather)
    threads = [Thread(target=process, args=(rank,), name=str(rank)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for turn, one in enumerate(expected):
        halves = [seen[rank][turn] for rank in (0, 1)]
        assert (one is None) == all(h is None for h in halves) == (turn == 0)
        assert one is None or torch.equal(torch.cat(halves), one)
    states = [made.get_extra_state() for made in (alone, *pair)]
    for state in states[1:]:
        assert {k: v for k, v in state.items() if k != "kept"} == {
            k: v for k, v in states[0].items() if k != "kept"
        }
        assert state["kept"].keys() == states[0]["kept"].keys() == {f"y/{n}" for n in "abcde"}


@pytest.mark.parametrize("name", [pytest.param("ddib", marks=pytest.mark.slow), "cycle_diffusion"])
def test_with_equal_scores_a_coupling_along_the_images_own_path_returns_them(name, tmp_path):
    score = write_networks(tmp_path)[0]
    cfg = composed(
        "train", tmp_path, "model=cycle", f"partners/coupling={name}", score,
        f"source_{score}", "start_sampler.grid.steps=100", "coupling_t_start=0.3",
        *(["energy=none", "++partners.coupling.start.x.refine=0"] if name != "ddib" else []),
    )  # fmt: skip
    torch.manual_seed(0)
    images = 2 * torch.rand(2, 3, 16, 16) - 1
    made = instantiate(cfg.partners.coupling).start["x"](images, Noise(0, ["a", "b"]))
    assert (made - images).abs().mean() < 2e-2 * images.abs().mean()


def test_bad_couplings_are_refused():
    with pytest.raises(ValueError, match="every=0"):
        replay(every=0)
    with pytest.raises(ValueError, match="directions are x and y"):
        Coupling(start={"z": OnePass(BLUR)})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("cycle")
    trained(out, "model=cycle", "sampler.grid.steps=2", "trainer.max_steps=2",
            drop=("sampler", "trainer.max_steps"))  # fmt: skip
    return out


def test_both_scores_come_back_from_one_file(run):
    path = run / "weights.safetensors"
    weights = read_weights(path, "averaged")
    for domain in ("x", "y"):
        net = load_cycle(str(path), DDPM(), makes=domain).net
        assert all(torch.equal(v, weights[f"{domain}.{k}"]) for k, v in net.state_dict().items())
    with pytest.raises(ValueError, match="makes"):
        load_cycle(str(path), DDPM(), makes="z")
    with pytest.raises(ValueError, match="score=cycle"):
        load_score(str(path), DDPM())


def test_a_trained_cycle_translates_as_every_other_method(run, tmp_path):
    cfg = composed("sample", tmp_path, "experiment=none", "translator=paired", "score=cycle",
                   f"score.weights={run / 'weights.safetensors'}", "data.size=16", "limit=2",
                   "metrics=pairwise", "sampler.grid.steps=3")  # fmt: skip
    sample(cfg)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["n"] == 2 and metrics["nfe"] == {"score": 3.0}
    assert {"l2", "l2_truth"} <= metrics["metrics"].keys()


def test_each_network_starts_from_its_own_weights(tmp_path):
    """init_weights by part; an unconditional network's condition channels start at zero."""
    other = tmp_path / "score"
    trained(other, "trainer.max_steps=1", drop=("trainer.max_steps",))
    trained(tmp_path / "cycle", "model=cycle", "sampler.grid.steps=2", "trainer.max_steps=1",
            "module.optimizer.lr=0", f"+init_weights.y={other / 'weights.safetensors'}",
            drop=("sampler", "trainer.max_steps"))  # fmt: skip
    net = load_cycle(str(tmp_path / "cycle" / "weights.safetensors"), DDPM()).net
    alone = load_score(str(other / "weights.safetensors"), DDPM()).net
    image, t = torch.randn(1, 3, 16, 16), torch.tensor([500.0])
    joined = torch.cat([torch.randn_like(image), image], 1)
    assert torch.allclose(net(joined, t), alone(image, t), atol=1e-5)
