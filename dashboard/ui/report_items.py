"""The parts of a report on its page: figures, texts and sections, each with what can be done to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from dashboard import provenance
from dashboard.errors import HomologError
from dashboard.figures import theme
from dashboard.report import drawing, edits, transport
from dashboard.report.freshness import Freshness, freshness
from dashboard.report.model import Item, Panel, Report, Section, Text
from dashboard.ui import answers, choices, desk, report_variants
from dashboard.ui.components import drafts
from dashboard.ui.text import plain, written

_SCROLLING = "<style>[class*='st-key-item-'] .stVegaLiteChart { max-width: 100%; overflow-x: auto }</style>"
"""A figure of several parts keeps its size on a narrow screen and is moved under the finger."""


def draw(report: Report, own: bool) -> None:
    """Draw all items in order; with tools where the report is one's own."""
    st.html(_SCROLLING)
    last = len(report.items) - 1
    for k, item in enumerate(report.items):
        with st.container(border=not isinstance(item, Section), key=f"item-{item.id}"):
            DRAWN[type(item)](item, own)
            if own:
                _tools(item, k == 0, k == last)


def _section(item: Section, own: bool) -> None:
    st.header(plain(item.title or "Untitled section"), anchor=False)


def _text(item: Text, own: bool) -> None:
    if item.text.strip():
        st.markdown(written(item.text))
    else:
        st.caption("An empty text.")


def _panel(item: Panel, own: bool) -> None:
    st.markdown(f"**{plain(item.title)}**")
    if not item.chart and own:
        item = _arrived(item)
    if item.chart:
        chart(item)
    elif not own:
        st.info("This figure is being computed by its owner.", icon=":material/info:")
    if item.caption.strip():
        st.markdown(written(item.caption))
    if item.record:
        st.caption(plain(provenance.sentence(item.record)))
        _changes(item)


def chart(item: Panel) -> None:
    """Draw a pinned figure in the theme of the reader."""
    st.vega_lite_chart(
        _themed(item.id, _digest(item.chart), choices.dark(), item.chart),
        key=f"chart-{item.id}",
        theme=None,
        width="stretch",
        alt=None if item.chart.get("description") else item.alt or item.title,
    )


@st.cache_data(max_entries=128, max_size="200MiB", show_spinner=False)
def _themed(item_id: str, digest: str, dark: bool, _chart: dict[str, Any]) -> dict[str, Any]:
    """Return a chart in the theme; plain data, which sessions may share."""
    if dark:
        return theme.darkened(_chart)
    return {**_chart, "config": {**_chart.get("config", {}), "background": "transparent"}}


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _arrived(item: Panel) -> Panel:
    """Return the panel with its figure once all its answers are there; draw the waiting until then."""
    areas = drawing.companion(item)
    asked = (*item.specs, *([areas] if areas else []))
    try:
        for spec in asked:
            transport.allow(spec)
    except HomologError as error:
        answers.problem(error)
        return item
    found = [answers.ask(spec) for spec in asked]
    if any(answer is None for answer in found):
        return item
    if not drawing.is_exact(item):
        st.toast(
            "Drawn as the main figure of its kind; pin the other one on its page.", icon=":material/info:"
        )
    try:
        known = [answer for answer in found if answer is not None]
        made = drawing.redrawn(item, known[: len(item.specs)], known[-1] if areas else None)
    except HomologError as error:
        answers.problem(error)
        return item
    _keep(made)
    return made


def _keep(made: Panel) -> None:
    values = {name: getattr(made, name) for name in ("chart", "record", "beside_records", "alt")}
    desk.edit(lambda report: edits.changed(report, made.id, **values))


@st.cache_data(ttl=30, max_entries=512, show_spinner=False)
def _freshness(item_id: str, digest: str, _item: Panel) -> Freshness:
    return freshness(_item)


def _changes(item: Panel) -> None:
    """Say what is missing or has changed since the figure was pinned."""
    try:
        found = _freshness(item.id, _digest([item.record, [s.to_dict() for s in item.specs]]), item)
    except HomologError as error:
        answers.problem(error)
        return
    if found.missing:
        st.warning(" ".join(plain(sentence) for sentence in found.missing), icon=":material/warning:")
    if found.changed:
        st.info(" ".join(plain(sentence) for sentence in found.changed), icon=":material/update:")


DRAWN: dict[type, Callable[[Any, bool], None]] = {Section: _section, Text: _text, Panel: _panel}


# --- tools --------------------------------------------------------------------------------------------------


