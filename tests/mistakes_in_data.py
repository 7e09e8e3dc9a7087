"""Mistakes in pictures, folders, masks and the files of earlier runs, with words of each answer."""

from __future__ import annotations

import os
import shutil
import warnings
import zipfile
from pathlib import Path
from unicodedata import normalize

import numpy as np
from PIL import Image
from torch import nn

from answers import Do, Row
from egsde.data import Folders
from egsde.data.beside import Beside
from egsde.data.compared import compared
from egsde.data.drawing import drawing
from egsde.data.images import decode
from egsde.programs.agreement import check_networks
from egsde.programs.folders import refuse_elsewhere
from egsde.programs.records import claim, continued, refuse_inside
from folders import colour, data, encoded, fill
from picture_files import HALF, alpha, palette, png16, tiff

TRAIN, VAL, TEST = "train", "val", "test"


def said(act: Do) -> Do:
    """What is warned of, as if it were an answer: it is told, and the run goes on."""

    def do(folder: Path) -> None:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            act(folder)
        if found:
            raise ValueError(" ".join(str(w.message) for w in found))

    return do


def folders(*names: str, split: str = TRAIN, root: bool = False, count: int = 2) -> Do:
    """Pictures in folders of these names below the domain `cats`, and one split of it opened."""

    def do(folder: Path) -> None:
        for k, name in enumerate(names):
            fill(folder / "cats" / name, count, start=10 * k)
        store = Folders(root=str(folder)) if root else Folders()
        store.images("cats" if root else str(folder / "cats"), split, 8)

    return do


def files(*names: str, split: str = "all") -> Do:
    """Files of these names, that hold text, beside two pictures."""

    def do(folder: Path) -> None:
        fill(folder / "test", 2)
        for name in names:
            (folder / "test" / name).write_text("text")
        Folders().images(str(folder), split, 8)

    return do


def picture(content: bytes) -> Do:
    return lambda folder: decode(content)


def mask(content: bytes) -> Do:
    return lambda folder: drawing(content)


def deep(top: int) -> Do:
    def do(folder: Path) -> None:
        (folder / "test").mkdir()
        for k in range(3):
            pixels = np.full((8, 8, 1), top - k, np.uint16)
            (folder / "test" / f"{k}.png").write_bytes(png16(pixels))
        Folders().images(str(folder), "test", 8)

    return do


def two(source: str, target: str, prepare: Do) -> Do:
    """The data module of two domains below the folder."""

    def do(folder: Path) -> None:
        fill(folder / "a", 3)
        prepare(folder)
        pair = [f"data.source={folder / source}", f"data.target={folder / target}"]
        data("folder", *pair, "data.size=8").domain("source", "all")

    return do


def empty(**domains: str) -> Do:
    def do(folder: Path) -> None:
        given = {"root": f"{folder}", "source": "a", "target": "b"} | domains
        data("folder", *(f"data.{k}={v}" for k, v in given.items())).domain("source", "all")

    return do


def masked(shape: tuple[int, int], name: str = "0.png") -> Do:
    def do(folder: Path) -> None:
        for domain in "ab":
            (folder / "test" / domain).mkdir(parents=True)
            Image.new("RGB", (8, 8), (ord(domain), 9, 9)).save(folder / "test" / domain / "0.png")
        (folder / "masks").mkdir()
        Image.new("L", shape, 255).save(folder / "masks" / name)
        data("folder", f"data.root={folder}", "data.source=a", "data.target=b", "data.size=8",
             f"data.mask={folder / 'masks'}").translation_loader("test").dataset[0]  # fmt: skip

    return do


def stems(*names: str) -> Do:
    def do(folder: Path) -> None:
        for name in names:
            colour(len(name)).save(folder / name)
        Beside("data.mask", str(folder))

    return do


def pairs(*others: str) -> Do:
    def do(folder: Path) -> None:
        fill(folder / "train" / "A", 3)
        fill(folder / "train" / "B", 3, start=1)
        for k, name in enumerate(others):
            colour(50 + k).save(folder / "train" / "B" / name)
        module = data("paired_folder", f"data.root={folder}", "data.size=8")
        module.viewed("all")

    return do


