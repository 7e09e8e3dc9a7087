"""Gradients by the adjoint of the probability-flow ODE, in memory that does not know the steps.

    z = x / alpha, rho = sigma / alpha:  dz/drho = eps(alpha z, t)
    adjoint w = dL/dz:  dw/drho = -w . d eps/dz,   dL/dtheta = int w . d eps/dtheta drho

(Chen 2018, arXiv 1806.07366; the flow's linear part is solved exactly by z, as DDIM and EDM do.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from egsde.noise import Randn
from egsde.sampling.grids import Grid
from egsde.sampling.sampler import Walk
from egsde.sde.reverse import Reverse
from egsde.training.in_loop.base import made


@dataclass(frozen=True)
class _Silence:
    """Noise for solvers that need none: an ODE's."""

    solver: object

    def stream(self, key: str) -> Randn:
        def refuse(x: Tensor) -> Tensor:
            raise ValueError(
                f"Adjoint() differentiates the probability-flow ODE, but {self.solver} adds noise; "
                "use a deterministic solver (Heun, DDIM(eta=0), DPMSolverPP), or Checkpointed(), "
                "which is exact for every solver"
            )

        return refuse

    def child(self, key: object) -> _Silence:
        return self


def _rebuilt(part: Any, tensor: Callable[[Tensor], Tensor], found: list[nn.Module]) -> Any:
    """A score with its tensors replaced; its networks are noted in `found`.

    ValueError for what hides them: gradients to them would be lost without a word.
    """
    if isinstance(part, Tensor):
        return tensor(part)
    if isinstance(part, nn.Module):
        found.append(part)
        return part
    if is_dataclass(part) and not isinstance(part, type):
        inside = {f.name: getattr(part, f.name) for f in fields(part) if f.init}
        return replace(part, **{k: _rebuilt(v, tensor, found) for k, v in inside.items()})
    return part


def _no_dropout(networks: Sequence[nn.Module]) -> None:
    for network in networks:
        for name, layer in network.named_modules():
            if layer.training and getattr(layer, "p", 0) and "Dropout" in type(layer).__name__:
                raise ValueError(
                    f"Adjoint() needs a network that is a function, but dropout is active in "
                    f"{name}; call eval(), set dropout=0, or use Checkpointed()"
                )


@dataclass(frozen=True)
class Adjoint:
    """The gradient of the flow through the sampled image, by Heun's method back along its times.

    Differentiates the ODE, not the solver's steps: `Full` is approached with order min(2, the
    solver's order). The states are found again from the last one, so nothing is kept but it. The
    denoising, or a chain's step into clean data, is no part of the flow: it is differentiated as
    it is, for the values that a multistep solver remembers held fixed.

    x, the networks' parameters and the tensors of reverse.score (a condition) get gradients; the
    score is a module, or a dataclass of modules and tensors (`ConditionalScore.given`). grid: the
    way back, None for the sampler's times (an adaptive solver has only two). ValueError for a
    solver that adds noise, active dropout and any other score.
    """

    grid: Grid | None = None

    def __call__(self, walk: Walk, x: Tensor) -> Tensor:
        times, sde = walk.times, walk.reverse.sde
        score: Any = walk.reverse.score
        if not (isinstance(score, nn.Module) or is_dataclass(score)):
            raise ValueError(
                f"Adjoint() cannot see what {score!r} depends on; pass a score model or "
                "score.given(condition), or use Checkpointed()"
            )
        tensors: list[Tensor] = []
        networks: list[nn.Module] = []

        def note(value: Tensor) -> Tensor:
            tensors.append(value)
            return value

        _rebuilt(score, note, networks)
        _no_dropout(networks)
        back = times if self.grid is None else self.grid.times(sde, float(times[0]))
        parameters = {id(p): p for net in networks for p in net.parameters() if p.requires_grad}
        flow = _Flow(replace(walk, noise=_Silence(walk.sampler.solver)), back)
        return _Through.apply(flow, len(tensors), x, *tensors, *parameters.values())


