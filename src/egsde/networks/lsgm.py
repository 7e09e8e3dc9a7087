"""An autoencoder and the network of its latents' prior in one file (LSGM, Vahdat 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egsde.networks.autoencoder import Autoencoder


class MixedNetwork(nn.Module):
    """net(z_t, t), and alpha in (0, 1): its share in each channel of the mixed score."""

    def __init__(self, net: nn.Module, channels: int, mixing: float = -3.0) -> None:
        super().__init__()
        self.net = net
        self.logit = nn.Parameter(torch.full((channels,), float(mixing)))

    @property
    def alpha(self) -> Tensor:
        """(C, 1, 1)."""
        return self.logit.sigmoid()[:, None, None]

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """x (B, C, h, w), t (B,) -> (B, C', h, w)."""
        return self.net(x, t)


class LSGM(nn.Module):
    """vae: images to latents and back. prior: its net takes latents. ValueError for VQ networks,
    whose latents have no density, and for a prior of other channels."""

    def __init__(self, vae: Autoencoder, prior: nn.Module, mixing: float = -3.0) -> None:
        super().__init__()
        if vae.codes is not None:
            raise ValueError("LSGM needs latents with a density; leave network.vae.codes null")
        takes = getattr(prior, "in_channels", vae.z_channels)
        if takes != vae.z_channels:
            raise ValueError(
                f"the prior takes {takes} channels and latents have {vae.z_channels}; "
                "set network.prior.in_channels and network.vae.z_channels alike"
            )
        self.vae, self.prior = vae, MixedNetwork(prior, vae.z_channels, mixing)
