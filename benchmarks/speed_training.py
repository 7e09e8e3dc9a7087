"""A training step of train.py beside the bare loop of PyTorch on the same network.

    python benchmarks/speed_training.py --out runs/speed_training --steps 30

What follows the options is given to train.py. The bare loop has the same batches in memory, the
same draw of t and eps, AdamW with clipped gradients and an average of the weights, and nothing
else. Both run in turns in one process; the numbers are medians over the steps, processor seconds on
a CPU. Leaves training.csv: seconds a step, images a second by the clock, the share of a step that
is neither forward nor backward, and how much longer a step of train.py takes.
"""

from __future__ import annotations

import egsde  # noqa: F401 (before Lightning: it mends torchvision)

# isort: split
import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch import Callback
from omegaconf import open_dict
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from egsde.programs.settings import CONF
from egsde.programs.train import train
from egsde.programs.written import write_table

WARM = 5  # steps of each run that are not counted
Row = dict[str, Any]


def now() -> tuple[float, float]:
    """Processor seconds on a CPU, else the clock's once the device is done; and the clock's."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return (time.perf_counter(),) * 2
    return time.process_time(), time.perf_counter()


class Clock(Callback):
    """Notes when steps begin, and the seconds of each inside forward and backward."""

    def __init__(self) -> None:
        self.begun: list[tuple[float, float]] = []
        self.inside: list[float] = []
        self.network: Any = None
        self.batches: list[torch.Tensor] = []
        self.calls = 0

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        inner, self.network, self.score = module.training_step, module.network, module.score
        module.network.register_forward_pre_hook(lambda *_: setattr(self, "calls", self.calls + 1))

        def timed(*arguments: Any) -> Any:
            began = now()[0]
            found = inner(*arguments)
            self.inside[-1] += now()[0] - began
            return found

        module.training_step = timed

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self.begun.append(now())
        self.inside.append(0.0)
        self.batches.append(batch["image"])

    def on_before_backward(self, trainer: Any, module: Any, loss: Any) -> None:
        self.began = now()[0]

    def on_after_backward(self, trainer: Any, module: Any) -> None:
        self.inside[-1] += now()[0] - self.began


def row_of(name: str, begun: list[tuple[float, float]], inside: list[float], images: int) -> Row:
    """Medians over the steps after the first ones."""
    pairs = list(zip(begun[WARM:-1], begun[WARM + 1 :], strict=True))
    taken = [b[0] - a[0] for a, b in pairs]
    wall = statistics.median(b[1] - a[1] for a, b in pairs)
    outside = [1 - part / whole for part, whole in zip(inside[WARM:], taken, strict=False)]
    return {
        "loop": name,
        "seconds_a_step": statistics.median(taken),
        "images_a_second": images / wall,
        "outside": statistics.median(outside),
    }


def ours(out: Path, steps: int, overrides: list[str]) -> Clock:
    """train.py's own run, with a clock among its callbacks."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", ["translate=null", *overrides, f"trainer.max_steps={steps}",
                                f"trainer.val_check_interval={steps + 1}"])  # fmt: skip
    clock = Clock()
    with open_dict(cfg):
        cfg.out = str(out)
        cfg.callbacks.clock = {"_target_": f"{__name__}.given"}
    GIVEN[:] = [clock]
    train(cfg)
    return clock


GIVEN: list[Clock] = []


def given() -> Clock:
    """The clock of the run that starts."""
    return GIVEN[-1]


def bare(score: Any, network: nn.Module, batches: list[torch.Tensor]) -> Row:
    """The same steps in a loop of PyTorch; the network goes on learning."""
    network.to(batches[0].device)  # Lightning leaves it on the CPU
    sde, average = score.sde, [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    moved = get_ema_multi_avg_fn(0.999)
    begun, inside = [], []
    network.train()
    for image in batches:
        begun.append(now())
        t = torch.rand(len(image), 1, 1, 1, dtype=torch.float64, device=image.device)
        t, eps = sde.training_time(t), torch.randn_like(image)
        x = (sde.alpha(t) * image + sde.sigma(t) * eps).to(image.dtype)
        began = now()[0]
        predicted = network(x, sde.network_time(t).flatten().to(x))
        loss = (predicted[:, : x.shape[1]] - eps).square().mean()
        optimizer.zero_grad()
        loss.backward()
        inside.append(now()[0] - began)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            moved(average, list(network.parameters()), None)
    return row_of("bare", begun, inside, len(batches[0]))


def main(arguments: list[str] | None = None) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("overrides", nargs="*", help="of train.py")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        clock = ours(Path(folder) / "run", WARM + args.steps + 1, args.overrides)
    mine = row_of("train.py", clock.begun, clock.inside, len(clock.batches[0]))
    mine["calls_a_step"] = clock.calls / len(clock.begun)
    other = bare(clock.score, clock.network, clock.batches)
    mine["over_bare"] = mine["seconds_a_step"] / other["seconds_a_step"]
    write_table(args.out / "training.csv", [mine, other])
    for row in (mine, other):
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return [mine, other]


if __name__ == "__main__":
    main()
