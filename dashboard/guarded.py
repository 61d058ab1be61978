"""Functions that look at files of strangers run in a process of their own, with limits of memory and time.

What goes in and comes out is a line of JSON. A file that crashes a library, asks for all memory or never ends
costs that process and gives one sentence.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from dashboard import __version__, errors, progress, settings

_POLL_S = 0.1

_READERS = ("pillow", "tokenizers")
"""Libraries that read what is only tried here and read again elsewhere."""

_OTHERS = -1
"""Answer of `attempt` when a file has other bytes than it should: then nothing was tried."""

_ended: set[str] = set()


class OverLimit(errors.InputError):
    """What took more time or memory than it may, or ended the process that it ran in."""


def call(function: str, *arguments: Any, name: str) -> Any:
    """Call ``module:function`` with JSON-ready arguments in a process of its own and return its result.

    Parameters
    ----------
    function : str
        Such as ``"dashboard.recordings.readers:look"``.
    *arguments
        Plain text, numbers, lists and dicts.
    name : str
        The file, for the sentence when the limits are passed.

    Raises
    ------
    HomologError
        As the function raised it; its cautions are told here, too.
    """
    with Child() as child:
        return child.ask(function, *arguments, name=name)


def tried(function: str, files: Sequence[tuple[Path, str, str]], *, name: str) -> None:
    """Let a process of its own do once what this one is about to do with the same bytes.

    Readers are deterministic: what they come to an end with there, within the limits, they come to an end
    with here. What the files are refused for is not told by this function but by who reads them next; only
    what passes the limits is. It is done once for the same bytes, function and versions.

    Parameters
    ----------
    function : str
        As for `call`; given the files as (path, name) and a place to start from. It returns the place from
        which it wants to be called again, with the limits set anew, or None at its end.
    files : sequence of (path, name, SHA-256)
    name : str

    Raises
    ------
    InputError
        When the limits are passed.
    """
    seal = _seal_of(function, [sha256 for _, _, sha256 in files])
    if seal in _ended:
        return
    note = settings.home() / "tried" / seal
    if not note.is_file():
        given = [[str(path), shown, sha256] for path, shown, sha256 in files]
        start: int | None = 0
        with Child() as child, errors.collect_cautions():
            while start is not None:
                start = child.ask("dashboard.guarded:attempt", function, given, start, name=name)
                if start == _OTHERS:
                    return  # who reads the files says so
        with contextlib.suppress(OSError):  # on a full disk it is tried again next time
            note.parent.mkdir(exist_ok=True)
            note.touch()
    _ended.add(seal)


def attempt(function: str, files: list[list[str]], start: int) -> int | None:
    """Call a function of `tried`; whatever it refuses is its end, too."""
    module, _, named = function.partition(":")
    for path, _, sha256 in files if start == 0 else ():
        with Path(path).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return _OTHERS
    try:
        given = [[path, name] for path, name, _ in files]
        found: int | None = getattr(importlib.import_module(module), named)(given, start)
    except errors.HomologError:
        return None
    return found


def _seal_of(function: str, digests: Sequence[str]) -> str:
    """Return what stands for a trial: the bytes, and versions whose change could make it end otherwise."""
    versions = [__version__, sys.version, *(metadata.version(name) for name in _READERS)]
    return hashlib.sha256(json.dumps([function, list(digests), versions]).encode()).hexdigest()


class Child:
    """A process that answers requests one after the other, and is started anew after it was lost.

    One file each is what uploads get, so that no file can leave anything behind for the next one; a child
    that lives longer is for many files of one owner.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.started = 0

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, function: str, *arguments: Any, name: str) -> Any:
        """Call a function in the process; see `call`."""
        request = json.dumps(
            {"function": function, "arguments": arguments, "memory": settings.read_memory_bytes()}
        )
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = _start()
            self.started += 1
        answered = False
        try:
            answer = _wait(self._process, request.encode() + b"\n", name)
            answered = answer.endswith(b"\n")
        finally:
            if not answered:  # it died, is stuck, or nobody waits for it any more
                self.close()
        return _understood(answer, name)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                _open(pipe).close()
        process.wait()


def _start() -> subprocess.Popen[bytes]:
    here = str(Path(__file__).resolve().parents[1])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")])),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", "from dashboard.guarded import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - `_start` asks for both
    return pipe


def _wait(process: subprocess.Popen[bytes], request: bytes, name: str) -> bytes:
    """Return the line that the process says, cut off where it died; Cancelled passes through."""
    seconds = settings.read_seconds()
    end = time.monotonic() + seconds
    with contextlib.suppress(BrokenPipeError):
        _open(process.stdin).write(request)
        _open(process.stdin).flush()
    box: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=lambda: box.put(_open(process.stdout).readline()), daemon=True).start()
    while True:
        try:
            return box.get(timeout=_POLL_S)
        except queue.Empty:
            progress.report(0.5, f"Looking at {name}")
        if time.monotonic() > end:
            message = f'"{name}" took more than {seconds:.0f} seconds to read.'
            raise OverLimit(message, "Save only the arrays that are needed, uncompressed.")


def _understood(answer: bytes, name: str) -> Any:
    try:
        found = json.loads(answer)
    except ValueError:
        message = f'"{name}" could not be read within the limits of memory, or is damaged.'
        raise OverLimit(message, "Save only the arrays that are needed, in a new file.") from None
    for code, message in found["cautions"]:
        errors.caution(code, message)
    if "error" in found:
        kind, problem, remedy = found["error"]
        raise {"ComputeError": errors.ComputeError}.get(kind, errors.InputError)(problem, remedy)
    return found["result"]


def serve() -> None:
    """Answer the requests on standard input, a line each; the only thing that the process does."""
    # What libraries print must not mix with the answers, and C libraries know only the number.
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        answer = _answered(json.loads(line))
        if answer is None:
            return
        stream.write(json.dumps(answer).encode() + b"\n")
        stream.flush()


def _answered(request: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a function gave or raised; None when memory ran out, after which nothing is certain."""
    _limit(int(request["memory"]))
    module, _, function = request["function"].partition(":")
    answer: dict[str, Any] = {}
    with errors.collect_cautions() as told:
        try:
            answer["result"] = getattr(importlib.import_module(module), function)(*request["arguments"])
        except errors.HomologError as error:
            answer["error"] = [type(error).__name__, error.problem, error.remedy]
        except (MemoryError, RecursionError):
            return None
    answer["cautions"] = [dataclasses.astuple(caution) for caution in told]
    return answer


def _limit(memory: int) -> None:
    """Let the system refuse more memory than allowed (not on Windows)."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
