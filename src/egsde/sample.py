"""One translation run: compose, instantiate, translate, report."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.utils.data import DataLoader

from egsde.callbacks import Report, Translate
from egsde.networks import sha256_of
from egsde.run import closing, prepare, versions
from egsde.translators import Translator, networks_of

# What may differ between a run and its continuation: it changes no image.
FREE = ("out", "trainer", "logger", "metrics", "limit", "columns", "objective", "data.limit",
        "data.batch_size", "data.eval_batch_size", "data.num_workers")  # fmt: skip
NETWORKS = {"score", "source_score", "extractor"}
READ = {*NETWORKS, "t_start", "factor", "sampler", "energy"}


class Translation(LightningModule):
    """A translator as a module, so that a Trainer places it on every device."""

    def __init__(self, translator: Translator, data: LightningDataModule) -> None:
        super().__init__()
        self.translator, self.data = translator, data
        self.networks = nn.ModuleDict(networks_of(translator))

    def test_dataloader(self) -> DataLoader:
        return DataLoader([0])  # type: ignore[arg-type]

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """The Translate callback does the work when the epoch ends."""


def sample(cfg: DictConfig) -> float | None:
    """Translate `cfg.split` of the source and measure; returns `cfg.objective`, for sweeps.

    ValueError where the folder holds another run's images.
    """
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else ()
    if names := without_effect(cfg, given):
        rank_zero_warn(
            f"{' and '.join(names)}: no effect, the translator does not read it; its own settings "
            "are those of conf/translator"
        )
    out, config = prepare(cfg)
    seed_everything(cfg.seed, workers=True, verbose=False)
    data = instantiate(cfg.data)
    translator = build_translator(cfg)
    module = Translation(translator, data)
    record = {
        "config": config,
        "versions": versions(),
        "weights": {name: sha256_of(net) for name, net in module.networks.items()},
    }
    _refuse_other_run(out / "run.json", record)
    if data.single:
        rank_zero_only(print)("one image: nothing to compare with, so metrics are left out")
    metrics = instantiate(cfg.metrics) if cfg.get("metrics") and not data.single else None
    callback = Translate(out, cfg.seed, cfg.split, metrics, columns=cfg.columns)
    loggers = [instantiate(node) for node in cfg.logger.values()]
    with closing(loggers):
        trainer: Trainer = instantiate(
            cfg.trainer,
            logger=loggers,
            callbacks=[callback],
            default_root_dir=out,
            enable_progress_bar=False,
            enable_checkpointing=False,
        )
        if trainer.is_global_zero:
            _write_json(out / "run.json", record)
            for logger in loggers:
                logger.log_hyperparams(config)
        trainer.test(module, verbose=False)
        assert callback.report is not None
        if trainer.is_global_zero:
            _write(out, callback.report)
    value = callback.report.metrics.get(cfg.objective)
    return None if value is None else float(value)


def build_translator(cfg: DictConfig) -> Translator:
    """`cfg.translator`; networks that it refers to are built once and shared by all its parts."""
    built = OmegaConf.create(cfg, flags={"allow_objects": True, "struct": False})
    for name in sorted(NETWORKS & referred(cfg, "translator")):
        built[name] = instantiate(cfg[name])
    return instantiate(built.translator)


def referred(cfg: DictConfig, name: str) -> set[str]:
    """The top-level nodes that a node refers to by ${...}, directly or through others."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        node = cfg.get(waiting.pop())
        if isinstance(node, DictConfig):
            names = set(re.findall(r"\$\{(?:oc\.select:)?(\w+)", OmegaConf.to_yaml(node))) - seen
            seen |= names
            waiting += names
    return seen


def without_effect(cfg: DictConfig, overrides: Iterable[str]) -> list[str]:
    """Of the settings that translators may read, those overridden that this one does not."""
    names = dict.fromkeys(re.split(r"[=./@]", o.lstrip("+~"))[0] for o in overrides)
    read = referred(cfg, "translator") | referred(cfg, "metrics")
    return [name for name in names if name in READ - read]


def _refuse_other_run(path: Path, record: dict[str, Any]) -> None:
    if not path.exists():
        return
    records = (json.loads(path.read_text()), json.loads(json.dumps(record)))
    old, new = (_flat({"config": r["config"], "weights": r["weights"]}) for r in records)
    free = tuple(f"config.{key}" for key in FREE)
    changed = [
        key
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
        and not any(key == f or key.startswith(f + ".") for f in free)
    ]
    if changed:
        shown = "; ".join(f"{k} was {old.get(k)}, is {new.get(k)}" for k in changed[:5])
        raise ValueError(
            f"{path.parent} holds images of another run ({shown}); use another out= folder, or the "
            "same settings to continue it"
        )


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {prefix: node}
    items = [_flat(v, f"{prefix}.{k}" if prefix else str(k)) for k, v in node.items()]
    return {k: v for item in items for k, v in item.items()}


def _write(out: Path, report: Report) -> None:
    summary = {
        "n": report.n,
        "nfe": report.nfe,
        "seconds_per_image": report.seconds / report.translated if report.translated else None,
        "protocol": report.protocol,
        "metrics": report.metrics,
    }
    _write_json(out / "metrics.json", summary)
    if report.per_image:
        with (out / "images.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(report.per_image[0]))
            writer.writeheader()
            writer.writerows(report.per_image)
    for name, value in report.metrics.items():
        print(f"{name:12s} {value:.4f}")
    images = "1 image" if report.n == 1 else f"{report.n} images"
    print(f"{images} in {out / 'images'}; look at {out / 'grid.png'}")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.replace(path)
