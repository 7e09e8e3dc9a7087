"""What a FID means: how uint8 images become the network's 299 px input, and the reference.

Four published ways to resize differ by whole FID points, so the one used is stored beside every
number. Each is an object with `__call__(uint8 (B, 3, H, W)) -> float32 (B, 3, 299, 299)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

SIZE = (299, 299)


def pillow(images: Tensor, size: tuple[int, int], method: Image.Resampling) -> Tensor:
    """Pillow's own resize, image by image: torch's differs by one level in 0.05 % of the values."""
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    arrays = np.stack([np.asarray(picture.resize(size, method)) for picture in pictures])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class CleanFid:
    """clean-fid (Parmar 2022): Pillow's bicubic (antialiased) in float32, without rounding."""

    text: ClassVar[str] = "float32 bicubic antialiased to 299, clip to [0, 255], (x - 128) / 128"

    def __call__(self, images: Tensor) -> Tensor:
        x = F.interpolate(images.float(), SIZE, mode="bicubic", antialias=True)
        return (x.clamp(0, 255) - 128) / 128


@dataclass(frozen=True)
class PytorchFid:
    """pytorch-fid, as the EGSDE paper uses it: bilinear without antialias (inception.py:146)."""

    text: ClassVar[str] = "x / 255, bilinear without antialias to 299, 2x - 1"

    def __call__(self, images: Tensor) -> Tensor:
        return 2 * F.interpolate(images.float() / 255, SIZE, mode="bilinear") - 1


@dataclass(frozen=True)
class TorchFidelity:
    """torch-fidelity and the original TensorFlow graph: TF1's bilinear, (x - 128) / 128."""

    text: ClassVar[str] = "TensorFlow 1 bilinear without antialias to 299, (x - 128) / 128"

    def __call__(self, images: Tensor) -> Tensor:
        x = interpolate_bilinear_2d_like_tensorflow1x(images.float(), SIZE, align_corners=False)
        return (x - 128) / 128


@dataclass(frozen=True)
class DoublyNormalised:
    """male2female of the official code: ImageNet's normalisation, and 2x - 1 again.

    A StarGAN v2 heritage (tool/fid.py:243-255): numbers made with it compare with no other FID.
    """

    text: ClassVar[str] = "uint8 bilinear to 256 and to 299, ImageNet mean and std, 2x - 1"

    def __call__(self, images: Tensor) -> Tensor:
        x = images.cpu()
        for size in ((256, 256), SIZE):
            x = pillow(x, size, Image.Resampling.BILINEAR)
        mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
        return (2 * (x.float() / 255 - mean) / std - 1).to(images.device)


@dataclass(frozen=True)
class EvaluationProtocol:
    """Everything that changes a number without changing the images.

    `reference_split`: the real target images FID compares with. `pairwise_size`: L2, PSNR and
    SSIM are taken after Pillow's bicubic to that size (official: 256); None takes the images as
    they are. `as_they_are`: real images of a folder are not brought to the translations' size.
    """

    name: str = "clean"
    resize: Callable[[Tensor], Tensor] = field(default_factory=CleanFid)
    reference_split: str = "test"
    pairwise_size: int | None = None
    as_they_are: bool = False

    def describe(self) -> dict[str, object]:
        """The plain dictionary that is stored with each number."""
        return {
            "protocol": self.name,
            "images": "as saved; deeper ones than 8 bits are rounded to them for Inception",
            "inception_input": getattr(self.resize, "text", repr(self.resize)),
            "reference_split": self.reference_split,
            "pairwise_size": self.pairwise_size or "as saved",
        }

    def for_pairs(self, images: Tensor) -> Tensor:
        """uint8 (B, C, H, W), or float in [-1, 1], -> float32 in [0, 1], the data's whole range, at
        `pairwise_size`, always on the CPU."""
        images, size = images.cpu(), self.pairwise_size
        if images.is_floating_point():
            unit = (images.float() + 1) / 2
            if size is None or tuple(images.shape[-2:]) == (size, size):
                return unit
            sides = (size, size)
            return F.interpolate(unit, sides, mode="bicubic", antialias=True).clamp(0, 1)
        if size is not None and tuple(images.shape[-2:]) != (size, size):
            images = pillow(images, (size, size), Image.Resampling.BICUBIC)
        return images.float() / 255
