"""Any picture in, the same kind of picture out: files of every kind, depth, channels and shape."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from egsde.data import Folders, TwoDomains, Written, output_name
from egsde.data.alike import holds_text, seen
from egsde.data.file_images import FileImages
from egsde.data.files import Folder
from egsde.data.fits import framed
from egsde.data.kinds import PNG, raster
from egsde.data.rasters import Raster, range_of
from egsde.methods import OnePass, sdedit
from egsde.noise import Noise
from egsde.programs.callbacks.shelf import Shelf
from egsde.programs.multiples import Padded
from egsde.sampling import LogSNR, Sampler
from egsde.scores import ScoreModel
from egsde.sde import VE
from egsde.solvers import DDIM

RED = Image.new("RGB", (4, 4), "red")
RNG = np.random.default_rng(0)
SHAPES = [(8, 8), (9, 14)]
TABLE = [  # suffix, type, channels
    *((".png", kind, c) for kind in ("uint8", "uint16") for c in (1, 2, 3, 4)),
    *((".tif", kind, c) for kind in ("uint8", "uint16", "int16", "float32") for c in (1, 3, 5)),
    (".tiff", "float64", 2),
    *((s, kind, c) for s in (".npy", ".npz") for kind in ("uint8", "uint16", "int32", "float32")
      for c in (1, 3, 6)),
]  # fmt: skip
RANGES = {"int16": [-1000, 3000], "int32": [-5, 2**30], "float32": [-0.5, 2.0], "float64": [0, 7.5]}


def numbers(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Every number of the range may come up."""
    low, high = RANGES.get(kind, [0, np.iinfo(kind).max] if kind.startswith("u") else [0, 1])
    if kind.startswith("float"):
        return RNG.uniform(low, high, shape).astype(kind).clip(low, high)
    return RNG.integers(low, high, shape, dtype=kind, endpoint=True)


def stored(path: Path, pixels: np.ndarray) -> Path:
    """A file with tags, profiles and neighbours that have to come out again."""
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    if path.suffix == ".png":
        path.write_bytes(PNG.write(Raster(pixels, PNG), {}))
    elif path.suffix == ".npy":
        np.save(path, flat)
    elif path.suffix == ".npz":
        np.savez_compressed(path, image=flat, spacing=np.array([0.5, 2.0]))
    else:
        colour = pixels.shape[2] == 3 and pixels.dtype.kind == "u"
        extra = {"planarconfig": "contig"} if pixels.shape[2] > 1 else {}
        tifffile.imwrite(
            path, flat, photometric="rgb" if colour else "minisblack", metadata=None, **extra,
            description="a scan", compression="zlib", resolution=(30, 20),
            extratags=[(33550, 12, 3, (10.0, 10.0, 0.0), True)],
        )  # fmt: skip
    return path


def images(folder: Path, name: str, size=8, fit: str = "native", **options) -> FileImages:
    return FileImages(Folder(folder), {name: name}, size, fit=fit, **options)


def still(sde: VE):
    """SDEdit from next to no noise: y = x + 1e-9 z under a score that says nothing."""
    score = ScoreModel(torch.nn.Module(), sde)
    score.score = lambda x, t: torch.zeros_like(x)  # type: ignore[method-assign]
    return sdedit(score, Sampler(DDIM(), LogSNR(2), denoise=False), t_start=1e-4)


IDENTITIES = {
    "t_start towards 0": lambda: still(VE(sigma_min=1e-9, sigma_max=1.0)),
    "OnePass": lambda: OnePass(lambda x: x),
}


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("suffix", "kind", "channels"), TABLE, ids=str)
def test_the_same_comes_out_bit_for_bit(suffix, kind, channels, shape, identity, tmp_path):
    pixels = numbers(kind, (*shape, channels))
    source = stored(tmp_path / f"a{suffix}", pixels)
    ends = RANGES.get(kind)
    data = TwoDomains(
        Folders(fit="native", channels=channels, range=ends), str(source), "none", size=8,
        channels=channels, range=ends, fit="native", batch_size=1,
    )  # fmt: skip
    (batch,) = data.translation_loader("test")
    y = Padded(IDENTITIES[identity](), 4)(batch["x0"], Noise(0, batch["id"]))
    assert y.shape == (1, channels, *shape) and batch["x0"].abs().max() <= 1
    shelf = Shelf(Written(tmp_path / "out"), "recipe", writer=data.writer("test"))
    shelf.save(source.name, {"x0": batch["x0"][0]}, shelf.writer.made(source.name, y[0]), {})
    made = shelf.path(source.name)
    assert made.name == source.name == output_name(source.name)
    found = raster(made.name, made.read_bytes(), channels)
    assert found.pixels.dtype == pixels.dtype
    if (
        kind in ("int32", "float32", "float64") and identity != "OnePass"
    ):  # 1e-9 is one of their bits
        assert np.allclose(found.pixels, pixels, atol=1e-6 * (ends[1] - ends[0]))
    else:
        assert np.array_equal(found.pixels, pixels)
    kept, again = (raster(p.name, p.read_bytes(), channels).kept for p in (source, made))
    if suffix.startswith(".tif"):
        assert again == kept and kept["description"] == "a scan" and kept["tags"]
    if suffix == ".npz":
        with np.load(made) as archive:
            assert archive["spacing"].tolist() == [0.5, 2.0] and sorted(archive) == [
                "image",
                "spacing",
            ]
    seen_again, _ = shelf.load(source.name, {"x0": batch["x0"][0]})
    assert seen_again.shape == (channels, *shape)
    assert (made.suffix == ".png") == holds_text(made) != shelf.record(source.name).exists()


