"""Builds the Fluent emoji, flat and in 3D, from two npm packages.

`python -m egsde.data.fluent.build`: the embedded sheets at 64 px, one skin tone of each family.
With --folder DIR: every picture at 128 px as DIR/{flat,3d}/{train,val,test}/CODE.webp, which the
shipped networks were trained on (40 MB); with --disjoint, too, each style has training pictures of
its own half of the families. Needs npm (Node.js) and `pip install resvg-py`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import tarfile
import tempfile
from pathlib import Path

from PIL import Image

from egsde.data.fluent import FOLDER, SIDE, Fluent, half_of
from egsde.data.images import square, to_rgb
from egsde.data.npm import pack

VERSION = "1.1.0"
STYLES = {"flat": "svg", "3d": "webp"}
RENDERED = 256
TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
FLAGS = re.compile("1f1[ef].*|1f3f4.*|1f3f3.*|1f3c1|1f38c|1f6a9")  # the same in both styles


def family(code: str) -> str:
    """A code point sequence without skin tones and variation selectors."""
    return "-".join(part for part in code.split("-") if part not in TONES and part != "fe0f")


def split(code: str) -> str:
    """Test, val or train (15, 5, 80 %) by a hash of the family, so that families never cross."""
    place = int(hashlib.sha256(family(code).encode()).hexdigest()[:8], 16) / 2**32
    return "test" if place < 0.15 else "val" if place < 0.2 else "train"


def read_package(path: Path, suffix: str) -> dict[str, bytes]:
    """The drawings of one package by code, flags left out."""
    drawings: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = Path(member.name)
            wanted = name.parent.name == "assets" and name.suffix == f".{suffix}"
            if wanted and not FLAGS.fullmatch(name.stem):
                drawings[name.stem] = archive.extractfile(member).read()  # type: ignore[union-attr]
    return drawings


def render(data: bytes, suffix: str) -> Image.Image:
    """One drawing on white, 256 px; the few that are not square are fitted in."""
    if suffix == "svg":
        import resvg_py

        svg = data.decode()
        data = resvg_py.svg_to_bytes(svg_string=svg, width=RENDERED, height=RENDERED)
    picture = to_rgb(Image.open(io.BytesIO(bytes(data))))
    return Image.fromarray(square(picture, RENDERED, "pad"))


def one_tone(codes: list[str]) -> list[str]:
    """Of each family the member without a skin tone, else its first."""
    chosen: dict[str, str] = {}
    for code in codes:
        if family(code) not in chosen or not TONES & set(code.split("-")):
            chosen[family(code)] = code
    return sorted(chosen.values())


def build_folder(
    packages: dict[str, dict[str, bytes]], codes: list[str], out: Path, disjoint: bool
) -> None:
    """All skin tones in train, one a family in val and test. disjoint: as `Fluent`'s."""
    single = set(one_tone(codes))
    for style, drawings in packages.items():
        for code in codes:
            if split(code) != "train" and code not in single:
                continue
            mine = Fluent.styles.index(style)
            if disjoint and split(code) == "train" and half_of(family(code)) != mine:
                continue
            path = out / style / split(code) / f"{code}.webp"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = render(drawings[code], STYLES[style]).reduce(RENDERED // 128)
            picture.save(path, lossless=True, quality=60)


def build_sheets(packages: dict[str, dict[str, bytes]], codes: list[str], out: Path) -> None:
    """flat.webp, 3d.webp and index.json: one skin tone of each family, COLUMNS to a row."""
    codes = one_tone(codes)
    rows = [json.dumps({"id": f"{code}.png", "split": split(code)}) for code in codes]
    (out / "index.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
    for style, drawings in packages.items():
        sheet = Image.new(
            "RGB", (Fluent.columns * SIDE, -(-len(codes) // Fluent.columns) * SIDE), "white"
        )
        for index, code in enumerate(codes):
            picture = render(drawings[code], STYLES[style]).reduce(RENDERED // SIDE)
            row, column = divmod(index, Fluent.columns)
            sheet.paste(picture, (column * SIDE, row * SIDE))
        sheet.save(out / f"{style}.webp", lossless=True, quality=100, method=6)
        print(f"{style}: {len(codes)} emoji, {(out / f'{style}.webp').stat().st_size / 1e6:.2f} MB")


def main() -> None:
    """The command line: python -m egsde.data.fluent.build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="packages", type=Path, help="folder with both .tgz files")
    parser.add_argument("--folder", type=Path, help="write pictures of 128 px here instead")
    parser.add_argument("--disjoint", action="store_true", help="no family in both styles")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            paths = {
                style: args.packages / f"lobehub-fluent-emoji-{style}-{VERSION}.tgz"
                if args.packages
                else pack(f"@lobehub/fluent-emoji-{style}", VERSION, Path(scratch))
                for style in STYLES
            }
        except ValueError as error:
            raise SystemExit(f"fluent.build: {error}") from None
        read = {style: read_package(path, STYLES[style]) for style, path in paths.items()}
    codes = sorted(set.intersection(*map(set, read.values())))
    if args.folder:
        build_folder(read, codes, args.folder, args.disjoint)
    else:
        build_sheets(read, codes, FOLDER)


if __name__ == "__main__":
    main()
