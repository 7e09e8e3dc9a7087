"""Translating into a folder: the same pixels however it is run, and nothing lost."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from demo_networks import write_networks
from egsde.data import Fluent, output_name
from egsde.data.domains import spread
from egsde.evaluation.reports import draw_grid
from egsde.methods.diffusion import networks_of
from egsde.programs.cli import CONF
from egsde.programs.sample import build_translator, sample

KEYS = ("n", "nfe", "seconds_per_image")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_networks(tmp_path_factory.mktemp("networks"))


def run(out: Path, *overrides: str) -> Path:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        sample(compose("sample", [f"out={out}", *overrides]))
    return out


def pixels(out: Path) -> dict[str, np.ndarray]:
    return {p.name: np.asarray(Image.open(p)).astype(int) for p in (out / "images").glob("*.png")}


@pytest.fixture(scope="module")
def seven(networks: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("seven")
    return run(out, *networks, "limit=7", "data.eval_batch_size=7")


def test_the_folder_holds_what_is_promised(seven: Path) -> None:
    assert len(pixels(seven)) == 7
    summary = json.loads((seven / "metrics.json").read_text())
    assert set(summary) == {*KEYS, "protocol", "metrics", "intervals"}
    assert summary["n"] == 7 and summary["nfe"] == {"score": 5, "extractor": 10}
    assert {"l2", "psnr", "ssim", "l2_truth"} <= set(summary["metrics"])
    record = json.loads((seven / "run.json").read_text())
    assert record["config"]["seed"] == 0 and set(record["weights"]) == {"score", "extractor"}
    assert len((seven / "images.csv").read_text().splitlines()) == 8
    assert Image.open(seven / "grid.png").width > 7 * 90


def test_metrics_are_those_of_the_written_files(seven: Path, networks: list[str]) -> None:
    flat = Fluent().images("flat", "test", 16)
    source = {output_name(name): flat.array(i) for i, name in enumerate(flat.ids)}
    distances = [
        np.sqrt(np.square((image - source[name].astype(int)) / 255).sum())
        for name, image in pixels(seven).items()
    ]
    measured = json.loads((seven / "metrics.json").read_text())["metrics"]["l2"]
    assert measured == pytest.approx(np.mean(distances), rel=1e-5)


def test_the_grid_is_spread_over_the_split(seven: Path, networks: list[str], tmp_path: Path):
    """Columns 0, 2 and 4 of seven, whichever batches they come in."""
    run(tmp_path, *networks, "limit=7", "columns=3", "data.eval_batch_size=2", "metrics=none")
    flat, truth = (Fluent().images(style, "test", 16) for style in ("flat", "3d"))
    made = pixels(tmp_path)
    ids = [flat.ids[i] for i in spread(len(flat.ids), 7)][:6:2]
    arrays = {
        "source": [flat.array(flat.ids.index(name)) for name in ids],
        "translation": [made[output_name(name)].astype(np.uint8) for name in ids],
        "truth": [truth.array(flat.ids.index(name)) for name in ids],
    }
    shown = {k: [torch.as_tensor(a).permute(2, 0, 1) for a in row] for k, row in arrays.items()}
    assert np.array_equal(
        np.asarray(draw_grid(shown)), np.asarray(Image.open(tmp_path / "grid.png"))
    )


@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_pixels_do_not_depend_on_the_batch(
    seven: Path, networks: list[str], tmp_path: Path, batch: int
) -> None:
    other = pixels(run(tmp_path, *networks, "limit=7", f"data.eval_batch_size={batch}"))
    for name, image in pixels(seven).items():
        assert np.abs(image - other[name]).max() <= 1  # rounding at the border of two grey values
        assert (image != other[name]).mean() < 1e-2


def test_a_cut_run_goes_on_where_it_stopped(
    seven: Path, networks: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "cut"
    shutil.copytree(seven, out)
    removed = sorted((out / "images").glob("*.png"))[:2]
    kept = {p: p.stat().st_mtime_ns for p in (out / "images").glob("*.png") if p not in removed}
    for path in removed:
        path.unlink()
    run(out, *networks, "limit=7", "data.eval_batch_size=7")
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    again, once = (json.loads((f / "metrics.json").read_text()) for f in (out, seven))
    assert again["metrics"] == pytest.approx(once["metrics"], rel=1e-3)
    assert again["nfe"] == once["nfe"]


def test_a_run_that_was_cut_before_it_measured_keeps_its_evaluations(
    seven: Path, networks: list[str], tmp_path: Path
) -> None:
    shutil.copytree(seven, tmp_path, dirs_exist_ok=True)
    (tmp_path / "metrics.json").unlink()
    run(tmp_path, *networks, "limit=7", "data.eval_batch_size=7")
    again = json.loads((tmp_path / "metrics.json").read_text())
    assert again["nfe"] == {"score": 5, "extractor": 10} and again["seconds_per_image"] > 0


def test_another_run_is_refused(seven: Path, networks: list[str]) -> None:
    with pytest.raises(ValueError, match=r"config\.seed was 0, is 1"):
        run(seven, *networks, "limit=7", "seed=1")
    assert len(pixels(seven)) == 7


def test_another_seed_gives_other_pixels(seven: Path, networks: list[str], tmp_path: Path) -> None:
    other = pixels(run(tmp_path, *networks, "limit=2", "seed=1"))
    mine = pixels(seven)
    shared = set(mine) & set(other)
    assert shared and all((mine[name] != other[name]).any() for name in shared)


def test_energy_none_is_sdedit(networks: list[str], tmp_path: Path) -> None:
    a = pixels(run(tmp_path / "a", *networks, "limit=2", "energy=none"))
    b = pixels(run(tmp_path / "b", *networks, "limit=2", "translator=sdedit"))
    assert a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)


def test_an_energy_too_strong_for_the_steps_is_said(tmp_path: Path) -> None:
    """The images are written all the same, and stable steps do not explode."""
    few = ["logger=none", "metrics=pairwise", "limit=1", "sampler.grid.steps=10"]
    strong = [*few, "energy.weights={realism: 0, faithfulness: 1e4}"]
    with pytest.warns(UserWarning, match=r"1 of 1 translations.*egsde_fast"):
        exploded = run(tmp_path / "ancestral", *strong)
    assert len(pixels(exploded)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run(tmp_path / "fast", *strong, "translator=egsde_fast")


def test_a_sum_sees_one_extractor(networks: list[str], tmp_path: Path) -> None:
    extra = ["+energy/term@energy.terms.class=log_prob", "+energy.weights.class=3"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        translator = build_translator(compose("sample", [*networks, *extra]))
    assert set(networks_of(translator)) == {"score", "extractor"}
