"""Pictures that somebody dropped on a page: ``upload:DIGEST``, kept as they came and read by workers only.

The page writes the bytes and looks at nothing but their number and size; whoever loads the reference checks
and decodes them like the pictures of a folder. A secret of the session goes into the digest of the
reference, so that nobody can guess another's, while the identity of the stimuli depends on the files alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dashboard import settings
from dashboard.errors import InputError
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, clean_name, digest_of

VERSION = 1
"""Raised whenever the same files give other names or another order; part of the digest."""

ENDINGS = ("png", "jpg", "jpeg", "webp")
MOST_FILES = 200
MOST_BYTES = 100 * 2**20
"""Most bytes of one upload, all its files together."""

KEPT_S = 30 * 86_400.0
"""Uploads that nobody opened for so long are removed when the next one comes."""

MOST_KEPT_BYTES = 4 * 2**30
NAME_CHARACTERS = 100
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LIST = "files.json"


def keep(given: Sequence[tuple[str, bytes]], session: str) -> str:
    """Keep uploaded files and return the reference that opens them.

    Parameters
    ----------
    given : sequence of (str, bytes)
        Name and content of every file; the names are for display only and never become paths.
    session : str
        A secret of the session.

    Raises
    ------
    InputError
        When there is no file, or there are too many or too large ones.
    """
    size = sum(len(data) for _, data in given)
    if not 1 <= len(given) <= MOST_FILES or size > MOST_BYTES:
        message = f"The upload holds {len(given) or 'no'} files with {size / 2**20:.0f} MB."
        raise InputError(
            message, f"Give 1 to {MOST_FILES} pictures with at most {MOST_BYTES // 2**20} MB together."
        )
    names = display_names([name for name, _ in given])
    listed = [
        {"name": name, "sha256": hashlib.sha256(data).hexdigest()}
        for name, (_, data) in zip(names, given, strict=True)
    ]
    digest = digest_of("upload", session, listed)
    _forget_old(_root(), size)
    _write(_root() / digest, listed, [data for _, data in given])
    return f"upload:{digest}"


def display_names(given: Sequence[str]) -> list[str]:
    r"""Return unique names without folders and characters that cannot be shown.

    Two names that differ in their ending alone would be one stimulus, so they are told apart by a number.

    Examples
    --------
    >>> display_names(["../a\\b.png", "b.png", ".png"])
    ['b.png', 'b (2).png', 'picture.png']
    """
    found: list[str] = []
    for name in given:
        # C covers control characters and those that turn the reading direction.
        shown = "".join(c for c in name if unicodedata.category(c)[0] != "C").replace("\\", "/")
        base, dot, ending = clean_name(shown.rpartition("/")[2]).rpartition(".")
        stem = (base if dot else ending)[:NAME_CHARACTERS].strip(" .") or "picture"
        ending = f".{ending[:8]}" if dot and ending else ""
        taken, count = {f.rpartition(".")[0] or f for f in found}, 2
        unique = stem
        while unique in taken:
            unique, count = f"{stem} ({count})", count + 1
        found.append(f"{unique}{ending}")
    return found


def load_uploads(reference: Reference) -> Stimuli:
    """Load ``upload:DIGEST``; every picture is checked as those of a folder are.

    Raises
    ------
    InputError
        When the upload is not kept here (any more), or a file is not a picture that we read.
    """
    from dashboard.stimuli import files  # here, because it loads the picture library

    reference.check_options(())
    folder, listed = _find(reference)
    members = [files.Member(f["name"], _reader(folder / f"{f['sha256']}.bin", f)) for f in listed]
    title = f"{len(members)} uploaded picture{'s' if len(members) > 1 else ''}"
    return files.stimuli_of(reference, members, title, identify_uploads(reference))


def identify_uploads(reference: Reference) -> str:
    """Return the digest that `load_uploads` gives: names and SHA-256 of the files, without the session."""
    from dashboard.stimuli import pictures

    reference.check_options(())
    return digest_of("uploads", VERSION, pictures.VERSION, _find(reference)[1])


def _root() -> Path:
    return settings.home() / "uploads"


def _find(reference: Reference) -> tuple[Path, list[dict[str, str]]]:
    """Return the folder of an upload and its list of files."""
    gone = InputError("This upload is not kept here.", "Drop the pictures on the Predictions page again.")
    if not _DIGEST.fullmatch(reference.rest):
        raise gone
    folder = _root() / reference.rest
    try:
        listed: Any = json.loads((folder / _LIST).read_text("utf-8"))
        return folder, [{"name": str(f["name"]), "sha256": str(f["sha256"])} for f in listed]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise gone from error


def _reader(path: Path, file: dict[str, str]) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            data = path.read_bytes()
        except OSError as error:
            message = f'"{file["name"]}" of this upload is no longer there.'
            raise InputError(message, "Upload it again.") from error
        if hashlib.sha256(data).hexdigest() != file["sha256"]:
            message = f'"{file["name"]}" of this upload is damaged on the disk.'
            raise InputError(message, "Upload it again.")
        return data

    return read


def _write(folder: Path, listed: Sequence[dict[str, str]], contents: Sequence[bytes]) -> None:
    """Write the files; the list comes last, so that an upload is there whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in zip(listed, contents, strict=True):
            _put(folder / f"{file['sha256']}.bin", data)
        _put(folder / _LIST, json.dumps(listed, ensure_ascii=False).encode())
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        message = "The upload cannot be kept: the server's disk is full or cannot be written to."
        raise InputError(message, "Free some space, or clean the store on the Jobs page.") from error


def _put(path: Path, data: bytes) -> None:
    beside = path.with_suffix(".part")
    beside.write_bytes(data)
    beside.replace(path)


def _forget_old(root: Path, coming: int) -> None:
    """Remove uploads from long ago, and the oldest ones when all together would grow too large."""
    folders = sorted(root.glob("*/"), key=_changed) if root.is_dir() else []
    size = {folder: sum(f.stat().st_size for f in folder.glob("*") if f.is_file()) for folder in folders}
    total = sum(size.values()) + coming
    for folder in folders:
        if time.time() - _changed(folder) > KEPT_S or total > MOST_KEPT_BYTES:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size[folder]


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
