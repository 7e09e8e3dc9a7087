"""What a CUDA device must do as the CPU does: `pytest -m gpu`, skipped where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from demo_networks import write_networks
from egsde.data import Written
from egsde.programs.sample import sample
from runs import TRAIN, command, composed, rows, trained

DEVICE = "gpu"
ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(autouse=True)
def whole_floats(monkeypatch):
    """TensorFloat-32 keeps 10 bits of a convolution's inputs, and the bounds here are of float32;
    matrices are multiplied in float32 where nothing else is asked."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def translated(folder: Path, name: str, *options: str) -> np.ndarray:
    """Levels 0 to 255 of four translations by random networks, int (4, 16, 16, 3); in float32,
    whatever the data set's own settings are."""
    networks = [o for o in write_networks(folder) if not o.startswith("trainer")]
    networks += ["score.autocast=false", "extractor.autocast=false"]
    out = folder / name
    sample(composed("sample", out, *networks, "limit=4", *options))
    files = Written.of(out).listed().values()
    return np.stack([np.asarray(Image.open(path)) for path in files]).astype(int)


@pytest.mark.parametrize(
    "method", ["translator=egsde", "translator=cycle_diffusion sampler=cycle_diffusion",
               "translator=egsde sampler=dpmpp_2m"],
)  # fmt: skip
def test_an_image_is_the_same_on_both_devices(tmp_path, method):
    """Within 1 of 255 levels, and equal in 99 of 100 values."""
    extra = ["source_score.weights=${score.weights}"] if "cycle" in method else []
    steps = [*method.split(), *extra]
    cpu, gpu = (
        translated(tmp_path, d, f"trainer.accelerator={d}", *steps) for d in ("cpu", DEVICE)
    )
    difference = np.abs(cpu - gpu)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_bfloat16_networks_draw_nearly_the_same_image(tmp_path):
    """A network's output is rounded to 8 bits; within 2 levels in the mean, and not the same."""
    plain, rounded, whole = (
        translated(tmp_path, precision, f"trainer.accelerator={DEVICE}", f"trainer.precision={p}")
        for precision, p in (("32", "32-true"), ("mixed", "bf16-mixed"), ("true", "bf16-true"))
    )
    assert 0 < np.abs(plain - rounded).mean() < 2
    assert np.array_equal(rounded, whole)


def test_the_batch_changes_no_image_beyond_rounding(tmp_path):
    one, four = (
        translated(tmp_path, str(n), f"trainer.accelerator={DEVICE}", f"data.eval_batch_size={n}")
        for n in (1, 4)
    )
    assert np.abs(one - four).max() <= 1


def training(out: Path, *options: str) -> list[float]:
    """Losses of three steps on the GPU."""
    trained(out, "translate=null", f"trainer.accelerator={DEVICE}", "trainer.max_steps=3",
            *options, drop=("trainer.accelerator", "trainer.max_steps", "callbacks"))  # fmt: skip
    losses = [row["train/loss"] for row in rows(out)]
    assert len(losses) == 3 and np.isfinite(losses).all()
    return losses


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_steps_of_training(tmp_path, precision):
    told = training(tmp_path / "a", f"trainer.precision={precision}")
    assert told == pytest.approx(
        training(tmp_path / "b", f"trainer.precision={precision}"), rel=1e-3
    )
    weights = load_file(tmp_path / "a" / "weights.safetensors")
    assert weights and all(value.isfinite().all() for value in weights.values())


def test_pictures_that_stay_on_the_device_train_as_others(tmp_path):
    kept = training(tmp_path / "kept", "data.resident=true")
    assert kept == pytest.approx(training(tmp_path / "read"), rel=1e-3)


def test_a_training_that_goes_on_is_one_that_was_not_stopped(tmp_path):
    straight = training(tmp_path / "straight")
    options = ("translate=null", f"trainer.accelerator={DEVICE}")
    drop = ("trainer.accelerator", "trainer.max_steps", "callbacks")
    for steps in (2, 3):
        trained(tmp_path / "twice", *options, f"trainer.max_steps={steps}", drop=drop)
    assert [r["train/loss"] for r in rows(tmp_path / "twice")] == pytest.approx(straight, rel=1e-3)


def test_a_compiled_network_trains_as_it_is(tmp_path):
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(8, device="cuda"))
    except Exception as error:
        pytest.skip(f"torch.compile does not work here: {type(error).__name__}")
    compiled = training(tmp_path / "compiled", "compile=true")
    assert compiled == pytest.approx(training(tmp_path / "plain"), rel=1e-3)


@pytest.mark.parametrize("model", ["student", "matched_student"])
def test_a_teacher_and_its_student_are_on_one_device(tmp_path, model):
    teacher = tmp_path / "teacher"
    translated(tmp_path, "teacher", "translator=egsde", "sampler=ddim",
               f"trainer.accelerator={DEVICE}")  # fmt: skip
    small = ["network.num_channels=32", "network.channel_mult=[1]", "network.patch=1",
             "network.attention_resolutions=[]", "data.batch_size=2", "data.train_limit=4",
             "data.limit=2", "trainer.max_steps=3", "trainer.val_check_interval=3"]  # fmt: skip
    own = {"student": ["module.features=0", "data.keys=1"], "matched_student": ["module.updates=2"]}
    run = tmp_path / model
    given = [f"model={model}", f"teacher={teacher}", "data=fluent", "data.size=16",
             f"trainer.accelerator={DEVICE}", *small, *own[model], f"out={run}"]  # fmt: skip
    assert command("train", *given) == 0
    weights = load_file(run / "weights.safetensors")
    assert weights and all(value.isfinite().all() for value in weights.values())


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_devices_train_as_one(tmp_path):
    """Two processes of 4 by NCCL, one of 8."""
    tiny = [o for o in TRAIN if not o.startswith(("trainer.acc", "data.batch", "callbacks"))]
    options = [*tiny, "translate=null", "trainer.precision=32-true", "trainer.max_steps=3"]
    found = []
    for name, trainer, batch in (("one", "gpu", 8), ("two", "ddp", 4)):
        devices = ["trainer.devices=2"] if name == "two" else []
        command = [sys.executable, str(ROOT / "train.py"), *options, f"trainer={trainer}",
                   f"data.batch_size={batch}", *devices, f"out={tmp_path / name}"]  # fmt: skip
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        found.append([row["train/loss"] for row in rows(tmp_path / name)])
    assert found[0] == pytest.approx(found[1], rel=1e-3)
