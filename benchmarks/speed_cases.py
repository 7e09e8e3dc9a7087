"""Ours, the official code, guided-diffusion's loop and diffusers on the same random weights.

A case is an image size, a batch and a width; each of its works is `steps` steps of one code from
the same state. The official code is read from the folder given, and nothing of it is kept.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from speed_clock import Work, filled
from torch import Tensor

from egsde.energies import DomainCosine, LowPassL2
from egsde.methods import egsde
from egsde.networks import ADMEncoder, ADMUNet
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import Extractor, ScoreModel
from egsde.sde import DDPM
from egsde.solvers import Ancestral
from egsde.source import Source

LEVELS = 1000
MULT = {32: (1, 2, 2), 64: (1, 2, 3, 4), 128: (1, 1, 2, 3, 4), 256: (1, 1, 2, 2, 4, 4)}


@dataclass(frozen=True)
class Case:
    """The published networks' shapes (conf/score/adm_256.yaml, conf/extractor/dse_256.yaml)."""

    size: int
    batch: int
    width: int
    device: torch.device
    steps: int = 1
    autocast: bool = False

    @property
    def mult(self) -> tuple[int, ...]:
        return MULT[self.size]

    @property
    def heads(self) -> int:
        return min(64, self.width)

    @property
    def start(self) -> float:
        return self.steps / LEVELS

    def images(self) -> Tensor:
        torch.manual_seed(1)
        return torch.rand(self.batch, 3, self.size, self.size, device=self.device) * 2 - 1

    def noise(self) -> Noise:
        return Noise(0, [str(i) for i in range(self.batch)], device=self.device.type)


