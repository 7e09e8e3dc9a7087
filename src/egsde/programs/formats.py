"""Exported files: ONNX, TorchScript and torch.export, each with its description inside.

A format writes `graph` to `path` and reads it back as a function of NumPy arrays, so that what was
written can be compared with what was meant.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from egsde.disk import whole
from egsde.optional import needed

Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


@dataclass(frozen=True)
class Format:
    """suffix: of the file; write(graph, inputs, shapes, path, text); read(path) -> Run."""

    suffix: str
    write: Callable[[Any, tuple[Tensor, ...], Any, Path, Mapping[str, str]], None]
    read: Callable[[Path], Run]


def recorded(graph: nn.Module, inputs: tuple[Tensor, ...], shapes: Any) -> Any:
    """The graph by torch.export; shapes: which sides of the inputs may vary."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.export.export(graph, inputs, dynamic_shapes=shapes)


def write_onnx(
    graph: Any, inputs: tuple[Tensor, ...], shapes: Any, path: Path, text: Mapping[str, str]
) -> None:
    """By torch.onnx, names and metadata inside; ValueError without onnxscript."""
    needed("onnxscript", "export", "ONNX")
    program = recorded(graph, inputs, shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
        )
    assert made is not None
    made.model.metadata_props.update(text)
    with whole(path) as temporary:
        made.save(str(temporary))


def read_onnx(path: Path) -> Run:
    """By onnxruntime, on the CPU; ValueError where it is not installed."""
    runtime = needed("onnxruntime", "export", "ONNX")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return lambda arrays: session.run(None, dict(zip(names, arrays, strict=True)))


def write_torchscript(
    graph: Any, inputs: tuple[Tensor, ...], shapes: Any, path: Path, text: Mapping[str, str]
) -> None:
    """Traced at the inputs, whose shapes stay fixed; the description in egsde.json."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(graph, inputs, check_trace=False)
        # Into an open file: given a path, PyTorch ends the process where there is no room.
        with whole(path) as temporary, temporary.open("wb") as file:
            torch.jit.save(traced, file, _extra_files={"egsde.json": _json(text)})


def read_torchscript(path: Path) -> Run:
    """By torch.jit.load, on the device that it was written on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _of_module(torch.jit.load(str(path)))


def write_torch_export(
    graph: Any, inputs: tuple[Tensor, ...], shapes: Any, path: Path, text: Mapping[str, str]
) -> None:
    """The program of torch.export; the description in egsde.json."""
    program = recorded(graph, inputs, shapes)
    with whole(path) as temporary, temporary.open("wb") as file:
        torch.export.save(program, file, extra_files={"egsde.json": _json(text)})


def read_torch_export(path: Path) -> Run:
    """By torch.export.load."""
    with path.open("rb") as file:
        return _of_module(torch.export.load(file).module())


def _json(text: Mapping[str, str]) -> str:
    return json.dumps(dict(text), sort_keys=True)


def _of_module(module: Any) -> Run:
    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        with torch.no_grad():
            found = module(*map(torch.from_numpy, arrays))
        return [y.numpy() for y in (found if isinstance(found, (tuple, list)) else (found,))]

    return run


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", write_onnx, read_onnx),
    "torchscript": Format(".pt", write_torchscript, read_torchscript),
    "torch_export": Format(".pt2", write_torch_export, read_torch_export),
}
