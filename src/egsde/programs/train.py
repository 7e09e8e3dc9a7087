"""One training run: compose, instantiate, fit. Leaves checkpoints, metrics.csv, weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities.rank_zero import rank_zero_only, rank_zero_warn
from omegaconf import DictConfig

from egsde.old_names import current
from egsde.programs.build import Parts
from egsde.programs.callbacks.best import BEST
from egsde.programs.callbacks.checkpoints import LAST, PREVIOUS, TwoFiles, read
from egsde.programs.callbacks.export import steps_in
from egsde.programs.callbacks.lost import Lost
from egsde.programs.callbacks.steps import time_is_over
from egsde.programs.folders import to_give_back
from egsde.programs.initial import initialise
from egsde.programs.latents import train_in
from egsde.programs.lock import held
from egsde.programs.measured import measured
from egsde.programs.messages import readable
from egsde.programs.objectives import returned
from egsde.programs.records import claim, refuse_inside
from egsde.programs.resumed import differences
from egsde.programs.run import closing, given, prepare, save_yaml, together
from egsde.programs.validating import check_names, settle, translation
from egsde.scores.blueprints import described

LEFT = ("checkpoints", "weights.safetensors", "metrics.csv")
# What a resumed run must share with the run before, and what of it may differ.
KEPT = ("kind", "network", "sde", "prediction", "codec", "module", "data", "seed")
FREE = ("root", "store", "num_workers", "eval_batch_size", "cache_mib", "limit", "mask", "low")


def train(cfg: DictConfig) -> Any:
    """Train `cfg.module` on `cfg.data`; returns the logged `cfg.objective`, for sweeps.

    ValueError where a checkpoint in the run's folder was made with another configuration.
    """
    out, config = prepare(cfg, "train", settle)
    described(config, cfg.allow)  # now, not when the weights are written
    with held(out):
        claim(out, "train.py")
        checkpoint = _checkpoint_to_resume(cfg.resume, out, config)
        _check_length(cfg.trainer)
        seed_everything(cfg.seed, workers=True, verbose=False)
        parts = Parts(cfg)
        data = parts("data")
        refuse_inside(out, data.domains, config["data"].get("root"))
        if (ends := measured(data)) is not None:
            config["data"]["range"] = ends
        for split in ("train", "val"):
            data.viewed(split)
        module = parts("module")
        module.seed, module.config = cfg.seed, config
        train_in(parts, module, data)
        if cfg.init_weights is not None and checkpoint is None:
            initialise(module, cfg.init_weights)
        if cfg.compile:
            module.network.compile()
        trainer = _fit(parts, out, config, module, data, checkpoint)
    found = {**module.validated, **trainer.callback_metrics}
    return returned(cfg.objective, found.get)


def _fit(
    parts: Parts, out: Path, config: dict[str, Any], module: Any, data: Any,
    checkpoint: Path | None,
) -> Trainer:  # fmt: skip
    bare = parts.cfg.trainer.get("barebones", False)
    loggers = [made for made in (parts("logger") or {}).values() if made and not bare]
    validation = translation(parts, module)
    check_names(parts.cfg, module, getattr(validation, "metrics", None))
    made = parts("callbacks") or {}
    callbacks = {k: callback for k, callback in made.items() if allowed(callback, parts.cfg)}
    saver, export = callbacks.get("checkpoint"), callbacks.get("export")
    if export is not None:
        export.allow = config["allow"]
    best, curve = callbacks.get("best"), callbacks.get("curve")
    if best is not None:
        best.translates = validation is not None
    others = Lost(saver.standing if saver is not None else lambda: "nothing is saved")
    with closing(loggers):
        trainer: Trainer = parts(
            "trainer",
            logger=loggers or False,
            callbacks=[others, *([validation] if validation else []), *callbacks.values()],
            plugins=[TwoFiles(_of_another(out, checkpoint))],
            default_root_dir=out,
            enable_checkpointing=False,
        )
        others.watch(trainer)
        if trainer.is_global_zero:
            given = to_give_back(config, parts.cfg, out, f"outputs/{config['kind']}")
            save_yaml(out / "config.yaml", given)
            for logger in loggers:
                logger.log_hyperparams(config)
        with _restoring(checkpoint, module), together(trainer, out, others.standing):
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        if trainer.global_step == 0:
            raise ValueError(
                "no step was made, so there are no weights: trainer.max_time was over before the "
                "first, or trainer.limit_train_batches leaves no batch"
            )
        if export is not None:  # a run that was stopped between its last step and its export
            export.save(trainer, module)
        left = [_named(out / name, trainer.global_step) for name in LEFT if (out / name).exists()]
        told = f"{', '.join(left)} in {out}" if left else f"nothing is kept in {out}"
        rank_zero_only(print)(f"step {trainer.global_step}: {told}{time_is_over(trainer)}")
        for teller in (curve, best):
            if teller is not None:
                teller.tell()
    return trainer


def _of_another(out: Path, checkpoint: Path | None) -> list[Path]:
    """What a training that does not go on from its own folder's checkpoint begins over."""
    folder = out / "checkpoints"
    if checkpoint is not None and checkpoint.parent.resolve() == folder.resolve():
        return []
    return [*(folder / name for name in (LAST, PREVIOUS, BEST)), out / "weights.safetensors"]


