"""Single settings that the parts at hand leave unread are named; those that are read are not."""

from __future__ import annotations

import pytest

from egsde.programs.checks import GENERAL, ROOTS
from egsde.programs.unread import unread
from runs import composed

OFF = [f"metrics.{name}=false" for name in ("fid", "kid", "prc")]
PROMPT = ["score=stable_diffusion", "score.weights=a", "score.prompt=dog"]
ROWS = [  # program, what is read, what is not
    ("sample", ["seed=3", "columns=4", "uncertainty=2", "outside=0.1"], []),
    ("sample", ["metrics.kid_subset=8", "metrics.protocol.reference_split=val"],
     ["outside=0.1", "data.flip=true", "data.view=both", "data.train_limit=4"]),
    ("sample", ["energy.weights.faithfulness=0", "t_start=0.4"],
     ["energy.terms.faithfulness.factor=8", "factor=8"]),
    ("sample", ["energy.weights.realism=0", "factor=8"], ["extractor.autocast=true"]),
    ("sample", ["energy.weights={realism:0,faithfulness:0}"],
     ["translator.source_noise=fresh", "factor=4"]),
    ("sample", ["translator.source_noise=fresh", "energy.weights.realism=0"], []),
    ("sample", ["energy=none"], ["translator.source_noise=fresh", "factor=4"]),
    ("sample", ["metrics.protocol.pairwise_size=32", *OFF],
     ["metrics.cache=a", "metrics.extractor.path=b", "metrics.kid_subset=8"]),
    ("sample", [*PROMPT, "score.guidance=1"],
     ["score.negative=cat"]),
    ("sample", [*PROMPT, "score.negative=b"], []),
    ("train", ["module.ema_decay=0.9", "data.flip=true"], ["data.mask=right", "data.low=a"]),
    ("train", ["translator=repaint", "data.mask=right"], []),
    ("train", ["model=autoencoder", "module.kl=0.1"],
     ["module.commitment=1.0", "module.adversarial=2.0", "module.start=5",
      "module.perceptual=3.0"]),
    ("train", ["model=autoencoder", "network=autoencoder_vq", "module.commitment=1.0",
               "discriminator=patch", "module.start=5"], ["module.kl=0.1"]),
    ("train", ["model=cycle", "module.self_training=0.1"], ["gradient=full"]),
    ("train", ["model=cycle", "module.cycle=0.1", "gradient=full"], []),
    ("train", ["model=cyclegan", "module.game._target_=egsde.training.adversarial.Hinge"], []),
    ("evaluate", ["output=a", "target=b", "metrics.fid=true", "fit=pad"],
     ["pattern='{id}_b'", "partial=true", "series=true"]),
    ("evaluate", ["output=a", "source=b", "partial=true"], ["metrics.kid=true"]),
    ("likelihood", ["data.eval_batch_size=4"], ["data.flip=true", "data.resident=true"]),
    ("export", [], ["use=raw", "data.flip=true"]),
    ("export", ["weights=a", "use=raw"], []),
]  # fmt: skip


@pytest.mark.parametrize(("program", "read", "idle"), ROWS)
def test_settings_that_no_part_reads_are_named(program, read, idle, tmp_path):
    given = [*read, *idle]
    told = unread(program, composed(program, tmp_path, *given), ROOTS[program], GENERAL[program],
                  given)  # fmt: skip
    named = sorted(name for text in told for name in text.split(": no effect")[0].split(" and "))
    keys = [option.split("=")[0] for option in idle]
    groups = [key.split(".")[0] if key.startswith("extractor") else key for key in keys]
    assert named == sorted(groups), told


def test_a_setting_that_is_given_twice(tmp_path):
    given = ["t_start=0.3", "factor=2", "+data.size=32", "t_start=0.5", "factor=2", "data.size=16"]
    cfg = composed("sample", tmp_path, "t_start=0.5")
    told = unread("sample", cfg, ROOTS["sample"], GENERAL["sample"], given)
    assert told == [
        "t_start is given 2 times, and the last holds: t_start=0.5",
        "data.size is given 2 times, and the last holds: data.size=16",
    ]
