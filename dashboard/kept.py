"""What somebody brought: files kept as they came, with a recipe of how to read them, under a secret name.

A page writes the bytes and looks at nothing but their number and size; workers open them. A secret of the
session goes into the digest of the reference, so that nobody can guess another's, while the identity of what
is in it depends on the files and the recipe alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboard import settings
from dashboard.errors import InputError

KEPT_S = 30 * 86_400.0
"""What nobody opened for so long is removed when the next upload comes."""

NAME_CHARACTERS = 100
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LIST, _RECIPE = "files.json", "recipe.json"


@dataclass(frozen=True)
class File:
    """One file that somebody brought.

    Attributes
    ----------
    name : str
        For display only; it never becomes a path.
    sha256 : str
        Of its bytes.
    path : Path
        Where it lies, here or in a listed folder of the server.
    """

    name: str
    sha256: str
    path: Path

    def read(self) -> bytes:
        """Return the bytes, checked.

        Raises
        ------
        InputError
            When they are gone or no longer those that were brought.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise InputError(
                f'"{self.name}" of this upload is no longer there.', "Upload it again."
            ) from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise InputError(f'"{self.name}" of this upload is damaged on the disk.', "Upload it again.")
        return data

    def checked(self) -> Path:
        """Return the path after comparing the bytes with the SHA-256; for files too large to read at once."""
        try:
            found = file_sha256(self.path)
        except OSError as error:
            raise InputError(
                f'"{self.name}" of this upload is no longer there.', "Upload it again."
            ) from error
        if found != self.sha256:
            raise InputError(f'"{self.name}" of this upload is damaged on the disk.', "Upload it again.")
        return self.path


@dataclass(frozen=True)
class Kept:
    """Files that belong together, and how to read them.

    Attributes
    ----------
    digest : str
        What stands behind ``upload:``.
    folder : Path
        Where workers may put what they made of the files.
    files : tuple of File
    recipe : Mapping
        Answers to what the files do not say; empty before anybody was asked.
    """

    digest: str
    folder: Path
    files: tuple[File, ...]
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The reference that opens it."""
        return f"upload:{self.digest}"

    @property
    def title(self) -> str:
        """What to call it: the recipe's title, else the names of the files."""
        given = str(self.recipe.get("title") or "")
        rest = len(self.files) - 1
        return given or self.files[0].name + (f" and {rest} more" if rest else "")

    @property
    def identity(self) -> str:
        """SHA-256 over names and bytes of the files and the recipe, without the session."""
        return _digest_of("kept", [[f.name, f.sha256] for f in self.files], dict(self.recipe))


def keep(
    given: Sequence[tuple[str, bytes | Path]], session: str, recipe: Mapping[str, Any] | None = None
) -> Kept:
    """Keep files.

    Parameters
    ----------
    given : sequence of (str, bytes or Path)
        Name of every file, and its content or, for a file in a listed folder of the server, where it lies.
    session : str
        A secret of the session.
    recipe : mapping, optional
        JSON-ready answers of how to read them.

    Raises
    ------
    InputError
        When there is no file, the limits are passed, or a file cannot be read or kept.
    """
    size = sum(len(data) for _, data in given if isinstance(data, bytes))
    if not given or size > settings.upload_bytes():
        message = f"The upload holds {len(given) or 'no'} files with {size / 2**20:.0f} MB."
        raise InputError(message, f"Give files with at most {settings.upload_bytes() // 2**20} MB together.")
    names = display_names([name for name, _ in given])
    listed = []
    for name, (_, data) in zip(names, given, strict=True):
        entry = {"name": name, "sha256": _sha256(data, name)}
        listed.append(entry | ({"path": str(data.resolve())} if isinstance(data, Path) else {}))
    digest = _digest_of("upload", session, listed, dict(recipe or {}))
    _forget_old(root(), size)
    _write(root() / digest, listed, [data for _, data in given], recipe or {})
    return opened(f"upload:{digest}")


def with_recipe(reference: str, recipe: Mapping[str, Any]) -> Kept:
    """Return the same files with another recipe, under a name that only who knows the first can know.

    Raises
    ------
    InputError
        When the upload is not kept here.
    """
    kept = opened(reference)
    digest = _digest_of("recipe", kept.digest, dict(recipe))
    folder = root() / digest
    if not (folder / _LIST).is_file():
        listed = json.loads((kept.folder / _LIST).read_text("utf-8"))
        contents = [kept.folder / f"{entry['sha256']}.bin" for entry in listed]
        _write(folder, listed, contents, recipe)
    return opened(f"upload:{digest}")


