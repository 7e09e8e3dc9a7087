"""What the trainings of gpu.sh left: averaged weights in half precision, curves, a summary.

python benchmarks/gpu_summary.py RUNS OUT
"""

from __future__ import annotations

import csv
import json
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from egsde.programs.callbacks.export import RECORDED
from egsde.scores.container import read_config, save_weights

SMALL = 6e6  # bytes; such files travel in one archive


def averaged(checkpoint: Path, weights: Path) -> int:
    """Write the averaged weights of a checkpoint, as the end of a training does; its step."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    start = "ema.net."
    mine = {k.removeprefix(start): v for k, v in saved["state_dict"].items() if k.startswith(start)}
    recorded: dict[str, Any] = {key: saved["config"].get(key) for key in RECORDED}
    network: Any = SimpleNamespace(state_dict=lambda: mine)
    save_weights(weights, {"averaged": network}, recorded | {"steps": saved["global_step"]}, True)
    return saved["global_step"]


def main() -> None:
    runs, out = map(Path, sys.argv[1:3])
    summary: dict[str, Any] = {}
    for checkpoint in sorted(runs.glob("*/checkpoints/last.ckpt")):
        folder = checkpoint.parent.parent
        with (folder / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        last = {k: float(v) for row in rows for k, v in row.items() if v and "/t0." not in k}
        weights, ended = out / f"{folder.name}.safetensors", folder / "weights.safetensors"
        last["checkpoint_step"] = step = averaged(checkpoint, weights)
        if ended.exists() and read_config(ended).get("steps") == step:  # with what its module adds
            weights.write_bytes(ended.read_bytes())
        summary[folder.name] = last
        (out / f"{folder.name}.csv").write_text((folder / "metrics.csv").read_text())
    for table in sorted(out.glob("speed_*.csv")):
        with table.open() as file:
            summary[table.stem] = list(csv.DictReader(file))
    told = out / "summary.json"
    if told.exists():  # what other legs have found
        summary = json.loads(told.read_text()) | summary
    files = [path for path in sorted(out.iterdir()) if path != told]
    small = [path for path in files if path.stat().st_size < SMALL]
    with tarfile.open(out / "small.tar", "w") as archive:
        for path in small:
            archive.add(path, path.name)
            path.unlink()
    told.write_text(json.dumps(summary, indent=1))
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
