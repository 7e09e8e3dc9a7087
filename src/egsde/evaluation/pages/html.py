"""Pages that need nothing beside themselves: text escaped, pictures, styles and scripts inside.

A policy in each page's head forbids the browser every request, so none is made whatever the page
holds.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
from PIL import Image

SHELL = Template(
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data: blob:;'
    " style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
    '<link rel="icon" href="data:,">\n<title>$title</title>\n<style>\n$style</style>\n</head>\n'
    "<body>\n$body<script>\n$script</script>\n</body>\n</html>\n"
)


def asset(name: str) -> str:
    """A template, style or script beside this file."""
    return (files(__package__) / name).read_text(encoding="utf-8")


def page(name: str, title: str, **parts: str) -> str:
    """NAME.html filled with parts, which are HTML already, with NAME.js and the style."""
    body = Template(asset(f"{name}.html")).substitute(title=text(title), **parts)
    return SHELL.substitute(
        title=text(title), style=asset("page.css"), body=body, script=asset(f"{name}.js")
    )


def text(value: object) -> str:
    """Any text as HTML, in an attribute, too; half a surrogate pair becomes a question mark."""
    return escape(str(value).encode("utf-8", "replace").decode("utf-8"))


def embedded(value: Any) -> str:
    """Plain values as JSON that may stand in a script element; NaN and infinity are null."""
    plain = json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def data_uri(picture: np.ndarray) -> str:
    """uint8 (H, W, 3) as a PNG of these very pixels and nothing else."""
    kept = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(kept, format="PNG", compress_level=9)
    return png_uri(kept.getvalue())


def png_uri(content: bytes) -> str:
    """A PNG file as an address within the page."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def img(picture: np.ndarray, alt: str, **settings: str) -> str:
    """An img element; settings: further attributes, _ for -."""
    more = "".join(f' {key.replace("_", "-")}="{text(v)}"' for key, v in settings.items())
    height, width = picture.shape[:2]
    return (
        f'<img src="{data_uri(picture)}" alt="{text(alt)}" width="{width}" height="{height}"{more}>'
    )


def number(value: float | None, digits: int = 4) -> str:
    """To four digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """Cells are HTML already; numbers: columns that are set to the right."""
    right = set(numbers)

    def cells(kind: str, row: Sequence[str]) -> str:
        marks = [' class="number"' if k in right else "" for k in range(len(row))]
        return "".join(f"<{kind}{m}>{cell}</{kind}>" for m, cell in zip(marks, row, strict=True))

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><thead><tr>{cells("th", head)}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )
