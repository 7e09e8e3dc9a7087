"""Every trainable method on the demonstration, each trained for the same wall time on this machine.

    python benchmarks/rivals.py --out DIR [--minutes 10] [--only cut dsbm]

A row's networks share its minutes: EGSDE has a score and a classifier, CycleDiffusion two scores.
Pairs are seen by pix2pix, I2SB and DDBM alone. DIR/table.csv and table.md hold distances to the
source and to the true rendering, and the share that the demonstration's judge takes for 3D (at
64 px); DIR/ROW/out is the run as sample.py leaves it. A row that is there is not made again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNET = ["network=folded_64", "data.batch_size=16"]
JUDGED = ["data.batch_size=4", "network.width=32", "discriminator.width=32"]
SCORE = [*UNET]
REVERSED = ["data.source=3d", "data.target=flat"]
CLASSIFIER = ["model=classifier", "network=encoder_64", "data.batch_size=32"]
SOURCE, GUIDE = "source_score.weights={1}", "extractor.weights={1}"

# name: (trainings, what sample.py is given), {0} and {1} the weights of the trainings
ROWS: dict[str, tuple[list[list[str]], list[str]]] = {
    "nothing": ([], []),
    "sdedit": ([SCORE], ["translator=sdedit", "energy=none", "score.weights={0}"]),
    "egsde": ([SCORE, CLASSIFIER], ["translator=egsde", "score.weights={0}", GUIDE]),
    "egsde_fast": ([SCORE, CLASSIFIER], ["translator=egsde_fast", "score.weights={0}", GUIDE]),
    "cycle_diffusion": (
        [SCORE, [*SCORE, *REVERSED]],
        ["translator=cycle_diffusion", "translator.t_start=0.3", "translator.refine=0",
         "sampler.grid.steps=40", "score.weights={0}", SOURCE],
    ),
}  # fmt: skip
for _name in ("cyclegan", "cut", "fastcut", "pix2pix"):
    _heads = ["heads.channels=[3,64,128,128,128]"] if "cut" in _name else []
    ROWS[_name] = ([[f"model={_name}", *JUDGED, *_heads]], ["translator.weights={0}"])
for _name in ("ddgan", "flow_matching", "rectified_flow", "dsbm", "unsb", "i2sb", "ddbm"):
    ROWS[_name] = ([[f"model={_name}", *UNET]], ["translator.weights={0}"])
COLUMNS = ("l2", "ssim", "l2_truth", "ssim_truth", "domain", "fid", "kid")


def command(program: str, arguments: list[str]) -> None:
    """A program of egsde in a process of its own; its words go to the terminal where it fails."""
    done = subprocess.run([sys.executable, str(ROOT / f"{program}.py"), *arguments],
                          capture_output=True, text=True, env=os.environ, check=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{program}.py {' '.join(arguments)}\n{done.stderr[-2000:]}")


def clock(seconds: float) -> str:
    """Lightning's DAYS:HOURS:MINUTES:SECONDS."""
    whole = max(1, round(seconds))
    return f"00:{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def made(name: str, out: Path, minutes: float, common: list[str], tested: list[str]) -> dict:
    """A row of the table."""
    trainings, translated = ROWS[name]
    files, began = [], time.perf_counter()
    for number, settings in enumerate(trainings):
        folder = out / name / f"train{number}"
        share = 60 * minutes / len(trainings)
        command("train", [
            *settings, *common, f"out={folder}", "trainer.max_steps=-1",
            f"+trainer.max_time='{clock(share)}'", "trainer.val_check_interval=1000000",
            "translate=null",
        ])  # fmt: skip
        files.append(str(folder / "weights.safetensors"))
    seconds = time.perf_counter() - began
    given = [text.format(*files) for text in translated]
    if not any(text.startswith("translator=") for text in given):
        given.insert(0, f"translator={name}")
    command("sample", ["experiment=none", *given, *common, *tested, f"out={out / name / 'out'}"])
    report = json.loads((out / name / "out" / "metrics.json").read_text())
    return {"method": name, "train_s": round(seconds), "nfe": sum(report["nfe"].values()),
            **{key: report["metrics"].get(key) for key in COLUMNS}}  # fmt: skip


def table(rows: list[dict]) -> str:
    """Markdown; empty where a number was not measured."""

    def shown(value: object) -> str:
        return f"{value:.3f}" if isinstance(value, float) else str(value or "")

    keys = [k for k in rows[0] if any(row.get(k) is not None for row in rows)]
    lines = [" | ".join(keys), " | ".join("---" for _ in keys)]
    lines += [" | ".join(shown(row.get(k)) for k in keys) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0, help="wall time of a row's training")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--limit", type=int, default=64, help="test images")
    parser.add_argument("--only", nargs="*", default=list(ROWS))
    parser.add_argument("--metrics", default="pairwise", help="domain: FID and the judge, too")
    arguments = parser.parse_args()
    common = [f"data.size={arguments.size}", "trainer.accelerator=cpu"]
    tested = [f"limit={arguments.limit}", f"metrics={arguments.metrics}"]
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "rows.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    for name in arguments.only:
        if any(row["method"] == name for row in rows):
            continue
        rows.append(made(name, arguments.out, arguments.minutes, common, tested))
        path.write_text(json.dumps(rows, indent=1))
        print(rows[-1], flush=True)
    with (arguments.out / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (arguments.out / "table.md").write_text(table(rows) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
