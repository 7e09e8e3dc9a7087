"""CPU seconds and memory of FID and KID for many feature rows.

python benchmarks/metrics_at_scale.py --rows 5000 10000 20000 40000
"""

from __future__ import annotations

import argparse
import resource
import time

import torch

from egsde.evaluation.metrics.distances import frechet, kid, kid_definition


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[5000, 10000, 20000, 40000])
    parser.add_argument("--features", type=int, default=2048)
    options = parser.parse_args()
    print("| rows | FID, s | KID, s | peak memory, MiB | KID over |\n|---|---|---|---|---|")
    for n in options.rows:
        seconds = []
        sets = [torch.rand(n, options.features) for _ in range(2)]
        for distance in (frechet, kid):
            began = time.process_time()
            distance(*sets)
            seconds.append(time.process_time() - began)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        how = kid_definition(n, n).split(",")[0].removeprefix("unbiased MMD^2 over ")
        print(f"| {n} | {seconds[0]:.1f} | {seconds[1]:.1f} | {peak} | {how} |", flush=True)


if __name__ == "__main__":
    main()
