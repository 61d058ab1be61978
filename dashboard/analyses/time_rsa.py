"""When does each layer of the network resemble an area of the brain?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from dashboard import recordings
from dashboard.analyses.brain import network_rdms
from dashboard.compute import compute
from dashboard.errors import InputError, caution, collect_cautions
from dashboard.methods import clusters, inference, over_time, rdm, rsa
from dashboard.progress import part, report
from dashboard.recordings import Recording
from dashboard.specs import TimeRsaSpec

LEVEL = 0.05
MOST_TIMES = 500


@dataclass(frozen=True, eq=False)
class Tested:
    """What shuffling and resampling gave.

    Attributes
    ----------
    statistic : np.ndarray (n_layers, n_times)
        Standardised score, or t over subjects.
    threshold : float
        Points above it form clusters.
    test : clusters.ClusterTest
    low, high : np.ndarray (n_layers, n_times)
        95 % interval of the score over resamples; NaN without any.
    latency : over_time.Latency
    """

    statistic: np.ndarray
    threshold: float
    test: clusters.ClusterTest
    low: np.ndarray
    high: np.ndarray
    latency: over_time.Latency


def over_time_of(recording: Recording, area: str) -> tuple[str, tuple[np.ndarray, ...]]:
    """Return the area that is asked for, or the first with responses over time, and these responses."""
    timed = [name for name in recording.areas if name in recording.courses]
    chosen = area or (timed or recording.areas)[0]
    return chosen, recording.over_time(chosen)


def answer(spec: TimeRsaSpec) -> xr.Dataset:
    """Compare layers with the RDMs of an area at every time.

    Returns
    -------
    xarray.Dataset
        ``score``, ``statistic``, ``ci_low``, ``ci_high`` (layer, time); ``significant`` (layer, time), 1
        inside clusters with p at most .05 over times and layers; ``subject_score`` (subject, layer, time);
        ``ceiling_low``, ``ceiling_high`` (time,); ``movie`` (time, pair), the mean RDM over subjects;
        ``cluster_layer``, ``cluster_from``, ``cluster_to`` (ms), ``cluster_mass``, ``cluster_p``,
        ``cluster_p_all`` (cluster,); ``onset``, ``peak`` with ``_low`` and ``_high``, ``resamples_with``
        (layer,).

    Raises
    ------
    InputError
        When the recording has no time, or a setting does not fit.
    """
    _check(spec)
    report(0.0, f"Opening {spec.recording.partition('?')[0]}")
    recording = recordings.load(spec.recording)
    area = _area(recording, spec.area)
    if len(recording.times_ms) > MOST_TIMES:
        message = f"{recording.title} has {len(recording.times_ms)} times, more than {MOST_TIMES}."
        raise InputError(message, "Average neighbouring samples, or choose a window.")
    given = recording.movies.get(area)
    metric = chosen_metric(spec, recording.over_time(area)) if given is None else _of_network(spec, recording)
    with part(0.02, 0.3):
        layers = compute(network_rdms(spec.replace(metric=metric), spec.network, spec.layers))
    pairs = recordings.matching_pairs(list(layers.stimulus.values), list(recording.stimulus_names))
    models = layers.rdm.values[:, pairs]
    with part(0.3, 0.5):
        movies = _movies(recording.over_time(area), metric) if given is None else given
    scores = over_time.courses(models, movies, spec.measure)
    with part(0.5, 1.0):
        tested = _tested(models, movies, scores, np.array(recording.times_ms), spec)
    return _labelled(spec, recording, area, metric, layers, movies, scores, tested)


def _area(recording: Recording, area: str) -> str:
    """Return the area that is asked for, or the first of which anything is known over time."""
    timed = [name for name in recording.areas if name in recording.courses or name in recording.movies]
    return area or (timed or recording.areas)[0]


def _of_network(spec: TimeRsaSpec, recording: Recording) -> str:
    """Return the metric of the network's RDMs where those of the recording were given."""
    if spec.metric not in ("auto", recording.rdm_metric):
        caution(
            "metric-of-recording",
            f"{recording.title} was given as RDMs over time; "
            f"the chosen metric, {spec.metric}, applies to the network only.",
        )
    return "correlation" if spec.metric == "auto" else spec.metric


