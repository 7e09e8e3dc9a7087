"""What a training starts from: init_weights=, files of ours or official checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egsde.networks import check_fit, named_as, start_from_imagenet, widened
from egsde.scores.container import about, find, is_ours, read_config, read_weights
from egsde.scores.files import read_checkpoint
from egsde.scores.told import Told, labels_as, weights_alone


def initialise(module: Any, weights: str | Mapping[str, str | None]) -> None:
    """Start from weights of ours or from an official checkpoint, raw and averaged alike.

    weights: a file, or files (or None) by the part of a module with several networks. ValueError
    for a part that there is not. A file that knows several domains gives the weights for the one
    that is trained.
    """
    for part, name in weights.items() if isinstance(weights, Mapping) else [("", weights)]:
        if name is None:
            continue
        try:
            path, network = find(name, "init_weights"), module.network.get_submodule(part)
        except AttributeError as error:
            raise ValueError(f"init_weights.{part}: the model has no part {part}") from error
        key = f"init_weights.{part}" if part else "init_weights"
        if hasattr(network, "own_head") and not is_ours(path):
            start_from_imagenet(network, read_checkpoint(path))
            continue
        if is_ours(path):
            record, mine = read_config(path), module.config.get("kind")
            kind = record["kind"]
            trunk = mine == "classifier" and kind in ("score", "labelled")  # of an encoder's names
            if "classifier" in (kind, mine) and kind != mine and not trunk:
                raise ValueError(f"{key}={path} holds a {kind}, and a {mine} is trained")
            if kind == mine == "student" and (skip := record.get("skip", 0.0)) != module.flow.skip:
                raise ValueError(
                    f"{key}={path} was trained with module.flow.skip={skip}, got "
                    f"{module.flow.skip}; give module.flow.skip={skip}"
                )
            state = read_weights(path, "averaged")
            if trunk:
                state = _trunk(network, state)
            elif kind == mine == "labelled":
                state = labels_as(state, record, module.config)
            elif kind == "labelled":
                side = "source" if part in ("x", "to_x") else "target"
                domain = (module.config.get("data") or {}).get(side)
                with about(path):
                    state = weights_alone(state, Told(side, domain).place(record))
            if part and kind == "generator":
                state = _generator(state, part)
        else:
            state = named_as(read_checkpoint(path), network.state_dict())
        state = widened(network, state)
        check_fit(network.state_dict(), state, f"the network that is trained, {key}={path}")
        network.load_state_dict(state)
    module.ema.net.load_state_dict(module.network.state_dict())


def _trunk(network: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder half of a score's UNet, under a classifier's own head."""
    own, head = network.state_dict(), getattr(network, "own_head", "no head")
    kept = {k: v for k, v in own.items() if k.startswith(head)}
    return {k: v for k, v in state.items() if k in own} | kept


def _generator(state: Mapping[str, Any], part: str) -> dict[str, Any]:
    """A file's part of that name; where it has none, its generator of the target."""
    name = part if any(key.startswith(f"{part}.") for key in state) else "to_y"
    return {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
