"""Keyed noise: the same per image whatever surrounds it, independent across keys, normal."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from egsde.noise import Noise, Replay

IDS = [f"cat_{k}" for k in range(6)]


def draw(ids, key="step/0", seed=7, shape=(3, 8, 8), times=1):
    stream = Noise(seed, ids).stream(key)
    return [stream(torch.zeros(len(ids), *shape)) for _ in range(times)][-1]


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(6)), st.integers(1, 6))
def test_bit_equal_alone_in_a_batch_and_in_any_order(order, size):
    whole = draw(IDS, times=2)
    part = list(order)[:size]
    assert torch.equal(draw([IDS[k] for k in part], times=2), whole[part])


def test_every_part_of_the_key_matters():
    noise, x = Noise(7, IDS), torch.zeros(6, 3, 8, 8)
    stream = noise.stream("step/0")
    families = [
        stream(x),
        stream(x),
        noise.stream("step/1")(x),
        noise.child(0).stream("step/0")(x),
        noise.child(1).stream("step/0")(x),
        noise.child(0).child(1).stream("step/0")(x),
        Noise(8, IDS).stream("step/0")(x),
    ]
    rows = torch.cat(families).flatten(1)
    assert len(rows.unique(dim=0)) == 7 * 6
    assert torch.equal(noise.child(0).stream("a")(x), noise.child("0").stream("a")(x))


def test_standard_normal_and_uncorrelated():
    z = draw([str(k) for k in range(100)], shape=(1, 32, 32)).double().flatten(1)
    n = z.numel()
    assert abs(z.mean()) < 4 / n**0.5
    assert abs(z.square().mean() - 1) < 4 * (2 / n) ** 0.5
    assert abs(z.pow(4).mean() - 3) < 4 * (96 / n) ** 0.5
    correlation = torch.corrcoef(z) - torch.eye(100, dtype=torch.float64)
    assert correlation.abs().max() < 6 / 1024**0.5


def test_follows_the_dtype_of_the_state():
    z = Noise(7, IDS).stream("a")(torch.zeros(6, 1, 2, 2, dtype=torch.float64))
    assert z.dtype == torch.float64


def test_a_wrong_batch_is_an_error():
    with pytest.raises(ValueError, match="6 image ids .* batch of 2"):
        Noise(7, IDS).stream("a")(torch.zeros(2, 3, 8, 8))


def test_replay_gives_recordings_in_order():
    x = torch.zeros(2, 1, 1, 1)
    noise = Replay({"0/start": [x + 1, x + 2]}).child(0)
    stream = noise.stream("start")
    assert stream(x)[0] == 1 and stream(x)[0] == 2
    with pytest.raises(ValueError, match="no recorded noise '0/step/3'"):
        noise.stream("step/3")