def halves(width: int, height: int) -> Do:
    def do(folder: Path) -> None:
        (folder / "train").mkdir()
        Image.new("RGB", (width, height)).save(folder / "train" / "0.png")
        module = data("side_by_side", f"data.root={folder}", "data.size=8", "data.source=left",
                      "data.target=right")  # fmt: skip
        module.domain("source", "all")

    return do


def accents(folder: Path) -> None:
    for k, form in enumerate(("NFC", "NFD")):
        (folder / "test").mkdir(exist_ok=True)
        colour(k).save(folder / "test" / f"{normalize(form, 'café')}.png")
    Folders().images(str(folder), "test", 8)


def network(kind: str, side: str = "target", **saved: object) -> Do:
    """A network whose file records other data than the run's, cats to dogs at 32 px."""

    def do(folder: Path) -> None:
        net, accuracy = nn.Identity(), saved.pop("accuracy", None)
        record = {"kind": kind, "side": side, "file": "w.safetensors", "option": "score.weights"}
        trained_on = {"source": "cats", "target": "dogs", "size": 32, "extra": []} | saved
        validation = {} if accuracy is None else {"val/accuracy/t0.0-0.1": accuracy}
        net.record = record | {"data": trained_on, "validation": validation}  # type: ignore
        given = ["data.source=photos/cats", "data.target=dogs.zip", "data.size=32"]
        check_networks([net], data("folder", *given))

    return do


def owned(program: str, **held: str) -> Do:
    def do(folder: Path) -> None:
        for name, text in held.items():
            (folder / name.replace("_", ".")).write_text(text)
        claim(folder, f"{program}.py")

    return do


def foreign(*names: str) -> Do:
    def do(folder: Path) -> None:
        for name in names:
            (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "images" / name).write_bytes(b"mine")
        continued(folder, {"config": {}, "weights": {}})

    return do


def record(text: str) -> Do:
    def do(folder: Path) -> None:
        (folder / "run.json").write_text(text)
        continued(folder, {"config": {"seed": 1}, "weights": {"score": "b2"}})

    return do


def inside(folder: Path) -> None:
    (folder / "cats").mkdir()
    refuse_inside(folder / "cats" / "run", [str(folder / "cats")], None)


def elsewhere(folder: Path) -> None:
    refuse_elsewhere({"callbacks": {"export": {"out": "runs/old"}}}, folder)


def pipe(folder: Path) -> None:
    fill(folder / "test", 2)
    os.mkfifo(folder / "test" / "x.png")
    Folders().images(str(folder), "test", 8)


def link(folder: Path) -> None:
    fill(folder / "test", 2)
    (folder / "test" / "x.png").symlink_to(folder / "gone.png")
    Folders().images(str(folder), "test", 8)


def nothing(folder: Path) -> None:
    fill(folder / "test", 2)
    (folder / "test" / "e.png").write_bytes(b"")
    Folders().images(str(folder), "test", 8)


def archive(*names: str) -> Do:
    def do(folder: Path) -> None:
        with zipfile.ZipFile(folder / "a.zip", "w") as file:
            for k, name in enumerate(names):
                file.writestr(name, encoded(colour(k)))
        Folders().images(str(folder / "a.zip"), "train", 8)

    return do


def no_zip(folder: Path) -> None:
    (folder / "a.zip").write_text("<html>")
    Folders().images(str(folder / "a.zip"), "train", 8)


def out_in_a_file(below: str) -> Do:
    def do(folder: Path) -> None:
        (folder / "notes").write_text("text")
        (folder / "notes" / below).mkdir(parents=True, exist_ok=True)

    return do


def no_zip_called(name: str) -> Do:
    def do(folder: Path) -> None:
        (folder / name).write_bytes(b"\x1f\x8b" + bytes(99))
        Folders().images(str(folder / name), "train", 8)

    return do


