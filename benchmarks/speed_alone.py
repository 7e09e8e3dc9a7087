"""Processor seconds of a step with each code in a process of its own, as its users run it.

    python benchmarks/speed_alone.py official=DIR [--size 256] [--width 128] [--turns 2] [--every 2]

Beside `speed.py`, whose codes share one process, and with it what one has left of freed memory to
the next. "kept": with `keep_pages`, which the programs here call at their start; "kernel": the part
of the seconds that the kernel takes, most of it for pages handed out anew. --every K: walks of K
steps, of which ours takes the gradient of the realism at the first alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
from itertools import product
from pathlib import Path

import torch
from speed_cases import Case, Official, Ours
from tables import show

from egsde.energies import EveryKth
from egsde.programs.pages import keep_pages


def alone(code: str, kept: bool, given: argparse.Namespace, answer: multiprocessing.Queue) -> None:
    """Seconds a step of `repeats` walks of one image on one thread, after a first one."""
    if kept:
        keep_pages()
    torch.set_num_threads(1)
    ours = Ours(Case(given.size, 1, given.width, torch.device("cpu"), steps=given.every))
    ours.energy = EveryKth(ours.realism, given.every) + ours.faithfulness
    step = ours.translated if code == "ours" else Official(given.official, ours).translated
    step()
    taken = []
    for _ in range(given.repeats):
        before = resource.getrusage(resource.RUSAGE_SELF)
        step()
        after = resource.getrusage(resource.RUSAGE_SELF)
        kernel = after.ru_stime - before.ru_stime
        spent = after.ru_utime - before.ru_utime + kernel
        taken.append((spent / given.every, kernel / given.every))
    answer.put((taken, after.ru_maxrss / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("official", help="official=DIR, a checkout of ML-GSAI/EGSDE")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="k: realism at each k-th step of ours")
    parser.add_argument("--turns", type=int, default=2, help="processes of each kind")
    given = parser.parse_args()
    given.official = Path(given.official.removeprefix("official=")).absolute()
    kinds = list(product(("ours", "official"), (False, True)))
    found: dict[tuple[str, bool], list] = {kind: [] for kind in kinds}
    fresh = multiprocessing.get_context("spawn")
    for _, kind in product(range(given.turns), kinds):
        answer = fresh.Queue()
        process = fresh.Process(target=alone, args=(*kind, given, answer))
        process.start()
        found[kind].append(answer.get())
        process.join()
    rows = []
    for (code, kept), processes in found.items():
        steps = [step for taken, _ in processes for step in taken]
        rows.append({
            "code": code, "kept": kept, "seconds": statistics.median(s for s, _ in steps),
            "kernel": statistics.median(k for _, k in steps),
            "MiB at most": round(max(most for _, most in processes)),
        })  # fmt: skip
    show(rows, 3)


if __name__ == "__main__":
    main()
