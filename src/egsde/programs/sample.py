"""One translation run: compose, instantiate, translate, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from lightning.pytorch import (
    Callback,
    LightningDataModule,
    LightningModule,
    Trainer,
    seed_everything,
)
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.utils.data import DataLoader

from egsde.data import Written
from egsde.data.written import MANY
from egsde.methods.diffusion import Translator, networks_of
from egsde.networks import sha256_of
from egsde.programs.agreement import check_networks
from egsde.programs.build import Parts
from egsde.programs.callbacks import Report, Translate
from egsde.programs.callbacks.interrupts import Stopped
from egsde.programs.callbacks.lost import Lost
from egsde.programs.callbacks.outside import Outside
from egsde.programs.callbacks.rows import add_columns
from egsde.programs.callbacks.trajectories import Trajectories
from egsde.programs.callbacks.uncertainty import Uncertainty
from egsde.programs.compiled import compile_networks
from egsde.programs.first import look_first, name_foreign, refuse_unfinished
from egsde.programs.inputs import name_unread
from egsde.programs.lock import held
from egsde.programs.multiples import padded, translator_of
from egsde.programs.objectives import check_objective, returned
from egsde.programs.opened import opened
from egsde.programs.records import (
    claim,
    continued,
    recipe,
    refuse_inside,
    write_json,
)
from egsde.programs.report import report, told
from egsde.programs.run import (
    closing,
    command,
    given,
    prepare,
    stopped,
    together,
    versions,
)
from egsde.programs.secrets import values_in
from egsde.programs.series import finish
from egsde.programs.settings import options
from egsde.programs.shards import Shard, parsed
from egsde.programs.values import referred
from egsde.programs.written import write_summary


class Translation(LightningModule):
    """A translator as a module, so that a Trainer places it on every device."""

    def __init__(self, translator: Translator, data: LightningDataModule) -> None:
        super().__init__()
        self.translator, self.data = translator, data
        self.networks = nn.ModuleDict(networks_of(translator)).requires_grad_(False)

    def test_dataloader(self) -> DataLoader:
        return DataLoader([0])  # type: ignore[arg-type]

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """The Translate callback does the work when the epoch ends."""


def sample(cfg: DictConfig) -> Any:
    """Translate `cfg.split` of the source and measure; returns `cfg.objective`, for sweeps.

    ValueError where the folder holds another run's images.
    """
    out, config = prepare(cfg, "sample")
    if told := _own_settings(cfg):
        rank_zero_only(print)(told)
    shard = parsed(cfg.shard)
    name = ".lock" if shard is None else f".lock{shard.suffix}"
    with held(out, name, clean=shard is None):
        report = _translated(cfg, out, config, shard)
    return returned(cfg.objective, report.metrics.get)


def overrides() -> Sequence[str]:
    """The command line's, as they were written."""
    return HydraConfig.get().overrides.task if HydraConfig.initialized() else ()


