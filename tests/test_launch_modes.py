"""Ways to start the programs: each works or is refused in words; docs/launching.md is the table.

`python tests/test_launch_modes.py` tries them all and writes the page again.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo_networks import write_networks
from egsde.data import Written

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "launching.md"
HEAD = """\
# Ways to start

Each row is tried by a test with small networks: the images are there, and the table of a sweep, or
the answer is the one that is shown. Engines for sweeps come with `pip install "egsde[sweep]"`
(submitit, joblib, Optuna) and `pip install "egsde[ray]"`; where one is not installed, its row is of
the last time it was (Ray 2.60.0).

| way | command | outcome |
|---|---|---|
"""
TORCHRUN = ("torchrun", "--standalone", "--nproc-per-node=2")
SWEEP = ("seed=0,1",)


@dataclass(frozen=True)
class Mode:
    """arguments: after sample.py; images: how many are made in `out` and its jobs' folders."""

    name: str
    arguments: tuple[str, ...]
    images: int = 2
    before: tuple[str, ...] = ("python",)
    needs: str = ""  # a package that may be absent
    words: str = ""  # of the refusal
    slow: bool = True

    @property
    def command(self) -> str:
        return " ".join([*self.before, "sample.py", *self.arguments])


MODES = [
    Mode("one process", ()),
    Mode("two processes", ("trainer=ddp_cpu",)),
    Mode("torchrun", ("trainer=ddp_cpu",), before=TORCHRUN),
    Mode("a sweep in one process", ("-m", *SWEEP), 4),
    Mode("a process for each job", ("-m", "hydra/launcher=subprocess", *SWEEP), 4),
    Mode("two processes for each job",
         ("-m", "hydra/launcher=subprocess", "trainer=ddp_cpu", *SWEEP), 4),
    Mode("submitit, here", ("-m", "hydra/launcher=submitit_local", *SWEEP), 4,
         needs="hydra_plugins.hydra_submitit_launcher"),
    Mode("joblib", ("-m", "hydra/launcher=joblib", *SWEEP), 4,
         needs="hydra_plugins.hydra_joblib_launcher"),
    Mode("Ray, here", ("-m", "hydra/launcher=ray", *SWEEP), 4,
         needs="hydra_plugins.hydra_ray_launcher"),
    Mode("a search with Optuna",
         ("hparams_search=optuna", "objective=l2", "hydra.sweeper.n_trials=2"), 4,
         needs="hydra_plugins.hydra_optuna_sweeper"),
    Mode("four shards as a sweep", ("-m", "shard=0/4,1/4,2/4,3/4")),
    Mode("a sweep in one process of jobs of two", ("-m", "trainer=ddp_cpu", *SWEEP), 0,
         words="a sweep cannot start several processes a job from its own process"),
    Mode("a shard that is none", ("shard=4/4",), 0, words="shard=4/4 is none: give K/N"),
    Mode("a launcher that is not there", ("-m", "hydra/launcher=cloud", *SWEEP), 0,
         words="Could not find 'hydra/launcher/cloud'"),
]  # fmt: skip


def available(mode: Mode) -> bool:
    """Whether the package is there; its plug-in's folder has no __init__ of its own to import."""
    return not mode.needs or importlib.util.find_spec(mode.needs) is not None


def started(folder: Path, networks: list[str], mode: Mode) -> subprocess.CompletedProcess:
    start = [sys.executable]
    if mode.before[0] == "torchrun":
        start = [sys.executable, "-m", "torch.distributed.run", *mode.before[1:]]
    program = [*start, str(ROOT / "sample.py"), *mode.arguments, *networks]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=300)


def outcome(folder: Path, mode: Mode) -> str:
    """The cell of the table; AssertionError where the way does something else."""
    folder.mkdir(parents=True)
    networks = [o for o in write_networks(folder) if not o.startswith(("trainer", "logger"))]
    searched = mode.needs.endswith("optuna_sweeper")
    free = [o for o in networks if not (searched and "t_start" in o)]
    device = [] if "trainer=ddp_cpu" in mode.arguments else ["trainer.accelerator=cpu"]
    options = [*free, *device, "logger=none", "limit=2", "data.eval_batch_size=1", "out=run"]
    ended = started(folder, options, mode)
    if mode.words:
        assert ended.returncode != 0 and mode.words in ended.stderr, ended.stderr
        assert "Traceback" not in ended.stderr, ended.stderr
        assert not list((folder / "run").rglob("*.png")), mode.name
        return next(line for line in ended.stderr.splitlines() if mode.words in line).strip()
    assert ended.returncode == 0, ended.stderr
    assert {p.name for p in folder.iterdir() if p.is_dir()} == {"run"}, list(folder.iterdir())
    outs = [folder / "run"]
    if mode.images > 2:
        outs = sorted(p for p in (folder / "run").iterdir() if p.name.isdigit())
        with (folder / "run" / "sweep.csv").open(newline="") as file:
            table = list(csv.DictReader(file))
        assert [row["folder"] for row in table] == ["0", "1"] and all(r["l2"] for r in table)
        assert "2 jobs; the whole table is" in ended.stdout
    found = [Written.of(out).listed() for out in outs]
    assert sum(map(len, found)) == mode.images, ended.stdout
    return f"{mode.images} images" + (f" in {len(outs)} folders" if len(outs) > 1 else "")


def line(mode: Mode, told: str) -> str:
    told = told.replace("|", "\\|").removeprefix("error: ")
    return f"| {mode.name} | `{mode.command}` | {told} |"


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name.replace(" ", "_"))
def test_ways_to_start(mode, tmp_path):
    if not available(mode):
        pytest.skip(f"{mode.needs} is not installed")
    assert line(mode, outcome(tmp_path / "work", mode)) in PAGE.read_text().splitlines()


def test_the_page_has_all_ways():
    told = PAGE.read_text()
    assert all(f"| `{mode.command}` |" in told for mode in MODES)


if __name__ == "__main__":
    import tempfile

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows, kept = [], PAGE.read_text() if PAGE.exists() else ""
    with tempfile.TemporaryDirectory() as name:
        for number, mode in enumerate(MODES):
            if available(mode):
                rows.append(line(mode, outcome(Path(name) / str(number), mode)))
            else:
                rows += [row for row in kept.splitlines() if f"| `{mode.command}` |" in row]
            print(rows[-1:], flush=True)
    PAGE.write_text(HEAD + "\n".join(rows) + "\n")
