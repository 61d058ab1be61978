"""Networks of the Hugging Face Hub: pinned to a commit, fetched as safetensors only, checked by hash.

Nothing here imports torch or transformers. A name without a revision is looked up once and its commit is kept
in ``HOMOLOG_HOME/weights/hub``, so that answers do not change when somebody publishes again.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dashboard import settings
from dashboard.errors import InputError
from dashboard.progress import report

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
COMMIT = re.compile(r"[0-9a-f]{40}")
BESIDE = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "sentence_bert_config.json",
    "model.safetensors.index.json",
)
"""Small files that are fetched beside the weights."""

_TIMEOUT_S = 20
_BLOCK = 1 << 18
_MOST_ANSWER = 16 * 2**20


@dataclass(frozen=True)
class Pinned:
    """A published network at one commit.

    Attributes
    ----------
    name, commit : str
        Such as ``"google/vit-base-patch16-224"`` and 40 hexadecimal digits.
    files : Mapping of str to dict
        Every file at that commit, with its ``size`` and ``sha256`` or ``blob`` (Git's SHA-1).
    """

    name: str
    commit: str
    files: Mapping[str, dict[str, Any]]

    @property
    def folder(self) -> Path:
        """Where its files are kept here."""
        return _folder(self.name) / self.commit


def pin(name: str, revision: str = "") -> Pinned:
    """Return the commit that a name means, from what was kept here or, the first time, from the Hub.

    Raises
    ------
    InputError
        When there is no such network or revision, or the Hub cannot be reached.
    """
    kept = _folder(name) / f"{_key(revision)}.json"
    try:
        record = json.loads(kept.read_text(encoding="utf-8"))
        return Pinned(name, record["commit"], record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    path = f"api/models/{quote(name)}/revision/{quote(revision or 'main', safe='')}?blobs=true"
    with _opened(path, name) as answer:
        found = _understood(answer.read(_MOST_ANSWER), name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    _write(kept, json.dumps({"commit": found.commit, "files": dict(found.files)}).encode())
    return found


def fetch(pinned: Pinned, wanted: list[str]) -> Path:
    """Return the folder with these files of a published network, fetching those that are not there.

    Raises
    ------
    InputError
        When a file cannot be fetched, is cut short or has another hash; nothing of it is left behind.
    """
    for file in wanted:
        target = pinned.folder / file
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            _fetch(pinned, file, target)
    return pinned.folder


def weight_files(pinned: Pinned) -> list[str]:
    """Return the safetensors files of the whole network: one, or the shards that an index names.

    Raises
    ------
    InputError
        When it is published without safetensors.
    """
    if "model.safetensors" in pinned.files:
        return ["model.safetensors"]
    shards = sorted(f for f in pinned.files if re.fullmatch(r"model-\d+-of-\d+\.safetensors", f))
    if shards:
        return shards
    message = f"{pinned.name} is published without .safetensors weights, and others can run code when opened."
    raise InputError(message, "Choose another revision, or convert it where that is safe and use the folder.")


def _folder(name: str) -> Path:
    return settings.home() / "weights" / "hub" / name.replace("/", "--")


def _key(revision: str) -> str:
    return (
        revision if COMMIT.fullmatch(revision) else "at-" + hashlib.sha256(revision.encode()).hexdigest()[:16]
    )


def _address() -> str:
    return os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or "https://huggingface.co"


def _opened(path: str, name: str) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(f"{_address()}/{path}", timeout=_TIMEOUT_S)  # noqa: S310
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(name, error) from error


def _unreachable(name: str, error: Exception) -> InputError:
    code = error.code if isinstance(error, urllib.error.HTTPError) else None
    if code in (401, 403, 404):
        message = (
            f'There is no folder "{name}" here, and the Hugging Face Hub shows no such network or revision.'
        )
        return InputError(
            message, "Check the spelling; private networks must be downloaded and given as a folder."
        )
    reason = f"answered {code}" if code else "cannot be reached"
    message = f'"{name}" is not a folder here, and the Hugging Face Hub {reason}.'
    return InputError(message, "Go online once, or give a folder with config.json and .safetensors weights.")


def _understood(data: bytes, name: str) -> Pinned:
    try:
        record = json.loads(data)
        files = {
            str(entry["rfilename"]): {
                "size": int(entry.get("size") or 0),
                "sha256": str((entry.get("lfs") or {}).get("sha256", "")),
                "blob": str(entry.get("blobId", "")),
            }
            for entry in record["siblings"]
        }
        commit = str(record["sha"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        message = f'The Hugging Face Hub gave no list of files for "{name}".'
        raise InputError(message, "Try again.") from error
    safe = all(not f.startswith("/") and ".." not in f.split("/") and "\\" not in f for f in files)
    if not COMMIT.fullmatch(commit) or not safe:
        message = f'The Hugging Face Hub gave no usable list of files for "{name}".'
        raise InputError(message, "Give a folder with config.json and .safetensors weights.")
    return Pinned(name, commit, files)


def _fetch(pinned: Pinned, file: str, target: Path) -> None:
    facts = pinned.files[file]
    size = int(facts["size"])
    sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    part = None
    try:
        with (
            _opened(f"{quote(pinned.name)}/resolve/{pinned.commit}/{quote(file)}", pinned.name) as answer,
            tempfile.NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False) as stream,
        ):
            part, done = Path(stream.name), 0
            while block := answer.read(_BLOCK):
                stream.write(block)
                sha256.update(block)
                blob.update(block)
                done += len(block)
                report(min(done / size, 1.0) if size else 0.0, f"Downloading {target.name}")
            stream.flush()
            os.fsync(stream.fileno())
        expected = facts["sha256"] or facts["blob"]
        if expected not in (sha256.hexdigest(), blob.hexdigest()):
            message = f'"{target.name}" of {pinned.name} arrived cut short or changed, so it was deleted.'
            raise InputError(message, "Try again.")
        part.replace(target)
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(pinned.name, error) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _write(target: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False) as stream:
        stream.write(data)
    Path(stream.name).replace(target)
