"""A mask or low-resolution pictures that no part reads are named; what reads them stays silent."""

from __future__ import annotations

import warnings

import pytest

from demo_networks import write_networks
from egsde.programs.build import Parts
from egsde.programs.inputs import name_unread, parts_of
from folders import fill
from runs import composed


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> list[str]:
    return write_networks(tmp_path_factory.mktemp("networks"))


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["data.mask=right"], "mask"),
        (["data.mask=centre"], "mask"),
        ([], ""),
        (["data.mask=right", "translator=repaint"], ""),
        (["data.mask=right", "translator=inpaint"], ""),
        (["data.mask=right", "translator=sdedit", "translator.mask=true"], ""),
        (["data.mask=right", "translator=sdedit"], "mask"),
        (["data.mask=bottom", "translator=ilvr"], "mask"),
        (["data.mask=right", "translator=ccdf"], "mask"),
        (["data.low=LOW"], "low"),
        (["data.low=LOW", "translator=repaint"], "low"),
        (["data.low=LOW", "translator=ccdf"], ""),
    ],
)
def test_what_nothing_reads_is_named(networks, overrides, named, tmp_path):
    kept = [option for option in networks if not option.startswith("translator")]
    fill(tmp_path / "low", 1)
    overrides = [option.replace("LOW", str(tmp_path / "low")) for option in overrides]
    cfg = composed("sample", tmp_path, *kept, *overrides)
    parts = Parts(cfg)
    data, translator = parts("data"), parts("translator")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        name_unread(data, translator, cfg.data, overrides)
    told = [str(w.message) for w in said]
    assert bool(told) == bool(named), told
    assert not named or (f"data.{named}=" in told[0] and "no part of this translator" in told[0])


def test_a_part_from_elsewhere_may_read_what_it_likes():
    class Mine:
        reads = ("mask",)
        inner = [1, 2]

    assert [type(part).__name__ for part in parts_of({"x": [Mine()]}, set())] == ["Mine"]
