"""Runs side by side: what they share, differences with intervals, and a study of blinded pairs."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from browser import Elements, asked, browser, complaints
from demo_networks import write_networks
from egsde.evaluation.pages.comparison import System, differences, measured, shared, unlike
from egsde.evaluation.pages.frontier import NOTHING, frontier, points_of
from egsde.evaluation.pages.intervals import Interval, apart, paired, share
from egsde.evaluation.pages.pairs import drawn, scored
from egsde.programs.cli import main
from runs import command
from test_pages import pixels

HOSTILE = "<b>&'\"ü$x_2$"


def system(name: str, values: dict[str, float], offset: float = 0, **numbers) -> System:
    generator = np.random.default_rng(len(name))
    drawn = {k: generator.integers(0, 256, (6, 9, 3), dtype=np.uint8) for k in values}
    source = {k: np.full((6, 9, 3), ord(k[-1]), np.uint8) for k in values}
    each = {k: {"l2": v + offset} for k, v in values.items()}
    metrics = {"l2": float(np.mean(list(values.values()))) + offset, **numbers.pop("metrics", {})}
    return System(
        name, {"metrics": metrics, **numbers}, each,
        {k: lambda k=k: {"translation": drawn[k], "source": source[k]} for k in values},
    )  # fmt: skip


def saved(folder, name: str, count: int, offset: float = 0.0, kid: float = 0.1, first: int = 0):
    """A folder as sample.py leaves it, with its own pictures in place of a data set."""
    generator = np.random.default_rng(len(name) + first)
    out = folder / name
    ids = [f"{i:03}.png" for i in range(first, first + count)]
    for name in ids:
        (out / "images").mkdir(parents=True, exist_ok=True)
        picture = generator.integers(0, 256, (6, 9, 3), dtype=np.uint8)
        Image.fromarray(picture).save(out / "images" / name)
    l2 = {name: 5 + offset + math.sin(k) for k, name in enumerate(ids)}
    with (out / "images.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("id", "l2"), *l2.items()])
    numbers = {
        "n": count, "nfe": {"score": 10}, "seconds_per_image": 0.5 + offset,
        "metrics": {"l2": sum(l2.values()) / count, "kid": kid, "kid_source": 0.4},
        "intervals": {"kid": [kid - 0.01, kid + 0.01]}, "protocol": {"reference": "a"},
    }  # fmt: skip
    (out / "metrics.json").write_text(json.dumps(numbers))
    return out


def run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr("sys.argv", ["egsde", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_paired_difference_sees_what_single_intervals_hide():
    one = np.linspace(0, 100, 50)
    found = paired(one, one + 1 + 0.1 * np.cos(np.arange(50)))
    assert found.significant and found.value == pytest.approx(1, abs=0.02)
    assert 0.9 < found.low < found.value < found.high < 1.1
    assert found == paired(one, one + 1 + 0.1 * np.cos(np.arange(50)))
    assert not paired(one, one).significant
    assert not paired([1.0], [2.0]).significant and math.isinf(paired([1.0], [2.0]).high)


def test_the_bootstrap_covers_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        difference = generator.normal(1, 2, 40)
        found = paired(np.zeros(40), difference)
        hits += found.low <= 1 <= found.high
    assert 0.89 <= hits / 200 <= 0.98


def test_numbers_of_sets_differ_by_the_root_of_summed_squares():
    found = apart(Interval(1, 0.7, 1.3), Interval(2, 1.6, 2.4))
    assert (found.value, found.low, found.high) == pytest.approx((1, 0.5, 1.5))


def test_shares_have_the_intervals_of_wilson_and_of_clopper_and_pearson():
    z = stats.norm.ppf(0.975)
    p, n = 0.7, 50
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    found = share(35, 50)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half))
    exact = share(35, 50, "exact")
    assert exact.low == pytest.approx(stats.beta.ppf(0.025, 35, 16))
    assert exact.high == pytest.approx(stats.beta.ppf(0.975, 36, 15))
    assert share(0, 3, "exact").low == 0 and share(3, 3, "exact").high == 1


def test_systems_are_compared_on_what_they_share():
    one = system("one", {"a": 1.0, "b": 2.0, "c": 9.0}, metrics={"kid": 0.2, "kid_se": 0.01})
    other = system("other", {"b": 2.0, "c": 9.0, "d": 50.0}, 0.5, metrics={"kid": 0.1})
    keys = shared([one, other])
    assert keys == ["b", "c"]
    assert measured(one, keys)["l2"].value == 5.5 and measured(one, list("abc"))["l2"].value == 4
    assert measured(one, keys)["kid"].high == pytest.approx(0.2196)
    found = {(d.one, d.name): d for d in differences([one, other], keys)}
    assert set(found) == {("one", "l2"), ("other", "l2")}  # the other's KID has no interval
    assert found["one", "l2"].interval == Interval(0.5, 0.5, 0.5)
    third = system("t", {"a": 1.0}, protocol={"reference": "x", "n_images": 1})
    fourth = system("f", {"a": 1.0}, protocol={"reference": "y", "n_images": 2})
    assert "t and f were measured in different ways (reference)" in unlike([third, fourth])[0]
    floor = {"fid_floor": 301.25, "kid_floor": -0.001}
    again = [system(n, {"a": 1.0}, protocol={"reference": n}, metrics=floor) for n in "xy"]
    assert not unlike(again)  # one set of images under two names


def test_doing_nothing_is_a_point_of_the_frontier():
    """At no cost, at the number of the untouched sources; absent where that is unknown."""
    numbers = {"nfe": {"score": 9}, "seconds_per_image": 2}
    systems = [System(name, numbers, {}, {}) for name in "ab"]
    found = {
        name: {"kid": Interval(k, k, k), "l2": Interval(3, 3, 3)}
        for name, k in zip("ab", (1, 2), strict=True)
    }
    assert all(p[0] != NOTHING for _, ps in points_of(systems, found)[1].items() for p in ps)
    found["b"]["kid_source"] = Interval(7, 6, 8)
    y, points = points_of(systems, found)
    assert y == "kid" and list(points) == ["l2", "evaluations", "seconds an image"]
    for inside in points.values():
        name, x, height = inside[0]
        assert (name, x.value, height.value) == (NOTHING, 0, 7) and len(inside) == 3
        assert frontier(inside, True, True)[0] == (0, 7)


def test_the_frontier_is_what_none_beats():
    at = lambda x, y: ("", Interval(x, x, x), Interval(y, y, y))  # noqa: E731
    points = [at(1, 5), at(2, 3), at(3, 4), at(4, 1), at(2, 6)]
    assert frontier(points, True, True) == [(1, 5), (2, 3), (4, 1)]
    assert frontier(points, True, False) == [(1, 5), (2, 6)]


def test_compare_leaves_a_page_a_table_and_a_plot(tmp_path, monkeypatch, capsys):
    runs = [saved(tmp_path, "one", 8), saved(tmp_path, HOSTILE, 8, 0.5, 0.2),
            saved(tmp_path, "late", 8, first=2)]  # fmt: skip
    out = tmp_path / "out"
    assert run(monkeypatch, "compare", *runs, f"out={out}") == 0
    assert "compare.html" in capsys.readouterr().out
    with Image.open(out / "frontier.png") as plot:
        assert plot.width > 800
    with (out / "compare.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["run"] for r in rows] == ["one", HOSTILE, "late"]
    assert {r["shared"] for r in rows} == {"6"} and rows[1]["evaluations"] == "10.0"
    assert float(rows[1]["l2_difference"]) == pytest.approx(0.5)
    assert rows[1]["l2_significant"] == rows[1]["kid_significant"] == "True"
    assert rows[2]["kid_significant"] == "False"
    html = (out / "compare.html").read_text()
    page = Elements(html)
    assert HOSTILE in page.text and "http:" not in html and "https:" not in html
    assert "2 of 8 images that are not compared" in page.text
    shown = [a for a in page.all("img") if a["alt"] == f"003 by {HOSTILE}"]
    expected = np.array(Image.open(tmp_path / HOSTILE / "images" / "003.png"))
    np.testing.assert_array_equal(pixels(shown[0]["src"]), expected)
    data = json.loads(page.scripts["data"])
    assert len(data["values"]) == 6 and data["names"] == ["l2"]


def test_one_shared_image_is_told_without_intervals(tmp_path, monkeypatch):
    one, two = saved(tmp_path, "one", 1), saved(tmp_path, "two", 1, offset=2)
    assert run(monkeypatch, "compare", one, two, f"out={tmp_path / 'out'}") == 0
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "2 runs on the image that all of them have" in page
    assert "[–, –]" not in page and '<td class="number">–</td><td class="no">' in page


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["compare"], "name the folders"),
        (["compare", "one", "one"], "say where"),
        (["compare", "one", "out=x"], "needs two runs"),
        (["compare", "one", "one", "out=x"], "a run is named twice"),
        (["compare", "one", "far", "out=x"], "share no image by name"),
        (["compare", "one", "gone", "out=x"], "no folder at"),
        (["compare", "one", "two", "out=x", "names=a"], "has to name each of the 2 runs"),
        (["pairs", "one", "out=x"], "name two runs"),
        (["pairs", "one", "two"], "say where the page goes"),
        (["pairs", "score"], "name the files of answers"),
        (["pairs", "score", "gone.json"], "no key.json beside"),
        (["pairs", "score", "gone.json", "key=one/images.csv"], "or no JSON"),
        (["pairs", "score", "x", "key=one/metrics.json"], "no key of a study"),
    ],
)
def test_mistakes_are_answered_plainly(arguments, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, first in (("one", 0), ("two", 0), ("far", 50)):
        saved(tmp_path, name, 2, first=first)
    assert run(monkeypatch, *arguments) == 1
    told = capsys.readouterr().err
    assert expected in told and "Traceback" not in told and not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_sweep_ends_in_a_comparison(tmp_path, capsys):
    networks = [o for o in write_networks(tmp_path) if "logger" not in o]
    given = ["-m", *networks, "limit=2", "logger=none", "trajectory=0",
             "energy.weights.realism=0,300", f"hydra.sweep.dir={tmp_path / 'sweep'}"]  # fmt: skip
    assert command("sample", *given) == 0
    assert "side by side" in capsys.readouterr().out
    with (tmp_path / "sweep" / "compare.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["run"] for r in rows] == [f"{k}: energy.weights.realism={v}"
                                        for k, v in ((0, 0), (1, 300))]  # fmt: skip
    assert (tmp_path / "sweep" / "frontier.png").exists()
    page = Elements((tmp_path / "sweep" / "compare.html").read_text())
    assert sum(a["alt"].startswith("source of") for a in page.all("img")) == 2


def test_pairs_are_blind_balanced_and_scored(tmp_path, monkeypatch, capsys):
    names = ["egsde_secret", "sdedit_secret", "third_secret"]
    runs = [saved(tmp_path, name, 9) for name in names]
    out = tmp_path / "study"
    assert run(monkeypatch, "pairs", *runs, f"out={out}", "images=8", "seed=3") == 0
    html, key = (out / "pairs.html").read_text(), json.loads((out / "key.json").read_text())
    assert "secret" not in html and "003" not in Elements(html).scripts["data"][:200]
    assert not any(name in html for name in ("egsde", "sdedit", str(tmp_path)))
    data = json.loads(Elements(html).scripts["data"])
    assert len(data["pairs"]) == 24 and data["study"] == key["study"]
    for pair in data["pairs"]:
        there = key["pairs"][pair["id"]]
        for side in ("left", "right"):
            image = tmp_path / there[side] / "images" / f"{there['image']}.png"
            np.testing.assert_array_equal(
                pixels(data["pictures"][pair[side]]), np.array(Image.open(image))
            )
    sides = [(p["left"], p["right"]) for p in key["pairs"].values()]
    assert all(sides.count((a, b)) == 4 for a in names for b in names if a != b)
    answers = {k: "left" if p["left"] == names[0] else "right" for k, p in key["pairs"].items()}
    sheet = {"study": data["study"], "sheet": "aa", "rater": "x", "answers": answers}
    (tmp_path / "a.json").write_text(json.dumps(sheet))
    half = dict(list(answers.items())[:3])
    (tmp_path / "b.json").write_text(json.dumps({**sheet, "answers": half}))
    capsys.readouterr()
    csv_file = tmp_path / "scores.csv"
    given = [tmp_path / "b.json", tmp_path / "a.json", f"key={out / 'key.json'}", f"out={csv_file}"]
    assert run(monkeypatch, "pairs", "score", *given) == 0
    told = capsys.readouterr().out
    assert "24 answers on 1 sheets" in told and "another file of the same answers" in told
    assert "egsde_secret over sdedit_secret: 100.0% of 8" in told and "Wilson 67.6%" in told
    with csv_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["chosen"] == "8" and float(rows[0]["exact_low"]) == pytest.approx(
        0.6306, abs=1e-4
    )
    (tmp_path / "c.json").write_text(json.dumps({**sheet, "study": "other"}))
    assert run(monkeypatch, "pairs", "score", tmp_path / "c.json", f"key={out / 'key.json'}") == 1
    assert "answers of study other" in capsys.readouterr().err
    with pytest.raises(ValueError, match="to no pair"):
        scored(key, [{**sheet, "answers": {"1": "both"}}])


def test_the_seed_shuffles_and_nothing_else_does():
    keys = [f"{i}" for i in range(20)]
    assert drawn(["a", "b"], keys, 10, 0) == drawn(["b", "a"], keys, 10, 0)
    one, other = drawn(["a", "b"], keys, 10, 0), drawn(["a", "b"], keys, 10, 1)
    assert {p.image for p in one} == {p.image for p in other} and one != other
    assert [p.image for p in one] != sorted(p.image for p in one)


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1100])
def test_the_comparison_in_a_browser(tmp_path, monkeypatch, width):
    runs = [saved(tmp_path, "one", 8), saved(tmp_path, HOSTILE, 8, 0.5, 0.2)]
    run(monkeypatch, "compare", *runs, f"out={tmp_path}")
    with browser(width) as driver:
        driver.get((tmp_path / "compare.html").as_uri())
        shown = lambda: [r.get_attribute("data-base") for r in  # noqa: E731
                         driver.find_elements("css selector", "tr[data-base]")
                         if r.is_displayed()]  # fmt: skip
        assert shown() == ["0", "0"]
        choose(driver, "base", "1")
        assert shown() == ["1", "1"]
        choose(driver, "sort", "l2")
        choose(driver, "order", "down")
        first = driver.find_element("css selector", "#columns tbody tr")
        assert first.find_element("css selector", "th").text == "002"  # sin(2) is the highest
        assert first.find_elements("css selector", ".caption")[2].text == "5.909"
        driver.find_element("id", "size").send_keys("\ue014")
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert asked(driver) == [(tmp_path / "compare.html").as_uri()] and not complaints(driver)


def choose(driver, name: str, value: str) -> None:
    driver.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change'))", name, value,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1100])
def test_the_study_in_a_browser(tmp_path, monkeypatch, capsys, width):
    import time

    runs = [saved(tmp_path, "one", 4), saved(tmp_path, "two", 4)]
    run(monkeypatch, "pairs", *runs, f"out={tmp_path}")
    address = (tmp_path / "pairs.html").as_uri()
    key = json.loads((tmp_path / "key.json").read_text())
    with browser(width, downloads=tmp_path / "got") as driver:
        driver.get(address)
        by = lambda name: driver.find_element("id", name)  # noqa: E731
        by("left").click()
        by("rater").send_keys("Ann")
        assert "pair 2 of 4, 1 answered" in by("progress-told").text
        for _ in range(10):  # a busy browser hands what a page keeps on to the next one late
            driver.get(address)  # a reload forgets nothing
            if "1 answered" in by("progress-told").text:
                break
            time.sleep(0.5)
        assert "pair 2 of 4, 1 answered" in by("progress-told").text
        assert by("rater").get_attribute("value") == "Ann"
        driver.find_element("css selector", "body").send_keys("\ue014")  # arrow right
        by("right").click()
        assert not by("done").is_displayed()
        by("left").click()
        assert by("done").is_displayed()
        by("save").click()
        for _ in range(100):
            found = list((tmp_path / "got").glob("*.json"))
            if found:
                break
            time.sleep(0.1)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert set(asked(driver)) == {address} and not complaints(driver)
    sheet = json.loads(found[0].read_text())
    expected = {"1": "left", "2": "right", "3": "right", "4": "left"}
    assert sheet["answers"] == expected and sheet["rater"] == "Ann"
    assert run(monkeypatch, "pairs", "score", found[0], f"key={tmp_path / 'key.json'}") == 0
    wins = sum(key["pairs"][k][side] == "one" for k, side in expected.items())
    assert f"one over two: {wins / 4:.1%} of 4" in capsys.readouterr().out
