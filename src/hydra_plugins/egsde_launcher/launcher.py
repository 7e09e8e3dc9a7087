"""A Hydra launcher that runs every job of a sweep as a process of its own, one after the other.

    python train.py -m hydra/launcher=subprocess trainer=ddp_cpu seed=0,1,2

A job is then the same command line as a single run, so it may start several processes itself
(under Hydra's own launchers every process of a job would start the whole sweep again), and what it
leaks ends with it. What the job returns comes back in a file, so sweepers see the same values.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

RESULT = "EGSDE_RESULT"  # as in programs/cli.py, which Hydra, that loads this early, must not need
# Set by Lightning for the processes of one job, hence not for another job.
OF_A_JOB = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED")
# Hydra's options that belong to the sweep; all others are passed on.
OF_THE_SWEEP = ("mode", "launcher", "sweeper", "run", "sweep")


TARGET = "hydra_plugins.egsde_launcher.launcher.SubprocessLauncher"
ConfigStore.instance().store(
    group="hydra/launcher", name="subprocess", node={"_target_": TARGET}, provider="egsde"
)


class SubprocessLauncher(Launcher):
    """One fresh process per job; a job that fails does not keep the next from running."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.context, self.config = hydra_context, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return [
            self._job(list(overrides), number)
            for number, overrides in enumerate(job_overrides, initial_job_idx)
        ]

    def _job(self, overrides: list[str], number: int) -> JobReturn:
        # As in a job of Hydra's own launcher; also refuses wrong overrides before anything runs.
        cfg = self.context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(cfg):
            cfg.hydra.job.id = cfg.hydra.job.num = number
        out = (Path(str(cfg.hydra.sweep.dir)) / str(cfg.hydra.sweep.subdir)).resolve()
        out.mkdir(parents=True, exist_ok=True)
        task = filter_overrides(overrides)
        print(f"job {number}: {' '.join(task)}", flush=True)
        result = out / ".result.json"
        result.unlink(missing_ok=True)
        environment = {k: v for k, v in os.environ.items() if k not in OF_A_JOB}
        quoted = str(out).replace("\\", "\\\\").replace("'", "\\'")
        environment.setdefault("WANDB_RUN_GROUP", Path(str(cfg.hydra.sweep.dir)).absolute().name)
        command = [sys.executable, "-m", "egsde", str(self.config.hydra.job.config_name), *task]
        from egsde.programs.ended import launched  # may not be there when a plug-in is loaded

        code = launched(
            [*command, *self._passed_on(), f"hydra.run.dir='{quoted}'", "hydra.mode=RUN"],
            environment | {RESULT: str(result)},
        )
        returned = JobReturn(overrides=task, cfg=cfg, working_dir=str(out))
        if code == 0:
            returned.status = JobStatus.COMPLETED
            returned.return_value = json.loads(result.read_text()) if result.exists() else None
        else:
            returned.status = JobStatus.FAILED
            returned.return_value = CompactHydraException(
                f"job {number} ({' '.join(task)}) ended with exit code {code}; why is told "
                f"above, its folder is {out}"
            )
        result.unlink(missing_ok=True)
        self.context.callbacks.on_job_end(config=cfg, job_return=returned)
        return returned

    def _passed_on(self) -> list[str]:
        """The options of Hydra itself on the command line, but those of the sweep."""
        return [
            override
            for override in self.config.hydra.overrides.hydra
            if override.lstrip("+~").replace("/", ".").split("=")[0].split(".")[1]
            not in OF_THE_SWEEP
        ]
