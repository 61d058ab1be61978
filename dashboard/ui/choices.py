"""Small pickers that pages share; every one is bound to the URL and explained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import streamlit as st
import xarray as xr

from dashboard import networks
from dashboard.errors import HomologError
from dashboard.specs import ModelRdmSpec, RecordingSpec, Spec, StimuliSpec
from dashboard.ui import answers, opening

S = TypeVar("S", bound=Spec)
T = TypeVar("T", bound=str)
Answer = xr.Dataset

MANY = 300
"""Stimuli from which on simple models are offered without looking whether each of them fits."""

REDUCERS = {
    "all": "every unit",
    "spatial-mean": "mean over positions, or over the tokens of a text",
    "cls": "the first token of a transformer",
    "subset?n=4096": "4,096 fixed random units",
    "projection?n=1024&centre": "1,024 random projections of the units less their mean",
}


def pick(
    key: str,
    label: str,
    options: Sequence[T],
    *,
    default: T | None = None,
    help: str,
    waiting: bool = False,
) -> T:
    """Choose one of a few; the value is the URL's.

    While the options are still being made (`waiting`) what a link asks for is one of them, so that it is
    not lost; without a link the choice is another one's, so that what stands first now is not kept.
    """
    wish = (st.session_state.get(key) or st.query_params.get(key)) if waiting else None
    if waiting and not wish:
        st.selectbox(label, ["…"], key=f"{key}_waiting", help=help, width=190, disabled=True)
        return default if default is not None else [*options, cast("T", "…")][0]
    known = list(dict.fromkeys([*options, *([cast("T", wish)] if wish else [])])) or [cast("T", "…")]
    index = known.index(default) if default in known else 0
    value = st.selectbox(label, known, index=index, key=key, bind="query-params", help=help, width=190)
    return cast("T", value or known[index])


def switch(key: str, label: str, *, help: str) -> bool:
    """Turn something on or off."""
    return st.toggle(label, key=key, bind="query-params", help=help)


def number(key: str, label: str, value: int, *, low: int, high: int, help: str) -> int:
    """Choose a whole number."""
    chosen = st.number_input(
        label,
        min_value=low,
        max_value=high,
        value=value,
        step=1,
        key=key,
        bind="query-params",
        help=help,
        width=190,
    )
    return int(chosen if chosen is not None else value)


def reads(network: str) -> networks.InputKind:
    """Return what a network is shown; pictures where that is not known yet."""
    try:
        return networks.input_kind(network)
    except HomologError:  # the page says what is wrong where it asks its question
        return "image"


def by_kind(key: str, network: str, defaults: Mapping[str, str]) -> str:
    """Return the default of a picker that depends on what the network is shown, and hold the picker to it.

    A picker that still stands at the default of the other kind goes over to that of this one.

    Parameters
    ----------
    key : str
        Key of the picker, which is drawn next.
    network : str
    defaults : mapping
        Default by kind; that of pictures where a kind has none.
    """
    defaults = {**dict.fromkeys(("image", "text", "vector"), defaults["image"]), **defaults}
    kind = reads(network)
    before = st.session_state.get(f"_{key}_kind", kind)
    if before != kind and st.session_state.get(key) == defaults[before]:
        st.session_state[key] = defaults[kind]
    st.session_state[f"_{key}_kind"] = kind
    return defaults[kind]


def reducer(network: str) -> str:
    """Choose what is kept of each layer; texts differ in length, so of them not every unit can be kept."""
    default = by_kind("reducer", network, {"image": "all", "text": "spatial-mean"})
    return pick(
        "reducer",
        "Units of a layer",
        list(REDUCERS),
        default=default,
        help="; ".join(f"{name}: {meaning}" for name, meaning in REDUCERS.items()) + ".",
    )


def layers(facts: xr.Dataset | None) -> tuple[str, ...]:
    """Choose layers; none means the default selection of the network."""
    names = [str(n) for n in facts.layer.values] if facts is not None else []
    chosen = st.multiselect(
        "Layers",
        names,
        key="layers",
        bind="query-params",
        accept_new_options=True,
        placeholder="About eight, spread over depth",
        help="Layers in the order in which data pass through. Empty: a sensible selection. "
        "Patterns such as features.* and the word all work too.",
    )
    return tuple(part for text in chosen for part in str(text).split(",") if part)


def simple_models(
    stimuli: str,
    recording: str,
    key: str,
    label: str,
    help: str,
    *,
    layers: Sequence[str] = (),
    default: Sequence[str] = (),
    most: int | None = None,
) -> tuple[str, ...]:
    """Choose simple models that fit the stimuli, and layers where some are given.

    Parameters
    ----------
    stimuli, recording : str
        References; the recording may be "".
    key, label, help : str
    layers : sequence of str
        Further options, before the models.
    default : sequence of str
    most : int, optional
        How many may be chosen.
    """
    simple = _fitting(stimuli, recording)
    chosen = st.multiselect(
        label,
        list(dict.fromkeys([*layers, *simple, *default])),
        default=list(default),
        key=key,
        bind="query-params",
        accept_new_options=True,
        max_selections=most,
        help=help,
        width=320,
    )
    return tuple(part for text in chosen for part in str(text).split(",") if part)


def _fitting(stimuli: str, recording: str) -> list[str]:
    """Return the simple models that fit; of many stimuli those that may, so that none is computed unasked."""
    shown = pictures(stimuli)
    if shown is None:
        return []
    if shown.sizes["stimulus"] <= MANY:
        fits = answers.peek(ModelRdmSpec(stimuli=stimuli, recording=recording))
        return [str(name) for name in fits.model.values] if fits is not None else []
    seen = ["pixels", "gist", "luminance", "silhouette"] if shown.attrs["kind"] == "image" else []
    columns = [str(name) for name, values in shown.data_vars.items() if values.dims == ("stimulus",)]
    found = ["category", *seen, *(f"factor:{name}" for name in columns if name != "text")]
    facts = answers.peek(RecordingSpec(recording=recording)) if recording else None
    if facts is not None:
        found += [f"behaviour:{name}" for name in json.loads(facts.attrs["behaviour"])]
        found += [f"model:{name}" for name in json.loads(facts.attrs["models"])]
    return found


def network_facts(reference: str) -> xr.Dataset | None:
    """Return the layer table of a network, or None while it is being made."""
    return opening.peek(reference)


def title(facts: xr.Dataset | None, reference: str) -> str:
    """Return what to call a network: its title, or its reference while it is being opened."""
    return str(facts.attrs["title"]) if facts is not None else reference


def areas(reference: str) -> tuple[str, ...]:
    """Return the areas of a recording, or nothing while they are being read."""
    facts = answers.peek(RecordingSpec(recording=reference))
    return tuple(map(str, facts.area.values)) if facts is not None else ()


def behaviour(reference: str) -> tuple[str, ...]:
    """Return the behaviour of a recording, which can stand in for an area, or nothing while it is read."""
    facts = answers.peek(RecordingSpec(recording=reference))
    return tuple(json.loads(facts.attrs["behaviour"])) if facts is not None else ()


def pictures(reference: str) -> xr.Dataset | None:
    """Return names and thumbnails of a stimulus set, or None while they are being made."""
    return answers.peek(StimuliSpec(stimuli=reference))


def build(cls: type[S], **values: Any) -> S | None:
    """Make a spec from what was chosen, or show why it cannot be."""
    try:
        return cls(**values)
    except HomologError as error:
        answers.problem(error)
        return None


def dark() -> bool:
    """Tell whether the reader uses the dark theme."""
    return st.context.theme.type == "dark"


def record(answer: xr.Dataset) -> dict[str, Any]:
    """Return the provenance record of an answer."""
    found: dict[str, Any] = json.loads(answer.attrs["record"])
    return found


def next_steps(*steps: tuple[str, str, str]) -> None:
    """Link to what to look at next; the choices in the URL go along."""
    with st.container(horizontal=True):
        for page, label, icon in steps:
            st.page_link(page, label=label, icon=icon)


def open_with(page: str, label: str, icon: str, **query: str) -> None:
    """Link to a page with more choices than those of the sidebar, such as a layer and a unit."""
    shared = {name: str(st.session_state[name]) for name in _SHARED if st.session_state.get(name)}
    st.page_link(page, label=label, icon=icon, query_params={**shared, **query})


_SHARED = ("network", "stimuli", "recording")
