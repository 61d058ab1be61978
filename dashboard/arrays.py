"""Large activations on disk, in zarr by chunks of stimuli, so that an interrupted extraction goes on.

Each chunk carries its CRC-32C and appears only when it is whole. An array is shown to readers once all its
chunks are there and were read back without a complaint; a chunk that is missing, cut or changed makes the
array a miss.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dashboard.store import Entry, sync_folder, write_whole

if TYPE_CHECKING:
    import zarr
    from filelock import FileLock

log = logging.getLogger(__name__)

_SEAL = "complete.json"
_CHUNK_BYTES = 64 * 2**20
_TOUCH_S = 30.0
_LEFTOVER_S = 3600.0


class ArrayStore:
    """Arrays (n_stimuli, n_units) by key, one writer at a time.

    Parameters
    ----------
    root : Path
    wrote : callable
        Told the number of bytes after each chunk.
    """

    def __init__(self, root: Path, wrote: Callable[[int], None] = lambda size: None) -> None:
        self.root = root
        self._wrote = wrote
        self._sound: dict[str, int] = {}

    def path(self, key: str) -> Path:
        """Return the folder of an array."""
        return self.root / key[:2] / key

    def begin(
        self,
        key: str,
        n_stimuli: int,
        n_units: int,
        *,
        batch: int = 32,
        dtype: str = "float32",
        kind: str = "activations",
        title: str = "",
        waiting: Callable[[], None] = lambda: None,
    ) -> ArrayWriter:
        """Start or go on writing an array, after any other writer of it is done.

        Who writes several arrays at once begins them in the order of their keys, so that two do not wait
        for each other.

        Parameters
        ----------
        key : str
            64 hexadecimal digits.
        n_stimuli, n_units : int
        batch : int
            Stimuli per chunk; fewer when a chunk would be above 64 MB.
        dtype : "float32" or "float64"
        kind, title : str
            What the list of stored things shows.
        waiting : callable
            Called five times a second while another process writes the array; may raise, to give up.

        Raises
        ------
        OSError
            When the folder cannot be written to.
        """
        if n_stimuli < 1 or n_units < 1:
            message = f"an array of {n_stimuli} stimuli and {n_units} units"
            raise ValueError(message)
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
        _wait(lock, waiting)
        try:
            rows = min(batch, max(1, _CHUNK_BYTES // (n_units * np.dtype(dtype).itemsize)), n_stimuli)
            layout = _layout((n_stimuli, n_units), rows, dtype, kind, title)
            return ArrayWriter(key, path, layout, lock, self._wrote)
        except BaseException:
            lock.release()
            raise

    def progress(self, key: str) -> int:
        """Return how many leading stimuli of an array are written and sound."""
        try:
            return _leading_rows(self.path(key))
        except Exception:  # no array, or not one of ours
            return 0

    def open(self, key: str) -> zarr.Array | None:
        """Return a complete array (n_stimuli, n_units), every chunk of which was checked; else None.

        Rows of a chunk that vanishes later are NaN, never zeros. `read` and `blocks` notice it.
        """
        return self._open(key, check=True)

    def _open(self, key: str, *, check: bool) -> zarr.Array | None:
        path = self.path(key)
        try:
            changed = (path / _SEAL).stat().st_mtime_ns
            array = _opened(path, key)
            if check and self._sound.get(key) != changed:
                _check(path, array)
                self._sound[key] = changed
            touched = self._touch(path, changed)
            if self._sound.get(key) == changed:
                self._sound[key] = touched
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever a broken file makes a reader raise, it is a miss
            self._damaged(key, error)
            return None
        return array

    def blocks(self, key: str, rows: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first stimulus, block) in order; each chunk is checked as it is read.

        Parameters
        ----------
        key : str
        rows : int, optional
            Stimuli per block; a chunk when not given.

        Raises
        ------
        KeyError
            When there is no such array, or it is damaged or removed while it is read.
        """
        array = self._open(key, check=False)
        if array is None:
            raise KeyError(key)
        path = self.path(key)
        step = rows or array.chunks[0]
        for start in range(0, array.shape[0], step):
            try:
                block = np.asarray(array[start : start + step])
                whole = (path / _SEAL).exists() and all(
                    _chunk(path, i).exists() for i in _covered(start, start + len(block), array.chunks[0])
                )
            except Exception as error:
                self._damaged(key, error)
                raise KeyError(key) from error
            if not whole:
                self._damaged(key, ValueError("a chunk is missing"))
                raise KeyError(key)
            yield start, block

    def read(self, key: str) -> np.ndarray | None:
        """Return a complete array (n_stimuli, n_units) in memory, or None."""
        array = self._open(key, check=False)
        if array is None:
            return None
        values = np.empty(array.shape, array.dtype)
        try:
            for start, block in self.blocks(key):
                values[start : start + len(block)] = block
        except KeyError:
            return None
        return values

    def has(self, key: str) -> bool:
        """Say whether a complete array lies here, without reading it."""
        return (self.path(key) / _SEAL).exists()

    def remove(self, key: str) -> bool:
        """Remove an array unless somebody writes it; return whether it is gone."""
        path = self.path(key)
        lock = _lock(path)
        try:
            lock.acquire(timeout=0)
        except (TimeoutError, OSError):
            return False
        try:
            self._sound.pop(key, None)
            _discard(path)
        except OSError as error:
            log.info("%s stays: %s", path.name, error.strerror)
            return False
        finally:
            lock.release()
        return True

    def entries(self) -> Iterator[Entry]:
        """Yield what is stored; folders left by killed processes are removed on the way."""
        with contextlib.suppress(OSError):
            for group in sorted(self.root.iterdir()):
                for path in sorted(p for p in group.iterdir() if p.is_dir()):
                    with contextlib.suppress(OSError):
                        if not path.name.startswith("."):
                            yield _entry(path)
                        elif time.time() - path.stat().st_mtime > _LEFTOVER_S:
                            shutil.rmtree(path, ignore_errors=True)

    def _touch(self, path: Path, changed: int) -> int:
        seal = path / _SEAL
        if time.time() - changed / 1e9 < _TOUCH_S:
            return changed
        with contextlib.suppress(OSError):  # a read-only folder
            os.utime(seal)
        return seal.stat().st_mtime_ns

    def _damaged(self, key: str, error: Exception) -> None:
        log.warning("Stored activations %s are not used: %s", key, error or type(error).__name__)
        if not isinstance(error, OSError | MemoryError):  # those say nothing about the array
            self.remove(key)


