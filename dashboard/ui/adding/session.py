"""What one session has brought: nobody else's pickers list it, and who has its link can open it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import kept, settings
from dashboard.errors import HomologError, InputError

_LIST, _BYTES, _SECRET = "brought", "own_bytes", "own_secret"


def secret() -> str:
    """Return the secret of this session, which goes into the references of its uploads."""
    found: str = st.session_state.setdefault(_SECRET, secrets.token_hex(16))
    return found


def count(n_bytes: int) -> None:
    """Count uploaded bytes.

    Raises
    ------
    InputError
        When the session has uploaded all that it may.
    """
    total = st.session_state.get(_BYTES, 0) + n_bytes
    if total > settings.session_bytes():
        message = f"This session has uploaded {settings.session_bytes() // 2**20} MB, which is the limit."
        raise InputError(
            message, "Ask the administrator to put large files into a listed folder of the server."
        )
    st.session_state[_BYTES] = total


def keep(given: Sequence[tuple[str, bytes | Path]]) -> str:
    """Keep files and return the reference that opens them; see `kept.keep`."""
    count(sum(len(data) for _, data in given if isinstance(data, bytes)))
    return kept.keep(given, secret()).reference


def add(kind: str, reference: str, title: str) -> None:
    """Put something into the pickers of this session and choose it."""
    listed: dict[str, dict[str, str]] = st.session_state.setdefault(_LIST, {})
    listed.setdefault(kind, {})[reference] = title
    st.session_state[kind] = reference


def added(kind: str) -> Mapping[str, str]:
    """Return the titles of what this session has brought, by reference."""
    listed: Mapping[str, Mapping[str, str]] = st.session_state.get(_LIST, {})
    return listed.get(kind, {})


def label(reference: Any) -> str:
    """Return what a picker shows for a reference: of an upload its title, for its digest says nothing."""
    text = str(reference)
    place = text.find("upload:")
    if place < 0:
        return text
    try:
        title = kept.opened(text[place:].partition("?")[0]).title
    except HomologError:
        return text[: place + 15] + "…"
    return f"{title} (pictures)" if place else title
