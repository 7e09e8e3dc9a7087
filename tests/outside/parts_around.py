"""A translator, a data set and metrics of a user."""

import numpy as np

from egsde.data.domains import ArrayImages


class Mirror:
    """A translator that is no diffusion at all."""

    def __init__(self, noisy=0.0):
        self.noisy = noisy

    def __call__(self, x0, noise, **cond):
        return x0.flip(3) + self.noisy * noise.stream("mirror")(x0)


class Stripes:
    """A data set: dark and light pictures of stripes, made and not read."""

    paired = False
    drawable = True

    def __init__(self, count=12):
        self.count = count

    def images(self, domain, split, size):
        level = {"dark": 40, "light": 200}[domain]
        count = self.count if split == "train" else 3
        x = np.full((count, size, size, 3), level, np.uint8)
        x[:, :, ::2] += np.arange(count, dtype=np.uint8)[:, None, None, None]
        return ArrayImages([f"{split}_{i:02d}.png" for i in range(count)], x)


def far(y, x):
    """The largest difference of each image, (B,)."""
    return (y - x).abs().flatten(1).amax(1)
