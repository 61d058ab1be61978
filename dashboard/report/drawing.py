"""Pinned figures drawn anew from their answers: after recomputing, for other settings, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dashboard.report.freshness import recorded
from dashboard.report.model import Panel
from dashboard.specs import AreaRdmSpec, RdmSpec

if TYPE_CHECKING:
    import xarray as xr

    from dashboard.figures.rdms import Matrix

View = Mapping[str, str]
Draw = Callable[["xr.Dataset", View], Any]


def companion(panel: Panel) -> AreaRdmSpec | None:
    """Return the question about brain areas whose matrices stand beside those of the layers, if any do."""
    spec, of_recording = panel.spec, "recording:"
    if not isinstance(spec, RdmSpec) or panel.beside or not spec.stimuli.startswith(of_recording):
        return None
    if dict(panel.view).get("beside", "recording") != "recording":
        return None
    return AreaRdmSpec(recording=spec.stimuli.removeprefix(of_recording), metric=spec.metric)


def redrawn(panel: Panel, found: Sequence[xr.Dataset], areas: xr.Dataset | None = None) -> Panel:
    """Return the panel with the figure, record and words of these answers, one for each of its specs.

    Parameters
    ----------
    panel : Panel
    found : sequence of xr.Dataset
        The answer to each of its questions.
    areas : xr.Dataset, optional
        The answer to its `companion`.

    Raises
    ------
    HomologError
        When an answer cannot be drawn.
    """
    from dashboard.figures import alternative, beside, export

    view = dict(panel.view)
    draw = NAMED.get((panel.spec.kind, panel.name), _main)
    if len(found) > 1:
        chart = beside.beside(found, [draw(answer, view) for answer in found])
    elif areas is not None and shows_matrices(panel):
        chart = export.specification(found[0], _rdms(found[0], view, areas))
    else:
        chart = export.specification(found[0], draw(found[0], view))
    records = [recorded(json.loads(a.attrs["record"]), s) for a, s in zip(found, panel.specs, strict=True)]
    words = " Beside it: ".join(alternative.alt_text(answer) for answer in found)
    return replace(
        panel, chart=chart, record=records[0], beside_records=tuple(records[1:]), alt=words[:20_000]
    )


def is_exact(panel: Panel) -> bool:
    """Say whether a figure is drawn anew as its page draws it; else the main one of its kind is."""
    return panel.name in MAIN or (panel.spec.kind, panel.name) in NAMED


def _main(answer: xr.Dataset, view: View) -> Any:
    return None


def _of(module: str, function: str, **options: Any) -> Draw:
    """Return a figure that depends on the answer alone, imported when it is drawn."""

    def draw(answer: xr.Dataset, view: View) -> Any:
        return getattr(import_module(f"dashboard.figures.{module}"), function)(answer, **options)

    return draw


def _profile(answer: xr.Dataset, view: View) -> Any:
    from dashboard.figures.brain import layer_profile

    areas = [str(area) for area in answer.area.values]
    area = view.get("area", areas[0])
    return layer_profile(answer, area=area if area in areas else areas[0])


def _rdms(answer: xr.Dataset, view: View, areas: xr.Dataset | None = None) -> Any:
    from dashboard.figures import rdms

    order = view.get("order", "category")
    known: Any = order if order in ("cluster", "given") else "category"
    layers = answer_kind(answer) == "rdm"
    return rdms.matrices(
        answer if layers else None,
        areas if layers else answer,
        order=known,
        ranked=view.get("ranked") in ("true", "yes"),
    )


def answer_kind(answer: xr.Dataset) -> str:
    """Return the kind of an answer."""
    from dashboard.figures import answers

    return answers.kind(answer)


def shows_matrices(panel: Panel) -> bool:
    """Say whether a panel shows dissimilarity matrices, whose cells can be pointed at."""
    return NAMED.get((panel.spec.kind, panel.name)) is _rdms


def matrices(panel: Panel, found: Sequence[xr.Dataset], areas: xr.Dataset | None = None) -> list[Matrix]:
    """Return the matrices that a panel shows, on one scale per unit; none where it shows something else.

    Parameters
    ----------
    panel : Panel
    found : sequence of xr.Dataset
        The answer to each of its questions.
    areas : xr.Dataset, optional
        Matrices of brain areas that stand beside those of the layers, where one question is asked.
    """
    from dashboard.figures import beside

    if not shows_matrices(panel):
        return []
    view = dict(panel.view)
    if len(found) == 1:
        return list(_rdms(found[0], view, areas))
    return beside.one_scale([_rdms(answer, view) for answer in found], beside.headings(found))


def _sheet(answer: xr.Dataset, view: View) -> Any:
    from dashboard.figures import attention

    return attention.sheet(attention.head_rows(answer, shared=view.get("shared") == "true"))


def _encoding(answer: xr.Dataset, view: View) -> Any:
    from dashboard.figures import encoding

    areas = [str(area) for area in answer.area.values]
    area = view.get("area", areas[0])
    normalised = view.get("normalised") == "true" and encoding.has_ceiling(answer)
    return encoding.profile(answer, area if area in areas else areas[0], normalised=normalised)


NAMED: dict[tuple[str, str], Draw] = {
    ("brain", "brain"): _profile,
    ("rdm", "rdm"): _rdms,
    ("area-rdm", "rdm"): _rdms,
    ("area-rdm", "area-rdms"): _rdms,
    ("encoding", "encoding"): _encoding,
    ("attention", "heads"): _sheet,
    ("attention", "ablation"): _of("attention", "effect_chart", width=480),
    ("attribution", "numbers"): _of("attribution", "bars", width=480),
    ("attribution-set", "set-maps"): _of("attribution_set", "mean_chart"),
    ("health", "gradients"): _of("health", "gradient_chart", width=420),
    ("health", "weights"): _of("health", "weight_chart", width=420),
    ("latents", "carried"): _of("latents", "carried_chart", width=420),
    ("predictions", "calibration"): _of("predictions", "calibration_chart", width=480),
    ("predictions", "classes"): _of("predictions", "class_chart", width=480),
    ("predictions", "confusion"): _of("predictions", "confusion_chart"),
    ("predictions", "errors"): _of("regression", "error_chart", width=480),
    ("predictions", "mask-overlap"): _of("segmentation", "iou_chart", width=480),
    ("predictions", "overlap"): _of("segmentation", "iou_chart", width=480),
    ("walk", "samples"): _of("walk", "sample_chart"),
}
"""Kind of spec and name of the figure on its page -> how it is drawn; others as the main one of the kind."""

MAIN = frozenset(
    {
        *("agreement", "attributions", "decoding", "effective-field", "feature-maps", "filters", "gabors"),
        *("latents", "layers", "network", "pictures", "predictions", "preferred", "relevance", "tests"),
        *("training", "traversal", "trust", "tuning", "unit", "versus", "walk"),
    }
)
"""Names of figures that are the main one of their kind."""
