"""Runs of sample.py on the validation split with some settings changed: what `egsde tune` compares.

    cost = KID / KID of the untouched sources + balance * L2 / L2 of real images in their place

so doing nothing costs 1 and real images taken at random cost `balance`. Where there is no KID, the
share that the judge does not take for the target stands in its place.
"""

from __future__ import annotations

import hashlib
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict

from egsde.disk import read_object, remove_empty
from egsde.evaluation.runs import summary
from egsde.programs.build import Parts
from egsde.programs.callbacks.progress import bars_alone
from egsde.programs.checks import check
from egsde.programs.ended import Ended, look
from egsde.programs.line import read
from egsde.programs.lock import held
from egsde.programs.records import read_record, weights_in, write_json
from egsde.programs.resumed import differences, flat
from egsde.programs.sample import sample
from egsde.programs.secrets import recorded
from egsde.programs.settings import CONF
from egsde.programs.values import referred

# What changes no number of a trial.
FREE = ("out", "trainer", "logger", "report", "trajectory", "columns", "check", "objective",
        "data.batch_size", "data.eval_batch_size", "data.num_workers")  # fmt: skip
OWN = {
    "split": "trials translate the validation split", "data.limit": "limit= is that of a trial",
    "objective": "a trial has its cost", "shard": "a trial is one run",
    "metrics.protocol.reference_split": "trials are compared with the validation split",
}  # fmt: skip
SEARCH = "search.json"
ELSEWHERE = "use another out= folder"
Settings = dict[str, float]
FIRST = {
    "t_start": 0.15,
    "factor": 2.0,
}  # steps of the coarse round: added to t_start, else factors
WEIGHT = 4.0
BLIND = ("neither KID (metrics.kid, Inception weights and at least two validation images of each "
         "domain) nor a judge (metrics=domain judge.weights=FILE) is there, so nothing would say "
         "how real a translation looks")  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """One setting and its numbers; `cost` is infinite where it could not be run."""

    settings: Settings
    folder: Path
    metrics: Mapping[str, float]
    nfe: float
    seconds: float
    walked: float = 0.0  # seconds that the images took, also where the trial is read; 0: unknown

    def cost(self, balance: float) -> float:
        """ValueError where neither KID nor a judge is there."""
        found = self.metrics
        if "l2" not in found:
            return math.inf
        if found.get("kid_source"):
            look = found["kid"] / abs(found["kid_source"])
        elif "domain" in found:
            look = 1 - found["domain"]
        else:
            raise ValueError(BLIND)
        return look + balance * found["l2"] / max(found.get("l2_floor", found["l2"]), 1e-9)


