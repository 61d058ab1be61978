"""Functions that look at files of strangers run in a process of their own, with limits of memory and time.

What goes in and comes out is JSON. A file that crashes a library, asks for all memory or never ends costs
that process and gives one sentence.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dashboard import errors, progress, settings

_POLL_S = 0.1


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
    request = json.dumps(
        {"function": function, "arguments": arguments, "memory": settings.read_memory_bytes()}
    )
    here = str(Path(__file__).resolve().parents[1])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")])),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", "from dashboard.guarded import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        answer = _wait(process, request.encode(), name)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return _understood(answer, name)


def _wait(process: subprocess.Popen[bytes], request: bytes, name: str) -> bytes:
    """Return what the process says; Cancelled passes through from the reports."""
    seconds = settings.read_seconds()
    end = time.monotonic() + seconds
    given: bytes | None = request
    while True:
        try:
            return process.communicate(given, timeout=_POLL_S)[0]
        except subprocess.TimeoutExpired:
            given = None
        progress.report(0.5, f"Looking at {name}")
        if time.monotonic() > end:
            message = f'"{name}" took more than {seconds:.0f} seconds to read.'
            raise errors.InputError(message, "Save only the arrays that are needed, uncompressed.")


def _understood(answer: bytes, name: str) -> Any:
    try:
        found = json.loads(answer)
    except ValueError:
        message = f'"{name}" could not be read within the limits of memory, or is damaged.'
        raise errors.InputError(message, "Save only the arrays that are needed, in a new file.") from None
    for code, message in found["cautions"]:
        errors.caution(code, message)
    if "error" in found:
        kind, problem, remedy = found["error"]
        raise {"ComputeError": errors.ComputeError}.get(kind, errors.InputError)(problem, remedy)
    return found["result"]


def serve() -> None:
    """Answer one request of `call` on standard input; the only thing that the process does."""
    stream = sys.stdout.buffer
    sys.stdout = sys.stderr  # what libraries print must not mix with the answer
    request = json.loads(sys.stdin.buffer.read())
    _limit(int(request["memory"]))
    module, _, function = request["function"].partition(":")
    answer: dict[str, Any] = {}
    with errors.collect_cautions() as told:
        try:
            answer["result"] = getattr(importlib.import_module(module), function)(*request["arguments"])
        except errors.HomologError as error:
            answer["error"] = [type(error).__name__, error.problem, error.remedy]
        except (MemoryError, RecursionError):
            return
    answer["cautions"] = [dataclasses.astuple(caution) for caution in told]
    stream.write(json.dumps(answer).encode())
    stream.flush()


def _limit(memory: int) -> None:
    """Let the system refuse more memory than allowed (not on Windows)."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
