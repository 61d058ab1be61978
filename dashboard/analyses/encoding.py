"""Which layer of the network predicts each unit of a recording best, and what do layers share?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from dashboard import networks, recordings
from dashboard.analyses import activations
from dashboard.errors import InputError, caution, unknown
from dashboard.methods import encoding as method
from dashboard.progress import part, report
from dashboard.recordings import Recording
from dashboard.specs import EncodingSpec, PartitionSpec

MOST_SAMPLES = 5000
MOST_ALPHAS = 40
MOST_UNITS = 50_000
OPERATIONS_A_SECOND = 2e10
"""What one busy core does; forecasts divide by it."""


@dataclass(frozen=True, eq=False)
class Units:
    """All units of the chosen areas and subjects, side by side.

    Attributes
    ----------
    responses : np.ndarray
        (n_stimuli, n_units) means over repeats.
    area, subject : np.ndarray
        (n_units,) text.
    number : np.ndarray
        (n_units,) from 0 in each subject.
    reliability : np.ndarray
        (n_units,) of `method.reliability`; NaN without repeats.
    place : np.ndarray
        (2, n_units) of the receptive field, where it is known (simulated cells); else NaN.
    """

    responses: np.ndarray
    area: np.ndarray
    subject: np.ndarray
    number: np.ndarray
    reliability: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return len(self.area)

    def coords(self) -> dict[str, tuple]:
        """Return the coordinates of the dimension ``unit``."""
        return {
            "area_of_unit": ("unit", self.area),
            "subject": ("unit", self.subject),
            "number": ("unit", self.number),
            "unit": ("unit", np.arange(len(self))),
        }


def encode(spec: EncodingSpec) -> xr.Dataset:
    """Predict every unit of a recording from each layer of a network.

    Returns
    -------
    xarray.Dataset
        ``r``, ``r2`` and ``normalised`` (layer, unit): Pearson correlation of held-out predictions with mean
        responses, R², and r over the unit's ceiling; ``reliability`` and ``ceiling`` (unit); ``alpha``
        (layer, unit), geometric mean over folds; ``best`` (unit), position of the layer that the inner
        cross-validation chose most often; ``best_r``, ``best_normalised`` and ``agreement`` (unit): the score
        with the layer chosen inside each training set, and the share of folds that chose ``best``;
        ``median``, ``low``, ``high``, ``median_normalised``, ``share`` (area, layer); ``sample_median``
        (sample, area, layer).

    Raises
    ------
    InputError
        When the recording has no responses, or a setting does not fit.
    """
    if not 2 <= spec.bootstrap <= MOST_SAMPLES:
        raise InputError(f"bootstrap must be from 2 to {MOST_SAMPLES:,}, not {spec.bootstrap}.")
    alphas = penalties(spec.alphas)
    recording, areas = _recording(spec)
    units = gather(recording, areas, spec.seed)
    fold = method.folds(len(units.responses), spec.folds, spec.seed)
    with part(0.0, 0.4):
        extraction = activations.extract(
            spec.network, f"recording:{spec.recording}", spec.layers, spec.reducer
        )
    order = recordings.align(recording, extraction.shown.names).stimuli
    tally = _Tally(units, [np.flatnonzero(units.area == area) for area in areas], spec)
    names = [layer.name for layer in extraction.layers]
    widths = []
    for k, layer in enumerate(extraction.layers):
        x = extraction.patterns(layer)[order]
        widths.append(x.shape[1])
        with part(0.4 + 0.6 * k / len(names), 0.4 + 0.6 * (k + 1) / len(names)):
            tally.add(k, _fit(spec, x, units, fold, alphas, layer.name))
    return _answer(spec, recording, areas, units, tally, names, widths).assign_attrs(
        network_title=extraction.network.title,
        title=f"{recording.title} predicted from {extraction.network.title}",
        device=extraction.device,
    )


def _fit(
    spec: EncodingSpec,
    x: np.ndarray,
    units: Units,
    fold: np.ndarray,
    alphas: list[float],
    layer: str,
) -> method.Encoding:
    """Fit one layer, with the forecast in the words of the progress bar."""
    phrase = f"{layer}: {x.shape[1]:,} features predict {len(units):,} units"
    if spec.regression == "pls":
        return method.pls(x, units.responses, fold, report=lambda done: report(done, phrase))
    needed = method.operations(len(x), x.shape[1], len(units), spec.folds, len(alphas))
    phrase += f", about {max(1, round(needed / OPERATIONS_A_SECOND))} s"
    return method.ridge(
        [x],
        units.responses,
        fold,
        alphas=alphas,
        seed=spec.seed,
        device=_device(),
        report=lambda done: report(done, phrase),
    )


def _device() -> str:
    """Return where to compute: a GPU of NVIDIA or the CPU, as others have no float64."""
    return "cuda" if networks.device().type == "cuda" else "cpu"


def penalties(text: str) -> list[float]:
    """Read penalties with colons between; empty for the ten of `method.ALPHAS`.

    Raises
    ------
    InputError
        When one is no positive number, or there are too many.
    """
    if not text.strip():
        return list(method.ALPHAS)
    try:
        found = sorted({float(piece) for piece in text.split(":") if piece.strip()})
    except ValueError:
        found = []
    if not found or not all(0 < a < 1e300 for a in found) or len(found) > MOST_ALPHAS:
        message = f'alphas must be up to {MOST_ALPHAS} positive numbers, not "{text[:60]}".'
        raise InputError(message, "Put colons between them, such as 0.01:0.1:1:10.")
    return found


def _recording(spec: EncodingSpec | PartitionSpec) -> tuple[Recording, list[str]]:
    """Load a recording with pictures and responses, and choose its areas."""
    report(0.0, f"Opening {spec.recording.partition('?')[0]}")
    recording = recordings.load(spec.recording)
    for area in spec.areas:
        if area not in recording.areas:
            raise unknown("area", area, recording.areas)
    having = [a for a in spec.areas or recording.areas if recording.mean_responses(a)]
    if not having:
        message = (
            f"{recording.title} has no single responses, only dissimilarities: no unit can be predicted."
        )
        raise InputError(message, "Choose a recording with responses, such as simulated-v1.")
    if recording.stimuli is None:
        message = f"{recording.title} comes without its stimuli, so that the network has nothing to see."
        raise InputError(message, "Choose a recording with stimuli, such as simulated-v1.")
    return recording, having


def gather(recording: Recording, areas: list[str], seed: int = 0) -> Units:
    """Put the units of all subjects of some areas side by side; those with missing responses are left out.

    Raises
    ------
    InputError
        When no unit is left, or there are too many.
    """
    rows: list[dict[str, np.ndarray]] = []
    for area in areas:
        truth = recording.truth.get(area, {})
        start = 0
        for subject, given in zip(recording.subjects[area], recording.responses[area], strict=True):
            rows.append(_subject(given, area, subject, truth, start, seed))
            start += given.shape[-1]
    joined = {name: np.concatenate([row[name] for row in rows], axis=-1) for name in rows[0]}
    complete = np.isfinite(joined["responses"]).all(axis=0)
    if not complete.all():
        caution(
            "missing-responses",
            f"{int((~complete).sum()):,} of {len(complete):,} units have missing responses and are left out.",
        )
        joined = {name: values[..., complete] for name, values in joined.items()}
    n = int(complete.sum())
    if not 0 < n <= MOST_UNITS:
        message = (
            f"{recording.title} has {n:,} units without missing responses; 1 to {MOST_UNITS:,} can be fitted."
        )
        raise InputError(message, "Choose other areas.")
    if np.isnan(joined["reliability"]).all():
        caution(
            "no-repeats",
            f"{recording.title} has no repeats of stimuli, so that there is no noise ceiling: r is not "
            "divided "
            "by anything.",
        )
    return Units(**joined)


def _subject(
    given: np.ndarray, area: str, subject: str, truth: Mapping[str, np.ndarray], start: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the columns of `Units` for one subject."""
    n = given.shape[-1]
    repeated = given.ndim == 3 and len(given) > 1
    place = np.full((2, n), np.nan)
    if "x" in truth and "y" in truth:
        place = np.stack([truth["x"][start : start + n], truth["y"][start : start + n]])
    return {
        "responses": (given.mean(axis=0) if given.ndim == 3 else given).astype(np.float64),
        "area": np.full(n, area, dtype=object),
        "subject": np.full(n, subject, dtype=object),
        "number": np.arange(n),
        "reliability": method.reliability(given.astype(np.float64), seed=seed)
        if repeated
        else np.full(n, np.nan),
        "place": place,
    }


