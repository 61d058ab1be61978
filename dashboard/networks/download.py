"""Weights published by name, fetched once into ``HOMOLOG_HOME/weights`` and compared with their hash."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from dashboard import settings
from dashboard.errors import InputError
from dashboard.progress import report

_BLOCK = 1 << 18
_TIMEOUT_S = 30
_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


def fetch(url: str) -> Path:
    """Return the file that an address names, from a weights folder or torch's own cache, else downloaded.

    Parameters
    ----------
    url : str
        ``https://…/NAME-HASH.pth``; the hash in the name is the start of the file's SHA-256.

    Raises
    ------
    InputError
        When it cannot be fetched, is cut short, or has other bytes than published; nothing is left behind.
    """
    name = urlsplit(url).path.rpartition("/")[2]
    expected = published_hash(name)
    for place in (*settings.weights_roots(), _torch_cache()):
        if (place / name).is_file() and _sha256(place / name).startswith(expected):
            return place / name
    folder = settings.home() / "weights"
    folder.mkdir(exist_ok=True)
    return _download(url, folder / name, expected)


def published_hash(name: str) -> str:
    """Return the start of the SHA-256 that a published file bears in its name.

    Raises
    ------
    InputError
        When there is none.
    """
    found = _HASH.search(name)
    if found is None:
        message = f'The address of "{name}" has no checksum in its name, so it is not fetched.'
        raise InputError(message)
    return found[1]


def _download(url: str, target: Path, expected: str) -> Path:
    part = None
    try:
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer,  # noqa: S310 - https from torchvision's table
            tempfile.NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False) as file,
        ):
            part = Path(file.name)
            digest = _copy(answer, file, target.name)
        if not digest.startswith(expected):
            message = f'"{target.name}" arrived with another SHA-256 than published, so it was deleted.'
            raise InputError(message, "Try again; if it happens again, fetch the file by another way.")
        part.replace(target)
    except (OSError, http.client.HTTPException) as error:
        raise _not_fetched(url, target.name, error) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return target


def _copy(answer: http.client.HTTPResponse, file: tempfile._TemporaryFileWrapper, name: str) -> str:  # type: ignore[type-arg]
    """Copy the answer to the file, say how far it is, and return the SHA-256."""
    total = int(answer.headers.get("Content-Length") or 0)
    digest, size = hashlib.sha256(), 0
    while block := answer.read(_BLOCK):
        file.write(block)
        digest.update(block)
        size += len(block)
        report(size / total if total else 0.0, f"Downloading {name}")
    if total and size < total:
        message = f'The download of "{name}" broke off after {size:,} of {total:,} bytes.'
        raise InputError(message, "Try again.")
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def _not_fetched(url: str, name: str, error: Exception) -> InputError:
    host = urlsplit(url).netloc
    if isinstance(error, urllib.error.HTTPError):
        reason = f"{host} answered {error.code}"
    else:
        reason = f"{host} cannot be reached"
    message = f'The weights "{name}" could not be downloaded: {reason}.'
    return InputError(
        message, f'Put the file "{name}" into the folder "weights" of HOMOLOG_HOME and try again.'
    )


def _sha256(file: Path) -> str:
    from dashboard.networks.files import sha256

    return sha256(file)


def _torch_cache() -> Path:
    """Return where torch.hub keeps downloads, without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser() / "hub" / "checkpoints"
