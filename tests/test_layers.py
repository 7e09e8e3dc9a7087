"""Imports go down only: each room of egsde may import its own floor and the ones below."""

from __future__ import annotations

import ast
from pathlib import Path

FLOORS = [  # bottom first
    {"_torchvision", "avif", "disk", "old_names", "opened", "optional"},
    {"noise", "linear", "networks"},
    {"sde"},
    {"source", "solvers"},
    {"scores", "sampling"},
    {"codecs", "energies", "constraints"},
    {"methods"},
    {"data", "evaluation"},
    {"training"},
    {"programs", "__main__", "train", "sample", "evaluate"},
]
RANK = {name: height for height, floor in enumerate(FLOORS) for name in floor}
HEAVY = {"lightning", "torchmetrics", "torch_fidelity", "torchvision", "hydra", "wandb"}
LIGHT = ("evaluation.likelihood", "training.objectives", "training.in_loop")  # torch alone
FILES = {"scores.files"}  # instantiates what a file names
SOURCE = Path(__file__).parents[1] / "src" / "egsde"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            extra = [f"egsde.{a.name}" for a in node.names] if node.module == "egsde" else []
            found |= {node.module or "", *extra}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def modules() -> dict[str, Path]:
    """Every module of the package but its face, by its name without `egsde.`."""
    paths = [p for p in sorted(SOURCE.rglob("*.py")) if p != SOURCE / "__init__.py"]
    return {".".join(p.relative_to(SOURCE).with_suffix("").parts): p for p in paths}


def test_every_room_has_a_floor():
    assert {name.split(".")[0] for name in modules()} == set(RANK)


def test_imports_go_down():
    wrong = []
    for name, path in modules().items():
        own = name.split(".")[0]
        light = RANK[own] <= RANK["methods"] or name.startswith(LIGHT)
        for other in imports(path):
            top, _, rest = other.partition(".")
            room = rest.split(".")[0]
            upward = top == "egsde" and room in RANK and RANK[room] > RANK[own]
            sideways = own == "networks" and top == "egsde" and room != "networks"
            heavy = light and top in HEAVY and name not in FILES | {"_torchvision"}
            if upward or sideways or heavy:
                wrong.append(f"{name} imports {other}")
    assert not wrong, "\n".join(wrong)


def raised(function: ast.FunctionDef) -> set[str]:
    """Names of the errors that a function raises itself, functions inside it left out."""
    found, left = set(), list(ast.iter_child_nodes(function))
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            found.add(ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc))
        left += ast.iter_child_nodes(node)
    return found


def silent(body: list[ast.stmt], room: str, said: str = "") -> list[str]:
    """Public functions below that raise ValueError; neither they nor their class say so."""
    found = []
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        told = said + (ast.get_docstring(node) or "")
        public = not node.name.startswith("_") or node.name.endswith("__")
        if isinstance(node, ast.ClassDef):
            found += silent(node.body, f"{room}.{node.name}", told) if public else []
        elif public and "ValueError" in raised(node) and "ValueError" not in told:
            found.append(f"{room}.{node.name}")
    return found


def test_errors_are_told_in_docstrings():
    wrong = [
        n
        for name, path in modules().items()
        for n in silent(ast.parse(path.read_text()).body, name)
    ]
    assert not wrong, "\n".join(wrong)
    case = ast.parse("class A:\n  def __init__(self, a):\n    raise ValueError('a')").body
    assert silent(case, "case") == ["case.A.__init__"]