@dataclass(frozen=True)
class _Flow:
    """The run as an ODE and, behind it, at most one move that is none."""

    walk: Walk
    back: Tensor

    @property
    def reverse(self) -> Reverse:
        return self.walk.reverse

    @property
    def times(self) -> Tensor:
        return self.walk.times

    def split(self, reverse: Reverse) -> tuple[list, list]:
        """(moves along the flow, moves after it)."""
        moves = replace(self.walk, reverse=reverse).moves()
        steps = len(self.times) - 1
        end = steps if self.noisy(self.times[-1]) else steps - 1
        every = [move for _, move in moves]
        return every[:end], every[end:]

    def noisy(self, t: Tensor) -> bool:
        return float(self.reverse.sde.sigma(t)) > 0

    def levels(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """(t, alpha, rho) from the last noisy time of the run up to its first."""
        sde = self.reverse.sde
        last = [t for t in self.times if self.noisy(t)][-1]
        upwards = [last, *(t for t in self.back.flip(0) if t > last)]
        return [(t, sde.alpha(t), sde.sigma(t) / sde.alpha(t)) for t in upwards]


class _Through(torch.autograd.Function):
    """Forward: the sampler's own steps. Backward: the adjoint equation."""

    @staticmethod
    def forward(ctx: Any, flow: _Flow, conditions: int, x: Tensor, *inputs: Tensor) -> Tensor:
        along, after = flow.split(flow.reverse)
        end, carry = made(along, x)
        ctx.flow, ctx.carry, ctx.conditions = flow, carry if after else None, conditions
        device = x.device.type
        ctx.autocast = (
            device,
            torch.get_autocast_dtype(device),
            torch.is_autocast_enabled(device),
        )
        ctx.save_for_backward(end, *inputs)
        return made(after, end, carry)[0] if after else end.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        flow: _Flow = ctx.flow
        end, *inputs = ctx.saved_tensors
        free = [
            value.detach().requires_grad_(value.requires_grad) for value in inputs[: ctx.conditions]
        ]
        parameters = inputs[ctx.conditions :]
        given = iter(free)
        score = _rebuilt(flow.reverse.score, lambda _: next(given), [])
        reverse = replace(flow.reverse, score=score)
        wanted = [value for value in (*free, *parameters) if value.requires_grad]
        sums = [torch.zeros_like(value) for value in wanted]

        def pulled(
            function: Callable[[Tensor], Tensor], at: Tensor, weight: Tensor
        ) -> tuple[Tensor, Tensor, list[Tensor]]:
            """(value, weight . d value/d at, weight . d value/d wanted)."""
            device, dtype, enabled = ctx.autocast
            with torch.enable_grad(), torch.autocast(device, dtype, enabled):
                at = at.detach().requires_grad_()
                value = function(at)
            found = torch.autograd.grad(
                value, [at, *wanted], weight, allow_unused=True, materialize_grads=True
            )
            return value.detach(), found[0], list(found[1:])

        def gather(parts: Sequence[Tensor], factor: Tensor | float) -> None:
            for total, part in zip(sums, parts, strict=True):
                total.add_(part * factor)

        _, after = flow.split(reverse)
        if after:
            _, gradient, parts = pulled(lambda x: made(after, x, ctx.carry)[0], end, gradient)
            gather(parts, 1.0)

        levels = flow.levels()
        alpha = levels[0][1]
        z, w = end / alpha, gradient * alpha  # L as a function of z
        for low, high in zip(levels[:-1], levels[1:], strict=True):
            h = high[2] - low[2]

            def slopes(level: tuple, z: Tensor, w: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
                t, alpha, _ = level
                return pulled(lambda z: reverse.eps(alpha * z, t), z, w)

            eps, pull, parts = slopes(low, z, w)
            gather(parts, -h / 2)
            ahead, pull_ahead, parts = slopes(high, z + h * eps, w - h * pull)
            gather(parts, -h / 2)
            z, w = z + h / 2 * (eps + ahead), w - h / 2 * (pull + pull_ahead)
        found = iter(sums)
        by_input = [next(found) if value.requires_grad else None for value in (*free, *parameters)]
        return None, None, (w / levels[-1][1]).to(gradient.dtype), *by_input
