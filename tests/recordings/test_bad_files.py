"""Bad files of every class: each is refused or warned about in our own words, none runs its code."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import bad_files
import numpy as np
import pytest

from dashboard import kept, recordings
from dashboard.errors import HomologError, InputError, collect_cautions
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


def _seeds(folder: Path) -> dict[str, bytes]:
    """Small good files of every format, to mutate."""
    import pandas as pd
    import xarray as xr

    values, names = bad_files.VALUES[:6, :3], bad_files.NAMES[:6]
    table = pd.DataFrame({"name": names, "a": values[:, 0], "b": values[:, 1]})
    table.to_parquet(folder / "a.parquet")
    dataset = xr.Dataset({"r": (("stimulus", "unit"), values), "name": ("stimulus", names.astype(object))})
    dataset.to_netcdf(folder / "a.nc", engine="h5netcdf")
    dataset.drop_vars("name").to_netcdf(folder / "c.nc", engine="scipy")

    def nwb(file) -> None:
        file.attrs["nwb_version"] = "2.7.0"
        file["intervals/trials/start_time"] = np.arange(6.0)
        file["intervals/trials/stop_time"] = np.arange(6.0) + 0.5
        file["units/spike_times"] = np.linspace(0, 6, 40)
        file["units/spike_times_index"] = [20, 40]

    def plain(file) -> None:
        file["r"], file["name"] = values, [str(n) for n in names]

    return {
        "a.npz": bad_files.npz(r=values, name=names),
        "a.npy": bad_files.npy(values),
        "a.mat": bad_files.mat(r=values, name=names.astype(object)),
        "a.h5": bad_files.hdf5(plain, folder),
        "a.nwb": bad_files.hdf5(nwb, folder),
        "a.nc": (folder / "a.nc").read_bytes(),
        "c.nc": (folder / "c.nc").read_bytes(),
        "a.csv": table.to_csv(index=False).encode(),
        "a.parquet": (folder / "a.parquet").read_bytes(),
    }


def fuzz(folder: str, seed: int, rounds: int) -> dict[str, int]:
    """Mutate good files and read each; runs in a process of its own. Anything but our errors is a finding."""
    rng = random.Random(seed)
    target = Path(folder)
    seeds = _seeds(target)
    counts = {"read": 0, "refused": 0}
    for k in range(rounds):
        name = list(seeds)[k % len(seeds)]
        data = mutated(seeds[name], rng)
        # What is here when a library ends the process is the file that did it.
        (target / "last").write_bytes(name.encode() + b"\0" + data)
        try:
            said, _ = judged(bad_files.Bad(name, data, ""), target)
            counts["refused" if said else "read"] += 1
        except (HomologError, MemoryError):
            counts["refused"] += 1
    return counts


MUTATIONS = int(os.environ.get("HOMOLOG_MUTATIONS", "2000"))
"""Mutated files per run; 10,000 take about a minute."""


def test_mutated_files_of_every_format_give_our_errors_or_numbers(tmp_path):
    """In a process of its own, which must neither crash (HDF5 is C) nor raise another error."""
    script = (
        "import json, resource, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))\n"
        f"sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[2])]!r}\n"
        "import test_bad_files\n"
        f"print(json.dumps(test_bad_files.fuzz({str(tmp_path)!r}, 0, {MUTATIONS})))\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    last = (tmp_path / "last").read_bytes()
    assert done.returncode == 0, f"{done.stderr[-1500:]}\nby {last[:300]!r}"
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["read"] + counts["refused"] == MUTATIONS
    assert min(counts.values()) > MUTATIONS / 50


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Flip, overwrite, cut, repeat or drop a few bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed))
        kind = rng.randrange(5)
        if kind == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place : place + 4] = rng.randbytes(4)
        elif kind == 2:
            del changed[place : place + rng.randint(1, 16)]
        elif kind == 3:
            changed[place:place] = changed[place : place + rng.randint(1, 16)]
        else:
            changed[place : place + 8] = rng.choice([b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7])
        if not changed:
            changed = bytearray(b"\0")
    return bytes(changed)
