"""CPU seconds and memory of many files: start-up of a process, folders by hash, a merge's list.

python benchmarks/files_at_scale.py --images 10000 100000 --folder /dev/shm
"""

from __future__ import annotations

import argparse
import io
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from egsde.data import Folders, TwoDomains, Written

DOMAINS = ("a", "b")
SHARE = 977  # of a million images on 1,024 processes
HEAD = "images | names, s | a share's first batch, s | folders by hash, s | listed, s | read, s per"


def picture(grey: int, side: int = 8) -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (side, side), (grey, grey, grey)).save(kept, "PNG")
    return kept.getvalue()


def timed(work: Callable[[], object]) -> tuple[float, object]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def measured(root: Path, count: int) -> list[float]:
    for domain, files in zip(DOMAINS, (count, 10), strict=True):
        content = picture(ord(domain))
        (root / domain / "test").mkdir(parents=True)
        for k in range(files):
            (root / domain / "test" / f"{domain}{k:07d}.png").write_bytes(content)
    store = Folders(root=str(root), cache_mib=0)

    def start() -> tuple[TwoDomains, list[str]]:
        data = TwoDomains(store, *DOMAINS, size=8)
        return data, list(data.translatable("test").ids)

    names, (data, ids) = timed(start)  # type: ignore[misc]
    first, _ = timed(
        lambda: next(iter(data.translation_loader("test", 0, max(1, count // SHARE), batch_size=8)))
    )
    written = Written(root / "out", deep=True).naming(ids)

    def write() -> None:
        for folder in {written.path(name).parent for name in ids}:
            folder.mkdir(parents=True)
        for name in ids:
            written.path(name).write_bytes(content)

    made, _ = timed(write)
    listed, found = timed(written.listed)
    assert len(found) == count  # type: ignore[arg-type]
    writer = data.writer("test")
    some = ids[:: max(1, count // 1000)]
    read, _ = timed(lambda: [writer.read(name, written.path(name)) for name in some])
    return [names, first, made, listed, read / len(some)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--folder", default=None, help="on which file system")
    options = parser.parse_args()
    print(f"| {HEAD} | peak memory, MiB |\n|{'---|' * 7}")
    for count in options.images:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            cells = measured(Path(name), count)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        seconds = " | ".join(f"{cell:.2g}" for cell in cells)
        print(f"| {count} | {seconds} | {peak} |", flush=True)


if __name__ == "__main__":
    main()
