"""Which pictures are in which split and domain: recognised, or refused, or named; never guessed."""

from __future__ import annotations

import os
import shutil
import warnings
import zipfile
from pathlib import Path
from unicodedata import normalize

import pytest
from hydra.errors import InstantiationException
from PIL import Image

from egsde.data import Folders, PairedFolders
from egsde.data.splits import looks_like_split, split_of
from folders import colour, data, encoded, fill


def told(act) -> tuple[object, str]:
    """What a call returns, and its warnings in one text."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = act()
    return result, " | ".join(str(w.message) for w in said)


def ids(place: Path | str, split: str, **options: object) -> list[str]:
    return Folders(**options).images(str(place), split, 8).ids


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("training", "validation", "testing"), ("train", "val", "test")),
        (("TRAIN", "Val", "Test"), ("train", "val", "test")),
        (("Training", "VALID", "tEsT"), ("train", "val", "test")),
        (("train", "dev", "test"), ("train", "val", "test")),
    ],
)
@pytest.mark.parametrize("inside", ["{split}", "{split}/cats", "cats/{split}"])
def test_splits_in_any_spelling(tmp_path, folders, splits, inside):
    for k, folder in enumerate(folders):
        fill(tmp_path / inside.format(split=folder), k + 1, start=10 * k)
    options = {} if inside == "{split}" else {"root": str(tmp_path)}
    place = tmp_path if inside == "{split}" else "cats"
    for k, split in enumerate(splits):
        assert len(ids(place, split, **options)) == k + 1


@pytest.mark.parametrize("wrap", ["a", "a/b", "a/b/c d"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_wrappers_are_gone_through(tmp_path, wrap, kind):
    for k, split in enumerate(("train", "test")):
        for n, domain in enumerate(("x", "y")):
            fill(tmp_path / "set" / wrap / split / domain, k + 2, start=20 * n)
    place = tmp_path / "set"
    if kind == "zip":
        place = Path(shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "set"))
    assert [len(ids("y", s, root=str(place))) for s in ("train", "test")] == [2, 3]


@pytest.mark.parametrize(
    ("one", "two"), [("val", "validation"), ("train", "Training"), ("test", "TEST")]
)
def test_two_folders_of_one_split_are_refused(tmp_path, one, two):
    fill(tmp_path / one, 1)
    fill(tmp_path / two, 1)
    with pytest.raises(ValueError, match=f"({one}|{two}) and ({one}|{two}) .*both a folder"):
        ids(tmp_path, "train")


@pytest.mark.parametrize("deep", ["images/train", "more/2024/Test", "x/validation"])
def test_splits_deeper_down_never_mix(tmp_path, deep):
    fill(tmp_path / "loose", 3)
    fill(tmp_path / deep, 3)
    with pytest.raises(ValueError, match="named like splits, whose images would be mixed"):
        ids(tmp_path, "train")


@pytest.mark.parametrize("name", ["test2", "cats_train", "tset", "val-old", "holdout", "trian"])
def test_a_folder_that_looks_like_a_split_is_named(tmp_path, name):
    assert looks_like_split(name) and split_of(name) is None
    fill(tmp_path / "train", 2)
    fill(tmp_path / "test", 2)
    fill(tmp_path / name, 2)
    found, said = told(lambda: ids(tmp_path, "train"))
    assert len(found) == 2 and f"{name} looks like a split and is not used" in said
    shutil.rmtree(tmp_path / "train")
    shutil.rmtree(tmp_path / "test")
    fill(tmp_path / "album", 9)
    found, said = told(lambda: ids(tmp_path, "all"))
    assert len(found) == 11 and f"{name} looks like a split and is none" in said


@pytest.mark.parametrize(
    "name", ["valley", "contest", "cats", "trainer", "2024", "text", "devices"]
)
def test_other_folders_are_not(name):
    assert not looks_like_split(name)


@pytest.mark.parametrize(
    ("place", "layout"),
    [("loose.png", "cats/{}"), ("more/x.png", "cats/{}"), ("loose.png", "{}/cats"),
     ("extra/cats/x.png", "{}/cats"), ("train/loose.png", "{}/cats")],
)  # fmt: skip
def test_pictures_in_no_split_are_named(tmp_path, place, layout):
    for split in ("train", "test"):
        fill(tmp_path / layout.format(split), 2)
    where = tmp_path / (f"cats/{place}" if layout.startswith("cats") else place)
    where.parent.mkdir(parents=True, exist_ok=True)
    colour(9).save(where)
    _, said = told(lambda: ids("cats", "train", root=str(tmp_path)))
    assert "1 pictures lie in no split" in said and Path(place).name in said


@pytest.mark.parametrize(("there", "asked"), [("val", "test"), ("test", "val")])
def test_a_split_stands_in_for_another_with_a_word(tmp_path, there, asked):
    fill(tmp_path / "train", 2)
    fill(tmp_path / there, 3)
    found, said = told(lambda: ids(tmp_path, asked))
    assert len(found) == 3 and f"no split {asked}; the images of {there} serve as both" in said


def test_train_alone_is_divided_with_a_word(tmp_path):
    fill(tmp_path / "Training", 80)
    found, said = told(lambda: ids(tmp_path, "test"))
    assert 0 < len(found) < 20 and "train is its only split; it is divided" in said


@pytest.mark.parametrize("how", ["as a domain", "in a root"])
def test_cyclegans_layout_is_called_by_name(tmp_path, how):
    for k, name in enumerate(("trainA", "trainB", "testA", "testB")):
        fill(tmp_path / name, 2, start=10 * k)
    with pytest.raises(ValueError, match=rf"data=horse2zebra data\.root={tmp_path}"):
        if how == "as a domain":
            ids(tmp_path, "train")
        else:
            ids("horse", "train", root=str(tmp_path))


def test_files_of_other_kinds_are_counted_by_suffix(tmp_path):
    fill(tmp_path / "test", 2)
    for name in ("a.HEIC", "b.heic", "c.psd", "README", "Thumbs.db", ".DS_Store"):
        (tmp_path / "test" / name).write_bytes(b"x")
    _, said = told(lambda: ids(tmp_path, "test"))
    assert "4 files are no pictures that can be read (2 .heic, 1 .psd, 1 without suffix)" in said


def test_what_cannot_be_listed_is_not_empty(tmp_path, monkeypatch):
    fill(tmp_path / "train", 2)
    fill(tmp_path / "test", 2)
    inner = os.scandir

    def closed(place):
        if str(place).endswith("test"):
            raise PermissionError(13, "Permission denied", str(place))
        return inner(place)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(ValueError, match="test cannot be listed: Permission denied"):
        ids(tmp_path, "train")


@pytest.mark.parametrize("kind", ["pipe", "broken link"])
def test_what_is_no_file_is_named_and_does_not_wait(tmp_path, kind):
    fill(tmp_path / "test", 2)
    if kind == "pipe":
        os.mkfifo(tmp_path / "test" / "x.png")
    else:
        (tmp_path / "test" / "x.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=r"1 of 3 images of .* cannot be read: x\.png"):
        ids(tmp_path, "test")


def test_a_broken_zip_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x05\x06" + bytes(18) + b"rest"[:0])
    fill(tmp_path / "b", 2)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("notes.txt", "none")
    for name in ("a.zip", "c.zip"):
        with pytest.raises(ValueError, match=name):
            ids(tmp_path / name, "train")


def domains(source: object, target: object, **options: str) -> list[str]:
    chosen = [f"data.{key}={value}" for key, value in options.items()]
    module = data(
        "folder", f"data.source={source}", f"data.target={target}", "data.size=8", *chosen
    )
    return module.domain("source", "all").ids


def same(tmp_path: Path, how: str) -> tuple[object, object, dict[str, str]]:
    """Two domains that are one, and options."""
    a, b = tmp_path / "a", tmp_path / "b"
    fill(a, 3)
    if how == "link":
        b.symlink_to(a)
    elif how == "copy":
        shutil.copytree(a, b)
    elif how == "copy under other names":
        b.mkdir()
        for k, file in enumerate(sorted(a.iterdir())):
            shutil.copy(file, b / f"x{k}.png")
    elif how == "hard links":
        b.mkdir()
        for file in a.iterdir():
            os.link(file, b / file.name)
    elif how == "zip":
        b = Path(shutil.make_archive(str(b), "zip", a))
    elif how == "dotted":
        return a, tmp_path / "b" / ".." / "a" if b.mkdir() is None else None, {}
    elif how == "inside":
        fill(a / "inner", 2, start=9)
        return a, a / "inner", {}
    elif how == "around":
        return tmp_path, a, {}
    elif how == "by a root":
        return "a", "./a", {"root": str(tmp_path)}
    return a, b, {}


@pytest.mark.parametrize(
    "how",
    ["link", "copy", "copy under other names", "hard links", "zip", "dotted", "inside", "around",
     "by a root"],
)  # fmt: skip
def test_domains_that_are_one_are_refused(tmp_path, how):
    source, target, options = same(tmp_path, how)
    with pytest.raises(ValueError, match="same folder|overlap in|copies of the other"):
        domains(source, target, **options)


def test_some_copies_are_said(tmp_path):
    fill(tmp_path / "a", 5)
    fill(tmp_path / "b", 5, start=3)
    found, said = told(lambda: domains(tmp_path / "a", tmp_path / "b"))
    assert len(found) == 5 and "2 are copies of the other's" in said


@pytest.mark.parametrize(("key", "value"), [("source", "''"), ("target", "' '"), ("root", "''")])
def test_an_empty_path_is_not_the_working_directory(tmp_path, key, value, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "a", 3)
    fill(tmp_path / "b", 3, start=9)
    options = {"source": "a", "target": "b", key: value}
    with pytest.raises((ValueError, InstantiationException), match="empty path; was it a shell"):
        domains(**options)


@pytest.mark.parametrize("other", ["001.jpg", "001.PNG", "001.webp"])
def test_two_files_of_one_stem_in_a_pair_are_refused(tmp_path, other):
    for k, domain in enumerate("AB"):
        fill(tmp_path / "train" / domain, 3, start=0)
        colour(99 + k).save(tmp_path / "train" / domain / "005.png")
    colour(50).save(tmp_path / "train" / "B" / other)
    module = data("paired_folder", f"data.root={tmp_path}", "data.size=8")
    with pytest.raises(ValueError, match=rf"001\.png and {other}|{other} and 001\.png"):
        module.viewed("all")


def test_masks_of_one_stem_are_refused(tmp_path):
    fill(tmp_path / "masks", 2)
    colour(3).save(tmp_path / "masks" / "001.bmp")
    from egsde.data.beside import Beside

    with pytest.raises(ValueError, match=r"data\.mask=.*001\.bmp and 001\.png"):
        Beside("data.mask", str(tmp_path / "masks"))


COMPOSED, APART = normalize("NFC", "café"), normalize("NFD", "café")


def test_names_in_two_unicode_forms_are_one(tmp_path):
    for domain, name, value in (("A", COMPOSED, 1), ("B", APART, 2)):
        fill(tmp_path / domain, 2, start=10 * value)
        colour(value).save(tmp_path / domain / f"{name}.png")
    store = PairedFolders(root=str(tmp_path))
    a, b = (store.images(domain, "all", 8) for domain in "AB")
    assert f"{COMPOSED}.png" in a.ids and f"{COMPOSED}.png" in b.ids
    assert b.array(b.ids.index(f"{COMPOSED}.png"))[0, 0, 0] == 2
    (tmp_path / "A" / f"{APART}.png").write_bytes(encoded(colour(3)))
    with pytest.raises(ValueError, match="differ only in how the accents are stored"):
        PairedFolders(root=str(tmp_path)).images("A", "all", 8)


@pytest.mark.parametrize(("size", "fine"), [((16, 8), True), ((17, 8), True), ((8, 8), False),
                                            ((8, 16), False), ((24, 8), False)])  # fmt: skip
def test_side_by_side_is_twice_as_wide_as_high(tmp_path, size, fine):
    (tmp_path / "train").mkdir()
    for k in range(3):
        Image.new("RGB", size, (k, 0, 0)).save(tmp_path / "train" / f"{k}.png")
    module = data("side_by_side", f"data.root={tmp_path}", "data.size=8", "data.source=left",
                  "data.target=right")  # fmt: skip
    if fine:
        assert len(module.domain("source", "all")) == 3
        return
    with pytest.raises(ValueError, match=f"3 of 3.*{size[0]}x{size[1]} pixels are not two squares"):
        module.domain("source", "all")


@pytest.mark.parametrize("name", ["@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "__MACOSX"])
def test_files_that_no_person_put_there_are_no_pictures(tmp_path, name):
    """Thumbnails and deleted pictures lie in folders of their own, in a zip, too."""
    fill(tmp_path / "cats", 3)
    fill(tmp_path / "cats" / name, 2, start=20)
    shutil.make_archive(str(tmp_path / "cats"), "zip", tmp_path / "cats")
    for place in ("cats", "cats.zip"):
        images = Folders().images(str(tmp_path / place), "all", 8)
        assert [i.rpartition("/")[2] for i in images.ids] == ["000.png", "001.png", "002.png"]