def test_the_order_of_bytes_and_the_inks_of_a_tiff_stay():
    pixels, file = numbers("uint16", (9, 14, 4)), io.BytesIO()
    tifffile.imwrite(file, pixels, byteorder=">", bigtiff=True, photometric="separated",
                     planarconfig="contig", metadata=None)  # fmt: skip
    one = raster("a.tif", file.getvalue(), 4)
    with tifffile.TiffFile(io.BytesIO(one.kind.write(one, {}))) as made:
        assert made.byteorder == ">" and made.is_bigtiff
        assert made.pages[0].photometric == 5 and not made.pages[0].extrasamples
        assert np.array_equal(made.asarray(), pixels)


def swapped() -> bytes:
    """A colour profile in which red is blue."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = (profile.find(tag, 128) for tag in (b"rXYZ", b"bXYZ"))
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_profile_is_applied_once(kind):
    """What becomes sRGB is written without the profile that it no longer has."""
    pixels, file = numbers("uint8", (9, 14, 3)), io.BytesIO()
    Image.fromarray(pixels).save(file, kind, icc_profile=swapped())
    one = raster(f"a.{kind.lower()}", file.getvalue(), 3)
    assert np.abs(one.pixels.astype(int) - pixels).max() > 50
    made = Image.open(io.BytesIO(one.kind.write(one, {})))
    assert "icc_profile" not in made.info and np.array_equal(np.asarray(made), one.pixels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("turned", "dots"), [(1, (72, 144)), (6, (144, 72))])
def test_a_resolution_is_kept(channels, turned, dots):
    pixels = numbers("uint8", (9, 14, 3))[..., :channels].squeeze()
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = turned
    Image.fromarray(pixels).save(file, "PNG", dpi=(72, 144), exif=exif)
    one = raster("a.png", file.getvalue(), channels)
    made = Image.open(io.BytesIO(one.kind.write(one, {})))
    assert made.info["dpi"] == pytest.approx(dots, abs=0.02)
    assert np.array_equal(np.asarray(made), one.pixels.squeeze())


@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_colours_that_are_read_as_rgb_are_written_as_rgb(mode):
    pixels, file = numbers("uint8", (16, 16, 3)), io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "TIFF")
    one = raster("a.tif", file.getvalue(), 3)
    made = Image.open(io.BytesIO(one.kind.write(one, {})))
    assert made.mode == "RGB" and np.array_equal(np.asarray(made), one.pixels)


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_a_file_that_was_changed_is_made_again(suffix, tmp_path):
    source = stored(tmp_path / f"a{suffix}", numbers("float32", (8, 8, 1)))
    one = images(tmp_path, source.name, channels=1, scale=range_of(RANGES["float32"]))
    from egsde.data.alike import Alike

    shelf = Shelf(Written(tmp_path / "out"), "recipe", writer=Alike(one, True))
    shelf.save(source.name, {}, shelf.writer.made(source.name, seen(one.array(0))), {"score": 3})
    assert shelf.load(source.name, {})[1] == {"score": 3}
    assert (
        Shelf(Written(tmp_path / "out"), "other", writer=shelf.writer).load(source.name, {}) is None
    )
    stored(shelf.path(source.name), numbers("float32", (8, 8, 1)))
    assert shelf.load(source.name, {}) is None
    shelf.record(source.name).write_text("half a rec")
    assert shelf.load(source.name, {}) is None


@pytest.mark.parametrize("fit", ["crop", "keep", "pad", "native"])
def test_restored_to_the_size_of_the_source(fit, tmp_path):
    """A constant translation fills the part that was shown; what was not stays."""
    pixels = numbers("uint16", (20, 33, 1))
    stored(tmp_path / "a.png", pixels)
    one = images(tmp_path, "a.png", size=[8, 12], fit=fit, channels=1)
    from egsde.data.alike import Alike

    frame = one.frame((20, 33))
    y = torch.full((1, *frame.shape), 0.5)
    made = Alike(one, True).made("a.png", y).raster.pixels
    top, left, height, width = frame.box
    expected = pixels.copy()
    expected[top : top + height, left : left + width] = round(0.75 * 65535)
    assert made.shape == pixels.shape and np.abs(made.astype(int) - expected).max() <= 1
    if fit == "crop":
        assert (height, width) == (20, 30) and (made[:, 0] == pixels[:, 0]).all()


def test_keep_and_rectangles_and_crops():
    assert framed((30, 40), 15, "keep").shape == (15, 20)
    assert framed((30, 40), [15, 30], "keep").shape == (22, 30)
    assert framed((30, 40), [10, 20], "crop").box == (5, 0, 20, 40)
    assert framed((30, 40), 10, "native").shape == (30, 40)
    assert framed((30, 40), [10, 20], "random_crop", (0.0, 0.999)).box == (0, 20, 10, 20)
    with pytest.raises(ValueError, match="smaller than the crop"):
        framed((8, 40), 10, "random_crop")
    with pytest.raises(ValueError, match=r"data.size=\[1, 2, 3\] is no size"):
        framed((8, 40), [1, 2, 3], "crop")


def test_random_crops_are_keyed_and_differ(tmp_path):
    """The same draw gives the same part, each part comes from the picture, and parts differ."""
    folder = tmp_path / "source" / "train"
    folder.mkdir(parents=True)
    picture = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    for k in range(3):
        np.save(folder / f"{k}.npy", picture + 1000 * k)
    data = TwoDomains(
        Folders(fit="random_crop", channels=1), "none", str(tmp_path / "source"), size=[8, 12],
        channels=1, fit="random_crop", batch_size=4,
    )  # fmt: skip
    one, two = (next(iter(data.train_dataloader())) for _ in range(2))
    assert torch.equal(one["image"], two["image"]) and one["image"].shape == (4, 1, 8, 12)
    first = ((one["image"][:, 0, 0, 0] + 1) * 32767.5).round().int() % 1000
    assert len({*first.tolist()}) > 1
    values = ((one["image"] + 1) * 32767.5).round()
    assert (values.diff(dim=3) == 1).all() and (values.diff(dim=2) == 30).all()


@pytest.mark.parametrize(
    ("name", "make", "options", "message"),
    [
        ("a.npy", lambda p: np.save(p, np.zeros((4, 4), np.float32)), {}, "no known range"),
        ("a.npy", lambda p: np.save(p, np.full((4, 4), np.nan, np.float32)), {}, "NaN"),
        ("a.npy", lambda p: np.save(p, np.zeros((4, 4, 5), np.uint8)), {}, "5 channels"),
        ("a.npy", lambda p: np.save(p, np.zeros((4, 4), bool)), {}, "bool"),
        ("a.npz", lambda p: np.savez(p, a=np.zeros(3), b=np.zeros(4)), {}, "arrays a, b"),
        ("a.png", lambda p: RED.save(p), {"channels": 1}, "3 channels, and data.channels=1"),
        ("a.tif", lambda p: tifffile.imwrite(p, np.zeros((3, 8, 8), np.uint16), imagej=True,
                                             truncate=True), {"channels": 1}, "stands for 3"),
    ],
)  # fmt: skip
def test_what_is_no_such_picture_is_refused_with_both_values(
    name, make, options, message, tmp_path
):
    make(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        images(tmp_path, name, **options).look([0], [0])


def test_numbers_outside_of_the_range_are_counted_and_named(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0.0, 1.5], [-2.0, 1.0]], np.float32))
    with pytest.warns(UserWarning, match=r"data.range=\[0.0, 1.0\].*a.npy: 2 of 4"):
        one = images(tmp_path, "a.npy", channels=1, scale=range_of([0, 1]))
        one.look([0], [0])
    assert one.array(0)[..., 0].tolist() == [[-1, 1], [-1, 1]]
    with pytest.raises(ValueError, match=r"data.range=\[1.0, 1.0\] is no range"):
        range_of([1, 1])


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_frames_that_are_not_read_are_told(name, tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
    with pytest.warns(UserWarning, match=f"only the first is read .{name}: 3.*GIF or MP4"):
        images(tmp_path, name).look([0], [0])


def test_turned_pictures_are_written_upright(tmp_path):
    pixels = numbers("uint8", (5, 9, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels[..., 0]).save(tmp_path / "a.png", exif=exif)
    one = images(tmp_path, "a.png", channels=1)
    assert np.array_equal(one.array(0), np.rot90(pixels, -1))
    tifffile.imwrite(tmp_path / "b.tif", pixels[..., 0].astype(np.uint16), metadata=None,
                     extratags=[(274, 3, 1, 6, True)])  # fmt: skip
    two = raster("b.tif", (tmp_path / "b.tif").read_bytes(), 1)
    assert np.array_equal(two.pixels, np.rot90(pixels, -1))
    written = two.kind.write(two, {})
    assert np.array_equal(raster("b.tif", written, 1).pixels, two.pixels)


def test_a_network_of_rectangles_sees_every_size(tmp_path):
    """Positions of the classifier's pooling are interpolated; halvings are asked of both sides."""
    from egsde.networks import ADMEncoder, ADMUNet

    options = {"channel_mult": [1, 1], "attention_resolutions": [4], "num_head_channels": 32}
    net = ADMEncoder([8, 12], width=32, depth=1, in_channels=1, **options)
    for shape in ((8, 12), (12, 8), (16, 20)):
        assert net(torch.randn(2, 1, *shape), torch.ones(2)).shape == (2, 2)
    unet = ADMUNet([8, 12], num_channels=32, in_channels=5, out_channels=5, **options)
    assert unet(torch.randn(1, 5, 16, 10), torch.ones(1)).shape == (1, 5, 16, 10)
    with pytest.raises(ValueError, match="cannot be halved"):
        ADMUNet([8, 9], num_channels=32, **options)