MIXED, NAMED = "whose images would be mixed", "looks like a split and is not used"
SPLITS = [
    *(
        Row(f"a folder {one}/ beside {two}/", folders(one, two), "both a folder of the split")
        for one, two in (("val", "validation"), ("val", "valid"), ("train", "Training"),
                         ("test", "testing"), ("TEST", "test"), ("dev", "val"))
    ),
    *(
        Row(f"pictures in album/ and in {deeper}/", folders("album", deeper), MIXED)
        for deeper in ("more/train", "x/y/Test", "old/validation", "2024/dev")
    ),
    *(
        Row(f"train/, test/ and {name}/", said(folders("train", "test", name)), NAMED)
        for name in ("test2", "train_small", "val-old", "tset", "trian", "holdout", "eval",
                     "cats_test", "testA", "Testset", "catsVal")
    ),
    *(
        Row(f"an undivided folder with {name}/ in it", said(folders("album", name, split="all")),
            "looks like a split and is none")
        for name in ("test_new", "my-val", "vaild", "evaluation", "Testdata", "oldTest")
    ),
    Row("trainA/, trainB/ as one domain", folders("trainA", "trainB"), "data=horse2zebra"),
    Row("testA/ alone as a domain", folders("testA"), "data=horse2zebra"),
    Row("a picture beside train/ and test/", said(folders("train", "test", "")),
        "2 pictures lie in no split"),
    Row("a folder beside train/ and test/", said(folders("train", "test", "more")),
        "2 pictures lie in no split"),
    Row("no test/, but val/", said(folders("train", "val", split=TEST)), "val serve as both"),
    Row("no val/, but test/", said(folders("train", "test", split=VAL)), "test serve as both"),
    Row("train/ alone", said(folders("training", split=TRAIN, count=9)), "its only split"),
    Row("test/ alone, for training", folders("test"), "(split train)"),
    Row("val/ and test/, for training", folders("val", "test"), "(split train)"),
    Row("a split of another name", folders("train", split="tset"), "split 'tset' is unknown"),
    Row("two pictures, undivided, for all splits", folders("", split=VAL), "falls into val"),
    Row("a root without the domain", lambda f: Folders(root=str(f)).images("cats", TRAIN, 8),
        "no images of 'cats'"),
    Row("a root that is not there", lambda f: Folders(root=f"{f}/x").images("cats", TRAIN, 8),
        "which does not exist"),
    *(
        Row(f"`data.source={name}`", lambda f, n=name: Folders().images(n, TRAIN, 8), words)
        for name, words in (("https://host/cats.zip", "download it first"),
                            ("s3://bucket/cats", "it is an address"),
                            ("$DATA/cats", "may be in single quotes"),
                            ("cats/*.png", "patterns are not read: name the folder"))
    ),
    Row("a domain that is not there", lambda f: Folders().images(f"{f}/cats", TRAIN, 8),
        "which does not exist"),
    Row("`out=` that is a file", out_in_a_file(""), "is a file, or lies in one, and a folder"),
    Row("`out=` inside a file", out_in_a_file("run"), "is a file, or lies in one, and a folder"),
    Row("a file that is no zip as a domain", no_zip, "neither a folder nor a zip archive"),
    *(Row(f"`{name}` as a domain", no_zip_called(name), words) for name, words in [
        ("cats.tar.gz", "unpack it (tar -xf cats.tar.gz)"), ("cats.tar", "unpack it"),
        ("cats.tgz", "unpack it"), ("cats.7z", "unpack it and name the folder"),
        ("cats.rar", "unpack it"), ("cats.csv", "lists of paths are not read"),
        ("train.txt", "lists of paths are not read"), ("cats.parquet", "as files, such as PNG"),
        ("cats.h5", "as files, such as PNG"), ("cats.docx", "name the folder that holds"),
    ]),
    Row("a zip with two folders of one split", archive("a/val/x.png", "a/valid/y.png"), "both"),
    Row("a zip with splits at two depths", archive("a/x.png", "b/test/y.png"), MIXED),
    Row("a zip without pictures", archive("notes.txt"), "no images of"),
]  # fmt: skip
DOMAINS = [
    Row("one folder by two paths", two("a", "x/../a", lambda f: (f / "x").mkdir()), "same folder"),
    Row(
        "a folder and a link to it",
        two("a", "b", lambda f: (f / "b").symlink_to(f / "a")),
        "same folder",
    ),
    Row(
        "a folder and a copy of it",
        two("a", "b", lambda f: shutil.copytree(f / "a", f / "b")),
        "copies of the other",
    ),
    Row(
        "a folder and a zip of it",
        two("a", "b.zip", lambda f: shutil.make_archive(str(f / "b"), "zip", f / "a")),
        "copies",
    ),
    Row(
        "a domain in the other",
        two("a", "a/in", lambda f: fill(f / "a" / "in", 2, start=9)),
        "overlap in 2 files",
    ),
    Row("a domain around the other", two(".", "a", lambda f: fill(f / "c", 1, start=9)), "overlap"),
    Row(
        "some files in both",
        said(two("a", "b", lambda f: fill(f / "b", 3, start=2))),
        "1 are copies of the other's",
    ),
    Row("`data.source=$UNSET`", empty(source="''"), "data.source is an empty path"),
    Row("`data.target=' '`", empty(target="' '"), "data.target is an empty path"),
    Row("`data.root=$UNSET`", empty(root="''"), "data.root is an empty path"),
    Row("pairs with 001.png and 001.jpg", pairs("001.jpg"), "have the same name but for"),
    Row("pairs with 003.png and 003.PNG", pairs("003.PNG"), "have the same name but for"),
    Row("pairs, one without a partner", said(pairs("x.png")), "have no partner and are left out"),
    Row("a name in two Unicode forms", accents, "differ only in how the accents are stored"),
    Row("side by side, but square", halves(8, 8), "8x8 pixels are not two squares"),
    Row("side by side, but on top of each other", halves(8, 16), "8x16 pixels are not two"),
    Row("three side by side", halves(24, 8), "24x8 pixels are not two squares"),
]
PICTURES = [
    Row("`evaluate.py output=nowhere`", lambda folder: compared(str(folder / "no")), "not exist"),
    Row(
        "a picture of 16 bits a channel, written as text",
        lambda folder: decode(b"P3 1 1 65535 1 2 3"),
        "written as text is not read; save it as PNG",
    ),
    Row("a web page named .jpg", files("x.jpg"), "x.jpg (not an image)"),
    Row("three texts named like pictures", files("x.webp", "y.tif", "z.avif"), "3 of 5 images"),
    Row("an empty file named .png", nothing, "e.png"),
    Row("files of other kinds", said(files("x.heic", "y.HEIC", "z.txt", split="all")),
        "3 files are no pictures that can be read (2 .heic, 1 .txt)"),
    Row("a link that leads nowhere", link, "x.png"),
    Row("a pipe named .png", pipe, "not a regular file"),
    Row("10 bits in 16-bit files", deep(1023), "as if 10 bits had been put into 16"),
    Row("12 bits in 16-bit files", deep(4095), "would come out black"),
    Row("14 bits in 16-bit files", said(deep(16383)), "they come out dark"),
    Row("32-bit integers", picture(tiff(np.array([[0, 70000]], np.int32), sample_format=2)),
        "integers from 0 to 70000 have no known range"),
    Row("16-bit signed integers", picture(tiff(np.array([[-3, 9]], np.int16), sample_format=2)),
        "integers from -3 to 9"),
    Row("signed bytes", picture(tiff(np.array([[-3, 9]], np.int8), sample_format=2)), "signed"),
    Row("float pixels", picture(tiff(np.array([[0, 1]], np.float32), sample_format=3)), "float"),
]  # fmt: skip
MASKS = [
    Row("a mask of another shape", masked((16, 12)), "16x12 pixels, another shape than 0.png"),
    Row("a tall mask", masked((8, 24)), "8x24 pixels, another shape than 0.png"),
    Row("a mask smaller than the images", masked((4, 4)), "4x4 pixels, fewer than the images"),
    Row("masks named otherwise", masked((8, 8), "mask_0.png"), "has nothing for 1 of 1 images"),
    Row("masks 001.png and 001.bmp", stems("001.png", "001.bmp"), "have the same name"),
    Row("masks in a folder that is not there", lambda f: Beside("data.mask", f"{f}/no"), "exist"),
    Row("a folder without masks", lambda f: Beside("data.mask", str(f)), "holds no pictures"),
    Row("a mask in its transparency", mask(alpha(255 * HALF)), "partly transparent"),
    Row("the same, inverted", mask(alpha(255 * (1 - HALF))), "partly transparent"),
    Row("a coloured mask", mask(encoded(colour(120))), "it is coloured"),
    Row(
        "a label map as a mask",
        mask(encoded(Image.fromarray((HALF * 7).astype(np.uint8)))),
        "nothing in it is white",
    ),
    Row("a mask with a palette of one colour", mask(palette([9] * 6)), "palette are the same"),
    Row("a mask of -1 and 0", mask(tiff(-HALF.astype(np.int16), sample_format=2)), "below 0"),
    Row(
        "a mask with NaN",
        mask(tiff(np.where(HALF, np.nan, 0).astype(np.float32), sample_format=3)),
        "are NaN",
    ),
    Row(
        "a mask of 0 and a million",
        mask(tiff((HALF * 10**6).astype(np.int32), sample_format=2)),
        "of no known range",
    ),
    Row("a text as a mask", mask(b"text"), "not an image"),
]
FOLDERS = [
    Row(
        "`sample.py out=` with own pictures in images/", foreign("a.png", "b.png"), "holds 2 files"
    ),
    Row("the same, deeper", foreign("x/y/a.jpg"), "holds 1 files"),
    Row("`sample.py out=` with run.json deleted", foreign("000.png"), "no run.json"),
    Row(
        "`sample.py` with another seed",
        record('{"config": {"seed": 0}, "weights": {}}'),
        "config.seed was 0, is 1",
    ),
    Row(
        "`sample.py` with other networks",
        record('{"config": {"seed": 1}, "weights": {"score": "a1"}}'),
        "weights.score was a1",
    ),
    Row("a damaged run.json", record('{"config": '), "is damaged"),
    Row("`sample.py` in a training's folder", owned("sample", config_yaml="x: 1"), "of train.py"),
    Row(
        "`evaluate.py` in a training's folder",
        owned("evaluate", weights_safetensors="x"),
        "of train.py",
    ),
    Row(
        "`train.py` in a translation's folder",
        owned("train", run_json='{"program": "sample.py"}'),
        "of sample.py",
    ),
    Row(
        "`evaluate.py` in a translation's folder", owned("evaluate", run_json="{}"), "of sample.py"
    ),
    Row(
        "`sample.py` in an evaluation's folder",
        owned("sample", likelihood_json="{}"),
        "of evaluate.py",
    ),
    Row(
        "`train.py` in an evaluation's folder",
        owned("train", run_json='{"program": "evaluate.py"}'),
        "of evaluate.py",
    ),
    Row("`out=` in the source's folder", inside, "lies in the folder of the domain"),
    Row("a callback that writes into another run", elsewhere, "is not in this run's folder"),
]


