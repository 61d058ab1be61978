"""Pictures or texts that somebody brings: what was found, a preview, and into the pickers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import kept
from dashboard.reference import Reference
from dashboard.specs import StimuliSpec
from dashboard.stimuli import uploads
from dashboard.ui import answers, choices
from dashboard.ui.adding import files, session
from dashboard.ui.text import plain

ENDINGS = [*uploads.ENDINGS, "gif", *uploads.ZIPS, *uploads.TABLES, *uploads.TEXTS]
NONE = "(none)"
HELP = (
    "PNG, JPEG, WebP or GIF pictures, or a zip of them, whose folders are categories. A CSV beside them "
    "with a column of names gives categories and other columns. Texts: one per line, or a column of a CSV "
    "alone. EXIF turns are applied, 16 bits are scaled to 8 and see-through pictures are set on grey; each "
    "is said."
)
_SHOWN = 12


INVITATION = (
    "Drop pictures, a zip of pictures or a file of texts. The name of each file is the name of the stimulus, "
    "by which recordings are matched."
)


def show() -> None:
    """Draw the way of pictures or texts from files to the pickers."""
    taken = files.look("stimuli", ENDINGS, HELP, INVITATION, height=160)
    if taken is None:
        return
    upload, found = taken
    reference, title = _questions(upload, found)
    _tried(reference, title)


def _questions(upload: str, found: dict[str, Any]) -> tuple[str, str]:
    """Ask for a title and the columns, and return the reference."""
    st.header("What was found")
    columns = [c for c in found["columns"] if c]
    count = f"{found['pictures']:,} pictures" if found["kind"] == "pictures" else "A file of texts"
    table = f", and a table with the columns {', '.join(columns[:8])}" if columns else ""
    st.markdown(plain(f"{count}{table}."))
    key = upload[7:15]
    options: dict[str, str] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if found["kind"] == "texts" and len(columns) > 1:
            usual = next((i for i, c in enumerate(columns) if c.casefold() in ("text", "sentence")), 0)
            options["column"] = st.selectbox(
                "Column of the texts",
                columns,
                index=usual,
                key=f"column-{key}",
                width=220,
                help="One text a row.",
            )
        if columns:
            kinds = [NONE, *columns]
            usual = next((i for i, c in enumerate(kinds) if c.casefold() == "category"), 0)
            kind = st.selectbox(
                "Category",
                kinds,
                index=usual,
                key=f"category-{key}",
                width=220,
                help="The column with the category of each; it can be decoded and coloured.",
            )
            if kind != NONE:
                options["category"] = kind
        title = st.text_input("Title", "", key=f"stim-title-{key}", width=220, help="What pickers call it.")
    recipe = {"kind": "stimuli", "version": 1, "title": title} if title else {}
    made = kept.with_recipe(upload, recipe) if recipe else kept.opened(upload)
    return str(Reference(made.reference, options)), made.title


def _tried(reference: str, title: str) -> None:
    """Check every picture, show some, and offer to add them."""
    st.header("Does it fit?")
    answer = answers.ask(StimuliSpec(stimuli=reference), height=200)
    if answer is None:
        return
    added = reference in session.added("stimuli")
    st.button(
        "Added" if added else "Add these stimuli",
        type="primary",
        icon=":material/check:" if added else ":material/add:",
        disabled=added,
        on_click=session.add,
        args=("stimuli", reference, title),
        help="Puts them into the pickers of this session. Who has a link to them can open them, too.",
    )
    n = answer.sizes["stimulus"]
    kinds = sorted({str(c) for c in answer.category.values} - {""})
    called = "texts" if answer.attrs.get("kind") == "text" else "pictures"
    st.markdown(f"**{n} {called}" + (f" in {len(kinds)} categories" if kinds else "") + ".**")
    answers.cautions(answer)
    places = range(0, n, max(1, n // _SHOWN))
    with st.container(horizontal=True, gap="small"):
        for i in list(places)[:_SHOWN]:
            name = str(answer.stimulus.values[i])
            st.image(answer.thumbnail.values[i], width=72, caption=plain(name[:24]), alt=name)
    if added:
        choices.next_steps(
            ("predictions.py", "See what the network says of them", ":material/label:"),
            ("rdms.py", "See which of them the layers tell apart", ":material/grid_on:"),
        )
