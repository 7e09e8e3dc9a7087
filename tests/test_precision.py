"""trainer.precision is what runs, or it is said what runs in its place."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from egsde.programs.checks import check
from runs import composed, rows, trained

CPU = "trainer.accelerator=cpu"


@pytest.mark.parametrize("amx", [True, False])
@pytest.mark.parametrize("asked", ["bf16-mixed", "bf16-true"])
def test_translations_say_where_they_compute_otherwise(asked, amx, tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    cfg = composed("sample", tmp_path, CPU, f"trainer.precision={asked}", "score.autocast=false")
    check("sample", cfg)
    assert cfg.score.autocast and cfg.trainer.precision == "bf16-mixed"
    said = " ".join(str(w.message) for w in recwarn)
    assert ("bf16-true is bf16-mixed here" in said) == (asked == "bf16-true")
    assert ("networks compute in float32" in said) == (not amx)


def test_no_precision_is_whole(tmp_path):
    for program in ("sample", "train"):
        cfg = composed(program, tmp_path, CPU, "trainer.precision=null")
        check(program, cfg)
        assert cfg.trainer.precision is None


@pytest.mark.parametrize("asked", ["bf16-true", "16-true", "16-mixed", "16", "transformer-engine"])
def test_trainings_that_would_be_others_are_refused(asked, tmp_path):
    with pytest.raises(ValueError, match=f"trainer.precision={asked} .* use trainer.precision=bf"):
        check("train", composed("train", tmp_path, CPU, f"trainer.precision={asked}"))


@pytest.mark.parametrize("asked", ["64-true", "64"])
def test_float64_trains_and_does_not_translate(asked, tmp_path):
    given = [CPU, f"trainer.precision={asked}"]
    with pytest.raises(ValueError, match=f"trainer.precision={asked} .* add translate=null"):
        check("train", composed("train", tmp_path, *given))
    check("train", composed("train", tmp_path, *given, "translate=null"))


@pytest.mark.slow
def test_a_training_in_float64_goes_on(tmp_path):
    options = ("trainer.precision=64-true", "translate=null")
    for steps in (1, 2):
        trained(tmp_path, *options, f"trainer.max_steps={steps}", drop=("trainer.max_steps",))
    weights = load_file(tmp_path / "weights.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float64}
    assert [row["step"] for row in rows(tmp_path)] == [0, 1]