class Ours:
    """Our score, extractor and published energy on one case, and the parts of a step."""

    def __init__(self, case: Case, compiled: bool = False) -> None:
        self.case, sde = case, DDPM()
        self.unet = ADMUNet(
            case.size, num_channels=case.width, num_res_blocks=1, channel_mult=case.mult,
            learn_sigma=True, attention_resolutions="16", num_heads=4,
            num_head_channels=case.heads, use_scale_shift_norm=True, resblock_updown=True,
        )  # fmt: skip
        self.encoder = ADMEncoder(
            case.size, width=case.width, channel_mult=case.mult, num_head_channels=case.heads
        )
        filled(self.unet, self.encoder)
        self.score = ScoreModel(self.unet, sde, autocast=case.autocast).to(case.device)
        self.extractor = Extractor(self.encoder, sde, autocast=case.autocast).to(case.device)
        self.low_pass = LowPassL2(case.size // 8)
        self.realism, self.faithfulness = 500 * DomainCosine(self.extractor), 2 * self.low_pass
        self.energy = self.realism + self.faithfulness
        self.sampler = Sampler(Ancestral(), Uniform(LEVELS))
        if compiled:
            self.unet.compile()
            self.encoder.features = torch.compile(self.encoder.features)  # type: ignore[method-assign]

    def translated(self, guided: bool = True) -> Tensor:
        """`steps` steps down to clean data, from the images' noised versions."""
        case = self.case
        energy = self.energy if guided else None
        return egsde(self.score, self.sampler, energy, case.start)(case.images(), case.noise())

    def parts(self) -> dict[str, Work]:
        """What a step is made of, one by one; their rest is solver, source and Python."""
        x0, noise = self.case.images(), self.case.noise()
        t = torch.tensor(0.5, dtype=torch.float64)
        source = Source(x0, DDPM(), noise)
        y = source.start(t)

        def gradient() -> Tensor:
            source.begin(0)  # so that the source's features are made, too
            return self.energy.terms["DomainCosine"].grad(y, t, source)

        def features_of_y() -> Tensor:
            with torch.enable_grad():
                return self.extractor.features(y.detach().requires_grad_(), t)

        def features_of_x() -> Tensor:
            source.begin(0)
            return source.features(self.extractor, t)

        return {
            "score": torch.no_grad()(lambda: self.score(y, t)),
            "features of x_t": features_of_x,
            "features of y": features_of_y,
            "gradient": gradient,
            "filter": torch.no_grad()(lambda: self.low_pass.grad(y, t, source)),
            "noise": lambda: noise.stream("step")(y),
        }


class Official:
    """The official code's step and guided-diffusion's, from a checkout of ML-GSAI/EGSDE."""

    def __init__(self, folder: Path, ours: Ours) -> None:
        sys.path.insert(0, str(folder))
        from functions.denoising import egsde_sample  # type: ignore[import-not-found]
        from functions.resizer import Resizer  # type: ignore[import-not-found]
        from guided_diffusion.script_util import (  # type: ignore[import-not-found]
            create_gaussian_diffusion,
            create_model,
        )
        from guided_diffusion.unet import DSE_inference  # type: ignore[import-not-found]

        sys.path.remove(str(folder))
        case = self.case = ours.case
        self.step = egsde_sample
        self.model = create_model(
            case.size, 2, case.width, 1, ",".join(map(str, case.mult)), learn_sigma=True,
            attention_resolutions="16", num_heads=4, num_head_channels=case.heads,
            use_scale_shift_norm=True, resblock_updown=True,
        )  # fmt: skip
        self.dse = DSE_inference(
            case.size, 3, case.width, 2, 2, tuple(case.size // s for s in (32, 16, 8)),
            channel_mult=case.mult, num_head_channels=case.heads, use_scale_shift_norm=True,
            resblock_updown=True, pool="attention",
        )  # fmt: skip
        self.model.load_state_dict(ours.unet.state_dict())
        theirs = ours.encoder.state_dict()
        self.dse.load_state_dict({k: theirs[k] for k in self.dse.state_dict()})
        self.model.eval().to(case.device)  # parameters keep asking for gradients, as there
        self.dse.eval().to(case.device)
        low = case.size // 8
        shape = (case.batch, 3, case.size, case.size)
        self.die = (
            Resizer(shape, 1 / low).to(case.device),
            Resizer((case.batch, 3, 8, 8), low).to(case.device),
        )
        self.betas = DDPM().betas.float().to(case.device)
        self.diffusion = create_gaussian_diffusion(learn_sigma=True)

    def translated(self) -> Tensor:
        """The loop of runners/egsde.py, with our noise: the same images come out."""
        case, betas = self.case, self.betas
        x0, noise = case.images(), case.noise().child(0)
        a = (1 - betas).cumprod(0)
        before = torch.cat([torch.ones_like(a[:1]), a[:-1]])
        logvar = (betas * (1 - before) / (1 - a)).clamp(min=1e-20).log()
        e, m = noise.stream("start")(x0), case.steps
        y = x0 * a[m - 1].sqrt() + e * (1 - a[m - 1]).sqrt()
        for k, i in enumerate(reversed(range(m))):
            torch.manual_seed(k)
            t = torch.full((case.batch,), float(i), device=case.device)
            xt = x0 * a[i].sqrt() + e * (1 - a[i]).sqrt()
            y = self.step(
                y=y, dse=self.dse, ls=500.0, die=self.die, li=2.0, t=t, model=self.model,
                logvar=logvar, betas=betas, xt=xt, s1="cosine", s2="neg_l2", model_name="ADM",
            )  # fmt: skip
        return y.detach()

    @torch.no_grad()
    def generated(self) -> Tensor:
        """guided-diffusion's `p_sample`, without guidance."""
        y = self.case.images()
        for i in reversed(range(self.case.steps)):
            t = torch.full((self.case.batch,), i, device=self.case.device)
            y = self.diffusion.p_sample(self.model, y, t)["sample"]
        return y


class Diffusers:
    """A UNet2DModel with DDPMScheduler, and the same weights in our network; no guidance."""

    def __init__(self, case: Case) -> None:
        from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

        from egsde.scores.diffusers import load_diffusers

        self.case, w = case, case.width
        plain = ["DownBlock2D"] * (len(case.mult) - 1), ["UpBlock2D"] * (len(case.mult) - 1)
        self.model = UNet2DModel(
            sample_size=case.size, block_out_channels=tuple(w * m for m in case.mult),
            layers_per_block=1, attention_head_dim=case.heads,
            down_block_types=(*plain[0], "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", *plain[1]),
        )  # fmt: skip
        filled(self.model)
        self.scheduler = DDPMScheduler(LEVELS)
        with tempfile.TemporaryDirectory() as folder:
            DDPMPipeline(self.model, self.scheduler).save_pretrained(folder)
            self.score = load_diffusers(folder, DDPM()).to(case.device)
        self.model.to(case.device)
        self.sampler = Sampler(Ancestral(), Uniform(LEVELS))

    @torch.no_grad()
    def theirs(self) -> Tensor:
        self.scheduler.set_timesteps(LEVELS)
        y = self.case.images()
        for t in self.scheduler.timesteps[-self.case.steps :]:
            y = self.scheduler.step(self.model(y, t).sample, t, y).prev_sample
        return y

    def ours(self) -> Tensor:
        case = self.case
        return egsde(self.score, self.sampler, None, case.start)(case.images(), case.noise())
