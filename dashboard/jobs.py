"""Jobs: specs computed on Dask, one job per question whoever asks, with progress and two ways to cancel.

Alone, the engine starts two worker processes on the loopback address, one for each lane, so that a short
question never waits behind a long job. With the address of a scheduler (``HOMOLOG_SCHEDULER``) the same
specs run there, and the lanes are priorities. Jobs live in the server process: they survive page changes,
reloads and closed browsers, and every viewer sees the same ones. What they finish lies in the store and
survives the server.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import logging
import os
import signal
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dashboard import errors, packing, progress, provenance, settings, store, worker
from dashboard.specs import Spec

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client, Future, SpecCluster

log = logging.getLogger(__name__)

Lane = Literal["short", "long"]
State = Literal["queued", "running", "done", "failed", "cancelled"]

LANES: tuple[Lane, ...] = ("short", "long")
_REMEMBERED = 100
_RESUBMISSIONS = 3
_CONNECT_S = 20
_RESTART_S = 30
_FIRST_PAGE_S = 1.0
_POLITE_S = 3.0
_NEVER_S = 10**7  # 115 days
_PRIORITY = {"short": 10, "long": 0}


@dataclass(frozen=True)
class Job:
    """How one question stands, at the moment it was asked.

    Attributes
    ----------
    key : str
        Key of the answer in the store.
    spec : Spec
    title : str
    lane : "short" or "long"
    state : "queued", "running", "done", "failed" or "cancelled"
    fraction : float
        Share that is done, 0 to 1; it never goes back.
    phrase : str
        What is being done.
    error : HomologError or None
        Why it failed or was cancelled.
    submitted, started, finished : float or None
        Seconds since 1970.
    """

    key: str
    spec: Spec
    title: str
    lane: Lane
    state: State = "queued"
    fraction: float = 0.0
    phrase: str = "Waiting"
    error: errors.HomologError | None = None
    submitted: float = 0.0
    started: float | None = None
    finished: float | None = None

    @property
    def over(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(eq=False)
class _Task:
    """One run of a job, and what only the engine needs to know about it."""

    job: Job
    name: str = field(default_factory=lambda: f"homolog-{uuid.uuid4().hex}")
    future: Future | None = None
    worker: str = ""
    cancelling: bool = False
    resubmitted: int = 0
    answer: bytes | None = None

    def change(self, **changes: Any) -> None:
        self.job = dataclasses.replace(self.job, **changes)


class Engine:
    """The queue, the workers and the states of all jobs; every method may be called from any thread.

    Parameters
    ----------
    scheduler : str, optional
        Address of a Dask scheduler; embedded workers when neither this nor ``HOMOLOG_SCHEDULER`` is given.
    runner : str
        ``module:function`` that workers call with a spec.
    key : callable, optional
        Spec -> key of its answer; `compute.key` when not given.
    memory_bytes : int, optional
        Limit of an embedded worker; `settings.worker_memory_bytes` when not given.
    grace_s : float
        Seconds between asking a job to stop and restarting its worker.
    """

    def __init__(
        self,
        scheduler: str | None = None,
        *,
        runner: str = "dashboard.compute:compute",
        key: Callable[[Spec], str] | None = None,
        memory_bytes: int | None = None,
        grace_s: float = 5.0,
    ) -> None:
        self.scheduler = scheduler
        self.runner = runner
        self.grace_s = grace_s
        self._key = key or _answer_key
        self._memory_bytes = memory_bytes
        self._changed = threading.Condition()
        self._starting = threading.Lock()
        self._tasks: dict[str, _Task] = {}
        self._queues: dict[Lane, deque[_Task]] = {lane: deque() for lane in LANES}
        self._busy: dict[Lane, _Task | None] = dict.fromkeys(LANES)
        self._client: Client | None = None
        self._cluster: SpecCluster | None = None
        self._starter: threading.Thread | None = None
        self._closed = False

    # --- life -----------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether workers take jobs."""
        return self._client is not None

    @property
    def embedded(self) -> bool:
        """Whether the workers are our own, on this machine."""
        return self._cluster is not None

    def start(self) -> None:
        """Start the embedded workers, or connect to the scheduler; returns when jobs can run.

        Raises
        ------
        ComputeError
            When the scheduler does not answer or the workers do not start.
        """
        with self._starting:
            if self._client is not None or self._closed:
                return
            address = self.scheduler or settings.scheduler()
            try:
                self._cluster = None if address else _embedded_cluster(self._memory_bytes)
                self._client = _connected(address or self._cluster)
            except Exception as error:
                cluster, self._cluster = self._cluster, None
                _shut(cluster)
                raise _not_started(address, error) from error
            self._client.subscribe_topic(worker.TOPIC, self._hear)
            # After distributed's own hooks are registered, so that ours runs first and its are left nothing.
            atexit.register(self.close)
        self._pump()

    def start_in_background(self, delay_s: float = 0.0) -> None:
        """Start without waiting; a failure is told by the jobs that are queued then."""
        with self._changed:
            if self._closed or self._client is not None or (self._starter and self._starter.is_alive()):
                return
            self._starter = threading.Thread(
                target=self._start_or_fail, args=(delay_s,), name="homolog-engine", daemon=True
            )
        self._starter.start()

    def close(self) -> None:
        """End all jobs and workers; nothing of ours runs afterwards."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            for task in [t for t in self._tasks.values() if not t.job.over]:
                self._end(task, "cancelled", error=errors.Cancelled("The app was closed."))
        with self._starting:  # a start that is going on ends first
            client, self._client = self._client, None
            cluster, self._cluster = self._cluster, None
        _close_quietly(client)
        _shut(cluster)
        atexit.unregister(self.close)

    # --- asking ---------------------------------------------------------------------------------------------

    def submit(self, spec: Spec, lane: Lane | None = None, *, again: bool = False) -> Job:
        """Ask for an answer; the same question is the same job, whoever asks.

        Parameters
        ----------
        spec : Spec
        lane : "short" or "long", optional
            The lane of its kind when not given.
        again : bool
            Run a job anew that failed or was cancelled. Without it such a job is returned as it is, so that
            a page that asks at every rerun does not repeat a failure for ever.

        Raises
        ------
        InputError
            When the spec names something that is not there.
        ComputeError
            When the engine is closed.
        """
        key = self._key(spec)
        with self._changed:
            if self._closed:
                raise errors.ComputeError("The app is closing.", "Start it again.")
            known = self._tasks.get(key)
            if known is not None and _stands(known, again):
                return known.job
            lane = lane or _lane(spec)
            job = Job(key, spec, provenance.title(spec), lane, submitted=time.time())
            task = _Task(dataclasses.replace(job, phrase="Waiting" if self.ready else "Starting the workers"))
            self._tasks.pop(key, None)
            self._tasks[key] = task
            self._queues[lane].append(task)
            self._forget_oldest()
            self._changed.notify_all()
        self.start_in_background()
        self._pump()
        return self.job(key) or task.job

    def answer(self, spec: Spec) -> xr.Dataset:
        """Ask and wait, telling progress to whoever listens in this thread (see `progress`).

        Raises
        ------
        HomologError
            Why there is no answer. An interruption (Control-C, a cancelled listener) cancels the job.
        """
        key = self._key(spec)
        found = store.default().open(key)
        if found is not None:
            return found
        job = self.submit(spec, again=True)
        try:
            while not job.over:
                progress.report(job.fraction, job.phrase)
                job = self.wait(key, 0.2)
        except BaseException:
            self.cancel(key)
            raise
        if job.error is not None:
            raise job.error
        found = self.dataset(key)
        if found is None:
            raise errors.ComputeError("The answer was computed but is gone.", "Ask for it again.")
        return found

    def dataset(self, key: str) -> xr.Dataset | None:
        """Return the answer of a finished job, from the store or, when that is full, from memory."""
        found = store.default().open(key)
        task = self._tasks.get(key)
        if found is None and task is not None and task.answer is not None:
            found = packing.unpack(task.answer)
        return found

    def jobs(self) -> list[Job]:
        """Return all jobs since the server started (the last hundred or so), newest first."""
        with self._changed:
            return [task.job for task in reversed(self._tasks.values())]

    def job(self, key: str) -> Job | None:
        """Return how the job for an answer stands, or None when nobody asked."""
        with self._changed:
            task = self._tasks.get(key)
            return task.job if task else None

    def wait(self, key: str, timeout_s: float | None = None) -> Job:
        """Wait until a job is over or the time is up, and return how it stands then.

        Raises
        ------
        KeyError
            When nobody asked for it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._tasks[key].job.over, timeout_s)
            return self._tasks[key].job

    def cancel(self, key: str) -> None:
        """Stop a job: at its next report, and by restarting its worker when it does not stop in time."""
        with self._changed:
            task = self._tasks.get(key)
            if task is None or task.job.over or task.cancelling:
                return
            if task in self._queues[task.job.lane]:
                self._queues[task.job.lane].remove(task)
                self._end(task, "cancelled", error=errors.Cancelled())
                return
            task.cancelling = True
            task.change(phrase="Cancelling")
            self._changed.notify_all()
        _in_thread(self._ask_to_stop, task)
        timer = threading.Timer(self.grace_s, self._stop_hard, (task,))
        timer.daemon = True
        timer.start()

    # --- inside ---------------------------------------------------------------------------------------------

    def _start_or_fail(self, delay_s: float) -> None:
        with self._changed:
            # Whoever asks for something ends the delay, but for the moment in which the page that asks shows.
            self._changed.wait_for(lambda: self._closed or any(self._queues.values()), delay_s)
            self._changed.wait_for(lambda: self._closed, min(delay_s, _FIRST_PAGE_S))
        try:
            self.start()
        except errors.HomologError as error:
            log.warning("%s", error)
            with self._changed:
                for queue in self._queues.values():
                    while queue:
                        self._end(queue.popleft(), "failed", error=error)

    def _pump(self) -> None:
        """Send what may run now: to our own workers one job per lane, so that a dead worker harms one job."""
        ready: list[_Task] = []
        with self._changed:
            if self._client is None:
                return
            for lane in LANES:
                while self._queues[lane] and (not self.embedded or self._busy[lane] is None):
                    task = self._queues[lane].popleft()
                    self._busy[lane] = task
                    ready.append(task)
                    if self.embedded:
                        # The lane is its own from here; the worker may never come to say so.
                        task.change(state="running", started=time.time(), phrase="Starting")
            self._changed.notify_all()
        for task in ready:
            self._send(task)

    def _send(self, task: _Task) -> None:
        client, job = self._client, task.job
        try:
            if client is None:
                raise errors.Cancelled("The app was closed.")
            task.future = client.submit(
                worker.run_spec,
                job.spec.to_json(),
                job.key,
                task.name,
                self.runner,
                _environment() if self.embedded else None,
                send=not self.embedded,
                key=task.name,
                pure=False,
                retries=0,
                priority=_PRIORITY[job.lane],
                resources={job.lane: 1} if self.embedded else None,
            )
            task.future.add_done_callback(lambda future: self._finished(task, future))
        except Exception as error:
            self._conclude(task, worker.outcome_of(error))

    def _hear(self, event: tuple[float, Any]) -> None:
        """Note the start or progress of a task; Dask calls this in its own thread."""
        message = event[1]
        with self._changed:
            task = next((t for t in self._tasks.values() if t.name == message["task"]), None)
            if task is None or task.job.over:
                return
            task.worker = message["worker"]
            task.change(
                state="running",
                started=task.job.started or time.time(),
                fraction=max(task.job.fraction, min(float(message["fraction"]), 1.0)),
                phrase="Cancelling" if task.cancelling else message["phrase"],
            )
            self._changed.notify_all()

    def _finished(self, task: _Task, future: Future) -> None:
        """Take the outcome of a task; Dask calls this in a thread of its own."""
        if task.job.over or future is not task.future:
            return  # stopped hard; who did it frees the lane
        if future.status == "error" and self._send_again(task, future.exception()):
            return
        self._conclude(task, _outcome(future))

    def _send_again(self, task: _Task, error: BaseException) -> bool:
        """Repeat a task that never began: its worker ended because of something else."""
        if type(error).__name__ != "KilledWorker" or task.worker or task.cancelling:
            return False
        task.resubmitted += 1
        if task.resubmitted > _RESUBMISSIONS:
            return False
        with self._changed:
            task.name = f"homolog-{uuid.uuid4().hex}"
        self._send(task)
        return True

    def _conclude(self, task: _Task, outcome: worker.Outcome) -> None:
        answer = outcome["answer"]
        if answer is not None and self._keep(task.job.key, answer):
            answer = None
        error = worker.revive(outcome["error"]) if outcome["error"] else None
        state: State = "done" if error is None else "failed"
        if isinstance(error, errors.Cancelled) or (error is not None and task.cancelling):
            state, error = "cancelled", errors.Cancelled()
        with self._changed:
            task.answer = answer
            task.future = None
            self._end(task, state, error=error)
            self._free(task)
        self._pump()

    def _keep(self, key: str, answer: bytes) -> bool:
        try:
            kept = store.default()
            return kept.has(key) or kept.put(key, packing.unpack(answer, key))
        except Exception as error:
            log.warning("An answer from another machine is kept in memory only: %s", type(error).__name__)
            return False

    def _ask_to_stop(self, task: _Task) -> None:
        client = self._client
        with contextlib.suppress(Exception):  # a worker that cannot hear is stopped hard
            if client is not None:
                only = [task.worker] if task.worker else None
                client.run(worker.cancel, task.name, workers=only, on_error="ignore")

    def _stop_hard(self, task: _Task) -> None:
        """Restart the worker of a task that did not stop by itself."""
        client = self._client
        with self._changed:
            if task.job.over or client is None:
                return
            self._end(task, "cancelled", error=errors.Cancelled())
            future, task.future = task.future, None
        try:
            if future is not None:
                future.cancel(force=True)
            if self._cluster is not None:
                # Dask's restart asks first, and waits long for a library that holds the interpreter.
                _kill(self._cluster, task.job.lane)
            elif task.worker:
                client.restart_workers([task.worker], timeout=_RESTART_S, raise_for_error=False)
        except Exception as error:  # a cluster without nannies cannot restart its workers
            log.warning("The worker of a cancelled job goes on: %s", error or type(error).__name__)
        with self._changed:
            self._free(task)
        self._pump()

    def _end(self, task: _Task, state: State, *, error: errors.HomologError | None) -> None:
        if task.job.over:
            return
        task.change(
            state=state,
            error=error,
            finished=time.time(),
            fraction=1.0 if state == "done" else task.job.fraction,
            phrase={"done": "Done", "failed": "Failed", "cancelled": "Cancelled"}[state],
        )
        self._changed.notify_all()

    def _free(self, task: _Task) -> None:
        if self._busy[task.job.lane] is task:
            self._busy[task.job.lane] = None

    def _forget_oldest(self) -> None:
        over = [key for key, task in self._tasks.items() if task.job.over]
        for key in over[: max(0, len(over) - _REMEMBERED)]:
            del self._tasks[key]


