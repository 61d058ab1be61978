"""Weight files on disk: where they are, whether a page may name them, and the SHA-256 of their bytes."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dashboard import settings
from dashboard.errors import InputError
from dashboard.networks import formats
from dashboard.reference import Reference, parse

_ENTRY = re.compile(r"[A-Z][A-Z0-9_]*")

_SETTLED_S = 2.0
"""How old the last change of a file must be before its digest is remembered.

Two changes within one tick of the file system's clock leave the same time behind; git calls such a file
racily clean (Documentation/technical/racy-git) and looks at its content again, as we do.
"""

_SHARED_BYTES = 8 * 2**20
"""Files from this size on have their digest kept on the disk, for the server and all workers."""

Facts = tuple[int, int, int, int, int]

_learning: set[str] = set()

_digests: dict[str, tuple[Facts, str]] = {}
_headers_alone: contextvars.ContextVar[bool] = contextvars.ContextVar("_headers_alone", default=False)
_pending: contextvars.ContextVar[list[Callable[[], None]] | None] = contextvars.ContextVar(
    "_pending", default=None
)


def names_file(ref: Reference) -> bool:
    """Tell whether ``weights=`` names a file, not one of torchvision's entries such as ``IMAGENET1K_V1``."""
    value = ref.options.get("weights")
    return value is not None and not _ENTRY.fullmatch(value)


def weight_file(reference: str) -> Path | None:
    """Return the weight file that a reference names, or None when it names none.

    A path is taken as it is (absolute, or relative to the working folder), else below each of
    `settings.weights_roots`.

    Raises
    ------
    InputError
        When there is no such file.
    """
    ref = parse(reference)
    if not names_file(ref):
        return None
    value = ref.options["weights"]
    file = find(value)
    if file is None:
        message = f'There is no weight file "{Path(value).name}".'
        remedy = (
            "Check the path: it is looked for from the working folder and in the weights folders of "
            "HOMOLOG_HOME and HOMOLOG_DATA."
        )
        raise InputError(message, remedy)
    return file


def inside_roots(reference: str) -> bool:
    """Tell whether a page may open what a link names: no path, or one that truly lies in a weights folder.

    Links are followed to their ends before the comparison. A relative path that leads nowhere is let through,
    so that opening it gives the sentence about the missing file.
    """
    ref = parse(reference)
    if ref.scheme == "hf":
        value = ref.rest
    elif names_file(ref):
        value = ref.options["weights"]
    else:
        return True
    file = find(value)
    if file is None:
        return not Path(value).is_absolute() and ".." not in Path(value).parts and value[:1] != "~"
    try:
        inside = [file, *file.iterdir()] if ref.scheme == "hf" and file.is_dir() else [file]
        roots = [root.resolve() for root in settings.weights_roots()]
        return all(any(path.resolve().is_relative_to(root) for root in roots) for path in inside)
    except (OSError, RuntimeError):  # a loop of links
        return False


def shown_name(reference: str) -> str:
    """Return the reference with only the base name of a file or folder, fit for an answer that others see."""
    ref = parse(reference)
    if ref.scheme == "hf" and (ref.rest[:1] in "/~" or Path(ref.rest).is_absolute() or ".." in ref.rest):
        return str(Reference(f"hf:{Path(ref.rest).name}", ref.options))
    if not names_file(ref):
        return reference
    options = {**ref.options, "weights": Path(ref.options["weights"]).name}
    return str(Reference(ref.name, options))


# --- digests ---------------------------------------------------------------------------------------
#
# A digest names a network in keys of answers before anything is opened, so it is asked for at every rerun
# of a page and must not read the file each time. It is remembered with the real path, size, both times of
# change and the number of the file on its device; who puts other bytes there changes one of them, unless
# they can turn back the system's clock. What is remembered is trusted for names only. Where weights are
# *read*, the digest of the very bytes that are used is compared with it (`verified`), so bytes that got
# past the memory are refused, and what was remembered about the file is forgotten.


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's bytes; remembered while nothing about the file changes.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    try:
        path = str(file.resolve())
        before = _facts(file)
        digest = _remembered(path, before)
        if digest is None:
            now = time.time()
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if _facts(file) == before and now - max(before[1:3]) / 1e9 > _SETTLED_S:
                _remember(path, before, digest)
    except OSError as error:
        raise unreadable(file, error) from error
    return digest


def known(file: Path) -> bool:
    """Tell whether the digest of a file is remembered, so that asking for it costs no time."""
    try:
        return _remembered(str(file.resolve()), _facts(file)) is not None
    except OSError:
        return True  # asking for it says what is wrong


def learn(file: Path) -> None:
    """Read a file for its digest behind whatever else is done; nothing when that is going on."""
    path = str(file)

    def read() -> None:
        try:
            with contextlib.suppress(InputError):  # whoever opens it is told
                sha256(file)
        finally:
            _learning.discard(path)

    if path not in _learning:
        _learning.add(path)
        threading.Thread(target=read, name="digest", daemon=True).start()


# --- headers ---------------------------------------------------------------------------------------
#
# A safetensors file begins with the names, types and shapes of its weights. What depends on nothing else is
# known long before some hundred megabytes are read and hashed: its key holds the digest of those first bytes
# and of the file's size, and they are compared with it where they are used, like whole files.


