"""Files from a stranger, generated over every reader: none runs or writes, each answer names it."""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import nn

import egsde
from egsde.networks import MLP, read_weights
from egsde.programs import foreign
from egsde.programs.build import Parts
from egsde.programs.callbacks.checkpoints import read
from egsde.programs.initial import initialise
from egsde.scores import files
from egsde.sde import DDPM
from runs import command

MARK = "made_by_a_stranger"
NETWORK = {"class": "MLP", "channels": 2, "width": 8, "depth": 1}
KINDS = {"score": "score", "source": "score", "extractor": "classifier",
         "conditional": "conditional", "cycle": "cycle", "partner": "cycle"}  # fmt: skip
READERS: dict[str, Callable[[Path], Any]] = {
    "score": lambda path: files.load_score(path, DDPM()),
    "source": lambda path: files.load_source_score(str(path), DDPM()),
    "extractor": lambda path: files.load_extractor(str(path), DDPM()),
    "conditional": lambda path: files.load_conditional(str(path), DDPM()),
    "cycle": lambda path: files.load_cycle(str(path), DDPM()),
    "partner": lambda path: files.load_cycle(str(path), DDPM(), makes="x"),
}


def genuine(kind: str) -> dict[str, Any]:
    return {"format": 2, "kind": kind, "network": NETWORK, "sde": {"class": "DDPM"},
            "prediction": {"class": "Eps"}}  # fmt: skip


def weights(path: Path, config: Any) -> Path:
    """A small network's tensors, twice for a cycle, and this configuration."""
    state = MLP(2, width=8, depth=1).state_dict()
    cycle = isinstance(config, dict) and config.get("kind") == "cycle"
    parts = ("x.", "y.") if cycle else ("",)
    tensors = {f"averaged.{p}{k}": v.clone() for p in parts for k, v in state.items()}
    text = config if isinstance(config, str) else json.dumps(config)
    save_file(tensors, path, metadata={"egsde": text})
    return path


def payloads(mark: Path) -> dict[str, Any]:
    """What would make a file `mark` or take all memory, where it is believed."""
    create = "${oc.create:'{_target_: pathlib.Path.touch, self: " + str(mark) + "}'}"
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    return {
        "string": create,
        "old path": {"_target_": "os.system", "command": f"touch {mark}"},
        "path": {"class": "os.system", "command": f"touch {mark}"},
        "class": {"class": "subprocess.Popen", "args": ["touch", str(mark)]},
        "writer": {"_target_": "egsde.programs.run.save_yaml", "path": str(mark), "config": {}},
        "through a module": {"class": "egsde.programs.cli.os.mkdir", "path": str(mark)},
        "inside": {**NETWORK, "width": {"class": "os.mkdir", "path": str(mark)}},
        "string inside": {**NETWORK, "width": create},
        "in a list": {**NETWORK, "width": [{"_target_": "os.mkdir", "path": str(mark)}]},
        "partial": {**NETWORK, "_partial_": True},
        "million": {**NETWORK, "width": 10**6},
        "endless": {**NETWORK, "depth": 10**6},
        "larger": {**NETWORK, "width": 10**30},
        "levels": {"class": "DDPM", "betas": {"class": "linear_betas", "levels": 10**10}},
        "deep": deep,
        "nothing": None,
    }


CASES = [(reader, place, name) for reader in READERS for place in ("network", "sde", "prediction")
         for name in payloads(Path(MARK))
         if not (reader == "extractor" and place == "prediction")]  # fmt: skip


def refused(path: Path, action: Callable[[], Any], mark: Path) -> str:
    with warnings.catch_warnings(), pytest.raises((ValueError, OSError)) as caught:
        warnings.simplefilter("ignore")
        action()
    said = str(caught.value)
    assert path.name in said and "weights_only" not in said and not mark.exists()
    return said


@pytest.mark.parametrize("reader", READERS)
def test_genuine_files_load(tmp_path, reader):
    assert READERS[reader](weights(tmp_path / "a.safetensors", genuine(KINDS[reader]))) is not None


def test_no_configuration_in_weights_is_run(tmp_path):
    """Every payload in every place before every reader."""
    mark = tmp_path / MARK
    assert len(CASES) >= 80
    for reader, place, name in CASES:
        config = genuine(KINDS[reader]) | {place: payloads(mark)[name]}
        path = weights(tmp_path / "stranger.safetensors", config)
        refused(path, lambda r=reader, p=path: READERS[r](p), mark)


