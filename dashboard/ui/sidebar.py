"""The choices that all pages share: network, stimuli, recording."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from dashboard import networks, recordings, stimuli
from dashboard.errors import HomologError, InputError
from dashboard.specs import RecordingSpec, StimuliSpec
from dashboard.ui import answers, opening
from dashboard.ui.adding import session
from dashboard.ui.text import plain

_PROPOSED = "stimuli_proposed"
"""Where the session keeps which stimuli were chosen for the reader, not by the reader."""

DEFAULTS = {"network": "bundled:objects_cnn", "stimuli": "objects", "recording": "simulated-v1"}
"""What a first visit opens with: something to see on every page, offline."""

PLAIN_STIMULI = "gratings"
"""What a network is shown of which nobody said what it was made for."""


@dataclass(frozen=True)
class Selection:
    """What is chosen in the sidebar, as references."""

    network: str
    stimuli: str
    recording: str


def current() -> Selection:
    """Return the current choice; pages call this."""
    state = st.session_state
    return Selection(**{name: str(state.get(name) or default) for name, default in DEFAULTS.items()})


def draw() -> bool:
    """Draw the pickers and a line of facts for each; return False when a choice is refused."""
    known = catalogue()
    if not (st.session_state.get("stimuli") or st.query_params.get("stimuli")):
        _suit()
    with st.sidebar:
        _picker(
            "network",
            "Network",
            known,
            "The trained network to look into. Type any reference, such as "
            "torchvision:resnet18; add ?untrained&seed=0 for its untrained twin.",
            on_change=_suit,
        )
        _network_facts()
        _picker("recording", "Recording", known, "The brain data that the network is compared with.")
        _recording_facts()
        _picker(
            "stimuli",
            "Stimuli",
            known,
            "What is shown to the network. The Brain page always uses the recording's own pictures.",
        )
        _stimuli_facts()
        _proposal()
    refusal = _refusal(current())
    if refusal is not None:
        answers.problem(refusal)
        return False
    return True


def _picker(
    name: str,
    label: str,
    known: dict[str, list[str]],
    text: str,
    on_change: Callable[[], None] | None = None,
) -> None:
    # What a link names need not be in the catalogue: it is an option like any other.
    asked = st.session_state.get(name) or st.query_params.get(name)
    st.selectbox(
        label,
        list(dict.fromkeys([*known[name], *session.added(name), *([str(asked)] if asked else [])])),
        key=name,
        bind="query-params",  # with a format_func the address would name the title, which opens nothing
        accept_new_options=True,
        help=text,
        on_change=on_change,
    )


def _suited() -> str:
    """Return the stimuli that the chosen network was made for, or nothing."""
    chosen = st.session_state.get("network") or st.query_params.get("network") or DEFAULTS["network"]
    try:
        return networks.suited_stimuli(str(chosen))
    except HomologError:  # the picker says it in words
        return ""


def _suit() -> None:
    """Choose the stimuli that the network was made for, unless the reader has chosen others."""
    state = st.session_state
    if state.get("stimuli") in (None, "", DEFAULTS["stimuli"], state.get(_PROPOSED)):
        state[_PROPOSED] = state["stimuli"] = _suited() or PLAIN_STIMULI


def _take(stimuli_reference: str) -> None:
    st.session_state[_PROPOSED] = st.session_state["stimuli"] = stimuli_reference


def _proposal() -> None:
    """Offer the stimuli that the network was made for when others are chosen."""
    suited = _suited()
    if suited and suited != current().stimuli:
        st.button(
            f"Show it {suited.partition('?')[0]} instead",
            on_click=_take,
            args=(suited,),
            icon=":material/image_search:",
            type="tertiary",
            help=f"The network was made for {suited}.",
        )


@st.cache_data(ttl=20, max_entries=2, show_spinner=False)
def catalogue() -> dict[str, list[str]]:
    """Return references by kind, the default first and what needs no download before what does."""
    listed = sorted(networks.catalogue(), key=lambda entry: entry.weights == "download")
    known = {
        "network": [entry.reference for entry in listed],
        "stimuli": [entry.reference for entry in stimuli.choices()],
        "recording": [entry.reference for entry in recordings.catalogue()],
    }
    return {name: list(dict.fromkeys([DEFAULTS[name], *known[name]])) for name in DEFAULTS}


def _refusal(chosen: Selection) -> HomologError | None:
    """Say why a choice from a link cannot be opened: pages never open a path that a link names."""
    try:
        if not networks.inside_roots(chosen.network):
            return _outside("network", "weights")
        if not stimuli.inside_roots(chosen.stimuli):
            return _outside("stimuli", "stimuli")
        if not recordings.inside_roots(chosen.recording):
            return _outside("recording", "stimuli")
    except HomologError as error:
        return error
    return None


def _outside(kind: str, folder: str) -> InputError:
    return InputError(
        f"The {kind} of this link names a file outside the folders that this server opens.",
        f"Put the file into the server's {folder} folder, or use the command line for files elsewhere.",
    )


def _brought(reference: str) -> str:
    """Return the title of something brought, to stand before its facts: its digest says nothing."""
    title = session.label(reference)
    return f"**{plain(title)}** · " if title != reference else ""


def _network_facts() -> None:
    chosen = current()
    facts = opening.peek(chosen.network) if _refusal(chosen) is None else None
    if facts is None:
        st.caption("…")
        return
    count = int(facts.attrs["n_parameters"])
    title = _brought(chosen.network) or f"{plain(facts.attrs['title'])} · "
    st.caption(f"{title}{_short(count)} parameters · input {facts.attrs['input_shape']}")


def _recording_facts() -> None:
    recording = current().recording
    facts = answers.peek(RecordingSpec(recording=recording))
    if facts is None:
        st.caption("…")
        return
    each = zip(facts.area.values, facts.n_subjects.values, strict=True)
    areas = ", ".join(f"{plain(str(area))} ({int(n)})" for area, n in each)
    judged = json.loads(facts.attrs["behaviour"])
    areas += "".join(f", {plain(name)} ({n})" for name, n in judged.items())
    species = "**simulated**" if facts.attrs["simulated"] == "yes" else plain(facts.attrs["species"])
    st.caption(
        f"{_brought(recording)}{species} · {areas} · {int(facts.n_stimuli.values[0])} stimuli",
        help=f"Subjects in brackets. {facts.attrs['citation']}",
    )


def _stimuli_facts() -> None:
    chosen = current()
    facts = answers.peek(StimuliSpec(stimuli=chosen.stimuli)) if _refusal(chosen) is None else None
    if facts is None:
        st.caption("…")
        return
    n = facts.sizes["stimulus"]
    kinds = len({str(category) for category in facts.category.values} - {""})
    called = {"text": "texts", "vector": "vectors"}.get(str(facts.attrs.get("kind")), "pictures")
    st.caption(f"{_brought(chosen.stimuli)}{n} {called}" + (f" · {kinds} categories" if kinds else ""))
    shown = facts.thumbnail.values[:: max(1, n // 4)][:4]
    with st.container(horizontal=True, gap="xxsmall"):
        for picture, name in zip(shown, facts.stimulus.values[:: max(1, n // 4)][:4], strict=True):
            st.image(picture, width=44, alt=str(name))


def _short(count: int) -> str:
    for size, unit in ((1e9, " billion"), (1e6, " million")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:,}"
