"""The parts of the Home page: ways to go on, and example answers that were computed before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import streamlit as st
import xarray as xr

from dashboard import provenance, specs
from dashboard.analyses import examples as shipped
from dashboard.figures import brain, rdms
from dashboard.figures.alternative import alt_text
from dashboard.figures.stimuli import thumbnails_by_name
from dashboard.ui import charts
from dashboard.ui.text import plain


@dataclass(frozen=True)
class Way:
    """One thing that a visitor can do next."""

    page: str
    icon: str
    title: str
    sentence: str
    query: dict[str, str]


WAYS = (
    Way(
        "brain.py",
        ":material/neurology:",
        "Compare a network with a brain",
        "Which layer is most like each area, with noise ceilings and error bars. Starts offline, with a "
        "network that knows gratings and a simulated V1.",
        {"network": "bundled:tilt_cnn", "stimuli": "gratings", "recording": "simulated-v1"},
    ),
    Way(
        "rdms.py",
        ":material/grid_on:",
        "See what each layer tells apart",
        "Dissimilarity matrices of layers and areas side by side: point at a cell and see both stimuli.",
        {},
    ),
    Way(
        "brain.py",
        ":material/science:",
        "Use a real recording",
        "92 object pictures in human and monkey IT (Kriegeskorte et al. 2008), fetched once and checked.",
        {"recording": "kriegeskorte92"},
    ),
    Way(
        "attributions.py",
        ":material/layers:",
        "Ask why it answered so",
        "SHAP values and other attributions of any answer or unit, each with what can and cannot be trusted.",
        {"network": "bundled:objects_cnn", "stimuli": "objects"},
    ),
    Way(
        "attention.py",
        ":material/visibility:",
        "See where a transformer looks",
        "Every head of every layer over the picture or between the words, beside what removing it does.",
        {"network": "bundled:objects_vit", "stimuli": "objects"},
    ),
    Way(
        "tuning.py",
        ":material/tune:",
        "Treat units like neurons",
        "Orientation, spatial frequency, size: tuning of every unit to gratings, beside the neurons'.",
        {"network": "bundled:objects_cnn", "stimuli": "objects", "neurons": "true"},
    ),
    Way(
        "encoding.py",
        ":material/stacked_line_chart:",
        "Predict each neuron",
        "Which layer predicts each neuron or voxel best, beside its noise ceiling, and what layers share.",
        {"network": "bundled:tilt_cnn", "stimuli": "gratings", "recording": "simulated-v1"},
    ),
    Way(
        "alignment.py",
        ":material/compare_arrows:",
        "Compare two networks",
        "Which layers of two networks speak the same language: CKA, Procrustes, CCA, with intervals.",
        {"network": "bundled:objects_cnn", "stimuli": "objects", "second": "bundled:objects_vit"},
    ),
    Way(
        "decoding.py",
        ":material/psychology:",
        "Read out orientation",
        "The same decoders on layers and areas: what can be read out, and how many neurons it takes.",
        {
            "network": "bundled:tilt_cnn",
            "recording": "simulated-v1",
            "source": "layers and areas, side by side",
            "column": "orientation",
        },
    ),
)


def ways_on() -> None:
    """Draw a card with a link for each, three in a row."""
    for start in range(0, len(WAYS), 3):
        for column, way in zip(st.columns(3), WAYS[start : start + 3], strict=True):
            with column.container(border=True, height="stretch"):
                st.page_link(way.page, label=f"**{way.title}**", icon=way.icon, query_params=way.query)
                st.markdown(way.sentence)


def examples() -> None:
    """Draw the shipped answers: nothing is computed here."""
    st.header("Three answers, computed before")
    for column, name in zip(st.columns(3), shipped.EXAMPLES, strict=True):
        with column.container(border=True, height="stretch"):
            _example(_shipped(name))


@st.cache_resource(max_entries=8, show_spinner=False)
def _shipped(name: str) -> xr.Dataset:
    """Read one shipped answer; it is shared and must not be changed."""
    return xr.load_dataset(shipped.FOLDER / f"{name}.nc", engine="h5netcdf")


def _example(answer: xr.Dataset) -> None:
    record = json.loads(answer.attrs["record"])
    spec = specs.from_dict(record["spec"])
    st.markdown(f"**{plain(answer.attrs['title'])}**")
    charts.draw(answer, f"example-{spec.kind}", lambda dark: _chart(answer, spec.kind, dark))
    st.markdown(plain(_words(answer, spec.kind)))
    st.caption(plain(provenance.sentence(record)))
    page, query = _view(spec)
    st.page_link(page, label="Open this view", icon=":material/open_in_new:", query_params=query)


def _view(spec: specs.Spec) -> tuple[str, dict[str, str]]:
    """Return the page that shows an answer, and what its link says."""
    if isinstance(spec, specs.MapSpec):
        page, query = _view(spec.rdms)
        return page, {**query, "view": "Map"}
    if isinstance(spec, specs.RdmSpec):
        return "rdms.py", {**spec.to_query(), "beside": "nothing"}
    return "brain.py", spec.to_query()


def _chart(answer: xr.Dataset, kind: str, dark: bool) -> Any:
    if kind == "brain":
        return brain.layer_profile(answer, str(answer.area.values[0]), dark)
    if kind == "rdm":
        return rdms.matrices_chart(rdms.matrices(answer), dark=dark, columns=1, side=130)
    return rdms.map_charts(answer, thumbnails_by_name(_shipped("pictures")), dark=dark)[0]


def _words(answer: xr.Dataset, kind: str) -> str:
    if kind == "brain":
        return brain.verdict(answer, str(answer.area.values[0]))
    return rdms.verdict(answer) if kind == "rdm" else alt_text(answer)