@pytest.mark.parametrize(
    "text",
    ["[" * 10**5, "{", "[]", "1", '"score"', '{"kind": 1}', '{"kind": "score", "format": 9}',
     '{"kind": "score", "network": ' + "9" * 5000 + "}", '{"kind": "score"}',
     '{"kind": "score", "data": 3}', '{"kind": "score", "validation": {"a": "b"}}',
     '{"kind": "score", "data": {"extra": 3}}', " " * 2**21],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_texts_that_are_no_configuration(tmp_path, text):
    path = weights(tmp_path / "text.safetensors", text)
    refused(path, lambda: files.load_score(path, DDPM()), tmp_path / MARK)


@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html>", b"\xff" * 8, struct.pack("<Q", 2**62), struct.pack("<Q", 2) + b"{}",
     struct.pack("<Q", 5) + b"[[[[[", b"PK\x03\x04" + b"0" * 90],
    ids=range(7),
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["safetensors", "pt", "ckpt"])
def test_bytes_that_are_no_weights(tmp_path, content, suffix):
    path = tmp_path / f"bytes.{suffix}"
    path.write_bytes(content)
    mark = tmp_path / MARK
    if suffix != "pt":
        refused(path, lambda: files.load_score(path, DDPM()), mark)
    if suffix != "ckpt":
        refused(path, lambda: read_weights(path), mark)
    part = SimpleNamespace(network=nn.Linear(1, 1), config={"kind": "score"})
    refused(path, lambda: initialise(part, str(path)), mark)


