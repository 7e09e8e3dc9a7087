"""Paired models: what their network sees, where they start, and both programs with them."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from hydra.utils import instantiate
from PIL import Image
from torch import Tensor, nn

from egsde.methods import paired
from egsde.networks import ADMUNet, widened
from egsde.noise import Noise
from egsde.programs.initial import initialise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores.conditional import ConditionalScore
from egsde.scores.container import read_config, read_weights
from egsde.scores.files import load_conditional, load_score
from egsde.sde import DDPM, VP
from egsde.solvers import DDIM
from egsde.source import Source
from egsde.training.modules import ConditionalModule, Constant, Paired
from runs import command, composed, rows, trained


class Recorder(nn.Module):
    """Half of the last channels; remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))
        self.seen: list[Tensor] = []

    def forward(self, joined: Tensor, label: Tensor) -> Tensor:
        self.seen.append(joined.detach())
        return self.factor * joined[:, -3:]


@pytest.mark.parametrize("channels", [1, 3])
def test_condition_first_in_training_and_in_sampling(channels):
    x, y = torch.rand(2, channels, 4, 4) + 5, torch.rand(2, 3, 4, 4) - 0.5
    score = ConditionalScore(Recorder(), VP())
    module = ConditionalModule(score, partial(torch.optim.SGD, lr=0.1), Constant())
    for model in (module.score, module.averaged):
        model.net.seen.clear()
        module.loss(*module.problem(model, {"x": x, "y": y, "id": ["a", "b"]}), "val")
        assert len(model.net.seen) == 1
        assert torch.equal(model.net.seen[0][:, :channels], x)
        assert model.net.seen[0][:, channels:].abs().max() < 5  # y in noise
    score.net.seen.clear()
    with torch.no_grad():
        score(y, torch.tensor(0.5, dtype=torch.float64), Source(x, VP(), Noise(0, ["a", "b"])))
    assert torch.equal(score.net.seen[0], torch.cat([x, y], 1))


def test_the_condition_is_the_view_of_the_source():
    x, noise = torch.rand(2, 3, 4, 4), Noise(0, ["a", "b"])
    sampler, nets = Sampler(DDIM(), Uniform(4), denoise=False), []
    for options in ({}, {"noised": True}):
        nets.append(Recorder())
        score = ConditionalScore(nets[-1], VP(), **options)
        paired(score, sampler)(x, noise)
    assert all(torch.equal(seen[:, :3], x) for seen in nets[0].seen) and len(nets[0].seen) == 4
    sde, times = VP(), sampler.times(VP(), 1.0)
    for seen, t in zip(nets[1].seen, times[:-1], strict=True):
        eps = (seen[:, :3] - sde.alpha(t) * x) / sde.sigma(t)
        assert torch.allclose(eps, noise.child(0).stream("start")(x), atol=1e-4)


def test_an_unpaired_batch_is_refused():
    with pytest.raises(ValueError, match=r"x and y, but the batch has id, image; add data\.view"):
        Paired()({"image": 0, "id": 0})


def test_a_conditional_model_starts_as_the_unconditional_one(tmp_path):
    weights = "demo/flat_and_3d.safetensors"
    module = instantiate(
        composed("train", tmp_path, "model=conditional", "network=folded_64").module
    )
    before = load_score(weights, DDPM())
    initialise(module, weights)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 2, 3, 64, 64, generator=generator)
    t = torch.tensor(0.4, dtype=torch.float64)
    with torch.no_grad():
        expected = before(y, t)
        for model in (module.score.eval(), module.averaged):
            found = model.given(x)(y, t)
            assert torch.allclose(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_only_a_wider_input_is_filled_up():
    def net(**options) -> ADMUNet:
        size = {"num_channels": 32, "channel_mult": [1], "attention_resolutions": []}
        return ADMUNet(8, **size | {"num_head_channels": 32} | options)

    state = net().state_dict()
    wider = net(in_channels=7)
    wider.load_state_dict(widened(wider, state))
    first = wider.state_dict()["input_blocks.0.0.weight"]
    assert torch.equal(first[:, 4:], state["input_blocks.0.0.weight"]) and not first[:, :4].any()
    labelled = net(class_cond=True, num_class=3)
    labelled.load_state_dict(widened(labelled, state))
    plain = net()
    plain.load_state_dict(state)
    x, t = torch.randn(3, 3, 8, 8), torch.tensor([1.0, 5.0, 9.0])
    assert torch.equal(labelled(x, t, torch.arange(3)), plain(x, t))
    for other in (net(num_channels=64, in_channels=6), net(in_channels=2)):
        with pytest.raises(RuntimeError, match="size mismatch"):
            other.load_state_dict(widened(other, state))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The other direction of the embedded pairs: 3D to flat."""
    out = tmp_path_factory.mktemp("conditional")
    trained(out, "model=conditional", "data.source=3d", "data.target=flat")
    return out


def test_training_previews_against_the_truth(run):
    validated = [row for row in rows(run) if "val/loss" in row]
    assert len(validated) == 2 and {"val/ssim_truth", "val/l2_truth"} <= validated[-1].keys()
    pictures = sorted((run / "previews").glob("*.png"))
    assert len(pictures) == 2 and Image.open(pictures[0]).height >= 3 * 16  # source, y, truth
    config = read_config(run / "weights.safetensors")
    assert config["kind"] == "conditional" and config["data"]["source"] == "3d"


def test_the_weights_open_as_what_they_are(run):
    path = str(run / "weights.safetensors")
    model = load_conditional(path, DDPM(), "raw", noised=True)
    assert model.noised
    state = read_weights(run / "weights.safetensors", "raw")
    assert all(torch.equal(value, state[name]) for name, value in model.net.state_dict().items())
    with pytest.raises(ValueError, match="a conditional, not a score; it goes with score=cond"):
        load_score(path, DDPM())
    with pytest.raises(
        ValueError, match="a labelled score, not a conditional; it goes with score=tr"
    ):
        load_conditional("demo/flat_and_3d.safetensors", DDPM())


def test_translation_from_the_command_line(run, tmp_path):
    out = tmp_path / "out"
    code = command(
        "sample", "experiment=none", "translator=paired", "score=conditional",
        f"score.weights={run / 'weights.safetensors'}", "data.source=3d", "data.target=flat",
        "data.size=16", "limit=3", "metrics=pairwise", "logger=none", "trainer.accelerator=cpu",
        "sampler.grid.steps=3", f"out={out}",
    )  # fmt: skip
    assert code == 0 and len(list((out / "images").rglob("*.png"))) == 3
    summary = json.loads((out / "metrics.json").read_text())
    assert summary["nfe"] == {"score": 3.0}
    assert {"l2_truth", "psnr_truth", "ssim_truth"} <= summary["metrics"].keys()
    assert Image.open(out / "grid.png").height >= 3 * 16


def test_the_sampler_may_be_another():
    chosen = [composed("sample", "o", "translator=paired", *more).sampler.solver._target_
              for more in ((), ("sampler=euler_maruyama",))]  # fmt: skip
    assert chosen == ["egsde.solvers.DPMSolverPP2M", "egsde.solvers.EulerMaruyama"]
