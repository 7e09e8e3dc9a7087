"""`egsde.load(...).translate` of volumes and clips: the same container again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import containers
import egsde
from demo_networks import write_networks
from egsde.methods import OnePass
from egsde.programs.load import PictureTranslator
from egsde.programs.sample import sample
from runs import composed


def translator(function, **data) -> PictureTranslator:
    return PictureTranslator(OnePass(function), 8, {"data": {"fit": "native", **data}})


@pytest.mark.parametrize(
    ("name", "make", "dtype", "channels", "package"),
    [
        ("a.tif", containers.tiff, "uint16", 1, "tifffile"),
        ("a.tiff", containers.tiff, "uint8", 3, "tifffile"),
        ("a.npy", containers.npy, "float32", 4, "numpy"),
        ("a.npz", containers.npz, "int16", 1, "numpy"),
        ("a.nii.gz", containers.nifti, "int16", 1, "nibabel"),
        ("a.gif", containers.gif, "uint8", 3, "PIL"),
        ("scan", containers.dicom, "int16", 1, "pydicom"),
        ("frames.dcm", containers.dicom_frames, "int16", 1, "pydicom"),
    ],
)
def test_a_container_comes_back_in_its_kind(name, make, dtype, channels, package, tmp_path):
    """By the identity its numbers, and by the negative theirs, saved and read again."""
    pytest.importorskip(package)
    random = np.random.default_rng(0)
    ends = None if dtype in ("uint8", "uint16") else [-100, 100]
    low, high = ends or (0, 255)
    stack = random.integers(low, high + 1, (5, 8, 10, channels)).astype(dtype)
    stack = stack * 257 if dtype == "uint16" else stack
    make(tmp_path / name, stack)
    data = {"channels": channels, "range": ends, "eval_batch_size": 2}
    same = translator(lambda x: x, **data).translate(tmp_path / name)
    assert np.array_equal(same.array, stack) and same.array.dtype == dtype
    top = 65535 if dtype == "uint16" else low + high
    turned = translator(lambda x: -x, **data).translate(str(tmp_path / name))
    assert np.allclose(turned.array, top - stack.astype(float), atol=1e-4)
    there = tmp_path / f"made_{name}"
    turned.save(there)
    again = translator(lambda x: -x, **data).translate(there)
    assert np.allclose(again.array, stack, atol=1e-4)
    if name != "scan":
        with pytest.raises(ValueError, match="another kind"):
            same.save(tmp_path / "a.png")


def test_it_is_what_the_command_line_makes(tmp_path):
    """One noise key a clip, in any batches."""
    networks = write_networks(tmp_path / "networks")
    frames = np.random.default_rng(0).integers(0, 255, (3, 16, 16, 3), dtype=np.uint8)
    containers.gif(tmp_path / "clip.gif", frames)
    source = f"data.source={tmp_path / 'clip.gif'}"
    options = [*networks, "energy=none", "report=0", "trajectory=0", "metrics=none"]
    sample(composed("sample", tmp_path / "out", *options, source))
    loaded = egsde.load("demo", *options, "data.eval_batch_size=2")
    loaded.translate(tmp_path / "clip.gif").save(tmp_path / "mine.gif")
    made = (tmp_path / "out" / "images" / "clip.gif").read_bytes()
    assert (tmp_path / "mine.gif").read_bytes() == made


def test_a_folder_of_other_things_is_refused(tmp_path):
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="no single volume"):
        translator(lambda x: x, channels=1).translate(tmp_path)


@pytest.mark.parametrize(
    ("name", "make", "dtype", "channels", "package"),
    [
        ("frames.dcm", containers.dicom_frames, "int16", 1, "pydicom"),
        ("scan", containers.dicom, "int16", 1, "pydicom"),
        ("a.tif", containers.tiff, "uint8", 3, "tifffile"),
    ],
)
def test_noise_follows_the_flow_of_any_container(name, make, dtype, channels, package, tmp_path):
    """Frames that move by two columns: so does most of the noise, which stays with data.series."""
    pytest.importorskip(package)
    pytest.importorskip("skimage")
    random = np.random.default_rng(0)
    wide = np.kron(random.integers(0, 200, (8, 16, channels)), np.ones((4, 4, 1), int))
    stack = np.stack([wide[:, 2 * k : 2 * k + 40] for k in range(3)]).astype(dtype)
    make(tmp_path / name, stack)
    seen: list[torch.Tensor] = []

    def noises(x0, noise, **cond):
        seen.append(noise.stream("start")(x0))
        return x0

    data = {"fit": "native", "channels": channels, "range": [0, 255], "eval_batch_size": 3}
    for series in ("flow", True):
        config = {"data": {**data, "series": series}}
        PictureTranslator(noises, 8, config).translate(tmp_path / name)
    moved, still = seen
    assert torch.equal(still[0], still[1]) and torch.equal(moved[0], still[0])
    carried = (moved[1][..., :-2] == moved[0][..., 2:]).float().mean()
    assert carried > 0.7 and (moved[1] == moved[0]).float().mean() < 0.1
