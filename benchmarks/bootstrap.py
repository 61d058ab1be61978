"""Bootstrap of RDM similarities: ours beside rsatoolbox's, on the same draws, in one process.

Run ``python -m benchmarks.bootstrap``; ``--quick`` gives rsatoolbox fewer samples and scales its time.
92 conditions, 8 subjects, 20 models of which 3 predict heavy ties, noise ceilings in every sample. Ratios are
told in processor time (what a shared machine leaves unchanged) and in wall time.
"""

from __future__ import annotations

import argparse
import sys
import time
import types
import warnings
from collections.abc import Callable

import numpy as np
import torch

from dashboard.errors import CautionWarning
from dashboard.methods import rdm, rsa

DUAL_GOALS = {"cosine": 150, "spearman": 40}
GOALS = {"cosine": 100, "pearson": 100, "spearman": 50, "rho-a": 50}
PEER = {"pearson": "corr", "whitened-cosine": "cosine_cov", "whitened-pearson": "corr_cov"}
TOLERANCE = 1e-9


def clocks() -> np.ndarray:
    return np.array([time.process_time(), time.perf_counter()])


def timed(call: Callable[[], object], repeats: int = 1) -> tuple[object, np.ndarray]:
    """Answer and the least (processor, wall) seconds of so many calls."""
    best = np.full(2, np.inf)
    for _ in range(repeats):
        start = clocks()
        answer = call()
        best = np.minimum(best, clocks() - start)
    return answer, best


def data(n: int, n_models: int, n_subjects: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    i, j = rdm.pair_indices(n)
    shared = rng.random(len(i))
    subjects, models = shared + rng.random((n_subjects, len(i))), shared + rng.random((n_models, len(i)))
    for k in range(3):
        group = rng.integers(0, k + 2, n)
        models[k] = group[i] != group[j]
    return models, subjects


def peer(
    models: np.ndarray,
    subjects: np.ndarray,
    measure: str,
    draws: tuple[np.ndarray, np.ndarray],
    dual: bool = False,
) -> object:
    """Run rsatoolbox's eval_bootstrap, or eval_dual_bootstrap, made to use our draws."""
    from rsatoolbox.inference import evaluate
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    given = iter(zip(*draws, strict=True))

    def sample(
        rdms: RDMs, rdm_descriptor: str, pattern_descriptor: str
    ) -> tuple[RDMs, np.ndarray, np.ndarray]:
        stimuli, people = next(given)
        chosen = rdms.subsample(rdm_descriptor, people).subsample_pattern(pattern_descriptor, stimuli)
        return chosen, people, stimuli

    evaluate.bootstrap_sample = sample
    evaluate.tqdm = types.SimpleNamespace(trange=range)
    fixed = [ModelFixed(f"model {k}", RDMs(m[None])) for k, m in enumerate(models)]
    options = {"method": PEER.get(measure, measure), "N": len(draws[0])}
    if dual:
        return evaluate.eval_dual_bootstrap(fixed, RDMs(subjects), k_pattern=1, k_rdm=1, **options)
    return evaluate.eval_bootstrap(fixed, RDMs(subjects), **options)


def compare(measure: str, samples: int, peer_samples: int, dual: bool = False) -> bool:
    """Print one row; return whether the goal, if there is one, is met."""
    models, subjects = data(92, 20, 8)
    rng = np.random.default_rng(1)
    draws = rng.integers(0, 92, (samples, 92)), rng.integers(0, 8, (samples, 8))
    part = draws[0][:peer_samples], draws[1][:peer_samples]
    options = {"digits": None, "undefined": 0.0}
    resample = "dual" if dual else "both"
    ours, mine = timed(
        lambda: rsa.bootstrap(models, subjects, measure, resample, draws=draws, **options), repeats=3
    )
    theirs, other = timed(lambda: peer(models, subjects, measure, part, dual))
    other = other * samples / peer_samples
    if dual:
        difference = np.abs(ours.scores[:peer_samples] - theirs.evaluations[:, :, 0, 0, 0]).max()
    else:
        difference = max(
            np.abs(ours.scores[:peer_samples] - theirs.evaluations).max(),
            np.abs(ours.ceilings[:peer_samples] - theirs.noise_ceiling.T).max(),
        )
    ratio = other / mine
    goal = (DUAL_GOALS if dual else GOALS).get(measure, 0)
    met = bool(ratio[0] >= goal and difference <= TOLERANCE)
    scaled = "" if peer_samples == samples else f" (rsatoolbox: {peer_samples} samples, time scaled)"
    print(
        f"{measure:17} {resample:4} ours {mine[0]:7.2f} s cpu {mine[1]:7.2f} s wall   "
        f"rsatoolbox {other[0]:8.1f} s cpu {other[1]:8.1f} s wall   "
        f"ratio {ratio[0]:6.0f}x cpu {ratio[1]:6.0f}x wall   goal {goal or '-'}   "
        f"max difference {difference:.0e}   {'met' if met else 'MISSED'}{scaled}",
        flush=True,
    )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="give rsatoolbox 20 samples and scale its time")
    parser.add_argument("--dual", action="store_true", help="the bootstrap with corrected variance")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--measures", nargs="+", default=list(GOALS), choices=list(rsa.MEASURES))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    peer(
        *data(6, 3, 3), "cosine", (np.arange(12).reshape(2, 6) % 6, np.zeros((2, 3), int))
    )  # imports and caches
    warnings.simplefilter("ignore", CautionWarning)
    print(
        f"92 conditions, 8 subjects, 20 models, {chosen.samples} samples, ceilings included, one torch thread"
    )
    peer_samples = min(20, chosen.samples) if chosen.quick else chosen.samples
    met = [compare(measure, chosen.samples, peer_samples, chosen.dual) for measure in chosen.measures]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
