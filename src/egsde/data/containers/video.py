"""Clips by PyAV: frames of 8 bits, written without loss as RGB, at the same rate, with their sound.

A lossy file would change the translation: H.264 without loss keeps every bit, and VP9 in WebM.
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import IO, Any

import numpy as np

from egsde.data.containers.base import MOST_NUMBERS, Cut, Glance, Volume
from egsde.data.opened import UnreadableImage
from egsde.optional import needed

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi",
           ".webm": "webm"}  # fmt: skip
NOTES = ("title", "comment", "artist", "copyright", "date")
H264 = ("libx264rgb", "rgb24", {"crf": "0", "preset": "veryfast", "bf": "0"})
VP9 = ("libvpx-vp9", "gbrp", {"lossless": "1", "cpu-used": "8"})


class Video:
    """suffix: a key of `FORMATS`. ValueError where PyAV is not installed."""

    def __init__(self, suffix: str) -> None:
        self.suffixes, self.format = (suffix,), FORMATS[suffix]

    def glance(self, file: IO[bytes], cut: Cut) -> Glance:
        av = needed("av", "video", "video")
        with av.open(file) as clip:
            stream = _stream(clip)
            count = stream.frames or sum(1 for packet in clip.demux(stream) if packet.size)
            return Glance((count, stream.height, stream.width, 3), np.dtype(np.uint8))

    def read(self, data: bytes, cut: Cut) -> Volume:
        av = needed("av", "video", "video")
        frames: list[np.ndarray] = []
        times: list[Any] = []
        with av.open(io.BytesIO(data)) as clip:
            stream = _stream(clip)
            rate, base, notes = stream.average_rate, stream.time_base, dict(clip.metadata)
            for frame in clip.decode(stream):
                if getattr(frame, "rotation", 0):
                    raise UnreadableImage(
                        f"it is turned by {frame.rotation} degrees when shown; turn its pixels "
                        "first: ffmpeg -i clip.mp4 upright.mp4"
                    )
                pixels = frame.to_ndarray(format="rgb24")
                if frames and pixels.shape != frames[0].shape:
                    raise UnreadableImage("its frames are of mixed shapes; split it")
                if len(frames) * pixels.size > MOST_NUMBERS:
                    raise UnreadableImage(f"more than {MOST_NUMBERS} numbers; cut it into parts")
                frames.append(pixels)
                times.append(frame.pts)
        check_rate(times, rate, base)

        def written(made: np.ndarray) -> dict[str, bytes]:
            return {"": encoded(made, rate, self.format, notes, data)}

        return Volume(np.stack(frames), written)


def _stream(clip: Any) -> Any:
    if not clip.streams.video:
        raise UnreadableImage("it holds no video")
    stream = clip.streams.video[0]
    if any(part.bits > 8 for part in (stream.format.components if stream.format else ())):
        raise UnreadableImage(
            f"its pixels are {stream.format.name}, more than 8 bits; save the frames as PNGs of 16"
        )
    return stream


def check_rate(times: list[int | None], rate: Fraction | None, base: Fraction | None) -> None:
    """UnreadableImage for frames that do not follow each other at one rate."""
    known = [time for time in times if time is not None]
    if len(known) < len(times) or not rate or not base:
        if not rate:
            raise UnreadableImage("its frame rate is unknown; write it anew: ffmpeg -i clip -r 25")
        return
    steps: set[int] = {later - before for before, later in zip(known, known[1:], strict=False)}
    ticks = float(Fraction(1) / (rate * base))
    if any(abs(step - ticks) > max(2.0, ticks / 4) for step in steps):
        shown = ", ".join(f"{float(step * base):.4g}" for step in sorted(steps)[:5])
        raise UnreadableImage(
            f"its frame rate varies (frames last {shown} seconds); give it one first: "
            "ffmpeg -i clip.mp4 -vf fps=25 steady.mp4"
        )


def encoded(
    frames: np.ndarray, rate: Fraction, kind: str, notes: dict[str, str], source: bytes
) -> bytes:
    """frames (N, H, W, 3) as a file of that kind, with the sound of the source."""
    av = needed("av", "video", "video")
    codec, pixels, options = VP9 if kind == "webm" else H264
    buffer = io.BytesIO()
    with av.open(io.BytesIO(source)) as before, av.open(buffer, "w", format=kind) as clip:
        clip.metadata.update({k: v for k, v in notes.items() if k in NOTES})
        stream = clip.add_stream(codec, rate=rate, options=dict(options))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        sounds = {s.index: clip.add_stream_from_template(s) for s in before.streams.audio}
        for image in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            clip.mux(stream.encode(frame))
        clip.mux(stream.encode())
        for packet in before.demux(*before.streams.audio) if sounds else ():
            if packet.dts is not None:
                packet.stream = sounds[packet.stream.index]
                clip.mux(packet)
    return buffer.getvalue()
