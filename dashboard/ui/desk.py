"""The session of whoever looks at a page: who that is, and edits that save themselves.

Every browser gets a random secret in a cookie that scripts cannot read; sessions lie in a folder named by its
hash, so nobody lists or opens those of others. A session can be opened by others only while it is shared, by
a link with its id of 128 random bits.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st
import xarray as xr

from dashboard import provenance
from dashboard.errors import HomologError, InputError
from dashboard.report import edits, session
from dashboard.report.freshness import recorded
from dashboard.report.model import Panel, Report
from dashboard.report.session import Cabinet, Session
from dashboard.specs import Spec
from dashboard.ui.server import OWNER_COOKIE
from dashboard.ui.text import plain

_OWNER = re.compile(r"[0-9a-f]{32}")
_SHARED = ("network", "stimuli", "recording")
LARGEST_CHART = 8 * 2**20
"""Characters of a pinned chart; what is larger is drawn anew when it is needed."""


def owner() -> str:
    """Return the secret of this browser; one for this tab where the browser keeps no cookies."""
    found = st.context.cookies.get(OWNER_COOKIE, "")
    if isinstance(found, str) and _OWNER.fullmatch(found):
        return found
    return str(st.session_state.setdefault("_owner", session.new_id()))


def cabinet() -> Cabinet:
    """Return the sessions of this browser."""
    return session.cabinet(owner())


def current() -> Session:
    """Return the session of this tab; a fresh one that is not on the disk before the first edit."""
    state = st.session_state
    fresh = Session(id=state.setdefault("_fresh_session", session.new_id()))
    try:
        kept = cabinet()
        if "_session" not in state:
            state["_session"] = kept.current()
        if not state["_session"]:
            return fresh
        opened = kept.open(state["_session"])
    except HomologError as error:
        tell(error)
        state["_session"] = ""
        return fresh
    state["_session"] = opened.session.id
    if opened.note:
        state["_session_note"] = opened.note
    return opened.session


def tell(error: HomologError) -> None:
    """Keep a sentence until the report page shows it."""
    st.session_state["_session_note"] = str(error)


def note() -> str:
    """Return what was kept to be told, once."""
    return str(st.session_state.pop("_session_note", ""))


def choose(session_id: str) -> None:
    """Work on another session from now on."""
    cabinet().choose(session_id)
    st.session_state["_session"] = session_id
    st.session_state.pop("_restored", None)


def begin(made: Session) -> Session:
    """Save a new session and work on it from now on."""
    written = cabinet().new(made)
    st.session_state["_session"] = written.id
    return written


def change(edit: Callable[[Session], Session]) -> Session:
    """Change the session of this tab and save it.

    Raises
    ------
    InputError
        When the edit is refused or cannot be saved.
    """
    here = current()
    if st.session_state.get("_session") == here.id:
        return cabinet().change(here.id, edit)
    return begin(dataclasses.replace(edit(here), choices=_choices()))


def edit(change_report: Callable[[Report], Report]) -> bool:
    """Change the report; say in a toast why not, if not, and return whether it was done."""

    def whole(before: Session) -> Session:
        return dataclasses.replace(before, report=change_report(before.report))

    try:
        change(whole)
    except HomologError as error:
        refuse(error)
        return False
    return True


def refuse(error: HomologError) -> None:
    """Say in a toast why something was not done."""
    st.toast(plain(str(error)), icon=":material/error:", duration="long")


def remove(item_id: str) -> None:
    """Take an item out of the report; the last of those can be undone."""

    def whole(before: Session) -> Session:
        report, removed = edits.without(before.report, item_id)
        kept = (*before.removed, removed)[-edits.MOST_REMOVED :]
        return dataclasses.replace(before, report=report, removed=kept)

    _done(whole)


def undo() -> None:
    """Put back what was taken out last."""

    def whole(before: Session) -> Session:
        report = edits.restored(before.report, before.removed[-1])
        return dataclasses.replace(before, report=report, removed=before.removed[:-1])

    if current().removed:
        _done(whole)


def _done(whole: Callable[[Session], Session]) -> None:
    try:
        change(whole)
    except HomologError as error:
        refuse(error)


def figures() -> int:
    """Return how many figures are pinned."""
    return len(current().report.panels)


# --- choices of the sidebar ---------------------------------------------------------------------------------


def restore_choices() -> None:
    """Choose what was chosen last, once per tab, unless the link says what to choose."""
    state = st.session_state
    if state.setdefault("_restored", False):
        return
    state["_restored"] = True
    if any(name in st.query_params or state.get(name) for name in _SHARED):
        return
    for name, value in current().choices:
        if name in _SHARED and value:
            state[name] = value


def keep_choices() -> None:
    """Save what is chosen in the sidebar with the session, where there is one."""
    chosen = _choices()
    if chosen == st.session_state.get("_kept_choices"):
        return
    st.session_state["_kept_choices"] = chosen
    if st.session_state.get("_session"):
        _done(lambda before: dataclasses.replace(before, choices=chosen))


def _choices() -> tuple[tuple[str, str], ...]:
    state = st.session_state
    return tuple((name, str(state[name])) for name in _SHARED if state.get(name))


# --- pinning ------------------------------------------------------------------------------------------------


def pin(
    answer: xr.Dataset, spec: Spec, figure: Callable[[], Any], name: str, also: Mapping[str, str]
) -> None:
    """Put a figure into the report, as it is now; say so in a toast.

    Parameters
    ----------
    answer : xarray.Dataset
    spec : Spec
    figure : callable
        Makes the light figure; called here and nowhere else, so that reruns stay fast.
    name : str
        What the page calls the figure.
    also : mapping
        What the link to the page needs besides the question.
    """
    try:
        made = panel_of(answer, spec, figure(), name, view={**_looked_at(spec), **also})
        done = edit(lambda report: edits.inserted(report, made))
    except HomologError as error:
        refuse(error)
        return
    if done:
        n = figures()
        st.toast(f"Pinned to the report: {n} {'figure' if n == 1 else 'figures'}.", icon=":material/keep:")


def panel_of(
    answer: xr.Dataset, spec: Spec, figure: Any, name: str, *, view: Mapping[str, str], page: str = ""
) -> Panel:
    """Return a figure of an answer as a pinned panel."""
    from dashboard.figures import alternative, export

    chart = export.specification(answer, figure)
    small = len(json.dumps(chart)) <= LARGEST_CHART
    return Panel(
        id=edits.new_id(),
        title=title_of(answer, spec),
        caption="",
        spec=spec,
        name=name,
        page=page or str(st.session_state.get("_page", "")),
        view=tuple(sorted(view.items())),
        chart=chart if small else {},
        record=recorded(json.loads(answer.attrs["record"]), spec),
        alt=str(chart.get("description") or alternative.alt_text(answer))[:20_000],
    )


def title_of(answer: xr.Dataset, spec: Spec) -> str:
    """Return what to call a figure: what was asked, and of what."""
    label = provenance.LABELS.get(spec.kind, spec.kind)
    about = str(answer.attrs.get("title", ""))
    return (f"{label}: {about}" if about else label)[: edits.LONGEST_TITLE]


def _looked_at(spec: Spec) -> dict[str, str]:
    """Return what the page's address says besides the question."""
    own = spec.to_query()
    return {k: v for k, v in st.query_params.items() if k not in own and k not in ("session", "slide")}


def looking_at() -> tuple[Session, bool]:
    """Return the session that the address names, or that of this tab, and whether it is one's own.

    Raises
    ------
    InputError
        When the address names a session that is not one's own and not shared.
    """
    asked = st.query_params.get("session", "")
    if not asked:
        return current(), True
    kept = cabinet()
    if not re.fullmatch(r"[0-9a-f]{32}", asked):
        message = "This link names no session."
        raise InputError(message, "Copy the whole link.")
    if kept.path(asked).exists():
        if st.session_state.get("_session") != asked:
            choose(asked)
        return current(), True
    return session.shared(asked), False
