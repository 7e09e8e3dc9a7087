"""Reports: whole by themselves, lossless, and safe with whatever names and numbers a run has."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from browser import Elements, asked, browser, complaints
from egsde.evaluation.pages import (
    About,
    Shown,
    Trajectory,
    load_trajectory,
    report,
    room,
    write_report,
)
from egsde.evaluation.pages.html import data_uri
from egsde.programs.cli import main

HOSTILE = ["a'b\"c.png", "<script>alert(1)</script>.png", "ümläut/日本.png", "x&amp;y$z.png",
           "</script><img src=x onerror=alert(1)>.png", "__proto__"]  # fmt: skip
ABOUT = About(
    "r <b>", "python sample.py x='<y>'", {"metrics": {"l2": 1.0, "l2_source": 0.0}}, "a: 1"
)


def pictures(count: int, height: int = 32, width: int = 32) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return list(generator.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def images(names: list[str], height: int = 32, width: int = 32, kinds=("source", "translation")):
    drawn = iter(pictures(len(names) * len(kinds), height, width))
    return [
        Shown(name, {kind: next(drawn) for kind in kinds}, {"l2": float(i), "odd": float("nan")})
        for i, name in enumerate(names)
    ]


def pixels(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as picture:
        assert picture.mode == "RGB" and not picture.info
        return np.array(picture)


def read(path) -> tuple[Elements, dict]:
    html = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<!xmlns=.)https?://", html)
    page = Elements(html)
    return page, json.loads(page.scripts["data"])


def values(shown) -> dict:
    return {image.id: image.values for image in shown}


def way(moments: int = 3) -> Trajectory:
    steps = np.arange(moments)
    drawn = np.stack(pictures(2 * moments, 8, 8))
    energies = np.array([[3.0, 1.0], [2.0, np.nan], [np.nan, np.nan]])[:moments]
    return Trajectory(steps, 1 - steps / 3, drawn[:moments], drawn[moments:], energies,
                      np.array(["realism", "<i>"]))  # fmt: skip


def test_pictures_are_embedded_as_they_are_whatever_they_are_called(tmp_path):
    shown = images(HOSTILE, 5, 9, ("source", "translation", "truth"))
    (path,) = write_report(tmp_path, ABOUT, shown, values(shown))
    page, data = read(path)
    assert data["ids"] == HOSTILE
    assert [b["data-row"] for b in page.all("button") if "data-row" in b] == list("012345")
    for kind in ("source", "translation", "truth"):
        found = page.all("img", data_kind=kind)
        assert [f["alt"] for f in found] == [f"{kind} of {name}" for name in HOSTILE]
        assert {(f["width"], f["height"]) for f in found} == {("9", "5")}
        for image, element in zip(shown, found, strict=True):
            np.testing.assert_array_equal(pixels(element["src"]), image.pictures[kind])
    assert set(page.scripts) == {"data", ""} and not page.all("img", src="x")
    assert data["values"] == [[float(i), None] for i in range(len(HOSTILE))]
    assert "r <b>" in page.text and "python sample.py x='<y>'" in page.text


def test_every_control_has_a_label_and_every_picture_a_text(tmp_path):
    shown = images(["a.png"])
    page, _ = read(write_report(tmp_path, ABOUT, shown, values(shown))[0])
    html = (tmp_path / "report.html").read_text()
    labelled = "".join(re.findall(r"<label>.*?</label>", html))
    for tag in ("input", "select"):
        assert all(f'id="{a["id"]}"' in labelled for a in page.all(tag)) and page.all(tag)
    assert all("alt" in a for a in page.all("img"))
    assert page.all("html", lang="en") and page.all("meta", name="viewport")


def test_250_images_of_32_pixels_are_one_page_below_5_mb(tmp_path):
    shown = images([f"{i:04}.png" for i in range(250)])  # noise, which no format makes smaller
    (path,) = write_report(tmp_path, ABOUT, shown, values(shown))
    assert path.stat().st_size < 5e6


def test_what_is_beyond_a_page_goes_to_further_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "LIMIT", 20_000)
    (tmp_path / "report_99.html").write_text("of an older run")
    (tmp_path / "report_mine.html").write_text("of a person")
    names = [f"{i:02}.png" for i in range(20)]
    shown = images(names)
    paths = write_report(tmp_path, ABOUT, iter(shown), values(shown))
    assert len(paths) > 2 and paths[1].name == "report_2.html"
    assert {p.name for p in tmp_path.glob("report*")} == {
        *(p.name for p in paths),
        "report_mine.html",
    }
    parts = [read(path) for path in paths]
    assert [name for _, data in parts for name in data["ids"]] == names
    lowest, highest = parts[0][1]["extremes"]["l2"][0], parts[0][1]["extremes"]["l2"][-1]
    assert lowest == ["report.html", "00.png", 0.0]
    assert highest == [paths[-1].name, "19.png", 19.0]
    links = [a["href"] for a in parts[0][0].all("a")]
    assert links == [p.name for p in paths[1:]]


def test_large_images_are_fewer(tmp_path):
    small, large = (images(["a"], size, size)[0] for size in (32, 512))
    assert room(small, 5) > 1500 and 5 <= room(large, 5) < 20


@pytest.mark.parametrize("names", [[], ["one.png"]])
def test_a_run_of_one_image_or_none_without_numbers(tmp_path, names):
    shown = [Shown(image.id, {"translation": image.pictures["translation"]})
             for image in images(names)]  # fmt: skip
    (path,) = write_report(tmp_path, About("r", "", {}, ""), shown, {})
    page, data = read(path)
    assert data["ids"] == names and "Nothing was measured" in page.text


def test_the_table_has_intervals_the_untouched_source_and_the_floor(tmp_path):
    metrics = {
        "kid": 0.0123456,
        "kid_source": 0.2,
        "kid_floor": None,
        "l2": float("nan"),
        "mine": 2.0,
    }
    numbers = {"metrics": metrics, "intervals": {"kid": [0.01, 0.02], "l2": None}}
    (path,) = write_report(tmp_path, About("r", "", numbers, ""), [], {})
    told = " ".join(read(path)[0].text.split())
    assert "kid0.01235 [0.01, 0.02]0.2–The same features" in told
    assert "l2–––Distance to the source" in told and "mine2––Mean over the images" in told


def test_a_way_comes_back_as_it_was_and_a_damaged_file_is_none(tmp_path):
    way().save(tmp_path / "t" / "a.npz")
    found = load_trajectory(tmp_path / "t" / "a.npz")
    assert found is not None
    np.testing.assert_array_equal(found.states, way().states)
    np.testing.assert_array_equal(found.energies, way().energies)
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04 not whole")
    assert load_trajectory(tmp_path / "b.npz") is None
    assert load_trajectory(tmp_path / "c.npz") is None
    shown = [Shown("a", {"translation": pictures(1)[0]}, {}, found)]
    _, data = read(write_report(tmp_path, ABOUT, shown, {})[0])
    assert data["ways"][0]["energies"] == [[3.0, 1.0], [2.0, None], [None, None]]
    assert data["ways"][0]["states"][1] == data_uri(found.states[1])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["report"], "name the folder of a run"),
        (["report", "nowhere"], "no folder at"),
        (["report", "."], "no run of sample.py or evaluate.py"),
        (["report", ".", "imges=3"], "did you mean images=?"),
        (["report", ".", "images=none"], "a whole number of at least 1"),
        (["report", "--images", "3"], "settings have no dashes: images=VALUE"),
        (["reprot"], "did you mean report?"),
    ],
)
def test_mistakes_are_answered_plainly(arguments, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["egsde", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr().err
    assert stop.value.code and expected in told and "Traceback" not in told


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1100])
def test_the_report_in_a_browser(tmp_path, width):
    shown = images([*HOSTILE, "last.png"])
    shown[2] = Shown(shown[2].id, shown[2].pictures, {"l2": -1.0}, way())
    (path,) = write_report(tmp_path, ABOUT, shown, values(shown))
    with browser(width) as driver:
        driver.get(path.as_uri())
        run = driver.execute_script
        by = lambda name: driver.find_element("id", name)  # noqa: E731
        assert by("name").text == HOSTILE[2]  # one whose way was kept comes first
        run("const s = document.getElementById('slider'); s.value = 20;"
            "s.dispatchEvent(new Event('input'))")  # fmt: skip
        assert "20%" in by("over").value_of_css_property("clip-path")
        by("slider").send_keys("\ue014")  # arrow right
        assert "21%" in by("over").value_of_css_property("clip-path")
        before = by("over").size["width"]
        by("zoom").send_keys("\ue014")
        assert by("over").size["width"] == before + 32
        assert run("return document.getElementById('moment').max") == "2"
        middle = by("state").get_attribute("src")
        assert middle == data_uri(way().states[1])
        by("moment").send_keys("\ue012")
        assert by("state").get_attribute("src") == data_uri(way().states[0]) != middle
        assert "realism: 3.000" in by("energies").text
        run("const s = document.getElementById('sort'); s.value = 'l2';"
            "s.dispatchEvent(new Event('change'))")  # fmt: skip
        order = lambda: [int(c.get_attribute("data-row"))  # noqa: E731
                         for c in driver.find_elements("css selector", ".card")]  # fmt: skip
        assert order() == [2, 0, 1, 3, 4, 5, 6]
        run("const s = document.getElementById('order'); s.value = 'down';"
            "s.dispatchEvent(new Event('change'))")  # fmt: skip
        assert order() == [6, 5, 4, 3, 1, 0, 2]
        run("arguments[0].click()", driver.find_elements("css selector", ".card")[0])
        assert by("name").text == "last.png" and not by("way").is_displayed()
        by("next").click()
        assert by("name").text == "__proto__"
        assert run("return document.documentElement.scrollWidth") <= width
        assert asked(driver) == [path.as_uri()] and not complaints(driver)
