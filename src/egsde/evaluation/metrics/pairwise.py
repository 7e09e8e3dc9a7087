"""Distances of an image to its source or truth, one number per image, as EGSDE evaluates them.

    l2 = ||y - x||_2   psnr = 10 log10(1 / (mse + 1e-10))   ssim: Wang 2004, 11x11 Gaussian, valid
    tint = ||mean Lab(y) - mean Lab(x)||_2, CIELAB under D65

All take y, x: (B, C, H, W) in [0, 1] (the PNG's values / 255) and return (B,) float64 on the CPU
or the images' device. Official code: tool/eval_score.py and tool/mse_psnr_ssim_mssim.py
(pytorch_msssim) of ML-GSAI/EGSDE. Why not torchmetrics' (measured on the recorded pairs): its SSIM
counts the padded border, 4e-3; its map without 5 px around is ours to 2e-14 in float64, and to 2e-5
in float32, where ours is the official number to 2e-8 in a quarter of the time; its MS-SSIM differs
by 1e-2, and its PSNR of equal images is infinite.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang 2003
XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750),
       (0.0193339, 0.1191920, 0.9503041))  # fmt: skip  # sRGB, IEC 61966-2-1
WHITE = (0.95047, 1.0, 1.08883)  # D65


def mse(y: Tensor, x: Tensor) -> Tensor:
    """Mean of (y - x)^2 over all values of an image, summed in float64."""
    return (y.double() - x.double()).square().flatten(1).mean(1)


def l2(y: Tensor, x: Tensor) -> Tensor:
    """Euclidean norm of y - x over all C*H*W values, which grows with the image; 0 is equal.

    In the images' own float32, as the official code sums (1e-5 from the float64 value).
    """
    difference = (y - x).flatten(1)
    # torch sums a single row in another order on several threads, two rows and more never
    return torch.cat([difference, difference[:1]]).norm(dim=1)[:-1].double()


def psnr(y: Tensor, x: Tensor) -> Tensor:
    """10 log10(1 / (mse + 1e-10)) in dB: at most 100, never infinite."""
    return -10 * torch.log10(mse(y, x) + 1e-10)


def tint(y: Tensor, x: Tensor) -> Tensor:
    """Distance of the images' mean colours in CIELAB: 1 is just seen, 10 is another colour.

    One channel is grey; of other numbers than one and three there are no colours: NaN.
    """
    if y.shape[1] not in (1, 3):
        return torch.full((len(y),), torch.nan, dtype=torch.float64)
    return (lab(y).mean((2, 3)) - lab(x).mean((2, 3))).norm(dim=1)


def lab(x: Tensor) -> Tensor:
    """sRGB in [0, 1] -> L* in [0, 100], a*, b* (B, 3, H, W), float64."""
    x = x.double().expand(-1, 3, -1, -1)
    linear = torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    matrix, white = x.new_tensor(XYZ), x.new_tensor(WHITE)[:, None, None]
    xyz = torch.einsum("ij,bjhw->bihw", matrix, linear) / white
    small = xyz <= (6 / 29) ** 3
    f = torch.where(small, xyz / (3 * (6 / 29) ** 2) + 4 / 29, xyz.clamp(min=1e-9) ** (1 / 3))
    X, Y, Z = f.unbind(1)
    return torch.stack([116 * Y - 16, 500 * (X - Y), 200 * (Y - Z)], 1)


def ssim(y: Tensor, x: Tensor) -> Tensor:
    """Structural similarity: mean over channels and valid positions, 11x11 window, sigma 1.5.

    Raises ValueError for images under 11 px.
    """
    luminance, contrast = _ssim_maps(y, x)
    return (luminance * contrast).double().flatten(1).mean(1)


def ms_ssim(y: Tensor, x: Tensor) -> Tensor:
    """Multi-scale SSIM over five halvings (Wang 2003); the images must be larger than 160 px.
    ValueError for smaller ones."""
    if min(y.shape[-2:]) <= 160:
        raise ValueError(
            f"ms_ssim needs images larger than 160 px, got {tuple(y.shape[-2:])}; use ssim instead"
        )
    product = torch.ones(y.shape[:2], dtype=torch.float64, device=y.device)
    for level, weight in enumerate(MS_WEIGHTS):
        luminance, contrast = _ssim_maps(y, x)
        last = level == len(MS_WEIGHTS) - 1
        value = (luminance * contrast if last else contrast).double().mean((2, 3))
        product = product * value.relu() ** weight
        odd = [side % 2 for side in y.shape[-2:]]
        y, x = (F.avg_pool2d(image, 2, padding=odd) for image in (y, x))
    return product.mean(1)


def _ssim_maps(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    if min(y.shape[-2:]) < 11:
        raise ValueError(
            f"SSIM's window is 11 px wide, got images of {tuple(y.shape[-2:])}; drop it from "
            "the pairwise metrics (~metrics.pairwise.ssim) or use larger images"
        )
    c1, c2 = 0.01**2, 0.03**2
    mean_y, mean_x, yy, xx, yx = _blur(torch.cat([y, x, y * y, x * x, y * x], 1)).chunk(5, 1)
    var_y, var_x, cov = yy - mean_y**2, xx - mean_x**2, yx - mean_y * mean_x
    luminance = (2 * mean_y * mean_x + c1) / (mean_y**2 + mean_x**2 + c1)
    return luminance, (2 * cov + c2) / (var_y + var_x + c2)


def _blur(x: Tensor) -> Tensor:
    offsets = torch.arange(-5, 6, dtype=x.dtype, device=x.device)
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (window / window.sum()).expand(x.shape[1], 1, -1)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        x = F.conv2d(x, window[..., None], groups=x.shape[1])
        return F.conv2d(x, window[:, :, None], groups=x.shape[1])
