"""The store: exact answers back; damage, full disks and kills are misses, never errors or wrong values."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from dashboard import packing, settings, store
from dashboard.store import Store

ROOT = Path(__file__).resolve().parent.parent


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def answer(value: float = 1.0, n: int = 100, kind: str = "rdm") -> xr.Dataset:
    return xr.Dataset(
        {"rdm": (("layer", "pair"), np.full((2, n), value))},
        {"layer": ["a", "b"]},
        attrs={"title": f"Answer {value}", "record": f'{{"spec": {{"kind": "{kind}"}}}}'},
    )


@pytest.fixture
def kept(tmp_path) -> Store:
    return Store(tmp_path / "store", 10**9)


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_an_answer_comes_back_exactly_also_to_another_process(kept):
    assert kept.open(key(1)) is None
    assert not kept.has(key(1))
    assert kept.put(key(1), answer(0.1))
    assert kept.has(key(1))
    assert packing.same(kept.open(key(1)), answer(0.1))
    assert packing.same(Store(kept.root, 1).open(key(1)), answer(0.1))
    assert kept.open(key(2)) is None


def test_what_a_caller_changes_stays_with_the_caller(kept):
    kept.put(key(1), answer())
    mine = kept.open(key(1))
    mine.attrs["title"] = "other"
    mine["more"] = ("x", [1])
    with pytest.raises(ValueError, match="read-only"):
        mine.rdm.values[0, 0] = 5
    assert packing.same(kept.open(key(1)), answer())


def test_warm_answers_are_not_read_again(kept, monkeypatch):
    kept.put(key(1), answer())
    kept.open(key(1))
    monkeypatch.setattr(packing, "unpack", lambda *_: pytest.fail("read again"))
    assert packing.same(kept.open(key(1)), answer())


def test_a_typical_answer_opens_warm_within_20_ms(kept):
    rng = np.random.default_rng(0)
    kept.put(key(1), xr.Dataset({"rdm": (("layer", "pair"), rng.random((20, 4186)))}))
    kept.open(key(1))
    times = []
    for _ in range(20):
        start = time.perf_counter()
        kept.open(key(1))
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.020


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 16
    path.write_bytes(bytes(data))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


class _Bomb:
    def __reduce__(self):
        return (os.mkdir, (str(Path(tempfile.gettempdir()) / "homolog-bomb"),))


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Bomb()))


def _another_answer(path: Path) -> None:
    path.write_bytes(packing.pack(answer(2.0), key("other")))


@pytest.mark.parametrize("damage", [_cut, _one_bit, _empty, _pickle, _another_answer])
@pytest.mark.parametrize("warm", [True, False])
def test_damage_is_a_miss_and_goes_away(kept, damage, warm, caplog):
    kept.put(key(1), answer())
    if warm:
        kept.open(key(1))
    damage(kept.path(key(1)))
    age(kept.path(key(1)), 1)
    with caplog.at_level(logging.WARNING):
        assert kept.open(key(1)) is None
    assert "is not used" in caplog.text
    assert not kept.path(key(1)).exists()
    assert not (Path(tempfile.gettempdir()) / "homolog-bomb").exists()
    assert kept.put(key(1), answer())
    assert packing.same(kept.open(key(1)), answer())


def test_a_newer_format_is_a_miss_and_stays(kept):
    kept.put(key(1), answer())
    path = kept.path(key(1))
    path.write_bytes(path.read_bytes()[:-1] + b"2")
    assert kept.open(key(1)) is None
    assert path.exists()
    assert not kept.has(key(1))
    assert [entry.kind for entry in kept.entries()] == ["unreadable"]
    assert kept.put(key(1), answer())
    assert packing.same(kept.open(key(1)), answer())


def test_a_folder_in_the_place_of_an_answer_is_a_miss(kept):
    kept.path(key(1)).mkdir(parents=True)
    assert kept.open(key(1)) is None
    assert kept.put(key(1), answer()) is False


def test_what_cannot_be_stored_is_told_and_logged(kept, caplog):
    assert kept.put(key(1), xr.Dataset({"v": ("x", np.array([object()], object))})) is False
    assert "could not be stored" in caplog.text
    assert list(kept.entries()) == []
    small = Store(kept.root, 500)
    assert small.put(key(2), answer()) is False
    assert small.open(key(2)) is None


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind(kept, monkeypatch, call):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    kept.put(key(1), answer(1.0))
    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), full)
        assert kept.put(key(2), answer(2.0)) is False
        assert kept.put(key(1), answer(1.0)) is False
    assert packing.same(kept.open(key(1)), answer(1.0))
    assert kept.open(key(2)) is None
    assert [p.name for p in kept.root.rglob("*") if p.is_file()] == [f"{key(1)}.nc"]


def test_a_really_full_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        kept = Store(folder, 10**9)
        done = [kept.put(key(i), answer(i, n=10_000)) for i in range(12)]
        assert done[0] is True
        assert done[-1] is False
        assert kept.arrays.open(key("a")) is None
        with pytest.raises(OSError, match="space"):
            fill(kept)
        fresh = Store(folder, 10**9)
        for i, stored in enumerate(done):
            found = fresh.open(key(i))
            assert (found is not None) == stored
            assert found is None or packing.same(found, answer(i, n=10_000))
        assert fresh.arrays.open(key("a")) is None
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(kept: Store) -> None:
    with kept.arrays.begin(key("a"), 64, 10_000) as writer:
        for start in range(0, 64, 32):
            writer.append(start, np.ones((32, 10_000), np.float32))


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only, for root by mounting it so, which no permission overrides."""
    if os.geteuid() == 0:
        bind = ["mount", "--bind", str(folder), str(folder)]
        if not shutil.which("mount") or subprocess.run(bind, capture_output=True, check=False).returncode:
            pytest.skip("a read-only folder cannot be made here")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True, capture_output=True)
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    everything = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in everything]
    for path in reversed(everything):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path, mode in zip(everything, modes, strict=True):
            path.chmod(mode)


