"""The figures of benchmarks: what each shows is so."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import baselines
import both_ways
import ddib_points
import density
import product_of_experts as experts
import time_of_steps

from egsde.sde import VP
from folders import fill


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_product_of_experts_is_the_product_of_their_densities():
    sde, t = VP(), torch.tensor(0.3, dtype=torch.float64)
    rates = [(1.0, 0.7), (3.0, -0.2)]
    found = experts.density(*experts.product(sde, t, rates))
    plain = experts.density(*experts.mixture(sde, t))
    for rate, centre in rates:
        plain = plain * torch.exp(-rate * (experts.LINE - centre) ** 2)
    width = float(experts.LINE[1] - experts.LINE[0])
    assert torch.allclose(found, plain / plain.sum() / width, atol=1e-4)


def test_langevin_finds_the_product_and_egsde_comes_near_it(tmp_path):
    experts.main(["--out", str(tmp_path), "--samples", "8000", "--steps", "200"])
    found = {r["samples"]: float(r["Wasserstein-1"]) for r in table(tmp_path / "distances.csv")}
    assert found["Langevin at t"] < 0.05
    assert found["EGSDE from 0.5"] < found["no experts"]
    assert Image.open(tmp_path / "experts.png").width > 1000


def test_the_exact_score_is_the_gradient_of_the_density():
    t = torch.tensor(0.2, dtype=torch.float64)
    x = torch.randn(5, 2, dtype=torch.float64).requires_grad_()
    log, score = density.exact(VP(), x, t)
    assert torch.allclose(torch.autograd.grad(log.sum(), x)[0], score)


@pytest.mark.slow
def test_a_score_is_worst_where_data_are_rare(tmp_path):
    density.main(["--out", str(tmp_path), "--steps", "300"])
    rows = [r for r in table(tmp_path / "density.csv") if r["t"] == str(density.LEVELS[0])]
    errors = [float(row["relative error"]) for row in rows]
    assert len(errors) > 5 and errors[-1] > 3 * errors[0]


def test_time_grows_with_the_steps(tmp_path):
    tiny = ["network.num_channels=32", "network.channel_mult=[1]", "network.num_head_channels=32"]
    time_of_steps.main(["--out", str(tmp_path), "--sizes", "16", "--steps", "2", "40",
                        "--repeats", "2", *tiny])  # fmt: skip
    few, many = (float(row["seconds"]) for row in table(tmp_path / "time.csv"))
    assert many > 4 * few


def test_quoted_rows_say_where_they_are_from(tmp_path):
    rows = baselines.quoted()
    assert len(rows) > 20 and all(row["quoted_from"] for row in rows)
    with pytest.raises(ValueError, match="no quoted row"):
        baselines.quoted("dog2cat")
    (tmp_path / "mine").mkdir()
    numbers = {"fid": 60.0, "l2": 50.0, "psnr": 19.0, "ssim": 0.4}
    (tmp_path / "mine" / "metrics.json").write_text(json.dumps({"metrics": numbers}))
    baselines.main(["--out", str(tmp_path / "out"), f"mine={tmp_path / 'mine'}"])
    last = table(tmp_path / "out" / "baselines.csv")[-1]
    assert last["method"] == "mine" and float(last["fid"]) == 60
    with pytest.raises(ValueError, match="no metrics.json"):
        baselines.main(["--out", str(tmp_path / "out"), f"x={tmp_path}"])


@pytest.mark.slow
def test_both_domains_go_there_and_back(tmp_path):
    for k, name in enumerate(("a", "b")):
        fill(tmp_path / "data" / name, 60, start=100 * k)
    both_ways.main(["--out", str(tmp_path / "out"), "--steps", "2", "--limit", "2", "data=folder",
                    f"data.source={tmp_path / 'data/a'}", f"data.target={tmp_path / 'data/b'}",
                    "data.size=16", "data.num_workers=0", "network.num_channels=32",
                    "network.channel_mult=[1]", "network.num_head_channels=32",
                    "sampler.grid.steps=2", "trainer.accelerator=cpu"])  # fmt: skip
    rows = table(tmp_path / "out" / "both_ways.csv")
    assert [(r["source"], r["target"]) for r in rows] == [("a", "b"), ("b", "a")]
    assert Image.open(tmp_path / "out" / "both_ways.png").height > 6 * 16


def test_two_odes_between_points_close_their_cycles_and_keep_the_order(tmp_path):
    rows = ddib_points.main(["--out", str(tmp_path), "--points", "40", "--centres", "60",
                             "--steps", "40"])  # fmt: skip
    assert len(rows) == 3 and all(float(row["to_target"]) < 0.1 for row in rows)
    assert all(float(row["cycle_mean"]) < 0.1 for row in rows)
    assert Image.open(tmp_path / "ddib_points.png").width > 600
    assert Image.open(tmp_path / "ddib_line.png").width > 500
    _, paths = ddib_points.line(9, 30)
    assert bool((paths.diff(dim=1) > 0).all())  # on a line no path crosses another