class _Tally:
    """Scores layer by layer; of predictions only those of the layer that suits a unit best are kept."""

    def __init__(self, units: Units, groups: list[np.ndarray], spec: EncodingSpec) -> None:
        self.units, self.groups, self.spec = units, groups, spec
        self.r: list[np.ndarray] = []
        self.r2: list[np.ndarray] = []
        self.alpha: list[np.ndarray] = []
        self.samples: list[np.ndarray] = []
        self.chosen = np.zeros((0, 0), dtype=np.int64)

    def add(self, k: int, found: method.Encoding) -> None:
        """Take the predictions of layer ``k``."""
        fold = method.folds(len(found.observed), self.spec.folds, self.spec.seed)
        self.r.append(method.correlations(found.observed, found.predicted))
        self.r2.append(method.explained(found.observed, found.predicted))
        with np.errstate(divide="ignore"):
            self.alpha.append(np.exp(np.log(found.alpha).mean(axis=0)))
        self.samples.append(method.resampled(found, self.groups, n=self.spec.bootstrap, seed=self.spec.seed))
        if k == 0:
            self.observed, self.predicted = found.observed, found.predicted.copy()
            self.inner, self.chosen = found.inner.copy(), np.zeros(found.inner.shape, dtype=np.int64)
            return
        for f in range(self.spec.folds):
            better = np.flatnonzero(found.inner[f] > self.inner[f])
            self.inner[f, better], self.chosen[f, better] = found.inner[f, better], k
            rows = np.flatnonzero(fold == f)
            self.predicted[np.ix_(rows, better)] = found.predicted[np.ix_(rows, better)]

    def best(self, n_layers: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the layer that most folds chose for each unit (the earlier of equals), and their share."""
        counts = np.stack([(self.chosen == k).sum(axis=0) for k in range(n_layers)])
        return counts.argmax(axis=0), counts.max(axis=0) / self.spec.folds


def _answer(
    spec: EncodingSpec,
    recording: Recording,
    areas: list[str],
    units: Units,
    tally: _Tally,
    names: list[str],
    widths: list[int],
) -> xr.Dataset:
    ceiling = method.ceilings(units.reliability)
    r, r2 = np.stack(tally.r), np.stack(tally.r2)
    normalised = r / ceiling
    best, agreement = tally.best(len(names))
    best_r = method.correlations(tally.observed, tally.predicted)
    samples = np.stack(tally.samples, axis=2)
    _tell(spec, r, units, ceiling)
    variables: dict[str, tuple] = {
        "r": (("layer", "unit"), r),
        "r2": (("layer", "unit"), r2),
        "normalised": (("layer", "unit"), normalised),
        "alpha": (("layer", "unit"), np.stack(tally.alpha)),
        "reliability": ("unit", units.reliability),
        "ceiling": ("unit", ceiling),
        "best": ("unit", best),
        "agreement": ("unit", agreement),
        "best_r": ("unit", best_r),
        "best_r2": ("unit", method.explained(tally.observed, tally.predicted)),
        "best_normalised": ("unit", best_r / ceiling),
        "x": ("unit", units.place[0]),
        "y": ("unit", units.place[1]),
        "n_features": ("layer", widths),
        "sample_median": (("sample", "area", "layer"), samples),
        **_by_area(r, normalised, best, best_r, samples, tally.groups),
    }
    return xr.Dataset(
        variables,
        coords={"layer": names, "area": areas, **units.coords()},
        attrs={
            "network": spec.network,
            "recording": spec.recording,
            "recording_title": recording.title,
            "signal": recording.signal,
            "regression": spec.regression,
            "reducer": spec.reducer,
            "folds": spec.folds,
            "inner_folds": method.INNER_FOLDS,
            "alphas": ":".join(f"{a:g}" for a in penalties(spec.alphas)),
            "components": method.PLS_COMPONENTS,
            "bootstrap": spec.bootstrap,
            "n_stimuli": len(units.responses),
            "simulated": "yes" if recording.simulated else "no",
        },
    )


def _by_area(
    r: np.ndarray,
    normalised: np.ndarray,
    best: np.ndarray,
    best_r: np.ndarray,
    samples: np.ndarray,
    groups: list[np.ndarray],
) -> dict[str, tuple]:
    """Return medians over units, their bootstrap intervals, and how often each layer is chosen."""
    middle = np.stack([_median(r[:, units]) for units in groups])
    ends = (
        np.nanpercentile(samples, [2.5, 97.5], axis=0)
        if np.isfinite(samples).any()
        else np.full((2, *middle.shape), np.nan)
    )
    told = np.isfinite(best_r)
    share = [
        [(best[units][told[units]] == k).sum() / max(1, told[units].sum()) for k in range(len(r))]
        for units in groups
    ]
    return {
        "median": (("area", "layer"), middle),
        "low": (("area", "layer"), ends[0]),
        "high": (("area", "layer"), ends[1]),
        "median_normalised": (("area", "layer"), np.stack([_median(normalised[:, u]) for u in groups])),
        "best_median": ("area", [float(_median(best_r[None, units])[0]) for units in groups]),
        "share": (("area", "layer"), np.array(share, dtype=np.float64)),
        "n_units": ("area", [len(units) for units in groups]),
    }


def _median(values: np.ndarray) -> np.ndarray:
    """Return medians of rows, (n_rows,), over what is a number; NaN where nothing is."""
    return np.array(
        [np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in values]
    )


def _tell(spec: EncodingSpec | PartitionSpec, r: np.ndarray, units: Units, ceiling: np.ndarray) -> None:
    """Say which units could not be scored or normalised, and what the projection did."""
    silent = int(np.isnan(r).all(axis=0).sum())
    if silent:
        caution(
            "constant-units",
            f"{silent:,} of {len(units):,} units do not vary over stimuli or get constant predictions: they "
            "have no r.",
        )
    noisy = int((np.isnan(ceiling) & np.isfinite(units.reliability)).sum())
    if noisy:
        caution(
            "unreliable-units",
            f"{noisy:,} of {len(units):,} units have a reliability below {method.LEAST_RELIABILITY:g}: "
            "their r is "
            "shown, but not divided by so uncertain a ceiling.",
        )
    finite = [row[np.isfinite(row)] for row in r]
    if any(len(row) and np.percentile(row, 25) < -0.2 for row in finite):
        caution(
            "negative-r",
            "Some layers predict many units the wrong way round (r far below 0). In a balanced stimulus set "
            "what is held out is the opposite of what was trained on; r does not see that such predictions "
            "are shrunk to almost nothing, R² does and is about 0.",
        )
    if len(units.responses) < 50:
        caution(
            "few-stimuli",
            f"With {len(units.responses)} stimuli r of single units is uncertain by about "
            f"±{1.96 / np.sqrt(max(1, len(units.responses) - 3)):.2f}.",
        )


# --- variance partitioning --------------------------------------------------------------------------------


def partition(spec: PartitionSpec) -> xr.Dataset:
    """Split the variance of every unit that two to four layers explain together among them.

    Every set of layers is a banded ridge model, with a weight of its own per layer.

    Returns
    -------
    xarray.Dataset
        ``r2`` (set, unit) of every set of layers; ``part`` (set, unit), what exactly the members of a set
        explain together and no other layer does, which sums to R² of all; ``product`` (layer, unit), the
        product measure, which also sums to it; ``weight`` (layer, unit) of the bands; ``median_part`` and
        ``mean_part``, ``mean_r2`` (area, set).

    Raises
    ------
    InputError
        When not two to four layers are named, or a setting does not fit.
    """
    if not 1 <= spec.mixes <= 200:
        raise InputError(f"mixes must be from 1 to 200, not {spec.mixes}.")
    alphas = penalties(spec.alphas)
    recording, areas = _recording(spec)
    units = gather(recording, areas, spec.seed)
    fold = method.folds(len(units.responses), spec.folds, spec.seed)
    with part(0.0, 0.3):
        extraction = activations.extract(
            spec.network, f"recording:{spec.recording}", spec.layers, spec.reducer
        )
    names = [layer.name for layer in extraction.layers]
    if not 2 <= len(names) <= 4:
        message = f"Variance is split between two to four layers, not {len(names)}."
        raise InputError(message, "Choose two to four layers.")
    order = recordings.align(recording, extraction.shown.names).stimuli
    bands = [extraction.patterns(layer)[order] for layer in extraction.layers]
    r2, whole = _unions(spec, bands, units, fold, alphas, names)
    parts = method.partition(r2, len(names))
    sets = list(parts)
    titles = [" ∩ ".join(names[k] for k in sorted(members)) for members in sets]
    values = np.stack([parts[s] for s in sets])
    explained = np.stack([r2[s] for s in sets])
    groups = [np.flatnonzero(units.area == area) for area in areas]
    _tell(spec, method.correlations(whole.observed, whole.predicted)[None], units, units.reliability)
    return xr.Dataset(
        {
            "r2": (("set", "unit"), explained),
            "part": (("set", "unit"), values),
            "product": (("layer", "unit"), method.shares(whole.observed, whole.parts)),
            "weight": (("layer", "unit"), np.moveaxis(whole.mix.mean(axis=0), -1, 0)),
            "mean_part": (("area", "set"), np.stack([_mean(values[:, g]) for g in groups])),
            "mean_r2": (("area", "set"), np.stack([_mean(explained[:, g]) for g in groups])),
            "member": (("set", "layer"), np.array([[k in s for k in range(len(names))] for s in sets])),
            "reliability": ("unit", units.reliability),
            "n_units": ("area", [len(g) for g in groups]),
        },
        coords={"layer": names, "set": titles, "area": areas, **units.coords()},
        attrs={
            "title": f"What layers of {extraction.network.title} explain of {recording.title}, and share",
            "network": spec.network,
            "network_title": extraction.network.title,
            "recording": spec.recording,
            "recording_title": recording.title,
            "reducer": spec.reducer,
            "folds": spec.folds,
            "mixes": spec.mixes,
            "n_stimuli": len(units.responses),
            "device": extraction.device,
            "simulated": "yes" if recording.simulated else "no",
        },
    )


def _mean(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(finite, values, 0).sum(axis=1) / np.where(
            finite.any(axis=1), finite.sum(axis=1), np.nan
        )


def _unions(
    spec: PartitionSpec,
    bands: list[np.ndarray],
    units: Units,
    fold: np.ndarray,
    alphas: list[float],
    names: list[str],
) -> tuple[dict[frozenset[int], np.ndarray], method.Encoding]:
    """Fit every set of layers; return R² of each and the fit of all of them."""
    found: dict[frozenset[int], np.ndarray] = {}
    sets = list(_sets(len(bands)))
    for k, members in enumerate(sets):
        phrase = " + ".join(names[m] for m in members)
        with part(0.3 + 0.7 * k / len(sets), 0.3 + 0.7 * (k + 1) / len(sets)):
            fit = method.ridge(
                [bands[m] for m in members],
                units.responses,
                fold,
                alphas=alphas,
                mixes=spec.mixes,
                seed=spec.seed,
                split=len(members) == len(bands),
                device=_device(),
                report=lambda done, phrase=phrase: report(done, phrase),  # type: ignore[misc]
            )
        found[frozenset(members)] = method.explained(fit.observed, fit.predicted)
    return found, fit


def _sets(n: int) -> Iterator[tuple[int, ...]]:
    """Yield every non-empty set out of ``range(n)``, the whole last."""
    for size in range(1, n + 1):
        yield from itertools.combinations(range(n), size)
