"""Where files come from: dropped on the page, or chosen from the folders that the administrator lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import settings
from dashboard.errors import HomologError
from dashboard.specs import Brings, LookSpec
from dashboard.ui import answers
from dashboard.ui.adding import session

_MOST_LISTED = 2000


def choose(kind: str, endings: list[str], text: str) -> str | None:
    """Draw the places to take files from and return the reference of what was taken, if anything was."""
    state = st.session_state
    roots = settings.roots()
    left, right = st.columns([3, 2]) if roots else (st.container(), None)
    with left:
        st.file_uploader(
            "Drop files here",
            type=endings,
            accept_multiple_files=True,
            key=f"bring_{kind}_files",
            on_change=_take,
            args=(kind,),
            help=text,
        )
    if right is not None:
        with right:
            _server_folder(kind, roots, endings)
    error = state.get(f"bring_{kind}_problem")
    if error is not None:
        answers.problem(error)
    reference: str | None = state.get(f"bring_{kind}")
    return reference


def look(
    kind: Brings, endings: list[str], text: str, invitation: str, height: int
) -> tuple[str, dict[str, Any]] | None:
    """Take files and have a worker look at them.

    Parameters
    ----------
    kind : {"network", "recording", "stimuli"}
    endings : list of str
        Endings that are taken.
    text : str
        Help of the place to drop files.
    invitation : str
        What to drop, said while nothing is there.
    height : int
        Pixels that are kept free while the files are looked at.

    Returns
    -------
    tuple of str and dict, or None
        The reference of the files and what was found in them; None while there is nothing.
    """
    upload = choose(kind, endings, text)
    if upload is None:
        st.info(invitation, icon=":material/upload_file:")
        return None
    answer = answers.ask(LookSpec(upload=upload, brings=kind), height=height)
    if answer is None:
        return None
    answers.cautions(answer)
    return upload, json.loads(answer.attrs["found"])


def _server_folder(kind: str, roots: list[Path], endings: list[str]) -> None:
    listed = _listed(tuple(map(str, roots)), tuple(endings))
    st.multiselect(
        "Or choose files on the server",
        list(listed),
        key=f"bring_{kind}_server",
        on_change=_take_from_server,
        args=(kind, listed),
        help="Files in the folders that the administrator lists in HOMOLOG_ROOTS, read where they lie.",
    )


@st.cache_data(ttl=20, max_entries=16, show_spinner=False)
def _listed(roots: tuple[str, ...], endings: tuple[str, ...]) -> dict[str, str]:
    """Return files in the listed folders by the name that is shown; links out of them are left out."""
    found: dict[str, str] = {}
    dotted = tuple(f".{ending}" for ending in endings)
    for root in map(Path, roots):
        for path in sorted(root.rglob("*")):
            if len(found) >= _MOST_LISTED:
                return found
            if path.name.lower().endswith(dotted) and path.is_file() and settings.inside(path, [root]):
                found[f"{root.name}/{path.relative_to(root).as_posix()}"] = str(path)
    return found


def _take(kind: str) -> None:
    """Keep what was dropped; runs before the page is drawn."""
    given = st.session_state.get(f"bring_{kind}_files") or []
    _kept(kind, [(file.name, file.getvalue()) for file in given])


def _take_from_server(kind: str, listed: dict[str, str]) -> None:
    chosen = st.session_state.get(f"bring_{kind}_server") or []
    paths = [Path(listed[name]) for name in chosen if name in listed]
    _kept(kind, [(path.name, path) for path in paths if settings.inside(path, settings.roots())])


def _kept(kind: str, given: Sequence[tuple[str, bytes | Path]]) -> None:
    state = st.session_state
    for name in (f"bring_{kind}", f"bring_{kind}_problem"):
        state.pop(name, None)
    if not given:
        return
    try:
        state[f"bring_{kind}"] = session.keep(given)
    except HomologError as error:
        state[f"bring_{kind}_problem"] = error
