"""Frames and slices side by side: noise that moves with what is seen, neighbours as a condition."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from egsde.data import PairedFolders, TwoDomains
from egsde.data.domains import ArrayImages
from egsde.data.flow import Carried, ways
from egsde.data.neighbours import Neighbours
from egsde.data.series import Keys, grouped
from egsde.noise import Noise
from egsde.programs.sample import sample
from runs import composed, trained


def shift(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """A picture that moves right by a pixel a frame."""
    return np.stack([np.zeros_like(now), -np.ones_like(now)])


def test_frames_are_in_the_order_of_their_numbers():
    """Not frame1, frame10, frame2: the images are of these colours."""
    numbers = [1, 10, 100, 2]
    images = ArrayImages([f"clip/frame{n}.png" for n in numbers],
                    np.stack([np.full((4, 4, 3), n, np.uint8) for n in numbers]))  # fmt: skip
    (names,) = grouped(images.ids, folders=True).values()
    assert names == [f"clip/frame{n}.png" for n in (1, 2, 10, 100)]
    beside = Neighbours(1)
    beside.check([], images)
    found = beside.of("clip/frame10.png", (4, 4)).mean((1, 2))
    assert torch.allclose((found + 1) * 127.5, torch.tensor([2.0] * 3 + [100.0] * 3), atol=1e-3)


def carried(count: int, flow, seed: int = 0, side: int = 12) -> torch.Tensor:
    names = [f"a/@{k:04d}.png" for k in range(count)]
    found = dict(zip(names, ways([np.zeros((side, side))] * count, flow), strict=True))
    noise = Carried(seed, names, dict.fromkeys(names, "a"), found)
    return noise.stream("start")(torch.zeros(count, 3, side, side))


def test_noise_moves_by_whole_pixels_and_new_pixels_get_new_noise():
    z = carried(4, shift)
    assert torch.equal(z[1][..., 1:], z[0][..., :-1]) and torch.equal(z[3][..., 3:], z[0][..., :-3])
    assert torch.equal(z[0], Noise(0, ["a"]).stream("start")(z[:1])[0])
    assert not torch.isin(z[1][..., 0], z[0]).any()  # what comes into sight
    assert torch.equal(z[2][..., 1], z[1][..., 0])  # and is kept from then on


def test_moved_noise_keeps_its_law():
    """Every pixel is N(0, 1) and no two of a frame share theirs, though the flow folds up."""
    rng = np.random.default_rng(0)

    def wild(now: np.ndarray, before: np.ndarray) -> np.ndarray:
        return rng.normal(0, 2, (2, *now.shape))

    z = torch.stack([carried(3, wild, seed)[2] for seed in range(400)])  # (400, 3, 12, 12)
    assert abs(float(z.mean())) < 4 / z.numel() ** 0.5
    assert float(z.var()) == pytest.approx(1, abs=4 * (2 / z.numel()) ** 0.5)
    one = carried(3, wild)[2]
    assert len(one.unique()) == one.numel()
    rows = z[:, 0].flatten(1)  # neighbours are independent
    pairs = (rows[:, :-1] * rows[:, 1:]).mean()
    assert abs(float(pairs)) < 4 / (400 * 143) ** 0.5


def test_a_still_clip_and_a_moving_one():
    pytest.importorskip("skimage")
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(24, 40))
    wide = sum(np.roll(wide, (i, j), (0, 1)) for i in range(4) for j in range(4)) / 16 + 0.5
    still = ways([wide[:, :24]] * 3)
    assert all(np.array_equal(way.place, still[0].place) for way in still)
    moving = ways([wide[:, 3 - k : 27 - k] for k in range(3)])
    right = moving[1].place.reshape(24, 24)[6:-6, 6:-6] == moving[0].place[6:-6, 5:-7]
    assert right.mean() > 0.9
    with pytest.raises(ValueError, match="one shape"):
        ways([wide, wide[:5]])
    with pytest.raises(ValueError, match="null, true, false or flow"):
        Keys("yes")


def volumes(root, kind) -> None:
    """Slice k of the target is the sum of the source's slices k - 1 and k + 1: nothing of k."""
    for split in ("train", "val", "test"):
        for v in range(2):
            rng = np.random.default_rng([v, len(split)])
            x = rng.choice([-0.4, 0.4], (4, 1, 1)).repeat(8, 1).repeat(8, 2).astype(np.float32)
            padded = np.concatenate([x[:1], x, x[-1:]])
            stack = x if kind == "A" else padded[:-2] + padded[2:]
            (root / split / kind).mkdir(parents=True, exist_ok=True)
            np.save(root / split / kind / f"{v}.npy", stack)


def test_neighbours_are_the_slices_beside_and_flip_with_them(tmp_path):
    volumes(tmp_path, "A"), volumes(tmp_path, "B")
    store = PairedFolders(str(tmp_path), channels=1, range=[-1, 1])
    data = TwoDomains(store, "A", "B", size=8, view="paired", channels=1, range=[-1, 1],
                      neighbours=1, batch_size=3, flip=True)  # fmt: skip
    (batch, *_) = data.translation_loader("test")
    stack = torch.from_numpy(np.load(tmp_path / "test" / "A" / "0.npy"))
    assert batch["neighbours"].shape == (3, 2, 8, 8)
    assert torch.allclose(batch["neighbours"][0], stack[[0, 1]], atol=1e-6)
    assert torch.allclose(batch["neighbours"][2], stack[[1, 3]], atol=1e-6)
    train = next(iter(data.train_dataloader()))
    assert torch.allclose(train["neighbours"].sum(1, keepdim=True), train["y"], atol=1e-5)
    with pytest.raises(ValueError, match="data.neighbours=0"):
        TwoDomains(store, "A", "B", size=8, channels=1, neighbours=0)
    other = TwoDomains(store, "A", "B", size=8, channels=1, range=[-1, 1], neighbours=1)
    with pytest.raises(ValueError, match="model=conditional"):
        other.train_dataloader()


def test_a_conditional_network_is_trained_with_neighbours_and_refuses_others(tmp_path):
    volumes(tmp_path, "A"), volumes(tmp_path, "B")
    data = ["data=paired_folder", f"data.root={tmp_path}", "data.channels=1", "data.size=8",
            "data.range=[-1,1]", "data.num_workers=0", "logger=none"]  # fmt: skip
    trained(tmp_path / "net", "model=conditional", *data, "data.neighbours=1", "sde=vp",
            "network.channel_mult=[1,1]", "network.attention_resolutions=[]", "translate=null",
            "trainer.max_steps=2", "trainer.val_check_interval=2", "sampler.grid.steps=2",
            "data.batch_size=4")  # fmt: skip
    options = ["score=conditional", "translator=paired", "energy=none", "sde=vp", "report=0",
               f"score.weights={tmp_path / 'net/weights.safetensors'}", "metrics=none",
               "trajectory=0", "trainer.accelerator=cpu", "sampler.grid.steps=2"]  # fmt: skip
    sample(composed("sample", tmp_path / "out", *data, *options, "data.neighbours=1"))
    assert np.load(tmp_path / "out/images/0.npy").shape == (4, 8, 8)
    assert "flicker" in json.loads((tmp_path / "out/metrics.json").read_text())["metrics"]
    with pytest.raises(ValueError, match="data.neighbours: 1 in the file, None in this run"):
        sample(composed("sample", tmp_path / "no", *data, *options))
