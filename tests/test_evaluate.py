"""`python evaluate.py`: folders that an image filter made have known answers; pairs, mistakes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import torch.nn.functional as F
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

import containers
from egsde.data.compared import compared, content_key
from egsde.data.exchanged import exchanged
from egsde.data.pairing import paired
from egsde.evaluation import runs
from egsde.evaluation.metrics import frechet
from egsde.evaluation.metrics import inception_weights as weights
from egsde.programs.evaluate import evaluate
from egsde.programs.line import quoted, read
from runs import composed

SHIFT = 10  # grey levels that the filter adds


class Tiny(torch.nn.Module):
    """A feature network of twelve numbers."""

    fingerprint = "tiny-evaluate"

    def describe(self) -> dict[str, object]:
        return {"extractor": "tiny"}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(x, 2).flatten(1).float()


class Classes(Tiny):
    """With a layer of classes, which the Inception score needs."""

    weight = torch.eye(12) * 20

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        return (rows - rows.mean()) @ self.weight


def none() -> None:
    """No weights."""


def draw(folder: Path, names: list[str], seed: int, size: int = 16) -> dict[str, np.ndarray]:
    """Pictures of grey levels 60 to 180, so that a filter may add to them."""
    chance, made = np.random.default_rng(seed), {}
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made[name] = chance.integers(60, 180, (size, size, 3)).astype(np.uint8)
        Image.fromarray(made[name]).save(path)
    return made


def brighter(pictures: dict[str, np.ndarray], folder: Path, ending: str) -> None:
    """What another program leaves: every picture brighter by SHIFT."""
    for name, pixels in pictures.items():
        path = folder / (name.removesuffix(".png") + ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels + SHIFT).save(path)


def measured(out: Path, *overrides: str, network: str = "Tiny") -> runs.Run:
    given = [f"metrics.cache={out.parent / 'cache'}", "trainer.accelerator=cpu", *overrides]
    cfg = composed("evaluate", out, *given)
    if "torch_fidelity" not in " ".join(overrides):
        cfg.metrics.extractor = {"_target_": f"test_evaluate.{network}", "_partial_": True}
    evaluate(cfg)
    return runs.load(out)


NAMES = [f"{k:04d}.png" for k in range(12)]


@pytest.mark.filterwarnings("ignore:FID")
@pytest.mark.parametrize(
    "ending",
    [".png", pytest.param(".jpg.png", marks=pytest.mark.slow),
     pytest.param("_fake.png", marks=pytest.mark.slow), "_fake_B.png"],
)  # fmt: skip
def test_a_filters_folder_has_the_known_numbers(tmp_path: Path, ending: str):
    sources = draw(tmp_path / "a", NAMES, 0)
    brighter(sources, tmp_path / "made", ending)
    draw(tmp_path / "b", [f"{k}.png" for k in range(9)], 1)
    pattern = ["pattern='{id}_fake_B.png'"] if ending == "_fake_B.png" else []
    folders = [f"{k}={tmp_path / v}" for k, v in
               (("source", "a"), ("output", "made"), ("target", "b"))]  # fmt: skip
    run = measured(tmp_path / "out", *folders, *pattern)
    got = run.metrics
    assert got["l2"] == pytest.approx(SHIFT / 255 * np.sqrt(3 * 16 * 16), rel=1e-5)
    assert got["psnr"] == pytest.approx(20 * np.log10(255 / SHIFT), abs=1e-4)
    assert got["l2_source"] == 0 and got["ssim_source"] == pytest.approx(1)
    assert 2 < got["tint"] < 5 and got["tint_source"] == 0  # 10 grey levels are about 4 in L*
    assert got["noise"] == pytest.approx(got["noise_source"], rel=1e-9)  # a shift adds no noise
    assert got["l2_floor"] > 3 * got["l2"]
    assert run.summary["n"] == 12 and len(run.rows) == 12
    for name in ("fid", "kid", "precision", "recall"):
        assert {name, f"{name}_source", f"{name}_floor"} <= got.keys()
        for of in ("", "_source", "_floor"):
            low, high = run.intervals[name + of]
            assert low - 1e-9 <= got[name + of] <= high + 1e-9
    assert run.intervals.keys() >= got.keys() - {"kid_se"}
    assert got["fid"] > got["fid_source"]  # brighter than the target, which the source is not
    assert run.sources["0003.png"] == tmp_path / "a/0003.png"
    assert np.array_equal(np.array(Image.open(run.images["0003.png"])), sources["0003.png"] + SHIFT)


@pytest.mark.filterwarnings("ignore:FID", "ignore:.*brought to the outputs")
def test_the_truth_sizes_and_nested_folders(tmp_path: Path):
    names = [f"deep/{k}.png" for k in range(6)]
    sources = draw(tmp_path / "a", names, 0, size=32)
    for name, pixels in sources.items():  # outputs of half the size, truths of the sources' own
        half = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC)
        for folder, picture in (("made", half), ("truth", Image.fromarray(pixels))):
            (tmp_path / folder / "deep").mkdir(parents=True, exist_ok=True)
            picture.save(tmp_path / folder / name)
    draw(tmp_path / "b", names, 1, size=32)
    folders = [f"{k}={tmp_path / v}" for k, v in (("source", "a"), ("output", "made"),
               ("truth", "truth"), ("target", "b"))]  # fmt: skip
    run = measured(tmp_path / "out", *folders)
    assert run.metrics["l2"] == run.metrics["l2_truth"] == run.metrics["l2_floor"] == 0
    assert run.metrics["nearer"] == 0  # equal is not nearer
    with pytest.raises(ValueError, match="another size than their source.*deep/0.png: 16x16"):
        measured(tmp_path / "refused", *folders, "fit=refuse")


def test_what_is_wrong_with_folders_is_named(tmp_path: Path):
    sources = draw(tmp_path / "a", NAMES[:4], 0)
    brighter(sources, tmp_path / "made", ".png")
    a, made = str(tmp_path / "a"), str(tmp_path / "made")
    (tmp_path / "made/0002.png").rename(tmp_path / "made/other.png")
    with pytest.raises(ValueError, match="belong to no source.*other.png"):
        compared(made, a)
    (tmp_path / "made/other.png").unlink()
    with pytest.raises(ValueError, match="nothing for 1 of 4 sources .0002.png"):
        compared(made, a)
    assert compared(made, a, partial=True).ids == ["0000.png", "0001.png", "0003.png"]
    shutil.copy(tmp_path / "made/0001.png", tmp_path / "made/0001_fake.png")
    with pytest.raises(ValueError, match="several files for 1 images .0001.png, 0001_fake.png"):
        compared(made, a, partial=True)
    (tmp_path / "made/0001_fake.png").unlink()
    Image.new("RGB", (9, 9)).save(tmp_path / "made/0001.png")
    with pytest.raises(ValueError, match="mixes sizes.*0001.png"):
        compared(made, a, partial=True)
    (tmp_path / "made/0001.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="0001.png cannot be read"):
        compared(made, a, partial=True)
    with pytest.raises(ValueError, match="what are the outputs compared with"):
        compared(made)
    with pytest.raises(ValueError, match="output=.*absent does not exist"):
        compared(str(tmp_path / "absent"), a)


def test_exchanged_outputs_are_named(tmp_path: Path):
    chance = np.random.default_rng(0)
    x = list(chance.uniform(0, 255, (20, 192)))
    names = [f"{k:02d}.png" for k in range(20)]
    y = [image + chance.normal(0, 20, 192) for image in x]
    assert exchanged(names, y, x) == {}
    y[3], y[11] = y[11], y[3]
    assert exchanged(names, y, x) == {"03.png": "11.png", "11.png": "03.png"}
    assert len(exchanged(names, y[1:] + y[:1], x)) > 17  # all are one place off
    assert exchanged(names, list(chance.uniform(0, 255, (20, 192))), x) == {}
    sources = draw(tmp_path / "a", NAMES, 0)
    brighter(sources, tmp_path / "made", ".png")
    one, other, between = (tmp_path / "made" / n for n in ("0003.png", "0007.png", "x"))
    one.rename(between), other.rename(one), between.rename(other)
    with pytest.warns(UserWarning, match="2 outputs look like .* of 0003.png, like 0007.png's"):
        measured(tmp_path / "out", f"source={tmp_path / 'a'}", f"output={tmp_path / 'made'}")


def test_names_pair_by_patterns():
    assert paired(["a/1.jpg", "2.png"], ["a/1.png", "2_fake.png"], "here") == {
        "a/1.jpg": "a/1.png",
        "2.png": "2_fake.png",
    }
    files = ["x_real_A.png", "x_fake_B.png", "x_rec_A.png"]
    assert paired(["x.jpg"], files, "here", "{id}_fake_B.png") == {"x.jpg": "x_fake_B.png"}
    assert paired(["x.jpg"], files, "here", "{id}_fake_B") == {"x.jpg": "x_fake_B.png"}
    with pytest.raises(ValueError, match="fits none of the 3 files of here, such as x_real_A.png"):
        paired(["x.jpg"], files, "here", "{id}_out")
    assert paired(["x_fake.png"], ["x_fake.png"], "here") == {"x_fake.png": "x_fake.png"}
    with pytest.raises(ValueError, match="differ only in their suffix"):
        paired(["x.jpg", "x.png"], ["x.png"], "here")
    with pytest.raises(ValueError, match="pattern='{id}_out.png'"):
        paired(["x.jpg"], ["x_out.png"], "here")


@pytest.mark.filterwarnings("ignore")
def test_a_folder_around_all_files_counts_for_nothing():
    """As in most zips; one that the sources have, too, or that a pattern names, stays."""
    one, two = ["x/1_fake.png", "x/2.png"], {"1.jpg": "x/1_fake.png", "2.jpg": "x/2.png"}
    assert paired(["1.jpg", "2.jpg"], one, "here") == two
    assert paired(["a/1.jpg", "a/2.jpg"], one, "here") == {f"a/{k}": v for k, v in two.items()}
    assert paired(["x/1.jpg", "x/2.jpg"], one, "here") == {f"x/{k}": v for k, v in two.items()}
    assert paired(["1.jpg"], ["x/1.png"], "here", "x/{id}.png") == {"1.jpg": "x/1.png"}
    with pytest.raises(ValueError, match="2 files that belong to no source"):
        paired(["a/1.jpg", "b/1.jpg"], ["x/1.png", "x/2.png"], "here")


def test_the_pattern_that_is_proposed_fits_most_files():
    """Where one source's name begins another's."""
    files = ["10_B.png", "100_B.png", "1_B.png"]
    with pytest.raises(ValueError, match=r"pattern='\{id\}_B.png'$"):
        paired(["1.png", "10.png", "100.png"], files, "here")


def test_a_pattern_may_be_given_as_it_is_proposed():
    """The shell takes the quotes of pattern='{id}_fake.png' away."""
    for text in ("x={id}, [1]_out.png", "{id}_fake.png", "it's {id}"):
        for given in (text, quoted(text)):
            (argument,) = read("evaluate", [f"pattern={given}"])
            assert OverridesParser.create().parse_override(argument).value() == text


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_few_images_and_no_weights(tmp_path: Path, count: int):
    """n below k + 1, and without the network: what can be measured is."""
    sources = draw(tmp_path / "a", NAMES[:count], 0)
    brighter(sources, tmp_path / "made", ".png")
    folders = [f"{k}={tmp_path / v}" for k, v in
               (("source", "a"), ("output", "made"), ("target", "a"))]  # fmt: skip
    run = measured(tmp_path / "out", *folders)
    assert {"l2", "psnr", "ssim"} <= run.metrics.keys() and "precision" not in run.metrics
    assert ("fid" in run.metrics) == (count > 1)
    without = measured(tmp_path / "without", *folders[:2], network="none")
    assert without.metrics["l2"] == run.metrics["l2"] and "fid" not in without.metrics


@pytest.mark.filterwarnings("ignore:FID")
def test_numbers_of_sets_alone_and_a_cache_by_content(tmp_path: Path):
    made = draw(tmp_path / "made", NAMES, 0)
    real = draw(tmp_path / "real", NAMES, 1)
    run = measured(tmp_path / "one", f"output={tmp_path / 'made'}", f"target={tmp_path / 'real'}")
    rows = [torch.from_numpy(np.stack(list(p.values()))).permute(0, 3, 1, 2) for p in (made, real)]
    cfg = composed("evaluate", tmp_path, "output=x")
    from egsde.programs.build import Parts

    resize = Parts(cfg)("metrics.protocol").resize
    want = frechet(*(Tiny()(resize(r)) for r in rows))
    assert run.metrics["fid"] == pytest.approx(want, rel=1e-4) and "l2" not in run.metrics
    (tmp_path / "real").rename(tmp_path / "elsewhere")
    kept = sorted((tmp_path / "cache").iterdir())
    measured(tmp_path / "two", f"output={tmp_path / 'made'}", f"target={tmp_path / 'elsewhere'}")
    assert sorted((tmp_path / "cache").iterdir()) == kept and kept
    pile = compared(str(tmp_path / "made"), target=str(tmp_path / "elsewhere")).target
    assert content_key(pile, pile.names, "") != content_key(pile, pile.names[1:], "")


@pytest.mark.filterwarnings("ignore:FID")
def test_samples_from_noise_have_no_distances(tmp_path: Path):
    for seed, folder in enumerate(("a", "made", "b")):
        draw(tmp_path / folder, NAMES, seed)
    Image.new("RGB", (16, 16), (250, 90, 90)).save(tmp_path / "made/0003.png")
    folders = [f"{k}={tmp_path / v}" for k, v in
               (("source", "a"), ("output", "made"), ("target", "b"))]  # fmt: skip
    run = measured(tmp_path / "out", *folders, "metrics=generative", network="Classes")
    plain = {name.split("_")[0] for name in run.metrics}
    assert plain == {"fid", "kid", "precision", "recall", "isc", "noise"}
    assert run.metrics["isc"] >= 1 and {"isc_source", "isc_floor"} <= run.intervals.keys()
    low, high = run.intervals["isc"]
    assert low < run.metrics["isc"] < high


def test_ms_ssim_is_a_preset(tmp_path: Path):
    for seed, folder in enumerate(("a", "made", "b")):
        draw(tmp_path / folder, NAMES[:2], seed, size=161)
    folders = [f"{k}={tmp_path / v}" for k, v in
               (("source", "a"), ("output", "made"), ("target", "b"))]  # fmt: skip
    no_sets = [f"metrics.{name}=false" for name in ("fid", "kid", "prc", "intervals")]
    run = measured(tmp_path / "out", *folders, "metrics=ms_ssim", *no_sets)
    assert run.metrics["ms_ssim_source"] == pytest.approx(1)
    assert run.metrics["ms_ssim"] < 0.9 and "tint" in run.metrics


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_preset_is_torch_fidelitys_own(tmp_path: Path):
    """FID, KID over its subsets, precision, recall and ISC of two folders: what its command prints,
    to 1e-4."""
    file = weights.locate(download=False)
    if file is None:
        pytest.skip("no Inception weights on this machine")
    classes = torch.randn(1008, 2048, generator=torch.Generator().manual_seed(0)) / 10
    state = {**weights.read(file), "fc.weight": classes, "fc.bias": torch.zeros(1008)}
    torch.save(state, tmp_path / "inception.pth")
    for folder, seed in (("made", 0), ("real", 1)):
        draw(tmp_path / folder, NAMES + [f"x{k}.png" for k in range(3)], seed, size=24)
        for path in (tmp_path / folder).iterdir():
            Image.open(path).resize((40, 40)).rotate(30 * seed).save(path)
    command = [
        sys.executable, "-c", "import egsde; from torch_fidelity.fidelity import main; main()",
        "--cpu", "--silent", "--json",
        "--no-cache", "--batch-size", "5",
        "--fid", "--kid", "--isc", "--prc", "--kid-subset-size", "15",
        "--feature-extractor", "inception-v3-compat", "--feature-layer-prc", "2048",
        "--feature-extractor-weights-path", str(tmp_path / "inception.pth"),
        "--input1", str(tmp_path / "made"), "--input2", str(tmp_path / "real"),
    ]  # fmt: skip
    want = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    run = measured(
        tmp_path / "out", f"output={tmp_path / 'made'}", f"target={tmp_path / 'real'}",
        "metrics=torch_fidelity", f"metrics.extractor.path={tmp_path / 'inception.pth'}",
    )  # fmt: skip
    theirs = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "isc": "inception_score_mean",
        "precision": "precision",
        "recall": "recall",
    }
    for name, key in theirs.items():
        assert run.metrics[name] == pytest.approx(want[key], rel=1e-4), name


def test_lpips_of_weights_that_lie_in_the_cache(monkeypatch, tmp_path: Path):
    """Random ones: 0 between an image and itself, more between others, with an interval."""
    from torchvision.models import squeezenet1_1

    from egsde.evaluation.metrics.lpips import FILES

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    weights_of = squeezenet1_1(weights=None).state_dict()
    torch.save(weights_of, tmp_path / "checkpoints" / FILES["squeeze"])
    for folder, seed in (("a", 0), ("made", 1), ("b", 2)):
        draw(tmp_path / folder, NAMES, seed, size=40)
    folders = [
        f"{k}={tmp_path / v}" for k, v in (("source", "a"), ("output", "made"), ("target", "b"))
    ]
    no_sets = [f"metrics.{name}=false" for name in ("fid", "kid", "prc")]
    net = "metrics.pairwise.lpips.net=squeeze"
    run = measured(tmp_path / "out", *folders, "metrics=lpips", net, *no_sets)
    assert run.metrics["lpips_source"] == pytest.approx(0, abs=1e-6)
    low, high = run.intervals["lpips"]
    assert 0 < low < run.metrics["lpips"] < high


def test_lpips_without_weights_is_left_out(monkeypatch, tmp_path: Path):
    from egsde.evaluation.metrics import Suite
    from egsde.evaluation.metrics.lpips import lpips

    monkeypatch.setenv("EGSDE_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.warns(UserWarning, match="LPIPS is left out"):
        assert Suite(pairwise={"lpips": lpips()}).each.pairwise == {}
    with pytest.raises(ValueError, match="net=res is unknown"):
        lpips("res")


def test_the_metrics_json_is_plain(tmp_path: Path):
    sources = draw(tmp_path / "a", NAMES[:3], 0)
    brighter(sources, tmp_path / "made", ".png")
    measured(tmp_path / "out", f"output={tmp_path / 'made'}", f"source={tmp_path / 'a'}")
    found = json.loads((tmp_path / "out/metrics.json").read_text())
    assert set(found) == {
        "n", "nfe", "seconds_per_image", "protocol", "metrics", "intervals"
    }  # fmt: skip
    assert json.loads((tmp_path / "out/run.json").read_text())["program"] == "evaluate.py"


@pytest.mark.parametrize(
    ("name", "make", "package"),
    [
        ("a.npy", containers.npy, "numpy"),
        ("a.nii.gz", containers.nifti, "nibabel"),
        ("scan", containers.dicom, "pydicom"),
    ],
)
def test_volumes_are_measured_slice_by_slice(name, make, package, tmp_path):
    pytest.importorskip(package)
    stack = np.random.default_rng(0).integers(0, 900, (5, 16, 12, 1)).astype("int16")
    for folder, volume in (("x", stack), ("y", stack + np.int16(100))):
        (tmp_path / folder).mkdir()
        make(tmp_path / folder / name, volume)
    given = [f"source={tmp_path / 'x'}", f"output={tmp_path / 'y'}", "channels=1"]
    run = measured(tmp_path / "out", *given, "range=[0,1000]", "report=3")
    assert len(run.rows) == 5
    assert (tmp_path / "out" / "report.html").read_text().count('data-kind="source"') >= 3
    assert run.metrics["l2"] == pytest.approx(0.1 * (16 * 12) ** 0.5, rel=1e-4)


def test_a_series_flickers_by_what_was_added_to_it(tmp_path):
    """Frame i of still sources is brighter by 20 i levels, so neighbours differ by 20 / 255; a
    frame that was not translated parts its neighbours."""
    still = np.full((4, 16, 12, 3), 60, np.uint8)
    made = still + 20 * np.arange(4, dtype=np.uint8)[:, None, None, None]
    for folder, stack in (("x", still), ("y", made)):
        (tmp_path / folder / "frames").mkdir(parents=True)
        containers.npy(tmp_path / folder / "a.npy", stack)
        for k, frame in enumerate(stack):
            if (folder, k) != ("y", 2):
                Image.fromarray(frame).save(tmp_path / folder / "frames" / f"{k}.png")
    given = [f"source={tmp_path / 'x'}", f"output={tmp_path / 'y'}", "partial=true", "report=0",
             "objective=flicker"]  # fmt: skip
    for series, count in (("null", 3), ("true", 4)):
        run = measured(tmp_path / series, *given, f"series={series}")
        assert run.metrics["flicker"] == pytest.approx(20 / 255, abs=1e-12)
        assert run.metrics["flicker_source"] == 0 and len(run.rows) == 7
        found = {name: row["flicker"] for name, row in run.rows.items() if "flicker" in row}
        assert len(found) == count


def test_the_pattern_that_is_proposed_leaves_out_what_belongs_to_nothing():
    """A folder of CycleGAN's: a_fake.png beside a_real.png."""
    files = ["a_fake.png", "a_real.png", "b_fake.png", "b_real.png"]
    with pytest.raises(ValueError, match=r"2 files .*pattern='\{id\}_fake.png'"):
        paired(["a.png", "b.png"], files, "output=y")
    assert paired(["a.png", "b.png"], files, "output=y", "{id}_fake.png")["a.png"] == "a_fake.png"


