"""Reports and their sessions: edits, what comes back from disk, and what cannot be read."""

from __future__ import annotations

import dataclasses
import json

import pytest

from dashboard.errors import InputError
from dashboard.report import edits, plain, session
from dashboard.report.model import Panel, Report, Section, Text
from dashboard.specs import AttributionSpec, BrainSpec, NetworkSpec, TrustSpec

HASH = "0" * 64


def panel(title: str = "A profile", **fields) -> Panel:
    spec = BrainSpec(network="bundled:tilt_cnn", recording="simulated-v1", layers=("pool", "fc"))
    record = {"inputs": {"network": HASH}, "versions": {"homolog": "0.1.0"}, "seconds": 1.5, "seed": None}
    made = Panel(edits.new_id(), title, "$r^2$", spec, "brain", page="brain", view=(("area", "V1"),))
    return dataclasses.replace(
        made, chart={"mark": "bar", "data": {"values": [{"y": 0.1}]}}, record=record, **fields
    )


@pytest.fixture
def report() -> Report:
    items = (Section(edits.new_id(), "First"), panel(), Text(edits.new_id(), "Words"), panel("Second"))
    return Report("Lab meeting", items)


@pytest.fixture
def cabinet(tmp_path) -> session.Cabinet:
    return session.Cabinet(tmp_path / "sessions")


def saved(cabinet, report, **fields) -> session.Session:
    return cabinet.new(session.Session(session.new_id(), "Mine", report, **fields))


def fresh(cabinet) -> session.Cabinet:
    """A cabinet that remembers nothing, as after a restart."""
    return session.Cabinet(cabinet.folder)


def test_a_report_comes_back_equal(report):
    pair = panel(
        "Both", beside=(NetworkSpec(network="bundled:objects_cnn"),), beside_records=({"inputs": {}},)
    )
    nested = TrustSpec(attribution=AttributionSpec(network="bundled:objects_cnn", stimuli="objects"))
    whole = Report("All", (*report.items, pair, dataclasses.replace(panel(), id="abcdefabcdef", spec=nested)))
    text = json.dumps(plain.to_plain(whole))
    assert plain.from_plain(json.loads(text)) == whole


def test_edits_move_change_remove_and_restore(report):
    ids = [item.id for item in report.items]
    down = edits.moved(report, ids[0], 1)
    assert [item.id for item in down.items] == [ids[1], ids[0], ids[2], ids[3]]
    assert edits.moved(report, ids[3], 5) == report
    named = edits.changed(report, ids[1], title="Renamed", caption="New")
    assert (named.items[1].title, named.items[1].caption) == ("Renamed", "New")
    less, removed = edits.without(report, ids[2])
    assert [item.id for item in less.items] == [ids[0], ids[1], ids[3]]
    assert edits.restored(less, removed) == report


def test_a_caption_of_a_megabyte_and_a_full_report_get_a_sentence(report):
    with pytest.raises(InputError, match="1,048,576 characters; at most 20,000"):
        edits.changed(report, report.items[1].id, caption="x" * 2**20)
    full = Report(items=tuple(Text(f"{k:012x}", "") for k in range(edits.MOST_ITEMS)))
    with pytest.raises(InputError, match="200 items"):
        edits.inserted(full, Text(edits.new_id(), ""))
    with pytest.raises(InputError, match="no longer there"):
        edits.moved(report, "000000000000", 1)


def test_a_session_comes_back_after_a_restart(cabinet, report):
    made = saved(cabinet, report, choices=(("network", "bundled:tilt_cnn"),))
    after = cabinet.change(made.id, lambda s: dataclasses.replace(s, name="Renamed"))
    found = fresh(cabinet).open(fresh(cabinet).current())
    assert found.session == after
    assert found.note == ""
    assert found.session.report == report


def test_a_damaged_session_is_kept_and_its_backup_opens(cabinet, report):
    made = saved(cabinet, report)
    cabinet.change(made.id, lambda s: dataclasses.replace(s, name="Second"))
    path = cabinet.path(made.id)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = fresh(cabinet).open(made.id)
    assert found.session.report == report
    assert found.session.name == "Mine"
    assert "damaged" in found.note
    assert "backup" in found.note
    aside = list(cabinet.folder.glob("*.damaged-*"))
    assert [file.read_bytes() for file in aside] == [bytes(data)]
    assert fresh(cabinet).open(made.id).note == ""


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]\n[]", b"\xff\xfe", b'{"homolog": "session"}\n{}', b"[" * 10**5]
)
def test_without_a_backup_the_damaged_file_is_kept_and_a_sentence_said(cabinet, report, data):
    made = saved(cabinet, report)
    cabinet.path(made.id).write_bytes(data)
    with pytest.raises(InputError, match="damaged|not a session"):
        fresh(cabinet).open(made.id)
    assert [file.read_bytes() for file in cabinet.folder.glob("*.damaged-*")] == [data]
    assert fresh(cabinet).current() == ""


def test_a_session_of_a_newer_program_is_left_as_it_is(cabinet, report):
    made = saved(cabinet, report)
    cabinet.change(made.id, lambda s: dataclasses.replace(s, name="Second"))
    path = cabinet.path(made.id)
    head, body = path.read_bytes().split(b"\n", 1)
    newer = head.replace(b'"format": 1', b'"format": 9') + b"\n" + body
    path.write_bytes(newer)
    found = fresh(cabinet).open(made.id)
    assert "newer Homolog" in found.note
    assert found.session.id != made.id
    assert found.session.report == report
    fresh(cabinet).change(found.session.id, lambda s: dataclasses.replace(s, name="Third"))
    assert path.read_bytes() == newer
    problems = {entry.id: entry.problem for entry in fresh(cabinet).entries()}
    assert "newer" in problems[made.id]


def test_two_tabs_never_undo_each_other(cabinet, report):
    made = saved(cabinet, report)
    first, second = fresh(cabinet), fresh(cabinet)
    first.read(made.id), second.read(made.id)
    for kept, words in ((first, "one"), (second, "two")):
        kept.change(
            made.id,
            lambda s, words=words: dataclasses.replace(
                s, report=edits.inserted(s.report, Text(edits.new_id(), words))
            ),
        )
    texts = [item.text for item in fresh(cabinet).read(made.id).report.items if isinstance(item, Text)]
    assert texts == ["Words", "one", "two"]


def test_deleting_can_be_undone(cabinet, report):
    made = saved(cabinet, report)
    cabinet.delete(made.id)
    assert cabinet.entries() == []
    cabinet.undelete(made.id)
    assert cabinet.read(made.id).report == report
    with pytest.raises(InputError, match="no longer in the trash"):
        cabinet.undelete(made.id)


def test_only_shared_sessions_open_for_others(report):
    mine = session.cabinet("a" * 32)
    made = saved(mine, report)
    assert session.cabinet("b" * 32).entries() == []
    with pytest.raises(InputError, match="no longer shares"):
        session.shared(made.id)
    mine.change(made.id, lambda s: dataclasses.replace(s, shared=True))
    assert session.shared(made.id).report == report
    for wrong in ("", "../x", "0" * 32, "*"):
        with pytest.raises(InputError):
            session.shared(wrong)


def test_a_disk_that_cannot_be_written_loses_nothing(cabinet, report, monkeypatch):
    made = saved(cabinet, report)

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(session, "write_whole", full)
    with pytest.raises(InputError, match="could not be saved"):
        cabinet.change(made.id, lambda s: dataclasses.replace(s, name="Lost"))
    assert fresh(cabinet).read(made.id).name == "Mine"
