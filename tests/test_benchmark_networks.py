"""The tables of what networks cost and of how many images they need: what one command leaves."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch

from egsde.programs.checks import check
from egsde.scores.files import load_score
from runs import composed

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import casts
import how_many
import networks


def test_memory_grows_with_pixels_and_with_a_way_back(tmp_path):
    found = {}
    for gradient in ([], ["--gradient"]):
        options = ["--networks", "tiny", "--sizes", "16", "32", "--batches", "1"]
        networks.main(["--out", str(tmp_path), "--repeats", "1", *options, *gradient])
        with (tmp_path / "networks.csv").open() as file:
            rows = list(csv.DictReader(file))
        found[bool(gradient)] = {(r["px"], r["batch"]): float(r["MiB an image"]) for r in rows}
        assert all(float(row["ms an image"]) > 0 for row in rows) and len(rows) == 2
    without, back = found[False], found[True]
    assert 3 < without["32", "1"] / without["16", "1"] < 5
    assert all(back[key] > 3 * without[key] for key in back)


def test_what_the_tables_start_is_a_configuration(tmp_path, monkeypatch):
    """Every command of both, composed and checked; their numbers are those that runs leave."""
    began: list[str] = []

    def run(program: str, *options: str) -> None:
        name = program.removesuffix(".py")
        began.append(name)
        kept = [o for o in options if o != "-m" and not o.startswith("hydra.")]
        kept = [o.replace(",".join(casts.SAMPLERS), "ddim") for o in kept]
        cfg = composed(name, tmp_path / "out", *casts.DATA, *kept)
        check(name, cfg)
        place = tmp_path / "eps" / "out"
        for job in range(len(casts.SAMPLERS) if name == "sample" else 0):
            (place / str(job)).mkdir(parents=True)
            numbers = {"metrics": dict.fromkeys(casts.NAMES, job)}
            (place / str(job) / "metrics.json").write_text(json.dumps(numbers))

    monkeypatch.setattr(how_many, "run", run)
    monkeypatch.setattr(casts, "run", run)
    start = how_many.drawings(tmp_path / "flat.safetensors")
    x, t = torch.randn(1, 3, 64, 64), torch.tensor(0.2, dtype=torch.float64)
    told = load_score(how_many.BOTH, label="flat")(x, t)
    assert torch.allclose(load_score(start)(x, t), told, rtol=0, atol=2e-3 * float(told.std()))
    how_many.trained(64, 60, start, tmp_path)
    (tmp_path / "metrics.csv").write_text("step,val/loss\n1,\n2,0.5\n")
    assert how_many.loss(tmp_path) == 0.5
    rows = casts.rows_of("eps", SimpleNamespace(out=tmp_path, steps=9, images=4, t_start=0.6))
    assert [row["tint"] for row in rows] == [0, 1, 2, 3] and began == ["train", "train", "sample"]
