"""Adversarial models: published sizes and layouts, losses as in the papers, who learns what."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from egsde.networks import PatchGAN, PatchHeads, ResNetGenerator, UNetGenerator, named_as
from egsde.networks import read_weights as read_checkpoint
from egsde.scores.translators import load_generator
from egsde.training.adversarial import (
    CycleConsistency,
    Hinge,
    Identity,
    LeastSquares,
    NonSaturating,
    PatchNCE,
    Pool,
    Relativistic,
    Round,
    ToTruth,
    ZeroCentred,
    patch_nce,
)
from egsde.training.modules import AdversarialModule, Constant, HeldLinear
from shared import shared_path

SMALL = {"width": 4, "blocks": 1}


@pytest.mark.parametrize(
    ("make", "thousands"),
    [
        (ResNetGenerator, 11378),
        (lambda: ResNetGenerator(antialias=True), 11378),
        (lambda: ResNetGenerator(resize=True), 11378),
        (PatchGAN, 2765),
        (lambda: PatchGAN(6, batch_norm=True), 2769),
        (UNetGenerator, 54414),
    ],
    ids=["resnet", "resnet of CUT", "resnet, resized", "patch", "patch of pix2pix", "unet 256"],
)
def test_networks_have_the_published_size(make, thousands):
    with torch.device("meta"):
        net = make()
    assert round(sum(p.numel() for p in net.parameters()) / 1000) == thousands


def test_a_logit_of_the_judge_sees_seventy_pixels():
    judge = PatchGAN(1, width=2)
    for part in judge.modules():  # all weights alike, no norm: what is seen is what has a gradient
        if isinstance(part, nn.Conv2d):
            nn.init.ones_(part.weight)
    judge.model = nn.Sequential(*(p for p in judge.model if isinstance(p, nn.Conv2d)))
    x = torch.zeros(1, 1, 128, 128, requires_grad=True)
    judge(x)[0, 0, 7, 7].backward()
    rows = x.grad[0, 0].any(1).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == 70


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: PatchGAN(3, width=2), 16),
        (lambda: PatchGAN(3, width=2, layers=1), 4),
        (lambda: ResNetGenerator(**SMALL), 10),
        (lambda: UNetGenerator(width=2, halvings=3), 12),
    ],
)
def test_images_that_do_not_fit_are_refused(make, size):
    with pytest.raises(ValueError, match="use"):
        make()(torch.zeros(1, 3, size, size))


@pytest.mark.parametrize(
    "net",
    [
        ResNetGenerator(**SMALL),
        ResNetGenerator(antialias=True, **SMALL),
        UNetGenerator(width=2, halvings=3),
        UNetGenerator(width=2, halvings=4, batch_norm=False),
    ],
    ids=["resnet", "cut", "unet", "unet with instance norm"],
)
def test_a_published_file_opens_by_its_shapes(net, tmp_path):
    """Official .pth files hold a bare state dict under these names."""
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    torch.save(net.state_dict(), tmp_path / "latest_net_G.pth")
    opened = load_generator(tmp_path / "latest_net_G.pth")
    assert torch.equal(opened(x), net.eval()(x))
    starting = named_as(read_checkpoint(tmp_path / "latest_net_G.pth"), net.state_dict())
    net.load_state_dict(starting)  # what train.py init_weights.to_y=FILE does
    torch.save({"other": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="no known generator"):
        load_generator(tmp_path / "other.pth")


def test_a_file_with_dropout_and_old_statistics_opens(tmp_path):
    net = ResNetGenerator(**SMALL)
    old = {k.replace("conv_block.5", "conv_block.6"): v for k, v in net.state_dict().items()}
    old |= {"model.2.running_mean": torch.zeros(4), "model.2.running_var": torch.ones(4)}
    torch.save(old, tmp_path / "old.pth")
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(load_generator(tmp_path / "old.pth")(x), net(x))


def test_patch_nce_is_the_official_one():
    recorded = np.load(shared_path("oracles/patchnce.npz"))
    q, k = torch.tensor(recorded["q"]), torch.tensor(recorded["k"])
    for images, name in ((1, "loss_all1"), (2, "loss_all0")):
        assert torch.allclose(patch_nce(q, k, images), torch.tensor(recorded[name]), atol=5e-6)


def test_blurred_resampling_keeps_a_constant_and_a_ramp():
    from egsde.networks.blur import BlurDown, BlurUp

    ramp = torch.arange(16.0).expand(1, 2, 16, 16)
    assert torch.allclose(BlurDown(2)(torch.ones(1, 2, 16, 16)), torch.ones(1, 2, 8, 8))
    assert torch.allclose(BlurDown(2)(ramp)[..., 1:-1], ramp[..., ::2, ::2][..., 1:-1])
    up = BlurUp(2)(ramp)
    assert up.shape[-1] == 32
    assert torch.allclose(up[..., 8, 4:-4], torch.arange(32.0)[4:-4] / 2 - 0.25)


@pytest.mark.parametrize("game", [LeastSquares(), Hinge(), NonSaturating(), Relativistic()])
def test_a_game_is_won_by_the_truth(game):
    """The judge gains by telling apart, the maker by being taken for real; gradients say so."""
    real, made = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    game.judge(real, made).backward()
    assert (real.grad < 0).all() and (made.grad >= 0).all()
    fooled = torch.zeros(3, requires_grad=True)
    game.fool(fooled, lambda: torch.zeros(3)).backward()
    assert (fooled.grad < 0).all()
    assert float(LeastSquares().judge(torch.tensor([1.0]), torch.tensor([0.0]))) == 0
    assert float(Hinge().judge(torch.tensor([1.5]), torch.tensor([-2.0]))) == 0


def test_a_pool_shows_images_of_before():
    pool, size = Pool(3), 3
    draws = torch.Generator().manual_seed(0)
    seen = []
    for step in range(200):
        image = torch.full((1, 1, 1, 1), float(step))
        shown = pool("y", image, *torch.rand(2, 1, generator=draws))
        seen.append(step - int(shown))
    assert seen[:size] == [0, 0, 0] and len(pool.kept["y"]) == size
    old = [age for age in seen[size:] if age]
    assert 0.4 < len(old) / 197 < 0.6 and min(seen) == 0
    again = Pool(3)
    again.set_extra_state(pool.get_extra_state())
    assert [float(i) for i in again.kept["y"]] == [float(i) for i in pool.kept["y"]]
    assert torch.equal(Pool(0)("y", image, torch.zeros(1), torch.zeros(1)), image)


def test_a_penalty_is_the_square_of_the_slope():
    weight = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    real = torch.randn(5, 3, 1, 1)
    penalty = ZeroCentred(0.5, every=4)
    value = penalty(lambda x: (x.flatten(1) * weight).sum(1), real)
    value.backward()
    assert float(value) == pytest.approx(0.5 * 14) and torch.allclose(weight.grad, weight)
    assert [penalty.due(step) for step in range(5)] == [True, False, False, False, True]

    def judge(x):
        return (x.flatten(1) * weight).sum(1)

    both = ZeroCentred(0.5, made=True)
    assert float(both(judge, real, real)) == 2 * float(both(judge, real)) == 14


def module(**options):
    torch.manual_seed(0)
    parts = {
        "generators": {name: ResNetGenerator(**SMALL) for name in ("to_x", "to_y")},
        "judges": {name: PatchGAN(width=4, layers=1) for name in "xy"},
        "terms": {"cycle": CycleConsistency(), "identity": Identity()},
    } | options
    made = AdversarialModule(**parts, optimizer=torch.optim.Adam, schedule=Constant())
    made.log = lambda *args, **kwargs: None
    return made


def batch():
    x, y = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return {"x": x, "y": y, "id": ["a", "b"], "id_y": ["c", "d"]}


def test_the_loss_is_cycle_gans():
    made, data = module(), batch()
    x, y = data["x"], data["y"]
    g, f, d_x, d_y = (made.network[n] for n in ("to_y", "to_x", "judge_x", "judge_y"))
    fake_y, fake_x = g(x), f(y)
    generators = (d_y(fake_y) - 1).square().mean() + (d_x(fake_x) - 1).square().mean()
    generators = generators + 10 * ((f(fake_y) - x).abs().mean() + (g(fake_x) - y).abs().mean())
    generators = generators + 5 * ((g(y) - y).abs().mean() + (f(x) - x).abs().mean())
    judges = sum(
        0.5 * ((d(real) - 1).square().mean() + d(fake.detach()).square().mean())
        for d, real, fake in ((d_x, x, fake_x), (d_y, y, fake_y))
    )
    of_generators = [*g.parameters(), *f.parameters()]
    of_judges = [*d_x.parameters(), *d_y.parameters()]
    wanted = [*torch.autograd.grad(generators, of_generators, retain_graph=True),
              *torch.autograd.grad(judges, of_judges)]  # fmt: skip
    total = made.training_step(data, 0)
    assert float(total) == pytest.approx(float(generators + judges), rel=1e-5)
    total.backward()
    found = [p.grad for p in (*of_generators, *of_judges)]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, wanted, strict=True))
    assert all(p.requires_grad for p in made.network.parameters())


def test_pix2pix_shows_its_judge_the_source_and_learns_the_truth():
    made = module(
        generators={"to_y": UNetGenerator(width=4, halvings=3, batch_norm=False, dropout=False)},
        judges={"y": PatchGAN(6, width=4, layers=1)}, pool=0, conditional=True,
        terms={"truth": ToTruth()},
    )  # fmt: skip
    data = batch()
    x, y = data["x"], data["y"]
    g, d = made.network["to_y"], made.network["judge_y"]
    fake, true = torch.cat([x, g(x)], 1), torch.cat([x, y], 1)
    wanted = (d(fake) - 1).square().mean() + 100 * (g(x) - y).abs().mean()
    wanted = wanted + 0.5 * ((d(true) - 1).square().mean() + d(fake).square().mean())
    assert float(made.training_step(data, 0)) == pytest.approx(float(wanted), rel=1e-5)


def test_a_generator_that_keeps_its_patches_has_the_least_patch_nce():
    """Equal patches are told apart; mirrored ones are found again where the mirror is known."""

    class Same(nn.Module):
        def features(self, x, layers):
            return [x for _ in layers]

        def forward(self, x):
            return x

    heads = PatchHeads([3], width=16)
    for p in heads.parameters():  # far from zero, where all patches are alike
        nn.init.normal_(p, generator=torch.Generator().manual_seed(0))
    term = PatchNCE(layers=[0], patches=64, identity=False)
    x, y = batch()["x"], batch()["y"]
    networks = {"to_y": Same(), "heads": heads}

    def loss(flipped, told):
        now = Round(networks, x, y, flipped)
        torch.manual_seed(0)
        return float(term.between(now, x, now.made_y, told))

    assert loss(True, True) == pytest.approx(loss(False, False), abs=1e-5)
    assert loss(False, False) + 1 < loss(True, False)


def test_names_that_do_not_fit_are_refused():
    net = ResNetGenerator(**SMALL)
    with pytest.raises(ValueError, match="generators are to_y"):
        module(generators={"to_z": net})
    with pytest.raises(ValueError, match="no generator of that name"):
        module(generators={"to_y": net}, terms={})
    with pytest.raises(ValueError, match="data.view=both"):
        module().training_step({"image": batch()["x"]}, 0)


def test_the_rate_is_held_and_falls_to_zero():
    rates = [HeldLinear(0.5)(step, 200) for step in (0, 100, 150, 200)]
    assert rates == [1.0, 1.0, 0.5, 0.0]


def test_one_generator_and_judge_learn_a_simple_domain():
    """Dark images become bright: after a minute's thousandth the judge has taught the mean."""
    made = module(generators={"to_y": nn.Sequential(nn.Conv2d(3, 3, 1), nn.Tanh())},
                  judges={"y": PatchGAN(3, width=4, layers=1)}, terms={})  # fmt: skip
    optimiser = torch.optim.Adam(made.network.parameters(), 1e-2, betas=(0.5, 0.999))
    generator = torch.Generator().manual_seed(0)
    for step, _ in zip(itertools.count(), range(150), strict=False):
        x, y = (torch.rand(8, 3, 8, 8, generator=generator) * 0.4 + at for at in (-0.9, 0.5))
        optimiser.zero_grad()
        made.training_step({"x": x, "y": y}, step).backward()
        optimiser.step()
    assert float(made.network["to_y"](x).mean()) == pytest.approx(0.7, abs=0.25)
