"""A second attack on the readers: archives that lie of their sizes, pictures and arrays of odd
heads, records that lead elsewhere, modules and settings that lie in the working folder."""

from __future__ import annotations

import io
import json
import struct
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import egsde
from egsde.codecs import load_codec
from egsde.data import Folders
from egsde.evaluation.metrics import inception_weights
from egsde.evaluation.pages import load_trajectory
from egsde.networks import read_weights
from egsde.programs import ended, pairs
from egsde.programs.callbacks.checkpoints import read
from egsde.programs.callbacks.same_run import check_folder
from egsde.programs.commands import check_command
from egsde.programs.folders import refuse_elsewhere
from egsde.programs.foreign import _check_wandb
from egsde.programs.opened import opened
from egsde.scores import files
from egsde.scores.students import load_student
from egsde.scores.translators import load_generator
from egsde.sde import DDPM
from test_hostile import MARK, genuine, refused, weights
from test_hostile_containers import MOST, answered
from test_hostile_runs import a_run

LIES = 2**25  # bytes that a member unpacks to, where its archive says a thousand


def lying(path: Path, method: int, content: bytes = bytes(LIES), name: str = "train/a.png") -> Path:
    """A zip whose member unpacks to more than it says."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
        archive.writestr("train/b.png", b"x")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 1000)
    path.write_bytes(data)
    return path


NAMES = ("a.png", "a.npy", "a.npz", "a.tif", "a.nii.gz", "a.gif", "a.dcm")


@pytest.mark.parametrize(
    ("method", "name"),
    [*((zipfile.ZIP_DEFLATED, f"train/{name}") for name in NAMES),
     (zipfile.ZIP_BZIP2, "train/a.png"), (zipfile.ZIP_BZIP2, "train/a.npz"),
     (zipfile.ZIP_LZMA, "train/a.png"), (zipfile.ZIP_LZMA, "train/a.nii.gz")],
)  # fmt: skip
def test_members_that_say_less_than_they_are(tmp_path, method, name):
    head = b"PK" if name.endswith("npz") else b"\x1f\x8b" if name.endswith("gz") else b""
    path = lying(tmp_path / "lie.zip", method, head + bytes(LIES), name)
    answered(path)


def png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (8, 8), kind: int = 2) -> bytes:
    """A PNG of these chunks between head and pixels."""
    lines = zlib.compress(bytes((1 + 3 * 8) * 8))
    every = [(b"IHDR", struct.pack(">IIBBBBB", *size, 8, kind, 0, 0, 0)), *chunks,
             (b"IDAT", lines), (b"IEND", b"")]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in every
    )


def tiff(*tags: tuple[int, int, int, int], following: int = 0, count: int | None = None) -> bytes:
    """A TIFF of one directory, which says that it has `count` entries and another one follows."""
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    total = len(tags) if count is None else count
    return struct.pack("<2sHIH", b"II", 42, 8, total) + body + struct.pack("<I", following)


def bmp(side: int, bits: int, packed: int = 0, colours: int = 0) -> bytes:
    head = (99, 0, 0, 54, 40, side, side, 1, bits, packed, 0, 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", *head)


def npy(header: str, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + size + text + body


def plain(kind: str, shape: str = "(8, 8)", body: int = 0, version: bytes = b"\x01\x00") -> bytes:
    """An array of this type and shape, and so many bytes."""
    head = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}"
    return npy(head, bytes(body), version)


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return file.getvalue()


BIG = zlib.compress(bytes(LIES), 9)
USUAL = ((256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
         (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64))  # fmt: skip
PICTURES: dict[str, bytes] = {
    "text.png": png((b"zTXt", b"a\0\0" + BIG)),
    "international.png": png((b"iTXt", b"a\0\1\0\0\0" + BIG)),
    "profile.png": png((b"iCCP", b"a\0\0" + BIG)),
    "no_profile.png": png((b"iCCP", b"a\0\0" + zlib.compress(b"no profile at all" * 9))),
    "wide.png": png(size=(2**31 - 1, 1)),
    "high.png": png(size=(1, 2**31 - 1)),
    "none.png": png(size=(0, 8)),
    "more.png": png(size=(4000, 4000)),
    "frames.png": png((b"acTL", struct.pack(">II", 2**31, 0))),
    "loop.tif": tiff(*USUAL, following=8) + bytes(64),
    "entries.tif": tiff(*USUAL, count=65535),
    "tag.tif": tiff(*USUAL, (305, 2, 2**32 - 1, 8)),
    "strips.tif": tiff(*USUAL[:5], (273, 4, 2**30, 8), *USUAL[6:]),
    "samples.tif": tiff(*USUAL[:6], (277, 3, 1, 65535), *USUAL[7:]),
    "bits.tif": tiff(*USUAL[:2], (258, 3, 1, 0), *USUAL[3:]),
    "side.tif": tiff((256, 4, 1, 2**32 - 1), *USUAL[1:]),
    "subdirectory.tif": tiff(*USUAL, (330, 4, 2**20, 8)),
    "exif.tif": tiff(*USUAL, (34665, 4, 1, 8)),
    "far.tif": tiff(*USUAL[:5], (273, 4, 1, 2**32 - 1), *USUAL[6:]),
    "many.bmp": bmp(2**30, 24),
    "palette.bmp": bmp(8, 8, colours=2**31 - 1),
    "runs.bmp": bmp(8, 8, packed=1) + b"\0\2\xff\xff" * 99,
    "grey.ppm": b"P6 99999 99999 255 ",
    "comments.ppm": b"P6 " + b"#" * 2**16,
    "digits.ppm": b"P6 " + b"9" * 2**16 + b" 1 255 ",
    "signed.ppm": b"P6 -8 8 255 " + bytes(192),
    "depth.ppm": b"P6 8 8 0 " + bytes(192),
    "screen.gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"\x3b",
    "jpeg.jpg": b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + b"\1\x22\0" * 3 + b"\xff\xd9",
    "components.jpg": b"\xff\xd8\xff\xc0\x00\x0b\x08\0\x08\0\x08\xff" + bytes(9) + b"\xff\xd9",
    "exif.jpg": b"\xff\xd8\xff\xe1\xff\xffExif\0\0" + bytes(99),
    "riff.webp": b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\xff\xff\xff\xff\xff",
    "box.jp2": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \xff\xff\xff\xffjp2h",
    "icon.png": b"\0\0\1\0\1\0" + bytes(40),
    "layers.png": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(40),
    "drawing.jpg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>",
    "document.png": b"%PDF-1.4\n1 0 obj",
    "metafile.png": b"\xd7\xcd\xc6\x9a" + bytes(80),
    "texture.png": b"DDS |\0\0\0" + bytes(120),
    "sun.png": b"\x59\xa6\x6a\x95" + bytes(28),
    "fits.png": b"SIMPLE  =                    T" + b" " * 2850,
    "objects.npy": plain("'|O'", "(8, 8)", 64),
    "fields.npy": plain("[('a', '<f4'), ('b', '|O')]", "(8,)"),
    "code.npy": npy("__import__('os').system('touch made_by_a_stranger')"),
    "deep.npy": npy("[" * 5000),
    "long.npy": npy(" " * 2**20, version=b"\x02\x00"),
    "terabytes.npy": plain("'<f8'", "(1099511627776, 8)"),
    "negative.npy": plain("'<f8'", "(-8, 8)", 512),
    "nothing.npy": plain("'|V0'", "(8, 8)"),
    "texts.npy": plain("'<U9'", "(8, 8)", 2304),
    "times.npy": plain("'<M8[s]'", "(8, 8)", 512),
    "complex.npy": plain("'<c8'", "(8, 8)", 512),
    "number.npy": plain("'<f8'", "()", 8),
    "version.npy": plain("'<f8'", "(8, 8)", version=b"\x09\x00"),
    "terabytes.npz": zipped(image__npy=plain("'<f8'", "(1099511627776, 8)")),
    "objects.npz": zipped(image__npy=plain("'|O'", "(8, 8)", 64)),
    "no_array.npz": zipped(image__npy=b"text"),
    "empty.npz": zipped(),
    "nested.npz": zipped(image__npz=zipped(a__npy=b"x")),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_odd_heads(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / name).write_bytes(PICTURES[name])
    answered(tmp_path, called=name)
    assert not (tmp_path / MARK).exists()


HARMLESS = {  # parts that no picture needs: it is read without them, in little memory
    "no_profile.png": PICTURES.pop("no_profile.png"),
    **{name: PICTURES.pop(name) for name in ("frames.png", "loop.tif", "tag.tif",
                                             "subdirectory.tif", "exif.tif")},
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_parts_that_no_picture_needs(tmp_path, name):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / name).write_bytes(HARMLESS[name])
    tracemalloc.start()
    try:
        assert Folders().images(str(tmp_path), "test", 8).array(0).shape == (8, 8, 3)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def doubled(inner: Any, kind: type) -> Any:
    """A value in 2**60 lists or tables, each in the next one twice."""
    for _ in range(60):
        inner = [inner, inner] if kind is list else {"a": inner, "b": inner}
    return inner


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize("suffix", ["pt", "pth", "bin", "ckpt"])
def test_lists_that_stand_in_themselves(tmp_path, monkeypatch, kind, suffix):
    monkeypatch.setattr("egsde.networks.files.MOST", 10**4)
    path = tmp_path / f"net.{suffix}"
    nested = doubled(torch.zeros(1), kind)
    whole = {"state_dict": {"network.a": torch.zeros(1)}, "global_step": 1, "loops": nested}
    torch.save(whole if suffix == "ckpt" else nested, path)
    refused(path, lambda: read_weights(path), tmp_path / MARK)
    if suffix == "ckpt":
        refused(path, lambda: read(path), tmp_path / MARK)
        refused(path, lambda: files.load_score(path, DDPM()), tmp_path / MARK)


LOADERS: dict[str, Callable[[str], Any]] = {
    "score": lambda p: files.load_score(p, DDPM()),
    "extractor": lambda p: files.load_extractor(p, DDPM()),
    "labelled": lambda p: files.load_score(p, DDPM()),
    "student": lambda p: load_student(p, DDPM()),
    "generator": lambda p: load_generator(Path(p)),
    "codec": load_codec,
}
OF_READERS = {"extractor": "classifier", "codec": "autoencoder"}  # other kinds are called alike
SCORE = json.dumps(genuine("score"))
TEXTS: dict[str, Any] = {
    "named twice": SCORE.replace(
        '"class": "MLP"', '"class": "MLP", "class": "os.system"'
    ),
    "no process": {k: v for k, v in genuine("score").items() if k != "sde"},
    "no network": {"format": 2, "kind": "score"},
    "infinity": SCORE.replace('"width": 8', '"width": 1e999'),
    "not a number": SCORE.replace('"width": 8', '"width": NaN'),
    "a fraction": SCORE.replace('"width": 8', '"width": 8.5'),
    "a switch": SCORE.replace('"width": 8', '"width": true'),
    "a word": SCORE.replace('"width": 8', '"width": "8"'),
    "less than nothing": SCORE.replace('"width": 8', '"width": -8'),
    "digits": SCORE.replace('"width": 8', f'"width": {"9" * 4000}'),
    "a kind of bells": json.dumps(genuine("score") | {"kind": "\x1b[2J\a"}),
    "a long kind": json.dumps(genuine("score") | {"kind": "a" * 10**5}),
    "tables": SCORE.replace('"network": {', '"network": ' + '{"a": ' * 9000),
    "a part of Python": SCORE.replace('"MLP"', '"egsde.networks.mlp.nn.Linear"'),
    "inherited": SCORE.replace('"MLP"', '"__class__"'),
    "a process of no length": genuine("score")
    | {"sde": {"class": "DDPM", "betas": {"class": "linear_betas", "levels": 0}}},
    "levels that rise for ever": genuine("score")
    | {"sde": {"class": "NCSN", "sigmas": {"class": "geometric_sigmas", "levels": 10**9}}},
    "a process that is a network": genuine("score") | {"sde": genuine("score")["network"]},
    "a prediction that is a list": genuine("score") | {"prediction": [{"class": "Eps"}]},
    "a format that is a list": genuine("score") | {"format": [2]},
    "a format that is a switch": genuine("score") | {"format": "2"},
}  # fmt: skip


UNREAD = ("extractor", "a prediction that is a list")  # a classifier predicts nothing


@pytest.mark.parametrize(
    ("reader", "name"), [(r, n) for r in LOADERS for n in TEXTS if (r, n) != UNREAD]
)
def test_texts_before_every_reader(tmp_path, reader, name):
    text = TEXTS[name] if isinstance(TEXTS[name], str) else json.dumps(TEXTS[name])
    kind = OF_READERS.get(reader, reader)
    path = weights(
        tmp_path / "net.safetensors", text.replace('"kind": "score"', f'"kind": "{kind}"')
    )
    refused(path, lambda: LOADERS[reader](str(path)), tmp_path / MARK)


HEADS = {
    "overlapping": '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
                   '"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}',
    "a hole": '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
    "beyond the end": '{"a":{"dtype":"F32","shape":[99],"data_offsets":[0,396]}}',
    "a product that overflows": '{"a":{"dtype":"F32","shape":[4294967296,4294967296],'
                                '"data_offsets":[0,12]}}',
    "a type that is none": '{"a":{"dtype":"PY","shape":[3],"data_offsets":[0,12]}}',
    "metadata that is a number": '{"__metadata__":{"egsde":3}}',
    "metadata that is a list": '{"__metadata__":[]}',
    "nested": "[" * 9000,
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_safetensors(tmp_path, name):
    path = tmp_path / "net.safetensors"
    text = HEADS[name].encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(12))
    for load in (*LOADERS.values(), read_weights):
        refused(path, lambda load=load: load(str(path)), tmp_path / MARK)


@pytest.mark.parametrize("name", ["terabytes", "lying", "objects", "bzip2", "names", "text"])
def test_ways_of_a_strangers_images(tmp_path, name):
    path, huge = (
        tmp_path / "0.npz",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }",
    )
    if name in ("lying", "bzip2"):
        lying(path, zipfile.ZIP_BZIP2 if name == "bzip2" else zipfile.ZIP_DEFLATED, name="t.npy")
    else:
        path.write_bytes({"terabytes": zipped(t__npy=huge, step__npy=huge),
                          "objects": PICTURES["objects.npz"], "names": zipped(**{"../t": b"x"}),
                          "text": b"PK"}[name])  # fmt: skip
    tracemalloc.start()
    assert load_trajectory(path) is None and tracemalloc.get_traced_memory()[1] < MOST
    tracemalloc.stop()


OUTSIDE = {
    "a step up": {"callbacks": {"export": {"out": "OUT/../other"}}},
    "pairs of a student": {"data": {"pairs": "/elsewhere"}},
    "a logger's name": {"logger": {"board": {"save_dir": "OUT", "name": "../../other"}}},
    "a logger's version": {"logger": {"board": {"save_dir": "OUT", "name": "a", "version": "/x"}}},
    "a logger's folder": {"logger": {"wandb": {"out": "OUT", "dir": "/elsewhere"}}},
    "a neighbour": {"callbacks": {"export": {"out": "OUT-2"}}},
    "previews": {"translate": {"out": "OUT/.."}},
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_part_writes_outside_its_run(tmp_path, name):
    out = tmp_path / "run"
    config = json.loads(json.dumps(OUTSIDE[name]).replace("OUT", str(out)))
    with pytest.raises(ValueError, match="is not in this run's folder"):
        refuse_elsewhere(config, out)
    board = {"save_dir": str(out), "name": "a", "version": ""}
    mine = {"logger": {"board": board}, "data": {"pairs": f"{out}/pairs"}, "callbacks": {"x": None}}
    refuse_elsewhere(mine, out)


@pytest.mark.parametrize("key", ["base_url", "api_key", "identity_token_file", "https_proxy"])
def test_settings_of_wandb_in_the_working_folder(tmp_path, monkeypatch, key):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_DIR", raising=False)
    monkeypatch.delenv(f"WANDB_{key.upper()}", raising=False)
    (tmp_path / "wandb").mkdir()
    file = tmp_path / "wandb" / "settings"
    file.write_text("[default]\nentity = mine\nproject = mine\n")
    check_folder()
    file.write_text(f"[default]\nentity = mine\n{key} : http://127.0.0.1:9\n")
    with pytest.raises(ValueError, match=f"sets {key} of W&B") as told:
        check_folder()
    assert str(file) in str(told.value)
    monkeypatch.setenv(f"WANDB_{key.upper()}", "mine")
    check_folder()


def test_a_file_does_not_say_whose_the_data_are():
    node = {"_target_": "egsde.programs.callbacks.same_run", "out": "x", "settings": {}}
    _check_wandb({"logger": [node]})
    for more in ({"entity": "theirs"}, {"save_code": True}, {"settings": {"base_url": "x"}}):
        with pytest.raises(ValueError, match=r"allow=\[wandb\]"):
            _check_wandb({"logger": [node | more]})


def test_no_module_of_the_working_folder_is_imported(tmp_path, monkeypatch):
    """A data set that was unpacked may hold a yaml.py."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yaml.py").write_text(f"open({MARK!r}, 'w')")
    usual = [place for place in sys.path if place not in ("", str(tmp_path))]
    monkeypatch.setattr(sys, "path", usual)
    ended.launched([sys.executable, "-m", "yaml"])
    assert (tmp_path / MARK).exists() == (sys.version_info < (3, 11))
    monkeypatch.setattr(sys, "path", ["", *usual])  # this process looks there, too
    ended.launched([sys.executable, "-m", "yaml"])
    assert (tmp_path / MARK).exists()