_engine: Engine | None = None
_engine_lock = threading.Lock()


def engine() -> Engine:
    """Return the one engine of this process; it starts at the first job, or by `start_in_background`."""
    global _engine
    with _engine_lock:
        if _engine is None or _engine._closed:
            _engine = Engine()
        return _engine


@contextlib.contextmanager
def connect(address: str) -> Iterator[Engine]:
    """Use a Dask scheduler inside the block.

    Raises
    ------
    InputError, ComputeError
        When it is not an address; when nothing answers there.
    """
    connected = Engine(settings.scheduler_address(address))
    try:
        connected.start()
        yield connected
    finally:
        connected.close()


# --- Dask ---------------------------------------------------------------------------------------------------


def _embedded_cluster(memory_bytes: int | None) -> SpecCluster:
    """Start a scheduler and a worker process per lane, on the loopback address, with temporary TLS keys."""
    import dask
    from distributed import Nanny, Scheduler, SpecCluster
    from distributed.security import Security

    _leave_main_out()
    # Read whenever a worker is lost, so it must outlast the block below. After its 15 s the cluster would end
    # the nanny that is starting the next worker: on a busy machine the lane would be gone for good.
    dask.config.set({"distributed.deploy.lost-worker-timeout": _NEVER_S})
    security = Security.temporary()
    place: dict[str, Any] = {"host": "127.0.0.1", "protocol": "tls", "security": security}
    options = {
        **place,
        "nthreads": 1,
        "memory_limit": memory_bytes or settings.worker_memory_bytes(),
        "preload": ["dashboard.worker"],
        "silence_logs": logging.CRITICAL,
        "dashboard": False,
    }
    workers = {
        lane: {"cls": Nanny, "options": {**options, "name": lane, "resources": {lane: 1}}} for lane in LANES
    }
    scheduler = {
        "cls": Scheduler,
        "options": {
            **place,
            "dashboard": False,
            "dashboard_address": "127.0.0.1:0",
            "allowed_failures": 0,
            "worker_ttl": None,
        },
    }
    with dask.config.set(_configuration()):
        return SpecCluster(
            workers=workers, scheduler=scheduler, security=security, silence_logs=logging.CRITICAL
        )


