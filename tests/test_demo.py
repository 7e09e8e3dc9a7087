"""The demo: its walk is the translation itself, its page asks for nothing elsewhere."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image

import egsde
from browser import asked, browser
from demo_networks import write_networks
from egsde.programs import demo
from egsde.programs.at_home import AtHome
from egsde.programs.cli import main
from egsde.programs.demo import Networks, networks_of_run, translator, walk
from runs import command


def picture(size: tuple[int, int] = (50, 40)) -> Image.Image:
    generator = np.random.default_rng(0)
    return Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "method", ["ddib_egsde", pytest.param("egsde_fast", marks=pytest.mark.slow)]
)
def test_the_last_view_is_the_translation(method):
    made = translator(Networks(), method, 0.05, 40, (100.0, 1.0))
    views = list(walk(made, picture(), seed=3))
    again = egsde.PictureTranslator(made.translator, made.size, made.config, seed=3)
    expected = again.translate(picture(), "0")
    end = views[-1]
    np.testing.assert_array_equal(np.array(end.result)[::4, ::4], np.array(expected))
    assert len(end.states) == len(end.denoised) == len(views) - 1 >= 3
    assert end.states[0][1] == "t = 0.05" and end.source.size == end.result.size == (256, 256)


def test_methods_are_those_whose_networks_are_there():
    assert Networks().methods == list(demo.METHODS)
    assert Networks((), ("score",)).methods == ["sdedit"]
    assert Networks((), ("score", "extractor")).methods == ["egsde", "egsde_fast", "sdedit"]


def test_the_networks_of_a_run(tmp_path):
    chosen = [o for o in write_networks(tmp_path) if "translator" not in o]
    given = [*chosen, "translator=sdedit", "t_start=0.3", "limit=1", "report=0", "trajectory=0"]
    assert command("sample", *given, f"out={tmp_path / 'run'}") == 0
    found = networks_of_run(tmp_path / "run")
    assert found.there == ("score",) and found.methods == ["sdedit"]
    assert not any(w.startswith(("out", "translator", "limit")) for w in found.given)
    made = translator(found, "sdedit", 0.5, 10, (0.0, 0.0))
    assert made.size == 16 and made.translator.steps == 5
    with pytest.raises(ValueError, match="no run.json"):
        networks_of_run(tmp_path)


@pytest.mark.parametrize("given", [["score.weights=demo/flat_and_3d.safetensors"], ["ddib"]])
def test_a_run_with_the_sources_score_may_encode(given, tmp_path):
    """In the target's file, or as what DDIB starts from."""
    run = tmp_path / "run"
    run.mkdir()
    networks, score = ({"score": "a", "start_score": "b"}, {}) if given == ["ddib"] else (
        {"score": "a"}, {"weights": given[0].partition("=")[2]})  # fmt: skip
    record = {"command": "python sample.py seed=1", "weights": networks, "config": {"score": score}}
    (run / "run.json").write_text(json.dumps(record))
    assert networks_of_run(run).there == ("score", "source_score")


def test_a_page_is_stripped_of_what_lies_elsewhere():
    html = (b'<head><link rel="preconnect" href="https://fonts.example"/><meta charset="utf-8">'
            b'<script src="https://cdn.example/a.js"></script><script>let here = 1</script>'
            b'<link href="http://127.0.0.1:7860/x.css"></head>')  # fmt: skip
    sent = []

    async def app(scope, receive, send):
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"9"),
                   (b"content-security-policy", b"old")]  # fmt: skip
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": html[:40], "more_body": True})
        await send({"type": "http.response.body", "body": html[40:]})

    async def keep(message):
        sent.append(message)

    asyncio.run(AtHome(app)({}, None, keep))
    start, body = sent
    expected = (b'<head><meta charset="utf-8"><script>let here = 1</script>'
                b'<link href="http://127.0.0.1:7860/x.css"></head>')  # fmt: skip
    assert body["body"] == expected
    headers = dict(start["headers"])
    assert headers[b"content-length"] == str(len(expected)).encode()
    assert headers[b"content-security-policy"].startswith(b"default-src 'self'")
    assert len(start["headers"]) == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], 'pip install "egsde[demo]"'),
        (["nowhere"], "is no folder of a run of sample.py"),
        (["a", "b"], "a demo is of one run"),
        (["prt=1"], "did you mean port=?"),
        (["port=x"], "a whole number of at least 1"),
    ],
)
def test_mistakes_are_answered_plainly(arguments, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "gradio", None)  # as if it were not installed
    monkeypatch.setattr("sys.argv", ["egsde", "demo", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr().err
    assert stop.value.code == 1 and expected in told and "Traceback" not in told


@pytest.fixture
def address():
    try:
        import gradio  # noqa: F401
        import uvicorn
    except ImportError as error:
        pytest.skip(f"gradio cannot be imported: {error}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(demo.application(Networks()), "127.0.0.1", port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1100])
def test_the_demo_is_clicked(address, tmp_path, width):
    picture().save(tmp_path / "photo.png")
    with browser(width, 1500) as driver:
        driver.get(address)
        wait = lambda css, timeout=60: until(driver, css, timeout)  # noqa: E731
        wait("#translate")
        driver.execute_script("return document.fonts.ready")
        wait("#picture input[type=file]").send_keys(str(tmp_path / "photo.png"))
        wait("#picture img")
        slider = wait("#start input[type=number]")
        slider.clear()
        slider.send_keys("0.1\t")
        driver.execute_script("arguments[0].click()", wait("#translate"))
        wait("#result img", 120)
        end = time.monotonic() + 120
        while len(driver.find_elements("css selector", "#states img")) < 4:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert wait("#energies img") and wait("#denoised img")
        driver.save_screenshot(str(tmp_path / "demo.png"))
        hosts = {urlparse(url).netloc for url in asked(driver)}
        assert hosts == {urlparse(address).netloc}


def until(driver, css: str, timeout: float):
    end = time.monotonic() + timeout
    while not (found := driver.find_elements("css selector", css)):
        assert time.monotonic() < end, f"no {css}"
        time.sleep(0.1)
    return found[0]
