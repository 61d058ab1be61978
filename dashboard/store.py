"""Answers on disk, found by their question; a damaged file is a miss, never an error or a wrong value.

::

    HOME/store/answers/ab/abcd….nc      one packed answer (see `packing`)
    HOME/store/arrays/ab/abcd…/         the activations of one layer (see `arrays`)

A file appears under its name only when it is whole and on the disk: it is written beside, flushed and
renamed. Any number of processes may share the folder. What was used longest ago goes first when the folder
outgrows its limit.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dashboard import packing, settings

if TYPE_CHECKING:
    import xarray as xr

    from dashboard.arrays import ArrayStore

log = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{64}")
_GRACE_S = 600.0  # nothing that was used so recently is evicted: somebody may be looking at it
_TOUCH_S = 30.0  # use is noted no more often than this, so that reading stays reading
_RESCAN_S = 60.0  # other processes write here too
_LEFTOVER_S = 3600.0
_REMEMBERED_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Entry:
    """One thing in the store.

    Attributes
    ----------
    key, kind, title : str
        Of the question; kind is ``"unreadable"`` for a damaged file.
    bytes : int
    used : float
        Seconds since 1970 when it was last asked for.
    form : "answer" or "array"
    complete : bool
        False for activations whose extraction was interrupted, or is going on.
    """

    key: str
    kind: str
    title: str
    bytes: int
    used: float
    form: Literal["answer", "array"] = "answer"
    complete: bool = True


@dataclass(frozen=True)
class Usage:
    """How full the store is; `by_kind` maps a kind to (count, bytes)."""

    count: int
    bytes: int
    limit: int
    by_kind: dict[str, tuple[int, int]]


class Store:
    """Answers and activations in one folder.

    Parameters
    ----------
    root : Path
        Folder; made at the first write.
    limit_bytes : int
        Most bytes that it may keep. It can be above it for some minutes, by what was used just now.
    grace_s : float
        Seconds after its last use during which nothing is evicted.
    """

    def __init__(self, root: Path | str, limit_bytes: int, grace_s: float = _GRACE_S) -> None:
        self.root = Path(root)
        self.limit_bytes = limit_bytes
        self.grace_s = grace_s
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str, tuple[tuple[int, ...], xr.Dataset]] = OrderedDict()
        self._total = 0
        self._scanned = float("-inf")

    @cached_property
    def arrays(self) -> ArrayStore:
        """Large activations, counted and evicted together with the answers."""
        from dashboard.arrays import ArrayStore

        return ArrayStore(self.root / "arrays", wrote=self._wrote)

    def path(self, key: str) -> Path:
        """Return where the answer to ``key`` (64 hexadecimal digits) is or would be."""
        if not _KEY.fullmatch(key):
            message = f"not a key: {key!r}"
            raise ValueError(message)
        return self.root / "answers" / key[:2] / f"{key}.nc"

    def has(self, key: str) -> bool:
        """Say whether an answer lies here, without reading it; `open` may still find it damaged."""
        try:
            return packing.read_about(self.path(key))["key"] == key
        except (packing.Damaged, OSError):
            return False

    def open(self, key: str) -> xr.Dataset | None:
        """Return the answer to ``key``, checked, in memory and read-only; None when there is none."""
        path = self.path(key)
        try:
            stamp = _stamp(path)
            found = self._recall(key, stamp)
            if found is None:
                found = packing.unpack(path.read_bytes(), key)
                self._remember(key, stamp, found)
            self._touch(key, path)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever a broken file makes a reader raise, it is a miss
            log.warning("Stored answer %s is not used: %s", path.name, error or type(error).__name__)
            if not isinstance(error, OSError | MemoryError) and not _is_newer(path):
                _remove_file(path)
            return None
        # Shallow: arrays are read-only and shared, names and attributes are the caller's own.
        return found.copy(deep=False)

    def put(self, key: str, answer: xr.Dataset, kind: str = "") -> bool:
        """Keep an answer.

        Parameters
        ----------
        key : str
            64 hexadecimal digits.
        answer : xarray.Dataset
        kind : str, optional
            What the list of answers shows; read from the record in ``attrs`` when not given.

        Returns
        -------
        bool
            False when it could not be kept (disk full, read-only, too large); the reason is logged.
        """
        path = self.path(key)
        try:
            packed = packing.pack(answer, key, kind or _kind(answer), _listed_title(answer))
            if len(packed) > self.limit_bytes:
                log.warning("The answer %s is larger than the limit of the store", path.name)
                return False
            write_whole(path, packed)
        except (
            Exception
        ) as error:  # the caller still has the answer; losing the copy must not lose the answer
            log.warning("The answer %s could not be stored: %s", path.name, error or type(error).__name__)
            return False
        self._wrote(len(packed))
        return True

    def entries(self) -> list[Entry]:
        """Return what is in the store, last used first."""
        found = [*self._answers(), *self.arrays.entries()]
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def usage(self) -> Usage:
        """Return how many things are stored, how large they are, and of which kinds."""
        by_kind: dict[str, tuple[int, int]] = {}
        for entry in self.entries():
            count, size = by_kind.get(entry.kind, (0, 0))
            by_kind[entry.kind] = (count + 1, size + entry.bytes)
        total = sum(size for _, size in by_kind.values())
        return Usage(sum(count for count, _ in by_kind.values()), total, self.limit_bytes, by_kind)

    def clear(self, keys: Iterable[str] | None = None, *, older_than: float | None = None) -> int:
        """Remove everything, or only what is asked for; activations being written stay.

        Parameters
        ----------
        keys : iterable of str, optional
            Only these.
        older_than : float, optional
            Only what was not used within so many seconds.

        Returns
        -------
        int
            Bytes freed.
        """
        wanted = None if keys is None else set(keys)
        latest = float("inf") if older_than is None else time.time() - older_than
        freed = 0
        for entry in self.entries():
            if (wanted is None or entry.key in wanted) and entry.used <= latest and self._drop(entry):
                freed += entry.bytes
        self._scanned = float("-inf")
        return freed

    def evict(self) -> int:
        """Remove what was used longest ago until the store is within its limit; return the bytes freed."""
        entries = self.entries()
        total = sum(entry.bytes for entry in entries)
        freed = 0
        latest = time.time() - self.grace_s
        for entry in reversed(entries):
            if total - freed <= self.limit_bytes or entry.used > latest:
                break
            if self._drop(entry):
                freed += entry.bytes
        self._total, self._scanned = total - freed, time.monotonic()
        if freed:
            log.info("Removed %d MB of answers that were not used for long", freed // 10**6)
        return freed

    # --- inside ---------------------------------------------------------------------------------------------

    def _drop(self, entry: Entry) -> bool:
        if entry.form == "array":
            return self.arrays.remove(entry.key)
        with self._lock:
            self._remembered.pop(entry.key, None)
        return _remove_file(self.path(entry.key))

    def _answers(self) -> Iterator[Entry]:
        for path in _files(self.root / "answers"):
            try:
                status = path.stat()
                if path.name.startswith("."):
                    if time.time() - status.st_mtime > _LEFTOVER_S:
                        _remove_file(path)  # of a process that was killed while it wrote
                    continue
                if not _KEY.fullmatch(path.stem):
                    continue
                kind, title = _labels(str(path), status.st_size, status.st_mtime_ns)
            except OSError:  # gone since it was listed
                continue
            yield Entry(path.stem, kind, title, status.st_size, status.st_mtime)

    def _wrote(self, size: int) -> None:
        """Count what was written and make room when the limit is passed; never fails the writer."""
        self._total += size
        stale = time.monotonic() - self._scanned > _RESCAN_S
        if not stale and self._total <= self.limit_bytes:
            return
        try:
            self.evict()
        except OSError as error:
            log.warning("The store could not be tidied: %s", error)

    def _recall(self, key: str, stamp: tuple[int, ...]) -> xr.Dataset | None:
        with self._lock:
            kept = self._remembered.get(key)
            if kept is None or kept[0] != stamp:
                return None
            self._remembered.move_to_end(key)
            return kept[1]

    def _remember(self, key: str, stamp: tuple[int, ...], answer: xr.Dataset) -> None:
        if answer.nbytes > _REMEMBERED_BYTES // 4:
            return
        with self._lock:
            self._remembered[key] = (stamp, answer)
            self._remembered.move_to_end(key)
            while sum(kept.nbytes for _, kept in self._remembered.values()) > _REMEMBERED_BYTES:
                self._remembered.popitem(last=False)

    def _touch(self, key: str, path: Path) -> None:
        """Note the use of an answer in its time of change, which every file system keeps."""
        with contextlib.suppress(OSError):  # a read-only folder, or removed since it was read
            if time.time() - path.stat().st_mtime < _TOUCH_S:
                return
            os.utime(path)
            with self._lock:
                if key in self._remembered:
                    self._remembered[key] = (_stamp(path), self._remembered[key][1])


def default() -> Store:
    """Return the store of `settings.home`, one object per folder and limit.

    Raises
    ------
    InputError
        When the folder cannot be used.
    """
    return _store(settings.home() / "store", settings.store_limit_bytes())


@lru_cache(maxsize=64)
def _store(root: Path, limit_bytes: int) -> Store:
    return Store(root, limit_bytes)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that, whenever the process or the machine stops, it is there whole or not at all.

    Raises
    ------
    OSError
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent / f".{path.name}.{uuid.uuid4().hex}"
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk; where the system cannot, the checks on reading must do."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _kind(answer: xr.Dataset) -> str:
    """Return the kind of spec in an answer's record."""
    import json

    try:
        return str(json.loads(answer.attrs["record"])["spec"]["kind"])
    except (KeyError, TypeError, ValueError):
        return "answer"


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _is_newer(path: Path) -> bool:
    """Say whether a later version of this program wrote the file; that one may be running beside us."""
    try:
        with path.open("rb") as file:
            file.seek(-len(packing.MARK), os.SEEK_END)
            mark = file.read()
    except OSError:
        return False
    return mark[:-1] == packing.MARK[:-1] and mark[-1:].isdigit() and mark > packing.MARK


def _listed_title(answer: xr.Dataset) -> str:
    """Return what lists call an answer; everybody sees them, so the names of brought files stay out."""
    if "upload:" in str(answer.attrs.get("record", "")):
        return "made from an upload"
    return str(answer.attrs.get("title", ""))


@lru_cache(maxsize=8192)
def _labels(path: str, _size: int, _changed_ns: int) -> tuple[str, str]:
    try:
        about = packing.read_about(Path(path))
    except packing.Damaged:
        return "unreadable", ""
    return about["kind"], about["title"]


def _files(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for group in sorted(folder.iterdir()):
            with contextlib.suppress(OSError):
                yield from sorted(group.iterdir())


def _remove_file(path: Path) -> bool:
    try:
        path.unlink()
    except OSError as error:
        log.info("%s stays: %s", path.name, error.strerror)
        return False
    return True