@pytest.mark.parametrize(
    "answers",
    ['{"sheet": 1, "answers": {"0": "left"}}', '{"sheet": "a", "answers": {"0": 3}}',
     '{"sheet": "a", "answers": {"__proto__": "left"}}', '{"sheet": {}, "answers": {"0": []}}',
     '{"sheet": "a", "answers": []}', '{"answers": {}}', "[" * 9000,
     '{"sheet": "\\u001b[2J", "answers": {"0": "left"}}',
     '{"sheet": "a", "answers": {"99": "left"}, "answers": {"0": null}}', "\0", '"a"',
     '{"sheet": "a", "study": "other", "answers": {"0": "left"}}'],
    ids=range(12),
)  # fmt: skip
def test_what_people_send_back(tmp_path, capsys, answers):
    key = {"study": "s", "systems": ["a", "b"],
           "pairs": {"0": {"left": "a", "right": "b", "image": "x"}}}  # fmt: skip
    (tmp_path / "key.json").write_text(json.dumps(key))
    (tmp_path / "sheet.json").write_text(answers)
    try:
        pairs.main(["score", str(tmp_path / "sheet.json")])
    except ValueError as error:
        assert "sheet.json" in str(error) or "key.json" in str(error), error
    assert "\x1b" not in capsys.readouterr().out


