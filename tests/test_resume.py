"""A run that was stopped and goes on is the run that was not stopped, bit by bit."""

from __future__ import annotations

import pytest
import torch

from runs import rows, trained

QUICK = ("callbacks.previews=null", "data.flip=true", "limit=10")  # epochs of 3 steps
CONSTANT = "module.schedule._target_=egsde.training.modules.Constant"


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    out = tmp_path_factory.mktemp("straight")
    trained(out, *QUICK, CONSTANT)
    return out


def checkpoint(out) -> dict:
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)


def same(a, b) -> bool:
    """Equal bitwise, through dictionaries and lists."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def losses(out) -> dict[float, tuple]:
    return {row["step"]: (row["train/loss"], row["train/lr"]) for row in rows(out)}


def interrupt(kind: str, out) -> None:
    stop = [f"+callbacks.stop._target_=stops.{kind}", "+callbacks.stop.steps=4"]
    if kind == "Crash":  # goes on from the last regular checkpoint, step 3
        with pytest.raises(RuntimeError, match="crashed"):
            trained(out, *QUICK, CONSTANT, *stop)
        assert checkpoint(out)["global_step"] == 3
    elif kind == "Terminate":
        with pytest.raises(SystemExit) as stopped:
            trained(out, *QUICK, CONSTANT, *stop)
        assert stopped.value.code == 143
        assert checkpoint(out)["global_step"] == 4
    else:
        trained(out, *QUICK, CONSTANT, "trainer.max_steps=4")


@pytest.mark.parametrize(
    "kind", ["Crash", "Terminate", pytest.param("ended", marks=pytest.mark.slow)]
)
def test_the_resumed_run_equals_the_straight_one(kind, straight, tmp_path, capsys):
    interrupt(kind, tmp_path)
    trained(tmp_path, *QUICK, CONSTANT)
    assert "going on from step" in capsys.readouterr().out
    ours, theirs = checkpoint(tmp_path), checkpoint(straight)
    assert ours["global_step"] == theirs["global_step"] == 6
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert same(ours[part], theirs[part]), part
    averaged = [k for k in ours["state_dict"] if k.startswith("ema.net.")]
    raw = ours["state_dict"]["network." + averaged[0].removeprefix("ema.net.")]
    assert averaged and not torch.equal(ours["state_dict"][averaged[0]], raw)
    assert losses(tmp_path) == losses(straight)  # every row once: data, noise and losses
    assert [row["step"] for row in rows(tmp_path)] == list(range(6))


def test_another_model_is_refused_and_another_length_is_not(straight):
    with pytest.raises(ValueError, match="trained with another sde"):
        trained(straight, *QUICK, CONSTANT, "sde=vp")
    with pytest.raises(ValueError, match="trained with another data"):
        trained(straight, *QUICK, CONSTANT, "data.batch_size=5")