@st.fragment
def _tools(item: Item, first: bool, last: bool) -> None:
    """Draw what can be done to an item."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"tools-{item.id}"):
        name = _name(item)
        _button("Up", "arrow_upward", item, f"Move {name} up.", partial(_move, item.id, -1), first)
        _button("Down", "arrow_downward", item, f"Move {name} down.", partial(_move, item.id, 1), last)
        with st.popover(
            "Edit",
            icon=":material/edit:",
            type="tertiary",
            key=f"edit-{item.id}",
            on_change="rerun",
            help=f"Title and text of {name}, and what else can be made of it.",
        ) as opened:
            if opened.open:
                EDITORS[type(item)](item)
            elif st.session_state.pop(f"_draft-{item.id}", None):
                st.session_state[f"_all-{item.id}"] = True
        _button(
            "Remove", "delete", item, f"Take {name} out; Undo brings it back.", partial(desk.remove, item.id)
        )
    if st.session_state.pop(f"_all-{item.id}", False):
        st.rerun()


def _name(item: Item) -> str:
    return {Panel: "this figure", Text: "this text", Section: "this section's title"}[type(item)]


def _button(label: str, icon: str, item: Item, words: str, act: Callable[[], Any], off: bool = False) -> None:
    def done() -> None:
        act()
        st.session_state[f"_all-{item.id}"] = True

    st.button(
        label,
        key=f"{label.lower()}-{item.id}",
        icon=f":material/{icon}:",
        type="tertiary",
        help=words,
        on_click=done,
        disabled=off,
    )


def _move(item_id: str, by: int) -> None:
    desk.edit(lambda report: edits.moved(report, item_id, by))


def _field(item: Item, name: str, label: str, *, long: bool, words: str) -> None:
    """Draw a field that saves itself, a long one while it is typed; what is refused stays in the field."""
    value = _begun_with(item, name) if long else getattr(item, name)
    key = f"{name}-{item.id}-{_digest(value)}"

    def save() -> None:
        text = st.session_state[key] or ""
        if desk.edit(lambda report: edits.changed(report, item.id, **{name: text})):
            st.session_state.pop(f"_draft-{item.id}", None)
            st.session_state[f"_all-{item.id}"] = True

    make = partial(st.text_area, height=160) if long else st.text_input
    make(label, value, key=key, help=words, on_change=save)
    if long:
        kept, _ = st.session_state.get(f"_draft-{item.id}", ("", ""))
        drafts.watch(key, value, kept, partial(_keep_draft, item.id, name, value))


def _begun_with(item: Item, name: str) -> str:
    """Return what a field held when somebody began to type: with another text it would be another field."""
    draft, before = st.session_state.get(f"_draft-{item.id}", ("", ""))
    value = getattr(item, name)
    return before if value == draft else value


def _keep_draft(item_id: str, name: str, before: str, text: str) -> None:
    """Save what is being typed, and leave the page as it is; a text too long is refused when it is left."""
    if len(text) > edits.LONGEST_TEXT:
        return
    if desk.edit(lambda report: edits.changed(report, item_id, **{name: text})):
        st.session_state[f"_draft-{item_id}"] = (text, before)


MARKDOWN = "Markdown; mathematics stands between dollar signs, such as $r^2$. HTML shows as text."


def _edit_text(item: Text) -> None:
    _field(item, "text", "Text", long=True, words=MARKDOWN)


def _edit_section(item: Section) -> None:
    _field(item, "title", "Title", long=False, words="A heading; what follows belongs to it until the next.")


def _edit_panel(item: Panel) -> None:
    _field(item, "title", "Title", long=False, words="What stands over the figure, and on its slide.")
    _field(item, "caption", "Caption", long=True, words=MARKDOWN)
    report_variants.draw(item, lambda: st.session_state.update({f"_all-{item.id}": True}))
    st.markdown("**This figure**")
    with st.container(horizontal=True):
        _button(
            "Recompute",
            "refresh",
            item,
            "Answer the question again with what is here now, and draw it.",
            partial(_recompute, item.id),
        )
        if item.page:
            st.page_link(
                f"{item.page}.py",
                label="Open on its page",
                icon=":material/open_in_new:",
                query_params={**item.spec.to_query(), **dict(item.view)},
            )


def _recompute(item_id: str) -> None:
    desk.edit(lambda report: edits.changed(report, item_id, chart={}, record={}, beside_records=(), alt=""))


EDITORS: dict[type, Callable[[Any], None]] = {
    Text: _edit_text,
    Section: _edit_section,
    Panel: _edit_panel,
}


# --- new items ----------------------------------------------------------------------------------------------


def add() -> None:
    """Draw what can be added at the end."""
    with st.container(horizontal=True, key="add"):
        st.button(
            "Add text",
            icon=":material/notes:",
            help="A paragraph at the end of the report; move it up from there.",
            on_click=partial(_add, Text),
        )
        st.button(
            "Add section",
            icon=":material/title:",
            help="A heading at the end of the report; what follows belongs to it.",
            on_click=partial(_add, Section),
        )


def _add(kind: type[Text] | type[Section]) -> None:
    made: Item = Text(edits.new_id(), "") if kind is Text else Section(edits.new_id(), "New section")
    desk.edit(lambda report: edits.inserted(report, made))
