"""A folder's numbers are of images that its run made: whatever else lies there is refused, remade
or named."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from functools import cache, partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from demo_networks import write_networks
from egsde.programs.callbacks import Translate
from egsde.programs.cli import CONF
from egsde.programs.sample import sample
from folders import fill
from runs import composed


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for k, domain in enumerate(("a", "b")):
        fill(root / "test" / domain, 4, start=100 * k)
    return root


@cache
def configuration(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("sample", list(overrides))


def sample_of(out: Path, root: Path, networks: list[str], *more: str) -> None:
    own = ["experiment=none", "data=folder", f"data.root={root}", "data.source=a", "data.target=b",
           "data.num_workers=0", "check=false"]  # fmt: skip
    cfg = configuration(*own, *networks, "sampler.grid.steps=2", *more).copy()
    cfg.out = str(out)
    sample(cfg)


def run(out: Path, *arguments: Any) -> dict:
    sample_of(out, *arguments)
    return json.loads((out / "metrics.json").read_text())


@pytest.fixture(scope="module")
def finished(photos, networks, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    run(out, photos, networks)
    return out


@pytest.fixture
def done(photos, finished, tmp_path) -> Iterator[tuple[Path, Path]]:
    """A finished run and its sources, which are put back afterwards."""
    shutil.copytree(finished, tmp_path / "run")
    shutil.copytree(photos, tmp_path / "before")
    yield tmp_path / "run", photos
    shutil.rmtree(photos)
    shutil.copytree(tmp_path / "before", photos)


@pytest.mark.parametrize(("shard", "how"), [("null", "the same command, without shard=, makes"),
                                           ("0/1", "start again shard=0/1")])  # fmt: skip
def test_images_that_were_deleted_meanwhile_are_missed(
    shard, how, photos, networks, tmp_path, monkeypatch
):
    """What is told of a folder is there, also where someone tidies up during the work."""
    work, out = Translate.run, tmp_path / "run"

    def tidied(self, *arguments, name: str = "images/001.png"):
        report = work(self, *arguments)
        (out / name).unlink()
        return report

    monkeypatch.setattr(Translate, "run", tidied)
    with pytest.raises(ValueError, match=rf"1 of 4 images are missing .001.png.; {how}"):
        sample_of(out, photos, networks, f"shard={shard}")
    assert not (out / "metrics.json").exists()
    monkeypatch.setattr(Translate, "run", partialmethod(tidied, name="run.json"))
    sample_of(out, photos, networks, f"shard={shard}")
    assert (out / "run.json").exists() and len(stamps(out)) == 4


def stamps(out: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in sorted((out / "images").iterdir())}


def swap(a: Path, b: Path) -> None:
    kept = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(kept)


def repaint(path: Path) -> None:
    """Other pixels under the old text."""
    with Image.open(path) as file:
        text = PngInfo()
        for key, value in file.info.items():
            text.add_text(key, value)
        pixels = np.asarray(file).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path, pnginfo=text)


CHANGES = {  # what happens to a finished folder -> how many images must be made again
    "a source is drawn anew": (lambda o, r: Image.new("RGB", (8, 8)).save(r / "001.png"), 1),
    "a pixel of a source": (lambda o, r: repaint(r / "002.png"), 1),
    "two sources exchange names": (lambda o, r: swap(r / "000.png", r / "003.png"), 2),
    "two translations exchange names": (lambda o, r: swap(o / "000.png", o / "003.png"), 2),
    "one translation over all": (
        lambda o, r: [shutil.copy(o / "000.png", o / f"00{k}.png") for k in (1, 2, 3)],
        3,
    ),
    "the source over a translation": (lambda o, r: shutil.copy(r / "001.png", o / "001.png"), 1),
    "a pixel of a translation": (lambda o, r: repaint(o / "002.png"), 1),
    "a JPEG under the name": (
        lambda o, r: Image.new("RGB", (16, 16)).save(o / "002.png", "JPEG"),
        1,
    ),
    "half a file": (lambda o, r: (o / "002.png").write_bytes((o / "002.png").read_bytes()[:99]), 1),
    "a grey picture": (lambda o, r: Image.new("L", (16, 16)).save(o / "002.png"), 1),
    "nothing": (lambda o, r: None, 0),
}


QUICK = ("a source is drawn anew", "two translations exchange names", "half a file", "nothing",
         "the source over a translation", "a pixel of a translation")  # fmt: skip


@pytest.mark.parametrize(
    "change", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CHANGES]
)
def test_what_was_not_made_from_these_sources_is_made_again(done, finished, networks, change):
    out, root = done
    before, act = stamps(out), CHANGES[change]
    act[0](out / "images", root / "test" / "a")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        again = run(out, root, networks)
    told = [str(w.message) for w in said if "made again" in str(w.message)]
    assert len(told) == (1 if act[1] else 0) and (not told or told[0].startswith(f"{act[1]} image"))
    assert sum(stamps(out)[name] != before[name] for name in before) >= act[1]
    fresh = finished
    if "source" in change and "over" not in change:
        fresh = out.parent / "fresh"
        run(fresh, root, networks)
    expected = json.loads((fresh / "metrics.json").read_text())
    assert again["metrics"] == pytest.approx(expected["metrics"], rel=1e-3)
    assert again["nfe"] == expected["nfe"]


def test_a_changed_mask_remakes_what_it_touches(photos, networks, tmp_path):
    fill(tmp_path / "masks", 0)
    for k in range(4):
        Image.new("L", (8, 8), 255).save(tmp_path / "masks" / f"00{k}.png")
    masked = ["translator=sdedit", "translator.mask=true", f"data.mask={tmp_path / 'masks'}",
              "data.size=8", "~metrics.pairwise.ssim"]  # fmt: skip
    arguments = (tmp_path / "run", photos, [n for n in networks if "data.size" not in n], *masked)
    run(*arguments)
    half = Image.new("L", (8, 8), 255)
    half.paste(0, (0, 0, 4, 8))
    half.save(tmp_path / "masks" / "002.png")
    with pytest.warns(UserWarning, match=r"1 images were made again \(002\.png\)"):
        run(*arguments)


@pytest.mark.parametrize("names", [["000.png"], ["notes.txt"], ["deep/er/x.jpg", "y.png"]])
def test_a_folder_that_is_not_this_runs_is_refused_before_work(photos, networks, tmp_path, names):
    for name in names:
        (tmp_path / "run" / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / "images" / name).write_bytes(b"mine")
    with pytest.raises(ValueError, match=rf"holds {len(names)} files .*no run\.json"):
        run(tmp_path / "run", photos, networks)
    assert all((tmp_path / "run" / "images" / name).read_bytes() == b"mine" for name in names)


def test_deleting_the_record_launders_nothing(done, networks):
    out, root = done
    (out / "run.json").unlink()
    with pytest.raises(ValueError, match="no run.json"):
        run(out, root, networks, "seed=5")
    # A record of another seed beside the old images: each image's own mark still tells.
    other = out.parent / "other"
    run(other, root, networks, "seed=5", "limit=1")
    shutil.copy(other / "run.json", out / "run.json")
    with pytest.warns(UserWarning, match="4 images were made again"):
        run(out, root, networks, "seed=5")


def test_files_that_no_image_of_the_split_has_are_named(done, networks):
    out, root = done
    (root / "test" / "a" / "003.png").unlink()
    with pytest.warns(UserWarning, match=r"1 files in .*images are no translations.*003\.png"):
        assert run(out, root, networks)["n"] == 3


def test_seconds_and_evaluations_survive_cuts_and_repeats(done, networks):
    out, root = done
    first = json.loads((out / "metrics.json").read_text())
    assert first["seconds_per_image"] > 0 and first["nfe"]["score"] > 0
    assert run(out, root, networks)["seconds_per_image"] == first["seconds_per_image"]
    (out / "images" / "001.png").unlink()
    (out / "metrics.json").unlink()
    again = run(out, root, networks)
    assert again["seconds_per_image"] > 0 and again["nfe"] == first["nfe"] and again["n"] == 4
    lines = (out / "seconds.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"00{k}.png" for k in (0, 1, 2, 3, 1)]
    fewer = run(out, root, networks, "limit=2")
    assert fewer["seconds_per_image"] == pytest.approx(
        np.mean([float(lines[k].split(",")[1]) for k in (0, 2)]), rel=1e-6
    )


PROGRAMS = {  # program -> the files that make a folder its own, of today's and of older runs
    "train": [{"config.yaml": "{}"}, {"weights.safetensors": "x"}, {"checkpoints/last.ckpt": "x"}],
    "evaluate": [{"run.json": '{"program": "evaluate.py"}'}, {"run.json": "{}",
                                                             "likelihood.json": "{}"}],
    "sample": [{"run.json": '{"program": "sample.py"}'}, {"run.json": '{"config": {}}'}],
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("owner", PROGRAMS)
def test_no_program_writes_into_the_folder_of_another(program, owner, tmp_path):
    from egsde.programs.records import claim

    for k, files in enumerate(PROGRAMS[owner]):
        out = tmp_path / str(k)
        for name, text in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(text)
        if program == owner:
            claim(out, f"{program}.py")
            continue
        with pytest.raises(ValueError, match=rf"a run of {owner}\.py"):
            claim(out, f"{program}.py")


@pytest.mark.parametrize("program", ["train", "evaluate", "sample"])
def test_the_programs_ask(program, tmp_path):
    import importlib

    entry = getattr(importlib.import_module(f"egsde.programs.{program}"), program)
    (tmp_path / "run.json").write_text('{"program": "another.py"}')
    with pytest.raises(ValueError, match=r"a run of another\.py"):
        entry(composed(program, tmp_path, "logger=none", "trainer.accelerator=cpu"))
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("out", "refused"),
    [
        ("a", True),
        ("a/run", True),
        ("link/x/y", True),
        ("run", False),
        ("ab", False),
        ("b/x", True),
    ],
)
def test_no_run_writes_among_the_pictures_that_it_reads(tmp_path, out, refused):
    from egsde.programs.records import refuse_inside

    for name in ("a", "b", "ab"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for root, domains in (
        (None, [str(tmp_path / "a"), str(tmp_path / "b")]),
        (tmp_path, ["a", "b"]),
    ):
        if not refused:
            refuse_inside(tmp_path / out, domains, root)
            continue
        with pytest.raises(ValueError, match="lies in the folder of the domain"):
            refuse_inside(tmp_path / out, domains, root)


def test_json_files_hold_no_nan(tmp_path):
    from egsde.programs.records import write_json

    def refuse(word: str) -> None:
        raise AssertionError(word)

    numbers = {"psnr": float("inf"), "rows": [{"ssim": float("nan")}, (float("-inf"), 1.5)]}
    write_json(tmp_path / "x.json", numbers)
    found = json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    assert found == {"psnr": None, "rows": [{"ssim": None}, [None, 1.5]]}
