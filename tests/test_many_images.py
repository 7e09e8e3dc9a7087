"""Many images: folders by hash, lists in one walk, and only what is needed is opened."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import pytest

from demo_networks import write_networks
from egsde.data import Folders, TwoDomains, Written, distinct
from egsde.data import written as written_module
from egsde.data.files import Folder
from egsde.programs import sample as program
from folders import colour, fill
from runs import composed

IDS = ("a.png", "b.jpg", "deep/c.png", "ab/d.png", "a.png.png")


@pytest.fixture
def opened(monkeypatch):
    """Paths that a folder's files were read or looked at by, in order."""
    seen: list[str] = []
    for method in ("read", "ends"):
        inner = getattr(Folder, method)

        def watched(self, path, inner=inner):
            seen.append(path)
            return inner(self, path)

        monkeypatch.setattr(Folder, method, watched)
    return seen


@pytest.mark.parametrize("deep", [False, True])
def test_every_image_has_one_place_and_is_listed_by_its_name(tmp_path, deep):
    written = Written(tmp_path, deep)
    for name in IDS:
        written.path(name).parent.mkdir(parents=True, exist_ok=True)
        written.path(name).write_text(name)
    (tmp_path / "images" / ".x.png.tmp").write_text("cut")
    (tmp_path / "images" / "stray.png").write_text("mine")
    names = {"a.png", "b.jpg.png", "deep/c.png", "ab/d.png", "a.png.png.png", "stray.png"}
    found = written.listed()
    assert set(found) == names and list(found) != []
    assert all(path.is_file() for path in found.values())
    assert {found[n].read_text() for n in names} == {*IDS, "mine"}
    (tmp_path / "run.json").write_text(json.dumps(written.record))
    assert Written.of(tmp_path) == written


def test_twenty_thousand_files_are_listed_in_a_second(tmp_path):
    written = Written(tmp_path, deep=True)
    names = [f"{k:06d}.png" for k in range(20_000)]
    for folder in {written.path(name).parent for name in names}:
        folder.mkdir(parents=True)
    for name in names:
        written.path(name).touch()
    assert len(list(written.folder.iterdir())) == 256
    began = time.process_time()
    found = written.listed()
    assert time.process_time() - began < 1
    assert list(found) == names or sorted(found) == names


def test_names_that_cannot_be_written_are_refused(tmp_path):
    Written(tmp_path).check(["n" * 246 + ".png"])
    with pytest.raises(ValueError, match="too long for its translation"):
        Written(tmp_path).check(["fine.png", "n" * 247 + ".jpg"])
    fill(tmp_path / "test", 1)
    try:
        (tmp_path / "test" / b"\xff.png".decode("utf-8", "surrogateescape")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    with pytest.raises(ValueError, match=r"not UTF-8 \(\\udcff\.png\); rename it"):
        Folders().images(str(tmp_path), "test", 8)


@pytest.mark.parametrize("cache", [0, 64])
def test_a_limit_opens_only_its_images(tmp_path, opened, cache):
    fill(tmp_path / "a" / "test", 20)
    (tmp_path / "b" / "test").mkdir(parents=True)
    for k in range(20):  # files of one size are compared, to find copies
        colour(k, 16).save(tmp_path / "b" / "test" / f"{k:03d}.png")
    options = dict(size=8, limit=2, flip=False)
    store = Folders(root=str(tmp_path), cache_mib=cache)
    module = TwoDomains(store, "a", "b", **options)
    opened.clear()
    images = [batch["x0"] for batch in module.translation_loader("test", batch_size=1)]
    assert len(images) == 2
    assert set(opened) == {"a/test/000.png", "a/test/010.png"}
    assert len(opened) <= (2 if cache else 6)  # ends, a look at the set, the picture


def test_sizes_of_few_files_are_looked_at_once_and_of_many_never(tmp_path, monkeypatch):
    for domain, start in (("a", 0), ("b", 50), ("c", 100)):
        fill(tmp_path / domain, 5, start=start)
    sizes: list[str] = []
    inner = Folder.size
    monkeypatch.setattr(Folder, "size", lambda self, p: (sizes.append(p), inner(self, p))[1])
    Folders().refuse_alike([str(tmp_path / d) for d in "abc"])
    looked = len(sizes)
    assert looked == 15
    monkeypatch.setattr(distinct, "MANY", 8)
    sizes.clear()
    (tmp_path / "d").mkdir()
    fill(tmp_path / "d", 5, start=150)
    for k, path in enumerate(sorted((tmp_path / "d").iterdir())):
        path.rename(path.with_name(f"other{k}.png"))
    Folders().refuse_alike([str(tmp_path / d) for d in "ad"])
    assert sizes == []
    (tmp_path / "e").symlink_to(tmp_path / "a")
    with pytest.raises(ValueError, match="are the same folder"):
        Folders().refuse_alike([str(tmp_path / d) for d in "ae"])


@pytest.mark.slow
def test_folders_by_hash_hold_the_same_images(tmp_path, monkeypatch):
    networks = write_networks(tmp_path)
    flat, deep = tmp_path / "flat", tmp_path / "deep"
    options = [*networks, "limit=4", "data.eval_batch_size=2"]
    program.sample(composed("sample", flat, *options))
    monkeypatch.setattr(program, "MANY", 3)
    for part in ("shard=0/2", "shard=1/2", "shard=merge"):
        program.sample(composed("sample", deep, *options, part))
    assert not Written.of(flat).deep and Written.of(deep).deep
    ours, theirs = (Written.of(out).listed() for out in (deep, flat))
    assert list(ours) == list(theirs) and len(ours) == 4
    assert all(ours[name].read_bytes() == theirs[name].read_bytes() for name in ours)
    assert all(path.parent.parent == deep / "images" for path in ours.values())
    assert (deep / "images.csv").read_bytes() == (flat / "images.csv").read_bytes()
    monkeypatch.setattr(program, "MANY", written_module.MANY)
    made = {path: path.stat().st_mtime_ns for path in ours.values()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program.sample(composed("sample", deep, *options))  # stays as it was begun
    assert {path: path.stat().st_mtime_ns for path in Written.of(deep).listed().values()} == made
    Path(next(iter(made))).unlink()
    program.sample(composed("sample", deep, *options))
    assert len(Written.of(deep).listed()) == 4
