"""Imports go down only: each module of egsde may import its own layer and the ones below."""

from __future__ import annotations

import ast
from pathlib import Path

LAYERS = [  # bottom first; reverse names SDE in annotations, sde builds it
    {"_torchvision"},
    {
        "sde",
        "reverse",
        "noise",
        "spring",
        "filters",
        "blocks",
        "operators",
        "degradations",
        "predictions",
        "networks",
    },
    {"sampler", "solvers", "grids", "jumps", "source"},
    {"energies", "constraints", "scores", "conditional", "score_decorators", "manifold"},
    {
        "translators",
        "starts",
        "hidden",
        "cycle_diffusion",
        "cascade",
        "average",
        "side_by_side",
        "codecs",
        "likelihood",
        "objectives",
        "in_loop",
    },
    {"methods"},
    {"modules", "data", "metrics", "weights", "blueprints", "names", "container"},
    {"callbacks", "reports"},
]  # programs, unlisted, are on top
RANK = {name: height for height, layer in enumerate(LAYERS) for name in layer}
TORCH_ONLY = {"lightning", "torchmetrics", "torch_fidelity", "torchvision", "hydra", "wandb"}
SOURCE = Path(__file__).parents[1] / "src" / "egsde"


def rank(name: str) -> int:
    return RANK.get(name, len(LAYERS))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            extra = [f"egsde.{a.name}" for a in node.names] if node.module == "egsde" else []
            found |= {node.module or "", *extra}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_imports_go_down():
    wrong = []
    for path in sorted(SOURCE.rglob("*.py")):
        own = path.relative_to(SOURCE).with_suffix("").parts[0]
        if own == "__init__":
            continue
        for name in imports(path):
            top, _, rest = name.partition(".")
            other = rest.split(".")[0]
            upward = top == "egsde" and bool(other) and rank(other) > rank(own)
            sideways = own == "networks" and top == "egsde" and other != "networks"
            heavy = rank(own) <= RANK["methods"] and top in TORCH_ONLY and own != "_torchvision"
            if upward or sideways or heavy:
                wrong.append(f"{path.relative_to(SOURCE)} imports {name}")
    assert not wrong, "\n".join(wrong)
