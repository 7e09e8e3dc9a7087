"""Weights on disk: our `weights.safetensors`, configuration inside, and official checkpoints.

Our file holds `averaged.<name>` and `raw.<name>` tensors and, as metadata, the configuration of the
network, the SDE and the prediction, so it opens without any other file. Configurations that come
from a file may only name classes of this package.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_object, instantiate
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from egsde.conditional import ConditionalScore, View, clean
from egsde.networks import load_official
from egsde.networks import read_weights as read_checkpoint
from egsde.predictions import Eps, NoiseLevel
from egsde.scores import Extractor, ScoreModel
from egsde.sde import SDE

PACKAGE = Path(__file__).parent
FETCHED = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "egsde" / "networks"
OPTIONS = {  # what opens each kind of file
    "score": "score=trained",
    "conditional": "score=conditional",
    "cycle": "score=cycle",
    "classifier": "extractor=trained",
}


def find(weights: str | Path | None, hint: str) -> Path:
    """The file: as given, else inside the package (`demo/...`) or among the files fetched from
    elsewhere; FileNotFoundError says where it was looked for."""
    if weights is None:
        raise ValueError(f"no weights are given; add {hint}=PATH")
    path = Path(weights).expanduser()
    for candidate in (path, PACKAGE / path, FETCHED / path):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"no weights at {path.absolute()} or in {FETCHED}; give a file that exists: {hint}=PATH"
    )


def save_weights(
    path: Path, networks: Mapping[str, nn.Module], config: Mapping[str, Any], half: bool = False
) -> None:
    """Write `networks` (by name: "averaged", "raw") and the plain `config` to one file.

    half: store float16; opened as float32 again.
    """
    tensors = {}
    for prefix, network in networks.items():
        for name, value in network.state_dict().items():
            stored = value.half() if half and value.is_floating_point() else value
            tensors[f"{prefix}.{name}"] = stored.detach().cpu().contiguous().clone()
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"egsde": json.dumps(config, sort_keys=True)})
    temporary.replace(path)


def is_ours(path: Path) -> bool:
    """Whether the file was written by `save_weights`."""
    if path.suffix != ".safetensors":
        return False
    with safe_open(path, framework="pt") as file:
        return "egsde" in (file.metadata() or {})


def read_config(path: Path) -> dict[str, Any]:
    """The configuration inside a file of `save_weights`."""
    if not is_ours(path):
        raise ValueError(
            f"{path} holds no configuration: it was not written by egsde. Official checkpoints "
            "need their own option, such as score=adm_256 or extractor=dse_256"
        )
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["egsde"])


def read_weights(path: Path, use: str) -> dict[str, Tensor]:
    """The tensors under the name `use`, as float32."""
    with safe_open(path, framework="pt") as file:
        keys = list(file.keys())
        found = sorted({key.split(".", 1)[0] for key in keys})
        if use not in found:
            raise ValueError(f"{path} holds {found}, not {use!r}; choose one of these")
        mine = [key for key in keys if key.startswith(f"{use}.")]
        state = {key.split(".", 1)[1]: file.get_tensor(key) for key in mine}
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def _check_targets(node: Any, path: Path) -> None:
    """Refuse a configuration that names anything not defined in this package."""
    if isinstance(node, dict):
        target = str(node.get("_target_", "egsde.sde.SDE"))
        # What a module of ours has imported has a name of ours, too: egsde.cli.os.system.
        if not target.startswith("egsde.") or not _is_defined_here(get_object(target)):
            raise ValueError(f"{path} asks to run {target!r}; only classes of egsde are allowed")
        for value in node.values():
            _check_targets(value, path)
    elif isinstance(node, list):
        for value in node:
            _check_targets(value, path)


def _is_defined_here(thing: Any) -> bool:
    return getattr(thing, "__module__", "").startswith("egsde.")


def _same_process(a: SDE, b: SDE, prediction: Any) -> bool:
    """Whether two processes have the same noise levels and labels (and so the same score).

    Where the label is the noise level itself, any two with alpha^2 + sigma^2 = 1 have: Palette is
    sampled on another chain than it was trained on.
    """
    if isinstance(getattr(prediction, "label", None), NoiseLevel):
        return all(_preserves_variance(sde) for sde in (a, b))
    if a.T != b.T:
        return False
    inside = a.T * torch.linspace(0.05, 1, 20, dtype=torch.float64)
    times = ((sde, sde.snap(inside)) for sde in (a, b))
    values = [(sde.alpha(t), sde.sigma(t), sde.network_time(t)) for sde, t in times]
    return all(torch.allclose(x, y) for x, y in zip(*values, strict=True))


def _preserves_variance(sde: SDE) -> bool:
    t = sde.snap(sde.T * torch.linspace(0.05, 1, 20, dtype=torch.float64))
    total = sde.alpha(t).square() + sde.sigma(t).square()
    return torch.allclose(total, torch.ones_like(total))


def _open(path: Path, kind: str, sde: SDE, use: str, part: str = "") -> tuple[nn.Module, Any]:
    """The network and its prediction, if any; part: of a file with several networks, with a dot."""
    config = read_config(path)
    _check_targets(config, path)
    if config["kind"] != kind:
        option = OPTIONS.get(config["kind"], "another option")
        raise ValueError(f"{path} holds a {config['kind']}, not a {kind}; it goes with {option}")
    trained, prediction = instantiate(config["sde"]), instantiate(config.get("prediction"))
    if not _same_process(trained, sde, prediction):
        raise ValueError(
            f"{path} was trained with {trained!r}, but the configuration has {sde!r}; "
            "choose the sde= it was trained with"
        )
    network = instantiate(config["network"])
    state = read_weights(path, use)
    mine = {k.removeprefix(part): v for k, v in state.items() if k.startswith(part)}
    network.load_state_dict(mine)
    return network.eval().requires_grad_(False), prediction


def load_score(
    weights: str | Path | None, sde: SDE, use: str = "averaged", autocast: bool = False
) -> ScoreModel:
    """The score model in a file of `train.py`; `use`: "averaged" or "raw" weights."""
    path = find(weights, "score.weights")
    network, prediction = _open(path, "score", sde, use)
    return ScoreModel(network, sde, prediction, autocast=autocast)


def load_conditional(
    weights: str | None,
    sde: SDE,
    use: str = "averaged",
    autocast: bool = False,
    view: View = clean,
    masked: bool = False,
) -> ConditionalScore:
    """The conditional score in a file of `train.py model=conditional`, palette or sr3."""
    path = find(weights, "score.weights")
    network, prediction = _open(path, "conditional", sde, use)
    return ConditionalScore(network, sde, prediction, view=view, masked=masked, autocast=autocast)


def load_cycle(
    weights: str | None, sde: SDE, use: str = "averaged", autocast: bool = False, makes: str = "y"
) -> ConditionalScore:
    """One score in a file of `train.py model=cycle`; makes: "y", its target, or "x", its source."""
    if makes not in ("x", "y"):
        raise ValueError(f"score.makes={makes!r} is unknown; use y (the target) or x (the source)")
    path = find(weights, "score.weights")
    network, prediction = _open(path, "cycle", sde, use, f"{makes}.")
    return ConditionalScore(network, sde, prediction, autocast=autocast)


def load_source_score(
    weights: str | None, sde: SDE, use: str = "averaged", autocast: bool = False
) -> ScoreModel:
    """`load_score` for the source domain; ValueError says how to train one where none is given."""
    if weights is None:
        raise ValueError(
            "this translator needs a score of the source domain, too, and none is given. Train it "
            "with the domains exchanged, `python train.py data.source=twemoji data.target=noto "
            "out=source` for the demo's, and add source_score.weights=source/weights.safetensors; "
            "score@source_score=demo tries the program out with the target's score on both sides"
        )
    return load_score(find(weights, "source_score.weights"), sde, use, autocast)


def load_extractor(
    weights: str | None, sde: SDE, use: str = "averaged", autocast: bool = False
) -> Extractor:
    """The domain classifier in a file of `train.py model=classifier`."""
    path = find(weights, "extractor.weights")
    return Extractor(_open(path, "classifier", sde, use)[0], sde, autocast=autocast)


def _refuse_ours(path: Path, option: str) -> None:
    if is_ours(path):
        raise ValueError(f"{path} is no official checkpoint but one of train.py; add {option}")


def official_score(
    kind: str, config: Mapping[str, Any], weights: str | None, sde: SDE, autocast: bool = False
) -> ScoreModel:
    """A published score network (`afhq_dog_4m.pt`, `celebahq_female_ddpm.pth`), predicting eps."""
    path = find(weights, "score.weights")
    _refuse_ours(path, "score=trained")
    network = load_official(kind, dict(config), read_checkpoint(path))
    return ScoreModel(network.requires_grad_(False), sde, Eps(), autocast=autocast)


def official_extractor(
    config: Mapping[str, Any], weights: str | None, sde: SDE, autocast: bool = False
) -> Extractor:
    """A published domain-specific extractor (`cat2dog_dse.pt`)."""
    path = find(weights, "extractor.weights")
    _refuse_ours(path, "extractor=trained")
    network = load_official("dse", dict(config), read_checkpoint(path))
    return Extractor(network.requires_grad_(False), sde, autocast=autocast)