def _translated(cfg: DictConfig, out: Path, config: dict[str, Any], shard: Shard | None) -> Report:
    claim(out, "sample.py")
    seed_everything(cfg.seed, workers=True, verbose=False)
    parts = Parts(cfg)
    data, translator = parts("data"), padded(translator_of(parts))
    module = Translation(translator, data)
    refuse_inside(out, data.domains, config["data"].get("root"))
    check_networks(module.networks.values(), data, check=cfg.check)
    if cfg.compile:
        compile_networks(module.networks.values())
    name_unread(data, translator, config["data"], overrides())
    record: dict[str, Any] = {
        "program": "sample.py",
        "command": command("sample", out),
        "config": config,
        "versions": versions(),
        "weights": {name: sha256_of(net) for name, net in module.networks.items()},
    }
    if cfg.shard == "merge":
        refuse_unfinished(out, data, cfg.split)
    every = data.translatable(cfg.split).ids
    record = continued(out, record, given(), len(every) > MANY)
    written = Written.recorded(out, record).naming(every)
    if shard is not None:
        data.mine = shard.has
    if data.single:
        rank_zero_only(print)("no set of images to compare with, so metrics are left out")
    metrics = None if data.single or shard is not None else parts("metrics")
    hidden: dict[str, Any] = {"environment": values_in(cfg)} if values_in(cfg) else {}
    made_with = recipe({**record, "config": {**record["config"], **hidden}})
    if metrics is not None:
        metrics.check(cfg.data.size, cfg.data.get("channels", 3))
    if cfg.objective != "fid" and shard is None:
        check_objective(cfg.objective, [] if metrics is None else metrics.names)
    look_first(data, cfg.split, written, metrics)
    callbacks: list[Callback] = [
        others := Lost(lambda: f"{len(written.listed())} images are there"),
        callback := Translate(
            out, cfg.seed, cfg.split, metrics, columns=cfg.columns, recipe=made_with, shard=shard
        ),
    ]
    if shard is None:
        count = cfg.get("uncertainty")
        judge = parts("judge") if count and (cfg.get("judge") or {}).get("weights") else None
        more = Uncertainty(out, cfg.seed, cfg.split, count, judge)
        known = Outside(out, cfg.seed, cfg.split, cfg.get("outside") if count else None)
        callbacks += [Trajectories(out, cfg.seed, cfg.split, cfg.trajectory), more, known]
    loggers = list(parts("logger").values())
    with closing(loggers):
        trainer: Trainer = parts(
            "trainer",
            logger=loggers,
            callbacks=callbacks,
            default_root_dir=out,
            enable_progress_bar=False,
            enable_checkpointing=False,
        )
        others.watch(trainer)
        if trainer.is_global_zero:
            write_json(out / "run.json", record, shared=True)
            name_foreign(written, every)
            for logger in loggers:
                logger.log_hyperparams(config)
        with together(trainer, out, others.standing):
            trainer.test(module, verbose=False)
        assert callback.report is not None
        if trainer.is_global_zero and not (out / "run.json").exists():  # deleted in the meantime
            write_json(out / "run.json", record, shared=True)
        if trainer.is_global_zero and shard is None:
            finish(data, cfg.split, written, callback.report)
            for columns in (more.columns, known.columns):
                callback.report.per_image = add_columns(callback.report.per_image, columns)
            callback.report.metrics |= known.metrics
            callback.report.protocol |= known.protocol
            _write(out, callback.report)
            if cfg.report:
                print(told(report(opened(out, data, cfg.split), cfg.report)))
        elif trainer.is_global_zero:
            print(f"shard {shard}: its {callback.report.n} images are in {out / 'images'}")
        if signum := callback.interrupts.received:  # while all was measured
            there = len(written.listed())
            stopped(out, Stopped(signum), f"{there} images are there, and measured", trainer)
    return callback.report


def build_translator(cfg: DictConfig) -> Translator:
    """`cfg.translator`; a network that several of its parts refer to is one."""
    return translator_of(Parts(cfg))


def _own_settings(cfg: DictConfig) -> str | None:
    """What to say where neither an experiment nor the data set brings settings of its own."""
    if not HydraConfig.initialized() or "t_start" not in referred(cfg, "translator"):
        return None
    choices = HydraConfig.get().runtime.choices
    known = choices.get("settings") in options("settings", "sample")
    if known or choices.get("experiment") not in ("default", "none"):
        return None
    said = f"t_start={OmegaConf.select(cfg, 'translator.t_start', default=cfg.t_start)}"
    if "energy" in referred(cfg, "translator") and "weights" in cfg.energy:
        weights = ", ".join(f"{name} {value}" for name, value in cfg.energy.weights.items())
        said += f", weights {weights}, low pass factor={cfg.factor}"
    return (
        f"settings of the paper, scaled to {cfg.data.size} px: {said}; what suits these images and "
        "networks is found as docs/choosing.md says"
    )


def _write(out: Path, report: Report) -> None:
    write_summary(
        out,
        report.per_image,
        n=report.n,
        nfe=report.nfe,
        seconds_per_image=report.seconds_per_image,
        protocol=report.protocol,
        metrics=report.metrics,
        intervals=report.intervals,
    )
    images = "1 image" if report.n == 1 else f"{report.n} images"
    print(f"{images} in {out / 'images'}; look at {out / 'grid.png'}")
