"""Folders and zips of pictures: found, checked and named; read when looked at, never unpacked to disk."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from dashboard import progress, settings
from dashboard.errors import InputError, caution, listing
from dashboard.reference import Reference
from dashboard.stimuli import pictures
from dashboard.stimuli.sets import Stimuli, clean_name, digest_of, natural

VERSION = 1
"""Raised whenever the same files give other names, categories or another order; part of the digest."""

MOST_PICTURES = 20_000
MOST_ZIP_BYTES = 512 * 2**20
"""Most bytes that the members of a zip may have together when they are unpacked."""

_BESIDE = {".txt", ".md", ".csv", ".tsv", ".json", ".yaml", ".yml", ".pdf"}
"""Endings of files that lie beside pictures and are left out with a caution."""

_LITTER = {"__macosx", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Member:
    """One picture file: its path inside the folder or zip, and how to get its bytes."""

    path: str
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        """Name of the stimulus: the path without its ending."""
        return clean_name(str(PurePosixPath(self.path).with_suffix("")))

    @property
    def category(self) -> str:
        """The folder, else the letters before the first number of the name (``face`` of ``face07``)."""
        folder = PurePosixPath(self.path).parent
        if folder.name:
            return clean_name(str(folder))
        found = re.match(r"([^\W\d_]+)[ _-]*\d", self.name)
        return found[1] if found else ""


# Folders ------------------------------------------------------------------------------------------------


def load_folder(reference: Reference) -> Stimuli:
    """Load ``folder:PATH``: the PNG, JPEG, GIF and WebP files in it, in natural order of their names.

    Raises
    ------
    InputError
        When there is no such folder, it holds no picture, or a file in it is not a picture that we read.
    """
    reference.check_options(())
    root = find(reference.rest, "folder")
    members = [Member(path, _checked_reader(root / path)) for path in _folder_paths(root)]
    return stimuli_of(reference, members, f'the folder "{root.name}"', _folder_digest(root))


def identify_folder(reference: Reference) -> str:
    """Return the digest that `load_folder` gives: SHA-256 over the names and bytes of the pictures."""
    reference.check_options(())
    return _folder_digest(find(reference.rest, "folder"))


def _folder_digest(root: Path) -> str:
    return digest_of(
        "pictures",
        VERSION,
        pictures.VERSION,
        [(path, file_digest(root / path)) for path in _folder_paths(root)],
    )


def _folder_paths(root: Path) -> list[str]:
    """Paths of the picture files in a folder and its subfolders, in natural order, checked."""
    found = []
    for folder, subfolders, files in os.walk(root):  # follows no links to folders
        subfolders[:] = [name for name in subfolders if not _is_litter(name)]
        for name in files:
            file = Path(folder, name)
            if _is_litter(name):
                continue
            if not file.resolve().is_relative_to(root):
                message = f'"{name}" in the folder "{root.name}" is a link to a file outside it.'
                raise InputError(message, "Put the picture itself there.")
            found.append(file.relative_to(root).as_posix())
    return _pictures_of(found, f'the folder "{root.name}"')


def _checked_reader(path: Path) -> Callable[[], bytes]:
    """Return a function that reads a file and refuses bytes other than those there now."""
    expected = file_digest(path)

    def read() -> bytes:
        data = read_bytes(path)
        if hashlib.sha256(data).hexdigest() != expected:
            message = f'"{path.name}" changed while it was being used.'
            raise InputError(message, "Start again once the folder no longer changes.")
        return data

    return read


# Zips ---------------------------------------------------------------------------------------------------


def load_zip(reference: Reference) -> Stimuli:
    """Load ``zip:PATH``: the PNG, JPEG, GIF and WebP members, read in memory and never unpacked to disk.

    Raises
    ------
    InputError
        When it is no zip, has no picture, an unsafe, encrypted, repeated or damaged member, or over 512 MB.
    """
    reference.check_options(())
    path = find(reference.rest, "zip")
    digest = _zip_digest(path)
    return stimuli_of(reference, zip_members(path, path.name), f'"{path.name}"', digest)


def zip_members(path: Path, name: str) -> list[Member]:
    """Return the pictures in a zip, in natural order of their names.

    Parameters
    ----------
    path : Path
        Where it lies.
    name : str
        What it is called in messages.

    Raises
    ------
    InputError
        As `load_zip`.
    """
    archive = _open_zip(path, name)
    infos = {_safe_member(info, name): info for info in _members(archive, name)}
    lock = threading.Lock()

    def reader(info: zipfile.ZipInfo) -> Callable[[], bytes]:
        return lambda: _read_member(archive, info, name, lock)

    return [Member(p, reader(infos[p])) for p in _pictures_of(list(infos), f'"{name}"')]


def identify_zip(reference: Reference) -> str:
    """Return the digest that `load_zip` gives: SHA-256 of the file's bytes and of how we read it."""
    reference.check_options(())
    return _zip_digest(find(reference.rest, "zip"))


def _zip_digest(path: Path) -> str:
    return digest_of("zip", VERSION, pictures.VERSION, file_digest(path))