def test_a_read_only_folder_is_read_and_not_written(kept):
    kept.put(key(1), answer(4.0))
    kept.put(key(2), answer(4.0))
    _cut(kept.path(key(2)))
    with kept.arrays.begin(key(3), 4, 3) as writer:
        writer.append(0, np.ones((4, 3)))
        writer.finish()
    for path in kept.root.rglob("*"):
        age(path, 5000)
    with read_only(kept.root):
        fresh = Store(kept.root, 1, grace_s=0)
        assert packing.same(fresh.open(key(1)), answer(4.0))
        assert fresh.open(key(2)) is None
        assert fresh.arrays.read(key(3)).sum() == 12
        assert fresh.put(key(4), answer()) is False
        with pytest.raises(OSError, match="Read-only|Permission"):
            fresh.arrays.begin(key(4), 4, 3)
        assert fresh.clear() == 0
        assert fresh.evict() == 0
        assert fresh.usage().count == 3


def test_keys_are_digests(kept):
    for bad in ("", "../../etc/passwd", key(1).upper(), key(1) + "0", "x" * 64):
        with pytest.raises(ValueError, match="not a key"):
            kept.open(bad)


def test_oldest_used_goes_first_and_what_is_in_use_stays(tmp_path):
    size = len(packing.pack(answer(), key(0), "rdm", "Answer 0.0"))
    kept = Store(tmp_path, 4 * size + 100)
    for i in range(4):
        kept.put(key(i), answer(float(i)))
        age(kept.path(key(i)), 5000 - i)
    kept.open(key(0))  # used now: the next oldest is 1
    kept.put(key(4), answer(4.0))
    assert [kept.has(key(i)) for i in range(5)] == [True, False, True, True, True]
    assert kept.usage().bytes <= kept.limit_bytes
    fresh = Store(tmp_path, size)
    for i in (0, 2, 3, 4):
        age(kept.path(key(i)), 60)
    assert fresh.evict() == 0  # above the limit, but all were used a minute ago
    assert fresh.usage().count == 4


def test_usage_entries_and_clearing(kept):
    kept.put(key(1), answer(1.0, kind="rdm"))
    kept.put(key(2), answer(2.0, kind="brain"))
    kept.put(key(3), answer(3.0, kind="brain"))
    with kept.arrays.begin(key(4), 4, 3, title="conv1") as writer:
        writer.append(0, np.zeros((4, 3)))
        writer.finish()
    usage = kept.usage()
    assert usage.count == 4
    assert {kind: count for kind, (count, _) in usage.by_kind.items()} == {
        "rdm": 1,
        "brain": 2,
        "activations": 1,
    }
    on_disk = sum(p.stat().st_size for p in kept.root.rglob("*") if p.is_file())
    assert usage.bytes == on_disk
    assert usage.limit == 10**9
    titles = {entry.key: entry.title for entry in kept.entries()}
    assert titles[key(2)] == "Answer 2.0"
    assert titles[key(4)] == "conv1"
    age(kept.path(key(2)), 7200)
    assert [entry.key for entry in kept.entries()][-1] == key(2)
    assert kept.clear(older_than=3600) > 0
    assert kept.open(key(2)) is None
    assert kept.clear(keys=[key(1)]) > 0
    assert kept.usage().count == 2
    assert kept.open(key(3)) is not None
    kept.clear()
    assert kept.usage() == store.Usage(0, 0, 10**9, {})
    assert kept.open(key(3)) is None


def test_leftovers_of_killed_writers_go_after_an_hour(kept):
    kept.put(key(1), answer())
    leftover = kept.path(key(1)).parent / ".leftover"
    leftover.write_bytes(b"x")
    kept.evict()
    assert leftover.exists()
    age(leftover, 4000)
    kept.evict()
    assert not leftover.exists()
    assert kept.usage().count == 1


def test_default_follows_the_environment(homolog_home, tmp_path, monkeypatch):
    first = store.default()
    assert first is store.default()
    assert first.root == homolog_home.resolve() / "store"
    monkeypatch.setenv("HOMOLOG_HOME", str(tmp_path))
    monkeypatch.setenv("HOMOLOG_STORE_LIMIT", "1MB")
    assert store.default().root == tmp_path / "store"
    assert store.default().limit_bytes == settings.store_limit_bytes() == 10**6


@pytest.mark.slow
def test_twenty_kills():
    """The full hundred: ``python -m benchmarks.store_kills``."""
    command = [sys.executable, "-m", "benchmarks.store_kills", "--kills", "20"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 kills: 0 unreadable starts, 0 wrong values" in done.stdout


def test_the_store_imports_no_torch():
    code = (
        "import sys, numpy as np, xarray as xr; from dashboard import store; s = store.default();"
        "s.put('0'*64, xr.Dataset({'v': 1})); s.open('0'*64); w = s.arrays.begin('1'*64, 2, 2);"
        "w.append(0, np.zeros((2, 2))); w.finish(); w.close(); s.arrays.read('1'*64); s.usage();"
        "print(sorted({'torch', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
