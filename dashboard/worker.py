"""What runs inside a Dask worker: one spec at a time, told, stoppable, and answered in plain Python only.

The server process unpickles what leaves a worker. A single torch type in it (even ``torch.__version__``,
which is a text class of torch) would import torch there, so results are text, numbers and bytes, and errors
are our own.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from dashboard import errors, packing, progress, specs, store

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)

TOPIC = "homolog-jobs"
"""Topic of the events that tell the start and the progress of a task."""

WARM = ("numpy", "xarray", "h5py", "torch", "torchvision", "dask.array", "zarr", "dashboard.analyses.network")
"""Imported in the background when a worker starts, so that the first question does not wait for it."""

_LATER_S = {"long": 3.0}
"""How long a lane's worker waits before it imports unasked: whoever opens a page waits for the short lane."""

_TELL_S = 0.1
_SEND_S = 0.02

_cancelled: set[str] = set()


class Outcome(TypedDict):
    """What a task returns: ``state`` is "done", "failed" or "cancelled".

    ``error`` is (class, problem, remedy); ``answer`` a packed answer, only when the store does not have it.
    """

    state: str
    error: tuple[str, str, str] | None
    answer: bytes | None


def run_spec(
    spec_json: str,
    key: str,
    task: str,
    runner: str = "dashboard.compute:compute",
    environment: Mapping[str, str] | None = None,
    send: bool = False,
) -> Outcome:
    """Answer a spec in this process and keep the answer in the store.

    Parameters
    ----------
    spec_json : str
    key : str
        Key of the answer.
    task : str
        Name of this run in events and cancellations.
    runner : str
        ``module:function`` that takes a spec and returns a Dataset.
    environment : mapping, optional
        Every ``HOMOLOG_`` variable of the server, when it is on this machine.
    send : bool
        Send the answer back too, because the server may not share the store.
    """
    try:
        _adopt(environment)
        tell = _Reporter(task, _event_logger(task))
        with progress.listening(tell), errors.collect_cautions():
            # The answer carries its cautions; collecting them here keeps them out of the log.
            tell(0.0, "Starting")
            # Lets the worker's own thread send it: the analysis may keep the interpreter from now on.
            time.sleep(_SEND_S)
            answer = _function(runner)(specs.from_json(spec_json))
        kept = store.default().has(key) or store.default().put(key, answer)
        packed = packing.pack(answer, key) if send or not kept else None
        return Outcome(state="done", error=None, answer=packed)
    except BaseException as error:  # nothing but plain Python may leave, whatever a library raises
        return outcome_of(error)
    finally:
        _cancelled.discard(task)
        gc.collect()


def cancel(task: str) -> None:
    """Ask a running task to stop at its next report; the engine calls this in the worker."""
    _cancelled.add(task)


def outcome_of(error: BaseException) -> Outcome:
    """Return the outcome for an exception: our own error with one sentence, the details in the log only."""
    known = as_homolog_error(error)
    state = "cancelled" if isinstance(known, errors.Cancelled) else "failed"
    return Outcome(
        state=state, error=(type(known).__name__, str(known.problem), str(known.remedy)), answer=None
    )


def as_homolog_error(error: BaseException) -> errors.HomologError:
    """Turn any exception into one that a reader understands."""
    if isinstance(error, errors.HomologError):
        return error
    if isinstance(error, MemoryError) or _is_device_memory(error):
        return out_of_memory()
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.ComputeError(
            "The disk is full.", "Free some space, on the jobs page for instance, and try again."
        )
    number = uuid.uuid4().hex[:8]
    log.error("Unforeseen error %s", number, exc_info=error)
    return errors.ComputeError(
        f"The calculation stopped for a reason we did not foresee (error id {number}).",
        "The log of the server tells more under this id; nothing that was already computed is lost.",
    )


def out_of_memory() -> errors.ComputeError:
    """Return the error of a worker that was ended, or would have been."""
    return errors.ComputeError(
        "The worker ran out of memory or was ended from outside.",
        "Choose fewer layers or stimuli, or a reducer such as spatial-mean, and try again; "
        "nothing that was already computed is lost.",
    )


def revive(error: tuple[str, str, str]) -> errors.HomologError:
    """Build the error that `outcome_of` took apart."""
    family = {c.__name__: c for c in (errors.InputError, errors.ComputeError, errors.Cancelled)}
    name, problem, remedy = error
    return family.get(name, errors.HomologError)(problem, remedy)


def dask_setup(worker: Any) -> None:
    """Import what questions need, in the background; Dask calls this when an embedded worker starts.

    Where Dask's setting ``homolog.warm-up`` is false nothing is imported before a question needs it.
    """
    import dask

    _end_with_the_server()
    if dask.config.get("homolog.warm-up", True):
        delay_s = _LATER_S.get(str(worker.name), 0.0)
        threading.Thread(target=_warm_up, args=(delay_s,), name="warm-up", daemon=True).start()


class _Reporter:
    """Listener that tells the engine at most ten times a second, and stops a cancelled task.

    What is reported too soon is told a moment later, so that the last word before a long silence is not lost.
    """

    def __init__(self, task: str, log_event: Callable[[dict[str, Any]], None]) -> None:
        self.task = task
        self.log_event = log_event
        self.told = float("-inf")
        self.latest: dict[str, Any] | None = None
        self.lock = threading.Lock()

    def __call__(self, fraction: float, phrase: str) -> None:
        if self.task in _cancelled:
            raise errors.Cancelled
        with self.lock:
            waiting = self.latest is not None
            self.latest = {"fraction": float(fraction), "phrase": "".join(phrase)}
            if waiting:
                return
            wait_s = self.told + _TELL_S - time.monotonic()
        if wait_s <= 0:
            self._tell()
        else:
            timer = threading.Timer(wait_s, self._tell)
            timer.daemon = True
            timer.start()

    def _tell(self) -> None:
        with self.lock:
            event, self.latest = self.latest, None
            self.told = time.monotonic()
        if event is not None:
            self.log_event(event)


def _event_logger(task: str) -> Callable[[dict[str, Any]], None]:
    from distributed import get_worker

    worker = get_worker()
    return lambda event: worker.log_event(TOPIC, {"task": task, "worker": worker.address, **event})


def _function(path: str) -> Callable[[specs.Spec], xr.Dataset]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _adopt(environment: Mapping[str, str] | None) -> None:
    if environment is None:
        return
    for name in [n for n in os.environ if n.startswith("HOMOLOG_") and n not in environment]:
        del os.environ[name]
    os.environ.update(environment)


def _is_device_memory(error: BaseException) -> bool:
    # torch has a class for GPUs only; for the processor's memory it raises a plain RuntimeError.
    return type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _end_with_the_server() -> None:
    """Let the system end this process with the server, however that ends (Linux only).

    Dask's own watch is a thread, which waits as long as a library keeps the interpreter to itself.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def _warm_up(delay_s: float = 0.0) -> None:
    time.sleep(delay_s)
    for name in WARM:
        try:
            importlib.import_module(name)
        except Exception as error:  # the question that needs it will say so in words
            log.warning("%s could not be imported: %s", name, type(error).__name__)
    torch = sys.modules.get("torch")
    if torch is not None:
        from dashboard import settings

        torch.set_num_threads(settings.worker_threads())
        _prepare()


def _prepare() -> None:
    """Compile the loops of rank measures, or load them."""
    try:
        from dashboard.methods import resampling

        resampling.prepare()
    except Exception as error:  # the question that needs them will say so in words
        log.warning("Loops of rank measures could not be prepared: %s", type(error).__name__)
