"""FID and KID of the same pictures by how many of them are taken: why FID of few misleads.

    python benchmarks/counts.py

Of the demo's held-out drawings against its renderings, and of one part of the renderings against
another, where the truth is 0; means over five draws, by the Inception features that are shipped.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import torch

from egsde.evaluation.metrics.distances import frechet, kid


def rows(side: str) -> torch.Tensor:
    folder = files("egsde.evaluation.metrics") / "data"
    (path,) = (p for p in folder.iterdir() if f"fluent-64-flat-3d-test-{side}" in p.name)
    with path.open("rb") as file, np.load(file) as found:
        return torch.from_numpy(found["features"]).double()


def main() -> None:
    source, target = rows("source"), rows("target")
    draw = np.random.default_rng(0)
    print("| images | FID of the sources | KID | FID of real against real | KID |")
    print("|---|---|---|---|---|")
    for count in (16, 32, 64, 121):
        found = []
        for _ in range(5):
            order = torch.from_numpy(draw.permutation(len(target)))
            a, b = order[:count], order[count : 2 * count]
            pairs = [(x[a], target[b]) for x in (source, target)]
            found.append([value for x, y in pairs for value in (frechet(x, y), kid(x, y)[0])])
        fid, k, fid_floor, k_floor = np.mean(found, 0)
        print(f"| {count} | {fid:.1f} | {k:.4f} | {fid_floor:.1f} | {k_floor:.4f} |")


if __name__ == "__main__":
    main()