class Runs:
    """Unpickling makes the file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("suffix", ["pt", "pth", "ckpt"])
@pytest.mark.parametrize("place", ["state_dict", "config", "global_step", "top"])
def test_pickles_are_not_opened(tmp_path, suffix, place):
    mark, path = tmp_path / MARK, tmp_path / f"pickle.{suffix}"
    content = {"state_dict": {"a": torch.ones(1)}, "config": {}, "global_step": 1, "loops": {}}
    torch.save(Runs(mark) if place == "top" else {**content, place: Runs(mark)}, path)
    said = [refused(path, lambda: read(path), mark)]
    if suffix == "ckpt":
        said.append(refused(path, lambda: files.load_score(path, DDPM()), mark))
    else:
        said.append(refused(path, lambda: read_weights(path), mark))
    assert all("weights_only" not in text for text in said)


STATE = {"ema.net.a": torch.ones(1)}
CHECKPOINTS: dict[str, dict[str, Any]] = {
    "a tensor in the configuration": {"config": {"kind": "score", "network": torch.ones(2)}},
    "a set": {"config": {"kind": "score", "network": {1, 2}}},
    "no kind": {"config": {}},
    "no text": {"config": {"kind": "score", 3: 4}},
    "deep": {"config": {"kind": "score", "network": payloads(Path(MARK))["deep"][0][0]}},
    "a list of tensors": {"state_dict": [torch.ones(1)]},
    "names that are none": {"state_dict": {3: torch.ones(1)}},
    "no tensors": {"state_dict": {"ema.net.a": "b"}, "config": genuine("score")},
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_that_are_none(tmp_path, name, old):
    path = tmp_path / "last.ckpt"
    content = {"state_dict": STATE, "global_step": 1, "loops": {}, "config": {"kind": "score"}}
    torch.save(content | CHECKPOINTS[name], path, _use_new_zipfile_serialization=not old)
    refused(path, lambda: files.load_score(path, DDPM()), tmp_path / MARK)


@pytest.mark.parametrize(
    "prediction", [{"label": "LogSigma"}, {"label": {"class": "linear_betas"}}, {"raw_input": 3},
                   {"label": None}, {"label": [{"class": "LogSigma"}]}], ids=str)  # fmt: skip
def test_a_label_is_a_function(tmp_path, prediction):
    config = genuine("score") | {"prediction": {"class": "Eps", **prediction}}
    path = weights(tmp_path / "label.safetensors", config)
    assert "label" in refused(path, lambda: files.load_score(path, DDPM()), tmp_path / MARK)


@pytest.mark.parametrize("kind", ["int8", "uint8", "bool", "complex64", "nan", "inf"])
def test_tensors_of_no_network(tmp_path, kind):
    """They would be cast without a word, and NaN spreads over every image."""
    path = weights(tmp_path / "odd.safetensors", genuine("score"))
    state = files.read_weights(path, "averaged")
    odd = {k: v * float(kind) if kind in ("nan", "inf") else v.to(getattr(torch, kind))
           for k, v in state.items()}  # fmt: skip
    metadata = {"egsde": json.dumps(genuine("score"))}
    save_file({f"averaged.{k}": v for k, v in odd.items()}, path, metadata=metadata)
    refused(path, lambda: files.load_score(path, DDPM()), tmp_path / MARK)


def records(mark: Path) -> dict[str, dict[str, Any]]:
    score = {"_target_": "egsde.scores.files.load_score", "weights": "demo/flat_and_3d.safetensors"}
    return {
        "translator": {"translator": {"_target_": "os.system", "command": f"touch {mark}"}},
        "writer": {"translator": {"_target_": "egsde.programs.run.save_yaml", "path": str(mark)}},
        "inside": {"translator": {**score, "sde": {"_target_": "os.mkdir", "path": str(mark)}}},
        "string": {"translator": payloads(mark)["string"]},
        "method": {"translator": {"_target_": "hydra.utils.get_method", "path": "os.system"}},
        "a list": {"translator": {"_target_": ["egsde.methods.sdedit"]}},
        "half a method": {"translator": {"_target_": "egsde.methods.sdedit"}},
        "a device": {"translator": score | {"weights": "/dev/zero"}},
        "an address": {"translator": score | {"weights": "http://127.0.0.1:9/x.safetensors"}},
        "a word for a size": {"data": {"size": "x"}, "translator": score},
        "nothing": {},
    }


@pytest.mark.parametrize("name", records(Path(MARK)))
def test_a_run_of_a_stranger_is_not_run(tmp_path, name):
    mark, path = tmp_path / MARK, tmp_path / "run.json"
    config = {"data": {"size": 16}, **records(mark)[name]}
    path.write_text(json.dumps({"config": config} if config != {"data": {"size": 16}} else []))
    refused(path, lambda: egsde.load(tmp_path), mark)


HANDLER = "version: 1\nhandlers: {x: {(): os.mkdir, path: MARK}}\nroot: {handlers: [x]}\n"
CALLBACK = "callbacks: {a: {_target_: os.mkdir, path: MARK}}"
BESIDE = "defaults: [other, _self_]"
BACK = {  # config.yaml, and what lies beside it
    "callbacks": {"config.yaml": f"hydra: {{{CALLBACK}}}"},
    "launcher": {"config.yaml": "hydra/launcher: basic"},
    "searchpath": {"config.yaml": "hydra: {searchpath: [file:///]}"},
    "sweeper": {"config.yaml": "defaults: [{override hydra/sweeper: basic}]"},
    "no settings": {"config.yaml": "hydra: [1]"},
    "deep": {"config.yaml": "a: [" * 2000},
    "handlers": {"config.yaml": "hydra: {job_logging: {handlers: {x: {(): os.mkdir, path: MARK}}, "
                                "root: {handlers: [x]}}}"},
    "handlers of Hydra": {"config.yaml": "hydra: {hydra_logging: {handlers: {x: {(): os.mkdir, "
                                         "path: MARK}}, root: {handlers: [x]}}}"},
    "handlers in a file": {
        "config.yaml": "defaults: [{override hydra/hydra_logging: other}, _self_]\nhydra: "
                       "{verbose: false}", "hydra/hydra_logging/other.yaml": HANDLER},
    "a file beside": {"config.yaml": BESIDE, "other.yaml": f"# @package hydra\n{CALLBACK}"},
    "a global file": {"config.yaml": BESIDE,
                      "other.yaml": f"# @package _global_\nhydra: {{{CALLBACK}}}"},
    "variables": {"config.yaml": "hydra: {job: {env_set: {PATH: MARK}}}"},
    "variables in a file": {"config.yaml": BESIDE,
                            "other.yaml": "# @package hydra.job.env_set\nPATH: MARK"},
    "a folder": {"config.yaml": "hydra: {run: {dir: MARK}, output_subdir: x}"},
    "what the command line allows": {"config.yaml": "hydra: {overrides: {task: ['allow=[os]']}}\n"
                                     "allow: [os]\nout: MARK\nsde: {_target_: os.mkdir}"},
    "what is said to Hydra": {"config.yaml": BESIDE, "other.yaml": "# @package hydra.overrides\n"
                              "hydra: [hydra.job_logging.root.handlers=[x]]"},
    "nothing but interpolations": {"config.yaml": "hydra: {overrides: '${x}'}\nx: {}\nout: MARK"},
    "a file of messages": {"config.yaml": "hydra: {job: {name: ../../MARK}}\nout: x"},
    "a sweep": {"config.yaml": BESIDE, "other.yaml": "# @package hydra\nmode: MULTIRUN"},
    "no folder": {"config.yaml": "seed: 0"},
    "a sweep's folder": {"config.yaml": BESIDE, "other.yaml": "# @package hydra.sweep\ndir: MARK"},
}  # fmt: skip


@pytest.mark.parametrize("name", BACK)
def test_a_configuration_given_back_starts_nothing(tmp_path, capsys, name):
    for file, text in BACK[name].items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text.replace("MARK", str(tmp_path / MARK)))
    path = tmp_path / "config.yaml"
    for sweep in ([], ["-m", "seed=1,2"]):
        given = ["--config-path", str(tmp_path), "--config-name", "config"]
        assert command("train", *sweep[:1], *given, *sweep[1:]) == 1
        said = capsys.readouterr().err
        assert str(path) in said and "Traceback" not in said and not (tmp_path / MARK).exists()


def test_what_hydra_writes_of_a_sweep_is_no_link(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(f"out: ${{x}}\nx: {tmp_path / 'out'}")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "multirun.yaml").symlink_to(tmp_path / MARK)
    given = ["--config-path", str(tmp_path), "--config-name", "config", "+seed=1,2"]
    assert command("train", "-m", *given) == 1
    assert "multirun.yaml is a link" in capsys.readouterr().err and not (tmp_path / MARK).exists()


def test_what_a_file_says_once_parts_are_made(tmp_path, monkeypatch):
    """A variable of the environment may be another than when the file was checked."""
    monkeypatch.setattr(foreign, "file_given_back", lambda: "theirs/config")
    monkeypatch.setattr(foreign, "allowed", lambda cfg: ())
    monkeypatch.setenv("LATER", "os.mkdir")
    named = {"_target_": "${oc.env:LATER}", "path": str(tmp_path / MARK)}
    allows = {"_target_": "egsde.scores.files.load_score", "allow": "${oc.decode:'[os]'}"}
    parts = Parts(OmegaConf.create({"named": named, "allows": allows}))
    for key, words in (("named", "'os.mkdir'"), ("allows", r"allow=\['os'\] stands in a file")):
        with pytest.raises(ValueError, match=words):
            parts(key)
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize("kind", ["{_target_: wandb.Settings, %s}", "{%s}"])
@pytest.mark.parametrize("more", ["base_url: 'http://theirs'", "api_key: '1'", "root_dir: /x"])
def test_a_file_does_not_say_where_the_key_of_wandb_is_sent(tmp_path, capsys, kind, more):
    given = ["--config-path", str(tmp_path), "--config-name", "config"]
    settings = f"settings: {kind % more}"
    (tmp_path / "config.yaml").write_text(
        f"out: {tmp_path / 'out'}\nlogger: {{wandb: {{_target_: "
        f"egsde.programs.callbacks.same_run, out: x, {settings}}}}}\n"
    )
    assert command("train", *given) == 1
    said = capsys.readouterr().err
    assert f"{more.split(':')[0]} of W&B" in said and "allow=[wandb]" in said


def test_parts_of_a_given_back_configuration_are_ours(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(
        f"out: {tmp_path / 'out'}\nsde: {{_target_: os.mkdir, path: {tmp_path / MARK}}}\n"
    )
    assert command("train", "--config-path", str(tmp_path), "--config-name", "config") == 1
    said = capsys.readouterr().err
    assert "os.mkdir" in said and "Traceback" not in said and not (tmp_path / MARK).exists()


def test_stages_of_a_cascade_are_readers(tmp_path):
    path = weights(tmp_path / "stage.safetensors", genuine("conditional") | {"network": None})
    score = {"_target_": "egsde.scores.files.load_conditional", "weights": str(path),
             "sde": {"_target_": "egsde.sde.DDPM"}}  # fmt: skip
    cfg = OmegaConf.create({"translator": {"stages": {"first": {"translator": {"score": score}}}}})
    refused(path, lambda: Parts(cfg)("translator"), tmp_path / MARK)


WORDS = st.sampled_from(["class", "_target_", "kind", "network", "sde", "prediction", "format",
                         "data", "MLP", "DDPM", "Eps", "score", "egsde.sde.DDPM", "os.system",
                         "betas", "width", "depth", "_args_", "${a}", ""])  # fmt: skip
NODES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(["network", "sde", "prediction", "format", "data"]), NODES))
def test_any_json_is_answered(tmp_path, changes):
    path = weights(tmp_path / "fuzz.safetensors", genuine("score") | changes)
    try:
        files.load_score(path, DDPM())
    except ValueError as error:
        assert "fuzz.safetensors" in str(error)