def _check(spec: TimeRsaSpec) -> None:
    clusters.z_threshold(spec.forming)
    if spec.permutations < 19:
        message = f"{spec.permutations} shuffles cannot reach p = .05."
        raise InputError(message, "Use at least 1000 permutations.")
    if spec.bootstrap < 0 or spec.bootstrap == 1:
        message = f"bootstrap must be 0 or at least 2, not {spec.bootstrap}."
        raise InputError(message, "Use 200, or 0 for no intervals.")


def chosen_metric(spec: TimeRsaSpec, courses: tuple[np.ndarray, ...]) -> str:
    """Return the metric: of "auto" crossnobis where every subject has repeats."""
    repeated = all(len(course) > 1 for course in courses)
    if spec.metric == "crossnobis" and not repeated:
        message = "crossnobis compares repeats, and this recording has none."
        raise InputError(message, "Choose correlation.")
    if spec.metric != "auto":
        return spec.metric
    return "crossnobis" if repeated else "correlation"


def _movies(courses: tuple[np.ndarray, ...], metric: str) -> np.ndarray:
    """Return the RDM of every subject at every time: (n_subjects, n_times, n_pairs)."""
    found = []
    for s, course in enumerate(courses):
        folds = range(len(course)) if metric == "crossnobis" else None
        rows = []
        with collect_cautions() as given:
            for t in range(course.shape[-1]):
                rows.append(rdm.dissimilarities(course[..., t], metric, folds=folds).numpy())
                report((s + t / course.shape[-1]) / len(courses), f"RDMs over time of subject {s + 1}")
        for each in {c.code: c for c in given}.values():  # once, not at every time
            caution(each.code, each.message)
        found.append(np.stack(rows))
    return np.stack(found)


def _tested(
    models: np.ndarray, movies: np.ndarray, scores: np.ndarray, times: np.ndarray, spec: TimeRsaSpec
) -> Tested:
    """Shuffle, find clusters, and draw stimuli and subjects again for the intervals."""
    if spec.shuffle == "stimuli":
        with part(0.0, 0.5):
            labelled, _ = inference.label_scores(
                models,
                list(movies.swapaxes(0, 1)),
                spec.measure,
                n=spec.permutations,
                seed=spec.seed,
                report=lambda done: report(done, "Shuffling stimulus labels"),
            )
        labelled = labelled.swapaxes(1, 2)  # (n_labellings, n_layers, n_times)
        centre, spread = labelled.mean(axis=0), labelled.std(axis=0)
        values, threshold = clusters.standardised(labelled), clusters.z_threshold(spec.forming)
    else:
        values, dof = clusters.flipped_t(scores, spec.permutations, spec.seed)
        threshold = _t_threshold(spec.forming, dof)
        if len(values) * LEVEL < 1:
            caution(
                "few-flips",
                f"Signs of {len(scores)} subjects can be flipped in {len(values)} ways, so no p is below "
                f"{1 / len(values):.2g}: shuffle the stimuli instead.",
            )
    test = clusters.test(values, threshold)
    with part(0.5, 1.0):
        samples, t = over_time.resampled(
            models,
            movies,
            spec.measure,
            n=spec.bootstrap,
            seed=spec.seed,
            report=lambda done: report(done, "Drawing stimuli and subjects again"),
        )
    if spec.shuffle == "stimuli":
        with np.errstate(invalid="ignore", divide="ignore"):
            again = np.where(spread > 0, (samples - centre) / spread, 0.0)
    else:
        again = t
    latency = over_time.latencies(
        values[0], again, times, threshold, test.critical_all, scores.mean(axis=0), samples
    )
    none = np.full((2, *values[0].shape), np.nan)
    low, high = np.nanpercentile(samples, [2.5, 97.5], axis=0) if spec.bootstrap else none
    return Tested(values[0], threshold, test, low, high, latency)


