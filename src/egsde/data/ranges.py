"""What the pictures of a set say about it together: bits that are not used, profiles not read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from egsde.data.colour import UNREAD
from egsde.data.images import HIGHEST

BITS_12, BITS_14 = 2**12 - 1, 2**14 - 1
Notes = Mapping[str, Mapping[object, object]]  # Image.info by image


def judge(notes: Notes) -> None:
    """ValueError where all 16-bit pictures are as dark as 12 bits in 16 are.

    One dark picture is no proof; of 14 bits, and of colour profiles that are damaged, it warns.
    """
    if unread := [name for name, info in notes.items() if UNREAD in info]:
        warnings.warn(
            f"the colour profile of {len(unread)} images cannot be used ({', '.join(unread[:3])}: "
            f"{notes[unread[0]][UNREAD]}); they are read as sRGB",
            stacklevel=4,
        )
    top = max((int(str(info[HIGHEST])) for info in notes.values() if HIGHEST in info), default=0)
    if not 0 < top <= BITS_14:
        return
    what = (
        f"the 16-bit images hold no value above {top} of 65535, as if {top.bit_length()} bits had "
        "been put into 16"
    )
    if top <= BITS_12:
        raise ValueError(f"{what}: they would come out black; multiply them to the full range")
    warnings.warn(f"{what}: they come out dark; multiply them to the full range", stacklevel=4)