def _open_zip(path: Path, name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises many kinds on damaged bytes
        message = f'"{name}" is not a complete zip file.'
        raise InputError(message, "Download or pack it again.") from error


def _members(archive: zipfile.ZipFile, name: str) -> Iterator[zipfile.ZipInfo]:
    """Yield the files of a zip after the checks that concern them together."""
    infos = archive.infolist()
    size = sum(info.file_size for info in infos)
    if size > MOST_ZIP_BYTES or len(infos) > 2 * MOST_PICTURES:
        message = f'"{name}" would unpack to {size / 2**20:,.0f} MB in {len(infos):,} members.'
        raise InputError(
            message,
            f"The limits are {MOST_ZIP_BYTES // 2**20} MB and {2 * MOST_PICTURES:,}; make smaller zips.",
        )
    seen: set[str] = set()
    for info in infos:
        key = clean_name(info.filename)
        if key in seen:
            message = f'"{name}" holds the member "{_shown(info)}" twice.'
            raise InputError(message, "Pack it again with every picture once.")
        seen.add(key)
        if not info.filename or not info.is_dir():  # one without a name is refused with the unsafe ones
            yield info


def _safe_member(info: zipfile.ZipInfo, name: str) -> str:
    """Return the path of a member, or refuse one that points elsewhere or cannot be read safely."""
    # orig_filename keeps what zipfile cuts off at a NUL or turns round in separators.
    path = info.orig_filename
    parts = path.split("/")
    if (
        path.startswith("/")
        or any(part in ("", ".", "..") for part in parts)
        or any(c in path for c in "\\\0:")
        or stat.S_ISLNK(info.external_attr >> 16)
    ):
        message = f'"{name}" holds the unsafe member "{_shown(info)}".'
        raise InputError(message, "Pack plain pictures only.")
    if info.flag_bits & 0x1:
        message = f'"{name}" is encrypted.'
        raise InputError(message, "Pack it again without a password.")
    return path


def _shown(info: zipfile.ZipInfo) -> str:
    return "".join(c for c in info.orig_filename if c.isprintable())[:80]


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, lock: threading.Lock) -> bytes:
    """Read one member; zipfile checks its CRC and reads no more than its declared size."""
    if info.file_size > pictures.MOST_BYTES:
        message = f'"{_shown(info)}" in "{name}" would unpack to {info.file_size / 2**20:,.0f} MB.'
        raise InputError(message, "Save it smaller.")
    try:
        with lock:
            return archive.read(info)
    except Exception as error:  # zlib, lzma, struct and zipfile errors
        message = f'"{_shown(info)}" in "{name}" is damaged.'
        raise InputError(message, "Download or pack the zip again.") from error


# Both ---------------------------------------------------------------------------------------------------


def inside_roots(reference: Reference) -> bool:
    """Return whether the path lies in one of `settings.stimuli_roots`, links followed."""
    try:
        path = find(reference.rest, reference.scheme)
    except InputError:
        return False
    return any(path.is_relative_to(root.resolve()) for root in settings.stimuli_roots())


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, remembered by path, size and time of change."""
    try:
        found = path.stat()
        return _file_digest(str(path), found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise _unreadable(path) from error


@lru_cache(maxsize=100_000)
def _file_digest(path: str, size: int, mtime_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file, or say that it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> InputError:
    return InputError(f'"{path.name}" cannot be read.', "Check that it exists and that you may read it.")


def find(text: str, kind: str) -> Path:
    """Return a path: as it stands, from the working folder, or in one of the folders for stimuli."""
    if not text:
        message = f"{kind}: names no path."
        raise InputError(message, f"Write {kind}:PATH.")
    path = Path(text).expanduser()
    for candidate in [path, *(root / path for root in settings.stimuli_roots())]:
        if candidate.is_dir() if kind == "folder" else candidate.is_file():
            return candidate.resolve()
    what = "text file" if kind == "text" else kind
    message = f'There is no {what} "{path.name}".'
    raise InputError(message, "Give its path from the working folder, or the whole path.")


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LITTER


def _pictures_of(paths: list[str], title: str) -> list[str]:
    """Sort paths and leave out what lies beside the pictures; refuse none and far too many."""
    paths = [path for path in paths if not any(_is_litter(part) for part in path.split("/"))]
    beside = [path for path in paths if PurePosixPath(path).suffix.casefold() in _BESIDE]
    found = sorted(set(paths) - set(beside), key=natural)
    if beside:
        names = listing(PurePosixPath(path).name for path in sorted(beside, key=natural))
        caution("files-left-out", f"Left out of {title}, because they are no pictures: {names}.")
    if not found or len(found) > MOST_PICTURES:
        message = f"{title[0].upper()}{title[1:]} holds {len(found) or 'no'} pictures."
        raise InputError(message, f"Give 1 to {MOST_PICTURES:,} PNG, JPEG, GIF or WebP files.")
    return found


def stimuli_of(reference: Reference, members: list[Member], title: str, digest: str) -> Stimuli:
    """Make the set after looking at the header of every picture."""
    notes = {}
    for i, member in enumerate(members):
        notes[member.name] = pictures.inspect(member.read(), PurePosixPath(member.path).name)
        progress.report((i + 1) / len(members), f"checked {i + 1} of {len(members)} pictures")
    pictures.tell_conversions(notes, title)

    def draw(i: int) -> np.ndarray:
        return pictures.decode(members[i].read(), PurePosixPath(members[i].path).name)

    return Stimuli(
        reference=str(reference),
        title=title[0].upper() + title[1:],
        description=f"{len(members)} pictures of {title}.",
        names=tuple(member.name for member in members),
        categories=tuple(member.category for member in members),
        digest=digest,
        draw=draw,
    )
