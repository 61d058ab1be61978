"""Kills at random moments while editing; the full hundred is ``python -m benchmarks.session_kills``."""

from __future__ import annotations

import os

import pytest

from benchmarks import session_kills


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_no_kill_leaves_a_session_that_cannot_be_read_or_loses_a_saved_edit():
    seen = session_kills.run(10, seed=1, figures=3, size=20_000)
    assert seen.edits > 0
    assert (seen.unreadable, seen.lost) == (0, 0)
    assert seen.oldest_s < session_kills.MOST_LOST_S
