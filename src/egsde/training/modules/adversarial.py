"""Generators against judges: CycleGAN, pix2pix, CUT and FastCUT are parts of one loss.

    generators:  sum over judges of game.fool(D(made)) + sum over terms of weight * term
    judges:      game.judge(D(real), D(made of before)) + penalty

both in one step of one optimiser: what the generators minimise sees judges that are held, and what
the judges minimise sees images that are data, so neither gradient reaches the other's parameters.
This is CycleGAN's own order, whose judges see images that were made before the generator's step;
pix2pix and CUT let the judge go first, and here the generator answers the judge of the step before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from egsde.scores.generator import Generator
from egsde.training.adversarial import Game, LeastSquares, Pool, Round, Term, ZeroCentred
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.tasks import Task


@contextmanager
def held(network: nn.Module) -> Iterator[None]:
    """Inside, gradients flow through the network and not into its parameters."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    for p in parameters:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad_(True)


class AdversarialModule(TimedModule):
    """Trains on the batch's "x" and "y", unpaired (data.view=both) or not, as the terms have it.

    generators: to_y, and to_x where a term asks for it. judges: y, and x beside to_x; none leaves
    the game out. heads: of PatchNCE. conditional: a judge sees the source beside the image
    (pix2pix). flip: mirror the generators' input at half of the steps (FastCUT). task: batch ->
    condition and target, for batches without x and y (pre-training as restoration). The weights
    hold all networks under their names. ValueError for names that do not fit.
    """

    def __init__(
        self,
        generators: Mapping[str, nn.Module],
        judges: Mapping[str, nn.Module],
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        terms: Mapping[str, Term | None],
        ema_decay: float = 0.999,
        game: Game = LeastSquares(),  # noqa: B008 (frozen)
        pool: int = 50,
        penalty: ZeroCentred | None = None,
        heads: nn.Module | None = None,
        conditional: bool = False,
        flip: bool = False,
        task: Task | None = None,
    ) -> None:
        if "to_y" not in generators or not set(generators) <= {"to_x", "to_y"}:
            raise ValueError(f"generators are to_y and, if any, to_x; got {sorted(generators)}")
        if wrong := [name for name in judges if f"to_{name}" not in generators]:
            raise ValueError(f"judges {wrong} have no generator of that name: {sorted(generators)}")
        parts = {**generators, **{f"judge_{name}": judge for name, judge in judges.items()}}
        if heads is not None:
            parts["heads"] = heads
        super().__init__(nn.ModuleDict(parts), optimizer, schedule, ema_decay)
        self.terms = {name: term for name, term in terms.items() if term is not None}
        self.judges, self.game, self.pool, self.penalty = list(judges), game, Pool(pool), penalty
        self.conditional, self.flip, self.task = conditional, flip, task

    @property
    def averaged(self) -> Generator:
        """The generator of the target, averaged."""
        return self.with_averaged_net(Generator(self.parts["to_y"]), "to_y")

    @property
    def parts(self) -> Any:
        """The generators and judges by name."""
        return self.network

    def images(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """x and y of a batch."""
        if self.task is not None:
            pair = self.task(batch | {"draws": self.draws})
            return pair.condition, pair.target
        if not {"x", "y"} <= batch.keys():
            raise ValueError(
                f"adversarial training needs x and y, but the batch has {', '.join(sorted(batch))};"
                " add data.view=both, or data.view=paired for pix2pix"
            )
        return batch["x"], batch["y"]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        x, y = self.images(batch)
        flipped = self.flip and float(torch.rand((), generator=self.common)) < 0.5
        now = Round(self.parts, x, y, flipped, self.common)
        total = torch.zeros((), device=self.device)
        for name in self.judges:
            total = total + self.contest(name, now)
        for name, term in self.terms.items():
            value = term(now)
            self.means.add(f"train/{name}", value, len(x))
            total = total + term.weight * value
        self.log("total", total, prog_bar=True, logger=False)
        self.means.add("train/total", total, len(x))
        return total

    def contest(self, name: str, now: Round) -> Tensor:
        """Both sides' losses about images of domain `name`."""
        judge = self.parts[f"judge_{name}"]
        real, source = (now.shown(i) for i in ((now.y, now.x) if name == "y" else (now.x, now.y)))
        made = now.made_y if name == "y" else now.made_x
        true = self.seen(source, real)
        with held(judge):
            fooled = self.game.fool(judge(self.seen(source, made)), lambda: judge(true))
        shown = self.pool(name, self.seen(source, made).detach(), *self.chances(made))
        judged = self.game.judge(judge(true), judge(shown))
        self.means.add(f"train/fool_{name}", fooled, len(made))
        self.means.add(f"train/judge_{name}", judged, len(made))
        if self.penalty is not None and self.penalty.due(self.draw):
            judged = judged + self.penalty(judge, true, shown)
        return fooled + judged

    def chances(self, made: Tensor) -> tuple[Tensor, Tensor]:
        """For the pool: whether to exchange, and what for."""
        if self.pool.size == 0:
            return torch.zeros(len(made)), torch.zeros(len(made))
        return self.draws.uniform(made), self.draws.uniform(made)

    def seen(self, source: Tensor, image: Tensor) -> Tensor:
        """What a judge is shown."""
        return torch.cat([source, image], dim=1) if self.conditional else image

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The pictures tell more than a game's losses."""
