"""Ctrl-C, SIGTERM, SIGUSR1, a closed terminal: wherever a program is it ends in words, with a code.

A training's steps and a translation's evaluations note them first (`callbacks.interrupts`). Nothing
heavy is imported here, for this holds from the first line of a command on.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

SIGNALS = [s for s in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, s)]
OTHER = "hydra.job.name=train_ddp_process"  # what Lightning starts the others of a run with
STARTER, EVERY = "EGSDE_STARTER", 0.5  # who has started a program; seconds between looks
HANGUP = getattr(signal, "SIGHUP", None)


class Ended(BaseException):
    """A signal has come; not an Exception, which what runs may catch. `code`: the exit code."""

    heard = False  # by the other processes of the run
    came = 0  # the signal, for where Python drops what a handler raises (in a finaliser)
    out: Path | None = None  # the run's folder, where the command line does not name it
    standing = "what was finished is kept"

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum, self.code = signum, 128 + signum


def numbers() -> list[int]:
    """The signals that stop this process: not that of a closed terminal under nohup."""
    found = [getattr(signal, name) for name in SIGNALS]
    return [n for n in found if n != HANGUP or signal.getsignal(n) != signal.SIG_IGN]


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Inside, a signal raises `Ended`, once: what is being closed is not interrupted again.

    A process that was stopped stays deaf to further ones, until its end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    Ended.came = 0

    def end(signum: int, frame: FrameType | None) -> None:
        if not Ended.came:
            Ended.came = signum
            raise Ended(signum)

    before = {number: signal.signal(number, end) for number in numbers()}
    try:
        yield
    except (Ended, SystemExit) as error:
        if isinstance(code := error.code, int) and code > 128:
            before = dict.fromkeys(before, signal.SIG_IGN)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def again(out: Path | None) -> str:
    """The command line that goes on with a run."""
    program = Path(sys.argv[0])
    start = ["python", sys.argv[0]] if program.suffix == ".py" else [program.name]
    ours = ("hydra.run.dir=", OTHER, "hydra.output_subdir=")
    words = [word for word in sys.argv[1:] if not word.startswith(ours)]
    named = out is None or any(word.startswith("out=") for word in words)
    return shlex.join([*start, *words, *([] if named else [f"out={out}"])])


def tell(error: BaseException, standing: str, out: Path | None) -> None:
    """Two lines: where the work stands, and the command that goes on with it."""
    place = "" if out is None else f", in {out}"
    print(f"{error}: {standing}{place}", flush=True)
    print(f"to go on: {again(out)}", flush=True)


def follow() -> None:
    """A program that another has started (`launched`) is stopped where that one was killed."""
    starter = int(os.environ.pop(STARTER, 0))  # not that of what this one starts

    def look() -> None:
        while os.getppid() == starter:
            time.sleep(EVERY)
        os.kill(os.getpid(), signal.SIGTERM)

    if starter:
        threading.Thread(target=look, daemon=True, name="starter").start()


def launched(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """The exit code of another program, which a signal reaches, too, and which may then save."""
    own = {**(os.environ if environment is None else environment), STARTER: str(os.getpid())}
    process = subprocess.Popen(command, env=own)
    try:
        return process.wait()
    except BaseException as error:
        signum = getattr(error, "signum", signal.SIGTERM)
        with contextlib.suppress(OSError):
            process.send_signal(signum)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
