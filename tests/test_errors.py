"""Errors and cautions say what is wrong, once."""

from __future__ import annotations

import pickle

import pytest

from dashboard import errors, progress


def test_errors_survive_the_trip_from_a_worker():
    error = pickle.loads(pickle.dumps(errors.InputError("a.pt is empty.", "Save it again.")))
    assert str(error) == "a.pt is empty. Save it again."
    assert error.exit_status == 2


def test_unknown_lists_nearest_and_known():
    message = str(errors.unknown("metric", "corelation", [f"m{i}" for i in range(20)] + ["correlation"]))
    assert "Did you mean correlation?" in message
    assert "and 9 more" in message


def test_cautions_are_collected_once_and_do_not_leak():
    with errors.collect_cautions() as outer:
        errors.caution("ties", "There are ties.")
        with errors.collect_cautions() as inner:
            errors.caution("few", "Few stimuli.")
        errors.caution("ties", "There are ties.")
    assert [c.code for c in outer] == ["ties"]
    assert [c.code for c in inner] == ["few"]


def test_an_uncollected_caution_is_a_python_warning():
    with pytest.warns(errors.CautionWarning, match="There are ties"):
        errors.caution("ties", "There are ties.")


def test_progress_parts_nest():
    heard = []
    with progress.listening(lambda f, p: heard.append((round(f, 6), p))):
        with progress.part(0.5, 1.0):
            progress.report(0.0, "a")
            with progress.part(0.0, 0.5):
                progress.report(1.0, "b")
        progress.report(2.0, "c")
    progress.report(0.1, "nobody listens")
    assert heard == [(0.5, "a"), (0.75, "b"), (1.0, "c")]


def test_listing():
    assert errors.listing("abcde") == "a, b, c and 2 more"
    assert errors.listing("ab") == "a, b"