def _t_threshold(forming: float, dof: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(dof, 1 - forming))


def _unit(recording: Recording, area: str, metric: str) -> str:
    return recording.rdm_unit if area in recording.movies else rdm.METRICS[metric].unit


def _labelled(
    spec: TimeRsaSpec,
    recording: Recording,
    area: str,
    metric: str,
    layers: xr.Dataset,
    movies: np.ndarray,
    scores: np.ndarray,
    tested: Tested,
) -> xr.Dataset:
    names = [str(name) for name in layers.layer.values]
    times = np.array(recording.times_ms)
    low, high = over_time.ceilings(movies, spec.measure)
    if len(movies) < 2:
        caution("no-ceiling", "One subject has no noise ceiling.")
    found = tested.test.clusters
    significant = np.zeros(scores.shape[1:], dtype=np.int8)
    for cluster in found:
        if cluster.p_all <= LEVEL:
            significant[cluster.series, cluster.inside] = 1
    latency = tested.latency
    label = rsa.MEASURES[spec.measure].label
    dims = ("layer", "time")
    variables: dict[str, tuple] = {
        "score": (dims, scores.mean(axis=0), {"units": label}),
        "statistic": (dims, tested.statistic),
        "ci_low": (dims, tested.low, {"units": label}),
        "ci_high": (dims, tested.high, {"units": label}),
        "significant": (dims, significant),
        "subject_score": (("subject", "layer", "time"), scores, {"units": label}),
        "ceiling_low": ("time", low, {"units": label}),
        "ceiling_high": ("time", high, {"units": label}),
        "movie": (("time", "pair"), movies.mean(axis=0), {"units": _unit(recording, area, metric)}),
        "onset": ("layer", latency.onset, {"units": "ms"}),
        "onset_low": ("layer", latency.onset_ci[:, 0], {"units": "ms"}),
        "onset_high": ("layer", latency.onset_ci[:, 1], {"units": "ms"}),
        "peak": ("layer", latency.peak, {"units": "ms"}),
        "peak_low": ("layer", latency.peak_ci[:, 0], {"units": "ms"}),
        "peak_high": ("layer", latency.peak_ci[:, 1], {"units": "ms"}),
        "resamples_with": ("layer", latency.found),
        "cluster_layer": ("cluster", np.array([names[c.series] for c in found], dtype=object)),
        "cluster_from": ("cluster", np.array([times[c.first] for c in found], dtype=np.float64)),
        "cluster_to": ("cluster", np.array([times[c.last] for c in found], dtype=np.float64)),
        "cluster_mass": ("cluster", np.array([c.mass for c in found], dtype=np.float64)),
        "cluster_p": ("cluster", np.array([c.p for c in found], dtype=np.float64)),
        "cluster_p_all": ("cluster", np.array([c.p_all for c in found], dtype=np.float64)),
    }
    shown = recording.stimuli
    categories = list(shown.categories) if shown is not None else list(recording.stimulus_names)
    return xr.Dataset(
        variables,
        coords={
            "layer": names,
            "time": ("time", times, {"units": "ms"}),
            "subject": list(recording.subjects[area]),
            "stimulus": list(recording.stimulus_names),
            "category": ("stimulus", categories),
        },
        attrs={
            "title": f"Similarity of the layers of {layers.attrs['network_title']} to {area} over time",
            "network": spec.network,
            "network_title": layers.attrs["network_title"],
            "recording": spec.recording,
            "recording_title": recording.title,
            "area_name": area,
            "metric": metric,
            "given": "yes" if area in recording.movies else "no",
            "measure": spec.measure,
            "measure_label": label,
            "shuffle": spec.shuffle,
            "permutations": spec.permutations,
            "n_labellings": len(tested.test.largest),
            "forming": spec.forming,
            "threshold": tested.threshold,
            "bootstrap": spec.bootstrap,
            "seed": spec.seed,
            "simulated": "yes" if recording.simulated else "no",
            "device": layers.attrs.get("device", "cpu"),
        },
    )
