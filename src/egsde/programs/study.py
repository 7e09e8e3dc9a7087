"""egsde study source=DIR target=DIR minutes=M [methods=[sdedit,egsde]] [size=64] [out=DIR] [...]

Two folders in, one ranked page out: trains the networks that the methods need within the minutes,
or takes given ones, translates the validation split with each, and ranks them by KID beside L2,
domain and seconds. Leaves study.csv and the comparison's page, of one method its report. With the
same out= it goes on.

minutes   of everything together; three quarters are for training
methods   translators: sdedit, egsde, egsde_fast, ilvr, ccdf, sddm, cycle_diffusion, ddib,
          cycle_egsde, ddib_egsde; by default sdedit, egsde, egsde_fast, ilvr
size      pixels on a side
limit     validation images that are translated, 64
steps     of a sampler over the whole process, 100
out       the folder; without it outputs/study-<time>
score, extractor, source_score      weights of your own, in place of a training
judge     weights of a classifier that guides nothing and tells the domain; without it one is
          trained within the minutes; judge=none: the guide judges itself, and the page says so
Other settings go to train.py and sample.py alike: data.root=..., trainer=gpu, allow=[...].
"""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from egsde.disk import refuse_taken, remove_empty
from egsde.evaluation import runs
from egsde.programs.checks import check
from egsde.programs.compare import compare
from egsde.programs.ended import Ended, launched, stands
from egsde.programs.folders import claiming, new_folder
from egsde.programs.line import read
from egsde.programs.lock import held
from egsde.programs.opened import opened
from egsde.programs.records import claim
from egsde.programs.report import report
from egsde.programs.settings import CONF
from egsde.programs.words import Usage, number, parsed, whole_number
from egsde.programs.written import write_table

CLASSIFIER, SOURCE, JUDGE, NONE = "extractor", "source_score", "judge", "none"
NEEDS = {  # beside a score of the target
    "sdedit": (), "ilvr": (), "ccdf": (), "egsde": (CLASSIFIER,), "egsde_fast": (CLASSIFIER,),
    "sddm": (CLASSIFIER,), "cycle_diffusion": (SOURCE,), "ddib": (SOURCE,),
    "cycle_egsde": (CLASSIFIER, SOURCE), "ddib_egsde": (CLASSIFIER, SOURCE),
}  # fmt: skip
OWN_STEPS = ("egsde_fast", "sddm")  # their samplers are not the general one
USUAL = "sdedit,egsde,egsde_fast,ilvr"
KNOWN: dict[str, tuple[Any, Any]] = {
    "source": (str, None), "target": (str, None), "minutes": (number(0.01), None),
    "methods": (str, USUAL),
    "size": (whole_number(1), 64), "limit": (whole_number(2), 64), "steps": (whole_number(1), 100),
    "out": (str, None), "score": (str, None), CLASSIFIER: (str, None), SOURCE: (str, None),
    JUDGE: (str, None),
}  # fmt: skip
TRAINING = 0.75  # of the minutes
SHARE = {JUDGE: 0.4}  # of what another network has
LEARNS = {  # a judge: from another seed, of nearly clean images
    CLASSIFIER: ["model=classifier"],
    JUDGE: ["model=classifier", "seed=1", "module.t_last=0.1", "module.power=1.0"],
}  # fmt: skip
FLATTERS = ("domain is told by the classifier that guides, which flatters the guided methods; "
            "judge=FILE, or no judge=none, has another one tell it")  # fmt: skip
UNTOLD = "domain is left out: judge=none, and no method has a classifier"
COLUMNS = ("kid", "fid", "l2", "psnr", "domain")


