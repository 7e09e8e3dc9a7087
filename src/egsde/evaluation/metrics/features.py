"""Feature rows of uint8 images, remembered by the images' content.

A row depends on the image, on how it is resized and on the weights only. So rows of fixed sets
(real target images, sources) are kept in the cache folder under hash(image) -> row, one file per
set and `Features.fingerprint`; files in the package's own `data` folder (float16) are looked
through first.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities.prints import rank_zero_warn

from egsde.disk import whole
from egsde.evaluation.metrics.inception_weights import cache_folder

CHUNK = 32
COLOURS = (1, 3)  # channels that the network can be shown
SHIPPED = Path(__file__).with_name("data")
Rows = dict[bytes, np.ndarray]
Gather = Callable[[object], list]


def alone(part: object) -> list:
    """The gather of a single process: its own part is all there is."""
    return [part]


class FeatureNetwork(Protocol):
    """float32 images, as the protocol resizes them -> (B, d); `fingerprint` names its weights."""

    fingerprint: str

    def __call__(self, x: Tensor) -> Tensor: ...

    def describe(self) -> dict[str, object]: ...


@dataclass(frozen=True)
class Features:
    """uint8 (B, 3, H, W) -> float32 (B, d): `network(resize(images))` in chunks of fixed size.

    A chunk is one image on the CPU and 32, padded with zeros, elsewhere: so a row is the same
    bits whatever batch its image came in, and FID does not depend on batch sizes or on the number
    of processes.
    """

    network: FeatureNetwork
    resize: Callable[[Tensor], Tensor]
    device: torch.device

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name resize and weights."""
        text = f"{self.resize!r} {self.network.fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        size, images = 1 if self.device.type == "cpu" else CHUNK, in_colour(images)
        rows = []
        for chunk in images.split(size):
            padded = torch.zeros(size, *chunk.shape[1:], dtype=torch.uint8, device=self.device)
            padded[: len(chunk)] = chunk.to(self.device)
            rows.append(self.network(self.resize(padded))[: len(chunk)].float().cpu())
        return torch.cat(rows)

    def of_set(
        self,
        batches: Iterable[Tensor],
        key: str,
        cache: Path | None = None,
        gather: Gather = alone,
        as_given: bool = False,
    ) -> Tensor:
        """Rows (n, d) of the image set `key`, in the order of the images' hashes, float32.

        That order is a fixed shuffle that no process count or loader changes; as_given: the order
        of the images, dealt out to the processes in turn. What neither the
        package nor the cache folder holds is computed, and put into the cache folder. `gather`:
        each process passes its own part of the set and gets what `gather` gives, whole or empty.
        A damaged cache is computed again, and one that cannot be written is told once. ValueError
        for one with rows of another length than the network's.
        """
        file = (cache or cache_folder() / "features") / f"{key}-{self.fingerprint}.npz"
        own = kept(file)
        known = dict(own)
        for shipped in sorted(SHIPPED.glob(f"*-{self.fingerprint}.npz")):
            known |= load(shipped)
        stored, hashes, new = len(known), [], {}
        for images in batches:
            for image in images:
                hashes.append(image_hash(image))
                if hashes[-1] not in known:
                    new[hashes[-1]] = image
            if len(new) >= CHUNK:
                known |= self._rows(new)
                new = {}
        known |= self._rows(new)
        parts = gather(([(h, known[h]) for h in hashes], len(known) > stored))
        turns = range(max((len(part) for part, _ in parts), default=0))
        found = [part[i] for i in turns for part, _ in parts if i < len(part)]
        if not as_given:
            found.sort(key=lambda pair: pair[0])
        if any(computed for _, computed in parts):
            keep(own | dict(found), file)
        rows = [row for _, row in found]
        if len({row.shape for row in rows}) > 1:
            raise ValueError(f"{file} holds features of another network; remove it")
        return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, 0)

    def _rows(self, images: dict[bytes, Tensor]) -> Rows:
        if not images:
            return {}
        return dict(zip(images, self(torch.stack(list(images.values()))).numpy(), strict=True))


def as_bytes(images: Tensor) -> Tensor:
    """uint8 as they are; floats in [-1, 1] rounded to bytes, which is all that the network sees."""
    if not images.is_floating_point():
        return images
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def in_colour(images: Tensor) -> Tensor:
    """(B, 3, H, W) of one channel or three; ValueError for any other number."""
    if images.shape[1] not in COLOURS:
        raise ValueError(f"features are taken of 1 or 3 channels, got {images.shape[1]}")
    return images.expand(-1, 3, -1, -1)


def image_hash(image: Tensor) -> bytes:
    """16 bytes that name an image (3, H, W) uint8; ValueError for any other type."""
    if image.dtype != torch.uint8:
        raise ValueError(f"features are taken of uint8 images, got {image.dtype}; quantise first")
    content = np.ascontiguousarray(image.cpu().numpy())
    shape = repr(content.shape).encode()
    return hashlib.blake2b(shape + content.tobytes(), digest_size=16).digest()


def load(path: Path) -> Rows:
    """float32 feature rows by the hash of their image; OSError or ValueError for a file that is
    damaged, or of another network than its name says."""
    with np.load(path, allow_pickle=False) as stored:
        hashes, values = stored["hashes"], stored["features"].astype(np.float32)
        made = str(stored["fingerprint"]) if "fingerprint" in stored else fingerprint_in(path)
    if made != fingerprint_in(path):
        raise ValueError(f"it is of another network, {made}")
    if values.ndim != 2 or hashes.shape != (len(values), 16) or not np.isfinite(values).all():
        raise ValueError(f"no finite rows with a hash each: {hashes.shape}, {values.shape}")
    return {h.tobytes(): v for h, v in zip(hashes, values, strict=True)}


def fingerprint_in(path: Path) -> str:
    """The network, as a cache's name says it."""
    return path.stem.rsplit("-", 1)[-1]


def kept(path: Path) -> Rows:
    """The rows in a cache file; none where it is absent or damaged."""
    if not path.is_file():
        return {}
    try:
        return load(path)
    except Exception as error:  # a cut zip raises whatever its bytes make it raise
        rank_zero_warn(f"{path} is damaged ({error}); its features are computed again")
        return {}


def keep(rows: Rows, path: Path) -> None:
    """Save to the cache, or say once that it cannot be: the numbers do not depend on it."""
    try:
        save(rows, path)
    except OSError as error:
        warnings.warn(
            f"features cannot be kept in {path.parent} ({error}), so the next run computes them "
            "again; XDG_CACHE_HOME or metrics.cache names another folder",
            stacklevel=2,
        )


def save(rows: Rows, path: Path, dtype: type = np.float32) -> None:
    """Write hash -> row, whole or not at all."""
    hashes = np.stack([np.frombuffer(key, np.uint8) for key in sorted(rows)])
    values: np.ndarray = np.stack([rows[key] for key in sorted(rows)]).astype(dtype)
    with whole(path, shared=True) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file, hashes=hashes, features=values, fingerprint=np.array(fingerprint_in(path))
        )
