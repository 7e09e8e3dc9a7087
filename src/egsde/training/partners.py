"""Where the unpaired cycle model gets the partner of an image: sampled now, or kept from before.

A partner of x is a sample of the model's own p(y | x) (the thesis's in-loop sampler). A fixed start
of the coupling matters: from independent partners the model learns p(y) and stays there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from egsde.methods.diffusion import Translator, networks_of
from egsde.noise import Noise
from egsde.sampling.sampler import Sampler, Walk
from egsde.scores.conditional import ConditionalScore
from egsde.sde.reverse import Reverse
from egsde.training.in_loop import Detached, GradientMode
from egsde.training.ranks import all_gather

Prepare = Callable[[Tensor], Tensor]


class Partners(Protocol):
    """(direction, score, images, ids, noise) -> images of the other domain, or None: not yet.

    direction: "x" or "y", the domain that is made; score: that domain's, given the other's images.
    """

    def __call__(
        self, direction: str, score: ConditionalScore, images: Tensor, ids: Sequence[str],
        noise: Noise,
    ) -> Tensor | None: ...  # fmt: skip


@dataclass(frozen=True)
class InLoop:
    """A sample of the score given the images, in every step.

    mode: which gradients it keeps (`training.in_loop`). t_start: from the noised images at this
    time; None: from pure noise at sde.T.
    """

    sampler: Sampler
    mode: GradientMode = Detached()
    t_start: float | None = None

    def __call__(
        self, direction: str, score: ConditionalScore, images: Tensor, ids: Sequence[str],
        noise: Noise,
    ) -> Tensor:  # fmt: skip
        sde, eps = score.sde, noise.stream("start")(images)
        times = self.sampler.times(sde, sde.T if self.t_start is None else self.t_start)
        clean = torch.zeros_like(images) if self.t_start is None else images
        start = sde.perturb(clean, times[0], eps)
        walk = Walk(self.sampler, Reverse(sde, score.given(images)), times, noise)
        return self.mode(walk, start)


@dataclass(frozen=True)
class Coupling:
    """How the first partners come about.

    start: direction -> translator that makes an image's first partner (EGSDE, SDEdit, a blur). A
    direction without one has no partners for `wait` steps, while the other learns; then the model
    makes them. prepare: what the second partner is made from, by default the image itself; with a
    blur as the start, the blurred image, which is all that the model knows by then. ValueError for
    other directions than x and y.
    """

    start: Mapping[str, Translator] = field(default_factory=dict)
    prepare: Prepare | None = None
    wait: int = 0

    def __post_init__(self) -> None:
        if unknown := set(self.start) - {"x", "y"}:
            raise ValueError(f"start has {sorted(unknown)}; its directions are x and y")


class KeptPartners(nn.Module):
    """Partners are kept, by direction and id, and made anew by `inner` after `every` uses.

    They are kept in half precision, in the checkpoint too. ValueError for every < 1.
    """

    are_data = True  # no gradient flows through them

    def __init__(self, inner: InLoop, every: int = 5, coupling: Coupling | None = None) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"a partner is used at least once, got every={every}")
        self.inner, self.every, self.coupling = inner, every, coupling or Coupling()
        self.kept: dict[str, Tensor] = {}
        self.rounds: dict[str, int] = {}  # how often a partner was made
        self.uses: dict[str, int] = {}  # of the partner that is kept
        self.calls = {"x": 0, "y": 0}

    def __call__(
        self, direction: str, score: ConditionalScore, images: Tensor, ids: Sequence[str],
        noise: Noise,
    ) -> Tensor | None:  # fmt: skip
        self.calls[direction] += 1
        names = [f"{direction}/{name}" for name in ids]
        stale = [i for i, n in enumerate(names) if self.uses.get(n, self.every) >= self.every]
        new = [i for i in stale if names[i] not in self.rounds]
        old = [i for i in stale if names[i] in self.rounds]
        mine: list[tuple[str, Tensor]] = []
        waits = False
        for rows, first in ((new, True), (old, False)):
            made = self._make(direction, score, images[rows], [ids[i] for i in rows], noise, first)
            if waits := made is None:
                break
            kept = made.detach().half().cpu()
            mine += [(names[i], image) for i, image in zip(rows, kept, strict=True)]
        # What all processes keep is the same: their batches are one, and a checkpoint has it once.
        every = all_gather((waits, mine, names))
        if any(waits for waits, *_ in every):
            return None
        for name, image in (pair for _, part, _ in every for pair in part):
            self._keep(name, image)
        for name in (name for *_, used in every for name in used):
            self.uses[name] += 1
        return torch.stack([self.kept[name].to(images) for name in names])

    def _make(
        self, direction: str, score: ConditionalScore, images: Tensor, ids: Sequence[str],
        noise: Noise, first: bool,
    ) -> Tensor | None:  # fmt: skip
        if len(ids) == 0:
            return images
        noise = replace(noise, ids=ids)
        if first and direction in self.coupling.start:
            translator = self.coupling.start[direction]
            for network in networks_of(translator).values():
                network.to(images.device)
            return translator(images, noise)
        if first and self.calls[direction] <= self.coupling.wait:
            return None
        again = [self.rounds.get(f"{direction}/{name}") == 1 for name in ids]
        if self.coupling.prepare is not None:
            asked = torch.tensor(again, device=images.device)[:, None, None, None]
            images = torch.where(asked, self.coupling.prepare(images), images)
        made = self.inner(direction, score, images, ids, noise).detach()
        return made.clamp(-1, 1)  # an untrained score's samples have no bounds

    def _keep(self, name: str, image: Tensor) -> None:
        self.kept[name] = image
        self.rounds[name] = self.rounds.get(name, 0) + 1
        self.uses[name] = 0

    def get_extra_state(self) -> dict[str, Any]:
        return {
            "kept": self.kept, "rounds": self.rounds, "uses": self.uses, "calls": self.calls,
        }  # fmt: skip

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.kept, self.rounds = state["kept"], state["rounds"]
        self.uses, self.calls = state["uses"], state["calls"]
