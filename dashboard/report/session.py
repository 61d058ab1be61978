"""Sessions on disk: what somebody pinned and chose, saved whole at every edit, with a backup and a hash.

A session is a file of two lines of JSON: a head that names the format and the SHA-256 of the second line, and
the body. It is replaced at once or not at all; the version before it stays beside it as ``.bak``. A file that
cannot be read is never written over: a damaged one is put aside under another name and its backup opened, one
of a newer program is left as it is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashboard import __version__, settings
from dashboard.errors import HomologError, InputError
from dashboard.report import edits, plain
from dashboard.report.edits import Removed
from dashboard.report.model import Report
from dashboard.store import write_whole

log = logging.getLogger(__name__)

FORMAT = 1
ENDING = ".homolog"
LARGEST = 64 * 2**20
"""Bytes of a session file; a figure as pinned takes from ten kilobytes to a few megabytes."""

LONGEST_NAME = 120
MOST_SESSIONS = 500
REMEMBERED = 12
"""Sessions that a cabinet keeps in memory, so that reruns read no files."""

LEFTOVER_S = 3600
TRASH_KEPT_S = 30 * 24 * 3600
_ID = re.compile(r"[0-9a-f]{32}")
_CHOICES = ("network", "stimuli", "recording", "page")
_LONGEST_CHOICE = 2000


class Newer(InputError):
    """The file was written by a later version of this program."""


class Damaged(InputError):
    """The file is not what was written."""


@dataclass(frozen=True)
class Session:
    """The working state of one person.

    Attributes
    ----------
    id : str
        32 random hexadecimal digits. Who knows them can open the session when it is shared.
    name : str
    report : Report
    choices : tuple of (str, str)
        What is chosen in the sidebar.
    removed : tuple of Removed
        What was taken out last, the latest at the end.
    shared : bool
        Whether others with the link may look at it.
    saved : str
        When it was written, in ISO format, UTC.
    """

    id: str
    name: str = "My session"
    report: Report = Report()
    choices: tuple[tuple[str, str], ...] = ()
    removed: tuple[Removed, ...] = ()
    shared: bool = False
    saved: str = ""


@dataclass(frozen=True)
class Entry:
    """A session in a list.

    Attributes
    ----------
    id, name : str
    changed : float
        When it was written, in seconds since 1970.
    figures : int
    problem : str
        Why it cannot be opened, or nothing.
    """

    id: str
    name: str
    changed: float
    figures: int = 0
    problem: str = ""


def new_id() -> str:
    """Return 32 hexadecimal digits that nobody can guess."""
    return secrets.token_hex(16)


# --- text ---------------------------------------------------------------------------------------------------


def encode(session: Session) -> bytes:
    """Return a session as the bytes of its file."""
    body = {
        "id": session.id,
        "name": session.name,
        "report": plain.to_plain(session.report),
        "choices": dict(session.choices),
        "removed": [{"place": r.place, "item": plain.item_to_plain(r.item)} for r in session.removed],
        "shared": session.shared,
        "saved": session.saved,
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    head = {
        "homolog": "session",
        "format": FORMAT,
        "app": __version__,
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    return json.dumps(head).encode() + b"\n" + text + b"\n"


def decode(data: bytes) -> Session:
    """Read a session; see `encode`.

    Raises
    ------
    Newer
        When a later version of this program wrote it.
    Damaged
        When it is cut, changed or no session at all.
    InputError
        When it is whole, but holds what cannot be used.
    """
    return from_body(parts(data))


def parts(data: bytes) -> dict[str, Any]:
    """Return the body of a session file once its head and hash are right; see `decode`.

    Raises
    ------
    Newer, Damaged
    """
    if len(data) > LARGEST:
        message = f"This session has {len(data) / 2**20:.0f} MB; at most {LARGEST // 2**20} MB are read."
        raise Damaged(message, "Export it again with fewer figures.")
    first, _, rest = data.partition(b"\n")
    head = _json(first)
    if head.get("homolog") != "session":
        message = "This is not a session of Homolog."
        raise Damaged(message, f"Choose a file that was exported as a session; its name ends in {ENDING}.")
    version = head.get("format")
    if not isinstance(version, int) or version < 1:
        raise _damaged()
    if version > FORMAT:
        message = f"This session was saved by a newer Homolog ({str(head.get('app', '?'))[:20]})."
        raise Newer(message, "Update Homolog to open it; the file is left as it is.")
    text = rest.removesuffix(b"\n")
    if hashlib.sha256(text).hexdigest() != head.get("sha256"):
        raise _damaged()
    return _json(text)


def read_report(path: Path) -> Report:
    """Read the report of a session file, or of the ``report.json`` in an exported zip.

    Raises
    ------
    InputError
        When it is neither.
    """
    try:
        if path.stat().st_size > LARGEST:
            message = f"{path.name} is larger than {LARGEST // 2**20} MB."
            raise InputError(message, "Export it again with fewer figures.")
        data = path.read_bytes()
    except OSError as error:
        message = f"{path.name} cannot be read: {(error.strerror or 'unknown reason').lower()}."
        raise InputError(message, "Give a session file or the report.json of an exported zip.") from error
    if data.startswith(b'{"homolog"'):
        return decode(data).report
    values = _json(data)
    if not isinstance(values.get("items"), list):
        message = f"{path.name} is no report and no session of Homolog."
        raise InputError(message, "Give a session file or the report.json of an exported zip.")
    return plain.from_plain(values)


def from_body(body: dict[str, Any]) -> Session:
    """Read the body of a session.

    Raises
    ------
    InputError
    """
    if not _ID.fullmatch(str(body.get("id"))):
        raise _damaged()
    choices = body.get("choices", {})
    removed = body.get("removed", [])
    if not isinstance(choices, dict) or not isinstance(removed, list):
        raise _damaged()
    return Session(
        id=body["id"],
        name=clean_name(str(body.get("name", ""))),
        report=plain.from_plain(body.get("report")),
        choices=tuple(
            (name, choices[name][:_LONGEST_CHOICE]) for name in _CHOICES if isinstance(choices.get(name), str)
        ),
        removed=tuple(_removed(r) for r in removed[-edits.MOST_REMOVED :]),
        shared=body.get("shared") is True,
        saved=str(body.get("saved", ""))[:40],
    )


def clean_name(name: str) -> str:
    """Return a name of a session without line breaks and not too long."""
    return " ".join("".join(c for c in name if c.isprintable() or c.isspace()).split())[:LONGEST_NAME] or (
        "Untitled session"
    )


def _removed(values: Any) -> Removed:
    if not isinstance(values, dict) or not isinstance(values.get("place"), int):
        raise _damaged()
    return Removed(plain.item_from_plain(values.get("item")), min(max(values["place"], 0), edits.MOST_ITEMS))


def _json(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _damaged() from None
    if not isinstance(found, dict):
        raise _damaged()
    return found


def _no_constant(name: str) -> float:
    # Charts of figures with gaps hold NaN as Python writes it; browsers get null from Streamlit all the same.
    return float(name.replace("Infinity", "inf"))


def _damaged() -> Damaged:
    return Damaged("This session is damaged.", "Open its backup, or an export of it.")


# --- files --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """A session that was read, with a sentence where something was in the way."""

    session: Session
    note: str = ""


class Cabinet:
    """The sessions of one person in one folder.

    Parameters
    ----------
    folder : Path
        Made when the first session is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._known: dict[str, tuple[tuple[int, ...], Session]] = {}

    def path(self, session_id: str) -> Path:
        """Return where a session lies.

        Raises
        ------
        InputError
            When it cannot be the id of a session.
        """
        if not _ID.fullmatch(session_id):
            message = "This link names no session."
            raise InputError(message, "Copy the whole link.")
        return self.folder / f"{session_id}{ENDING}"

    def current(self) -> str:
        """Return the id of the session that was worked on last, or ``""``."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found = (self.folder / "current").read_text("ascii").strip()
            if _ID.fullmatch(found) and self.path(found).exists():
                return found
        return next((entry.id for entry in self.entries() if not entry.problem), "")

    def choose(self, session_id: str) -> None:
        """Make a session the one that is worked on."""
        write_whole(self.folder / "current", self.path(session_id).stem.encode())

    def entries(self) -> list[Entry]:
        """Return all sessions, changed last first; those that cannot be read say why."""
        found = []
        for path in self.folder.glob(f"*{ENDING}"):
            with contextlib.suppress(OSError):
                if _ID.fullmatch(path.stem):
                    found.append(self._entry(path))
        return sorted(found, key=lambda entry: entry.changed, reverse=True)

    def read(self, session_id: str) -> Session:
        """Return a session as it lies there.

        Raises
        ------
        InputError
            When there is none, or it cannot be read; see `decode`.
        """
        path = self.path(session_id)
        try:
            stamp = _stamp(path)
            known = self._known.get(session_id)
            if known is not None and known[0] == stamp:
                return known[1]
            data = path.read_bytes() if stamp[1] <= LARGEST else b""
        except OSError:
            message = "This session is not here."
            raise InputError(message, "It was deleted, or the link is of another server.") from None
        session = dataclasses.replace(decode(data), id=session_id)
        self._remember(session_id, stamp, session)
        return session

    def open(self, session_id: str) -> Opened:
        """Return a session; where it cannot be read, its backup, with a sentence that says so.

        What cannot be read is kept: a damaged file under another name, that of a newer program as it is.

        Raises
        ------
        InputError
            When neither the session nor its backup can be read.
        """
        with self._locked():
            try:
                return Opened(self.read(session_id))
            except InputError as error:
                return self._instead(session_id, error)

    def _instead(self, session_id: str, error: InputError) -> Opened:
        """Open the backup of a session that cannot be read."""
        path = self.path(session_id)
        try:
            backup = decode(self._backup(path).read_bytes())
        except (OSError, InputError):
            self._put_aside(path, error)
            raise error from None
        self._put_aside(path, error)
        if path.exists():  # of a newer program: its backup goes on under another name
            name = f"{backup.name[:90]} (before the update)"
            session = self._written(dataclasses.replace(backup, id=new_id(), name=name))
        else:
            session = self._written(dataclasses.replace(backup, id=session_id))
        self.choose(session.id)
        when = backup.saved.replace("T", " ")[:16]
        return Opened(session, f"{error.problem} Its backup of {when} UTC is open; the file itself is kept.")

    def _put_aside(self, path: Path, error: InputError) -> None:
        if isinstance(error, Damaged) and path.exists():
            stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
            path.replace(path.with_name(f"{path.stem}.damaged-{stamp}"))

    def new(self, session: Session) -> Session:
        """Save a new session and make it the one that is worked on.

        Raises
        ------
        InputError
            When there are too many, or the folder cannot be written.
        """
        with self._locked():
            if sum(1 for _ in self.folder.glob(f"*{ENDING}")) >= MOST_SESSIONS:
                message = f"There are {MOST_SESSIONS} sessions already."
                raise InputError(message, "Delete some that you no longer need.")
            self._tidy()
            written = self._written(session)
            self.choose(written.id)
            return written

    def _tidy(self) -> None:
        """Remove what killed processes left half written."""
        for left in self.folder.glob(".*.*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > LEFTOVER_S:
                    left.unlink()

    def change(self, session_id: str, edit: Callable[[Session], Session]) -> Session:
        """Change a session as it lies there now, so that two tabs never undo each other's work.

        Raises
        ------
        InputError
            When it cannot be read or written, or the edit is refused; nothing is changed then.
        """
        with self._locked():
            before = self.read(session_id)
            after = dataclasses.replace(edit(before), id=session_id)
            return before if after == before else self._written(after)

    def delete(self, session_id: str) -> None:
        """Put a session into the trash, where it stays for a month."""
        with self._locked():
            trash = self.folder / "trash"
            trash.mkdir(exist_ok=True)
            path = self.path(session_id)
            path.replace(trash / path.name)
            os.utime(trash / path.name)
            self._known.pop(session_id, None)
            for old in trash.glob(f"*{ENDING}"):
                if time.time() - old.stat().st_mtime > TRASH_KEPT_S:
                    old.unlink()

    def undelete(self, session_id: str) -> None:
        """Take a session out of the trash.

        Raises
        ------
        InputError
            When it is not there.
        """
        path = self.path(session_id)
        with self._locked():
            try:
                (self.folder / "trash" / path.name).replace(path)
            except OSError:
                message = "The session is no longer in the trash."
                raise InputError(message, "Import an export of it.") from None

    # --- inside -----------------------------------------------------------------------------------------

    def _remember(self, session_id: str, stamp: tuple[int, ...], session: Session) -> None:
        while len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)), None)
        self._known[session_id] = (stamp, session)

    def _backup(self, path: Path) -> Path:
        return path.with_name(f"{path.name}.bak")

    def _written(self, session: Session) -> Session:
        """Replace the file of a session, keeping what was there as its backup."""
        saved = datetime.now(UTC).isoformat(timespec="seconds")
        session = dataclasses.replace(session, saved=saved)
        path = self.path(session.id)
        data = encode(session)
        if len(data) > LARGEST:
            message = (
                f"This session would take {len(data) / 2**20:.0f} MB; {LARGEST // 2**20} MB are the most."
            )
            raise InputError(message, "Remove a figure, or begin another session.")
        try:
            _link(path, self._backup(path))
            write_whole(path, data)
            self._remember(session.id, _stamp(path), session)
        except OSError as error:
            log.warning("A session could not be saved: %s", error.strerror)
            message = "The session could not be saved: the disk is full or may not be written."
            raise InputError(
                message, "What was saved before is safe; export the report and tell who runs it."
            ) from error
        return session

    def _entry(self, path: Path) -> Entry:
        changed = path.stat().st_mtime
        try:
            session = self.read(path.stem)
        except HomologError as error:
            return Entry(path.stem, "Unreadable session", changed, problem=str(error))
        return Entry(path.stem, session.name, changed, len(session.report.panels))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one thread and, where the system can, one process at a time change the folder."""
        with self._lock:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                file = (self.folder / ".lock").open("ab")
            except OSError as error:
                message = "Sessions cannot be saved here: the folder may not be written."
                raise InputError(message, "Set HOMOLOG_HOME to a folder that you can write to.") from error
            with file:
                _flock(file.fileno())
                yield


