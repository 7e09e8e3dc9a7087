"""The older embedded pair: the same emoji drawn by Noto (Apache-2.0) and Twemoji (CC BY 4.0).

1,644 pictures of 64 px over white per style, one lossless WebP sheet each, split by families of
like drawings (see families.py), so that no variant of a training emoji is met in testing.
"""

from __future__ import annotations

from pathlib import Path

from egsde.data.sheets import Sheets


class Emoji(Sheets):
    """Store of the domains `noto` and `twemoji`; rows also have a name and a family."""

    name = "emoji"
    folder = Path(__file__).parent
    styles = ("noto", "twemoji")
    columns = 42
