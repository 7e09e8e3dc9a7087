"""egsde tune [minutes=10] [limit=64] [balance=0.5] [out=DIR] [settings of sample.py ...]

Chooses start, weights, low pass and steps on the validation split, for your own data and networks:
coarse steps first, then finer ones, each kept where KID and L2 together fall; then fewer steps
where that costs next to nothing. Leaves tuned.yaml, which sample.py takes, and tables of all trials
and of the frontier of KID and L2. Given again with the same out=, it goes on.

minutes   after which no trial is begun; where one of the untuned steps would take more than a fifth
          of them, all begin with fewer steps, which is said
limit     validation images that a trial translates
balance   what faithfulness counts: 0 looks at KID alone, 1 and more stays near the source
out       the folder; without it outputs/tune-<time>
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from egsde.disk import refuse_taken
from egsde.programs.callbacks.progress import minutes_bar
from egsde.programs.ended import stands
from egsde.programs.folders import claiming, new_folder, to_give_back
from egsde.programs.lock import held
from egsde.programs.records import claim
from egsde.programs.run import save_yaml
from egsde.programs.secrets import recorded
from egsde.programs.trials import SEARCH, Settings, Trial, Trials, frontier, moved, refuse_changed
from egsde.programs.words import number, parsed, whole_number
from egsde.programs.written import write_table

ROUNDS = 3  # coarse, half, quarter
CHEAPER = 1.02  # fewer steps are taken where the cost grows by no more than this
STEPS = ("sampler.grid.steps", "translator.steps")
FEW, SHARE = 25, 0.2  # steps of the trial that tells what more would take; minutes of one trial
KNOWN: dict[str, Any] = {
    "minutes": (number(), 10.0), "limit": (whole_number(2), 64), "balance": (number(), 0.5),
    "out": (str, None),
}  # fmt: skip
SHOWN = ("kid", "l2", "psnr", "domain")


def main(arguments: Sequence[str]) -> None:
    """The command line: egsde tune, with the settings of sample.py."""
    own, overrides = parsed(arguments, KNOWN, "sample.py")
    with claiming(True):
        out = Path(str(own["out"] or new_folder("outputs/tune"))).expanduser()
    trials = "trials/*/metrics.json"
    with stands(out, lambda: f"{len(list(out.glob(trials)))} trials are done"), held(out):
        tune(overrides, out, float(own["minutes"]), int(own["limit"]), float(own["balance"]))


def tune(
    overrides: Sequence[str], out: Path, minutes: float, limit: int = 64, balance: float = 0.5
) -> Trial:
    """The best trial; ValueError where there is nothing to tune or to judge by."""
    trials = Trials(overrides, out, limit)
    start = trials.defaults()
    if not start:
        raise ValueError("this translator reads no start, weight, low pass or steps to tune")
    claim(out, "egsde tune")
    refuse_taken(out / "trials")
    trials.refuse_blind()
    out.mkdir(parents=True, exist_ok=True)
    new = not (out / SEARCH).is_file()
    refuse_changed(out, recorded(trials.composed({})))
    print(f"{minutes:g} minutes; first the untuned settings: {_listed(start)}", flush=True)
    end = time.monotonic() + 60 * minutes
    with minutes_bar(minutes, "tuning") as passed:
        try:
            start = _within(trials, start, minutes)
            untuned = trials.run(start)
        except ValueError:  # what was given cannot be translated: nothing was begun
            if new and not trials.done:
                (out / SEARCH).unlink(missing_ok=True)
            raise
        _tell(len(trials.done), untuned, untuned.cost(balance), end)
        passed(sum(trial.seconds for trial in trials.done.values()))
        for settings in _search(trials, start, balance):
            longest = max(trial.seconds for trial in trials.done.values())
            if time.monotonic() + longest > end:
                break
            known = len(trials.done)
            trial = trials.run(settings)
            if len(trials.done) == known:  # tried before, from another setting
                continue
            _tell(len(trials.done), trial, trial.cost(balance), end)
            _leave(trials, out, balance, untuned)
            passed(trial.seconds)
    best = _best(trials, balance)
    _leave(trials, out, balance, untuned)
    _end(out, best, untuned)
    return best


def _within(trials: Trials, start: Settings, minutes: float) -> Settings:
    """The settings to begin with: fewer steps where a trial of these would take SHARE of the time.
    ValueError as `Trials.run`."""
    key = next((key for key in STEPS if start.get(key, 0) > FEW), None)
    if key is None:
        return start
    seconds = trials.run({**start, key: FEW}).walked / FEW
    steps, most = start[key], SHARE * 60 * minutes
    while steps > FEW and steps * seconds > most:
        steps = max(FEW, steps // 2)
    if steps < start[key]:
        told = f"a trial of {start[key]:g} steps would take {start[key] * seconds / 60:.1f}"
        print(f"{told} of the {minutes:g} minutes: all begin with {steps:g} steps", flush=True)
    return {**start, key: steps}


def _search(trials: Trials, start: Settings, balance: float) -> Iterator[Settings]:
    """Settings to try, each from the best so far; steps last, and only downwards."""
    for fine in range(ROUNDS):
        better = True
        while better:
            before = _best(trials, balance)
            for key in start:
                if key in STEPS:
                    continue
                for up in (True, False):
                    if (new := moved(_best(trials, balance).settings, key, up, fine)) is not None:
                        yield new
            better = _best(trials, balance) is not before
    for key in STEPS:
        while key in start:
            best = _best(trials, balance)
            new = {**best.settings, key: max(1, best.settings[key] // 2)}
            if new == best.settings:
                break
            yield new
            if _best(trials, balance) is best:
                break


def _best(trials: Trials, balance: float) -> Trial:
    """The least cost; of those that cost CHEAPER and differ in steps alone, the fewest steps."""
    every = list(trials.done.values())
    least = min(every, key=lambda trial: trial.cost(balance))

    def apart(trial: Trial) -> Settings:
        return {k: v for k, v in trial.settings.items() if k not in STEPS}

    near = [t for t in every if apart(t) == apart(least)
            and t.cost(balance) <= CHEAPER * least.cost(balance)]  # fmt: skip
    return min(near, key=lambda trial: trial.nfe, default=least)


def _leave(trials: Trials, out: Path, balance: float, untuned: Trial) -> None:
    """trials.csv, frontier.csv and tuned.yaml of what is known so far."""
    best, every = _best(trials, balance), list(trials.done.values())
    write_table(out / "trials.csv", [_row(t, balance, best, untuned) for t in every])
    write_table(out / "frontier.csv", [_row(t, balance, best, untuned) for t in frontier(every)])
    cfg = trials.composed(best.settings)
    save_yaml(out / "tuned.yaml", to_give_back(recorded(cfg), cfg, out, "outputs/sample"))


def _row(trial: Trial, balance: float, best: Trial, untuned: Trial) -> dict[str, Any]:
    what = "tuned" if trial is best else "untuned" if trial is untuned else ""
    numbers = {k: trial.metrics[k] for k in SHOWN if k in trial.metrics}
    row = {"what": what, **trial.settings, **numbers}
    return {
        **row,
        "evaluations": trial.nfe,
        "cost": trial.cost(balance),
        "trial": trial.folder.name,
    }


def _tell(number: int, trial: Trial, cost: float, end: float) -> None:
    left = max(0.0, end - time.monotonic()) / 60
    said = f"trial {number}: {_listed(trial.settings)}  {_numbers(trial)}  cost {cost:.4f}"
    print(f"{said}  {left:.1f} min left", flush=True)


def _listed(settings: Settings) -> str:
    return " ".join(f"{k.rsplit('.', 1)[-1]}={v:g}" for k, v in settings.items())


def _numbers(trial: Trial) -> str:
    found = [f"{k} {trial.metrics[k]:.4f}" for k in SHOWN if k in trial.metrics]
    return "  ".join([*found, f"evaluations {trial.nfe:g}"])


def _end(out: Path, best: Trial, untuned: Trial) -> None:
    print(f"untuned  {_numbers(untuned)}")
    print(f"tuned    {_numbers(best)}")
    for key, value in best.settings.items():
        print(f"    {key}={value:g}   (untuned {untuned.settings[key]:g})")
    print(f"all trials are in {out / 'trials.csv'}, the frontier of them in frontier.csv")
    print(f"to use it: python sample.py --config-path {out} --config-name tuned out=...")
