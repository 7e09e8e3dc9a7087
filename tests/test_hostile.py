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
from egsde.programs.build import Parts
from egsde.programs.callbacks.checkpoints import read
from egsde.programs.train import _initialise
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
    refused(path, lambda: _initialise(part, str(path)), mark)


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


def records(mark: Path) -> dict[str, dict[str, Any]]:
    score = {"_target_": "egsde.scores.files.load_score", "weights": "demo/3d.safetensors"}
    return {
        "translator": {"translator": {"_target_": "os.system", "command": f"touch {mark}"}},
        "writer": {"translator": {"_target_": "egsde.programs.run.save_yaml", "path": str(mark)}},
        "inside": {"translator": {**score, "sde": {"_target_": "os.mkdir", "path": str(mark)}}},
        "string": {"translator": payloads(mark)["string"]},
        "method": {"translator": {"_target_": "hydra.utils.get_method", "path": "os.system"}},
        "nothing": {},
    }


@pytest.mark.parametrize("name", records(Path(MARK)))
def test_a_run_of_a_stranger_is_not_run(tmp_path, name):
    mark, path = tmp_path / MARK, tmp_path / "run.json"
    config = {"data": {"size": 16}, **records(mark)[name]}
    path.write_text(json.dumps({"config": config} if config != {"data": {"size": 16}} else []))
    refused(path, lambda: egsde.load(tmp_path), mark)


@pytest.mark.parametrize(
    "text",
    ["hydra: {callbacks: {a: {_target_: os.mkdir, path: MARK}}}", "hydra/launcher: basic",
     "hydra: {searchpath: [file:///]}", "defaults: [{override hydra/sweeper: basic}]",
     "hydra: [1]", "a: [" * 2000],
    ids=range(6),
)  # fmt: skip
def test_a_configuration_given_back_starts_nothing(tmp_path, capsys, text):
    path = tmp_path / "config.yaml"
    path.write_text(text.replace("MARK", str(tmp_path / MARK)))
    assert command("train", "--config-path", str(tmp_path), "--config-name", "config") == 1
    said = capsys.readouterr().err
    assert str(path) in said and "Traceback" not in said and not (tmp_path / MARK).exists()


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
