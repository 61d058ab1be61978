"""Tables in text files, as recordings, texts and facts about pictures come in: decoded, split and checked."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dashboard.errors import InputError, listing

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(frozen=True)
class Table:
    """A table whose rows are all as long as its header.

    Attributes
    ----------
    header : tuple of str
        Without blanks around them; no name but the empty one comes twice.
    rows : list of list of str
        The cells below the header as they were written; rows of blanks are left out.
    lines : list of int
        On which line of the file each row ends.
    separator : str
        What stands between cells.
    """

    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    separator: str


def decoded(data: bytes, name: str, remedy: str) -> tuple[str, bool]:
    """Return the text of a file (UTF-8, UTF-16 with its mark, else Latin-1) and whether it was Latin-1.

    Raises
    ------
    InputError
        When it holds what no text holds; the remedy is the one given.
    """
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text, latin = data.decode(encoding), False
    except UnicodeDecodeError:
        text, latin = data.decode("latin-1"), True
    if "\0" in text:
        raise InputError(f'"{name}" is not a text file.', remedy)
    return text, latin


def table(text: str, name: str, check: Callable[[Sequence[str]], None] | None = None) -> Table:
    """Split a table; the separator is the one that its first line holds most often.

    Parameters
    ----------
    text, name : str
        The text, and what the file is called in messages.
    check : callable, optional
        Refuses a header that cannot be one, before rows are compared with it.

    Raises
    ------
    InputError
        When a quote is not closed, headers are equal, rows differ in length, or there is nothing.
    """
    head = text.partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        found = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        message = f'"{name}" is not a complete CSV file.'
        raise InputError(message, "Save it again; text with quotes needs them doubled.") from error
    if not found:
        raise InputError(f'"{name}" is empty.', "Give a table with a header.")
    header = tuple(cell.strip() for cell in found[0][1])
    if check is not None:
        check(header)
    twice = [cell for cell, count in Counter(header).items() if count > 1 and cell]
    if twice:
        message = f'"{name}" has several columns called {listing(_shown(cell) for cell in twice)}.'
        raise InputError(message, "Give every column a name of its own.")
    for line, row in found[1:]:
        if len(row) != len(header):
            message = f'Line {line} of "{name}" has {len(row)} cells where the header has {len(header)}.'
            raise InputError(message, f"The cells are read as separated by {SEPARATORS[separator]}s.")
    return Table(header, [row for _, row in found[1:]], [line for line, _ in found[1:]], separator)


def _shown(cell: str) -> str:
    # C covers control characters and those that turn the reading direction.
    clean = "".join("?" if unicodedata.category(c)[0] == "C" else c for c in cell)
    return clean if len(clean) <= 40 else clean[:39] + "…"
