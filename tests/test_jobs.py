"""Jobs on embedded workers: one job per question, progress, two ways to cancel, failures in a sentence."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import numpy as np
import psutil
import pytest
import xarray as xr

from dashboard import errors, jobs, packing, progress, reference, store, worker
from dashboard.specs import RdmSpec, Spec, StimuliSpec

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 90.0  # the machine may be busy; what is asserted about time is asserted by itself
WAITING = ("Waiting", "Starting the workers", "Starting")
MEMORY = 800 * 2**20
NO_WARM_UP = {"homolog.warm-up": False}  # what these workers run needs no torch, and several are restarted


# --- what the workers run in these tests --------------------------------------------------------------------


def spec(text: str) -> StimuliSpec:
    return StimuliSpec(stimuli=text)


def key(asked: Spec) -> str:
    return hashlib.sha256(asked.to_json().encode()).hexdigest()


def expected(text: str) -> xr.Dataset:
    return xr.Dataset({"v": ("x", np.arange(4.0))}, attrs={"title": text})


def fake(asked: StimuliSpec) -> xr.Dataset:
    """Do what the reference says; the signature of `compute.compute`."""
    parsed = reference.parse(asked.stimuli)
    DEEDS[parsed.name](parsed)
    return expected(asked.stimuli)


def _steps(parsed: reference.Reference) -> None:
    n, pause = parsed.integer("n", 10), parsed.number("pause", 0.02)
    for i in range(n):
        progress.report(i / n, f"Step {i} of {n}")
        time.sleep(pause)


def _busy(_parsed: reference.Reference) -> None:
    progress.report(0.1, "Busy")
    time.sleep(0.5)
    sum(range(10**13))  # in C, without ever letting another thread of the worker run


def _memory(_parsed: reference.Reference) -> None:
    kept = []
    while len(kept) < 200:
        progress.report(0.5, "Eating")
        kept.append(np.ones(4 * 2**20))


def _die(_parsed: reference.Reference) -> None:
    progress.report(0.5, "Dying")
    time.sleep(0.3)
    os._exit(1)


def _unforeseen(_parsed: reference.Reference) -> None:
    message = "a secret in /root/secret.txt"
    raise ValueError(message)


def _input_error(_parsed: reference.Reference) -> None:
    raise errors.InputError("The file a.png is not a picture.", "Give a PNG or JPEG file.")


def _exit(_parsed: reference.Reference) -> None:
    raise SystemExit(3)


def _torch(parsed: reference.Reference) -> None:
    import torch

    progress.report(0.5, torch.__version__)
    time.sleep(0.2)
    if "fail" in parsed.options:
        raise errors.InputError(torch.__version__, torch.__version__)
    if "raise" in parsed.options:
        raise RuntimeError(torch.ones(3))


DEEDS = {
    "steps": _steps,
    "busy": _busy,
    "memory": _memory,
    "die": _die,
    "unforeseen": _unforeseen,
    "input-error": _input_error,
    "exit": _exit,
    "torch": _torch,
}


# --- helpers ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[jobs.Engine]:
    # Dask's cluster would give a lost worker up after this time, and its nanny with it.
    dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"})
    engine = jobs.Engine(runner=f"{__name__}:fake", key=key, memory_bytes=MEMORY, grace_s=2.0)
    with dask.config.set(NO_WARM_UP):
        engine.start()
    for lane in jobs.LANES:
        # The imports that the first task needs are over when these are.
        assert engine.wait(engine.submit(spec(f"steps?{lane}&n=1"), lane).key, PATIENCE_S).state == "done"
    yield engine
    engine.close()


@pytest.fixture
def engine(shared_engine) -> Iterator[jobs.Engine]:
    yield shared_engine
    for job in shared_engine.jobs():
        shared_engine.cancel(job.key)
        assert shared_engine.wait(job.key, PATIENCE_S).over


def running(engine: jobs.Engine, job: jobs.Job) -> jobs.Job:
    """Wait until a job runs."""
    deadline = time.monotonic() + PATIENCE_S
    while (now := engine.job(job.key)).phrase in WAITING and not now.over and time.monotonic() < deadline:
        time.sleep(0.01)
    assert now.state == "running", now
    assert now.phrase not in WAITING, now
    return now


def over(engine: jobs.Engine, job: jobs.Job) -> jobs.Job:
    now = engine.wait(job.key, PATIENCE_S)
    assert now.over, now
    return now


# --- tests --------------------------------------------------------------------------------------------------


def test_round_trip(engine):
    job = engine.submit(spec("steps?n=1"), "short")
    assert job.title == "Stimuli: steps?n=1"
    done = over(engine, job)
    assert (done.state, done.fraction, done.error) == ("done", 1.0, None)
    assert done.submitted <= done.started <= done.finished
    assert packing.same(engine.dataset(job.key), expected("steps?n=1"))
    assert store.default().has(job.key), "the worker uses the store of the server"
    assert engine.job("nobody asked") is None


def test_the_answer_can_be_waited_for(engine):
    told: list[tuple[float, str]] = []
    with progress.listening(lambda fraction, phrase: told.append((fraction, phrase))):
        assert packing.same(engine.answer(spec("steps?n=30&pause=0.05")), expected("steps?n=30&pause=0.05"))
    assert any(phrase.startswith("Step") for _, phrase in told)
    assert engine.answer(spec("steps?n=30&pause=0.05")).attrs["title"], "from the store, without a job"
    with pytest.raises(
        errors.InputError, match=r"The file a\.png is not a picture\. Give a PNG or JPEG file\."
    ):
        engine.answer(spec("input-error"))


def test_an_interrupted_wait_cancels(engine):
    class Interrupt(BaseException):
        pass

    def listener(fraction: float, _phrase: str) -> None:
        if fraction > 0:
            raise Interrupt

    asked = spec("steps?n=2000&pause=0.02")
    with progress.listening(listener), pytest.raises(Interrupt):
        engine.answer(asked)
    assert engine.wait(key(asked), PATIENCE_S).state == "cancelled"


def test_equal_specs_are_one_job_whoever_asks(engine):
    asked = spec("steps?n=20&pause=0.05")
    found: list[jobs.Job] = []
    threads = [threading.Thread(target=lambda: found.append(engine.submit(asked, "long"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.submitted for job in found}) == 1
    assert sum(job.key == key(asked) for job in engine.jobs()) == 1
    first = over(engine, found[0])
    assert engine.submit(asked) == first, "done and stored: not computed again"
    store.default().clear()
    second = engine.submit(asked, "long")
    assert second.submitted > first.submitted, "the answer was removed: computed again"
    assert over(engine, second).state == "done"
    assert engine.jobs()[0].key == key(asked), "newest first"


def test_progress_is_honest_monotone_and_not_too_often(engine):
    seen: list[jobs.Job] = []
    job = engine.submit(spec("steps?n=400&pause=0.005"), "long")
    running(engine, job)
    while not (now := engine.job(job.key)).over:
        if not seen or now != seen[-1]:
            seen.append(now)
        time.sleep(0.005)
    fractions = [j.fraction for j in seen]
    assert fractions == sorted(fractions)
    assert len(set(fractions)) >= 5
    assert {j.state for j in seen} == {"running"}
    steps = [j for j in seen if j.phrase.startswith("Step ")]
    assert all(j.phrase == f"Step {round(j.fraction * 400)} of 400" for j in steps)
    assert len(seen) <= 10 * (now.finished - now.started) + 3


def test_the_last_report_before_a_silence_is_told():
    told: list[dict] = []
    tell = worker._Reporter("task", told.append)
    for i in range(50):
        tell(i / 50, f"{i}")
    assert [event["phrase"] for event in told] == ["0"]
    time.sleep(0.5)
    assert [event["phrase"] for event in told] == ["0", "49"]
    worker.cancel("task")
    with pytest.raises(errors.Cancelled):
        tell(1.0, "more")
    worker._cancelled.clear()


def test_nothing_is_served_to_other_users_of_the_machine(engine):
    import urllib.error
    import urllib.request

    port = engine._cluster.scheduler.http_server.port
    for path in ("/", "/info/main/workers.html", "/json/counts.json", "/health"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20)
    assert engine._cluster.scheduler_address.startswith("tls://127.0.0.1:")


def test_cancel_at_the_next_report_within_a_second(engine):
    job = running(engine, engine.submit(spec("steps?n=5000&pause=0.02"), "long"))
    worker_before = _worker_number(engine, "long")
    start = time.monotonic()
    engine.cancel(job.key)
    assert engine.job(job.key).phrase in ("Cancelling", "Cancelled")
    cancelled = over(engine, job)
    assert time.monotonic() - start < 1.0
    assert cancelled.state == "cancelled"
    assert isinstance(cancelled.error, errors.Cancelled)
    assert 0 < cancelled.fraction < 1 or cancelled.fraction == 0
    time.sleep(engine.grace_s + 0.5)
    assert _worker_number(engine, "long") == worker_before, "the worker was not restarted"
    assert engine.submit(job.spec) == cancelled, "a cancelled job does not start by itself again"


def _worker_number(engine: jobs.Engine, lane: str) -> int:
    workers = engine._client.scheduler_info(n_workers=-1)["workers"]
    address = next(a for a, w in workers.items() if w["name"] == lane)
    return engine._client.run(os.getpid, workers=[address])[address]


def test_cancel_while_it_waits(engine):
    first = running(engine, engine.submit(spec("steps?n=200&pause=0.02"), "long"))
    second = engine.submit(spec("steps?n=201&pause=0.02"), "long")
    engine.cancel(second.key)
    assert engine.job(second.key).state == "cancelled"
    assert engine.job(first.key).state == "running"
    again = engine.submit(second.spec, "long", again=True)
    assert again.state == "queued"
    engine.cancel(first.key)
    assert over(engine, again).state == "done"


def test_a_job_that_never_reports_is_stopped_by_restarting_its_worker(engine):
    busy = running(engine, engine.submit(spec("busy"), "long"))
    waiting = engine.submit(spec("steps?n=3&x=behind-busy"), "long")
    start = time.monotonic()
    engine.cancel(busy.key)
    assert over(engine, busy).state == "cancelled"
    assert time.monotonic() - start < engine.grace_s + 3
    assert over(engine, waiting).state == "done", "the job behind it was not lost"


def test_a_short_question_does_not_wait_behind_a_long_job(engine):
    long = running(engine, engine.submit(spec("steps?n=3000&pause=0.02"), "long"))
    queued = engine.submit(spec("steps?n=5"), "long")
    short = over(engine, engine.submit(spec("steps?n=6"), "short"))
    assert short.state == "done"
    assert engine.job(long.key).state == "running"
    assert engine.job(queued.key).state == "queued"


def test_an_unforeseen_failure_is_one_sentence_without_details(engine):
    failed = over(engine, engine.submit(spec("unforeseen"), "short"))
    assert failed.state == "failed"
    assert isinstance(failed.error, errors.ComputeError)
    assert "did not foresee (error id " in failed.error.problem
    assert "secret" not in str(failed.error)
    assert engine.submit(spec("unforeseen")) == failed, "a page that asks again does not start it again"
    assert engine.submit(spec("unforeseen"), "short", again=True).submitted > failed.submitted


def test_our_own_errors_come_as_they_are(engine):
    failed = over(engine, engine.submit(spec("input-error"), "short"))
    assert type(failed.error) is errors.InputError
    assert str(failed.error) == "The file a.png is not a picture. Give a PNG or JPEG file."
    assert over(engine, engine.submit(spec("exit"), "short")).state == "failed"
    assert over(engine, engine.submit(spec("steps?n=2"), "short")).state == "done"


@pytest.mark.parametrize("deed", ["memory", "die"])
def test_a_killed_worker_fails_its_job_clearly_and_only_its_job(engine, deed):
    other = running(engine, engine.submit(spec(f"steps?n=4000&pause=0.02&beside={deed}"), "short"))
    job = engine.submit(spec(deed), "long")
    behind = engine.submit(spec(f"steps?n=2&behind={deed}"), "long")
    failed = over(engine, job)
    assert failed.state == "failed"
    assert isinstance(failed.error, errors.ComputeError)
    assert "ran out of memory or was ended" in failed.error.problem
    assert "fewer layers or stimuli" in failed.error.remedy
    assert over(engine, behind).state == "done"
    assert engine.job(other.key).state == "running"


def test_a_lane_waits_for_a_worker_that_takes_long_to_start_again(engine, monkeypatch):
    from distributed import Nanny

    instantiate = Nanny.instantiate

    async def late(nanny):
        await asyncio.sleep(3)
        return await instantiate(nanny)

    monkeypatch.setattr(Nanny, "instantiate", late)
    assert over(engine, engine.submit(spec("die?late"), "long")).state == "failed"
    assert over(engine, engine.submit(spec("steps?n=2&late"), "long")).state == "done"


def test_an_answer_that_cannot_be_stored_is_not_lost(engine, monkeypatch):
    monkeypatch.setenv("HOMOLOG_STORE_LIMIT", "100B")
    job = over(engine, engine.submit(spec("steps?n=3&x=unstored"), "short"))
    assert job.state == "done"
    assert not store.default().has(job.key)
    assert packing.same(engine.dataset(job.key), expected("steps?n=3&x=unstored"))
    assert engine.submit(job.spec) == job, "still here: not computed again"


def test_a_job_is_forgotten_after_a_hundred_others(monkeypatch):
    engine = jobs.Engine(key=key)
    monkeypatch.setattr(engine, "start_in_background", lambda: None)
    for i in range(150):
        engine.cancel(engine.submit(spec(f"steps?n={i}"), "short").key)
    assert 100 <= len(engine.jobs()) <= 101
    assert engine.jobs()[0].title == "Stimuli: steps?n=149"
    engine.close()


def test_lanes_come_from_the_kind_of_question(monkeypatch):
    engine = jobs.Engine(key=key)
    monkeypatch.setattr(engine, "start_in_background", lambda: None)
    assert engine.submit(spec("a")).lane == "short"
    assert engine.submit(RdmSpec(network="n", stimuli="s")).lane == "long"
    engine.close()
    assert {job.state for job in engine.jobs()} == {"cancelled"}
    with pytest.raises(errors.ComputeError, match="closing"):
        engine.submit(spec("b"))


def test_a_scheduler_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(jobs, "_CONNECT_S", 1)
    with (
        pytest.raises(errors.ComputeError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9\."),
        jobs.connect("tcp://127.0.0.1:9"),
    ):
        pass
    with pytest.raises(errors.InputError, match="not the address"), jobs.connect("nonsense"):
        pass
    monkeypatch.setenv("HOMOLOG_SCHEDULER", "tcp://127.0.0.1:9")
    engine = jobs.Engine(key=key)
    failed = over(engine, engine.submit(spec("steps?n=1"), "short"))
    assert "No Dask scheduler answers" in failed.error.problem
    engine.close()


def test_a_scheduler_by_address():
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        engine = jobs.Engine(cluster.scheduler_address, runner=f"{__name__}:fake", key=key)
        engine.start()
        assert not engine.embedded
        answer = engine.answer(spec("steps?n=2"))
        assert packing.same(answer, expected("steps?n=2"))
        assert store.default().has(key(spec("steps?n=2")))
        job = running(engine, engine.submit(spec("steps?n=3000&pause=0.02"), "long"))
        engine.cancel(job.key)
        assert over(engine, job).state == "cancelled"
        failed = over(engine, engine.submit(spec("unforeseen"), "long"))
        assert "did not foresee" in str(failed.error)
        engine.close()


def test_full_disks_and_memory_have_their_own_words():
    full = worker.as_homolog_error(OSError(28, "No space left on device"))
    assert full.problem == "The disk is full."
    assert "ran out of memory" in str(worker.as_homolog_error(MemoryError()))
    assert "ran out of memory" in str(
        worker.as_homolog_error(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    )
    assert worker.revive(worker.outcome_of(errors.Cancelled())["error"]).problem == "Cancelled."


SERVER = """
import dask, sys, time, psutil
from tests import test_jobs as t
from dashboard import jobs
if __name__ == "__main__":
    dask.config.set(t.NO_WARM_UP)
    engine = jobs.Engine(runner="tests.test_jobs:fake", key=t.key, grace_s=1.0)
    engine.start_in_background(delay_s=30)
    states = []
    for text in ("torch", "torch?fail", "torch?raise", "die", "busy"):
        job = engine.submit(t.spec(text), "short")
        if text == "busy":
            t.running(engine, job)
            engine.cancel(job.key)
        states.append(engine.wait(job.key, 90).state)
    engine.dataset(t.key(t.spec("torch")))
    engine.submit(t.spec("busy?again"), "short")
    children = psutil.Process().children(recursive=True)
    start = time.monotonic()
    engine.close()
    took = time.monotonic() - start
    gone, alive = psutil.wait_procs(children, timeout=10)
    print(*states, "torch" in sys.modules, len(children) >= 2, len([p for p in alive if "resource_tracker"
          not in " ".join(p.cmdline())]), took < 25)
"""


def test_the_server_never_imports_torch_and_close_leaves_no_process(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=200,
    )
    told = "done failed failed failed cancelled False True 0 True"
    assert done.stdout.strip() == told, done.stdout + done.stderr


def test_a_killed_server_leaves_no_workers(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(
        "import time\nfrom dashboard import jobs\n"
        "if __name__ == '__main__':\n"
        "    jobs.engine().start()\n    print('up', flush=True)\n    time.sleep(100)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    try:
        assert server.stdout.readline() == "up\n"
        children = psutil.Process(server.pid).children(recursive=True)
        assert len(children) >= 2
    finally:
        server.kill()
        server.communicate()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def test_new_workers_do_not_run_the_main_script(tmp_path, monkeypatch):
    """While a page runs, Streamlit's script stands in the place of __main__."""
    import multiprocessing
    import types

    marker = tmp_path / "ran"
    script = tmp_path / "page.py"
    script.write_text(f"open({str(marker)!r}, 'w').close()")
    page = types.ModuleType("__main__")
    page.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", page)
    jobs._leave_main_out()
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    process.start()
    process.join(PATIENCE_S)
    assert process.exitcode == 0
    assert not marker.exists()
