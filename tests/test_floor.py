"""The numbers of real images in place of translations are taken as exactly as the translations'."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from egsde.evaluation.metrics import Suite
from egsde.programs.callbacks.reference import set_reference
from egsde.programs.first import look_first
from egsde.programs.written import write_summary


class Data(SimpleNamespace):
    """Two domains of one image each: they differ by a tenth of one level of 8 bits."""

    def __init__(self, **more: Any) -> None:
        super().__init__(size=16, names=["a", "b"], degradation=None, **more)
        self.store = SimpleNamespace(paired=False)

    def domain(self, which: str, split: str) -> list[dict[str, torch.Tensor]]:
        return [{"image": torch.full((3, 16, 16), 0.2 / 255)}]

    def translations(self, split: str) -> Any:
        return [{"x0": torch.zeros(3, 16, 16)}]


@pytest.mark.parametrize("deep", [False, True])
def test_the_floor_of_deep_images_does_not_go_through_8_bits(deep):
    suite = Suite(fid=False, kid=False, prc=False, intervals=False)
    suite.start()
    y = torch.zeros(1, 3, 16, 16, dtype=torch.float32 if deep else torch.uint8)
    suite.update(["a"], y, y)
    trainer: Any = SimpleNamespace(global_rank=0, world_size=1)
    set_reference(suite, trainer, Data(), "test", lambda: None, shown=False, deep=deep)  # type: ignore[arg-type]
    metrics = suite.compute()["metrics"]
    assert next(iter(metrics)) == "l2"  # what is asked for comes first in tables
    assert metrics["l2_floor"] == pytest.approx(
        0.1 / 255 * (3 * 256) ** 0.5 if deep else 0, rel=1e-3
    )


def test_a_target_without_images_is_refused_before_the_first_translation():
    class Empty(Data):
        def domain(self, which, split):
            raise ValueError(f"none of {which} falls into {split}")

        def translations(self, split):
            images = SimpleNamespace(ids=["a"], look=lambda chosen: None)
            return SimpleNamespace(dataset=images, indices=[0])

    written: Any = SimpleNamespace(check=list)
    with pytest.raises(ValueError, match="none of target falls into test"):
        look_first(Empty(), "test", written, Suite(fid=False, kid=False, prc=False))  # type: ignore[arg-type]


def test_no_number_no_table(tmp_path, capsys):
    write_summary(tmp_path, [], metrics={}, intervals={})
    assert capsys.readouterr().out == ""