def main(arguments: Sequence[str]) -> None:
    """The command line: egsde study source=DIR target=DIR minutes=N."""
    own, others = parsed(arguments, KNOWN, "train.py")
    if lacking := [key for key in ("source", "target", "minutes") if own[key] is None]:
        raise Usage(f"egsde study needs {'=, '.join(lacking)}=")
    own["methods"] = [m.strip() for m in own["methods"].strip("[]").split(",") if m.strip()]
    if not own["methods"]:
        raise Usage(f"methods=[] names no method; there is {', '.join(NEEDS)}")
    if len(set(own["methods"])) < len(own["methods"]):
        raise Usage(f"methods={','.join(own['methods'])} names one twice")
    if unknown := [name for name in own["methods"] if name not in NEEDS]:
        raise Usage(f"methods={','.join(unknown)} is unknown; there is {', '.join(NEEDS)}")
    with claiming(True):
        out = Path(str(own["out"] or new_folder("outputs/study"))).expanduser()
    study = Study(out, own, others)
    with stands(out, lambda: f"{', '.join(study.done) or 'no method'} is translated"), held(out):
        study.run()


class Study:
    """own: the settings of the head of this file; others: what train.py and sample.py take."""

    def __init__(self, out: Path, own: dict[str, Any], others: Sequence[str]) -> None:
        self.out, self.own, self.others = out, own, list(others)
        self.end = time.monotonic() + 60 * own["minutes"]
        needed = [n for name in own["methods"] for n in NEEDS[name]]
        judge = [] if own[JUDGE] == NONE else [JUDGE]
        self.networks = ["score", *dict.fromkeys(needed), *judge]
        self.done: dict[str, runs.Run] = {}

    def run(self) -> list[runs.Run]:
        """The methods' runs, the best first; ValueError where training or all methods failed."""
        claim(self.out, "egsde study")
        self.out.mkdir(parents=True, exist_ok=True)
        for name in ("networks", "compare", "test", *self.own["methods"]):
            refuse_taken(self.out / name)
        self._look()
        if JUDGE not in self.networks:
            print(FLATTERS if CLASSIFIER in self.networks else UNTOLD)
        weights, done = self._trained(), self.done
        for name in self.own["methods"]:
            folder = self.out / name
            if time.monotonic() > self.end and done:
                print(f"{name}: left out, the minutes are over")
                continue
            if _called(self._sample(name, weights, folder, "val")):
                done[name] = runs.load(folder)
        if not done:
            raise ValueError(f"no method could be run; what each said stands above, in {self.out}")
        ranked = sorted(done, key=lambda name: _rank(done[name]))
        self._leave([(name, done[name]) for name in ranked])
        if len(ranked) > 1:
            pages = compare([done[n].folder for n in ranked], self.out / "compare", names=ranked)
        else:
            pages = report(opened(done[ranked[0]].folder))
        print(f"a page to look at: {pages[0]}")
        best = done[ranked[0]].metrics
        if best.get("kid", 0.0) > best.get("kid_source", math.inf):
            print("no method beats doing nothing by KID; more minutes, or weights of your own, may")
        print(f"{ranked[0]} is first; its networks, and the translation of the test images:")
        for name in ("score", *NEEDS[ranked[0]]):
            if self.own[name] is None:
                print(f"    {shlex.join(self._train(name, None)[2:])}")
        last = self._sample(ranked[0], weights, self.out / "test", "test")
        print(f"    {shlex.join(last[2:])}")
        return [done[name] for name in ranked]

    def _data(self, turned: bool = False) -> list[str]:
        source, target = self.own["source"], self.own["target"]
        pair = (target, source) if turned else (source, target)
        size = f"data.size={self.own['size']}"
        chosen = any(word.startswith(("data=", "dataset=")) for word in self.others)
        return [*([] if chosen else ["data=folder"]), f"data.source={pair[0]}",
                f"data.target={pair[1]}", size, *self.others]  # fmt: skip

    def _look(self) -> None:
        """ValueError for networks or pictures that are not there, before anything is started."""
        import torch

        from egsde.programs.build import Parts  # needs all that a program needs
        from egsde.scores.container import find, read_config

        given = {n: find(self.own[n], n) for n in self.networks if self.own[n] is not None}
        for name, path in given.items():
            if not any(word.startswith(f"{name}=") for word in self.others):
                read_config(path)
        alone = len(given) == len(self.networks)
        program, splits = ("sample", ["val"]) if alone else ("train", ["train", "val"])
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose(program, read(program, self._data()))
        check(program, cfg, self.others)
        parts = Parts(cfg)
        with torch.device("meta"):  # a network of a size that it cannot have, say
            _ = alone or parts("network")
        data = parts("data")
        for domain in data.domains:
            for split in splits:
                data.images(domain, split)

    def _trained(self) -> dict[str, str]:
        """The networks' files; each training has its share of the minutes."""
        found = {name: self.own[name] for name in self.networks if self.own[name] is not None}
        to_train = [name for name in self.networks if name not in found]
        for i, name in enumerate(to_train):
            file = self.out / "networks" / name / "weights.safetensors"
            left = self.end - time.monotonic() - 60 * (1 - TRAINING) * self.own["minutes"]
            parts = [SHARE.get(other, 1.0) for other in to_train[i:]]
            seconds = max(10, left * parts[0] / sum(parts))
            if not file.is_file() and not _called(self._train(name, seconds)):
                remove_empty(self.out / "networks")
                raise ValueError(f"{name} could not be trained; what train.py said stands above")
            found[name] = str(file)
        return found

    def _train(self, name: str, seconds: float | None) -> list[str]:
        length = []
        if seconds is not None:
            minutes, rest = divmod(int(seconds), 60)
            hours, minutes = divmod(minutes, 60)
            time_of = f'+trainer.max_time="00:{hours:02d}:{minutes:02d}:{rest:02d}"'
            length = ["trainer.max_steps=100000", time_of]
        out = f"out={self.out / 'networks' / name}"
        return [sys.executable, "-m", "egsde", "train", *LEARNS.get(name, []),
                *self._data(name == SOURCE), *length, out]  # fmt: skip

    def _sample(self, name: str, weights: dict[str, str], folder: Path, split: str) -> list[str]:
        nets = [f"{n}.weights={weights[n]}" for n in ("score", *NEEDS[name])]
        file = weights.get(JUDGE, weights.get(CLASSIFIER))
        judge = [f"judge.weights={file}", "metrics=domain"] if file else []
        steps = [] if name in OWN_STEPS else [f"sampler.grid.steps={self.own['steps']}"]
        measured = [f"split={split}", f"metrics.protocol.reference_split={split}"]
        measured += [f"limit={self.own['limit']}", "report=0"] if split == "val" else []
        return [sys.executable, "-m", "egsde", "sample", f"translator={name}", *self._data(), *nets,
                *judge, *steps, *measured, f"out={folder}"]  # fmt: skip

    def _leave(self, ranked: Sequence[tuple[str, runs.Run]]) -> None:
        rows: list[dict[str, Any]] = []
        for place, (name, run) in enumerate(ranked, 1):
            row = {"rank": place, "method": name, **_cells(run)}
            rows.append({**row, "evaluations": run.nfe, "seconds": run.seconds})
        nothing = _cells(ranked[0][1], "_source")
        rows.append({"method": "do nothing", **nothing, "evaluations": 0, "seconds": 0})
        write_table(self.out / "study.csv", rows)
        for row in rows:
            cells = [f"{k} {v:.4g}" for k, v in row.items() if isinstance(v, float)]
            print(f"{row.get('rank', '')!s:2s} {row['method']:16s} {'  '.join(cells)}")


def _cells(run: runs.Run, of: str = "") -> dict[str, float]:
    """The numbers of COLUMNS with their intervals; of: "_source", what doing nothing gives."""
    row: dict[str, float] = {}
    for key in COLUMNS:
        if key + of in run.metrics:
            row[key] = run.metrics[key + of]
            row |= dict(zip((f"{key}_low", f"{key}_high"), run.intervals.get(key + of, ()),
                            strict=False))  # fmt: skip
    return row


def _rank(run: runs.Run) -> float:
    """KID; without it the share that the judge does not take for the target, else L2."""
    found = run.metrics
    return found.get("kid", 1 - found["domain"] if "domain" in found else found.get("l2", 0.0))


def _called(command: list[str]) -> bool:
    print(f"$ {shlex.join(command[2:])}", flush=True)
    code = launched(command)
    if code > 128:  # it was asked to stop, and the study with it
        raise Ended(code - 128)
    return code == 0
