"""Builds the embedded emoji pictures: `python -m egsde.data.emoji.build`.

Takes the npm packages emoji-datasource-google and emoji-datasource-twitter (through `npm pack`, so
from whichever registry npm is set to), keeps the emoji that both draw, without skin tones and
country flags, puts them over white and writes one lossless WebP sheet per style and `index.json`.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from egsde.data.emoji.families import assign_splits, family
from egsde.data.emoji.pictures import Emoji
from egsde.data.images import to_rgb
from egsde.data.npm import pack
from egsde.data.sheets import SIDE

VERSION = "16.0.0"
STYLES = {"noto": "google", "twemoji": "twitter"}
DROPPED = {"skin-tone", "country-flag", "subdivision-flag"}


def read_package(path: Path, vendor: str) -> tuple[list[dict], dict[str, bytes]]:
    """The entries of emoji.json and the 64 px PNG files of one package, by file name."""
    prefix = f"package/img/{vendor}/64/"
    entries: list[dict] = []
    pictures: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name == "package/emoji.json":
                entries = json.load(archive.extractfile(member))  # type: ignore[arg-type]
            elif member.name.startswith(prefix) and member.isfile():
                file = archive.extractfile(member)
                pictures[member.name.removeprefix(prefix)] = file.read()  # type: ignore[union-attr]
    return entries, pictures


def sheet(pictures: list[bytes]) -> Image.Image:
    """All pictures over white on one sheet, COLUMNS to a row."""
    rows = -(-len(pictures) // Emoji.columns)
    canvas = Image.new("RGB", (Emoji.columns * SIDE, rows * SIDE), "white")
    for index, data in enumerate(pictures):
        row, column = divmod(index, Emoji.columns)
        canvas.paste(to_rgb(Image.open(io.BytesIO(data))), (column * SIDE, row * SIDE))
    return canvas


def build(packages: Path, out: Path) -> None:
    """Write noto.webp, twemoji.webp and index.json from the two packages in a folder."""
    read = {
        style: read_package(packages / f"emoji-datasource-{vendor}-{VERSION}.tgz", vendor)
        for style, vendor in STYLES.items()
    }
    entries, _ = read["noto"]
    kept = [
        entry
        for entry in entries
        if entry["subcategory"] not in DROPPED
        and all(entry["image"] in pictures for _, pictures in read.values())
    ]
    kept.sort(key=lambda entry: entry["image"])
    families = [family(entry) for entry in kept]
    splits = assign_splits(families, [entry["category"] for entry in kept])
    index = [
        {"id": e["image"], "name": e["short_name"], "family": f, "split": s}
        for e, f, s in zip(kept, families, splits, strict=True)
    ]
    lines = ",\n".join(json.dumps(row) for row in index)
    (out / "index.json").write_text(f"[\n{lines}\n]\n")
    for style, (_, pictures) in read.items():
        picture = sheet([pictures[entry["image"]] for entry in kept])
        picture.save(out / f"{style}.webp", lossless=True, quality=80)
        size = (out / f"{style}.webp").stat().st_size
        print(f"{style}: {len(kept)} emoji, {np.asarray(picture).shape}, {size / 1e6:.2f} MB")
    print({split: splits.count(split) for split in ("train", "val", "test")})


def main() -> None:
    """The command line: python -m egsde.data.emoji.build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="packages", type=Path, help="folder with both .tgz files")
    parser.add_argument("--out", type=Path, default=Emoji.folder, help="where the three files go")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        packages = args.packages or Path(scratch)
        try:
            if args.packages is None:
                for vendor in STYLES.values():
                    pack(f"emoji-datasource-{vendor}", VERSION, packages)
            build(packages, args.out)
        except ValueError as error:
            raise SystemExit(f"build_emoji: {error}") from None


if __name__ == "__main__":
    main()
