"""Reports as plain data for JSON, and back; what comes back is checked as if a stranger had written it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from dashboard import specs
from dashboard.errors import InputError
from dashboard.report import edits
from dashboard.report.model import Item, Panel, Report, Section, Text

_ID = re.compile(r"[0-9a-f]{12}")
_NAME = re.compile(r"[\w .:-]{0,120}")
_PAGE = re.compile(r"[a-z_]{0,40}")
LONGEST_VIEW = 60
DEEPEST = 60
"""Levels of brackets in a chart or record; figures have about twenty."""

LONGEST_ALT = 20_000
MOST_BESIDE = 5


def to_plain(report: Report) -> dict[str, Any]:
    """Return a report as dicts, lists and texts."""
    return {"title": report.title, "items": [item_to_plain(item) for item in report.items]}


def item_to_plain(item: Item) -> dict[str, Any]:
    """Return one item as a dict with its type."""
    if isinstance(item, Text):
        return {"type": "text", "id": item.id, "text": item.text}
    if isinstance(item, Section):
        return {"type": "section", "id": item.id, "title": item.title}
    values = {f.name: getattr(item, f.name) for f in dataclasses.fields(item)}
    return {
        "type": "panel",
        **values,
        "spec": item.spec.to_dict(),
        "beside": [spec.to_dict() for spec in item.beside],
        "beside_records": list(item.beside_records),
        "view": [list(pair) for pair in item.view],
    }


def from_plain(values: Any) -> Report:
    """Read a report from what `to_plain` gave.

    Raises
    ------
    InputError
        When anything is not as `to_plain` writes it, too long, too deep or too many.
    """
    values = _mapping(values, "report")
    items = values.get("items")
    if not isinstance(items, list) or len(items) > edits.MOST_ITEMS:
        raise _bad("list of items")
    read = tuple(item_from_plain(item) for item in items)
    if len({item.id for item in read}) < len(read):
        raise _bad("list of items, which names one twice")
    return edits.retitled(Report(items=read), _text(values, "title", edits.LONGEST_TITLE))


def item_from_plain(values: Any) -> Item:
    """Read one item; see `from_plain`."""
    values = _mapping(values, "item")
    kind = values.get("type")
    if not _ID.fullmatch(str(values.get("id"))):
        raise _bad("item without a proper id")
    if kind == "text":
        return edits.checked(Text(values["id"], _text(values, "text")))
    if kind == "section":
        return edits.checked(Section(values["id"], _text(values, "title")))
    if kind != "panel":
        raise _bad("item of an unknown type")
    return _panel(values)


def _panel(values: Mapping[str, Any]) -> Panel:
    beside = values.get("beside", [])
    records = values.get("beside_records", [])
    if not isinstance(beside, list) or not isinstance(records, list):
        raise _bad("figure side by side")
    if len(beside) > MOST_BESIDE or len(records) not in (0, len(beside)):
        raise _bad("figure side by side")
    name, page = _text(values, "name"), _text(values, "page")
    if not _NAME.fullmatch(name) or not _PAGE.fullmatch(page):
        raise _bad("figure's name")
    panel = Panel(
        id=values["id"],
        title=_text(values, "title"),
        caption=_text(values, "caption"),
        spec=specs.from_dict(values.get("spec")),
        name=name,
        page=page,
        view=_view(values.get("view", [])),
        chart=_tree(values.get("chart", {}), "chart"),
        record=_record(values.get("record", {})),
        alt=_text(values, "alt", LONGEST_ALT),
        beside=tuple(specs.from_dict(spec) for spec in beside),
        beside_records=tuple(_record(record) for record in records),
    )
    edits.checked(panel)
    return panel


def _view(pairs: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(pairs, list) or len(pairs) > LONGEST_VIEW:
        raise _bad("figure's link")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(v, str) for v in pair)):
            raise _bad("figure's link")
        if len(pair[0]) > 60 or len(pair[1]) > 4000:
            raise _bad("figure's link")
    return tuple((name, value) for name, value in pairs)


def _record(values: Any) -> dict[str, Any]:
    """Read a record: what pages show of it must have the types that they expect."""
    record = _tree(values, "record")
    for name in ("inputs", "versions"):
        part = record.get(name, {})
        if not isinstance(part, dict) or not all(isinstance(v, str) and len(v) < 200 for v in part.values()):
            raise _bad("record")
    if not isinstance(record.get("seconds", 0.0), int | float):
        raise _bad("record")
    if not re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+\d\d:\d\d)?)?", str(record.get("created") or "")):
        raise _bad("record")
    return record


def _tree(values: Any, what: str) -> dict[str, Any]:
    found = _mapping(values, what)
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return dict(found)
    raise _bad(f"{what}, which is nested too deeply")


def _mapping(values: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise _bad(what)
    return values


def _text(values: Mapping[str, Any], name: str, limit: int | None = None) -> str:
    text = values.get(name, "")
    if not isinstance(text, str) or (limit is not None and len(text) > limit):
        raise _bad(name)
    return text


def _bad(what: str) -> InputError:
    message = f"This is not a session that Homolog wrote: it holds an unusable {what}."
    return InputError(message, "Export the session again where it was made.")
