"""Digests of weight files: remembered on the disk, and never trusted where weights are read."""

import hashlib
import json
import os
import time

import pytest
import torch
from safetensors.torch import save_file

from dashboard import networks
from dashboard.errors import InputError
from dashboard.networks import files, weights

REFERENCE = "torchvision:squeezenet1_0?weights=w.safetensors&classes=3"


@pytest.fixture
def shared(monkeypatch):
    """Let small files be remembered on the disk, too."""
    monkeypatch.setattr(files, "_SHARED_BYTES", 1)
    files._digests.clear()
    yield
    files._digests.clear()


def settled(file, data):
    """Write a file that looks as if it had been there for a minute; return its bytes' SHA-256."""
    file.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def later(monkeypatch):
    """Let a minute have passed since every file was written."""
    now = time.time
    monkeypatch.setattr(files.time, "time", lambda: now() + 60)


@pytest.fixture
def reads(monkeypatch):
    """Count how often a file is hashed."""
    counted = []
    real = hashlib.file_digest
    monkeypatch.setattr(
        files.hashlib, "file_digest", lambda stream, kind: counted.append(1) or real(stream, kind)
    )
    return counted


def test_another_process_does_not_read_the_file_again(tmp_path, homolog_home, shared, later, reads):
    file = tmp_path / "w.bin"
    digest = settled(file, b"one" * 1000)
    assert files.sha256(file) == digest
    files._digests.clear()  # as in a process that was just started
    assert files.sha256(file) == digest
    assert len(reads) == 1
    link = tmp_path / "link.bin"
    link.symlink_to(file)
    assert files.sha256(link) == digest
    assert len(reads) == 1
    assert len(list((homolog_home / "digests").iterdir())) == 1


def test_small_files_leave_nothing_on_the_disk(tmp_path, homolog_home, later):
    settled(file := tmp_path / "w.bin", b"small")
    files.sha256(file)
    assert not (homolog_home / "digests").exists()


def test_a_changed_file_is_read_again(tmp_path, homolog_home, shared, later, reads):
    file = tmp_path / "w.bin"
    for data in (b"one", b"two", b"longer"):
        digest = settled(file, data)
        for _ in range(2):
            assert files.sha256(file) == digest
            files._digests.clear()
    assert len(reads) == 3
    assert len(list((homolog_home / "digests").iterdir())) == 1


def test_what_was_changed_just_now_is_not_remembered(tmp_path, homolog_home, shared, reads):
    file = tmp_path / "w.bin"
    digest = settled(file, b"one")
    assert [files.sha256(file), files.sha256(file)] == [digest, digest]
    assert len(reads) == 2
    assert not (homolog_home / "digests").exists()


def test_same_size_and_time_of_change_is_still_seen(tmp_path, homolog_home, shared, later):
    file = tmp_path / "w.bin"
    settled(file, b"one")
    before = file.stat()
    files.sha256(file)
    digest = settled(file, b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert files.sha256(file) == digest


@pytest.mark.parametrize("damage", ["", "{}", "[1]", "null", "\x00\x01", "other digest", "other path"])
def test_a_damaged_note_is_a_miss(tmp_path, homolog_home, shared, later, damage):
    file = tmp_path / "w.bin"
    digest = settled(file, b"one")
    files.sha256(file)
    files._digests.clear()
    note = files._note(str(file.resolve()))
    if damage == "other digest":
        damage = json.dumps(json.loads(note.read_text()) | {"sha256": "0" * 64})
    elif damage == "other path":
        facts = files._facts(file)
        seal = files._seal("/elsewhere", facts, "0" * 64)
        damage = json.dumps({"facts": facts, "sha256": "0" * 64, "seal": seal})
    note.write_text(damage)
    assert files.sha256(file) == digest


def test_bytes_that_got_past_the_memory_are_refused_where_they_are_read(
    homolog_home, shared, later, monkeypatch
):
    """As if somebody had turned back the clock: other weights under the facts of the old ones."""
    import torchvision

    folder = homolog_home / "weights"
    folder.mkdir()
    file = folder / "w.safetensors"
    state = torchvision.models.squeezenet1_0(num_classes=3).state_dict()
    save_file(state, file)
    old, facts = networks.identity(REFERENCE), files._facts(file)
    state["classifier.1.bias"] += 1
    save_file(state, file)
    with monkeypatch.context() as forged:
        forged.setattr(files, "_facts", lambda _: facts)
        assert networks.identity(REFERENCE) == old
        with pytest.raises(InputError, match=r'"w.safetensors" changed while it was read'):
            networks.load(REFERENCE)
        assert networks.identity(REFERENCE) != old  # what was remembered is forgotten
        opened = networks.load(REFERENCE)
    assert torch.equal(opened.module.classifier[1].bias, state["classifier.1.bias"])
    networks._loaded.clear()


def test_verification_ends_before_a_network_is_handed_out(tmp_path, monkeypatch):
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(2)}, file)
    seen = []

    def block(digest):
        with files.checked_beside():
            seen.append(set(weights.read_file(file, digest)))

    with pytest.raises(InputError, match="changed while it was read"):
        block("0" * 64)
    block(hashlib.sha256(file.read_bytes()).hexdigest())
    assert seen == [{"a"}, {"a"}]


def test_a_block_that_fails_over_other_bytes_is_told_as_that(tmp_path):
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(2)}, file)

    def block():
        with files.checked_beside():
            weights.read_file(file, "0" * 64)
            raise InputError("It does not fit.")

    with pytest.raises(InputError, match="changed while it was read"):
        block()


def test_published_weights_are_compared_before_they_are_opened(tmp_path, monkeypatch):
    file = tmp_path / "net-0123abcd.pth"
    file.write_bytes(b"PK\x03\x04 anything")
    monkeypatch.setattr(weights, "_checkpoint", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(InputError, match="changed while it was read"):
        weights.read_verified(file)
