"""Low-pass matrices against the official resizers, and what a low pass must do."""

from __future__ import annotations

import pytest
import torch

from egsde.linear.filters import LowPass, cubic, linear, resize_matrix
from egsde.networks import read_weights
from shared import shared_path

KERNELS = {"linear": linear, "cubic": cubic}
SIZES = [(32, 4), (32, 8), (64, 4), (64, 8), (256, 32)]


@pytest.fixture(scope="module")
def official():
    return read_weights(shared_path("fixtures/resizer.safetensors"))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("size", "factor"), SIZES)
def test_matrices_equal_official(official, size, factor, kernel):
    low = size // factor
    name = f"{size}_N{factor}_{kernel}"
    down, up = resize_matrix(size, low, KERNELS[kernel]), resize_matrix(low, size, KERNELS[kernel])
    assert (down - official[f"downM_{name}"]).abs().max() < 1e-6
    assert (up - official[f"upM_{name}"]).abs().max() < 1e-6
    if f"up_{name}" in official:
        low_pass = LowPass(factor, KERNELS[kernel])(official[f"x{size}"])
        assert (low_pass - official[f"up_{name}"]).abs().max() < 1e-5


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_keeps_constants_and_mirror_images(kernel):
    low_pass = LowPass(4, kernel)
    x = torch.randn(2, 3, 16, 24, dtype=torch.float64)
    assert torch.allclose(low_pass(torch.ones_like(x)), torch.ones_like(x), atol=1e-12)
    assert torch.allclose(low_pass(x.flip(-1, -2)), low_pass(x).flip(-1, -2), atol=1e-12)


def test_gram_is_half_the_gradient_of_the_squared_norm():
    low_pass = LowPass(4)
    x = torch.randn(2, 3, 16, 24, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(low_pass(x).square().sum(), x)
    assert torch.allclose(2 * low_pass.gram(x.detach()), grad, rtol=1e-12)


def test_factor_one_is_the_identity():
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    assert torch.allclose(LowPass(1, cubic)(x), x, atol=1e-12)


def test_a_side_that_the_factor_does_not_divide_is_an_error():
    with pytest.raises(ValueError, match="factor 32 .* 100 pixels"):
        LowPass(32)(torch.zeros(1, 3, 64, 100))
    with pytest.raises(ValueError, match="at least 1"):
        LowPass(0)
