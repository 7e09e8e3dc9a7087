"""The way of an image: watched walks change nothing, and what is kept is what the walk saw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from browser import Elements
from demo_networks import write_networks
from egsde.evaluation.pages import load_trajectory
from egsde.methods.average import MeanOfSamples
from egsde.noise import Noise
from egsde.programs.callbacks.trajectories import Watcher, _of_images, ways
from egsde.programs.cli import main
from egsde.programs.sample import build_translator
from runs import command, composed


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    made = write_networks(tmp_path_factory.mktemp("networks"))
    return [option for option in made if not option.startswith("trajectory")]


def source(size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((2, 3, size, size), generator=generator) * 2 - 1


@pytest.mark.parametrize(
    "method",
    [
        ["translator=egsde"],
        pytest.param(["translator=egsde", "translator.source_noise=fresh"], marks=pytest.mark.slow),
        pytest.param(["translator=egsde", "translator.repeats=2"], marks=pytest.mark.slow),
        ["translator=egsde_fast", "translator.steps=12"],
        pytest.param(["translator=sdedit"], marks=pytest.mark.slow),
        ["translator=ilvr"],
        pytest.param(["translator=repaint", "data.mask=null"], marks=pytest.mark.slow),
    ],
)
def test_a_watched_walk_is_the_same_to_the_bit(networks, method, tmp_path):
    given = [o for o in networks if "t_start" not in o]
    start = [] if "repaint" in method[0] or "ilvr" in method[0] else ["translator.t_start=0.5"]
    translator = build_translator(composed("sample", tmp_path, *given, *method, *start))
    x0, noise = source(), Noise(0, ["a", "b"])
    cond = {"mask": torch.ones_like(x0[:, :1])} if "repaint" in method[0] else {}
    expected = translator(x0, noise, **cond)
    y, found = ways(translator, x0, noise, **cond)
    assert torch.equal(y, expected) and len(found) == 2
    for b, way in enumerate(found):
        end = ((expected[b] + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0)
        np.testing.assert_array_equal(way.states[-1], end.numpy())
        guided = "egsde" in method[0]
        assert list(way.names) == (["realism", "faithfulness"] if guided else [])


def test_energies_are_weight_times_value_and_fall_on_the_way_down(networks, tmp_path):
    given = [*networks, "energy.weights.realism=0", "energy.weights.faithfulness=3"]
    translator = build_translator(composed("sample", tmp_path, *given))
    x0 = source()
    _, (way, _) = ways(translator, x0, Noise(0, ["a", "b"]))
    assert list(way.names) == ["faithfulness"] and np.isnan(way.energies[-1])
    assert way.t[0] == 0.5 and way.t[-1] == 0 and (np.diff(way.t) < 0).all()
    term = translator.score.energy.terms["faithfulness"]
    states = []
    for i, t, y in translator.trajectory(x0, Noise(0, ["a", "b"])):
        states.append((i, t, y))
    assert len(way.t) == len(states) == 6
    assert way.energies[0] == pytest.approx(0)  # the start is the source's own x_t
    from egsde.source import Source

    seen = Source(x0, translator.sde, Noise(0, ["a", "b"]).child(0))
    i, t, y = states[3]
    seen.begin(i, t)
    assert way.energies[3] == pytest.approx(3 * float(term(y, t, seen)[0]), rel=1e-5)


def test_a_mean_of_draws_and_a_net_alone(networks, tmp_path):
    translator = build_translator(composed("sample", tmp_path, *networks, "translator=sdedit"))
    y, (way, _) = ways(MeanOfSamples(translator, 2), source(), Noise(0, ["a", "b"]))
    assert list(way.step) == [0, 1, 2, 3, 4, 5] * 2
    y, found = ways(lambda x0, noise: -x0, source(), Noise(0, ["a", "b"]))
    assert not found and torch.equal(y, -source())


@pytest.mark.slow
def test_sample_leaves_ways_and_a_page_and_the_same_images(networks, tmp_path, monkeypatch, capsys):
    given = [*networks, "limit=3", "data.eval_batch_size=1"]
    assert command("sample", *given, "trajectory=0", "report=0", f"out={tmp_path / 'off'}") == 0
    assert not (tmp_path / "off" / "report.html").exists()
    assert command("sample", *given, "trajectory=2", f"out={tmp_path / 'on'}") == 0
    made = sorted((tmp_path / "on" / "images").glob("*.png"))
    assert len(made) == 3
    for path in made:
        assert path.read_bytes() == (tmp_path / "off" / "images" / path.name).read_bytes()
    found = sorted((tmp_path / "on" / "trajectories").glob("*.npz"))
    assert len(found) == 2
    for path in found:
        way = load_trajectory(path)
        image = np.array(Image.open(tmp_path / "on" / "images" / f"{path.stem}.png"))
        np.testing.assert_array_equal(way.states[-1], image)
    numbers = json.loads((tmp_path / "on" / "metrics.json").read_text())
    assert numbers["nfe"] == json.loads((tmp_path / "off" / "metrics.json").read_text())["nfe"]
    page = tmp_path / "on" / "report.html"
    first = page.read_bytes()
    data = json.loads(Elements(first.decode()).scripts["data"])
    assert sum(way is not None for way in data["ways"]) == 2 and len(data["ids"]) == 3
    assert (
        f"out={tmp_path / 'on'}"
        in json.loads((tmp_path / "on" / "run.json").read_text())["command"]
    )
    page.unlink()
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["egsde", "report", str(tmp_path / "on")])
    main()  # from what lies in the folder alone
    assert "report.html" in capsys.readouterr().out and page.read_bytes() == first
    assert command("sample", *given, "trajectory=1", f"out={tmp_path / 'off'}") == 0  # gone on with
    assert len(list((tmp_path / "off" / "trajectories").glob("*.npz"))) == 1


def test_a_run_whose_sources_are_gone_still_has_a_page(networks, tmp_path, monkeypatch):
    folder = tmp_path / "cats"
    folder.mkdir()
    for k in range(3):
        Image.new("RGB", (16, 16), (40 * k, 0, 0)).save(folder / f"{k}.png")
    given = [*networks, "data=folder", f"data.source={folder / '1.png'}", f"data.target={folder}",
             f"out={tmp_path / 'run'}"]  # fmt: skip
    assert command("sample", *given) == 0
    page = tmp_path / "run" / "report.html"
    assert page.read_text().count('data-kind="source"') == 1
    (folder / "1.png").unlink()
    monkeypatch.setattr("sys.argv", ["egsde", "report", str(tmp_path / "run")])
    main()
    elements = Elements(page.read_text())
    assert len(elements.all("img", data_kind="translation")) == 1
    assert not elements.all("img", data_kind="source") and "cannot be opened" in elements.text


@pytest.mark.parametrize("count", ["-1"])
def test_a_number_of_ways_that_is_none(networks, tmp_path, count, capsys):
    given = [*networks, "limit=1", f"trajectory={count}", f"out={tmp_path / 'run'}"]
    assert command("sample", *given) == 1
    assert "trajectory=-1 is too small; the least is 0" in capsys.readouterr().err


def test_a_frame_with_an_edge_added_for_the_network_and_one_channel(networks, tmp_path):
    translator = build_translator(composed("sample", tmp_path, *networks, "translator=sdedit"))

    @dataclass(frozen=True)
    class Edged:
        inner: Any

        def __call__(self, x0, noise):
            wider = torch.nn.functional.pad(x0, (0, 3, 0, 5), mode="reflect")
            return self.inner(wider, noise)[..., : x0.shape[-2], : x0.shape[-1]]

    y, (way, _) = ways(Edged(translator), source()[..., :11, :13], Noise(0, ["a", "b"]))
    assert y.shape[-2:] == (11, 13) and way.states.shape == way.denoised.shape == (6, 11, 13, 3)
    end = ((y[0] + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0)
    np.testing.assert_array_equal(way.states[-1], end.numpy())
    assert not _of_images(torch.zeros(2, 4, 8, 8), torch.zeros(2, 3, 64, 64))  # a codec's space
    assert not _of_images(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 16, 16))  # a smaller stage
    grey = torch.arange(8, dtype=torch.uint8).view(2, 1, 2, 2)
    moment = {"step": 0, "t": 0.5, "state": grey, "denoised": grey, "energies": {}}
    assert Watcher([moment]).of(1).states.tolist()[0][1] == [[6, 6, 6], [7, 7, 7]]
