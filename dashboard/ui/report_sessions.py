"""The sessions of whoever looks: name, open, copy, delete, take along, bring back, share."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

import streamlit as st

from dashboard.errors import HomologError
from dashboard.report import session as sessions
from dashboard.report import transport
from dashboard.report.session import Entry, Session
from dashboard.ui import desk
from dashboard.ui.text import plain


def draw(session: Session) -> None:
    """Draw a button with the session's name, and behind it all that concerns sessions."""
    # The help stays the same at every save: Streamlit closes a popover whose help changes.
    with st.popover(
        plain(session.name),
        icon=":material/folder_open:",
        key="sessions",
        on_change="rerun",
        help="This session: rename it, open another, export, import or share it.",
    ) as opened:
        if opened.open:
            _this(session)
            _others(session)
            _travel(session)
            _share(session)


def _this(session: Session) -> None:
    key = f"session-name-{session.id}-{session.name}"

    def rename() -> None:
        name = sessions.clean_name(st.session_state[key] or "")
        _try(lambda: desk.change(lambda before: dataclasses.replace(before, name=name)))

    st.text_input(
        "Name of the session",
        session.name,
        key=key,
        max_chars=sessions.LONGEST_NAME,
        on_change=rename,
        help="It saves itself at every change, with the version before as a backup.",
    )
    st.caption(
        f"Saved at {session.saved[11:19]} UTC." if session.saved else "Saved from the first figure on."
    )
    with st.container(horizontal=True):
        st.button("New", icon=":material/add:", on_click=_new, help="Begin an empty session; this one stays.")
        st.button(
            "Duplicate",
            icon=":material/content_copy:",
            on_click=_duplicate,
            args=(session,),
            help="Go on in a copy; this one stays as it is.",
        )
        st.button(
            "Delete",
            icon=":material/delete:",
            on_click=_delete,
            args=(session,),
            disabled=not session.saved,
            help="Put it into the trash; it can be brought back for a month.",
        )


def _others(session: Session) -> None:
    entries = [entry for entry in desk.cabinet().entries() if entry.id != session.id]
    broken = [entry for entry in entries if entry.problem]
    entries = [entry for entry in entries if not entry.problem]
    if entries:
        names = {entry.id: _line(entry) for entry in entries}
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                "Another session",
                list(names),
                format_func=lambda entry_id: names.get(entry_id, entry_id),
                key="other-session",
                help="Changed last first.",
            )
            st.button(
                "Open", icon=":material/folder_open:", on_click=_open, args=(chosen,), help="Work on it."
            )
    for entry in broken:
        st.caption(f"{_line(entry)}: {plain(entry.problem)}")


def _line(entry: Entry) -> str:
    when = datetime.fromtimestamp(entry.changed, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{entry.name} · {entry.figures} {'figure' if entry.figures == 1 else 'figures'} · {when}"


def _travel(session: Session) -> None:
    name = re.sub(r"[^\w-]+", "-", session.name).strip("-") or "session"
    st.download_button(
        "Export session",
        data=lambda: transport.pack(session),
        file_name=f"{name}{sessions.ENDING}",
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
        disabled=not session.report.items,
        help="One small file with questions, words, records and a picture of each figure.",
    )
    turn = st.session_state.get("_import_turn", 0)
    given = st.file_uploader(
        "Import a session",
        type=[sessions.ENDING.removeprefix(".")],
        key=f"import-{turn}",
        max_upload_size=transport.LARGEST_IMPORT // 2**20,
        help="An exported file. It becomes a session of yours; nothing in it is run.",
    )
    if given is not None:
        st.session_state["_import_turn"] = turn + 1
        _try(lambda: _import(given.getvalue()))
        st.rerun()


def _import(data: bytes) -> None:
    made = desk.begin(transport.unpack(data))
    n = len(made.report.panels)
    st.toast(f"Imported: {n} {'figure' if n == 1 else 'figures'}.", icon=":material/check:")


def _share(session: Session) -> None:
    key = f"share-{session.id}-{session.shared}"

    def turn() -> None:
        wanted = bool(st.session_state[key])
        _try(lambda: desk.change(lambda before: dataclasses.replace(before, shared=wanted)))

    st.toggle(
        "Share by link",
        session.shared,
        key=key,
        on_change=turn,
        disabled=not session.saved,
        help="Whoever has the link can look at the report and present it, and copy it; only you can change "
        "it. Others cannot find it without the link.",
    )
    if session.shared:
        st.code("report?" + urlencode({"session": session.id}), language=None, wrap_lines=True)
        st.caption("Behind the server's address; **present?…** instead of **report?…** opens the slides.")


def guest(session: Session) -> None:
    """Say whose report this is and offer a copy."""
    st.info(
        f"**{plain(session.name)}** is shared with you: you can look at it and present it.",
        icon=":material/visibility:",
    )
    st.button(
        "Make a copy of my own",
        icon=":material/content_copy:",
        on_click=_adopt,
        args=(session,),
        help="A session of yours with the same content, which you can change.",
    )


def undo_delete() -> None:
    """Offer to bring back the session that was deleted last."""
    deleted = st.session_state.get("_deleted_session")
    if deleted:
        st.button(
            f"Bring back {plain(deleted[1])}",
            icon=":material/undo:",
            on_click=_undelete,
            help="Take the deleted session out of the trash.",
        )


# --- what the buttons do ------------------------------------------------------------------------------------


def _try(act: Callable[[], object]) -> None:
    try:
        act()
    except HomologError as error:
        desk.tell(error)


def _new() -> None:
    _try(lambda: desk.begin(Session(sessions.new_id(), "New session")))


def _duplicate(session: Session) -> None:
    name = sessions.clean_name(f"{session.name} (copy)")
    copied = dataclasses.replace(session, id=sessions.new_id(), name=name, shared=False)
    _try(lambda: desk.begin(copied))


def _adopt(session: Session) -> None:
    st.query_params.pop("session", None)
    _duplicate(dataclasses.replace(session, removed=()))


def _delete(session: Session) -> None:
    def act() -> None:
        desk.cabinet().delete(session.id)
        st.session_state["_deleted_session"] = (session.id, session.name)
        st.session_state["_session"] = desk.cabinet().current()

    _try(act)


def _undelete() -> None:
    deleted = st.session_state.pop("_deleted_session", None)
    if deleted:
        _try(lambda: desk.cabinet().undelete(deleted[0]))
        _open(deleted[0])


def _open(session_id: str | None) -> None:
    if session_id:
        st.query_params.pop("session", None)
        _try(lambda: desk.choose(session_id))
