"""Every trainable method on the demonstration or on faces, each trained for the same time.

    python benchmarks/rivals.py --out DIR [--minutes 10] [--only cut dsbm] [--set SETTING ...]
    python benchmarks/rivals.py --out DIR --faces FACES --judge WEIGHTS [...]

Time is counted in CPU seconds, so that other work on the machine takes nothing from a row: two
short trainings give the cost of a step, hence the number of steps. A row's networks share its
minutes: EGSDE has a score and a classifier, CycleDiffusion two scores, DDIB under EGSDE's energies
all three. Pairs are seen by pix2pix, I2SB and DDBM alone, which faces do not have. DIR/table.csv
holds KID and distances to the source and to the true rendering, and the share that a judge takes
for the target; DIR/ROW is the run as sample.py leaves it. A row that is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
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
    "source": [*UNET, "data.source={target}", "data.target={source}"],
    "classifier": ["model=classifier", "network=encoder_64", "data.batch_size=32"],
}
for _name in ("cyclegan", "cut", "fastcut", "pix2pix"):
    TRAININGS[_name] = [f"model={_name}", *JUDGED]
for _name in ("ddgan", "flow_matching", "rectified_flow", "dsbm", "unsb", "unit_ddpm", "i2sb",
              "ddbm"):  # fmt: skip
    TRAININGS[_name] = [f"model={_name}", *UNET]
PAIRED = ("pix2pix", "i2sb", "ddbm")

# name: (trainings, what sample.py is given), {score} and so on the weights of the trainings.
GUIDED = ["score.weights={score}", "extractor.weights={classifier}"]
ENCODED = ["sampler=ddim", "source_score.weights={source}"]
ROWS: dict[str, tuple[list[str], list[str]]] = {
    "nothing": ([], []),
    "sdedit": (["score"], ["energy=none", "sampler.grid.steps=100", "score.weights={score}"]),
    "egsde": (["score", "classifier"], ["sampler.grid.steps=100", *GUIDED]),
    "egsde_fast": (["score", "classifier"], GUIDED),
    "cycle_diffusion": (["score", "source"], ["translator.refine=0", "sampler.grid.steps=50",
        "score.weights={score}", *ENCODED]),
    "ddib_egsde": (["score", "source", "classifier"], ["sampler.grid.steps=40", *GUIDED, *ENCODED]),
    **{name: ([name], [f"translator.weights={{{name}}}"])
       for name in TRAININGS if name not in ("score", "source", "classifier", "unit_ddpm")},
    "unit_ddpm": (["unit_ddpm"], ["sampler.grid.steps=50", "score=cycle",
        "score.weights={unit_ddpm}", "source_score.weights={unit_ddpm}"]),
}  # fmt: skip


def at(start: float, realism: float, faithfulness: float, *more: str) -> list[str]:
    """A start and the energies' weights."""
    weights = (f"energy.weights.{k}" for k in ("realism", "faithfulness"))
    given = (f"{k}={w:g}" for k, w in zip(weights, (realism, faithfulness), strict=True))
    return [f"t_start={start}", *given, *more]


# Chosen on the validation split of the demonstration, and those of experiment=faces.
EMOJI = {
    "sdedit": ["t_start=0.15"],
    "egsde": at(0.15, 600, 4, "factor=4"),
    "egsde_fast": at(0.2, 1000, 4, "factor=4", "translator.steps=40"),
    "cycle_diffusion": ["translator.t_start=0.3", "sampler.solver.eta=1"],
    "ddib_egsde": at(0.3, 1000, 4, "factor=4"),
}
FACES = {
    "sdedit": ["t_start=0.5"],
    "egsde": at(0.5, 100, 0.5),
    "egsde_fast": at(0.5, 40, 0.7),
    "cycle_diffusion": ["translator.t_start=0.5", "sampler.solver.eta=0.1"],
    "ddib_egsde": at(0.5, 100, 0.5),
}
COLUMNS = ("kid", "kid_se", "fid", "domain", "l2_truth", "l2", "ssim_truth")


def command(program: str, arguments: list[str]) -> None:
    """A program of egsde in a process of its own; its words go to the terminal where it fails."""
    done = subprocess.run([sys.executable, str(ROOT / f"{program}.py"), *arguments],
                          capture_output=True, text=True, env=os.environ, check=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{program}.py {' '.join(arguments)}\n{done.stderr[-2000:]}")


def spent(settings: list[str], steps: int, out: Path) -> float:
    """CPU seconds of a training of so many steps from the first, also where one was cut."""
    shutil.rmtree(out, ignore_errors=True)
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


def row(name: str, given: argparse.Namespace, common: list[str], tested: list[str]) -> dict:
    """A row of the table; trainings of other rows of the same minutes are taken over."""
    trainings, settings = ROWS[name]
    source, target = ("cat", "dog") if given.faces else ("flat", "3d")
    made = {}
    for part in trainings:
        own = [text.format(source=source, target=target) for text in TRAININGS[part]]
        out = given.out / "trained" / f"{part}_of_{len(trainings)}"
        made[part] = trained([*common, *own], 60 * given.minutes / len(trainings), out)
    weights = {part: file for part, (file, _) in made.items()}
    chosen = (FACES if given.faces else EMOJI).get(name, [])
    command("sample", [
        "experiment=none", f"translator={name}", *common, *chosen,
        *(text.format(**weights) for text in settings), *tested, f"out={given.out / name}",
    ])  # fmt: skip
    report = json.loads((given.out / name / "metrics.json").read_text())
    found = report["metrics"]
    spent_s = sum(seconds for _, seconds in made.values())
    head = {"method": name, "train_s": spent_s, "nfe": sum(report["nfe"].values())}
    return head | {key: found.get(key) for key in COLUMNS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU time of a row's training")
    parser.add_argument("--faces", type=Path, help="a folder of cats and dogs, at 32 px")
    parser.add_argument("--judge", help="weights of the faces' judge")
    parser.add_argument("--size", type=int)
    parser.add_argument("--limit", type=int, default=243, help="test images")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--metrics", default="domain", help="pairwise: distances alone")
    parser.add_argument("--set", nargs="*", default=[], help="settings of every program")
    given = parser.parse_args()
    common = [f"data.size={given.size or (32 if given.faces else 64)}", "trainer.accelerator=cpu"]
    tested = [f"limit={given.limit}", f"metrics={given.metrics}"]
    if given.faces:
        common += ["data=folder", f"data.root={given.faces}", "data.source=cat", "data.target=dog"]
        tested += [f"judge.weights={given.judge}"] if given.judge else []
    common += given.set
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "rows.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    for name in given.only or [n for n in ROWS if not (given.faces and n in PAIRED)]:
        if any(known["method"] == name for known in rows):
            continue
        rows.append(row(name, given, common, tested))
        path.write_text(json.dumps(rows, indent=1))
        print(rows[-1], flush=True)
    write_table(given.out / "table.csv", rows)
    show(rows, 4)


if __name__ == "__main__":
    main()