class ArrayWriter:
    """Writes one array from its first missing stimulus on; a context manager that ends with `close`.

    Attributes
    ----------
    position : int
        Stimuli that were given so far; extraction goes on here.
    complete : bool
        Whether the array is finished and sealed.
    """

    def __init__(
        self, key: str, path: Path, layout: dict[str, Any], lock: FileLock, wrote: Callable[[int], None]
    ) -> None:
        self.key = key
        self._path = path
        self._lock = lock
        self._wrote = wrote
        self._pending: list[np.ndarray] = []
        self._array = _resumed(path, layout) or _created(path, layout)
        self._written = self.position = _leading_rows(path)
        self.complete = self.position == self._array.shape[0] and _is_sealed(path, key)
        if not self.complete:
            (path / _SEAL).unlink(missing_ok=True)
        for leftover in path.glob("c/*/*.partial"):
            leftover.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, start: int, block: np.ndarray) -> None:
        """Add the rows ``block`` (n, n_units) of stimuli ``start`` to ``start + n``.

        Rows that are there already are passed over; whole chunks go to the disk.

        Raises
        ------
        ValueError
            When rows before them are missing, or the shape does not fit.
        OSError
            When the disk is full; what was written before stays.
        """
        n_stimuli, n_units = self._array.shape
        if (
            start > self.position
            or block.ndim != 2
            or block.shape[1] != n_units
            or start + len(block) > n_stimuli
        ):
            message = f"rows {start} to {start + len(block)} do not follow {self.position} of {n_stimuli}"
            raise ValueError(message)
        new = np.asarray(block[self.position - start :], self._array.dtype)
        if len(new):
            # A copy, because the giver may use the memory again for the next batch.
            self._pending.append(new.copy())
            self.position += len(new)
        self._flush()

    def finish(self) -> None:
        """Seal the array: from now on readers see it.

        Raises
        ------
        ValueError
            When stimuli are missing.
        """
        if self.complete:
            return
        if self.position < self._array.shape[0]:
            message = f"only {self.position} of {self._array.shape[0]} stimuli were given"
            raise ValueError(message)
        self._flush()
        _seal(self._path, self.key)
        self.complete = True

    def close(self) -> None:
        """Let others write; rows that fill no chunk yet are dropped unless the array is finished."""
        self._pending.clear()
        self._lock.release()

    def _flush(self) -> None:
        n_stimuli, rows = self._array.shape[0], self._array.chunks[0]
        while self._written < self.position:
            stop = min(self._written + rows, n_stimuli)
            if self.position < stop:
                return
            pending = np.concatenate(self._pending) if len(self._pending) > 1 else self._pending[0]
            self._array[self._written : stop] = pending[: stop - self._written]
            # Not synced: what a power cut takes, the checksums notice, and it is extracted again.
            size = _chunk(self._path, self._written // rows).stat().st_size
            self._pending = [pending[stop - self._written :]]
            self._written = stop
            self._wrote(size)


# --- files --------------------------------------------------------------------------------------------------


def _layout(shape: tuple[int, int], rows: int, dtype: str, kind: str, title: str) -> dict[str, Any]:
    # The whole before its part: a thread that asks for the part first, while another one imports the whole,
    # holds what that one waits for, and Python then lets both fail.
    import zarr  # noqa: F401
    from zarr.codecs import BytesCodec, Crc32cCodec

    return {
        "shape": shape,
        "chunks": (rows, shape[1]),
        "dtype": dtype,
        # A chunk that is not there must not look like silence.
        "fill_value": float("nan"),
        "filters": None,
        "serializer": BytesCodec(endian="little"),
        "compressors": [Crc32cCodec()],
        "attributes": {"kind": kind, "title": title},
        "dimension_names": ("stimulus", "unit"),
        "zarr_format": 3,
        # Else a chunk of NaN would not be written, and would look as if it were missing.
        "config": {"write_empty_chunks": True},
    }


def _created(path: Path, layout: dict[str, Any]) -> zarr.Array:
    """Make an empty array; its folder appears only with its description whole."""
    import zarr

    _discard(path)
    beside = path.parent / f".{path.name}.{uuid.uuid4().hex}"
    zarr.create_array(store=str(beside), **layout)
    beside.replace(path)
    sync_folder(path.parent)
    return zarr.open_array(store=str(path), mode="r+", config=layout["config"])


def _resumed(path: Path, layout: dict[str, Any]) -> zarr.Array | None:
    """Return the array that lies there if it is the one we would make."""
    import zarr
    from zarr.storage import MemoryStore

    try:
        if not (path / "zarr.json").exists():
            return None
        wanted = zarr.create_array(store=MemoryStore(), **layout)
        found = zarr.open_array(store=str(path), mode="r+", config=layout["config"])
        ours = {**wanted.metadata.to_dict(), "attributes": None}
        theirs = {**found.metadata.to_dict(), "attributes": None}
        return found if repr(ours) == repr(theirs) else None  # repr, because NaN is not equal to NaN
    except Exception as error:
        log.warning("Stored activations %s are begun anew: %s", path.name, error or type(error).__name__)
        return None


def _opened(path: Path, key: str) -> zarr.Array:
    import zarr

    if not _is_sealed(path, key):
        message = "its seal is broken"
        raise ValueError(message)
    return zarr.open_array(store=str(path), mode="r")


def _check(path: Path, array: zarr.Array) -> None:
    """Read every chunk once; zarr raises where a CRC-32C does not match."""
    n_stimuli, rows = array.shape[0], array.chunks[0]
    for i in _covered(0, n_stimuli, rows):
        if not _chunk(path, i).exists():
            message = "a chunk is missing"
            raise ValueError(message)
        array[i * rows : min((i + 1) * rows, n_stimuli)]


def _leading_rows(path: Path) -> int:
    """Return the number of leading rows whose chunks are there and sound."""
    import zarr

    array = zarr.open_array(store=str(path), mode="r")
    n_stimuli, rows = array.shape[0], array.chunks[0]
    for i in _covered(0, n_stimuli, rows):
        try:
            sound = _chunk(path, i).exists()
            array[i * rows : min((i + 1) * rows, n_stimuli)]
        except Exception:  # cut or changed
            sound = False
        if not sound:
            return i * rows
    return int(n_stimuli)


def _covered(start: int, stop: int, rows: int) -> range:
    return range(start // rows, -(-stop // rows))


def _chunk(path: Path, index: int) -> Path:
    return path / "c" / str(index) / "0"


def _seal(path: Path, key: str) -> None:
    described = hashlib.sha256((path / "zarr.json").read_bytes()).hexdigest()
    text = json.dumps({"key": key, "version": 1, "zarr": described, "bytes": _size(path)}, sort_keys=True)
    write_whole(path / _SEAL, f"{text}\n{hashlib.sha256(text.encode()).hexdigest()}\n".encode())


def _is_sealed(path: Path, key: str) -> bool:
    """Say whether the array is finished, and its description is the one that was sealed."""
    try:
        text, digest = (path / _SEAL).read_text().splitlines()
        seal = json.loads(text)
        described = hashlib.sha256((path / "zarr.json").read_bytes()).hexdigest()
    except (OSError, ValueError):
        return False
    whole = hashlib.sha256(text.encode()).hexdigest() == digest
    return bool(whole and seal["key"] == key and seal["version"] == 1 and seal["zarr"] == described)


def _entry(path: Path) -> Entry:
    seal = path / _SEAL
    complete = seal.exists()
    used = (seal if complete else path).stat().st_mtime
    if not complete:
        used = max([used, *(p.stat().st_mtime for p in path.glob("c/*"))])
    kind, title = _labels(str(path), (path / "zarr.json").stat().st_mtime_ns)
    return Entry(path.name, kind, title, _size(path), used, "array", complete)


@lru_cache(maxsize=8192)
def _labels(path: str, _changed_ns: int) -> tuple[str, str]:
    try:
        attributes = json.loads(Path(path, "zarr.json").read_text())["attributes"]
        return str(attributes["kind"]), str(attributes["title"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unreadable", ""


def _size(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(folder, name).stat().st_size
    return total


def _discard(path: Path) -> None:
    """Take a folder away in one step, then delete what was in it."""
    if not path.exists():
        return
    aside = path.parent / f".{path.name}.{uuid.uuid4().hex}"
    path.replace(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _lock(path: Path) -> FileLock:
    from filelock import FileLock

    return FileLock(path.parent / f"{path.name}.lock", thread_local=False)


def _wait(lock: FileLock, waiting: Callable[[], None]) -> None:
    from filelock import Timeout

    while True:
        try:
            lock.acquire(timeout=0.2, poll_interval=0.05)
        except Timeout:
            waiting()
        else:
            return
