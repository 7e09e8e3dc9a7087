"""Volumes and clips in, the same kind out: slices are images, the container is what is written."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageSequence

import containers
from demo_networks import write_networks
from egsde.data import Folders, TwoDomains, Written
from egsde.data.containers import Cut, opened_files
from egsde.data.containers.video import check_rate
from egsde.methods import OnePass
from egsde.noise import Noise
from egsde.opened import UnreadableImage
from egsde.programs.callbacks import Report
from egsde.programs.callbacks.shelf import Shelf
from egsde.programs.evaluate import evaluate
from egsde.programs.sample import sample
from egsde.programs.series import finish
from runs import composed
from test_pictures import IDENTITIES, RANGES, numbers

SHAPES = [(3, 8, 8), (4, 10, 16)]
TABLE = [  # name, type, channels
    *(("a.tif", kind, c) for kind in ("uint8", "uint16", "int16", "float32") for c in (1, 3, 5)),
    *(("a.npy", kind, c) for kind in ("uint8", "uint16", "int32", "float32") for c in (1, 3)),
    *(("a.npz", "uint8", c) for c in (1, 3)),
    *((f"a{s}", kind, 1) for s in (".nii", ".nii.gz")
      for kind in ("uint8", "int16", "uint16", "int32", "float32", "float64")),
    ("a.nii", "float32", 2),
    *(("ct", kind, 1) for kind in ("uint8", "int16", "uint16")),
    ("ct", "uint8", 3),
    ("a.gif", "uint8", 3),
    *((f"a{s}", "uint8", 3) for s in (".mp4", ".mov", ".mkv", ".avi", ".webm")),
]  # fmt: skip
MADE = {".tif": containers.tiff, ".npy": containers.npy, ".npz": containers.npz,
        ".gif": containers.gif, ".nii": containers.nifti, ".gz": containers.nifti,
        "": containers.dicom}  # fmt: skip
NEEDS = {".nii": "nibabel", ".gz": "nibabel", "": "pydicom"}


def made(path: Path, stack: np.ndarray) -> Path:
    suffix = path.suffix
    if suffix in (".mp4", ".mov", ".mkv", ".avi", ".webm"):
        pytest.importorskip("av")
        containers.video(path, stack)
    else:
        if suffix in NEEDS:
            pytest.importorskip(NEEDS[suffix])
        MADE[suffix](path, stack)
    return path


def module(source: Path, channels: int, ends=None, **options) -> TwoDomains:
    store = Folders(fit="native", channels=channels, range=ends)
    return TwoDomains(store, str(source), "none", size=8, channels=channels, range=ends,
                      fit="native", batch_size=3, **options)  # fmt: skip


def translated(data: TwoDomains, out: Path, translator) -> Report:
    """As sample.py does it."""
    written = Written(out).naming(data.translatable("test").ids)
    shelf = Shelf(written, "recipe", writer=data.writer("test"))
    for batch in data.translation_loader("test"):
        y = translator(batch["x0"], Noise(0, data.keys(batch["id"])))
        for name, x, one in zip(batch["id"], batch["x0"], y, strict=True):
            shelf.save(name, {"x0": x}, shelf.writer.made(name, one), {})
            assert shelf.load(name, {"x0": x}) is not None
    report = Report(len(data.translations("test")))
    finish(data, "test", written, report)
    return report


@pytest.mark.parametrize(
    ("identity", "shape"),
    [pytest.param(one, shape, marks=[] if i == k else pytest.mark.slow)
     for i, one in enumerate(IDENTITIES) for k, shape in enumerate(SHAPES)],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(("name", "kind", "channels"), TABLE, ids=str)
def test_the_same_container_comes_out_bit_for_bit(name, kind, channels, shape, identity, tmp_path):
    ends = RANGES.get(kind)
    stack = numbers(kind, (*shape, channels))
    if name.endswith((".mp4", ".mov", ".mkv", ".avi", ".webm")):  # H.264 of 16 pixels at least
        stack = np.kron(stack, np.ones((1, 2, 2, 1), np.uint8))
    source = made(tmp_path / name, stack)
    data = module(source, channels, ends)
    assert len(data.translatable("test")) == shape[0]
    translated(data, tmp_path / "out", IDENTITIES[identity]())
    there = tmp_path / "out" / "images" / name
    if name == "ct":
        there = there.parent
    before, after = (
        opened_files(p if p.is_dir() else p.parent, Cut(channels=channels)) for p in (source, there)
    )
    names = [
        n
        for n in before.listing("", deep=False)
        if "@" in n and (name == "ct" or n.startswith(f"{name}/"))
    ]
    assert (
        names == [n for n in after.listing("", deep=False) if "@" in n] and len(names) == shape[0]
    )
    exact = identity == "OnePass" or kind not in ("int32", "float32", "float64")
    for one in names:
        x, y = (files.slice(one) for files in (before, after))
        assert x.dtype == y.dtype == np.dtype(kind) and x.shape == y.shape
        if exact:
            assert np.array_equal(x, y)
        else:
            assert np.allclose(x, y, atol=1e-6 * (ends[1] - ends[0]))
    if exact and there.suffix in (".npy", ".npz", ".nii"):
        assert there.read_bytes() == source.read_bytes()


def test_tags_of_each_page_and_the_order_of_bytes_stay(tmp_path):
    source = made(tmp_path / "a.tif", numbers("uint16", (3, 8, 9, 1)))
    translated(module(source, 1), tmp_path / "out", OnePass(lambda x: -x))
    pages = {}
    for path in (source, tmp_path / "out" / "images" / "a.tif"):
        with tifffile.TiffFile(path) as file:
            assert file.byteorder == ">"
            pages[path] = [
                (p.description, p.tags[33550].value, p.tags[282].value) for p in file.pages
            ]
    one, two = pages.values()
    assert one == two and one[2][0] == "slice 2"
    inverse = 65535 - tifffile.imread(source).astype(int)
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "images" / "a.tif"), inverse)


def test_scaled_numbers_of_a_scan_are_those_that_are_meant(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    stack = np.random.default_rng(0).integers(0, 4000, (3, 8, 9, 1)).astype(np.int16)
    containers.nifti(tmp_path / "a.nii.gz", stack, slope=0.5, inter=-1000)
    data = module(tmp_path / "a.nii.gz", 1, [-1000, 1000])
    x = data.translatable("test")[1]["x0"]
    assert np.allclose(x[0].numpy(), (stack[1, ..., 0] * 0.5 - 1000) / 1000, atol=1e-6)
    translated(data, tmp_path / "out", OnePass(lambda x: x))
    before, after = (
        nibabel.load(p) for p in (tmp_path / "a.nii.gz", tmp_path / "out/images/a.nii.gz")
    )
    assert np.array_equal(before.affine, after.affine) and before.header == after.header
    assert np.array_equal(before.dataobj.get_unscaled(), after.dataobj.get_unscaled())
    assert before.header.get_zooms() == after.header.get_zooms()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16"])
@pytest.mark.parametrize("slope", [1, 2])
def test_dicom_whose_lowest_number_is_white_reads_like_the_others(kind, slope, tmp_path):
    """Unless the numbers have a unit, which is the same however it is shown."""
    pytest.importorskip("pydicom")
    dicom = import_module("egsde.data.containers.dicom")
    stack = numbers(kind, (2, 8, 8, 1))
    turned = np.iinfo(kind).max - stack if kind != "int16" else -1 - stack
    arrays = {}
    for grey, stored in (("MONOCHROME1", turned), ("MONOCHROME2", stack)):
        folder = tmp_path / grey
        containers.dicom(folder, stored, slope=slope, grey=grey)
        files = {f.name: f.read_bytes() for f in sorted(folder.iterdir(), reverse=True)}
        volume = arrays[grey] = dicom.read(files)
        made = volume.written(volume.array)
        pixels = [dicom._opened(io.BytesIO(made[name])).pixel_array for name in files]
        assert np.array_equal(np.stack(pixels), stored[..., 0])
    same = np.array_equal(arrays["MONOCHROME1"].array, arrays["MONOCHROME2"].array)
    assert same == (slope == 1)


def test_dicom_keeps_geometry_and_gets_uids_of_its_own(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    stack = np.random.default_rng(0).integers(0, 3000, (4, 8, 9, 1)).astype(np.int16)
    containers.dicom(tmp_path / "scans" / "ct", stack, slope=2, inter=-1024)
    data = module(tmp_path / "scans", 1, [-1024, 6000])
    ids = data.translatable("test").ids
    assert ids == [f"ct/@{k:04d}.npy" for k in range(4)]
    first = data.translatable("test")[0]["x0"]
    assert np.allclose((first[0] + 1) * 3512 - 1024, stack[0, ..., 0] * 2 - 1024, atol=1e-2)
    translated(data, tmp_path / "out", OnePass(lambda x: x + 100 / 3512))
    for k in range(4):
        name = f"IM{4 - k:03d}.dcm"
        x, y = (
            pydicom.dcmread(p / "ct" / name) for p in (tmp_path / "scans", tmp_path / "out/images")
        )
        assert np.array_equal(y.pixel_array, x.pixel_array + 50)
        for key in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
                    "PatientName", "SliceThickness", "StudyInstanceUID", "FrameOfReferenceUID",
                    "RescaleSlope", "RescaleIntercept", "InstanceNumber"):  # fmt: skip
            assert x[key] == y[key]
        assert x.SOPInstanceUID != y.SOPInstanceUID == y.file_meta.MediaStorageSOPInstanceUID
        assert x.SeriesInstanceUID != y.SeriesInstanceUID and y.ImageType[0] == "DERIVED"
    series = {pydicom.dcmread(p).SeriesInstanceUID for p in (tmp_path / "out/images/ct").iterdir()}
    assert len(series) == 1


def test_radiographs_of_one_folder_are_series_of_one(tmp_path):
    pytest.importorskip("pydicom")
    for k in range(3):
        containers.dicom(tmp_path / str(k), numbers("uint8", (1, 8, 8, 1)), series=f"1.2.{k + 7}")
        (tmp_path / "x").mkdir(exist_ok=True)
        shutil.move(tmp_path / str(k) / "IM001.dcm", tmp_path / "x" / f"{k}.dcm")
    data = module(tmp_path / "x", 1)
    assert data.images(str(tmp_path / "x"), "all").ids == [f"{k}.dcm/@0000.png" for k in range(3)]


def test_times_of_frames_and_frame_rates_stay(tmp_path):
    source = made(tmp_path / "a.gif", numbers("uint8", (3, 8, 8, 3)))
    still_frame = np.full((2, 8, 8, 3), 7, np.uint8)
    translated(module(source, 3), tmp_path / "out", OnePass(lambda x: x))
    with Image.open(tmp_path / "out/images/a.gif") as image:
        assert (
            image.n_frames == 3 and image.info["loop"] == 3 and image.info["comment"] == b"a clip"
        )
        times = [f.info["duration"] for f in ImageSequence.Iterator(image)]
    assert times == [40, 50, 60]
    made(tmp_path / "b.gif", still_frame)
    with Image.open(tmp_path / "b.gif") as image:
        assert image.n_frames == 2  # frames that are alike are two
    clip = made(tmp_path / "b.mp4", numbers("uint8", (5, 16, 18, 3)))
    translated(module(clip, 3), tmp_path / "more", OnePass(lambda x: x))
    one, two = containers.frames(clip), containers.frames(tmp_path / "more/images/b.mp4")
    assert one[1] == two[1] == Fraction(30000, 1001) and np.array_equal(one[0], two[0])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_and_a_part_of_it_are_plain_keys(axis, tmp_path):
    stack = numbers("uint8", (3, 5, 4, 1))
    np.save(tmp_path / "a.npy", stack[..., 0])
    data = module(tmp_path / "a.npy", 1, axis=axis, slices=[1, 2])
    assert data.translatable("test").ids == ["a.npy/@0001.png", "a.npy/@0002.png"]
    translated(data, tmp_path / "out", OnePass(lambda x: -x))
    expected = np.moveaxis(stack[..., 0].copy(), axis, 0)
    expected[1:3] = 255 - expected[1:3]
    assert np.array_equal(np.load(tmp_path / "out/images/a.npy"), np.moveaxis(expected, 0, axis))


def test_a_grey_volume_stays_grey_under_networks_of_three_channels(tmp_path):
    np.save(tmp_path / "a.npy", numbers("uint8", (4, 16, 16)))
    data = module(tmp_path / "a.npy", 3)

    tint = torch.tensor([0.3, 0.0, -0.3])[:, None, None]
    translated(data, tmp_path / "out", OnePass(lambda x: 0.5 * x + tint))
    found = np.load(tmp_path / "out/images/a.npy")
    assert found.shape == (4, 16, 16)
    assert np.abs(found.astype(int) - (0.5 * np.load(tmp_path / "a.npy") + 63.75)).max() <= 1


def test_splits_never_cut_a_volume_and_zips_are_read(tmp_path):
    for k in range(30):
        (tmp_path / "v").mkdir(exist_ok=True)
        np.save(tmp_path / "v" / f"{k:02d}.npy", numbers("uint8", (4, 8, 8)))
    store = Folders(channels=1)
    parts = {s: store.images(str(tmp_path / "v"), s, 8).ids for s in ("train", "val", "test")}
    volumes = {s: {n.split("/")[0] for n in ids} for s, ids in parts.items()}
    assert sum(len(v) for v in volumes.values()) == 30 and all(
        len(v) >= 1 for v in volumes.values()
    )
    assert all(len(ids) == 4 * len(volumes[s]) for s, ids in parts.items())
    shutil.make_archive(str(tmp_path / "v"), "zip", tmp_path / "v")
    zipped = Folders(channels=1).images(str(tmp_path / "v.zip"), "test", 8)
    assert zipped.ids == parts["test"]
    again = pickle.loads(pickle.dumps(zipped))
    assert np.array_equal(again.array(0), store.images(str(tmp_path / "v"), "test", 8).array(0))


def test_one_series_serves_as_every_split(tmp_path):
    (tmp_path / "v").mkdir()
    np.save(tmp_path / "v" / "a.npy", numbers("uint8", (4, 8, 8)))
    with pytest.warns(UserWarning, match="one series"):
        found = Folders(channels=1).images(str(tmp_path / "v"), "val", 8)
    assert len(found.ids) == 4


def bad_nifti(path: Path) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 3, 2, 2), np.uint8), np.eye(4)), path)


def mixed_tiff(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8), np.uint8), metadata=None)
        writer.write(np.zeros((9, 8), np.uint8), metadata=None)


def clear_gif(path: Path) -> None:
    frames = [Image.new("RGBA", (8, 8), (k, 9, 9, 0)) for k in (0, 200)]
    frames[0].paste((255, 0, 0, 255), (0, 0, 4, 4))
    frames[1].paste((0, 255, 0, 255), (4, 4, 8, 8))
    frames[0].save(path, save_all=True, append_images=frames[1:], disposal=2)


def uneven_clip(path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as clip:
        stream = clip.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        for k, time in enumerate((0, 1, 2, 9, 10, 25)):
            frame = av.VideoFrame.from_ndarray(
                np.full((16, 16, 3), 9 * k, np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = time, Fraction(1, 25)
            clip.mux(stream.encode(frame))
        clip.mux(stream.encode())


def test_frames_coded_out_of_order_have_one_rate_whatever_times_avi_gives_them():
    rate, base = Fraction(25), Fraction(1, 25)
    check_rate([1, 3, 4, 2], rate, base)
    with pytest.raises(UnreadableImage, match="frame rate varies"):
        check_rate([1, 9, 4, 2], rate, base)


def mixed_dicom(path: Path) -> None:
    containers.dicom(path / "a", np.zeros((2, 8, 8, 1), np.uint8))
    containers.dicom(path / "b", np.zeros((1, 9, 8, 1), np.uint8))
    shutil.move(path / "b" / "IM001.dcm", path / "a" / "IM009.dcm")


@pytest.mark.parametrize(
    ("name", "make", "needs", "message"),
    [
        ("a.nii", bad_nifti, "nibabel", "5 axes"),
        ("a.nii.gz", lambda p: p.write_bytes(b"\x1f\x8bno"), "nibabel", "a.nii.gz"),
        ("a.tif", mixed_tiff, "numpy", "mixed shapes"),
        ("a.gif", clear_gif, "numpy", "transparent"),
        ("a.mp4", uneven_clip, "av", "frame rate varies"),
        ("a.mp4", lambda p: p.write_bytes(b"no clip"), "av", "a.mp4"),
        ("scan", mixed_dicom, "pydicom", "mixed shapes"),
        ("a.dcm", lambda p: p.write_bytes(b"no scan"), "pydicom", "no DICOM"),
        ("a.npy", lambda p: np.save(p, np.full((3, 8, 8), np.nan)), "numpy", "NaN"),
    ],
)  # fmt: skip
def test_what_is_no_series_is_refused_in_words(name, make, needs, message, tmp_path):
    pytest.importorskip(needs)
    make(tmp_path / name)
    with pytest.raises(ValueError, match=message) as found:
        module(tmp_path / name, 3 if needs in ("av", "numpy") and name != "a.npy" else 1,
               [0, 1] if name == "a.npy" else None).translation_loader("test")  # fmt: skip
    assert "Traceback" not in str(found.value)


@pytest.mark.parametrize(("name", "package", "extra"), [
    ("a.nii.gz", "nibabel", "medical"), ("a.dcm", "pydicom", "medical"), ("a.mp4", "av", "video"),
])  # fmt: skip
def test_an_absent_package_is_named_with_its_extra(name, package, extra, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(b"\0" * 400)
    with pytest.raises(ValueError, match=rf"{package}.*egsde\[{extra}\]"):
        module(tmp_path / name, 1).translation_loader("test")


@pytest.mark.slow
def test_a_clip_from_the_command_line_flickers_less_under_one_key(tmp_path):
    """`data.source=clip.gif` beside the demo's data: a still clip stays still under one key."""
    networks = write_networks(tmp_path / "networks")
    frame = np.random.default_rng(0).integers(0, 255, (1, 16, 16, 3), dtype=np.uint8).repeat(3, 0)
    containers.gif(tmp_path / "clip.gif", frame)
    found = {}
    for series in ("null", "false"):
        out = tmp_path / series
        given = [f"data.source={tmp_path / 'clip.gif'}", f"data.series={series}", "energy=none"]
        more = ["report=2", "trajectory=0", f"uncertainty={2 if series == 'null' else 'null'}"]
        sample(composed("sample", out, *networks, *given, *more))
        with Image.open(out / "images" / "clip.gif") as image:
            assert image.n_frames == 3
        found[series] = json.loads((out / "metrics.json").read_text())["metrics"]["flicker"]
        rows = (out / "images.csv").read_text().splitlines()
        assert len(rows) == 4 and "flicker" in rows[0]
        assert ("spread" in rows[0]) == (series == "null")
    assert found["null"] == 0 and found["false"] > 0.01
    again = ["metrics=pairwise", "trainer.accelerator=cpu", "report=0", f"output={out}"]
    evaluate(composed("evaluate", tmp_path / "again", *again, f"source={tmp_path / 'clip.gif'}"))
    measured = json.loads((tmp_path / "again" / "metrics.json").read_text())["metrics"]
    assert measured["flicker"] == pytest.approx(found["false"], abs=0.01)  # of 256 colours a frame


def test_a_file_of_its_own_is_taken_for_one_of_the_source(tmp_path):
    """Networks of flat and 3d drawings, as their files record them, open beside a clip."""
    from egsde.programs.agreement import disagreements

    containers.gif(tmp_path / "clip.gif", np.zeros((2, 8, 8, 3), np.uint8))
    (tmp_path / "clips").mkdir()
    shutil.copy(tmp_path / "clip.gif", tmp_path / "clips")
    flat = {"source": "3d", "target": "flat", "size": 8}
    both = {"source": "flat", "target": "3d", "size": 8}
    records = [{"kind": "score", "side": "source", "data": flat},
               {"kind": "classifier", "side": "target", "data": both},
               {"kind": "conditional", "side": "target", "data": both}]  # fmt: skip
    for source, agrees in (("clip.gif", True), ("clips", False)):
        data = TwoDomains(Folders(), str(tmp_path / source), "3d", size=8)
        for record in records:
            wrong = [asked for asked in disagreements(record, data, "") if asked[1] != asked[2]]
            assert (not wrong) == agrees
