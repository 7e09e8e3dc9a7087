"""Networks and whole translators as graphs of tensors alone: what an exported file computes.

Shapes: x, x0, noise (B, C, H, W) in [-1, 1]; t (B,) times of the process.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves

from egsde.methods.diffusion import Translator, networks_of
from egsde.programs.inputs import codec_of
from egsde.scores import ConditionalScore, Extractor, ScoreModel
from egsde.sde import SDE

LATENT = ("noise", "z")  # inputs of the shape of latents, where there is a codec


class Levels(SDE):
    """A chain's coefficients as tables, asked with times of any shape, without a check of them."""

    def __init__(self, sde: SDE) -> None:
        assert sde.levels is not None
        self.count = sde.levels
        times = torch.arange(self.count + 1, dtype=torch.float64) / self.count
        self.table = {name: getattr(sde, name)(times).float() for name in ("alpha", "sigma")}

    def alpha(self, t: Tensor) -> Tensor:
        return self.table["alpha"][(t * self.count).round().long()]

    def sigma(self, t: Tensor) -> Tensor:
        return self.table["sigma"][(t * self.count).round().long()]

    def network_time(self, t: Tensor) -> Tensor:
        return (t * self.count).round() - 1


class ScoreGraph(nn.Module):
    """(x_t, t) -> the score, the clean image and the noise that it stands for."""

    inputs: tuple[str, ...] = ("x", "t")
    outputs = ("score", "x0", "eps")

    def __init__(self, model: ScoreModel) -> None:
        super().__init__()
        self.model = copy.copy(model)
        self.model._modules = dict(model._modules)
        if model.sde.levels is not None:
            self.model.sde = Levels(model.sde)

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.all_of(self.model.score, x, t)

    def all_of(
        self, score: Callable[[Tensor, Tensor], Tensor], x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """score, x_0 and eps of x (B, C, H, W) at t (B,)."""
        time = t[:, None, None, None]
        found = score(x, time)
        sde = self.model.sde
        return found, sde.denoised(x, time, found), -sde.sigma(time) * found


class ConditionalGraph(ScoreGraph):
    """(x_t, t, source) -> the same, of an image given the source."""

    inputs = ("x", "t", "source")

    def forward(  # type: ignore[override]
        self, x: Tensor, t: Tensor, source: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        model: Any = self.model
        return self.all_of(model.given(source).score, x, t)


class ClassifierGraph(nn.Module):
    """(x_t, t) -> logits of the domains (B, K) and features (B, F, h, w)."""

    inputs = ("x", "t")
    outputs = ("logits", "features")

    def __init__(self, extractor: Extractor) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        features, net = self.extractor.features(x, t), self.extractor.net
        head = None if getattr(net, "all_maps", False) else getattr(net, "I2Iout", None)
        return self.extractor(x, t) if head is None else head(features), features


class Given:
    """A translator's noise as an input of the graph: the start's; ValueError for any other."""

    def __init__(self, noise: Tensor) -> None:
        self.noise = noise

    def child(self, key: object) -> Given:
        return self

    def stream(self, key: str) -> Callable[[Tensor], Tensor]:
        def randn_like(x: Tensor) -> Tensor:
            if key == "start":
                return self.noise
            raise ValueError(
                f"this translator draws noise while it runs ({key}), and a graph draws none: "
                "choose a deterministic sampler of a fixed number of steps, such as sampler=ddim, "
                "and source_noise=shared; noise of CycleDiffusion, ILVR, egsde_fast and diffusion "
                "GANs is part of them: translator=ddib, ccdf or a student of them has none"
            )

        return randn_like


class TranslatorGraph(nn.Module):
    """(x0, noise) -> y: all steps of a deterministic translator; the noise is that of latents where
    there is a codec."""

    inputs = ("x0", "noise")
    outputs = ("y",)

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.translator = translator
        self.networks = nn.ModuleDict(networks_of(translator))
        self.codec = codec_of(translator)
        self.factor = 1 if self.codec is None else int(self.codec.factor)

    @torch.no_grad()
    def noise_of(self, x0: Tensor) -> Tensor:
        """What has the shape of the noise of images: theirs, or that of their latents."""
        return x0 if self.codec is None else self.codec.encode(x0)

    def forward(self, x0: Tensor, noise: Tensor) -> Tensor:
        with Folded():
            return self.translator(x0, Given(noise))  # type: ignore[arg-type]


class CodecGraph(nn.Module):
    """A half of a codec; latents of an image have the sides divided by `factor`."""

    inputs: tuple[str, ...] = ("x",)
    outputs: tuple[str, ...] = ("z",)

    def __init__(self, codec: Any) -> None:
        super().__init__()
        self.codec, self.net, self.factor = codec, codec.net, int(codec.factor)

    @torch.no_grad()
    def noise_of(self, x: Tensor) -> Tensor:
        """What has the shape of the latents of images x."""
        return self.codec.encode(x)


class EncoderGraph(CodecGraph):
    """x (B, C, H, W) -> the latents that networks of this codec see, z (B, Z, H / f, W / f)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.codec.encode(x)


class DecoderGraph(CodecGraph):
    """z -> the image y that it stands for."""

    inputs, outputs = ("z",), ("y",)

    def forward(self, z: Tensor) -> Tensor:
        return self.codec.decode(z)


class Folded(TorchFunctionMode):
    """While a graph is recorded, what depends on no input is computed: times, coefficients."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        if any(isinstance(leaf, (FakeTensor, torch.SymInt)) for leaf in leaves):
            return func(*args, **kwargs)
        if torch.jit.is_tracing():
            return func(*args, **kwargs)
        with (
            _disable_current_modes(),
            torch._C.DisableTorchFunction(),
        ):  # switches of gradients, too
            return func(*args, **kwargs)


GRAPHS: Mapping[type, Callable[[Any], nn.Module]] = {
    ConditionalScore: ConditionalGraph,
    ScoreModel: ScoreGraph,
    Extractor: ClassifierGraph,
}
