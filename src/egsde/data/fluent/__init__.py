"""The embedded pair of domains: Fluent emoji drawn flat and rendered in 3D (Microsoft, MIT).

The renderings lie on the drawings pixel for pixel, so that a translation has a truth. Pictures of
64 px over white, one skin tone of each family; families never cross splits, and flags, alike in
both styles, are left out.
"""

from __future__ import annotations

from pathlib import Path

from egsde.data.sheets import Sheets


class Fluent(Sheets):
    """Store of the domains `flat` and `3d`."""

    name = "fluent"
    folder = Path(__file__).parent
    styles = ("flat", "3d")
    columns = 40