def _link(path: Path, backup: Path) -> None:
    """Keep a file under a second name, which is replaced at once or not at all."""
    if not path.exists():
        return
    beside = backup.with_name(f".{backup.name}.{secrets.token_hex(4)}")
    try:
        os.link(path, beside)
    except OSError:  # a file system without links
        write_whole(backup, path.read_bytes())
        return
    beside.replace(backup)


def _flock(handle: int) -> None:
    with contextlib.suppress(ImportError, OSError):  # Windows, or a network drive without locks
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


# --- people -------------------------------------------------------------------------------------------------

_cabinets: dict[Path, Cabinet] = {}
_cabinets_lock = threading.Lock()


def cabinet(owner: str) -> Cabinet:
    """Return the sessions of whoever holds the secret ``owner``; on the disk only its hash is kept.

    Raises
    ------
    InputError
        When the folder of settings cannot be used.
    """
    folder = settings.home() / "sessions" / hashlib.sha256(owner.encode()).hexdigest()[:32]
    with _cabinets_lock:
        if len(_cabinets) > 1000:
            _cabinets.clear()
        return _cabinets.setdefault(folder, Cabinet(folder))


def shared(session_id: str) -> Session:
    """Return a session of anybody that its owner shares by link.

    Raises
    ------
    InputError
        When there is none of that id, or it is not shared; the same sentence for both.
    """
    if _ID.fullmatch(session_id):
        for path in (settings.home() / "sessions").glob(f"*/{session_id}{ENDING}"):
            found = cabinet_at(path.parent).read(session_id)
            if found.shared:
                return found
    message = "This session is not here, or its owner no longer shares it."
    raise InputError(message, "Ask who sent you the link for a new one, or for the exported file.")


def cabinet_at(folder: Path) -> Cabinet:
    """Return the cabinet of a folder that is known already."""
    with _cabinets_lock:
        return _cabinets.setdefault(folder, Cabinet(folder))
