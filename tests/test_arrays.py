"""Activations in chunks: resumed where they stopped, seen only when whole, damage is a miss."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import numpy as np
import pytest

from dashboard.store import Store


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


VALUES = np.random.default_rng(0).standard_normal((70, 5)).astype(np.float32)
VALUES[40:] = 0  # what a silent layer writes; must not be taken for a missing chunk
K = key("layer")


@pytest.fixture
def kept(tmp_path) -> Store:
    return Store(tmp_path, 10**9)


def write(kept: Store, stop: int = 70, finish: bool = True, step: int = 7) -> None:
    with kept.arrays.begin(K, 70, 5, batch=16, title="conv1") as writer:
        for start in range(writer.position, stop, step):
            writer.append(start, VALUES[start : min(start + step, stop)])
        if finish:
            writer.finish()


def test_an_array_comes_back(kept):
    assert kept.arrays.open(K) is None
    assert kept.arrays.read(K) is None
    write(kept)
    assert kept.arrays.has(K)
    array = kept.arrays.open(K)
    assert array.shape == (70, 5)
    assert array.chunks == (16, 5)
    np.testing.assert_array_equal(array[10:20], VALUES[10:20])
    np.testing.assert_array_equal(kept.arrays.read(K), VALUES)
    blocks = list(kept.arrays.blocks(K, rows=20))
    assert [start for start, _ in blocks] == [0, 20, 40, 60]
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]), VALUES)
    np.testing.assert_array_equal(Store(kept.root, 1).arrays.read(K), VALUES)


def test_an_interrupted_extraction_goes_on(kept):
    assert kept.arrays.progress(K) == 0
    write(kept, stop=40, finish=False)
    assert kept.arrays.progress(K) == 32
    assert kept.arrays.open(K) is None
    assert not kept.arrays.has(K)
    (entry,) = kept.entries()
    assert (entry.title, entry.complete, entry.form) == ("conv1", False, "array")
    chunk = kept.arrays.path(K) / "c" / "0" / "0"
    before = chunk.stat().st_mtime_ns
    with kept.arrays.begin(K, 70, 5, batch=16) as writer:
        assert writer.position == 32
        with pytest.raises(ValueError, match="only 32 of 70"):
            writer.finish()
        writer.append(20, VALUES[20:50])  # rows that are there already are passed over
        writer.append(50, VALUES[50:])
        writer.finish()
    assert chunk.stat().st_mtime_ns == before
    np.testing.assert_array_equal(kept.arrays.read(K), VALUES)


def test_another_layout_is_begun_anew(kept):
    write(kept, stop=40, finish=False)
    with kept.arrays.begin(K, 70, 5, batch=10) as writer:
        assert writer.position == 0
    with kept.arrays.begin(K, 70, 6, batch=10) as writer:
        assert writer.position == 0
        writer.append(0, np.ones((70, 6)))
        writer.finish()
    assert kept.arrays.read(K).shape == (70, 6)


def test_a_finished_array_takes_no_more(kept):
    write(kept)
    with kept.arrays.begin(K, 70, 5, batch=16) as writer:
        assert writer.complete
        assert writer.position == 70
        writer.append(0, VALUES + 1)
        writer.finish()
    np.testing.assert_array_equal(kept.arrays.read(K), VALUES)


def test_the_givers_memory_may_change(kept):
    with kept.arrays.begin(K, 70, 5, batch=16) as writer:
        for start in range(0, 70, 10):
            block = VALUES[start : start + 10].copy()
            writer.append(start, block)
            block[:] = -1
        writer.finish()
    np.testing.assert_array_equal(kept.arrays.read(K), VALUES)


def test_rows_that_do_not_fit(kept):
    with kept.arrays.begin(K, 70, 5) as writer:
        for start, shape in ((1, (2, 5)), (0, (2, 4)), (0, (71, 5)), (0, (5,))):
            with pytest.raises(ValueError, match="do not follow"):
                writer.append(start, np.zeros(shape))
    with pytest.raises(ValueError, match="0 units"):
        kept.arrays.begin(K, 70, 0)


def test_large_rows_make_small_chunks(kept):
    with kept.arrays.begin(K, 4, 10_000_000, batch=32) as writer:
        assert writer._array.chunks == (1, 10_000_000)


def _cut(folder):
    chunk = folder / "c" / "2" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-7])


def _bit(folder):
    chunk = folder / "c" / "2" / "0"
    data = bytearray(chunk.read_bytes())
    data[50] ^= 4
    chunk.write_bytes(bytes(data))


def _gone(folder):
    (folder / "c" / "2" / "0").unlink()


def _description(folder):
    file = folder / "zarr.json"
    file.write_text(file.read_text().replace('"little"', '"big"'))


def _no_description(folder):
    (folder / "zarr.json").unlink()


def _seal(folder):
    file = folder / "complete.json"
    file.write_bytes(b"\x80\x04." + file.read_bytes())


@pytest.mark.parametrize("damage", [_cut, _bit, _gone, _description, _no_description, _seal])
def test_damage_is_a_miss(kept, damage):
    write(kept)
    damage(kept.arrays.path(K))
    other = Store(kept.root, 10**9)
    assert other.arrays.read(K) is None
    assert other.arrays.open(K) is None
    assert list(other.entries()) == []
    write(other)
    np.testing.assert_array_equal(other.arrays.read(K), VALUES)


@pytest.mark.parametrize("damage", [_cut, _bit, _gone])
def test_damage_after_the_check_is_seen_by_the_reader(kept, damage):
    write(kept)
    assert kept.arrays.open(K) is not None
    damage(kept.arrays.path(K))
    with pytest.raises(KeyError):
        list(kept.arrays.blocks(K))
    assert kept.arrays.read(K) is None


def test_removal_during_reading_gives_no_zeros(kept):
    write(kept)
    blocks = kept.arrays.blocks(K)
    np.testing.assert_array_equal(next(blocks)[1], VALUES[:16])
    array = kept.arrays.open(K)
    assert kept.clear() > 0
    with pytest.raises(KeyError):
        next(blocks)
    assert np.isnan(array[:]).all()


@pytest.mark.parametrize("damage", [_cut, _bit, _gone])
def test_damage_in_the_middle_is_written_again(kept, damage):
    write(kept, stop=64, finish=False)
    assert kept.arrays.progress(K) == 64
    damage(kept.arrays.path(K))
    assert kept.arrays.progress(K) == 32
    write(kept)
    np.testing.assert_array_equal(kept.arrays.read(K), VALUES)


def test_one_writer_at_a_time(kept):
    first = kept.arrays.begin(K, 70, 5, batch=16)
    waited = []

    def other() -> None:
        with Store(kept.root, 10**9).arrays.begin(
            K, 70, 5, batch=16, waiting=lambda: waited.append(1)
        ) as second:
            waited.append(second.complete)

    thread = threading.Thread(target=other)
    thread.start()
    time.sleep(0.5)
    assert not kept.arrays.remove(K)
    assert kept.clear() == 0
    first.append(0, VALUES)
    first.finish()
    first.close()
    thread.join(20)
    assert waited[0] == 1
    assert waited[-1] is True


def test_waiting_can_be_given_up(kept):
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with kept.arrays.begin(K, 70, 5), pytest.raises(Stop):
        kept.arrays.begin(K, 70, 5, waiting=stop)
    with kept.arrays.begin(K, 70, 5):
        pass


def test_arrays_are_evicted_with_the_answers(tmp_path):
    kept = Store(tmp_path, 2000)
    write(kept)
    (entry,) = kept.entries()
    assert entry.bytes > 70 * 5 * 4
    for path in kept.root.rglob("*"):
        os.utime(path, (time.time() - 5000,) * 2)
    kept.limit_bytes = 100
    assert kept.evict() == entry.bytes
    assert kept.arrays.read(K) is None
