"""Similarity of many RDMs beside rsatoolbox's compare(), in one process, and the Brain page after a change.

Run ``python -m benchmarks.compare``. 92 stimuli, 100 models, 15 subjects. "Kept" means that the models' ranks
were taken before, as they are when only subjects or areas change.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

from dashboard.errors import CautionWarning
from dashboard.methods import measures, rsa

GOAL, TOLERANCE, PAGE_SECONDS = 20.0, 1e-9, 1.0


def least(call: Callable[[], object], repeats: int) -> tuple[object, np.ndarray]:
    """Answer and the least (processor, wall) seconds of so many calls."""
    best = np.full(2, np.inf)
    for _ in range(repeats):
        start = np.array([time.process_time(), time.perf_counter()])
        answer = call()
        best = np.minimum(best, np.array([time.process_time(), time.perf_counter()]) - start)
    return answer, best


def row(name: str, ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> bool:
    mine, best = least(ours, repeats)
    other, slow = least(theirs, max(2, repeats // 4))
    difference = float(np.abs(np.asarray(mine) - np.asarray(other)).max())
    ratio = slow / best
    met = bool(ratio[0] >= GOAL and difference <= TOLERANCE)
    print(
        f"{name:34} ours {1e3 * best[0]:7.2f} ms cpu   rsatoolbox {1e3 * slow[0]:8.2f} ms cpu   ratio "
        f"{ratio[0]:5.1f}x cpu {ratio[1]:5.1f}x wall   goal {GOAL:g}x   max difference {difference:.0e}   "
        f"{'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def page(threads: int) -> bool:
    """Time the bootstrap behind the Brain page: 20 layers × 2 areas × 4 subjects × 1,000 samples."""
    rng = np.random.default_rng(0)
    pairs = 92 * 91 // 2
    shared = rng.random(pairs)
    models = shared + rng.random((20, pairs))
    areas = [shared + rng.random((4, pairs)) for _ in range(2)]
    met = True
    for measure in ("pearson", "cosine", "spearman", "rho-a"):
        for resample in ("both", "dual"):

            def run(measure: str = measure, resample: str = resample) -> None:
                rsa.bootstraps(models, areas, measure, resample, n=1000)

            _, best = least(run, 2)
            good = bool(best[0] / threads <= PAGE_SECONDS or best[1] <= PAGE_SECONDS)
            met &= good
            print(
                f"Brain page, {measure:9} {resample:5} {best[0]:6.2f} s cpu {best[1]:6.2f} s wall   goal "
                f"{PAGE_SECONDS:g} s   {'met' if good else 'MISSED'}",
                flush=True,
            )
    return met


def main() -> int:
    from rsatoolbox.rdm import RDMs
    from rsatoolbox.rdm import compare as peer

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    warnings.simplefilter("ignore", CautionWarning)
    rng = np.random.default_rng(0)
    pairs = 92 * 91 // 2
    models, subjects = rng.random((100, pairs)), rng.random((15, pairs))
    keep = np.ones(pairs, bool)
    a, b = RDMs(models), RDMs(subjects)
    kept = {m: measures.directions(models, m, keep, 12) for m in ("spearman", "rho-a")}
    met = [
        row(
            "whitened cosine",
            lambda: rsa.similarity(models, subjects, "whitened-cosine"),
            lambda: peer(a, b, method="cosine_cov"),
            chosen.repeats,
        )
    ]
    for measure in kept:
        met.append(
            row(
                f"{measure}, model ranks kept",
                lambda m=measure: measures.products(kept[m], measures.directions(subjects, m, keep, 12)),
                lambda m=measure: peer(a, b, method=m),
                chosen.repeats,
            )
        )
    met.append(page(chosen.threads))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
