"""Every trainable method on the demonstration, each trained for the same time of one core.

    python benchmarks/rivals.py --out DIR [--minutes 10] [--only cut dsbm] [--set SETTING ...]

Time is counted in CPU seconds, so that other work on the machine takes nothing from a row: two
short trainings give the cost of a step, hence the number of steps. A row's networks share its
minutes: EGSDE has a score and a classifier, CycleDiffusion two scores.
Pairs are seen by pix2pix, I2SB and DDBM alone. DIR/table.csv holds KID and distances to the source
and to the true rendering, and the share that the demonstration's judge takes for 3D (at 64 px);
DIR/ROW is the run as sample.py leaves it. A row that is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from tables import show

from egsde.programs.written import write_table

ROOT = Path(__file__).parents[1]
UNET = ["network=folded_64", "data.batch_size=16"]
JUDGED = ["data.batch_size=4", "network.width=32", "discriminator.width=32"]
TRAININGS: dict[str, list[str]] = {
    "score": UNET,
    "source": [*UNET, "data.source=3d", "data.target=flat"],
    "classifier": ["model=classifier", "network=encoder_64", "data.batch_size=32"],
}
for _name in ("cyclegan", "cut", "fastcut", "pix2pix"):
    TRAININGS[_name] = [f"model={_name}", *JUDGED]
for _name in ("ddgan", "flow_matching", "rectified_flow", "dsbm", "unsb", "i2sb", "ddbm"):
    TRAININGS[_name] = [f"model={_name}", *UNET]

# name: (trainings, what sample.py is given), {0} and {1} the weights of the trainings. Starts and
# weights of the guided rows are those chosen on the demonstration's validation split.
GUIDED = ["score.weights={0}", "extractor.weights={1}"]
ROWS: dict[str, tuple[list[str], list[str]]] = {
    "nothing": ([], ["translator=nothing"]),
    "sdedit": (["score"], ["translator=sdedit", "energy=none", "t_start=0.15",
        "sampler.grid.steps=100", "score.weights={0}"]),
    "egsde": (["score", "classifier"], ["translator=egsde", "t_start=0.15",
        "sampler.grid.steps=100", "factor=4", "energy.weights.realism=600",
        "energy.weights.faithfulness=4", *GUIDED]),
    "egsde_fast": (["score", "classifier"], ["translator=egsde_fast", "t_start=0.2", "factor=4",
        "translator.steps=40", "energy.weights.realism=1000", "energy.weights.faithfulness=4",
        *GUIDED]),
    "cycle_diffusion": (["score", "source"], ["translator=cycle_diffusion",
        "translator.t_start=0.3", "translator.refine=0", "sampler=ddim", "sampler.solver.eta=1",
        "sampler.grid.steps=50", "score.weights={0}", "source_score.weights={1}"]),
    **{name: ([name], [f"translator={name}", "translator.weights={0}"])
       for name in TRAININGS if name not in ("score", "source", "classifier")},
}  # fmt: skip
COLUMNS = ("kid", "kid_se", "fid", "domain", "l2_truth", "l2", "ssim_truth")


def command(program: str, arguments: list[str]) -> None:
    """A program of egsde in a process of its own; its words go to the terminal where it fails."""
    done = subprocess.run([sys.executable, str(ROOT / f"{program}.py"), *arguments],
                          capture_output=True, text=True, env=os.environ, check=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{program}.py {' '.join(arguments)}\n{done.stderr[-2000:]}")


def spent(settings: list[str], steps: int, out: Path) -> float:
    """CPU seconds of a training of so many steps."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command("train", [
        *settings, f"out={out}", f"trainer.max_steps={steps}", "translate=null",
        "trainer.val_check_interval=1000000",
    ])  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def trained(settings: list[str], seconds: float, out: Path) -> tuple[Path, float]:
    """Weights of a training of about so many CPU seconds beyond its start, and those it took."""
    weights, took = out / "weights.safetensors", out / "cpu_seconds"
    if not took.exists():
        few, more = (spent(settings, n, out.with_name(f"{out.name}_{n}")) for n in (10, 50))
        steps = round(seconds * 40 / (more - few))
        took.write_text(f"{spent(settings, steps, out):.0f}")
        print(f"{out.name}: {steps} steps in {took.read_text()} CPU seconds", flush=True)
    return weights, float(took.read_text())


def row(name: str, out: Path, minutes: float, common: list[str], tested: list[str]) -> dict:
    """A row of the table; trainings of other rows of the same minutes are taken over."""
    trainings, given = ROWS[name]
    made = [
        trained([*TRAININGS[training], *common], 60 * minutes / len(trainings),
                out / "trained" / f"{training}_of_{len(trainings)}")
        for training in trainings
    ]  # fmt: skip
    settings = [text.format(*(file for file, _ in made)) for text in given]
    command("sample", ["experiment=none", *settings, *common, *tested, f"out={out / name}"])
    report = json.loads((out / name / "metrics.json").read_text())
    found = report["metrics"]
    spent_s = sum(seconds for _, seconds in made)
    head = {"method": name, "train_s": spent_s, "nfe": sum(report["nfe"].values())}
    return head | {key: found.get(key) for key in COLUMNS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU time of a row's training")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--limit", type=int, default=243, help="test images")
    parser.add_argument("--only", nargs="*", default=list(ROWS))
    parser.add_argument("--metrics", default="domain", help="pairwise: distances alone")
    parser.add_argument("--set", nargs="*", default=[], help="settings of every program")
    arguments = parser.parse_args()
    common = [f"data.size={arguments.size}", "trainer.accelerator=cpu", *arguments.set]
    tested = [f"limit={arguments.limit}", f"metrics={arguments.metrics}"]
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "rows.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    for name in arguments.only:
        if any(known["method"] == name for known in rows):
            continue
        rows.append(row(name, arguments.out, arguments.minutes, common, tested))
        path.write_text(json.dumps(rows, indent=1))
        print(rows[-1], flush=True)
    write_table(arguments.out / "table.csv", rows)
    show(rows, 4)


if __name__ == "__main__":
    main()
