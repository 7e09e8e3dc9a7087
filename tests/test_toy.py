"""Points of the plane: the data, and training any process, prediction and loss on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from egsde.data import Toy
from egsde.data.toy import DOMAINS, MODES, SPREAD, WEIGHTS
from egsde.scores.files import load_score
from egsde.scores.predictions import EDMPrediction, LogSigma
from egsde.sde import EDM as EDMProcess
from runs import rows, trained

TOY = ("data=toy", "network=mlp", "network.width=16", "network.depth=1")
DROPPED = ("network", "data.size")


def run(out, *overrides: str) -> float | None:
    return trained(out, *TOY, *overrides, drop=DROPPED)


def points(domain: str, split: str = "train", **options) -> np.ndarray:
    return Toy(**options).images(domain, split, 1).arrays[:, 0, 0]


def test_points_lie_where_they_should():
    for domain in DOMAINS:
        assert np.abs(points(domain)).max() < 1.25 and points(domain).dtype == np.float32
        assert np.abs(points(domain).mean(0)).max() < 0.3
    x = points("modes")
    side = (x.sum(1) > 0).astype(int)
    assert side.mean() == pytest.approx(WEIGHTS[1], abs=0.02)
    for k in (0, 1):
        assert x[side == k].mean(0) == pytest.approx(np.array(MODES[k]), abs=0.02)
        assert x[side == k].std(0) == pytest.approx(SPREAD, abs=0.01)
    radius = np.linalg.norm(points("rings"), axis=1)
    assert np.abs(radius[:, None] - [0.4, 0.8]).min(1).max() < 0.15
    half = np.abs(points("concentric_squares")).max(1)
    assert np.abs(half[:, None] - [0.4, 0.8]).min(1).max() < 0.15
    for domain, far in (("parallel_rings", np.hypot), ("parallel_squares", np.maximum)):
        x, y = np.abs(points(domain)).T
        assert np.abs(far(np.abs(x - 0.5), y) - 0.35).max() < 0.15
        assert np.mean(points(domain)[:, 0] > 0) == pytest.approx(0.5, abs=0.02)
    column, row = np.floor((points("checkerboard").T + 1) * 2).astype(int)
    assert set(np.unique((column + row) % 2)) == {0}
    assert len(np.unique(4 * row + column)) == 8


def test_points_depend_on_seed_domain_and_split_only():
    assert np.array_equal(points("moons"), points("moons"))
    assert np.array_equal(points("moons", count=8192), points("moons"))
    for other in (points("moons", seed=1), points("rings"), points("moons", "val")):
        assert not np.array_equal(points("moons")[: len(other)], other)
    with pytest.raises(ValueError, match="one of modes, moons"):
        Toy().images("squares", "train", 1)
    with pytest.raises(ValueError, match=r"data\.size=32"):
        Toy().images("moons", "train", 32)


@pytest.mark.parametrize(
    "overrides",
    [
        ("sde=ve", "prediction=ncsnpp", "+network.fourier_scale=1"),
        ("sde=subvp", "prediction=v", "loss=likelihood", "times=importance"),
        pytest.param(("sde=ncsn", "prediction=score", "loss=ncsn"), marks=pytest.mark.slow),
        pytest.param(
            ("sde=cosine_vp", "prediction=x0", "loss=explicit", "times=log_normal"),
            marks=pytest.mark.slow,
        ),
        ("loss=hybrid", "network.learn_sigma=true", "times=loss_second_moment"),
    ],
    ids=lambda o: o[0],
)
def test_every_process_and_loss_trains(overrides, tmp_path):
    value = run(tmp_path, "trainer.max_steps=2", "trainer.val_check_interval=2", *overrides)
    assert value is not None and np.isfinite(value)


def test_weights_keep_the_prediction_and_its_label(tmp_path):
    run(tmp_path, "sde=edm", "prediction=edm", "prediction.sigma_data=0.4", "trainer.max_steps=2",
        "trainer.val_check_interval=2")  # fmt: skip
    model = load_score(str(tmp_path / "weights.safetensors"), EDMProcess())
    assert model.prediction == EDMPrediction(LogSigma(0.25), sigma_data=0.4)
    x, t = torch.randn(5, 2, 1, 1), torch.tensor(0.3, dtype=torch.float64)
    assert model(x, t).isfinite().all()


def test_a_resumed_run_draws_the_times_of_the_straight_one(tmp_path):
    """The memory of losses is part of the checkpoint."""
    options = ("times=loss_second_moment", "times.bins=2", "times.memory=2", "loss=likelihood",
               "module.schedule._target_=egsde.training.modules.Constant")  # fmt: skip
    run(tmp_path / "straight", *options)
    run(tmp_path / "cut", *options, "trainer.max_steps=4")
    run(tmp_path / "cut", *options)
    ours, theirs = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("cut", "straight")
    )
    assert int(ours["times.seen"].min()) > 2
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    losses = [[row["train/loss"] for row in rows(tmp_path / name)] for name in ("cut", "straight")]
    assert losses[0] == losses[1]