def fields(folder: Path, level: float, start: int) -> None:
    """One-channel PNGs of 16 bits, 9 x 12: a level N(`level`, 1500^2) with noise of 500."""
    for k in range(24):
        split = "train" if k < 16 else "val" if k < 20 else "test"
        (folder / split).mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([start, k])
        pixels = rng.normal(level, 1500) + rng.normal(0, 500, (9, 12, 1))
        picture = Raster(pixels.clip(0, 65535).astype(np.uint16), PNG)
        (folder / split / f"{k:02d}.png").write_bytes(PNG.write(picture, {}))


@pytest.mark.slow
def test_sixteen_bits_of_one_channel_from_training_to_files(tmp_path, monkeypatch):
    """Dark fields become bright ones: the translations have the target's level, in 16 bits, at the
    sources' own size, which no halving divides."""
    from egsde.programs.sample import sample
    from runs import composed, trained

    fields(tmp_path / "dark", 16000, 1)
    fields(tmp_path / "bright", 48000, 2)
    data = ["data=folder", f"data.source={tmp_path / 'dark'}", f"data.target={tmp_path / 'bright'}",
            "data.channels=1", "data.fit=native", "data.flip=false", "data.num_workers=0",
            "logger=none"]  # fmt: skip
    shown = ["data.size=[8,12]", "data.fit=random_crop", "network.channel_mult=[1,1]",
             "network.attention_resolutions=[]", "sde=vp", "prediction=v", "seed=1",
             "trainer.max_steps=60", "trainer.val_check_interval=60", "data.batch_size=16",
             "module.optimizer.lr=3e-3", "translate=null", "data.limit=null"]  # fmt: skip
    trained(tmp_path / "score", *data, *shown)
    options = ["sde=vp", "translator=sdedit", "energy=none", "sampler=ddim", "t_start=0.9",
               "sampler.grid.steps=20", f"score.weights={tmp_path / 'score/weights.safetensors'}",
               "metrics=pairwise", "trainer.accelerator=cpu", "data.size=[8,12]",
               "~metrics.pairwise.ssim"]  # fmt: skip
    sample(composed("sample", tmp_path / "out", *data, *options))
    made = sorted((tmp_path / "out" / "images").rglob("*.png"))
    assert [path.name for path in made] == ["20.png", "21.png", "22.png", "23.png"]
    for path in made:
        found = raster(path.name, path.read_bytes(), 1)
        assert found.pixels.shape == (9, 12, 1) and found.pixels.dtype == np.uint16
        assert abs(float(found.pixels.mean()) - 48000) < 14000  # from 16000
        assert len(np.unique(found.pixels % 257)) > 8  # no detour over 8 bits
    summary = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert summary["n"] == 4 and summary["metrics"]["psnr"] > 0
    with pytest.raises(ValueError, match="channels: 1 in the file, 3 in this run"):
        sample(composed("sample", tmp_path / "again", *data, *options, "data.channels=3"))
