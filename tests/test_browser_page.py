"""docs/demo.html in a headless browser: the numbers of onnxruntime, and a picture dropped in."""

from __future__ import annotations

import importlib.util
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from demo_networks import write_networks
from egsde.programs.export import export
from runs import composed

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def browser_module():
    spec = importlib.util.spec_from_file_location("browser", ROOT / "examples" / "browser.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(address, exported file) of the page with a random network of 16 px."""
    for name in ("onnx", "onnxscript", "onnxruntime", "selenium"):
        pytest.importorskip(name)
    package = os.environ.get("EGSDE_ORT_WEB")
    if package is None and shutil.which("npm") is None:
        pytest.skip("no Node.js, and EGSDE_ORT_WEB names no onnxruntime-web-*.tgz")
    folder = tmp_path_factory.mktemp("page")
    network = exported(folder)
    page = browser_module()
    shutil.copyfile(page.PAGE, folder / "demo.html")
    page.prepare(network, folder / "demo_files", None if package is None else Path(package))
    server = page.server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/demo.html", network
    server.shutdown()


def exported(folder: Path) -> Path:
    options = [o for o in write_networks(folder) if o.startswith(("score", "data.size"))]
    arguments = ["data=fluent", "translator=sdedit", "sampler=ddim", "sampler.grid.steps=4",
                 "t_start=0.5"]  # fmt: skip
    export(composed("export", folder / "exported", *arguments, *options))
    return folder / "exported" / "translator.onnx"


@pytest.fixture(scope="module")
def driver():
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    try:
        made = webdriver.Chrome(options=options)
    except Exception as error:
        pytest.skip(f"no browser to drive: {type(error).__name__}")
    yield made
    made.quit()


def waited(driver, script: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 60).until(lambda d: d.execute_script(f"return {script}"))


def test_the_page_computes_what_onnxruntime_does(served, driver):
    import onnxruntime

    address, network = served
    driver.get(address)
    waited(driver, "document.body.dataset.ready === 'yes'")
    x, noise = (
        np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32).clip(-1, 1)
    )
    script = "const done = arguments[2]; translated(...arguments).then(y => done(Array.from(y)))"
    found = driver.execute_async_script(script, x.ravel().tolist(), noise.ravel().tolist())
    session = onnxruntime.InferenceSession(network)
    (expected,) = session.run(None, {"x0": x[None], "noise": noise[None]})
    assert np.abs(np.reshape(found, expected.shape) - expected).max() < 1e-4


def test_a_picture_is_dropped_and_drawn(served, driver, tmp_path):
    from selenium.webdriver.common.by import By

    Image.new("RGB", (40, 20), (200, 30, 30)).save(tmp_path / "red.png")
    driver.get(served[0])
    waited(driver, "document.body.dataset.ready === 'yes'")
    driver.find_element(By.ID, "file").send_keys(str(tmp_path / "red.png"))
    waited(driver, "document.body.dataset.done === '0'")
    pixel = "return Array.from(document.getElementById(arguments[0]).getContext('2d').getImageData(8, arguments[1], 1, 1).data)"  # noqa: E501
    assert driver.execute_script(pixel, "source", 8) == [200, 30, 30, 255]
    assert driver.execute_script(pixel, "source", 1) == [255, 255, 255, 255]  # the margin is white
    first = driver.execute_script("return at('result').toDataURL()")
    driver.find_element(By.ID, "again").click()
    waited(driver, "document.body.dataset.done === '1'")
    assert driver.execute_script("return at('result').toDataURL()") != first
    assert "ms; noise 1" in driver.find_element(By.ID, "said").text


def test_what_draws_no_noise_offers_no_other():
    pytest.importorskip("onnxruntime")
    sessions = [
        SimpleNamespace(run=lambda _, given, k=k: [given["x0"] + k * given["noise"]])
        for k in (0, 1)
    ]
    assert [browser_module().draws(session, [2, 2]) for session in sessions] == [False, True]


def test_the_noise_of_the_page_is_normal_and_keyed(served, driver):
    driver.get(served[0])
    script = "return Array.from(normal(40000, arguments[0]))"
    first, again, other = (np.array(driver.execute_script(script, s)) for s in (3, 3, 4))
    assert (first == again).all() and abs(np.corrcoef(first, other)[0, 1]) < 0.02
    assert abs(first.mean()) < 0.02 and abs(first.std() - 1) < 0.02
    assert abs((first**4).mean() - 3) < 0.15
