"""`python evaluate.py task=likelihood`: numbers of images, whatever the batches."""

from __future__ import annotations

import csv
import json
import math

import pytest
import torch

from egsde.programs.likelihood import likelihood as evaluate
from egsde.programs.messages import readable
from runs import composed

BOUND = ["likelihood.grid.steps=4", "trainer.accelerator=cpu", "limit=3"]


class Shrunk(torch.nn.Module):
    """The noise of data N(0, 1) at any time of VP: sigma x, with the label 999 t."""

    def forward(self, x, t):
        from egsde.sde import VP

        return VP().sigma(t.double() / 999).to(x)[:, None, None, None] * x


def rows(folder) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "images.csv").open()))


def test_the_demo_is_measured_the_same_in_any_batch(tmp_path):
    values = [
        evaluate(
            composed("likelihood", tmp_path / str(size), *BOUND, f"data.eval_batch_size={size}")
        )
        for size in (2, 3)
    ]
    tables = [rows(tmp_path / name) for name in ("2", "3")]
    for one, other in zip(*tables, strict=True):
        assert one.pop("id") == other.pop("id")
        assert [float(v) for v in one.values()] == pytest.approx([*map(float, other.values())])
    report = json.loads((tmp_path / "2" / "likelihood.json").read_text())
    bits = [float(row["bits_per_dim"]) for row in tables[0]]
    assert report["n"] == 3 and len({*bits}) == 3
    assert values[0] == pytest.approx(values[1]) == report["metrics"]["bits_per_dim"]
    assert values[0] == pytest.approx(sum(bits) / 3)
    assert (tmp_path / "2" / "run.json").exists() and (tmp_path / "2" / "metrics.csv").exists()


def test_the_flow_of_a_normal_density(tmp_path):
    """A score of N(0, 1) at all times: log p is the normal one of the dequantised pixels."""
    cfg = composed("likelihood", tmp_path, "sde=vp", "likelihood=flow", "data.size=8", *BOUND[1:])
    cfg.score = {"_target_": "egsde.scores.ScoreModel", "sde": "${sde}",
                 "net": {"_target_": "test_evaluate_likelihood.Shrunk"}}  # fmt: skip
    normal = 0.5 * math.log2(2 * math.pi) + 7
    value = evaluate(cfg)
    assert normal < value < normal + 0.5 / math.log(2)  # |pixel| < 1
    assert all(float(row["nfe"]) < 100 for row in rows(tmp_path))


def test_a_chain_is_sent_to_the_bound(tmp_path):
    with pytest.raises(Exception, match="likelihood=bound") as told:
        evaluate(composed("likelihood", tmp_path, "likelihood=flow"))
    assert "likelihood=bound" in str(readable(told.value))
