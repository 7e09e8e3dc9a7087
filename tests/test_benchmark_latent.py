"""The benchmark of latent against pixel: what it asks of the programs, and what it leaves."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

from folders import CONF

FILE = CONF.parent / "benchmarks" / "latent.py"


def test_it_asks_both_spaces_for_the_same_evaluations(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("latent_benchmark", FILE)
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    asked = []

    def run(program, *settings):
        out = Path(next(s for s in settings if s.startswith("out=")).removeprefix("out="))
        out.mkdir(parents=True)
        asked.append((program, out.name, settings))
        if program == "train":
            (out / "weights.safetensors").touch()
        numbers = {"kid": 0.1, "l2_truth": 12.0, "domain": 0.5, "kid_source": 0.2}
        intervals = {"kid": [0.05, 0.15], "kid_source": [0.1, 0.3]}
        found = {"metrics": numbers, "intervals": intervals, "seconds_per_image": 0.01 * len(asked)}
        (out / "metrics.json").write_text(json.dumps(found))

    monkeypatch.setattr(benchmark, "run", run)
    given = ["--seconds", "90", "--evaluations", "4,20", "limit=8", "seed=1"]
    benchmark.main(["--out", str(tmp_path), *given])
    trained = {name: settings for program, name, settings in asked if program == "train"}
    length = {
        n: next(s for s in settings if "max_time" in s)[-6:-1] for n, settings in trained.items()
    }
    assert length == {"pixel": "01:30", "autoencoder": "01:00", "latent": "00:30"}
    assert all("seed=1" in s and "limit=8" not in s for s in trained.values())
    sampled = [settings for program, _, settings in asked if program == "sample"]
    assert sum("sampler.grid.steps=50" in s for s in sampled) == 2  # 20 evaluations from 0.4
    assert sum("codec=kl" in s for s in sampled) == 2 and all("limit=8" in s for s in sampled)
    assert all("metrics=domain" in s for s in sampled)
    with (tmp_path / "latent.csv").open(newline="") as file:
        *rows, nothing = list(csv.DictReader(file))
    assert nothing["space"] == "do nothing" and float(nothing["seconds"]) == 0
    assert [float(nothing[k]) for k in ("kid", "kid_low", "kid_high")] == [0.2, 0.1, 0.3]
    assert [(r["space"], r["evaluations"]) for r in rows] == [
        (space, n) for space in ("pixel", "latent") for n in ("4", "20")
    ]
    assert all(float(r["kid"]) == 0.1 and float(r["seconds"]) > 0 for r in rows)
    assert (tmp_path / "latent.png").stat().st_size > 1000
