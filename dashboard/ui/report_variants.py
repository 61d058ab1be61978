"""What can be made of a pinned figure: the same with one setting changed, alone or beside the first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from dashboard import reference
from dashboard.errors import HomologError
from dashboard.report import edits, transport, variants
from dashboard.report.model import Panel
from dashboard.report.variants import Setting
from dashboard.specs import Spec
from dashboard.ui import choices, desk, sidebar

SOURCES = ("network", "stimuli", "recording")


def draw(item: Panel, done: Callable[[], None]) -> None:
    """Draw the choice of a setting and its new value, with what can be made of it.

    Parameters
    ----------
    item : Panel
    done : callable
        Called when a figure was added.
    """
    st.markdown("**The same with one setting changed**")
    known = {setting.name: setting for setting in variants.settings(item.spec)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Setting",
            list(known),
            format_func=lambda chosen: known[chosen].label,
            key=f"setting-{item.id}",
            help="What the new figure has otherwise; all else stays.",
            width=190,
        )
        value = _value(item, known[name or next(iter(known))])
    with st.container(horizontal=True):
        st.button(
            "Add as a figure",
            key=f"duplicate-{item.id}",
            icon=":material/content_copy:",
            help="A new figure below this one; it is computed where its answer is not there yet.",
            on_click=partial(_add, item, name, value, False, done),
        )
        st.button(
            "Set side by side",
            key=f"compare-{item.id}",
            icon=":material/compare:",
            help="A new figure that shows this one (A) and the changed one (B) on one scale.",
            on_click=partial(_add, item, name, value, True, done),
        )


def _add(item: Panel, name: str, value: Any, both: bool, done: Callable[[], None]) -> None:
    try:
        made = variant(item, name, value, both)
    except HomologError as error:
        desk.refuse(error)
        return
    if desk.edit(lambda report: edits.inserted(report, made, edits.place(report, item.id) + 1)):
        done()


def variant(item: Panel, name: str, value: Any, both: bool) -> Panel:
    """Return a figure with one setting changed, alone or beside the first; drawn once its answers are there.

    Raises
    ------
    HomologError
        When the setting cannot have that value, or names a file that may not be opened.
    """
    changed = variants.replaced(item.spec, name, value)
    transport.allow(changed)
    setting = next(one for one in variants.settings(item.spec) if one.name == name)
    told = variants.words(setting, value)
    title = f"{item.title} and {told}" if both else f"{item.title}, {told}"
    specs = (item.spec, changed) if both else (changed,)
    return dataclasses.replace(
        item,
        id=edits.new_id(),
        title=title[: edits.LONGEST_TITLE],
        caption="",
        spec=specs[0],
        beside=specs[1:],
        chart={},
        record={},
        beside_records=(),
        alt="",
    )


def _value(item: Panel, setting: Setting) -> Any:
    """Draw the control for a value and return what it says."""
    key = f"value-{item.id}-{setting.name}"
    words = f"Now: {_shown(setting.value)}."
    if setting.form in SOURCES:
        return _source(setting, key, words)
    if setting.form == "choice":
        return st.selectbox(setting.label, setting.options, key=key, help=words)
    if setting.form == "switch":
        return st.toggle(setting.label, value=not setting.value, key=key, help=words)
    if setting.form in ("whole", "number"):
        step = 1 if setting.form == "whole" else None
        return st.number_input(setting.label, value=setting.value, step=step, key=key, help=words)
    if setting.label in ("Layer", "Layers"):
        return _layer(item.spec, setting, key, words)
    text = st.text_input(setting.label, _shown(setting.value), key=key, help=words)
    return text or ""


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _source(setting: Setting, key: str, words: str) -> str:
    known = [name for name in sidebar.catalogue()[setting.form] if name != setting.value]
    if setting.form == "network" and "untrained" not in reference.parse(setting.value).options:
        known = [reference.untrained(setting.value), *known]  # what most comparisons need first
    chosen = st.selectbox(
        setting.label,
        known,
        key=key,
        accept_new_options=True,
        help=f"{words} Type any reference.",
    )
    return str(chosen or "")


def _layer(spec: Spec, setting: Setting, key: str, words: str) -> Any:
    network = getattr(spec, "network", "")
    facts = choices.network_facts(network) if network else None
    names = [str(name) for name in facts.layer.values] if facts is not None else []
    if isinstance(setting.value, tuple):
        kept = [name for name in setting.value if name in names]
        chosen = st.multiselect("Layers", names, default=kept, key=key, accept_new_options=True, help=words)
        return tuple(map(str, chosen))
    return str(st.selectbox("Layer", names, key=key, accept_new_options=True, help=words) or "")