def opened(reference: str, remedy: str = "Add the files again on the Add page.") -> Kept:
    """Return what ``upload:DIGEST`` names.

    Raises
    ------
    InputError
        When it is not kept here (any more).
    """
    digest = reference.removeprefix("upload:")
    gone = InputError("This upload is not kept here.", remedy)
    if not _DIGEST.fullmatch(digest):
        raise gone
    folder = root() / digest
    try:
        listed: Any = json.loads((folder / _LIST).read_text("utf-8"))
        recipe: Any = json.loads((folder / _RECIPE).read_text("utf-8"))
        found = tuple(
            File(
                str(f["name"]),
                str(f["sha256"]),
                Path(f["path"]) if "path" in f else _blob(folder, f["sha256"]),
            )
            for f in listed
        )
        os.utime(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise gone from error
    for file in found:
        if file.path.parent != folder and not settings.inside(file.path, settings.roots()):
            message = f'"{file.name}" lies in a folder that this server does not open any more.'
            raise InputError(message, "Ask the administrator to list the folder in HOMOLOG_ROOTS.")
    return Kept(digest, folder, found, recipe)


def recipe_facts(recipe: Any, kind: str, version: int) -> dict[str, Any]:
    """Return a recipe (a dataclass) JSON-ready: what differs from the defaults, with kind and version."""
    values = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    changed = {f.name: values[f.name] for f in dataclasses.fields(recipe) if values[f.name] != f.default}
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in changed.items()}
    return {"kind": kind, "version": version, **plain}


def root() -> Path:
    """Return the folder of all that was brought."""
    return settings.home() / "uploads"


def display_names(given: Sequence[str], usual: str = "file") -> list[str]:
    r"""Return unique names without folders and characters that cannot be shown.

    Two names that differ in their ending alone would be one stimulus, so they are told apart by a number.

    Examples
    --------
    >>> display_names(["../a\\b.png", "b.png", ".png"], "picture")
    ['b.png', 'b (2).png', 'picture.png']
    """
    found: list[str] = []
    taken: set[str] = set()
    for name in given:
        # C covers control characters and those that turn the reading direction.
        shown = "".join(c for c in name if unicodedata.category(c)[0] != "C").replace("\\", "/")
        shown = unicodedata.normalize("NFC", shown.rpartition("/")[2]).strip()
        base, dot, ending = shown.rpartition(".")
        stem = (base if dot else ending)[:NAME_CHARACTERS].strip(" .") or usual
        unique, count = stem, 2
        while unique in taken:
            unique, count = f"{stem} ({count})", count + 1
        taken.add(unique)
        found.append(f"{unique}.{ending[:12]}" if dot and ending else unique)
    return found


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _blob(folder: Path, sha256: str) -> Path:
    if not _DIGEST.fullmatch(sha256):
        raise ValueError
    return folder / f"{sha256}.bin"


def _sha256(data: bytes | Path, name: str) -> str:
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    unread = InputError(f'"{name}" cannot be read.', "Check that it is a file and its access rights.")
    if not data.is_file():  # a pipe or a device has no end
        raise unread
    try:
        return file_sha256(data)
    except OSError as error:
        raise unread from error


def _digest_of(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _write(
    folder: Path,
    listed: Sequence[Mapping[str, str]],
    contents: Sequence[bytes | Path],
    recipe: Mapping[str, Any],
) -> None:
    """Write the files; the list comes last, so that an upload is there whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry, content in zip(listed, contents, strict=True):
            if "path" not in entry:
                _put(folder / f"{entry['sha256']}.bin", content)
        _put(folder / _RECIPE, json.dumps(dict(recipe), ensure_ascii=False, sort_keys=True).encode())
        _put(folder / _LIST, json.dumps(list(listed), ensure_ascii=False).encode())
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        message = "The upload cannot be kept: the server's disk is full or cannot be written to."
        raise InputError(message, "Free some space, or clean the store on the Jobs page.") from error


def _put(path: Path, content: bytes | Path) -> None:
    if path.is_file():
        return
    beside = path.with_suffix(".part")
    if isinstance(content, bytes):
        beside.write_bytes(content)
    else:
        beside.unlink(missing_ok=True)
        try:
            os.link(content, beside)  # the same bytes on the disk, not a second time
        except OSError:
            shutil.copyfile(content, beside)
    beside.replace(path)


def _forget_old(root: Path, coming: int) -> None:
    """Remove uploads from long ago, and the oldest ones when all together would grow too large."""
    folders = sorted(root.glob("*/"), key=_changed) if root.is_dir() else []
    size = {folder: _size(folder) for folder in folders}
    total = sum(size.values()) + coming
    for folder in folders:
        if time.time() - _changed(folder) > KEPT_S or total > settings.uploads_bytes():
            shutil.rmtree(folder, ignore_errors=True)
            total -= size[folder]


def _size(folder: Path) -> float:
    """Return the bytes of a folder; a file that several folders share counts for each in part."""
    found = [f.stat() for f in folder.glob("*") if f.is_file()]
    return sum(facts.st_size / max(facts.st_nlink, 1) for facts in found)


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