@pytest.mark.parametrize(
    ("suffix", "dtype", "channels", "ends"),
    [
        (".tif", "uint16", 1, None),
        (".tiff", "float32", 7, [-2, 2]),
        pytest.param(".npy", "int16", 4, [0, 999], marks=pytest.mark.slow),
    ],
)
def test_deep_pictures_are_measured_as_the_numbers_they_are(
    suffix, dtype, channels, ends, tmp_path
):
    """A step that 8 bits do not show; sets of four and seven channels are left out."""
    chance, names = np.random.default_rng(0), [f"a{k}" for k in range(3)]
    low, high = ends or (0, 65535)
    step = (high - low) / 999 if dtype != "uint16" else 3

    def save(path: Path, pixels: np.ndarray) -> None:
        path.parent.mkdir(exist_ok=True)
        flat = pixels[..., 0] if channels == 1 else pixels
        if suffix == ".npy":
            np.save(path, flat)
        else:
            planes = {} if channels == 1 else {"planarconfig": "contig"}
            tifffile.imwrite(path, flat, photometric="minisblack", **planes)

    for name in names:
        x = chance.uniform(low, high - 10 * step, (16, 12, channels)).astype(dtype)
        save(tmp_path / "x" / f"{name}{suffix}", x)
        save(tmp_path / "y" / f"{name}_fake{suffix}", (x + step).astype(dtype))
        save(tmp_path / "real" / f"{name}{suffix}", x[::-1])
    given = [f"source={tmp_path / 'x'}", f"output={tmp_path / 'y'}", f"target={tmp_path / 'real'}"]
    given += [f"channels={channels}", f"range={ends or 'null'}"]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run = measured(tmp_path / "out", *given)
    expected = step / (high - low) * (16 * 12 * channels) ** 0.5
    assert run.metrics["l2"] == pytest.approx(expected, rel=1e-3)
    left_out = any(f"images have {channels} channels" in str(w.message) for w in seen)
    assert left_out == (channels > 3) == ("kid" not in run.metrics)
    assert (tmp_path / "out" / "report.html").exists()
    with pytest.raises(ValueError, match="channels=2"):
        measured(tmp_path / "two", *given[:3], "channels=2", given[4])
