"""Pictures of one channel in a stated colour map: the grid and the report, not what is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from egsde.programs.sample import sample
from runs import composed
from test_pages import pixels, read


def test_grids_and_reports_of_one_channel_take_a_colour_map(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    for domain, picture in {"a": grey, "b": 255 - grey}.items():
        (tmp_path / domain / "test").mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / domain / "test" / "0.png")
    run = ["data=folder", f"data.source={tmp_path / 'a'}", f"data.target={tmp_path / 'b'}",
           "data.size=8", "data.channels=1", "translator=nothing", "metrics=none", "logger=none",
           "trainer.accelerator=cpu"]  # fmt: skip
    out = tmp_path / "out"
    sample(composed("sample", out, *run, "data.colours=viridis"))
    wanted = (255 * colormaps["viridis"](grey)[..., :3]).round().astype(np.uint8)
    page, _ = read(out / "report.html")
    for kind in ("source", "translation"):
        np.testing.assert_array_equal(pixels(page.all("img", data_kind=kind)[0]["src"]), wanted)
    grid = np.asarray(Image.open(out / "grid.png").convert("RGB")).reshape(-1, 3)
    assert {tuple(c) for c in wanted.reshape(-1, 3)} <= {tuple(c) for c in grid}
    np.testing.assert_array_equal(np.asarray(Image.open(out / "images" / "0.png")), grey)
    recipe = json.loads((out / "run.json").read_text())["recipe"]
    sample(composed("sample", out, *run, "data.colours=gray"))  # goes on: no image depends on it
    assert json.loads((out / "run.json").read_text())["recipe"] == recipe


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["data.colours=virids", "data.channels=1"], "did you mean data.colours=viridis"),
        (["data.colours=viridis"], "data.channels=3; leave it out"),
    ],
)
def test_a_colour_map_that_is_none_is_answered_before_any_work(given, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        sample(composed("sample", tmp_path, "translator=nothing", *given))
