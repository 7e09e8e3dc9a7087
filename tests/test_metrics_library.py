"""Our numbers beside those of torchmetrics, torch-fidelity, closed forms; sums over processes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch_fidelity.metric_prc import calculate_precision_recall_full
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)
from torchmetrics.image import UniversalImageQualityIndex
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from egsde.evaluation.metrics import (
    OfSets,
    PerImage,
    frechet,
    kid,
    l2,
    noise,
    per_image,
    precision_and_recall,
    psnr,
    ssim,
)
from egsde.evaluation.metrics.pairwise import lab, tint


class Rows(torch.nn.Module):
    """Twelve numbers of an image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(x.float() / 255, 2).flatten(1)


def pictures(n: int, seed: int, size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)


def pair(size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    y = pictures(5, 0, size) / 255
    return y, (y + (pictures(5, 1, size) / 255 - 0.5) / 5).clamp(0, 1)


def test_distances_are_torchmetrics():
    y, x = pair()
    theirs = peak_signal_noise_ratio(y, x, data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(psnr(y, x), theirs.double(), rtol=1e-6, atol=1e-6)
    for to, close in ((torch.float32, 6e-7), (torch.float64, 1e-12)):
        _, whole = structural_similarity_index_measure(
            y.to(to), x.to(to), data_range=1.0, return_full_image=True, reduction="none"
        )
        inner = whole[..., 5:-5, 5:-5].double().flatten(1).mean(1)
        torch.testing.assert_close(ssim(y.to(to), x.to(to)), inner, rtol=0, atol=close)


def test_distances_of_sets_are_torchmetrics():
    a, b = pictures(40, 2), pictures(40, 3) // 2
    fid = FrechetInceptionDistance(feature=Rows())
    by_subset = KernelInceptionDistance(feature=Rows(), subsets=1, subset_size=40)
    for metric in (fid, by_subset):
        metric.update(a, real=False)
        metric.update(b, real=True)
    rows = Rows()(a), Rows()(b)
    assert frechet(*rows) == pytest.approx(float(fid.compute()), rel=1e-4)
    assert kid(*rows)[0] == pytest.approx(float(by_subset.compute()[0]), rel=1e-4)


def test_precision_and_recall_are_torch_fidelitys():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, 8, generator=generator) for n in (60, 50))
    found = precision_and_recall(a, b + 0.7)
    want = calculate_precision_recall_full(a, b + 0.7, 3)
    assert [float(inside.mean()) for inside in found] == pytest.approx(want, abs=1e-7)
    assert 0 < want[0] < 1 and [float(i.mean()) for i in precision_and_recall(a, a)] == [1, 1]
    with pytest.raises(ValueError, match="more than k=3"):
        precision_and_recall(a[:3], b)


def test_colours_are_the_known_ones():
    rgb = torch.tensor([[1.0, 0, 0], [1, 1, 1], [128 / 255] * 3, [0, 0, 0]])[..., None, None]
    want = torch.tensor([[53.241, 80.093, 67.203], [100, 0, 0], [53.585, 0, 0], [0, 0, 0]])
    torch.testing.assert_close(lab(rgb)[..., 0, 0], want.double(), rtol=0, atol=0.02)
    red, grey = rgb[:1].expand(1, 3, 4, 4), rgb[2:3].expand(1, 3, 4, 4)
    away = (lab(red) - lab(grey)).mean((2, 3)).norm()
    assert float(tint(red, grey)) == pytest.approx(float(away)) and float(tint(red, red)) == 0


def test_noise_is_the_spread_of_white_noise():
    """Of independent values with deviation s the high pass leaves s sqrt(1 - 1/2 + (3/8)^2)."""
    spread = 20 * torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    got = noise((128 + spread).round().to(torch.uint8))
    assert got.tolist() == pytest.approx([20 * (0.5 + 0.375**2) ** 0.5] * 2, rel=0.01)
    assert noise(torch.full((1, 3, 8, 8), 77, dtype=torch.uint8)).tolist() == [0]


def together(make, *parts):
    """What each of two processes computes, each of which saw its own part."""
    metrics = []
    for part in parts:
        metric = make(distributed_available_fn=lambda: True)
        metric.dist_sync_fn = lambda x, group=None: [x]
        for images in part:
            metric.update(*images)
        metrics.append(metric)
    one, other = metrics
    theirs = {name: getattr(other, name) for name in other._defaults}
    asked = iter([torch.cat(values) for values in theirs.values()])
    one.dist_sync_fn = lambda x, group=None: [x, next(asked)] if x.numel() > 1 else [x, x]
    return float(one.compute())


def test_metrics_synchronise_themselves():
    y, x = pair(16)
    mine, theirs = [(y[:2], x[:2])], [(y[2:4], x[2:4]), (y[4:], x[4:])]
    got = together(lambda **o: PerImage(l2, **o), mine, theirs)
    assert got == pytest.approx(float(l2(y, x).mean()), rel=1e-6)
    a, b = pictures(9, 4), pictures(8, 5)
    parts = [[(a[:4],), (b[:3], True)], [(a[4:],), (b[3:], True)]]
    got = together(lambda **o: OfSets(Rows(), **o), *parts)
    assert got == pytest.approx(frechet(Rows()(a), Rows()(b)), rel=1e-5)


def test_any_metric_of_torchmetrics_is_taken_image_by_image():
    y, x = pair()
    each = per_image(UniversalImageQualityIndex())
    values = each.each(y, x)
    whole = [UniversalImageQualityIndex()(y[i : i + 1], x[i : i + 1]) for i in range(len(y))]
    torch.testing.assert_close(values, torch.stack(whole).double())
    each.update(y, x)
    assert float(each.compute()) == pytest.approx(float(values.mean()), rel=1e-6)
    assert per_image(each) is each
