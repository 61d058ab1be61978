"""Nested ridge encoding: ours beside scikit-learn's RidgeCV and KFold, in one process.

Run ``python -m benchmarks.encoding``. Goals: 1,000 stimuli × 5,000 features × 2,000 voxels, 10 penalties, 5
folds with 5 inner folds at least 10 times as fast as scikit-learn, and scores equal to 1e-5. Both ratios are
told; that of processor times counts, which a shared machine leaves unchanged (on another device that of wall
times, for its work is no processor's). scikit-learn's
RidgeCV with inner folds chooses one penalty for all voxels; to give every voxel its own, as ours does, it
must be called voxel by voxel, which is done for a few to compare scores. The time that counts is that of
one call for all voxels, which does less. One outer fold of scikit-learn is timed and multiplied by the
folds.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch

from dashboard.methods import encoding

GOAL_RATIO, TOLERANCE = 10.0, 1e-5


def problem(n: int, features: int, voxels: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of falling spread and voxels from nearly silent to well predicted."""
    random = np.random.default_rng(0)
    x = random.standard_normal((n, features)) / np.sqrt(1 + np.arange(features) / 50)
    signal = x @ random.standard_normal((features, voxels))
    signal /= signal.std(axis=0)
    return x, signal + np.geomspace(0.3, 10, voxels) * random.standard_normal((n, voxels))


def peer(n_features: int):
    """scikit-learn's pipeline: standardise, choose the penalty by 5 inner folds, fit."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inner = KFold(encoding.INNER_FOLDS, shuffle=True, random_state=0)
    return make_pipeline(StandardScaler(), RidgeCV(np.array(encoding.ALPHAS) * n_features, cv=inner))


def voxelwise(x: np.ndarray, y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Held-out r of each voxel with scikit-learn called voxel by voxel, (n_voxels,)."""
    said, seen = np.empty_like(y), np.empty_like(y)
    for k in np.unique(fold):
        test = fold == k
        for voxel in range(y.shape[1]):
            mean = y[~test, voxel].mean()
            fitted = peer(x.shape[1]).fit(x[~test], y[~test, voxel])
            said[test, voxel] = fitted.predict(x[test]) - mean
            seen[test, voxel] = y[test, voxel] - mean
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(seen.T, said.T, strict=True)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stimuli", type=int, default=1000)
    parser.add_argument("--features", type=int, default=5000)
    parser.add_argument("--voxels", type=int, default=2000)
    parser.add_argument("--compared", type=int, default=2, help="voxels whose scores are compared")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    from threadpoolctl import threadpool_limits

    x, y = problem(chosen.stimuli, chosen.features, chosen.voxels)
    fold = encoding.folds(len(x), 5)
    tell(
        f"{len(x)} stimuli × {x.shape[1]} features × {y.shape[1]} voxels, {len(encoding.ALPHAS)} penalties, "
        f"5 × 5 folds, float64, {chosen.threads} threads, {chosen.device}"
    )
    with threadpool_limits(chosen.threads):
        encoding.ridge([x[:, :50]], y[:, :50], fold, device=chosen.device)  # warm
        start = clocks()
        found = encoding.ridge([x], y, fold, device=chosen.device)
        ours = clocks() - start
        tell(f"ours         {ours[0]:8.1f} s cpu {ours[1]:8.1f} s wall, a penalty per voxel")
        start = clocks()
        peer(x.shape[1]).fit(x[fold != 0], y[fold != 0]).predict(x[fold == 0])
        theirs = 5 * (clocks() - start)
        ratio = theirs / ours
        tell(
            f"scikit-learn {theirs[0]:8.1f} s cpu {theirs[1]:8.1f} s wall, one penalty for all (5 × one fold)"
        )
        counted = ratio[0] if chosen.device == "cpu" else ratio[1]
        tell(f"ratio {ratio[0]:.1f}x cpu {ratio[1]:.1f}x wall   goal {GOAL_RATIO:g}x")
        some = np.linspace(0, chosen.voxels - 1, chosen.compared).astype(int)
        expected = voxelwise(x, y[:, some], fold)
    r = encoding.correlations(found.observed, found.predicted)
    difference = float(np.abs(r[some] - expected).max())
    met = difference <= TOLERANCE and counted >= GOAL_RATIO
    tell(f"r of {len(some)} voxels differs by {difference:.1e}   {'met' if met else 'MISSED'}")
    return 0 if met else 1


def clocks() -> np.ndarray:
    """Seconds of the processor and of the wall, (2,)."""
    return np.array([time.process_time(), time.perf_counter()])


def tell(line: str) -> None:
    """Print at once: parts take minutes."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