SCORE_OF = {"_target_": "egsde.scores.files.load_score", "weights": "demo/3d.safetensors"}
TRANSLATOR = {
    "_target_": "egsde.methods.sdedit", "score": SCORE_OF, "t_start": 0.3,
    "sampler": {"_target_": "egsde.sampling.Sampler",
                "solver": {"_target_": "egsde.solvers.DDIM"},
                "grid": {"_target_": "egsde.sampling.Uniform", "steps": 4}},
}  # fmt: skip
HERE = {"out": "MARK", "dirpath": "MARK", "save_dir": "MARK"}
RECORDED: dict[str, Any] = {
    **{name: {"translator": {"_target_": target, key: HERE[key]}} for name, target, key in (
        ("a logger", "egsde.programs.callbacks.same_run", "out"),
        ("a table", "egsde.programs.callbacks.CSV", "out"),
        ("weights", "egsde.programs.callbacks.Export", "out"),
        ("a checkpoint", "egsde.programs.callbacks.Best", "dirpath"),
        ("a board", "lightning.pytorch.loggers.TensorBoardLogger", "save_dir"),
    )},
    "settings": {"translator": {"_target_": "wandb.Settings", "root_dir": "MARK"}},
    "a logger as a codec": {"codec": {"_target_": "egsde.programs.callbacks.same_run",
                                      "out": "MARK"}},
    "a logger in a list": {"tiles": [{"_target_": "egsde.programs.callbacks.same_run",
                                      "out": "MARK"}]},
    "endless steps": {"sampler": {"grid": {"_target_": "egsde.sampling.Uniform",
                                           "steps": 10**12}}},
    "a side": {"data": {"size": 10**9}},
    "two sides": {"data": {"size": [10**9, 8]}},
    "digits": {"data": {"size": 10**400}},
    "a list of data": {"data": [1]},
    "a number": {"translator": 3},
    "a wide network": {"network": {"_target_": "egsde.networks.MLP", "channels": 10**6,
                                   "width": 10**6, "depth": 1}},
    "a deep network": {"network": {"_target_": "egsde.networks.MLP", "channels": 2, "width": 2,
                                   "depth": 10**7}},
    "a wider one": {"network": {"_target_": "egsde.networks.ADMUNet", "image_size": 64,
                                "num_channels": 10**5}},
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_translators_of_a_strangers_record(tmp_path, name):
    config = {"data": {"size": 64}, "translator": TRANSLATOR, **RECORDED[name]}
    text = json.dumps({"config": config}).replace("MARK", str(tmp_path / MARK))
    (tmp_path / "run.json").write_text(text)
    said = refused(tmp_path, lambda: egsde.load(tmp_path), tmp_path / MARK)
    assert "run.json" in said and sorted(p.name for p in tmp_path.iterdir()) == ["run.json"]


def test_a_report_makes_no_logger(tmp_path):
    run = a_run(tmp_path / "theirs")
    logger = {"_target_": "egsde.programs.callbacks.same_run", "out": str(tmp_path / MARK)}
    (run / "run.json").write_text(json.dumps({"config": {"data": logger}}))
    assert "no part of a translation" in " ".join(opened(run).notes)
    assert not (tmp_path / MARK).exists()


def test_a_command_of_a_record_makes_no_logger():
    with pytest.raises(ValueError, match="no part of a translation"):
        check_command(["translator._target_=egsde.programs.callbacks.same_run"])


@pytest.mark.parametrize(
    "name", ["it's.safetensors", "a, [b] = {c}.safetensors", "a\\b.safetensors"]
)
def test_files_of_odd_names_load(tmp_path, name):
    config = genuine("score") | {"network": genuine("score")["network"]}
    assert egsde.load(weights(tmp_path / name, config)) is not None


def test_a_strangers_inception(tmp_path):
    path = tmp_path / "weights.pth"
    for content in (b"root:x:0:0:root:/root:/bin/bash\n", b"q\x01.", b"\x80\x02h\x00.", b""):
        path.write_bytes(content)
        refused(path, lambda: inception_weights.read(path), tmp_path / MARK)


@pytest.mark.parametrize(
    ("reader", "network"),
    [("score", "ADMEncoder"), ("score", "ResNetGenerator"), ("extractor", "ADMUNet"),
     ("extractor", "UNetGenerator"), ("student", "Autoencoder"), ("labelled", "LSGM"),
     ("generator", "DDPMUNet"), ("codec", "ADMUNet")],
)  # fmt: skip
def test_networks_of_another_kind(tmp_path, reader, network):
    kind = OF_READERS.get(reader, reader)
    config = genuine("score") | {"kind": kind, "network": {"class": network}}
    path = weights(tmp_path / "net.safetensors", config)
    said = refused(path, lambda: LOADERS[reader](str(path)), tmp_path / MARK)
    assert f"no {kind} of ours has a network {network}" in said
