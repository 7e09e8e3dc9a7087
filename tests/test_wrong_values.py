"""A wrong value, wherever it stands, is refused in words that name it, or is a right one."""

from __future__ import annotations

import pytest
import yaml
from omegaconf import OmegaConf

from demo_networks import write_networks
from egsde.programs.bounds import COUNTS, FROM_ZERO, SHARES
from egsde.programs.settings import CONF
from egsde.programs.takes import parameters
from egsde.programs.values import check_values
from runs import TRAIN, composed
from wrong_values import VALUES, answer

USUAL = {
    "sample": ("sampler.grid.steps", "data.batch_size", "seed", "energy.weights.realism"),
    "train": ("trainer.max_steps", "module.ema_decay", "data.flip"),
}


def program(name, folder):
    networks = write_networks(folder)
    return composed(name, folder / "out", *(networks if name == "sample" else TRAIN))


@pytest.mark.parametrize(
    "value",
    [".nan", pytest.param(".inf", marks=pytest.mark.slow), "word",
     pytest.param("[1,a]", marks=pytest.mark.slow), "null"],
)  # fmt: skip
@pytest.mark.parametrize("name", USUAL)
def test_every_setting_that_is_usual(name, value, tmp_path):
    cfg = program(name, tmp_path)
    for key in USUAL[name]:
        told = answer(name, cfg, key, VALUES[value], build=False)
        assert told is not None and key.split(".")[-1] in told, (key, told)


def nodes(node, place):
    """Every part of ours in a file, with what is no reference."""
    if isinstance(node, list):
        for i, value in enumerate(node):
            yield from nodes(value, f"{place}[{i}]")
    elif isinstance(node, dict):
        if str(node.get("_target_")).startswith("egsde."):
            plain = {k: v for k, v in node.items() if "${" not in str(v) and v != "???"}
            yield place, {k: v for k, v in plain.items() if k != "defaults" and "@" not in k}
        for key, value in node.items():
            yield from nodes(value, f"{place}.{key}")


def test_every_setting_of_conf():
    """NaN and infinity for every number, a text for every number and switch, and -1 for what
    counts, is no less than 0 or a share: as each file of conf names the part, nothing composed."""
    wrong, tried, files = [], 0, sorted(CONF.rglob("*.yaml"))
    for file in files:
        for place, node in nodes(yaml.safe_load(file.read_text()), file.stem):
            takes, _ = parameters(node["_target_"], place)
            for key, wanted in takes.items():
                kinds = {float, int} & {wanted, *getattr(wanted, "__args__", ())}
                bounded = key in (*FROM_ZERO, *SHARES) or (key in COUNTS and float not in kinds)
                values = [float("nan"), "word", [1, "a"]] if wanted in (int, float, bool) else []
                values += [-1] if kinds and bounded else []
                for value in values:
                    tried += 1
                    cfg = OmegaConf.create({"part": {**node, key: value}})
                    try:
                        check_values(cfg, {}, ["part"], {})
                    except ValueError as error:
                        assert f"part.{key}" in str(error), error
                    else:
                        wrong.append(f"{place}.{key}={value}")
    assert tried > 1000 and not wrong, (tried, sorted(set(wrong)))


@pytest.mark.parametrize(
    ("key", "value"),
    [("energy.terms.faithfulness.factor", 0), ("energy.terms.faithfulness.factor", -1),
     ("data.channels", 0), ("t_start", 1.5), ("metrics.kid_subset", 1), ("report", "many"),
     ("trajectory", 2.5), ("check", "maybe"), ("sampler.grid.steps", 10**12)],
)  # fmt: skip
def test_numbers_out_of_bounds(tmp_path, key, value):
    told = answer("sample", program("sample", tmp_path), key, value, build=False)
    assert told is not None and key in told


def test_bounds_are_of_our_parts_and_of_whole_numbers():
    """A share of the sides that is called size, and a part of the user's own with a factor of 0."""
    check_values(OmegaConf.create({"a": {"_target_": "egsde.data.degradations.Painted",
                                         "size": 0.1}}), {}, ["a"], {})  # fmt: skip
    own = {"_target_": "collections.OrderedDict", "factor": 0}
    check_values(OmegaConf.create({"a": own}), {}, ["a"], {})
