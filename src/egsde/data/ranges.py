"""What the pictures of a set say about it together: bits that are not used, profiles not read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from egsde.data.colour import UNREAD
from egsde.data.images import FRAMES, HIGHEST

OUTSIDE = "outside of the range"  # key of what is noted of a file: how many numbers, of how many
BITS_12, BITS_14 = 2**12 - 1, 2**14 - 1
Notes = Mapping[str, Mapping[object, object]]  # Image.info by image


def judge(notes: Notes, ends: Sequence[float] | None = None) -> None:
    """ValueError where all 16-bit pictures are as dark as 12 bits in 16 are.

    One dark picture is no proof; of 14 bits, of colour profiles that are damaged, of frames that
    are not read, and of numbers outside of the range, it warns. ends: the range, where it is given.
    """
    if out := {name: info[OUTSIDE] for name, info in notes.items() if OUTSIDE in info}:
        shown = ", ".join(f"{n}: {c[0]} of {c[1]}" for n, c in list(out.items())[:5])  # type: ignore[index]
        warnings.warn(
            f"{len(out)} images hold numbers outside of data.range={list(ends or ())}, which are "
            f"cut off ({shown})",
            stacklevel=4,
        )
    if moving := [name for name, info in notes.items() if FRAMES in info]:
        warnings.warn(
            f"{len(moving)} images have more frames, of which only the first is read "
            f"({', '.join(f'{n}: {notes[n][FRAMES]}' for n in moving[:3])}); save a clip as GIF or "
            "MP4, or its frames as files",
            stacklevel=4,
        )
    if ends is not None:
        return
    if unread := [name for name, info in notes.items() if UNREAD in info]:
        warnings.warn(
            f"the colour profile of {len(unread)} images cannot be used ({', '.join(unread[:3])}: "
            f"{notes[unread[0]][UNREAD]}); they are read as sRGB",
            stacklevel=4,
        )
    top = max((int(str(info[HIGHEST])) for info in notes.values() if HIGHEST in info), default=0)
    if not 0 < top <= BITS_14:
        return
    remedy = f"multiply them to the full range, or give data.range=[0,{2 ** top.bit_length() - 1}]"
    what = (
        f"the 16-bit images hold no value above {top} of 65535, as if {top.bit_length()} bits had "
        "been put into 16"
    )
    if top <= BITS_12:
        raise ValueError(f"{what}: they would come out black; {remedy}")
    warnings.warn(f"{what}: they come out dark; {remedy}", stacklevel=4)
