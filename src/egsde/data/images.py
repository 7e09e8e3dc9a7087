"""One image file as an RGB picture of 8 bits: decoding, orientation, alpha, scale.

Colours become sRGB, alpha goes over white, 16 bits become 8 (v / 257, rounded), EXIF orientation
is applied, only the first frame of an animation is read. Arrays are uint8 (H, W, 3); tensors
float32 in [-1, 1].
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from egsde.data.colour import UNREAD, to_srgb
from egsde.data.depth import deep_pixels, rounded
from egsde.data.fits import Size, fitted
from egsde.opened import UnreadableImage, opened

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".avif", ".npy", ".npz"),
)
HIGHEST = "highest value"  # key of Image.info where a channel has 16 bits
FRAMES = "frames"  # key of what is noted of a picture: how many, where only the first is read


def is_image_name(name: str) -> bool:
    """True for a name with the suffix of an image file."""
    return name.lower().endswith(SUFFIXES)


def eight_bits(image: Image.Image, data: bytes) -> Image.Image:
    """The picture with 8 bits a channel, upright."""
    pixels = deep_pixels(image, data)
    if pixels is None:
        image.load()
        return ImageOps.exif_transpose(image)
    small = rounded(pixels)
    key = image.info.get("transparency")
    if isinstance(key, (int, tuple)):  # the colour, of 16 bits, that is see-through
        clear = (pixels == np.array(key).reshape(1, 1, -1)).all(-1, keepdims=True)
        colours = small if small.shape[-1] == 3 else small.repeat(3, -1)
        small = np.concatenate([colours, np.where(clear, 0, 255).astype(np.uint8)], -1)
    shallow = Image.fromarray(small[..., 0] if small.shape[-1] == 1 else small)
    shallow.info = {k: v for k, v in image.info.items() if k == "icc_profile"}
    shallow.info |= {HIGHEST: int(pixels.max()), "exif": image.getexif().tobytes()}
    return ImageOps.exif_transpose(shallow)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode of Pillow with 8 bits a channel -> RGB, transparency over white."""
    if image.mode == "F":
        raise UnreadableImage("float pixels have no known range; save the image with 8 or 16 bits")
    image = to_srgb(image)
    kept: dict[str | tuple[int, int], object] = {
        k: image.info[k] for k in (HIGHEST, UNREAD) if k in image.info
    }
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    image.info = kept
    return image


def square(image: Image.Image, size: Size, fit: str = "crop") -> np.ndarray:
    """RGB picture -> uint8 (size, size, 3), or [height, width]; see `fits`."""
    return fitted(np.asarray(image), size, fit)


def decode(data: bytes) -> Image.Image:
    """Bytes of a file -> upright RGB picture; raises UnreadableImage with the reason."""
    try:
        return to_rgb(eight_bits(opened(data), data))
    except UnreadableImage:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ...
        reason = "not an image" if "BytesIO" in str(error) else str(error)
        raise UnreadableImage(reason) from error


def seems_whole(head: bytes, tail: bytes, size: int) -> bool:
    """False where a file's first and last bytes leave a doubt that it is a whole JPEG, PNG or WebP.

    A doubt is not a verdict: decode the file to know.
    """
    if head.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        return True  # their sizes are checked when they are read
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
