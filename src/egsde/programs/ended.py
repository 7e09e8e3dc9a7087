"""Ctrl-C, SIGTERM, SIGUSR1, a closed terminal: wherever a program is it ends in words, with a code.

A training's steps and a translation's evaluations note them first (`callbacks.interrupts`). Nothing
heavy is imported here, for this holds from the first line of a command on.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

SIGNALS = [s for s in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, s)]
OTHER = "hydra.job.name=train_ddp_process"  # what Lightning starts the others of a run with
FIRST = "EGSDE_FIRST_PROCESS"  # its number, for the others
STARTER, EVERY = "EGSDE_STARTER", 0.5  # who has started a program; seconds between looks
HANGUP = getattr(signal, "SIGHUP", None)


class Ended(BaseException):
    """A signal has come; not an Exception, which what runs may catch. `code`: the exit code."""

    heard = False  # by the other processes of the run
    came: int | None = None  # the signal; 0 before one comes, None outside of `ending`
    out: Path | None = None  # the run's folder, where the command line does not name it
    words: list[str] | None = None  # the command line as given, where Hydra has another
    past: tuple[str, ...] = ()  # beginnings of words that what goes on does without
    standing = "what was finished is kept"

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum, self.code = signum, 128 + signum

    @classmethod
    def note(cls, signum: int) -> None:
        """A signal is acted on, whichever process it has reached: no other is to interrupt that."""
        if cls.came is not None:
            cls.came = signum


def numbers() -> list[int]:
    """The signals that stop this process: not that of a closed terminal under nohup."""
    found = [getattr(signal, name) for name in SIGNALS]
    return [n for n in found if n != HANGUP or signal.getsignal(n) != signal.SIG_IGN]


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Inside, a signal raises `Ended`, once: what is being closed is not interrupted again.

    It is not lost where that exception is: one that a finaliser drops is raised again, and one that
    is swallowed, or was noted and not looked at, is raised at the end, if not before (`look`).
    A process that was stopped stays deaf to further ones, until its end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outer, hook, dropped = Ended.came, sys.unraisablehook, False
    Ended.came = 0

    def end(signum: int, frame: FrameType | None) -> None:
        nonlocal dropped
        if dropped or not Ended.came:
            dropped, Ended.came = False, signum
            raise Ended(signum)

    def drop(what: sys.UnraisableHookArgs) -> None:
        nonlocal dropped
        if isinstance(what.exc_value, Ended):
            dropped = True
            _thread.start_new_thread(_send, (what.exc_value.signum,))
        else:
            hook(what)

    before = {number: signal.signal(number, end) for number in numbers()}
    sys.unraisablehook = drop
    try:
        yield
        look()
    except (Ended, SystemExit) as error:
        if isinstance(code := error.code, int) and code > 128:
            before = dict.fromkeys(before, signal.SIG_IGN)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook, Ended.came = hook, outer


def deaf() -> None:
    """What comes once all is done changes neither words nor code: Python takes a while to end."""
    for number in numbers():
        signal.signal(number, signal.SIG_IGN)


def look() -> None:
    """`Ended` where a signal has come, whatever became of it: before what takes long is begun."""
    if Ended.came:
        raise Ended(Ended.came)


def hidden(error: BaseException) -> Ended | None:
    """The `Ended` that an error is, or arose from: a `finally` met what is half made."""
    first: BaseException | None = error
    while first is not None and not isinstance(first, Ended):
        first = first.__context__
    return first


def refuse_hidden(error: BaseException) -> None:
    """`Ended` where an error arose while it was being raised."""
    if (first := hidden(error)) is not None:
        raise first from None


@contextlib.contextmanager
def stands(out: Path, told: Callable[[], str]) -> Iterator[None]:
    """Where a signal ends what is inside, `told` says how far the work in `out` has come."""
    try:
        yield
    except (Ended, Exception) as error:
        if (ended := hidden(error)) is None:
            raise
        ended.out, ended.standing = out, told()
        raise ended from None


def told_by_the_first(seconds: float = 5) -> bool:
    """Whether this is another process of a run, and the first, as what fails here fails there,
    ends soon; torchrun then stops this one."""
    first, end = int(os.environ.get(FIRST, os.getppid())), time.monotonic() + seconds
    while os.environ.get("LOCAL_RANK", "0") != "0" and time.monotonic() < end:
        if os.getppid() != first:
            return True
        time.sleep(0.05)
    return False


def _send(signum: int) -> None:
    """To this process, once a finaliser that has dropped it is over."""
    time.sleep(0.01)
    os.kill(os.getpid(), signum)


def again(out: Path | None) -> str:
    """The command line that goes on with a run."""
    given = Ended.words or sys.argv
    program = Path(given[0])
    start = ["python", given[0]] if program.suffix == ".py" else [program.name]
    if program.name == "__main__.py":
        start = ["python", "-m", program.parent.name]
    ours = ("hydra.run.dir=", OTHER, "hydra.output_subdir=", *Ended.past)
    words = [word for word in given[1:] if not word.startswith(ours)]
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


def _apart() -> list[str]:
    """For another Python, to import nothing of the working folder, where anyone's files may lie,
    unless this one does, too."""
    here = {"", os.getcwd()} & set(sys.path)
    return [] if here or sys.version_info < (3, 11) else ["-P"]


def launched(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """The exit code of another program of Python, which a signal reaches, too, and which may then
    save."""
    look()
    own = {**(os.environ if environment is None else environment), STARTER: str(os.getpid())}
    process = subprocess.Popen([*command[:1], *_apart(), *command[1:]], env=own)
    try:
        code = process.wait()
        if code < 0:  # else it has told why itself
            told = f"a program that was started was ended by signal {-code}"
            print(f"error: {told}; this command goes on with it: {again(None)}", file=sys.stderr,
                  flush=True)  # fmt: skip
        return code
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