class Trials:
    """Settings tried so far, in folders of their own: what was done is read, not done again.
    ValueError for a setting that is not free."""

    def __init__(self, overrides: Sequence[str], out: Path, limit: int) -> None:
        self.out, self.limit = out, limit
        for word in overrides:
            if (key := word.lstrip("+").split("=")[0]) in OWN:
                raise ValueError(
                    f"{key} is set by egsde tune itself ({OWN[key]}); leave {word} out"
                )
        self.overrides = read("sample", list(overrides))
        self.done: dict[str, Trial] = {}

    def composed(self, settings: Settings) -> DictConfig:
        """The configuration of sample.py with these settings."""
        own = [*self.overrides, *(f"{key}={value!r}" for key, value in settings.items())]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("sample", own)

    def defaults(self) -> Settings:
        """What can be tuned of this translator, at its untuned values."""
        cfg = self.composed({})
        read_by = referred(cfg, "translator")
        keys: list[str] = [key for key in ("t_start", "factor") if key in read_by]
        if "energy" in read_by and "weights" in cfg.energy:
            keys += [f"energy.weights.{name}" for name in cfg.energy.weights]
        keys += [key for key in ("sampler.grid.steps", "translator.steps")
                 if key.split(".")[0] in (*read_by, "translator")
                 and OmegaConf.select(cfg, key) is not None]  # fmt: skip
        return {key: OmegaConf.select(cfg, key) for key in keys}

    def refuse_blind(self) -> None:
        """ValueError where trials would have no cost, asked before the first is made."""
        cfg = self.composed({})
        check("sample", cfg, self.overrides)
        parts = Parts(cfg)
        suite, data = parts("metrics"), parts("data")
        if suite is None or "l2" not in suite.names:
            raise ValueError("metrics= measures no l2, which is a part of every trial's cost")
        suite.check_channels(data.channels)
        if "domain" in suite.names:
            return
        sets = data.translations("val"), data.domain("target", "val")
        if not suite.sets.kid or min(map(len, sets)) < 2 or suite.extractor() is None:
            raise ValueError(BLIND)

    def run(self, settings: Settings) -> Trial:
        look()
        key = hashlib.blake2b(repr(sorted(settings.items())).encode(), digest_size=6).hexdigest()
        if key not in self.done:
            self.done[key] = self._run(settings, self.out / "trials" / key)
        return self.done[key]

    def _run(self, settings: Settings, folder: Path) -> Trial:
        file, began, refused = folder / "metrics.json", time.perf_counter(), None
        cfg = self.composed(settings)
        with open_dict(cfg):
            cfg.out, cfg.split, cfg.report, cfg.trajectory = str(folder), "val", 0, 0
            cfg.limit, cfg.data.limit, cfg.objective = self.limit, self.limit, "l2"
            cfg.metrics.protocol.reference_split = "val"
            cfg.metrics.fid = cfg.metrics.prc = cfg.metrics.intervals = False
        if file.is_file():
            with held(folder):  # without what a trial left that was killed once it was measured
                refuse_another(folder, recorded(cfg))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            with bars_alone(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    sample(cfg)
                except SystemExit as stop:  # a signal, of which the whole search is to tell
                    raise Ended(int(stop.code or 0) - 128) from None
                except ValueError as error:  # a low pass that does not divide the image, say
                    if not self.done:  # what was given, not what the search has made of it
                        remove_empty(folder.parent)
                        raise
                    refused = error
        look()
        if refused is not None:
            print(f"not possible: {refused}", flush=True)
            return Trial(settings, folder, {}, 0.0, time.perf_counter() - began)
        found = summary(file)
        write_json(folder / "settings.json", dict(settings))
        nfe = float(sum((found.get("nfe") or {}).values()))
        numbers = {k: v for k, v in (found.get("metrics") or {}).items() if v is not None}
        walked = (found.get("n") or 0) * (found.get("seconds_per_image") or 0.0)
        return Trial(settings, folder, numbers, nfe, time.perf_counter() - began, walked)


def refuse_another(folder: Path, config: Mapping[str, Any]) -> None:
    """ValueError where a trial's folder holds the numbers of other settings, data or networks."""
    record = folder / "run.json"
    before = read_record(record).get("config") if record.is_file() else None
    if not isinstance(before, dict):
        raise ValueError(f"{folder} holds numbers and no run.json that says whose; {ELSEWHERE}")
    if changed := differences(before, config, FREE):
        raise ValueError(
            f"{folder} is a trial of another search ({'; '.join(changed[:3])}); {ELSEWHERE}"
        )


def refuse_changed(out: Path, config: Mapping[str, Any]) -> None:
    """ValueError where a network's file is another than the search in `out` began with."""
    now = weights_in(config)
    kept = out / SEARCH
    if not kept.is_file():
        write_json(kept, {"weights": now})
        return
    before = read_object(kept, ELSEWHERE).get("weights")
    for key, digest in now.items():
        if isinstance(before, dict) and before.get(key) != digest:
            raise ValueError(
                f"{key}={flat(config)[key]} has changed since the search in {out} began; "
                f"{ELSEWHERE}"
            )


def moved(settings: Settings, key: str, up: bool, fine: int) -> Settings | None:
    """One of the settings moved; fine: 0 coarse, 1 half as far, ... None: out of range."""
    value = settings[key]
    if key == "t_start":
        step = FIRST["t_start"] / 2**fine
        new: float = round(value + (step if up else -step), 4)
        if not 0.05 <= new <= 0.95:
            return None
    else:
        by = FIRST.get(key, WEIGHT) ** (1 / 2**fine)
        new = value * by if up else value / by
        if key == "factor":
            new = max(1, round(new))
        else:
            new = float(f"{new:.3g}")
    return None if new == value else {**settings, key: new}


def frontier(trials: Sequence[Trial]) -> list[Trial]:
    """Those that no other beats in both KID (else domain) and L2, by L2."""

    def look(trial: Trial) -> float:
        return trial.metrics.get("kid", 1 - trial.metrics.get("domain", 0.0))

    known = sorted(
        (t for t in trials if "l2" in t.metrics), key=lambda t: (t.metrics["l2"], look(t))
    )
    best, kept = math.inf, []
    for trial in known:
        if look(trial) < best:
            best = look(trial)
            kept.append(trial)
    return kept
