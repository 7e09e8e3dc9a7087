"""What Lightning offers for a first check of a training, and parts that may be taken away."""

from __future__ import annotations

import pytest

from runs import trained

SWITCHES = [
    ["callbacks.export=null"],
    ["callbacks.progress=null", "callbacks.throughput=null"],
    ["callbacks.checkpoint=null"],
    ["+trainer.enable_checkpointing=false"],
    ["+trainer.enable_progress_bar=false"],
    ["logger=none"],
    ["logger.csv=null"],
    ["trainer.log_every_n_steps=0"],
    ["trainer.val_check_interval='00:00:00:01'"],
    ["trainer.max_steps=-1", "+trainer.max_time='00:00:00:02'"],
    ["trainer.max_steps=-1", "+trainer.max_time={seconds: 2}"],
    ["+trainer.fast_dev_run=true"],
    ["+trainer.fast_dev_run=2", "logger=none"],
    ["trainer.limit_val_batches=0"],
    ["trainer.num_sanity_val_steps=1"],
    ["+trainer.detect_anomaly=true"],
    ["+trainer.profiler=simple"],
    ["+trainer.accumulate_grad_batches=2"],
    ["+trainer.barebones=true", "trainer.log_every_n_steps=0"],
]
SHORT = ["translate=null", "trainer.max_steps=2", "trainer.val_check_interval=1"]


TOGETHER = [
    ["callbacks.export=null", "+trainer.enable_checkpointing=false", "logger=none",
     "trainer.log_every_n_steps=0", "+trainer.enable_progress_bar=false"],
    ["trainer.max_steps=-1", "+trainer.max_time='00:00:00:01'", "callbacks.checkpoint=null",
     "trainer.val_check_interval='00:00:00:01'", "+trainer.accumulate_grad_batches=2"],
    ["+trainer.fast_dev_run=true"],
]  # fmt: skip
ROWS = [*TOGETHER, *(pytest.param(s, marks=pytest.mark.slow) for s in SWITCHES)]


@pytest.mark.parametrize("switch", ROWS, ids=" ".join)
def test_a_training_runs_with_every_switch(switch, tmp_path, capsys):
    trained(tmp_path, *SHORT, *switch)
    told = capsys.readouterr().out
    written = (tmp_path / "weights.safetensors").exists()
    assert written == ("weights.safetensors" in told)
    assert written == ("callbacks.export=null" not in switch)


NONE = [
    ["trainer.max_steps=-1", "+trainer.max_time='00:00:00:00'"],
    ["+trainer.limit_train_batches=0"],
]


@pytest.mark.parametrize("switch", NONE, ids=" ".join)
def test_a_training_of_no_step_claims_nothing(switch, tmp_path, capsys):
    with pytest.raises(ValueError, match="no step was made, so there are no weights"):
        trained(tmp_path, *SHORT, *switch)
    assert "weights.safetensors" not in capsys.readouterr().out
    assert not (tmp_path / "weights.safetensors").exists()


def test_no_step_makes_no_weights(tmp_path):
    with pytest.raises(ValueError, match="give trainer.max_steps, 1 or more .got 0."):
        trained(tmp_path, *SHORT, "trainer.max_steps=0")
    assert not (tmp_path / "weights.safetensors").exists()