def _named(path: Path, step: int) -> str:
    """A file's name; and of which step weights are that were not written, as without export."""
    there = steps_in(path) if path.suffix == ".safetensors" else step
    if there == step:
        return path.name
    return f"{path.name} ({'damaged' if there is None else f'of step {there}'})"


@contextlib.contextmanager
def _restoring(checkpoint: Path | None, module: Any) -> Iterator[None]:
    """ValueError for a checkpoint with which the training has failed before its first step."""
    try:
        yield
    except Exception as error:
        if checkpoint is None or module.begun or readable(error, "train") is not None:
            raise
        raise ValueError(
            f"{checkpoint} cannot be restored ({type(error).__name__}: "
            f"{str(error).splitlines()[0][:200] if str(error) else ''}): it was made by another "
            "program or version, or was changed; give another resume=PATH, or resume=null to "
            "start anew"
        ) from error


def allowed(callback: Any, cfg: DictConfig) -> bool:
    """Whether there is a callback and no switch of the Trainer that refuses it."""
    trainer = cfg.trainer
    off = trainer.get("barebones") or trainer.get("enable_progress_bar") is False
    saves = trainer.get("enable_checkpointing") is not False
    needed = getattr(callback, "needs", None)
    return not (
        callback is None
        or (off and isinstance(callback, ProgressBar))
        or (not saves and getattr(callback, "saves", False))
        or (needed is not None and cfg.get(needed) is None)
    )


def _check_length(trainer: DictConfig) -> None:
    timed = trainer.max_steps == -1 and trainer.get("max_time") is not None
    if trainer.get("max_epochs") is not None or (trainer.max_steps < 1 and not timed):
        raise ValueError(
            "training is counted in steps, its batches never end: give trainer.max_steps, 1 or "
            f"more (got {trainer.max_steps}), or -1 with +trainer.max_time=DAYS:HOURS:MINUTES:"
            "SECONDS in quotes, and no trainer.max_epochs"
        )


def _checkpoint_to_resume(resume: str | None, out: Path, config: dict[str, Any]) -> Path | None:
    """The checkpoint to go on from, checked to be whole and of the same model and data."""
    if resume is None:
        return None
    folder = out / "checkpoints"
    paths = [folder / LAST, folder / PREVIOUS] if resume == "auto" else [Path(resume)]
    found = [path for path in paths if path.is_file()]
    if not found:
        if resume == "auto":
            if left := [name for name in LEFT[1:] if (out / name).exists()]:
                rank_zero_warn(f"no checkpoint in {folder}: starts anew, over {', '.join(left)}")
            return None
        if paths[0].is_dir():
            raise ValueError(f"resume={resume} is a folder; a run's has checkpoints/{LAST}")
        raise FileNotFoundError(
            f"no checkpoint at {paths[0].absolute()}; give one that exists, resume=PATH, or "
            "resume=auto, which takes the run's own where there is one"
        )
    damaged: list[str] = []
    for path in found:
        try:
            saved = read(path)
        except ValueError as error:
            damaged.append(str(error))
            continue
        if not isinstance(saved.get("config"), dict):
            raise ValueError(f"{path} holds no configuration, so it is no checkpoint of train.py")
        more = ("batch_size",) if "step" in saved else ()  # with the processes, as it is restored
        _refuse_another_run(path, current(saved["config"]), config, (*FREE, *more))
        if damaged:
            rank_zero_warn(f"{damaged[0]}; the one before is taken")
        rank_zero_only(print)(f"going on from step {saved['global_step']} of {path}", flush=True)
        return path
    raise ValueError(
        f"{'; '.join(damaged)}; give another resume=PATH, or resume=null to start anew"
    )


def _refuse_another_run(
    path: Path, before: dict[str, Any], now: dict[str, Any], free: Sequence[str]
) -> None:
    old, new = ({key: config.get(key) for key in KEPT} for config in (before, now))
    if (now.get("data") or {}).get("range") is None:  # measured again, and the same
        old = {**old, "data": {**(old.get("data") or {}), "range": None}}
    if changed := differences(old, new, free=[f"data.{key}" for key in free], given=given()):
        raise ValueError(
            f"{path} is of another run: {'; '.join(changed[:5])}. Use another out= folder, the "
            "settings of its config.yaml, or resume=null to start anew"
        )
