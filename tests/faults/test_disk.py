"""A disk that is full, a folder that may not be written or is gone: a clear error, code 1."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from demo_networks import write_networks
from egsde.disk import appending, whole
from egsde.programs.lock import held
from runs import command
from small_models import options_of

NOISE = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
NOBODY = 65534
SLOW = pytest.mark.slow


@contextlib.contextmanager
def room(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: what a full disk does to those that are longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


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


@pytest.mark.parametrize("again", [False, True])
def test_nothing_is_written_into_a_folder_that_is_gone(again, tmp_path):
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


def child(work: Callable[[], int], limit: int | None) -> tuple[int, str]:
    """Exit code and all that a forked process prints; limit: the largest file that it may write."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        code = 70
        try:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
            with room(limit) if limit is not None else contextlib.nullcontext():
                code = work()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, errors="replace") as file:
        said = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def tool(name: str, *arguments: str) -> Callable[[], int]:
    """`egsde name arguments`, as a function that gives its exit code."""

    def work() -> int:
        from egsde.programs import cli

        sys.argv = ["egsde", name, *arguments]
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return work


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A finished run of sample.py and the options that make it."""
    folder = tmp_path_factory.mktemp("run")
    options = [*write_networks(folder), "sampler.grid.steps=4", "limit=3", "data=fluent"]
    assert command("sample", *options, f"out={folder / 'run'}") == 0
    return folder, options


def programs(folder: Path, options: list[str], out: Path) -> dict[str, Callable[[], int]]:
    made, given = str(folder / "run"), f"out={out}"
    tiny = options_of("score", [], "data.batch_size=4", "trainer.accelerator=cpu")
    student = options_of("student", [f"teacher={made}", "translator=egsde"],
                         "trainer.accelerator=cpu", "data.batch_size=4")  # fmt: skip
    return {
        "sample": lambda: command("sample", *options, given),
        "uncertainty": lambda: command("sample", *options, "uncertainty=2", given),
        "shard": lambda: command("sample", *options, "shard=0/1", given),
        "merge": lambda: (
            command("sample", *options, "shard=0/1", given)
            or command("sample", *options, "shard=merge", given)
        ),
        "train": lambda: command("train", *tiny, given),
        "student": lambda: command("train", *student, given),
        "evaluate": lambda: command("evaluate", f"output={made}/images", f"source={made}/images",
                                    "metrics=pairwise",
                                    "logger=none", "trainer.accelerator=cpu", given),
        "export": lambda: command("export", f"weights={folder / 'score.safetensors'}",
                                  "format=torchscript", given),
        "compare": tool("compare", made, made, given),
        "pairs": tool("pairs", made, made, given),
        "tune": tool("tune", *options, "minutes=0.01", "limit=2", given),
    }  # fmt: skip


PROGRAMS = ("sample", "uncertainty", "shard", "merge", "train", "student", "evaluate", "export",
            "compare", "pairs", "tune")  # fmt: skip


@SLOW
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_finds_no_room_says_so_and_goes_on_later(name, run, tmp_path):
    out, failed = tmp_path / "out", []
    work = programs(*run, out)[name]
    for size in (40_000, 6_000, 1_000, 0):
        code, said = child(work, size)
        assert code in (0, 1) and "Traceback" not in said, said
        if code:
            failed.append(size)
            assert "error: " in said and "File too large" in said, said
    assert failed
    code, said = child(work, None)
    assert code == 0, said
    assert not list(out.rglob("*.tmp")) and not list(out.rglob(".lock*"))
