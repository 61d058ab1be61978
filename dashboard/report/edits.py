"""Changes to a report, each a function from one report to the next, within limits that files keep to."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from dashboard.errors import InputError
from dashboard.report.model import Item, Panel, Report, Section, Text

MOST_ITEMS = 200
LONGEST_TITLE = 200
LONGEST_TEXT = 20_000
"""Characters of a caption or a paragraph: some eight pages of print."""

MOST_REMOVED = 20
"""How many removals can be undone."""

Edit = Callable[[Report], Report]


@dataclass(frozen=True)
class Removed:
    """An item that was taken out, and where it stood."""

    item: Item
    place: int


def new_id() -> str:
    """Return twelve random hexadecimal digits."""
    return secrets.token_hex(6)


def place(report: Report, item_id: str) -> int:
    """Return where an item stands.

    Raises
    ------
    InputError
        When it is no longer there.
    """
    for k, item in enumerate(report.items):
        if item.id == item_id:
            return k
    message = "This part of the report is no longer there."
    raise InputError(message, "Somebody removed it, perhaps you in another tab; Undo brings it back.")


def inserted(report: Report, item: Item, at: int | None = None) -> Report:
    """Return the report with one more item, at the end unless told where.

    Raises
    ------
    InputError
        When the report is full, or a text too long.
    """
    if len(report.items) >= MOST_ITEMS:
        message = f"A report holds {MOST_ITEMS} items, and this one is full."
        raise InputError(message, "Remove what you do not show, or begin another session.")
    at = len(report.items) if at is None else at
    checked(item)
    return dataclasses.replace(report, items=(*report.items[:at], item, *report.items[at:]))


def moved(report: Report, item_id: str, by: int) -> Report:
    """Return the report with an item ``by`` places further down; it stops at the ends."""
    at = place(report, item_id)
    to = min(max(at + by, 0), len(report.items) - 1)
    items = list(report.items)
    items.insert(to, items.pop(at))
    return dataclasses.replace(report, items=tuple(items))


def changed(report: Report, item_id: str, **fields: Any) -> Report:
    """Return the report with some fields of one item changed.

    Raises
    ------
    InputError
        When the item is gone, or a text too long.
    """
    at = place(report, item_id)
    item = checked(cast("Item", dataclasses.replace(report.items[at], **fields)))
    return dataclasses.replace(report, items=(*report.items[:at], item, *report.items[at + 1 :]))


def without(report: Report, item_id: str) -> tuple[Report, Removed]:
    """Return the report without an item, and the item with its place."""
    at = place(report, item_id)
    rest = (*report.items[:at], *report.items[at + 1 :])
    return dataclasses.replace(report, items=rest), Removed(report.items[at], at)


def restored(report: Report, removed: Removed) -> Report:
    """Return the report with a removed item where it stood."""
    return inserted(report, removed.item, min(removed.place, len(report.items)))


def retitled(report: Report, title: str) -> Report:
    """Return the report under another title.

    Raises
    ------
    InputError
        When the title is too long.
    """
    return dataclasses.replace(report, title=_short(title, "title of the report"))


def checked(item: Item) -> Item:
    """Return the item when its texts are within the limits.

    Raises
    ------
    InputError
        With how long the text is and may be.
    """
    if isinstance(item, Text):
        _long(item.text, "text")
    elif isinstance(item, Section):
        _short(item.title, "section's title")
    elif isinstance(item, Panel):
        _short(item.title, "figure's title")
        _long(item.caption, "caption")
    return item


def _short(text: str, what: str) -> str:
    return _within(" ".join(text.split()), LONGEST_TITLE, what)


def _long(text: str, what: str) -> str:
    return _within(text, LONGEST_TEXT, what)


def _within(text: str, limit: int, what: str) -> str:
    if len(text) > limit:
        message = f"The {what} has {len(text):,} characters; at most {limit:,} are kept."
        raise InputError(
            message, "Shorten it, or divide it among several texts; the last one stays as it was."
        )
    return text
