"""Degradations: what they hide, that they are reproducible, and restoration batches."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException
from PIL import Image

from egsde.data import Fluent, TwoDomains
from egsde.data.degradations import (
    JPEG,
    Border,
    Both,
    Colourise,
    Either,
    Inpaint,
    OneOf,
    Painted,
    Rectangle,
    Shrink,
    Strokes,
    Uncrop,
    degrade_all,
)
from folders import data

EVERY = [Inpaint(), Uncrop(), Colourise(), JPEG(), Shrink(4)]
FOUR = OneOf({"inpaint": Inpaint(), "uncrop": Uncrop(), "grey": Colourise(), "jpeg": JPEG()})


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=6, size=32):
    return next(iter(data("fluent", f"data.size={size}").translation_loader("test")))["x0"][:count]


@pytest.mark.parametrize("degradation", EVERY, ids=lambda d: type(d).__name__)
def test_one_seed_one_result_and_known_pixels_are_the_images(degradation):
    for k, image in enumerate(pictures()):
        first, again, other = (degradation(image, seeded(s)) for s in (k, k, k + 100))
        assert torch.equal(first.condition, again.condition)
        assert first.condition.shape == image.shape and first.known.shape == (1, 32, 32)
        assert set(first.known.unique().tolist()) <= {0.0, 1.0}
        known = first.known.expand_as(image) > 0
        assert torch.equal(first.condition[known], image[known])
        assert not torch.equal(first.condition, image)
        if isinstance(degradation, (Inpaint, Uncrop)):
            assert not torch.equal(first.condition, other.condition)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    for degradation in [*EVERY, FOUR]:
        degradation(pictures(1)[0], seeded())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("mask", [Rectangle(), Strokes(), Both(), Either(), Border()],
                         ids=lambda m: type(m).__name__)  # fmt: skip
def test_masks_hide_some_and_leave_some(mask):
    shares = [float(mask(32, 24, seeded(k)).mean()) for k in range(200)]
    assert min(shares) > 0 and max(shares) < 1
    assert len(set(shares)) > (1 if isinstance(mask, Border) else 20)


def test_a_rectangle_is_one_and_comes_everywhere():
    hidden = 1 - torch.stack([Rectangle(0.25, 0.5)(16, 16, seeded(k))[0] for k in range(400)])
    for one in hidden[:50]:
        rows, columns = (int(one.amax(axis).sum()) for axis in (1, 0))
        assert 4 <= rows <= 8 and 4 <= columns <= 8 and int(one.sum()) == rows * columns
    assert float(hidden.mean(0).min()) > 0


def test_a_stroke_is_a_broad_line():
    mask = Strokes(most=1, bends=1, low=0.25, high=0.25)(64, 64, seeded(3))
    assert 0.05 < float(1 - mask.mean()) < 0.5
    hidden = (1 - mask)[0]
    assert float((hidden * hidden.roll(1, 0) * hidden.roll(1, 1)).sum()) > 0.6 * float(hidden.sum())


def test_uncropping_hides_half_at_one_side_or_around():
    sides, around = Border(0.5, one_side=1), Border(0.5, one_side=0)
    seen = {tuple(sides(8, 8, seeded(k))[0, [0, 0, -1, -1], [0, -1, 0, -1]].int().tolist())
            for k in range(60)}  # fmt: skip
    assert seen == {(1, 1, 0, 0), (0, 0, 1, 1), (1, 0, 1, 0), (0, 1, 0, 1)}
    assert all(float(sides(8, 8, seeded(k)).mean()) == 0.5 for k in range(20))
    window = around(32, 32, seeded())[0]
    assert float(window.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(window[0].sum() + window[-1].sum() + window[:, 0].sum() + window[:, -1].sum()) == 0


def test_hidden_pixels_are_standard_noise():
    image = torch.zeros(3, 64, 64)
    degraded = Inpaint(Rectangle(0.9, 0.9))(image, seeded())
    hidden = degraded.condition[degraded.known.expand_as(image) == 0]
    assert float(hidden.mean()) == pytest.approx(0, abs=0.05)
    assert float(hidden.std()) == pytest.approx(1, abs=0.03)


def test_jpeg_is_pillows():
    image = pictures(1)[0]
    pixels = ((image + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=10)
    expected = np.asarray(Image.open(file)).astype(np.float32) / 127.5 - 1
    found = JPEG(10, 10)(image, seeded()).condition.permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 1e-6

    def error(quality):
        return float((JPEG(quality, quality)(image, seeded()).condition - image).square().mean())

    assert error(5) > error(30) > error(90) > 0


def test_jpegs_quality_is_drawn_from_the_whole_range():
    image = pictures(1)[0]
    results = {JPEG(5, 8)(image, seeded(k)).condition.sum().item() for k in range(60)}
    expected = {JPEG(q, q)(image, seeded()).condition.sum().item() for q in range(5, 9)}
    assert results == expected


def test_grey_is_pillows_luma_in_all_channels():
    image = pictures(1)[0]
    condition = Colourise()(image, seeded()).condition
    assert torch.equal(condition[0], condition[1]) and torch.equal(condition[0], condition[2])
    pixels = ((image + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    luma = np.asarray(Image.fromarray(pixels).convert("L")).astype(np.float32)
    assert np.abs((condition[0].numpy() + 1) * 127.5 - luma).max() <= 1


def test_shrinking_keeps_means_and_needs_a_divisor():
    image = pictures(1)[0]
    condition = Shrink(4)(image, seeded()).condition
    assert torch.allclose(condition.mean((1, 2)), image.mean((1, 2)), atol=0.03)
    assert float(condition.diff(dim=1).abs().mean()) < 0.7 * float(image.diff(dim=1).abs().mean())
    constant = torch.full((3, 8, 8), 0.25)
    assert torch.allclose(Shrink(4)(constant, seeded()).condition, constant, atol=1e-6)
    with pytest.raises(ValueError, match="does not divide"):
        Shrink(5)(image, seeded())


def test_one_of_several_uses_all_of_them_whatever_their_order():
    turned = OneOf(dict(reversed(list(FOUR.tasks.items()))))
    image = pictures(1)[0]
    known = []
    for k in range(80):
        degraded = FOUR(image, seeded(k))
        assert torch.equal(degraded.condition, turned(image, seeded(k)).condition)
        known.append(float(degraded.known.mean()))
    assert 20 < sum(share == 0 for share in known) < 60  # two of the four show no pixel as it is


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JPEG(0, 30), "1 <= low"),
        (lambda: JPEG(40, 30), "1 <= low"),
        (lambda: Shrink(1), "factor of at least 2"),
        (lambda: Rectangle(0.5, 0.2), "low <= high"),
        (lambda: Strokes(most=0), "at least one line"),
        (lambda: Border(1.0), "share in"),
        (lambda: OneOf({}), "at least one degradation"),
        (lambda: Inpaint()(torch.zeros(1, 8, 8), seeded()), "three channels"),
        (lambda: Colourise()(torch.zeros(2, 3, 8, 8), seeded()), "three channels"),
        (lambda: Uncrop()(torch.zeros(3, 2, 8), seeded()), "4x4"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def restored(**options):
    given = {"size": 16, "batch_size": 5, "degradation": FOUR} | options
    return TwoDomains(Fluent(), "flat", "3d", **given)


def test_restorations_are_the_targets_images_degraded_by_seed_and_id():
    whole = list(restored().translation_loader("test"))
    few = restored(limit=7).translation_loader("test", 1, 2)
    by_id = {name: (x0, truth, mask) for batch in whole for name, x0, truth, mask in
             zip(*(batch[k] for k in ("id", "x0", "truth", "mask")), strict=True)}  # fmt: skip
    clean = {item["id"]: item["image"] for item in restored().domain("target", "test")}
    assert by_id.keys() == clean.keys()
    assert all(torch.equal(truth, clean[name]) for name, (_, truth, _) in by_id.items())
    seen = 0
    for batch in few:
        assert batch.keys() == {"id", "x0", "truth", "mask"}
        for b, name in enumerate(batch["id"]):
            expected = by_id[name]
            assert all(torch.equal(batch[key][b], value) for key, value in
                       zip(("x0", "truth", "mask"), expected, strict=True))  # fmt: skip
            seen += 1
    assert seen == 3
    other = next(iter(restored(seed=1).translation_loader("test")))
    assert not torch.equal(other["x0"], whole[0]["x0"])
    assert torch.equal(other["truth"], whole[0]["truth"])


@pytest.mark.parametrize("chosen", ["mask=right", "mask=centre", "low=pictures", "neighbours=1"])
def test_what_comes_beside_images_is_refused_with_a_degradation(chosen, tmp_path):
    from hydra.utils import instantiate

    from runs import composed

    given, key = ("experiment=none", f"data.{chosen}"), chosen.split("=")[0]
    cfg = composed("sample", tmp_path, *given, "degradation=inpaint")
    with pytest.raises(InstantiationException, match=rf"data.{chosen} .* data.{key}=null or"):
        instantiate(cfg.data)


def test_one_domain_is_enough_to_restore():
    restored(degradation=FOUR).domain("target", "val")
    one = TwoDomains(Fluent(), "flat", "flat", size=16, degradation=FOUR)
    assert len(one.translations("test")) > 0
    with pytest.raises(ValueError, match="choose two domains"):
        TwoDomains(Fluent(), "flat", "flat", size=16)


def test_batches_are_degraded_image_by_image():
    images = pictures(4)
    together = degrade_all(FOUR, images, map(seeded, range(4)))
    alone = [FOUR(image, seeded(k)) for k, image in enumerate(images)]
    assert torch.equal(together.condition, torch.stack([d.condition for d in alone]))
    assert torch.equal(together.known, torch.stack([d.known for d in alone]))


@pytest.mark.parametrize(
    "name", ["inpaint", "uncrop", "colourise", "jpeg", "shrink", "strokes", "palette"]
)
def test_every_degradation_has_its_option(name, tmp_path):
    from hydra.utils import instantiate

    from runs import composed

    cfg = composed("sample", tmp_path, "experiment=none", f"degradation={name}")
    found = instantiate(cfg.data).degradation
    expected = {"inpaint": Inpaint(), "uncrop": Uncrop(), "colourise": Colourise(), "jpeg": JPEG(),
                "shrink": Shrink(4), "strokes": Painted()}  # fmt: skip
    tasks = OneOf({k: v for k, v in expected.items() if k not in ("shrink", "strokes")})
    assert found == expected.get(name, tasks)


def test_a_painting_has_few_colours_and_the_images_layout():
    """Six colours, thin lines gone, large areas where they were (SDEdit's simulated strokes)."""
    image = torch.full((3, 64, 64), -0.5)
    image[:, :, 32:] = 0.5
    image[0, 20, :] = 1.0  # a line that no stroke paints
    painted = Painted()(image, torch.Generator()).condition
    assert len(painted.flatten(1).unique(dim=1).T) <= 6
    assert torch.allclose(painted[:, :, :28].mean(), torch.tensor(-0.5), atol=0.02)
    assert torch.equal(painted[:, 20, :28], painted[:, 40, :28])
    with pytest.raises(ValueError, match="colours"):
        Painted(colours=1)


def test_pairs_to_restore_are_the_targets_images_and_what_is_left_of_them():
    """Training draws anew at each step; validation shows the pairs that translations show."""
    from types import SimpleNamespace

    clean = {item["id"]: item["image"] for item in restored().domain("target", "val")}
    left = {name: x0 for batch in restored().translation_loader("val")
            for name, x0 in zip(batch["id"], batch["x0"], strict=True)}  # fmt: skip
    for view, partner in {"paired": "id", "both": "id_y"}.items():
        module = restored(view=view, degradation=FOUR)
        seen = [module.on_after_batch_transfer(b, 0) for b in module.val_dataloader()]
        for batch in seen:
            for name, x, other, y in zip(batch["id"], batch["x"], batch[partner], batch["y"],
                                         strict=True):  # fmt: skip
                assert torch.equal(x, left[name])
                assert torch.equal(y, clean[other])
        batch = next(iter(module.train_dataloader()))
        loop = SimpleNamespace(total_batch_idx=0)
        module.trainer = SimpleNamespace(  # type: ignore[assignment]
            training=True, fit_loop=loop, global_rank=0, world_size=1)  # fmt: skip
        first, again = (module.on_after_batch_transfer(batch, 0) for _ in range(2))
        loop.total_batch_idx = 1
        later = module.on_after_batch_transfer(batch, 0)
        assert torch.equal(first["x"], again["x"])
        assert torch.equal(first["y"], batch["y"])
        assert not torch.equal(first["x"], later["x"])


@pytest.mark.slow
def test_a_bridge_from_what_is_left_is_trained_and_restores(tmp_path):
    """`train.py model=i2sb degradation=jpeg`, then `sample.py translator=i2sb` with it."""
    import json

    from egsde.programs.sample import sample
    from runs import composed, trained

    given = ("degradation=jpeg", "data.size=16", "trainer.accelerator=cpu", "logger=none")
    trained(tmp_path / "run", "model=i2sb", "degradation=jpeg", "translate=null",
            drop=("callbacks",))  # fmt: skip
    file = tmp_path / "run" / "weights.safetensors"
    sample(composed("sample", tmp_path / "out", *given, "experiment=none", "translator=i2sb",
                    f"translator.weights={file}", "limit=3", "sampler.grid.steps=2",
                    "metrics=pairwise"))  # fmt: skip
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert report["metrics"]["psnr_truth"] > 10
