"""A session as one small file to take to another machine, and back from one that a stranger may have written.

The file holds specs, words and records, and of each figure a picture instead of the chart: a chart is a small
program, a picture is none. On the other side a figure is drawn anew once its answer is there.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import io
import json
from typing import Any

from dashboard import __version__, networks, recordings, stimuli
from dashboard.errors import HomologError, InputError
from dashboard.report import edits, plain, session
from dashboard.report.freshness import sources
from dashboard.report.model import Item, Panel
from dashboard.report.session import Session
from dashboard.specs import Spec

LARGEST_IMPORT = 32 * 2**20
WIDTH = 720
MOST_PIXELS = 25_000_000
_ROOTS = {
    "network": networks.inside_roots,
    "stimuli": stimuli.inside_roots,
    "recording": recordings.inside_roots,
}


def pack(given: Session) -> bytes:
    """Return a session as the bytes of a file for another machine."""
    items = []
    for item in given.report.items:
        values = plain.item_to_plain(dataclasses.replace(item, chart={}) if isinstance(item, Panel) else item)
        if isinstance(item, Panel) and item.chart:
            values["picture"] = base64.b64encode(picture(item.chart)).decode()
        items.append(values)
    body = {
        "id": given.id,
        "name": given.name,
        "report": {"title": given.report.title, "items": items},
        "choices": dict(given.choices),
        "saved": given.saved,
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    head = {"homolog": "session", "format": session.FORMAT, "app": __version__}
    digest = hashlib.sha256(text).hexdigest()
    return json.dumps({**head, "sha256": digest}).encode() + b"\n" + text + b"\n"


def picture(chart: dict[str, Any]) -> bytes:
    """Return a chart as a PNG, half as fine again as on a screen; nothing when it cannot be drawn."""
    import vl_convert
    from PIL import Image

    try:
        drawn = vl_convert.vegalite_to_png(chart, scale=1.5, allowed_base_urls=[])
    except ValueError:
        return b""
    file = io.BytesIO()
    # 256 colours of its own are a picture to look at in a fourth of the size.
    with Image.open(io.BytesIO(drawn)) as opened:
        opened.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def unpack(data: bytes) -> Session:
    """Read a file that `pack` wrote, as a session of its own with a new id.

    Nothing of the file is run, no chart in it is used, and no reference to a file outside the folders that
    this server opens is let in.

    Raises
    ------
    InputError
        When the file is too large, damaged, of a newer program, or holds what it must not.
    """
    if len(data) > LARGEST_IMPORT:
        limit = f"sessions of at most {LARGEST_IMPORT >> 20} MB are read"
        message = f"This file has {len(data) / 2**20:.0f} MB; {limit}."
        raise InputError(message, "Export it again with fewer figures.")
    body = session.parts(data)
    read = session.from_body({**body, "removed": []})
    raw = body["report"]["items"]
    items = tuple(_item(item, values) for item, values in zip(read.report.items, raw, strict=True))
    report = dataclasses.replace(read.report, items=items)
    return Session(session.new_id(), read.name, report, read.choices)


def _item(item: Item, values: dict[str, Any]) -> Item:
    """Return an item with an id of ours and, instead of a chart, the picture that came along."""
    item = dataclasses.replace(item, id=edits.new_id())
    if not isinstance(item, Panel):
        return item
    for spec in item.specs:
        allow(spec)
    return dataclasses.replace(item, chart=_chart(values.get("picture", "")))


def allow(spec: Spec) -> None:
    """Raise when a spec names a file outside the folders that this server opens.

    Raises
    ------
    InputError
    """
    for _, source, reference in sources(spec):
        try:
            inside = _ROOTS[source](reference)
        except HomologError:  # what it names is unknown here; whoever looks is told so at the figure
            continue
        if not inside:
            message = f"The {source} of a figure names a file outside the folders that this server opens."
            raise InputError(message, "Put the file into the server's folder, or name another.")


def _chart(text: Any) -> dict[str, Any]:
    """Return a chart of our own that shows a checked picture; empty where there is none."""
    from PIL import Image

    if not text:
        return {}
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
        with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                raise _bad_picture()
            bare = opened.convert("RGB")
    except (ValueError, OSError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        raise _bad_picture() from None
    file = io.BytesIO()
    bare.save(file, "PNG")
    shown = round(WIDTH * height / max(width, 1))
    mark = {
        "type": "image",
        "url": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode(),
        "width": WIDTH,
        "height": shown,
    }
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": [{}]},
        "mark": mark,
        "width": WIDTH,
        "height": shown,
        "config": {"view": {"stroke": None}},
    }


def _bad_picture() -> InputError:
    message = "A picture in this file is damaged or too large."
    return InputError(message, "Export the session again where it was made.")
