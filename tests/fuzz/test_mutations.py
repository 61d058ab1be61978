"""Damaged files of every format: read, or refused in our words; a lost process costs that file alone."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from dashboard import guarded
from dashboard.errors import InputError
from dashboard.recordings.readers import FORMATS
from tests.fuzz import mutations

MUTATIONS = int(os.environ.get("HOMOLOG_MUTATIONS", "2000"))
"""Damaged files of one run, over all formats; ``.ci/run`` asks for 10,000, which take about a minute."""

STUCK_S = 4
MEMORY = dict.fromkeys(mutations.KINDS, "3GiB") | {"network": "32GiB"}
"""By kind; importing torch alone takes more addresses than the usual limit of 3 GiB."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return mutations.seeds(tmp_path_factory.mktemp("seeds"))


def test_every_good_file_is_read_and_every_format_has_one(seeds, tmp_path):
    from dashboard.recordings.readers import recognise

    recordings = {name: data for (kind, name), data in seeds.items() if kind == "recording"}
    found = set()
    for name, data in recordings.items():
        (tmp_path / "file").write_bytes(data)
        found.add(recognise(tmp_path / "file", name))
    assert found == set(FORMATS)
    for (kind, name), data in seeds.items():
        (tmp_path / "file").write_bytes(data)
        assert mutations.read(kind, str(tmp_path / "file"), name) == {"came": "read", "said": ""}, name


@pytest.mark.timeout(900)
def test_damaged_files_of_every_format_are_read_or_refused_in_our_words(seeds, tmp_path, monkeypatch, capsys):
    """One process reads file after file; the one that a file kills or holds up is started anew."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    wrong = []
    start = time.monotonic()
    for memory in dict.fromkeys(MEMORY.values()):
        monkeypatch.setenv("HOMOLOG_READ_MEMORY", memory)
        with guarded.Child() as child:
            for (kind, name), data in seeds.items():
                if MEMORY[kind] != memory:
                    continue
                came = "new"
                for k in range(MUTATIONS // len(seeds)):
                    if came in ("new", "stuck", "lost"):  # what a new process imports must not count
                        monkeypatch.setenv("HOMOLOG_READ_SECONDS", "300")
                        said(child, kind, name, data, tmp_path)
                        monkeypatch.setenv("HOMOLOG_READ_SECONDS", str(STUCK_S))
                    damaged = mutations.mutated(data, mutations.rng_of(name, k))
                    came, words = said(child, kind, name, damaged, tmp_path)
                    counts[f"{kind} {name}"][came] += 1
                    if came == "finding" or str(tmp_path) in words or "Traceback" in words:
                        wrong.append(f"{kind} {name} {k}: {words}")
    seconds = time.monotonic() - start
    total = sum(counts.values(), Counter())
    with capsys.disabled():
        lines = [f"{name}: {dict(found)}" for name, found in counts.items()]
        print(f"\n{total.total()} damaged files in {seconds:.0f} s: {dict(total)}", *lines, sep="\n  ")
    assert wrong == []
    assert total.total() == MUTATIONS // len(seeds) * len(seeds)
    assert total["stuck"] + total["lost"] <= MUTATIONS / 200
    assert min(total["read"], total["refused"]) > MUTATIONS / 50


def said(child: guarded.Child, kind: str, name: str, data: bytes, folder: Path) -> tuple[str, str]:
    """Read a file in the process: what came of it, and the sentence."""
    path = folder / "file"
    path.write_bytes(data)
    try:
        found = child.ask("tests.fuzz.mutations:read", kind, str(path), name, name=name)
    except InputError as error:
        held_up = "took more than" in error.problem
        return "stuck" if held_up else "lost", str(error)
    return found["came"], found["said"]


def test_a_process_that_a_file_kills_or_holds_up_is_started_anew(monkeypatch):
    monkeypatch.setenv("HOMOLOG_READ_SECONDS", "1")
    with guarded.Child() as child:
        assert child.ask("builtins:len", "four", name="a.h5") == 4
        assert child.ask("builtins:len", "three", name="a.h5") == 5
        assert child.started == 1
        with pytest.raises(InputError, match='"a.h5" took more than 1 seconds'):
            child.ask("time:sleep", 30, name="a.h5")
        assert child.ask("builtins:len", "one", name="a.h5") == 3
        with pytest.raises(InputError, match='"a.h5" could not be read within the limits'):
            child.ask("os:abort", name="a.h5")
        assert child.ask("builtins:len", "", name="a.h5") == 0
        assert child.started == 3
