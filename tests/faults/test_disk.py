"""A disk that is full, a folder that may not be written or is gone: a clear error, code 1."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from PIL import Image
from safetensors.torch import save_file

from egsde.disk import appending, whole
from egsde.programs.callbacks.shelf import Seconds
from egsde.programs.lock import held
from faults.children import room

NOISE = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
NOBODY = 65534


WRITERS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: path.write_bytes(NOISE.tobytes()),
    "text": lambda path: path.write_text("x" * 400_000),
    "picture": lambda path: Image.fromarray(NOISE).save(path, format="PNG"),
    "checkpoint": lambda path: torch.save({"w": torch.zeros(100_000)}, path),
    "weights": lambda path: save_file({"w": torch.zeros(100_000)}, path),
    "arrays": lambda path: np.savez(path.open("wb"), x=NOISE),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_finds_no_room_is_named_and_leaves_nothing(kind, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with (
        room(100_000),
        pytest.raises(OSError, match=r"file cannot be written: (File too large|no room)"),
        whole(path) as temporary,
    ):
        WRITERS[kind](temporary)
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_rows_that_find_no_room_are_told(tmp_path):
    path = tmp_path / "rows.csv"
    with (
        room(100_000),
        pytest.raises(OSError, match=r"rows.csv cannot be written: File too large"),
        appending(path) as file,
    ):
        file.write("x" * 400_000)


def test_rows_are_whole_or_absent(tmp_path):
    """Where there is room for half of them, or a kill has left half a row."""
    path = tmp_path / "seconds.csv"
    seconds = Seconds(tmp_path)
    seconds.add(["a", "b"], 1.5)
    with room(30), pytest.raises(OSError, match=r"seconds.csv cannot be written: File too large"):
        seconds.add(["c" * 9, "d" * 9, "e" * 9], 2.5)
    assert path.read_text() == "a,1.5\nb,1.5\n"
    path.write_text("a,1.5\nb,1.5\nc,12")  # of 12.25
    assert Seconds(tmp_path).of == {"a": 1.5, "b": 1.5}
    Seconds(tmp_path).add(["d"], 4)
    assert path.read_text() == "a,1.5\nb,1.5\nd,4\n"


@pytest.mark.parametrize(("first", "second"), [(".lock-0-of-2", ".lock"), (".lock", ".lock-0-of-2"),
                                               (".lock-0-of-2", ".lock-0-of-2")])  # fmt: skip
def test_the_whole_and_its_shards_exclude_each_other(first, second, tmp_path):
    """A merge would remove what a shard that runs has not finished; a killed one's lock is none."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        with held(tmp_path, first):
            (tmp_path / ".a.png.tmp").touch()
            os.write(writing, b".")
            signal.pause()
    os.read(reading, 1)
    try:
        with (
            pytest.raises(ValueError, match=f'in use by .*"process": {pid}'),
            held(tmp_path, second),
        ):
            raise AssertionError("held")
        assert (tmp_path / ".a.png.tmp").exists()
        if first != ".lock":
            with held(tmp_path, ".lock-1-of-2", clean=False):
                pass
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with held(tmp_path, ".lock"):
        assert os.listdir(tmp_path) == [".lock"]


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    """A picture's, rows' and a lock's."""
    for name in ("a.png", "rows.csv", ".lock"):
        (tmp_path / name).mkdir()
    told = "{} is a folder, in the place of a file"
    with (
        pytest.raises(OSError, match=told.format("a.png")),
        whole(tmp_path / "a.png") as temporary,
    ):
        temporary.write_bytes(b"a")
    with (
        pytest.raises(OSError, match=told.format("rows.csv")),
        appending(tmp_path / "rows.csv") as file,
    ):
        file.write("a")
    with pytest.raises(ValueError, match=told.format(".lock")), held(tmp_path):
        raise AssertionError("held")


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("again", [False, True])
def test_nothing_is_written_into_a_folder_that_is_gone(again, rank, tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", rank, raising=False)
    out = tmp_path / "run"
    with held(out):
        with whole(out / "images" / "a.png") as temporary:
            temporary.write_bytes(b"a")
        out.rename(tmp_path / "moved")
        if again:
            (out / "images").mkdir(parents=True)
        for place in (out / "images" / "b.png", out / "seconds.csv"):
            with pytest.raises(OSError, match="run was deleted or moved"), whole(place):
                raise AssertionError("written")
            with pytest.raises(OSError, match="run was deleted or moved"), appending(place):
                raise AssertionError("written")
    assert again or not out.exists()
    with whole(out / "c") as temporary:  # nobody holds it any more
        temporary.write_bytes(b"c")


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A folder that can be read and not written, by one who is not its owner."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        if not os.access(place, os.R_OK, effective_ids=True):
            pytest.skip("the temporary folder is not open to others")
        yield place
    finally:
        if root:
            os.seteuid(0)
        place.chmod(0o755)
        shutil.rmtree(place)


@pytest.mark.parametrize("below", ["", "run", "runs/run"])
def test_a_folder_that_may_not_be_written_is_named(below, foreign):
    out = foreign / below
    with pytest.raises(OSError, match="cannot be written: Permission denied"), held(out):
        raise AssertionError("held")
