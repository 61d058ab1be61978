"""RDMs of large layers: ours beside rsatoolbox's and beside the matrix product, in one process.

Run ``python -m benchmarks.rdm``. Goals: correlation of 1000 × 10,000 float64 at least 8 times as fast as
rsatoolbox, and at least 60 % of the rate of a float64 matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from dashboard.methods import rdm

PEER = {"correlation": "correlation", "sqeuclidean": "euclidean", "poisson": "poisson"}
GOAL_RATIO, GOAL_SHARE, TOLERANCE = 8.0, 0.6, 1e-10


def timed(call: Callable[[], object]) -> tuple[object, np.ndarray]:
    """Answer and (processor, wall) seconds of one call."""
    start = np.array([time.process_time(), time.perf_counter()])
    answer = call()
    return answer, np.array([time.process_time(), time.perf_counter()]) - start


def compare(metric: str, patterns: np.ndarray, repeats: int) -> bool:
    """Print one row; return whether the goals are met (they bind correlation only)."""
    import rsatoolbox

    tensor = torch.from_numpy(patterns)
    ours, product = [], []
    for _ in range(repeats):  # in turns, so that both see the same load of the machine
        mine, seconds = timed(lambda: rdm.dissimilarities(patterns, metric))
        ours.append(seconds)
        product.append(timed(lambda: tensor @ tensor.T)[1])
    best, gemm = np.min(ours, 0), np.min(product, 0)
    data = rsatoolbox.data.Dataset(patterns)
    theirs, other = timed(lambda: rsatoolbox.rdm.calc_rdm(data, method=PEER[metric]).dissimilarities[0])
    difference = np.max(np.abs(mine.numpy() - theirs) / np.abs(theirs))
    n, p = patterns.shape
    rate = 2e-9 * n * n * p / np.array([gemm, best])
    ratio, share = other / best, gemm / best
    bound = metric == "correlation"
    met = bool(
        difference <= TOLERANCE and (not bound or (ratio.min() >= GOAL_RATIO and share.max() >= GOAL_SHARE))
    )
    print(
        f"{metric:12} ours {best[0]:6.2f} s cpu {best[1]:6.2f} s wall   rsatoolbox {other[0]:6.2f} s cpu "
        f"{other[1]:6.2f} s wall   ratio {ratio[0]:5.1f}x cpu {ratio[1]:5.1f}x wall   matrix product "
        f"{rate[0, 1]:.0f} GFLOP/s, RDM at {share[0]:.0%} of it by cpu, {share[1]:.0%} by wall   "
        f"max relative difference {difference:.0e}   {'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stimuli", type=int, default=1000)
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--metrics", nargs="+", default=["correlation"], choices=list(PEER))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    patterns = np.random.default_rng(0).gamma(2.0, size=(chosen.stimuli, chosen.units))
    print(f"{chosen.stimuli} stimuli × {chosen.units} units, float64, {chosen.threads} threads")
    met = [compare(metric, patterns, chosen.repeats) for metric in chosen.metrics]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