def header(file: Path) -> tuple[bytes, int] | None:
    """Return the beginning of a safetensors file, all but its weights, with the size of the file.

    Returns None for other files, and for those that the system does not let us read.
    """
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            start = stream.read(9)
            length = int.from_bytes(start[:8], "little")
            if start[4:] != b"\0\0\0\0{" or length > formats.MAX_HEADER:
                return None
            return start + stream.read(length - 1), size
    except OSError:
        return None


def header_digest(beginning: bytes, size: int) -> str:
    """Return what stands for names, types and shapes of the weights of a file."""
    return f"header:{hashlib.sha256(beginning).hexdigest()}:{size}"


@contextlib.contextmanager
def headers_alone() -> Iterator[None]:
    """Let networks be named and opened in the block by the headers of their weight files alone."""
    token = _headers_alone.set(True)
    try:
        yield
    finally:
        _headers_alone.reset(token)


def unread() -> bool:
    """Tell whether weights are left unread here; see `headers_alone`."""
    return _headers_alone.get()


def fingerprint(file: Path) -> str:
    """Return the SHA-256 of a weight file's bytes; where weights are left unread, that of its header."""
    found = header(file) if unread() else None
    return sha256(file) if found is None else header_digest(*found)


def told(file: Path, digest: str) -> str:
    """Return the sentence that says where weights come from, given the `fingerprint` of their file."""
    read = "" if digest.startswith("header:") else f", SHA-256 {digest[:12]}"
    return f"Weights from {file.name}{read}."


# --- remembering -----------------------------------------------------------------------------------


def forget(file: Path) -> None:
    """Forget the digest of a file whose bytes turned out to be others."""
    with contextlib.suppress(OSError, InputError):
        path = str(file.resolve())
        _digests.pop(path, None)
        _note(path).unlink(missing_ok=True)


def verified(data: bytes, digest: str, file: Path) -> Callable[[], None]:
    """Begin to compare bytes that were read with their digest; return the function that waits for the answer.

    Hashing runs in a thread beside whatever is made of the bytes meanwhile (hashlib leaves the interpreter to
    others). What was made may be used only after the function has returned, which raises InputError when the
    bytes are not those of the digest. Inside of `checked_beside` it returns at once, and the end of that
    block waits.
    """
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(hashlib.sha256(data).hexdigest()), daemon=True)
    thread.start()

    def wait() -> None:
        thread.join()
        compare(found[0] if found else "", digest, file)

    later = _pending.get()
    if later is None:
        return wait
    later.append(wait)
    return lambda: None


def compare(found: str, expected: str, file: Path) -> None:
    """Refuse bytes whose SHA-256 is not, or does not begin with, what was expected."""
    if not expected or not found.startswith(expected):
        forget(file)
        message = f'The weight file "{file.name}" changed while it was read.'
        raise InputError(message, "Try again when it is complete.")


@contextlib.contextmanager
def checked_beside() -> Iterator[None]:
    """Let the bytes that are read in the block be verified until its end, which raises if they are others.

    A block that raises because of such bytes (they fit no network, say) is told as that.
    """
    later: list[Callable[[], None]] = []
    token = _pending.set(later)
    try:
        yield
    finally:
        _pending.reset(token)
        for wait in later:
            wait()


def _facts(file: Path) -> Facts:
    """Return size, times of change of content and of anything, number and device."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev


def _remembered(path: str, facts: Facts) -> str | None:
    """Return the digest that this or another process noted for these facts."""
    known = _digests.get(path)
    if known is None and facts[0] >= _SHARED_BYTES:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, InputError):
            noted = json.loads(_note(path).read_text("utf-8"))
            known = tuple(map(int, noted["facts"])), str(noted["sha256"])  # type: ignore[assignment]
            if known is not None and noted["seal"] == _seal(path, *known):
                _digests[path] = known
            else:  # damaged on the disk
                known = None
    return known[1] if known is not None and known[0] == facts else None


def _remember(path: str, facts: Facts, digest: str) -> None:
    """Note a digest here, and for large files on the disk, whole or not at all."""
    _digests[path] = facts, digest
    if facts[0] < _SHARED_BYTES:
        return
    with contextlib.suppress(OSError, InputError):  # a disk that takes nothing costs time only
        target = _note(path)
        target.parent.mkdir(exist_ok=True)
        text = json.dumps({"facts": facts, "sha256": digest, "seal": _seal(path, facts, digest)})
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=".part-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(part).replace(target)


def _note(path: str) -> Path:
    """Return where the digest of a file is kept: one note per path, which the next one replaces."""
    return settings.home() / "digests" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"


def _seal(path: str, facts: Facts, digest: str) -> str:
    return hashlib.sha256(json.dumps([path, facts, digest]).encode("utf-8", "surrogatepass")).hexdigest()


def unreadable(file: Path, error: OSError) -> InputError:
    """Return the error for a file that the system does not let us read."""
    reason = (error.strerror or type(error).__name__).lower()
    return InputError(f'The weight file "{file.name}" cannot be read ({reason}).', "Check its access rights.")


def find(value: str) -> Path | None:
    """Return the file or folder that a path means, from the working or a weights folder, or None."""
    path = Path(value).expanduser()
    places = [path] if path.is_absolute() else [path, *(root / path for root in settings.weights_roots())]
    for place in places:
        try:
            if place.exists():
                return place
        except (OSError, ValueError):  # too long, or a loop of links
            continue
    return None
