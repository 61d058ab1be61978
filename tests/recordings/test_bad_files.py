"""Bad files of every class: each is refused or warned about in our own words, none runs its code."""

from __future__ import annotations

import hashlib
import re
import resource
import time
from pathlib import Path

import bad_files
import numpy as np
import pytest

from dashboard import kept, recordings
from dashboard.errors import InputError, collect_cautions
from dashboard.recordings import uploaded
from dashboard.recordings.readers import look

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def marker(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("marker") / "code-was-run"


@pytest.fixture(scope="module")
def files(marker, tmp_path_factory) -> list[bad_files.Bad]:
    return bad_files.all_files(str(marker), tmp_path_factory.mktemp("elsewhere"))


def judged(bad: bad_files.Bad, folder: Path) -> tuple[str, list[str]]:
    """Look at a file and read it by the guess, as a worker does; return the refusal and the cautions."""
    path = folder / hashlib.sha256(bad.name.encode()).hexdigest()
    path.write_bytes(bad.data)
    with collect_cautions() as told:
        try:
            found = look([(str(path), bad.name)])
            notes = list(found["notes"])
            facts = uploaded.convert([[str(path), bad.name]], found["recipe"], str(folder))
            recordings.validate(_as_recording(facts, folder))
        except InputError as error:
            return (str(error) if error.remedy else f"no remedy: {error}"), []
        finally:
            path.unlink()
    return "", notes + [caution.message for caution in told]


def _as_recording(facts: dict, folder: Path) -> recordings.Recording:
    with np.load(folder / uploaded._ARRAYS) as arrays:
        areas = facts["responses"] or facts["rdms"]
        return recordings.Recording(
            reference="",
            title="The file",
            description="",
            citation="",
            terms="",
            species="",
            signal="",
            digest="",
            stimulus_names=tuple(facts["names"]),
            areas=tuple(areas),
            subjects={a: tuple(s) for a, s in areas.items()},
            responses={a: tuple(arrays[k] for k in s.values()) for a, s in facts["responses"].items()},
            rdms={a: np.stack([arrays[k] for k in s.values()]) for a, s in facts["rdms"].items()},
        )


def test_there_are_more_than_a_hundred(files):
    assert len(files) >= 100
    assert len({bad.name for bad in files}) >= 90


def test_each_is_refused_or_warned_about_in_our_words_within_its_limits(files, marker, tmp_path):
    """File, reason, remedy; two sentences; no path, traceback or advice to open it after all; no code run."""
    wrong = []
    for bad in files:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.monotonic()
        said, cautions = judged(bad, tmp_path)
        seconds = time.monotonic() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        found = " ".join(cautions) if bad.warned else said
        fits = bool(re.search(bad.words, found)) or bad.words in found
        if not fits or bad.warned != (not said) and bad.words:
            wrong.append(f"{bad.name}: expected {bad.words!r}, got {said or cautions!r}")
        hidden = [str(tmp_path), "Traceback", "weights_only", "allow_pickle", ".py"]
        wrong += [f"{bad.name} shows {part}" for part in hidden if part in said.replace(bad.name, "")]
        if len(re.findall(r"[.!?](?= [A-Z]|$)", said.replace("numpy.savez", ""))) > 3:
            wrong.append(f"{bad.name} says too much: {said}")
        if seconds > 2 * _slack() or grown > 300:
            wrong.append(f"{bad.name} took {seconds:.1f} s and {grown:.0f} MB")
        if marker.exists():
            pytest.fail(f"{bad.name} ran its code")
    assert wrong == []


def _slack() -> float:
    """How much slower than usual this machine is now: a busy one must not fail the test."""
    start = time.perf_counter()
    sum(i * i for i in range(200_000))
    return max(1.0, (time.perf_counter() - start) / 0.02)


def test_a_process_of_its_own_ends_with_its_limits(monkeypatch):
    """What would hang or eat memory costs that process, and one sentence says so."""
    from dashboard import guarded

    monkeypatch.setenv("HOMOLOG_READ_SECONDS", "1")
    with pytest.raises(InputError, match='"slow.npz" took more than 1 seconds'):
        guarded.call("time:sleep", 30, name="slow.npz")
    monkeypatch.setenv("HOMOLOG_READ_SECONDS", "30")
    monkeypatch.setenv("HOMOLOG_READ_MEMORY", "1GiB")
    with pytest.raises(InputError, match="within the limits of memory"):
        guarded.call("builtins:bytearray", 4 * 2**30, name="big.npz")
    with pytest.raises(InputError, match="within the limits of memory, or is damaged"):
        guarded.call("os:_exit", 3, name="crash.h5")


def test_an_upload_of_a_bad_file_is_refused_through_the_front_door(marker):
    """The whole way, with the process of its own: kept unopened, refused when looked at."""
    bad = bad_files.code_files(str(marker))[0]
    upload = kept.keep([(bad.name, bad.data)], "s")
    with pytest.raises(InputError, match="can run code when opened"):
        uploaded.look(upload.reference)
    assert not marker.exists()
