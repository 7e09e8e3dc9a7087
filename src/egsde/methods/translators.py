"""Methods whose networks are trained to translate: generators, bridges, and the diffusion GAN.

A bridge is a process with two ends, the target's images at t = 0 and the source's at T. Between
them x_t is alpha x_0 + sigma eps for the very alpha and sigma of a process without the second end,
so what a network knows is a score like any other, and the one loop walks it, from the source:

    flow       x_t = (1 - t) y + t x: eps is the source itself, DDIM is Euler's method
    bridge     q(x_s | x_t, x_0) of a pinned process is that of the free one: ancestral steps
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from egsde.methods.diffusion import Diffusion, OnePass, Translator, noised
from egsde.noise import Noise
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped
from egsde.scores.generator import Generator
from egsde.source import Source


def at_source(source: Source, times: Tensor, noise: Noise) -> Tensor:
    """y = x at T: the bridge's far end."""
    return source.x0 if source.current is None else source.current


def unchanged(x: Tensor) -> Tensor:
    """x: what doing nothing gives."""
    return x


def one_pass(score: Generator) -> OnePass:
    """y = net(x): CycleGAN, pix2pix, CUT."""
    return OnePass(score)


def bridge(score: Any, sampler: Sampler, clip: bool = False) -> Diffusion:
    """From the source to the target along a flow or a bridge (flow matching, rectified flow, DSBM,
    I2SB, DDBM). clip: denoised images stay in [-1, 1]."""
    return Diffusion(Clipped(score) if clip else score, sampler, start=at_source)


def ddgan(score: Any, sampler: Sampler, t_start: float | None = None) -> Diffusion:
    """The noised source, denoised in a GAN's few steps (Xiao 2022), from the nearest level."""
    sde = score.sde
    start = None if t_start is None else float(sde.snap(Tensor([t_start]).double())[0])
    start = None if start is None else max(start, 1 / sde.levels)
    return Diffusion(score, sampler, start=noised, t_start=start)


def from_file(
    open: Callable[..., Any],
    method: Callable[..., Translator],
    weights: str | None = None,
    use: str = "averaged",
    autocast: bool = False,
    allow: Any = (),
) -> Translator:
    """method(score=what `open` finds in the file). ValueError where there is none."""
    return method(score=open(weights, use=use, autocast=autocast, allow=allow))
