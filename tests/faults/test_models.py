"""Every model of train.py: stopped, killed while it saves, or poisoned, and by two processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from egsde.programs.train import train
from faults.children import child, told
from runs import composed, rows
from small_models import MODELS, every_model, options_of, teach

CPU = "trainer.accelerator=cpu"
EIGHT = "data.batch_size=8"
SLOW = pytest.mark.slow
PARTS = ("state_dict", "optimizer_states", "lr_schedulers", "global_step")


def test_every_model_has_a_row():
    assert set(MODELS) == every_model()


@pytest.fixture(scope="module")
def taught(tmp_path_factory) -> list[str]:
    return teach(tmp_path_factory.mktemp("teacher"))


def stop(kind: str, steps: int) -> list[str]:
    return [f"+callbacks.stop._target_=stops.{kind}", f"+callbacks.stop.steps={steps}"]


def checkpoint(out: Path) -> dict:
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)


def same(out: Path, straight: Path) -> None:
    """All state and every number of every row, bit by bit; the same files, and nothing else."""
    ours, theirs = checkpoint(out), checkpoint(straight)
    for part in PARTS:
        (a, shape), (b, other) = (torch.utils._pytree.tree_flatten(s[part]) for s in (ours, theirs))
        assert shape == other, part
        for x, y in zip(a, b, strict=True):
            assert torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y, part
    assert numbers(out) == numbers(straight)
    mine, its = (load_file(f / "weights.safetensors") for f in (out, straight))
    assert mine.keys() == its.keys() and all(torch.equal(mine[k], its[k]) for k in mine)
    files = [{p.relative_to(f).as_posix() for p in f.rglob("*")} for f in (out, straight)]
    assert files[0] == files[1] and not any(name.endswith(".tmp") for name in files[0])


def numbers(out: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows(out)]


@SLOW
@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_is_stopped_is_one_that_was_not(model, taught, tmp_path, capsys):
    options = options_of(model, taught, CPU, EIGHT)

    def run(name: str, *more: str) -> None:
        train(composed("train", tmp_path / name, *options, *more))

    run("straight")
    with pytest.raises(SystemExit) as stopped:
        run("stopped", *stop("Terminate", 2))
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert stopped.value.code == 143 and "stopped by SIGTERM: step 2 is the last" in lines[0]
    assert lines[1].startswith("to go on: ")
    run("stopped")
    same(tmp_path / "stopped", tmp_path / "straight")

    killed, saves = tmp_path / "killed", ["callbacks.checkpoint.every=1"]
    ended = child(lambda: run("killed", *saves), killed, last=4, below=killed / "checkpoints")
    assert ended[0] == -9, told(killed)
    assert child(lambda: run("killed", *saves), killed)[0] == 0, told(killed)
    (killed / "checkpoints" / "previous.ckpt").unlink()
    same_but = tmp_path / "straight" / "checkpoints" / "previous.ckpt"
    same_but.unlink(missing_ok=True)
    same(killed, tmp_path / "straight")


@SLOW
@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_is_poisoned_keeps_its_last_finite_step(model, taught, tmp_path):
    options = options_of(model, taught, CPU, EIGHT, "callbacks.checkpoint.every=1")
    with pytest.raises(ValueError, match="not finite"):
        train(composed("train", tmp_path, *options, *stop("Poison", 2)))
    saved = checkpoint(tmp_path)
    assert saved["global_step"] == 1 and not (tmp_path / "weights.safetensors").exists()
    floats = (v for v in saved["state_dict"].values() if isinstance(v, torch.Tensor))
    assert all(v.isfinite().all() for v in floats)


@SLOW
@pytest.mark.parametrize("model", MODELS)
def test_a_model_trains_with_bfloat16_networks(model, taught, tmp_path):
    options = options_of(model, taught, CPU, EIGHT, "trainer.max_steps=2")
    train(composed("train", tmp_path, *options, "trainer.precision=bf16-mixed"))
    weights = load_file(tmp_path / "weights.safetensors")
    assert all(value.isfinite().all() for value in weights.values())


def in_two_processes(folder: Path, jobs: list[tuple[Path, list[str]]]) -> str:
    """What two processes print that train these, one after the other."""
    listed = folder / "jobs.json"
    listed.write_text(json.dumps([[str(out), options] for out, options in jobs]))
    script = str(Path(__file__).with_name("two_processes.py"))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ended = subprocess.run([*launch, script, str(listed)], cwd=folder, capture_output=True,
                           text=True, timeout=1200)  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    return ended.stdout


@SLOW
def test_two_processes_train_every_model_as_one(taught, tmp_path):
    """2 x 4 against 1 x 8: all numbers of all rows within 1e-3 (1e-5 for most, by rounding).

    The batch norms and the dropout of pix2pix are a process's own, and off here.
    """
    jobs = [(tmp_path / model / "two", options_of(model, taught, "data.batch_size=4"))
            for model in MODELS]  # fmt: skip
    in_two_processes(tmp_path, jobs)
    for model in MODELS:
        train(composed("train", tmp_path / model / "one", *options_of(model, taught, CPU, EIGHT)))
        one, two = (numbers(tmp_path / model / name) for name in ("one", "two"))
        assert len(one) == len(two) == 5, model
        for ours, theirs in zip(one, two, strict=True):
            if model == "fastcut" and ours["step"] > 1:
                break  # its gradients of 1e4 make a rounding sixty times larger a step
            assert theirs == pytest.approx(ours, rel=1e-3, abs=1e-6), model


@SLOW
def test_one_process_goes_on_as_two(tmp_path):
    """1 x 8 up to step 2, then 2 x 4: the rows of 1 x 8, to rounding."""
    options = options_of("score", [])
    half = [*options, CPU, EIGHT, "trainer.max_steps=2"]
    train(composed("train", tmp_path / "two", *half))
    in_two_processes(tmp_path, [(tmp_path / "two", [*options, "data.batch_size=4"])])
    train(composed("train", tmp_path / "one", *options, CPU, EIGHT))
    one, two = (numbers(tmp_path / name) for name in ("one", "two"))
    assert len(one) == len(two) > 2
    for ours, theirs in zip(one, two, strict=True):
        assert theirs == pytest.approx(ours, rel=1e-3, abs=1e-6)


@SLOW
def test_two_processes_stopped_at_any_step_are_two_that_were_not(tmp_path):
    """A pass takes 3 steps, and so does the way to a validation; a signal to one or to both."""
    options = [*options_of("score", []), "data.batch_size=2", "limit=12", "data.flip=true",
               "trainer.max_steps=7", "callbacks.checkpoint.every=100"]  # fmt: skip
    kinds = {(kind, steps): tmp_path / f"{kind}-{steps}"
             for kind in ("Terminate", "TerminateOne") for steps in range(1, 7)}  # fmt: skip
    kinds |= {("InValidation", steps): tmp_path / f"validation-{steps}" for steps in (3, 6)}
    jobs = [(tmp_path / "straight", options)]
    for (kind, steps), out in kinds.items():
        jobs += [(out, [*options, *stop(kind, steps)]), (out, options)]
    said = in_two_processes(tmp_path, jobs)
    assert said.count("ended with 143 on 0") == said.count("ended with 0 on 1") == len(kinds)
    assert said.count("stopped by SIGTERM: step ") == len(kinds)
    assert said.count("going on from step ") == len(kinds)
    for out in kinds.values():
        (out / "checkpoints" / "previous.ckpt").unlink(missing_ok=True)
        same(out, tmp_path / "straight")
