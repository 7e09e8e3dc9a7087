"""One image file as a square RGB picture: decoding, orientation, alpha, fit, scale.

Alpha goes over white, 16 bits become 8 (v / 257, rounded), EXIF orientation is applied, only the
first frame of an animation is read. `fit` resizes with Pillow's bicubic filter, which widens with
the scale when shrinking (antialiased). Arrays are uint8 (H, W, 3); tensors float32 in [-1, 1].
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def is_image_name(name: str) -> bool:
    """True for a name with the suffix of an image file."""
    return name.lower().endswith(SUFFIXES)


class UnreadableImage(ValueError):
    """A file that is not an image, is cut short, or has pixels of unknown range."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode of Pillow -> RGB, upright, transparency over white."""
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise UnreadableImage("float pixels have no known range; save the image with 8 or 16 bits")
    if image.mode in DEEP:
        deep = np.asarray(image).astype(np.int64).clip(0, 65535)
        image = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def crop(image: Image.Image, size: int) -> Image.Image:
    """Short side to size, then the centre square."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)


def pad(image: Image.Image, size: int) -> Image.Image:
    """Long side to size, centred on white."""
    scale = size / max(image.size)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new("RGB", (size, size), "white")
    resized = image.resize(inner, Image.Resampling.BICUBIC)
    canvas.paste(resized, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return canvas


def stretch(image: Image.Image, size: int) -> Image.Image:
    """Both sides to size."""
    return image.resize((size, size), Image.Resampling.BICUBIC)


FITS = {"crop": crop, "pad": pad, "stretch": stretch}


def square(image: Image.Image, size: int, fit: str = "crop") -> np.ndarray:
    """RGB picture -> uint8 (size, size, 3); unchanged where it already has that size."""
    if fit not in FITS:
        raise ValueError(f"fit={fit!r} is unknown; use one of {', '.join(FITS)}")
    if image.size != (size, size):
        image = FITS[fit](image, size)
    return np.asarray(image)


def decode(data: bytes) -> Image.Image:
    """Bytes of a file -> upright RGB picture; raises UnreadableImage with the reason."""
    try:
        return to_rgb(Image.open(io.BytesIO(data)))
    except UnreadableImage:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ...
        reason = "not an image" if "BytesIO" in str(error) else str(error)
        raise UnreadableImage(reason) from error


def seems_whole(head: bytes, tail: bytes, size: int) -> bool:
    """False where a file's first and last bytes leave a doubt that it is a whole JPEG, PNG or WebP.

    A doubt is not a verdict: decode the file to know.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return tail.endswith(b"\xff\xd9")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return tail.endswith(b"IEND\xaeB`\x82")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return int.from_bytes(head[4:8], "little") + 8 <= size
    return False


def to_tensor(array: np.ndarray) -> Tensor:
    """uint8 (H, W, C) -> float32 (C, H, W) in [-1, 1]: v / 127.5 - 1; float32 stays as it is."""
    pixels = torch.from_numpy(np.array(array)).permute(2, 0, 1).contiguous()  # (C, H, W)
    if pixels.is_floating_point():
        return pixels
    return pixels.to(torch.float32).div_(127.5).sub_(1.0)
