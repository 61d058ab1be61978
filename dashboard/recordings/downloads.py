"""Public data files: taken from the data folder when the same bytes lie there, else fetched by pooch."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dashboard import progress, settings
from dashboard.errors import InputError, caution

TIMEOUT_S = 30
MOST_BYTES = 300 * 2**20
"""Most bytes of a file whose size its source does not tell."""

_PIECE = 2**16

_SEEN = "first-fetched.json"
"""SHA-256 of files whose source tells none, as they were when they came for the first time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class File:
    """A public file as it was when we verified it, or as its source says that it is.

    Attributes
    ----------
    n_bytes : int
        Its size; 0 where the source does not tell it.
    sha256, md5 : str
        One of them, in hexadecimal; neither where no source tells one. Such a file is taken as it comes for
        the first time; its SHA-256 is kept then, and nothing else is read in its place.
    place : str
        What stands behind the address of the data set where that is not the name of the file.
    """

    n_bytes: int
    sha256: str = ""
    md5: str = ""
    place: str = ""

    @property
    def checksum(self) -> tuple[str, str]:
        """The kind of checksum that is known, and the checksum; both empty when none is."""
        if self.sha256:
            return "sha256", self.sha256
        return ("md5", self.md5) if self.md5 else ("", "")


@dataclass(frozen=True)
class Download:
    """A data set of public files.

    Attributes
    ----------
    name : str
        Its folder, here and below ``HOMOLOG_DATA``.
    url : str
        What stands before the names of the files; ends in a slash.
    files : Mapping of str to File
        Expected size and checksum by name.
    """

    name: str
    url: str
    files: Mapping[str, File]

    @property
    def n_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.n_bytes for file in self.files.values())

    def present(self) -> bool:
        """Return whether files of the right sizes are here; checksums are looked at when they are read."""
        return all(
            any(_fits(_size(folder / name), file) for folder in self._folders())
            for name, file in self.files.items()
        )

    def read(self, name: str) -> bytes:
        """Return the bytes of a file, fetched first when they are not here.

        Raises
        ------
        InputError
            When they cannot be had; the sentence says which file, why, and what to do.
        """
        expected = self.known(name)
        wrong = ""
        for folder in self._folders():
            data = _bytes(folder / name)
            if data is not None:
                problem = mismatch(data, name, expected)
                if not problem:
                    return self._seen(name, data)
                wrong = problem
        data = self._fetch(name, wrong).read_bytes()
        problem = mismatch(data, name, expected)
        if problem:
            raise InputError(problem, self._remedy())
        return self._seen(name, data)

    def known(self, name: str) -> File:
        """Return what is known of a file: what its source tells, else as it was when it came first."""
        file = self.files[name]
        if any(file.checksum):
            return file
        return replace(file, sha256=self._first_fetched().get(name, ""))

    def digest(self, name: str) -> str:
        """Return the checksum of a file, from its source or from its first fetch.

        Raises
        ------
        InputError
            When no source tells one and the file never came.
        """
        kind, found = self.known(name).checksum
        if not kind and any(_size(folder / name) for folder in self._folders()):
            self.read(name)  # somebody put it there: that counts as its first fetch
            kind, found = self.known(name).checksum
        if not kind:
            message = f'"{name}" is not here yet, and its source tells no checksum.'
            raise InputError(message, self._remedy())
        return found

    def forget(self, name: str) -> None:
        """Forget a file that came without a checksum and turned out to be something else."""
        if any(self.files[name].checksum):
            return
        (settings.home() / "downloads" / self.name / name).unlink(missing_ok=True)
        self._keep({known: sha256 for known, sha256 in self._first_fetched().items() if known != name})

    def _first_fetched(self) -> dict[str, str]:
        try:
            found = json.loads((settings.home() / "downloads" / self.name / _SEEN).read_text("utf-8"))
            return {str(k): str(v) for k, v in found.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def _seen(self, name: str, data: bytes) -> bytes:
        """Keep the SHA-256 of a file that came for the first time without a checksum; return the bytes."""
        if any(self.known(name).checksum):
            return data
        digest = hashlib.sha256(data).hexdigest()
        self._keep({**self._first_fetched(), name: digest})
        caution(
            "no-checksum",
            f'No source tells a checksum of "{name}": it was taken as it came, and its SHA-256 '
            f"({digest[:12]}…) is kept, so that other bytes are refused from now on.",
        )
        return data

    def fetch(self) -> None:
        """Fetch every file that is not here, reporting progress; see `read`."""
        done = 0
        total = sum(file.n_bytes or MOST_BYTES for file in self.files.values())
        for name, file in self.files.items():
            share = (file.n_bytes or MOST_BYTES) / total
            with progress.part(done / total, min(1.0, done / total + share)):
                self.read(name)
                progress.report(1.0, f"{name} is here")
            done += file.n_bytes or MOST_BYTES

    def _keep(self, digests: Mapping[str, str]) -> None:
        folder = settings.home() / "downloads" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".part-", delete=False) as part:
            json.dump(dict(digests), part)
        Path(part.name).replace(folder / _SEEN)

    def _folders(self) -> list[Path]:
        data = settings.data_folder()
        return [*([data / self.name] if data else []), settings.home() / "downloads" / self.name]

    def _fetch(self, name: str, wrong: str) -> Path:
        import pooch  # here, because it loads requests

        pooch.get_logger().setLevel("WARNING")
        brewed = pooch.create(
            path=settings.home() / "downloads" / self.name,
            base_url=self.url,
            # Without a checksum pooch takes what comes; `read` keeps its SHA-256.
            registry={name: ":".join(self.known(name).checksum) if any(self.known(name).checksum) else None},
            urls={name: self.url + (self.files[name].place or name)},
        )
        try:
            return Path(brewed.fetch(name, downloader=partial(self._download, name)))
        except InputError as error:
            raise InputError(f"{wrong} {error.problem}".strip(), error.remedy) from error
        except OSError as error:
            _log.info("download of %s: %r", name, error)
            message = f'"{name}" could not be saved ({(error.strerror or "input or output error").lower()}).'
            raise InputError(message, "Free some space, or set HOMOLOG_HOME to another folder.") from error

    def _download(self, name: str, url: str, output_file: Any, pooch: Any) -> None:
        """Stream one file to a temporary place; pooch moves it where it belongs once it is checked."""
        import requests

        try:
            with requests.get(url, stream=True, timeout=TIMEOUT_S) as response:
                if response.status_code != 200:
                    message = f'"{name}" could not be fetched: the server answered {response.status_code}.'
                    raise InputError(message, self._remedy())
                self._save(response.iter_content(_PIECE), Path(output_file), name)
        except requests.exceptions.ChunkedEncodingError as error:
            self._refuse(Path(output_file), name)
            raise self._unreachable(name) from error
        except requests.exceptions.RequestException as error:
            _log.info("download of %s: %r", name, error)
            raise self._unreachable(name) from error
        self._refuse(Path(output_file), name)

    def _save(self, pieces: Any, path: Path, name: str) -> None:
        expected = self.files[name].n_bytes or MOST_BYTES
        done = 0
        with path.open("wb") as file:
            for piece in pieces:
                done += len(piece)
                if done > expected:
                    message = f'"{name}" is larger than the {expected:,} bytes that it should have.'
                    raise InputError(message, self._remedy())
                file.write(piece)
                progress.report(
                    done / expected, f"fetching {name}: {done / 1e6:.1f} of {expected / 1e6:.1f} MB"
                )

    def _refuse(self, path: Path, name: str) -> None:
        problem = mismatch(path.read_bytes(), name, self.known(name))
        if problem:
            raise InputError(problem, self._remedy())

    def _unreachable(self, name: str) -> InputError:
        return InputError(f'"{name}" is not here and its server cannot be reached.', self._remedy())

    def _remedy(self) -> str:
        return (
            f"Run python -m dashboard fetch {self.name} when you are online, or put the files in a folder "
            f"{self.name} below HOMOLOG_DATA."
        )


def mismatch(data: bytes, name: str, expected: File) -> str:
    """Return what is wrong with the bytes of a file in one sentence, or ``""``."""
    kind, known = expected.checksum
    # The MD5 of a source tells a damaged file; it is no proof against somebody who wants to deceive.
    found = hashlib.new(kind or "sha256", data, usedforsecurity=False).hexdigest()
    if found == known:
        return ""
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return f'"{name}" is a web page, not the file.'
    if not kind:
        return "" if data else f'"{name}" is empty.'
    title = {"sha256": "SHA-256", "md5": "MD5"}[kind]
    sums = f"{title} {found[:12]}…, expected {known[:12]}…"
    if len(data) < expected.n_bytes:
        return f'"{name}" is not complete: {len(data):,} of {expected.n_bytes:,} bytes ({sums}).'
    return f'"{name}" has the wrong content: {sums}.'


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _fits(size: int | None, expected: File) -> bool:
    return size == expected.n_bytes if expected.n_bytes else bool(size)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
