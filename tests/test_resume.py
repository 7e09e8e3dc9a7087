"""A run that was stopped and goes on is the run that was not stopped, bit by bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from safetensors.torch import load_file

from egsde.programs.ended import Ended, again
from egsde.programs.records import continued
from egsde.programs.resumed import differences
from egsde.training.modules.base import TimedModule
from egsde.training.step import go_on, made_of
from runs import rows, trained

QUICK = ("translate=null", "data.flip=true", "limit=10")  # epochs of 3 steps
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


def logged(out) -> list[dict[str, float]]:
    """All rows and numbers but the speed."""
    return [{k: v for k, v in row.items() if "per_second" not in k} for row in rows(out)]


def is_the_straight_one(out, straight) -> None:
    """Weights, optimiser, and every number of every row; nothing half-written."""
    ours, theirs = checkpoint(out), checkpoint(straight)
    assert ours["global_step"] == theirs["global_step"] == 6
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert same(ours[part], theirs[part]), part
    assert logged(out) == logged(straight)
    assert [row["step"] for row in rows(out)] == list(range(6))
    files = [{p.name for p in folder.rglob("*")} for folder in (out, straight)]
    assert files[0] == files[1] and not any(name.endswith(".tmp") for name in files[0])


def stop(kind: str, steps: int) -> list[str]:
    return [f"+callbacks.stop._target_=stops.{kind}", f"+callbacks.stop.steps={steps}"]


def test_a_crashed_run_goes_on_from_its_last_checkpoint(straight, tmp_path, capsys):
    with pytest.raises(RuntimeError, match="crashed"):
        trained(tmp_path, *QUICK, CONSTANT, *stop("Crash", 5))
    assert checkpoint(tmp_path)["global_step"] == 3
    trained(tmp_path, *QUICK, CONSTANT)
    assert "going on from step 3" in capsys.readouterr().out
    is_the_straight_one(tmp_path, straight)


# A pass over the images takes 3 steps, and so does the way to a validation.
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("Terminate", 3),
        pytest.param("Interrupt", 4, marks=SLOW),
        *(pytest.param("Terminate", k, marks=SLOW) for k in (1, 2, 4, 5, 6)),
        pytest.param("InValidation", 3, marks=SLOW),
    ],
)
def test_a_signal_stops_between_two_steps(kind, steps, straight, tmp_path, capsys):
    code = 130 if kind == "Interrupt" else 143
    if steps == 6:  # the last step: nothing is left to stop
        trained(tmp_path, *QUICK, CONSTANT, *stop(kind, steps))
    else:
        with pytest.raises(SystemExit) as stopped:
            trained(tmp_path, *QUICK, CONSTANT, *stop(kind, steps))
        assert stopped.value.code == code
        told = capsys.readouterr().out.splitlines()[-2:]
        assert f"step {steps} is the last saved" in told[0] and told[1].startswith("to go on: ")
        assert f"out={tmp_path}" in told[1]
        assert checkpoint(tmp_path)["global_step"] == steps
        assert not (tmp_path / "weights.safetensors").exists()
    trained(tmp_path, *QUICK, CONSTANT)
    is_the_straight_one(tmp_path, straight)


@pytest.mark.slow
def test_a_run_of_fewer_steps_goes_on_to_more(straight, tmp_path):
    trained(tmp_path, *QUICK, CONSTANT, "trainer.max_steps=4")
    trained(tmp_path, *QUICK, CONSTANT)
    is_the_straight_one(tmp_path, straight)


@pytest.mark.slow
def test_accumulated_batches_count_right_on_small_sets(tmp_path):
    """A pass takes 3 batches, a step 4: nothing ends in between."""
    together = ("+trainer.accumulate_grad_batches=4", "trainer.max_steps=2", *QUICK, CONSTANT,
                "trainer.val_check_interval=8")  # fmt: skip
    trained(tmp_path / "once", *together)
    with pytest.raises(SystemExit):
        trained(tmp_path / "twice", *together, *stop("Terminate", 1))
    saved = checkpoint(tmp_path / "twice")
    assert saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["processed"] == 4
    trained(tmp_path / "twice", *together)
    ours, theirs = checkpoint(tmp_path / "twice"), checkpoint(tmp_path / "once")
    assert same(ours["state_dict"], theirs["state_dict"])


def test_what_another_run_left_is_refused_by_its_values(straight):
    with pytest.raises(ValueError, match=r"sde\._target_ was egsde.sde\S*DDPM, is egsde.sde\S*VP"):
        trained(straight, *QUICK, CONSTANT, "sde=vp")
    with pytest.raises(ValueError, match="has 4 images, and would now have 5 .*data.batch_size=5"):
        trained(straight, *QUICK, CONSTANT, "data.batch_size=5")
    with pytest.raises(ValueError, match="steps.*trainer.max_epochs"):
        trained(straight, *QUICK, CONSTANT, "+trainer.max_epochs=2")


def test_data_and_networks_may_have_moved(tmp_path):
    """A translation knows networks by what is in them, a training by their last two names."""

    def used(place: str, judge: str = "a", factor: int = 2) -> dict[str, Any]:
        config = {"data": {"source": f"{place}/cats/", "size": 8}, "factor": factor,
                  "score": {"weights": f"{place}/runs/score/weights.safetensors"},
                  "translator": {"weights": f"{place}/cut.safetensors"},
                  "codec": {"weights": f"{place}/runs/kl/weights.safetensors"},
                  "judge": {"weights": f"{place}/{judge}"}}  # fmt: skip
        return {"config": config, "weights": {"score": "1f"}}

    first = continued(tmp_path, used("/old"))
    (tmp_path / "run.json").write_text(json.dumps(first))
    again = used("/new", judge="b")
    again["config"]["score"]["weights"] = "/new/renamed.safetensors"
    assert continued(tmp_path, again)["recipe"] == first["recipe"]
    with pytest.raises(ValueError, match=r"weights.score was 1f, is 2e"):
        continued(tmp_path, {**again, "weights": {"score": "2e"}})
    with pytest.raises(ValueError, match=r"config.factor was 2, is 3"):
        continued(tmp_path, used("/old", factor=3))
    old, new = ({**used(place)["config"], "translator": {}, "judge": {}}
                for place in ("/old", "/new"))  # fmt: skip
    assert not differences(old, new)
    new["codec"]["weights"] = "/new/runs/kl2/weights.safetensors"
    assert differences(old, new) == [
        f"codec.weights was {old['codec']['weights']}, is {new['codec']['weights']}"
    ]


def test_data_through_a_link_are_the_same(tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "cats")
    cats, link, other = ({"data": {"source": str(tmp_path / name)}}
                         for name in ("cats", "link", "dogs"))  # fmt: skip
    assert not differences(cats, link) and len(differences(link, other)) == 1


def test_folders_called_alike_are_told_apart_by_what_holds_them():
    def domains(place: str, *names: str) -> dict:
        paths = dict(zip(("source", "target"), (f"{place}{n}/images" for n in names), strict=True))
        return {"data": paths}

    assert not differences(domains("/old/", "cats", "dogs"), domains("/new/", "cats", "dogs"))
    assert not differences(domains("/old/", "cats", "dogs"), domains("", "cats", "dogs"))
    other = differences(domains("/old/", "cats", "dogs"), domains("/old/", "dogs", "cats"))
    assert other[0] == "data.source was /old/cats/images, is /old/dogs/images" and len(other) == 2


def test_images_that_are_others_are_named(straight, tmp_path):
    """Fewer, or as many of other names: every step draws from others than before."""
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    saved = checkpoint(tmp_path)
    saved["step"]["data.target"] = "9 images (names 0)"
    torch.save(saved, tmp_path / "checkpoints" / "last.ckpt")
    with pytest.warns(UserWarning, match=r"data.target was 9 images .*, is \d+ images .* step 6"):
        trained(tmp_path, *QUICK, CONSTANT, "trainer.max_steps=7")

    def run(*names: str):
        shown = [SimpleNamespace(ids=list(names))] * 2
        data = SimpleNamespace(batch_size=8, extra=[], shown=lambda split: shown)
        return SimpleNamespace(datamodule=data, world_size=1, accumulate_grad_batches=1,
                               precision="32-true", gradient_clip_val=1.0, max_steps=6)  # fmt: skip

    before = made_of(run("a", "b"))
    go_on(3, before, run("a", "b"))
    with pytest.warns(UserWarning, match="data.source was 2 images .names [0-9a-f]{8}., is 2 im"):
        go_on(3, before, run("a", "c"))


@pytest.mark.slow
def test_what_a_training_began_with_may_be_gone(straight, tmp_path):
    """Its weights are in the checkpoint; the command that goes on is still the same."""
    weights = tmp_path / "weights.safetensors"
    shutil.copy(straight / "weights.safetensors", weights)
    run = (tmp_path / "run", *QUICK, CONSTANT, f"init_weights={weights}")
    trained(*run, "trainer.max_steps=2")
    weights.unlink()
    trained(*run, "trainer.max_steps=3")
    assert checkpoint(tmp_path / "run")["global_step"] == 3


def test_a_checkpoint_of_other_defaults(straight, tmp_path, capsys):
    """A setting that there was not, or is no more, refuses nothing; one that changed is named."""
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    last = tmp_path / "checkpoints" / "last.ckpt"
    saved = checkpoint(tmp_path)
    for part in ("network", "data", "module"):
        config = saved["config"][part]
        plain = [k for k, v in config.items() if k != "_target_" and not isinstance(v, dict)]
        del config[plain[-1]]
        config["of_old"] = 3
    torch.save(saved, last)
    trained(tmp_path, *QUICK, CONSTANT)
    assert "going on from step 6" in capsys.readouterr().out
    saved["config"]["network"]["num_channels"] = 64
    torch.save(saved, last)
    with pytest.raises(ValueError, match=r"network\.num_channels was 64, is 32"):
        trained(tmp_path, *QUICK, CONSTANT)


@pytest.mark.slow
def test_a_time_limit_counts_the_whole_training(tmp_path, capsys):
    timed = ("trainer.max_steps=-1", "+trainer.max_time=00:00:00:02", *QUICK, CONSTANT)
    steps = []
    for _ in range(2):
        trained(tmp_path, *timed, drop=("trainer.max",))
        assert "trainer.max_time is over; it counts the whole training" in capsys.readouterr().out
        steps.append(checkpoint(tmp_path)["global_step"])
    assert steps[0] == steps[1] > 2
    trained(tmp_path, *timed, "trainer.max_time=00:00:00:04", drop=("trainer.max", "+trainer.max"))
    assert checkpoint(tmp_path)["global_step"] > steps[0]


def test_a_step_goes_on_with_as_many_images_however_they_are_dealt():
    """1 x 8 as 2 x 4, or as 4 with two batches a step; other counts are refused, the rest named."""

    def run(size: int, processes: int = 1, batches: int = 1, precision: str = "32-true"):
        return SimpleNamespace(
            datamodule=SimpleNamespace(batch_size=size), world_size=processes, max_steps=6,
            accumulate_grad_batches=batches, precision=precision, gradient_clip_val=1.0,
        )  # fmt: skip

    before = made_of(run(8))
    for trainer in (run(8), run(4, 2), run(4, 1, 2)):
        go_on(3, before, trainer)
    for trainer in (run(8, 2), run(4), run(8, 1, 2)):
        with pytest.raises(ValueError, match="has 8 images, and would now have (16|4)"):
            go_on(3, before, trainer)
    with pytest.warns(UserWarning, match="trainer.precision was 32-true, is bf16-mixed: from step"):
        go_on(3, before, run(8, precision="bf16-mixed"))
    with pytest.warns(UserWarning, match="step 7 is past trainer.max_steps=6: nothing is trained"):
        go_on(7, {}, run(8))


def damage(path, how: str) -> None:
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "other": b"abc" * 99}[how])


@pytest.mark.parametrize("how", ["cut", *(pytest.param(k, marks=SLOW) for k in ("empty", "other"))])
def test_of_a_damaged_checkpoint_the_one_before_is_taken(how, straight, tmp_path, capsys):
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    (tmp_path / "weights.safetensors").unlink()
    damage(tmp_path / "checkpoints" / "last.ckpt", how)
    with pytest.warns(
        UserWarning, match="last.ckpt is damaged .it is cut.*the one before is taken"
    ):
        trained(tmp_path, *QUICK, CONSTANT)
    assert "going on from step 3" in capsys.readouterr().out
    is_the_straight_one(tmp_path, straight)
    for name in ("last.ckpt", "previous.ckpt"):
        damage(tmp_path / "checkpoints" / name, how)
    with pytest.raises(ValueError, match="last.ckpt is damaged.*previous.ckpt is damaged"):
        trained(tmp_path, *QUICK, CONSTANT)


def test_a_training_whose_checkpoints_are_gone_says_that_it_starts_anew(straight, tmp_path):
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.warns(UserWarning, match="anew, over weights.safetensors, metrics"):
        trained(tmp_path, *QUICK, CONSTANT)
    is_the_straight_one(tmp_path, straight)


@pytest.mark.parametrize("left", [pytest.param("nothing", marks=SLOW), "half"])
def test_a_run_that_was_stopped_before_its_export_exports(left, straight, tmp_path, capsys):
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    weights = tmp_path / "weights.safetensors"
    before = weights.read_bytes()
    damage(weights, "cut") if left == "half" else weights.unlink()
    trained(tmp_path, *QUICK, CONSTANT)
    assert len(weights.read_bytes()) == len(before)
    assert same(load_file(weights), load_file(straight / "weights.safetensors"))
    assert "checkpoints, weights.safetensors, metrics.csv in" in capsys.readouterr().out


def test_without_logger_and_export_a_run_trains_and_says_what_there_is(tmp_path, capsys):
    trained(tmp_path, *QUICK, CONSTANT, "logger=none", "callbacks.export=null",
            "trainer.max_steps=2")  # fmt: skip
    assert f"step 2: checkpoints in {tmp_path}" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoints", "config.yaml"]


@pytest.mark.parametrize("resume", ["null", pytest.param("gone", marks=SLOW)])
def test_a_training_anew_leaves_nothing_of_the_one_before(resume, straight, tmp_path):
    """Of as many steps, so that no number of a step tells the two apart."""
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "weights.safetensors").read_bytes()
    if resume == "gone":
        (tmp_path / "checkpoints" / "last.ckpt").unlink()
        (tmp_path / "checkpoints" / "previous.ckpt").unlink()
    anew = [] if resume == "gone" else ["resume=null"]
    with pytest.raises(SystemExit):
        trained(tmp_path, *QUICK, CONSTANT, "seed=5", *anew, *stop("Terminate", 2))
    assert not (tmp_path / "weights.safetensors").exists()
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]
    trained(tmp_path, *QUICK, CONSTANT, "seed=5")
    assert (tmp_path / "weights.safetensors").read_bytes() != before
    averaged = {k.removeprefix("ema.net."): v for k, v in checkpoint(tmp_path)["state_dict"].items()
                if k.startswith("ema.net.")}  # fmt: skip
    held = load_file(tmp_path / "weights.safetensors")
    assert averaged and all(torch.equal(held[f"averaged.{k}"], v) for k, v in averaged.items())


def test_the_command_that_goes_on_begins_nothing_anew(tmp_path, monkeypatch, capsys):
    """resume=null, once a step is saved, is over; before, it still holds."""
    monkeypatch.setattr("sys.argv", ["train.py", "resume=null", "lr=1"])
    monkeypatch.setattr(Ended, "past", ())
    assert again(tmp_path) == f"python train.py resume=null lr=1 out={tmp_path}"
    with pytest.raises(SystemExit):
        trained(tmp_path, *QUICK, CONSTANT, "resume=null", *stop("Terminate", 2))
    assert f"to go on: python train.py lr=1 out={tmp_path}" in capsys.readouterr().out


def test_weights_that_nothing_has_written_since_are_not_said_to_be_of_this_step(
    straight, tmp_path, capsys
):
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    longer = (*QUICK, CONSTANT, "callbacks.export=null", "trainer.max_steps=7")
    trained(tmp_path, *longer)
    assert "checkpoints, weights.safetensors (of step 6), metrics.csv" in capsys.readouterr().out
    damage(tmp_path / "weights.safetensors", "empty")
    trained(tmp_path, *longer)
    assert "checkpoints, weights.safetensors (damaged), metrics.csv" in capsys.readouterr().out


def test_weights_that_are_not_finite_stop_the_run(tmp_path):
    with pytest.raises(ValueError, match="step 4: the loss or its gradient is not finite"):
        trained(tmp_path, *QUICK, CONSTANT, *stop("Poison", 4))
    assert not (tmp_path / "weights.safetensors").exists()
    saved = checkpoint(tmp_path)
    assert saved["global_step"] == 3
    state = saved["state_dict"].values()
    assert all(value.isfinite().all() for value in state)


def test_a_save_that_fails_is_told_and_does_not_harm_the_one_before(tmp_path, monkeypatch):
    saves, write = [], torch.save
    run = (*QUICK, CONSTANT, "trainer.max_steps=5", "trainer.val_check_interval=2")

    def full(checkpoint, path):
        if "last" not in Path(path).name:  # best.ckpt
            return write(checkpoint, path)
        saves.append(path)
        if len(saves) in (2, 3):
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        write(checkpoint, path)

    monkeypatch.setattr(torch, "save", full)
    with (
        pytest.warns(UserWarning, match="step 4 was not saved.*step 2 is the last saved"),
        pytest.raises(OSError, match="step 5 could not be saved.*step 2 is the last saved"),
    ):
        trained(tmp_path, *run)
    assert checkpoint(tmp_path)["global_step"] == 2
    assert not (tmp_path / "weights.safetensors").exists()
    trained(tmp_path, *run)
    assert checkpoint(tmp_path)["global_step"] == 5


@pytest.mark.parametrize("said", ["no loops", "another step", "words", "a list"])
def test_what_a_checkpoint_says_of_its_loops_is_not_believed(said):
    """Of the loops the step alone counts; what else a file says of them is not read."""
    loops = {"no loops": {}, "another step": {"fit_loop": {"epoch_progress": 9}}, "words": "abc",
             "a list": [1]}[said]  # fmt: skip
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False,
                      enable_model_summary=False, enable_checkpointing=False)  # fmt: skip
    module = SimpleNamespace(trainer=trainer, bins={}, means=SimpleNamespace(sums={}))
    saved = {"global_step": 6, "loops": loops}
    TimedModule.on_load_checkpoint(module, saved)
    fit = saved["loops"]["fit_loop"]
    assert fit["epoch_loop.batch_progress"]["total"]["processed"] == 6
    trainer.fit_loop.load_state_dict(fit)
    assert trainer.global_step == 6


def test_a_checkpoint_that_does_not_fit_is_named(straight, tmp_path):
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    saved = checkpoint(tmp_path)
    saved["optimizer_states"] = [{"state": {0: "x"}, "param_groups": 7}]
    (tmp_path / "checkpoints" / "previous.ckpt").unlink()
    torch.save(saved, tmp_path / "checkpoints" / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt cannot be restored.*resume=null"):
        trained(tmp_path, *QUICK, CONSTANT, "trainer.max_steps=7")


@pytest.mark.slow
def test_a_training_that_stopped_early_stays_stopped(tmp_path):
    """Until it is given more patience."""
    early = ("callbacks=early", "callbacks.stopping.min_delta=10", "trainer.val_check_interval=1",
             "trainer.max_steps=9", "best=val/loss", *QUICK)  # fmt: skip
    trained(tmp_path, *early, "callbacks.stopping.patience=1", drop=("best",))
    assert checkpoint(tmp_path)["global_step"] == 2
    before = (tmp_path / "weights.safetensors").read_bytes()
    trained(tmp_path, *early, "callbacks.stopping.patience=1", drop=("best",))
    assert checkpoint(tmp_path)["global_step"] == 2 and len(rows(tmp_path)) == 2
    assert (tmp_path / "weights.safetensors").read_bytes() == before
    trained(tmp_path, *early, "callbacks.stopping.patience=3", drop=("best",))
    assert checkpoint(tmp_path)["global_step"] == 4
