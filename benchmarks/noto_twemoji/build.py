"""Two folders of paired pictures, the same emoji drawn by Noto and by Twemoji, 64 px over white.

    python benchmarks/noto_twemoji/build.py --out noto_twemoji
    python train.py data=paired_folder data.root=noto_twemoji data.source=noto data.target=twemoji data.size=32

Takes the npm packages emoji-datasource-google and emoji-datasource-twitter (through `npm pack`, so
from whichever registry npm is set to) and keeps the 1,644 emoji that both draw, without skin tones
and country flags; families of like drawings never cross splits. Noto Emoji (c) Google, Apache
License 2.0; Twemoji (c) Twitter and other contributors, CC BY 4.0: credit it beside what a network
of it draws; names and categories from emoji-data (c) Cal Henderson, MIT.
"""  # noqa: E501

from __future__ import annotations

import argparse
import io
import json
import tarfile
import tempfile
from pathlib import Path

from families import assign_splits, family
from PIL import Image

from egsde.data.images import to_rgb
from egsde.data.npm import pack

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


def build(packages: Path, out: Path) -> None:
    """OUT/{noto,twemoji}/{train,val,test}/CODE.png from the two packages in a folder."""
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
    splits = assign_splits([family(e) for e in kept], [e["category"] for e in kept])
    for style, (_, pictures) in read.items():
        for entry, split in zip(kept, splits, strict=True):
            path = out / style / split / entry["image"]
            path.parent.mkdir(parents=True, exist_ok=True)
            to_rgb(Image.open(io.BytesIO(pictures[entry["image"]]))).save(path)
    print({split: splits.count(split) for split in ("train", "val", "test")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="packages", type=Path, help="folder with both .tgz files")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        packages = args.packages or Path(scratch)
        if args.packages is None:
            for vendor in STYLES.values():
                pack(f"emoji-datasource-{vendor}", VERSION, packages)
        build(packages, args.out)


if __name__ == "__main__":
    main()
