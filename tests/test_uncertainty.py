"""Where it was invented: the spread is the posterior's; a series shares its noise."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from demo_networks import write_networks
from egsde.evaluation.known import Knowing, Range
from egsde.evaluation.metrics import flicker
from egsde.evaluation.uncertainty import uncertain
from egsde.methods import sdedit
from egsde.noise import Noise
from egsde.programs.sample import sample
from egsde.sampling import LogSNR, Sampler
from egsde.scores import ScoreModel
from egsde.sde import VP
from egsde.solvers import Ancestral
from problems import Gaussian
from runs import composed

V = 0.04  # variance of the target's pixels


class Exact(torch.nn.Module):
    """The noise of data N(0, V) at any time of VP."""

    def forward(self, x, t):
        alpha, sigma = (f(t.double() / 999).to(x) for f in (VP().alpha, VP().sigma))
        return (sigma / (alpha**2 * V + sigma**2))[:, None, None, None] * x


@pytest.mark.parametrize("t_start", [0.3, 0.6])
def test_the_spread_is_that_of_the_posterior(t_start):
    """y given x_0: x_t varies by sigma, and y given x_t by what the noise hides."""
    sde = VP()
    translator = sdedit(ScoreModel(Exact(), sde), Sampler(Ancestral(), LogSNR(200)), t_start)
    x0 = torch.full((1, 1, 24, 24), 0.3)
    found = uncertain(translator, x0, Noise(0, ["a"]), 16)
    time = torch.tensor(t_start, dtype=torch.float64)
    a, s = float(sde.alpha(time)), float(sde.sigma(time))
    gain = a * V / (a**2 * V + s**2)
    expected = (gain**2 * s**2 + V * s**2 / (a**2 * V + s**2)) ** 0.5
    assert float(found.spread.square().mean().sqrt()) == pytest.approx(expected, rel=0.05)
    assert float(found.change.mean()) == pytest.approx(0.3 - gain * a * 0.3, rel=0.1)
    with pytest.raises(ValueError, match="no spread"):
        uncertain(translator, x0, Noise(0, ["a"]), 1)


def test_a_static_clip_stays_static_to_the_bit(tmp_path):
    """One key a series; with a key an image the same frames flicker."""
    networks = write_networks(tmp_path / "networks")
    frame = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for k in range(3):
        place = tmp_path / "clips" / "test" / "one" / f"{k}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame).save(place)
    data = ["data=folder", f"data.source={tmp_path / 'clips'}", f"data.target={tmp_path / 'none'}",
            "data.num_workers=0", "metrics=none", "report=0", "trajectory=0",
            "data.eval_batch_size=2", "energy=none"]  # fmt: skip
    measured = {}
    for series in ("true", "false"):
        out = tmp_path / series
        sample(composed("sample", out, *networks, *data, f"data.series={series}"))
        made = sorted((out / "images").rglob("*.png"))
        frames = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) for path in made]
        assert len(frames) == 3
        still = torch.from_numpy(frame).permute(2, 0, 1).expand(3, -1, -1, -1)
        measured[series] = flicker(torch.stack(frames).float(), still.float())
    assert measured["true"] == 0 and measured["false"] > 1


def test_maps_and_columns_of_a_run(tmp_path):
    networks = write_networks(tmp_path / "networks")
    out = tmp_path / "out"
    judge = next(o for o in networks if o.startswith("extractor.weights="))
    options = [
        f"judge.weights={judge.split('=', 1)[1]}",
        "limit=2",
        "uncertainty=2",
        "report=0",
        "trajectory=0",
        "energy=none",
    ]
    sample(composed("sample", out, *networks, *options))
    rows = list(csv.DictReader((out / "images.csv").open()))
    assert len(rows) == 2 and all(float(r["spread"]) > 0 and float(r["change"]) > 0 for r in rows)
    assert all(0 < float(row["domain_probability"]) < 1 for row in rows)
    maps = sorted((out / "uncertainty").rglob("*.png"))
    assert len(maps) == 4 and Image.open(maps[0]).size == (16, 16)


def test_images_that_a_network_does_not_know_are_flagged():
    """An exact Gaussian field: of its own draws the stated share, of far and of blank ones all."""
    problem, sde, share = Gaussian(0.2, 0.09), VP(), 0.1
    knowing = Knowing(problem.score(sde), multiple=4)

    def errors(seed: int, count: int, scale: float) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        x = 0.2 + scale * torch.randn(count, 3, 6, 10, generator=generator)
        return list(knowing.each([(f"{seed}/{k}", one) for k, one in enumerate(x)], 100).values())

    known = Range.of(errors(0, 1000, 0.3), share)
    rates = {scale: np.mean([*map(known.outside, errors(1, 1000, scale))]) for scale in (0.3, 1, 0)}
    assert rates[0.3] == pytest.approx(share, abs=0.03) and rates[1] == rates[0] == 1
    alone = torch.randn(1, 3, 6, 10, generator=torch.Generator().manual_seed(2))
    both = torch.cat([alone, alone])
    assert knowing.errors(both, ["a", "b"])[0] == pytest.approx(float(knowing.errors(alone, ["a"])))
    with pytest.raises(ValueError, match="two images"):
        Range.of([1.0], share)


def test_a_run_flags_what_is_outside_and_the_report_names_it(tmp_path):
    """Of a share of .9 the middle tenth of the validation images is inside."""
    networks = write_networks(tmp_path / "networks")
    for domain, first in (("x", 90), ("y", 120)):
        for k in range(24):
            place = tmp_path / domain / ("val" if k < 20 else "test") / f"{k}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((16, 16, 3), first + k, np.uint8)).save(place)
    data = ["data=folder", f"data.source={tmp_path / 'x'}", f"data.target={tmp_path / 'y'}",
            "data.num_workers=0", "trajectory=0", "energy=none", "uncertainty=2",
            "outside=0.9"]  # fmt: skip
    sample(composed("sample", tmp_path / "out", *networks, *data))
    rows = list(csv.DictReader((tmp_path / "out" / "images.csv").open()))
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert "outside_source" in found["metrics"]
    for name, error in (("outside", "error"), ("input_outside", "input_error")):
        told = found["protocol"][name]
        assert told["images"] == 20 and told["share"] == 0.9 and told["low"] < told["high"]
        flags = [not told["low"] <= float(row[error]) <= told["high"] for row in rows]
        assert [float(row[name]) for row in rows] == flags and any(flags)
        assert found["metrics"][name] == np.mean(flags)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "images given are unlike" in page and 'data-kind="spread"' in page
