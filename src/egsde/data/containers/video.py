"""Clips by PyAV: frames of 8 bits, written without loss as RGB, at the same rate, with their sound.

A lossy file would change the translation: H.264 without loss keeps every bit, and VP9 in WebM.

FFmpeg also opens playlists, which name other files and addresses: only MP4, Matroska and AVI are
given to it, each by its first bytes and as nothing else.
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import IO, Any

import numpy as np

from egsde.data.containers.base import MOST_BYTES, Cut, Glance, Volume
from egsde.opened import MOST_PIXELS, UnreadableImage
from egsde.optional import needed

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi",
           ".webm": "webm"}  # fmt: skip
ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
NOTES = ("title", "comment", "artist", "copyright", "date")
LARGEST = {"max_pixels": str(MOST_PIXELS)}  # of a coded frame, whatever the container says
H264 = ("libx264rgb", "rgb24", {"crf": "0", "preset": "veryfast", "bf": "0"})
VP9 = ("libvpx-vp9", "gbrp", {"lossless": "1", "cpu-used": "8"})


class Video:
    """suffix: a key of `FORMATS`. ValueError where PyAV is not installed."""

    def __init__(self, suffix: str) -> None:
        self.suffixes, self.format = (suffix,), FORMATS[suffix]

    def glance(self, file: IO[bytes], cut: Cut) -> Glance:
        with _clip(file) as clip:
            stream = _stream(clip)
            count = stream.frames or sum(1 for packet in clip.demux(stream) if packet.size)
            return Glance((count, stream.height, stream.width, 3), np.dtype(np.uint8))

    def read(self, data: bytes, cut: Cut) -> Volume:
        frames: list[np.ndarray] = []
        times: list[Any] = []
        with _clip(io.BytesIO(data)) as clip:
            stream = _stream(clip)
            stream.codec_context.options = {**stream.codec_context.options, **LARGEST}
            size = stream.height, stream.width
            rate, base, notes = stream.average_rate, stream.time_base, dict(clip.metadata)
            for frame in clip.decode(stream):
                if getattr(frame, "rotation", 0):
                    raise UnreadableImage(
                        f"it is turned by {frame.rotation} degrees when shown; turn its pixels "
                        "first: ffmpeg -i clip.mp4 upright.mp4"
                    )
                if (frame.height, frame.width) != size:
                    raise UnreadableImage("its frames are of mixed shapes; split it")
                if 3 * size[0] * size[1] * (len(frames) + 1) > MOST_BYTES:
                    raise UnreadableImage(f"more than {MOST_BYTES} bytes; cut it into parts")
                frames.append(frame.to_ndarray(format="rgb24"))
                times.append(frame.pts)
        check_rate(times, rate, base)

        def written(made: np.ndarray) -> dict[str, bytes]:
            return {"": encoded(made, rate, self.format, notes, data)}

        return Volume(np.stack(frames), written)


def demuxer(head: bytes) -> str:
    """What reads a file that begins so; UnreadableImage for what is none of the kinds."""
    if head[4:8] in ATOMS:
        return "mov"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    raise UnreadableImage(
        "it is no MP4, MOV, Matroska, WebM or AVI, whatever its name says; write it anew: "
        "ffmpeg -i clip out.mp4"
    )


def _clip(file: IO[bytes]) -> Any:
    av = needed("av", "video", "video")
    head = file.read(12)
    file.seek(0)
    options = {"protocol_whitelist": "none", **LARGEST}
    return av.open(file, format=demuxer(head), options=options)


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
    # sorted: AVI has no times of display, so frames that are coded out of order carry others' times
    known = sorted(time for time in times if time is not None)
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
    with _clip(io.BytesIO(source)) as before, av.open(buffer, "w", format=kind) as clip:
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
