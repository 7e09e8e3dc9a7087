"""One training run: compose, instantiate, fit. Leaves checkpoints, metrics.csv, weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig

from egsde.networks import ADMEncoder, start_from_imagenet, widened
from egsde.old_names import current
from egsde.programs.records import claim
from egsde.programs.run import closing, prepare, save_yaml
from egsde.scores.blueprints import described
from egsde.scores.container import find, is_ours, read_weights
from egsde.scores.files import read_checkpoint

# What a resumed run must share with the run before, and what of the data may differ.
KEPT = ("kind", "network", "sde", "prediction", "module", "data", "seed")
FREE_DATA = ("root", "store", "num_workers", "eval_batch_size", "cache_mib", "limit", "mask")


def train(cfg: DictConfig) -> float | None:
    """Train `cfg.module` on `cfg.data`; returns the logged `cfg.objective`, for sweeps.

    ValueError where a checkpoint in the run's folder was made with another configuration.
    """
    out, config = prepare(cfg, "train")
    described(config, cfg.allow)  # now, not when the weights are written
    claim(out, "train.py")
    checkpoint = _checkpoint_to_resume(cfg.resume, out, config)
    seed_everything(cfg.seed, workers=True, verbose=False)
    data = instantiate(cfg.data)
    module = instantiate(cfg.module)
    module.seed = cfg.seed
    if cfg.init_weights is not None:
        _initialise(module, cfg.init_weights)
    loggers = [instantiate(node) for node in cfg.logger.values()]
    callbacks = {k: instantiate(node) for k, node in cfg.callbacks.items() if node is not None}
    callbacks["export"].config, callbacks["export"].allow = config, cfg.allow
    with closing(loggers):
        trainer: Trainer = instantiate(
            cfg.trainer, logger=loggers, callbacks=list(callbacks.values()), default_root_dir=out
        )
        if trainer.is_global_zero:
            save_yaml(out / "config.yaml", config)
            for logger in loggers:
                logger.log_hyperparams(config)
        try:
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        except SIGTERMException:
            rank_zero_only(print)(f"stopped at step {trainer.global_step}; out={out} goes on")
            raise SystemExit(143) from None  # as the shell says it; Lightning's own code is 0
        rank_zero_only(print)(f"checkpoints, weights.safetensors and metrics.csv in {out}")
        value = trainer.callback_metrics.get(cfg.objective)
    return None if value is None else float(value)


def _checkpoint_to_resume(resume: str | None, out: Path, config: dict[str, Any]) -> Path | None:
    """The checkpoint to go on from, checked to be of the same model and data."""
    if resume is None:
        return None
    path = out / "checkpoints" / "last.ckpt" if resume == "auto" else Path(resume)
    if not path.is_file():
        if resume == "auto":
            return None
        raise FileNotFoundError(
            f"no checkpoint at {path.absolute()}; give one that exists: resume=PATH"
        )
    saved = torch.load(path, map_location="cpu", weights_only=True)
    before = current(saved["config"])
    changed = [key for key in KEPT if _kept(before, key) != _kept(config, key)]
    if changed:
        raise ValueError(
            f"{path} was trained with another {', '.join(changed)}; use another out= folder, the "
            "settings of its config.yaml, or resume=null to start anew"
        )
    rank_zero_only(print)(f"going on from step {saved['global_step']} of {path}", flush=True)
    return path


def _kept(config: dict[str, Any], key: str) -> Any:
    if key == "data":
        return {k: v for k, v in config[key].items() if k not in FREE_DATA and v is not None}
    return config.get(key)


def _initialise(module: Any, weights: str | Mapping[str, str | None]) -> None:
    """Start from weights of ours or from an official checkpoint, raw and averaged alike.

    weights: a file, or files (or None) by the part of a module with several networks.
    """
    for part, name in weights.items() if isinstance(weights, Mapping) else [("", weights)]:
        if name is None:
            continue
        path, network = find(name, "init_weights"), module.network.get_submodule(part)
        if isinstance(network, ADMEncoder) and not is_ours(path):
            start_from_imagenet(network, read_checkpoint(path))
        else:
            state = read_weights(path, "averaged") if is_ours(path) else read_checkpoint(path)
            network.load_state_dict(widened(network, state))
    module.ema.net.load_state_dict(module.network.state_dict())
