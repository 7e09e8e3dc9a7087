"""Pairwise distances, FID and KID against recorded official numbers and closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch_fidelity.metric_kid import mmd2

from egsde.evaluation.metrics import EvaluationProtocol, frechet, kid, pairwise
from egsde.evaluation.metrics.distances import kernel
from shared import shared_path

PAIRWISE = {"ssim": "ssim", "ms_ssim": "msssim", "psnr": "psnr", "mse": "mse", "l2": "l2"}


def recorded(name: str) -> tuple[dict[str, torch.Tensor], dict]:
    tensors = load_file(shared_path(f"fixtures/{name}.safetensors"))
    return tensors, json.loads(shared_path(f"fixtures/{name}.json").read_text())


@pytest.mark.parametrize("name", PAIRWISE)
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_pairwise_is_official(name: str, kind: str) -> None:
    images, numbers = recorded("metrics_pairs")
    y, x = images[f"trans_{kind}_u8"].float() / 255, images["src_u8"].float() / 255
    got = getattr(pairwise, name)(y, x)
    want = np.array(numbers[f"real_{kind}"][f"{PAIRWISE[name]}_per_image"])
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-7)
    total = "calculate_l2_given_paths" if name == "l2" else f"calculate_{PAIRWISE[name]}"
    np.testing.assert_allclose(got.mean(), numbers[f"real_{kind}"][total], rtol=1e-5)


@pytest.mark.parametrize("name", PAIRWISE)
def test_pairwise_of_synthetic_images_is_official(name: str) -> None:
    images, numbers = recorded("metrics_pairs")
    got = getattr(pairwise, name)(images["synthetic_y"], images["synthetic_x"])
    np.testing.assert_allclose(got.numpy(), numbers["synthetic"][PAIRWISE[name]], rtol=1e-5)
    assert float(pairwise.psnr(images["synthetic_x"], images["synthetic_x"])[0]) == 100.0


def test_pairwise_matches_the_closed_oracle() -> None:
    oracle = np.load(shared_path("oracles/metrics.npz"))
    y, x = torch.from_numpy(oracle["a"]), torch.from_numpy(oracle["b"])
    for name in ("l2", "psnr", "ssim"):
        np.testing.assert_allclose(getattr(pairwise, name)(y, x), oracle[name], rtol=1e-6)


def test_small_images_are_refused_by_name() -> None:
    small = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match="11 px wide"):
        pairwise.ssim(small, small)
    with pytest.raises(ValueError, match="160 px"):
        pairwise.ms_ssim(small, small)


def test_pairwise_size_is_pillows_bicubic() -> None:
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    got = EvaluationProtocol(pairwise_size=256).for_pairs(image)
    picture = Image.fromarray(image[0].permute(1, 2, 0).numpy()).resize((256, 256), Image.BICUBIC)
    assert torch.equal(got[0], torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255)


def test_frechet_is_official() -> None:
    rows, numbers = recorded("metrics_fid")
    for name in ("wellcond", "singular"):
        got = frechet(rows[f"frechet_{name}_f1"], rows[f"frechet_{name}_f2"])
        assert got == pytest.approx(numbers[f"frechet_{name}"], rel=1e-7)
    for d in (64, 192):
        got = frechet(rows[f"act_a_{d}"], rows[f"act_b_{d}"])
        assert got == pytest.approx(numbers[f"fid_{d}"], rel=1e-7)
    oracle = np.load(shared_path("oracles/frechet.npz"))
    got = frechet(torch.from_numpy(oracle["A"]), torch.from_numpy(oracle["B"]))
    assert got == pytest.approx(float(oracle["fid"]), rel=1e-10)


def test_frechet_of_diagonal_gaussians_is_the_closed_form() -> None:
    """Rows +-s_i e_i have covariance s_i^2 times a constant: FID = |m|^2 + c sum (s_i - r_i)^2."""
    s, r = torch.tensor([1.0, 2, 3]).double(), torch.tensor([2.0, 2, 0]).double()
    a, b = (torch.cat([v.diag(), -v.diag()]) for v in (s, r))
    got = frechet(a + torch.tensor([3.0, 0, 0]), b)
    assert got == pytest.approx(9 + 2 / 5 * float((s - r).square().sum()), abs=1e-12)
    assert frechet(a, a) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="at least two"):
        frechet(a[:1], b)


def test_kid_is_torch_fidelitys_over_the_full_sets() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(40, 8, generator=generator).double() + shift for shift in (0, 0.5))
    want = mmd2(*(kernel(u, v).numpy() for u, v in ((a, a), (a, b), (b, b))))
    assert kid(a, b)[0] == pytest.approx(want, rel=1e-12)
    short = kernel(a[:7], b).mean() * -2 + kernel(b, b).sum() / (40 * 39)
    short += -kernel(b, b).diag().sum() / (40 * 39)
    short += (kernel(a[:7], a[:7]).sum() - kernel(a[:7], a[:7]).diag().sum()) / 42
    assert kid(a[:7], b)[0] == pytest.approx(float(short), rel=1e-12)


def test_kid_is_unbiased_and_its_error_is_the_spread() -> None:
    generator = torch.Generator().manual_seed(1)
    draws = [
        kid(
            torch.randn(60, 4, generator=generator),
            torch.randn(50, 4, generator=generator) + 1,
        )
        for _ in range(300)
    ]
    values, errors = np.array(draws).T
    big = kid(
        torch.randn(4000, 4, generator=generator), torch.randn(4000, 4, generator=generator) + 1
    )
    assert abs(values.mean() - big[0]) < 3 * (values.std() / 300**0.5 + big[1])
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)  # 300 draws: 4 % of noise