def _leave_main_out() -> None:
    """Keep new worker processes from running our main script again.

    A spawned process imports its parent's ``__main__``, and while a page runs Streamlit puts the app's script
    there: a worker that starts (or restarts) in that moment would run the whole app. Workers need none of it.
    """
    from multiprocessing import spawn

    original = spawn.get_preparation_data
    if getattr(original, "without_main", False):
        return

    def prepared(name: str) -> dict[str, Any]:
        data = original(name)
        return {key: value for key, value in data.items() if not key.startswith("init_main_from")}

    prepared.without_main = True  # type: ignore[attr-defined]
    spawn.get_preparation_data = prepared


def _configuration() -> dict[str, Any]:
    threads = settings.worker_threads()
    return {
        # One task at a time, whose data no one else asks for: nothing to spill, and a pause would never end.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": 0.95,
        "distributed.worker.profile.enabled": False,
        # Dask serves pages about tasks over plain HTTP, also without its dashboard; other users of this
        # machine must not read them.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.worker.multiprocessing-method": "spawn",
        # A library that holds the interpreter for minutes must not look like a dead worker.
        "distributed.scheduler.worker-ttl": None,
        "distributed.nanny.pre-spawn-environ": {
            name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        },
    }


def _connected(where: Any) -> Client:
    from distributed import Client

    if isinstance(where, str) and where.endswith(".json"):
        return Client(scheduler_file=where, set_as_default=False, timeout=_CONNECT_S)
    return Client(where, set_as_default=False, timeout=_CONNECT_S)


