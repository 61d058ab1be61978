from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dashboard.errors import InputError
from dashboard.figures.overlay import Panel
from dashboard.ui.components import overlay

PICTURE = np.full((16, 16, 3), 90, dtype=np.uint8)
MAP = np.linspace(-1, 1, 16).reshape(4, 4)
PANELS = [
    Panel("Picture", PICTURE),
    Panel("fine", PICTURE, MAP, -1, 1, "logits", regions=np.arange(16).reshape(4, 4)),
    Panel("coarse", PICTURE, MAP[:2, :2], 0, 2, "share", "viridis"),
]


def unpacked(data: bytes) -> tuple[dict, dict[str, bytes]]:
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    body = data[4 + length :]
    return header, {name: body[start : start + size] for name, (start, size) in header["parts"].items()}


def test_message_holds_exact_values_and_each_picture_once():
    header, parts = unpacked(overlay.message(PANELS, "k", "three"))
    assert [name for name in parts if name.startswith("picture")] == ["picture0"]
    assert np.array_equal(np.frombuffer(parts["values1"], "<f4").reshape(4, 4), MAP.astype("f4"))
    assert np.frombuffer(parts["regions1"], "<u2").tolist() == list(range(16))
    assert [s["unit"] for s in header["scales"]] == ["logits", "share"]
    assert [s["signed"] for s in header["scales"]] == [True, False]
    assert header["linked"] is True
    assert header["panels"][0]["rows"] == 0


def test_digest_tells_what_is_drawn_and_not_what_is_marked():
    one, other, third = (
        unpacked(overlay.message(panels, marked=m))[0]["digest"]
        for panels, m in ((PANELS, None), (PANELS, (1, 1)), (PANELS[:2], None))
    )
    assert one == other != third


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "fine",
        ["fine", 1],
        ["fine", 4, 0],
        ["fine", -1, 0],
        ["x", 0, 0],
        ["fine", True, 0],
        [["a"], 0, 0],
    ],
)
def test_what_the_browser_sends_is_checked(sent):
    assert overlay.chosen(sent, PANELS) is None


def test_an_element_of_a_map_is_returned():
    assert overlay.chosen(["coarse", 1, 0], PANELS) == overlay.Place("coarse", 1, 0)


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="no map"):
        overlay.message([])


def test_script_writes_names_as_text_and_asks_nobody():
    script = Path(overlay.__file__).with_name("overlay.js").read_text("utf-8")
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|https?://|fetch\(", script)