NETWORKS = [
    Row("a score of another domain", network("score", target="wolves"), "wolves in the file, dogs"),
    Row(
        "a score of the source",
        network("score", target="cats"),
        "this one as source_score.weights, leaving score@source_score away",
    ),
    Row("a source score of the target", network("score", "source"), "dogs in the file, cats in"),
    Row("a score at another size", network("score", size=64), "data.size: 64 in the file, 32"),
    Row(
        "a classifier of the other order",
        network("classifier", source="dogs", target="cats"),
        "['dogs', 'cats'] in the file",
    ),
    Row("a classifier of other domains", network("classifier", source="foxes"), "'foxes'"),
    Row("a classifier at another size", network("classifier", size=256), "data.size: 256"),
    Row(
        "a conditional score of the other direction",
        network("conditional", source="dogs", target="cats"),
        "['dogs', 'cats'] in the file",
    ),
    Row("a cycle of other domains", network("cycle", target="wolves"), "'wolves'"),
    Row("a classifier near chance", said(network("classifier", accuracy=0.52)), "52%"),
    Row(
        "the emoji's score on own data",
        network("score", source="flat", target="3d"),
        "3d in the file, dogs in this run",
    ),
]
SECTIONS = {
    "Splits and folders": SPLITS,
    "Domains and pairs": DOMAINS,
    "Pictures": PICTURES,
    "Masks": MASKS,
    "Networks": NETWORKS,
    "Folders of runs": FOLDERS,
}
