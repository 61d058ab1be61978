"""Levels and coverage of the tests on simulations whose truth is known, and the time of shuffled labels.

Run ``python -m benchmarks.inference``: about 15 minutes on one idle core; ``--simulations 200`` for a first
look. Stimuli and subjects are drawn anew in every simulation; every stimulus has latent numbers, every
subject measures them with numbers of its own, and a distance is squared Euclidean. A test of level .05 is
right when the share of false positives lies in the 95 % binomial interval; only corrections of many tests may
lie below it (conservative), since some of the tests depend on each other.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.distance import pdist
from scipy.stats import binom

from dashboard.errors import CautionWarning
from dashboard.methods import inference, measures, rsa

LEVEL = 0.05
COVERED = (0.92, 0.98)
SECONDS = 10.0


def rdm(rng: np.random.Generator, n: int, shared: np.ndarray | None = None) -> np.ndarray:
    """Distances of n stimuli with four latent numbers of their own beside the shared ones."""
    own = rng.normal(size=(n, 4))
    return pdist(own if shared is None else np.concatenate([shared, own], 1), "sqeuclidean")


def drawn(rng: np.random.Generator, n: int, s: int) -> tuple[np.ndarray, np.ndarray]:
    """Models (unrelated; two equally related; as good as the other subjects) and subjects."""
    shared = rng.normal(size=(n, 4))
    subjects = np.stack([rdm(rng, n, shared) for _ in range(s)])
    others = np.stack([rdm(rng, n, shared) for _ in range(s - 1)])
    best = measures.pool(others, "pearson", None)
    return np.stack([rdm(rng, n), rdm(rng, n, shared), rdm(rng, n, shared), best]), subjects


def fixed_stimuli(rng: np.random.Generator, basis: np.ndarray, s: int) -> tuple[np.ndarray, np.ndarray]:
    """The same, where only subjects are drawn anew: directions with a known share of every subject."""
    models = np.stack([basis[4], basis[1] + basis[2], basis[1] + basis[3]])
    return models, basis[1] + 0.05 * rng.normal(size=(s, basis.shape[1]))


def bootstrapped(resample: str, n: int, s: int, simulations: int, samples: int) -> tuple[np.ndarray, ...]:
    """Return p against zero, of the pair, against the ceiling, (simulations, 3), scores and intervals."""
    rng = np.random.default_rng(1)
    pairs = n * (n - 1) // 2
    basis = np.linalg.qr(np.concatenate([np.ones((pairs, 1)), rng.normal(size=(pairs, 4))], 1))[0].T
    p, score, ci = [], [], []
    for k in range(simulations):
        conditional = resample == "subjects"
        models, subjects = fixed_stimuli(rng, basis, s) if conditional else drawn(rng, n, s)
        result = rsa.bootstrap(models, subjects, "pearson", resample, n=samples, seed=k)
        tests = inference.from_bootstrap(result)
        p.append([tests.zero[0], tests.pairs[1, 2], np.nan if conditional else tests.ceiling[3]])
        score.append(result.score[:3])
        ci.append(result.ci[:3])
    return np.array(p), np.array(score), np.array(ci)


def level(name: str, rejected: np.ndarray, *, conservative: bool = False) -> bool:
    """Print a row; a conservative test may lie below the interval, none above."""
    rate, n = float(rejected.mean()), len(rejected)
    low, high = binom.ppf([0.025, 0.975], n, LEVEL) / n
    met = (conservative or rate >= low) and rate <= high
    said = "met" if low <= rate <= high else "conservative" if rate < low else "MISSED"
    print(f"{name:46} {rate:6.3f}   interval {low:.3f} to {high:.3f}   {said}", flush=True)
    return bool(met)


def levels(simulations: int, samples: int) -> list[bool]:
    met = []
    for resample, n, s in (("subjects", 30, 10), ("stimuli", 40, 8), ("both", 40, 20), ("dual", 40, 20)):
        p, score, ci = bootstrapped(resample, n, s, simulations, samples)
        for column, name in enumerate(("zero", "pair", "ceiling")):
            if np.isfinite(p[:, column]).any():
                met.append(level(f"{resample}: {name}", p[:, column] <= LEVEL))
        truth = score.mean(0)
        inside = ((ci[:, :, 0] <= truth) & (truth <= ci[:, :, 1])).mean(0)
        good = bool((inside >= COVERED[0]).all() and (inside <= COVERED[1]).all())
        met.append(good)
        print(
            f"{resample}: coverage of 95 % intervals          {np.round(inside, 3)}   goal 0.92 to 0.98   "
            f"{'met' if good else 'MISSED'}",
            flush=True,
        )
    return met


def labels(simulations: int) -> list[bool]:
    rng = np.random.default_rng(2)
    one, family, discoveries, holm = [], [], [], []
    for k in range(simulations):
        areas = [np.stack([rdm(rng, 16) for _ in range(2)]) for _ in range(2)]
        models = np.stack([rdm(rng, 16) for _ in range(6)])
        found = inference.label_permutation(
            models, areas, "spearman", n=499, seed=k
        )  # fewer shuffles have too high a floor for 12 tests
        one.append(found.p[0, 0] <= LEVEL)
        family.append((found.p_max <= LEVEL).any())
        discoveries.append((inference.benjamini_hochberg(found.p) <= LEVEL).any())
        holm.append((inference.holm(found.p) <= LEVEL).any())
    return [
        level("labels: one model", np.array(one)),
        level("labels: any of 12, maximum statistic", np.array(family)),
        level("labels: any of 12, false discovery rate", np.array(discoveries), conservative=True),
        level("labels: any of 12, Holm", np.array(holm), conservative=True),
    ]


def timing(call: Callable[[], object]) -> tuple[float, float]:
    start = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - start[0], time.perf_counter() - start[1]


def speed() -> bool:
    rng = np.random.default_rng(0)
    models = rng.random((30, 92 * 91 // 2))
    areas = [rng.random((4, models.shape[1])) for _ in range(5)]
    met = True
    for measure in ("spearman", "rho-a", "whitened-cosine"):
        cpu, wall = timing(lambda m=measure: inference.label_permutation(models, areas, m, n=1000))
        met &= wall <= SECONDS
        print(
            f"1000 shuffles × 30 layers × 5 areas × 92 stimuli, {measure:16} {cpu:5.2f} s cpu {wall:5.2f} s "
            f"wall   goal {SECONDS:g} s   {'met' if wall <= SECONDS else 'MISSED'}",
            flush=True,
        )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    warnings.simplefilter("ignore", CautionWarning)
    met = [speed(), *labels(chosen.simulations), *levels(chosen.simulations, chosen.samples)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
