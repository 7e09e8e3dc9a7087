"""Animated GIF: its frames, each with its own time; written with a palette for each frame.

A frame of up to 256 colours stays to the bit; of one with more the nearest are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from PIL import GifImagePlugin, Image, ImageSequence

from egsde.data.containers.base import Cut, Glance, Volume
from egsde.opened import UnreadableImage, opened

COLOURS = 256


class Gif:
    """By Pillow; frames uint8 (H, W, 3)."""

    suffixes = (".gif",)

    def glance(self, file: IO[bytes], cut: Cut) -> Glance | None:
        with Image.open(file, formats=["GIF"]) as image:
            count = int(getattr(image, "n_frames", 1))
            shape = (count, image.height, image.width, 3)
        return None if count == 1 else Glance(shape, np.dtype(np.uint8))

    def read(self, data: bytes, cut: Cut) -> Volume:
        image = opened(data)
        loop, comment = image.info.get("loop"), image.info.get("comment")
        frames, times, size = [], [], image.size
        for k, frame in enumerate(ImageSequence.Iterator(image)):
            if frame.size != size:  # known before it is decoded
                raise UnreadableImage(
                    f"its frame {k} reaches beyond its {size[0]}x{size[1]} pixels; write it anew"
                )
            shown = np.asarray(frame.convert("RGBA"))
            if shown[..., 3].min() < 255:
                raise UnreadableImage(
                    f"its frame {k} is transparent; lay it over a colour first, or save the frames "
                    "as PNGs with data.channels=4"
                )
            frames.append(shown[..., :3])
            times.append(int(frame.info.get("duration", 0)))

        def written(made: np.ndarray) -> dict[str, bytes]:
            return {"": animated(made, times, loop, comment)}

        return Volume(np.stack(frames), written, held)


def coloured(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (H, W) and palette (n, 3) of a frame (H, W, 3), exact up to 256 colours."""
    colours, indices = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) <= COLOURS:
        return indices.reshape(pixels.shape[:2]).astype(np.uint8), colours
    found = Image.fromarray(np.ascontiguousarray(pixels)).quantize(
        COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    palette = np.array(found.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return np.asarray(found), palette


def held(pixels: np.ndarray) -> np.ndarray:
    """A frame as 256 colours have it."""
    if pixels.shape[2] != 3:
        return pixels
    indices, palette = coloured(pixels)
    return palette[indices]


def animated(
    frames: np.ndarray, times: Sequence[int], loop: int | None, comment: bytes | None
) -> bytes:
    """frames (N, H, W, 3), times in milliseconds. Frames that are alike stay apart, which Pillow
    would join."""
    height, width = frames.shape[1:3]
    head = b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\x70\0\0"
    parts = [head]
    if loop is not None:
        parts.append(b"!\xff\x0bNETSCAPE2.0\x03\x01" + int(loop).to_bytes(2, "little") + b"\0")
    if comment:
        text = comment if isinstance(comment, bytes) else str(comment).encode()
        blocks = [text[i : i + 255] for i in range(0, len(text), 255)]
        parts.append(b"!\xfe" + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0")
    for pixels, time in zip(frames, times, strict=True):
        indices, palette = coloured(pixels)
        one = Image.fromarray(indices, "P")
        one.putpalette(palette.tobytes())
        options: Any = {"duration": time, "include_color_table": True, "disposal": 1}
        parts += GifImagePlugin.getdata(one, **options)
    return b"".join(parts) + b";"