def _not_started(address: str | None, error: Exception) -> errors.HomologError:
    if isinstance(error, errors.HomologError):
        return error
    log.warning("The engine did not start", exc_info=error)
    if address:
        return errors.ComputeError(
            f"No Dask scheduler answers at {address}.",
            "Check its address, its TLS settings and that it runs, or leave it out to compute here.",
        )
    return errors.ComputeError(
        "The worker processes could not be started.",
        "Check that this machine has free memory and disk space, and start the app again.",
    )


def _outcome(future: Future) -> worker.Outcome:
    if future.status == "finished":
        try:
            return future.result()
        except Exception as error:  # the connection broke while the outcome was fetched
            return worker.outcome_of(error)
    if future.status == "error":
        raised = future.exception()
        killed = type(raised).__name__ == "KilledWorker"
        return worker.outcome_of(worker.out_of_memory() if killed else raised)
    return worker.outcome_of(
        errors.ComputeError(
            "The connection to the workers was lost.", "Try again; nothing that was already computed is lost."
        )
    )


def _kill(cluster: SpecCluster, lane: Any) -> None:
    """End a worker process at once; its nanny starts another, unless the cluster is closing."""
    number = cluster.workers[lane].pid if lane in cluster.workers else None
    if number:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, getattr(signal, "SIGKILL", signal.SIGTERM))


def _shut(cluster: SpecCluster | None) -> None:
    """Close the embedded cluster, ending workers that do not end by themselves."""
    if cluster is None:
        return
    closing = _in_thread(_close_quietly, cluster)
    closing.join(_POLITE_S)
    for _ in range(3):
        if not closing.is_alive():
            return
        for lane in tuple(cluster.workers):
            _kill(cluster, lane)
        closing.join(_POLITE_S)


def _close_quietly(thing: Any) -> None:
    if thing is None:
        return
    with contextlib.suppress(Exception):
        thing.close(timeout=10)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("HOMOLOG_")}


def _in_thread(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def _stands(task: _Task, again: bool) -> bool:
    """Say whether a job answers the question when it is asked again."""
    job = task.job
    if job.state == "done":
        return task.answer is not None or store.default().has(job.key)
    return not job.over or not again


def _answer_key(spec: Spec) -> str:
    from dashboard import compute

    return compute.key(spec)


def _lane(spec: Spec) -> Lane:
    from dashboard import analyses

    return analyses.ANALYSES[spec.kind].lane_of(spec)
