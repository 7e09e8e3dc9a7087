"""Augmentation, pictures kept on the device, folded networks."""

import pytest
import torch
from hydra.utils import instantiate

from egsde.data import Augment, Fluent, TwoDomains
from egsde.data.augment import augmented, turn_hue
from egsde.data.fluent.build import family, split
from egsde.data.resident import Resident
from egsde.networks import ADMEncoder, ADMUNet
from egsde.noise import keyed_generator


def uniform(*key):
    generator = keyed_generator(*key)
    return lambda count: torch.rand(count, generator=generator)


def still(size):
    return Augment(size, moved=0.0, hue=0.0, fill=1.0)


def test_unmoved_images_are_box_averages():
    images = torch.rand(3, 3, 16, 16)
    assert torch.equal(still(8)(images, uniform(0)), torch.nn.functional.avg_pool2d(images, 2))


def test_white_stays_white_and_pairs_stay_pairs():
    drawn = Augment(16, moved=1.0, hue=1.0, fill=1.0)
    white = torch.ones(4, 3, 16, 16)
    torch.testing.assert_close(drawn(white, uniform(0)), white, atol=1e-5, rtol=0)
    x = torch.rand(4, 3, 16, 16)
    both = drawn(torch.cat([x, x]), uniform(1), copies=2)
    assert torch.equal(both[:4], both[4:]) and not torch.equal(both[:4], x)


def test_moves_are_those_asked_for():
    """A turn by half the range moves a corner's mass as the rotation says, within a pixel."""
    spot = -torch.ones(1, 1, 65, 65)
    spot[..., 31:34, 51:54] = 1.0  # 20 px right of the centre
    turned = Augment(65, moved=1.0, scale=(1.0, 1.0), turn=90.0, shift=0.0, hue=0.0, fill=-1.0)
    for seed in range(3):
        mass = (turned(spot, uniform(seed))[0, 0] + 1).clamp(min=0)
        y, x = torch.meshgrid(*[torch.arange(65.0) - 32] * 2, indexing="ij")
        radius = ((mass * x).sum().square() + (mass * y).sum().square()).sqrt() / mass.sum()
        assert abs(radius - 20) < 1


def test_turned_hue_keeps_luma():
    images = 0.3 * (2 * torch.rand(5, 3, 8, 8) - 1)
    turned = turn_hue(images, torch.linspace(0, 6, 5))
    luma = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
    torch.testing.assert_close((turned * luma).sum(1), (images * luma).sum(1), atol=1e-3, rtol=0)
    torch.testing.assert_close(turned[0], images[0], atol=1e-5, rtol=0)
    half = torch.full((5,), 0.5)
    grey = (images * luma).sum(1, keepdim=True)
    paler = turn_hue(images, torch.zeros(5), half)
    torch.testing.assert_close(paler, (images + grey) / 2, atol=1e-3, rtol=0)


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiple of data.size"):
        still(24)(torch.rand(1, 3, 32, 32), uniform(0))


@pytest.mark.parametrize("view", ["target", "labelled", "paired"])
def test_resident_pictures_are_the_views_own(view):
    data = TwoDomains(Fluent(), "flat", "3d", size=16, view=view, resident=True, train_limit=9)
    shown = data.viewed("train")
    held = Resident(shown)
    draws = [(k, i, i % 2 == 0) for k in range(len(shown.sizes)) for i in (0, 3, 8)]
    expected = shown.collate([shown[draw] for draw in draws])
    got = held.shown(held.collate(draws))
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        if torch.is_tensor(value):
            torch.testing.assert_close(got[name], value, atol=1e-6, rtol=0)
        else:
            assert list(got[name]) == list(value)


def test_families_never_cross_splits_and_pairs_lie_on_each_other():
    rows = Fluent.index()
    homes: dict[str, set[str]] = {}
    for row in rows:
        code = row["id"].removesuffix(".png")
        assert row["split"] == split(code)
        homes.setdefault(family(code), set()).add(row["split"])
    assert len(homes) == len(rows) and all(len(home) == 1 for home in homes.values())
    flat, solid = (Fluent().images(style, "test", 64) for style in ("flat", "3d"))
    assert flat.ids == solid.ids and len(flat.ids) == 243
    pixels = [torch.stack([torch.tensor(s.array(i)) for i in range(243)]) for s in (flat, solid)]
    l2 = ((pixels[0].float() - pixels[1]) / 255).flatten(1).norm(dim=1)
    other = ((pixels[0].float() - pixels[1].roll(1, 0)) / 255).flatten(1).norm(dim=1)
    assert 12 < l2.mean() < 14 < other.mean() / 2


def test_folded_networks_see_every_pixel():
    """The fold loses nothing: the output depends on each pixel, near it most."""
    torch.manual_seed(0)
    net = ADMUNet(
        16, num_channels=32, channel_mult=[1, 1], attention_resolutions=[], patch=2,
        num_head_channels=32,
    )  # fmt: skip
    torch.nn.init.normal_(net.out[-1].weight)
    image = torch.randn(1, 3, 16, 16, requires_grad=True)
    out = net(image, torch.zeros(1))
    assert out.shape == image.shape
    (gradient,) = torch.autograd.grad(out[0, 0, 7, 7], image)
    assert (gradient.abs().sum(1) > 0).all()
    with pytest.raises(ValueError, match="patch=3 does not divide image_size=16"):
        ADMUNet(16, channel_mult=[1], patch=3)
    encoder = ADMEncoder(
        16, width=32, depth=1, channel_mult=[1, 1], attention_resolutions=[],
        num_head_channels=32, patch=2,
    )  # fmt: skip
    assert encoder.features(image, torch.zeros(1)).shape == (1, 32, 4, 4)
    assert encoder(image, torch.zeros(1)).shape == (1, 2)


def test_augmentation_is_the_same_for_the_same_step():
    node = {"_target_": "egsde.data.Augment", "size": 8, "fill": 1}
    images = torch.rand(2, 3, 16, 16)
    first, again, other = (
        instantiate(node)(images, uniform(0, "augment", step)) for step in (5, 5, 6)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("view", ["target", "labelled", "paired", "both"])
def test_two_processes_augment_as_one(view):
    """Rank r holds the r-th part of each domain's images of the global batch."""
    x, y = torch.rand(2, 4, 3, 16, 16) * 2 - 1
    label = torch.tensor([0, 0, 1, 1])
    rows = torch.tensor([[0, 1], [2, 3]])

    def batch(places):
        if view == "labelled":
            here = torch.cat([label[places] * 0, label[places] * 0 + 1])
            return {"image": torch.cat([x[places], y[places]]), "label": here}
        return {"image": x[places]} if view == "target" else {"x": x[places], "y": y[places]}

    def drawn(places, rank, world):
        paired = view == "paired"
        return augmented(batch(places), Augment(8, moved=1.0), (0, "a"), paired, rank, world)

    one, two = drawn(torch.arange(4), 0, 1), [drawn(rows[r], r, 2) for r in (0, 1)]
    for name in ("image", "x", "y"):
        if name in one:
            halves = [part[name].split(2) for part in two]
            joined = torch.cat([h for k in range(len(halves[0])) for h in (p[k] for p in halves)])
            torch.testing.assert_close(joined, one[name], atol=1e-6, rtol=0)
            assert not torch.allclose(one[name][0], one[name][1])
