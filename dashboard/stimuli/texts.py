"""Text stimuli: a line each, or a column of a CSV file, with unique names; text is shown, never obeyed."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dashboard import delimited
from dashboard.errors import InputError, caution, listing
from dashboard.reference import Reference
from dashboard.stimuli import files
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever the same file gives other texts, names or categories; part of the digest."""

OPTIONS = ("column", "category")
MOST_BYTES = 20 * 2**20
MOST_TEXTS = 20_000
MOST_CHARACTERS = 20_000
"""Most characters of one text; networks read a few hundred words at most."""

NAME_CHARACTERS = 60
TILE, MARGIN, LINE_CHARACTERS, LINES = 128, 8, 18, 8
PAPER, INK = (236, 236, 232), (60, 60, 60)


def load_texts(reference: Reference) -> Stimuli:
    """Load ``text:PATH[?column=NAME][&category=NAME]``.

    A file that ends in .csv or .tsv, or one asked for a column, is read as a table with a header: the texts
    are those of ``column`` (the only column, or the one called text or sentence, when it is not said), the
    categories those of ``category`` (a column of that name when it is not said). Any other file holds a text
    per line; lines without text are left out.

    Raises
    ------
    InputError
        When there is no such file or column, or it is not a text file or table within the limits.
    """
    path = _path(reference)
    return texts_of(reference, files.read_bytes(path), path.name, identify_texts(reference))


def texts_of(reference: Reference, data: bytes, name: str, digest: str) -> Stimuli:
    """Make the set from the bytes of a file; see `load_texts`.

    Parameters
    ----------
    reference : Reference
        Its options say the columns.
    data : bytes
    name : str
        What the file is called; its ending tells tables.
    digest : str
    """
    content = decoded(data, name)
    table = _table(content, name, reference)
    texts, categories, columns = (_lines(content), (), {}) if table is None else _from_table(*table, name)
    if not 1 <= len(texts) <= MOST_TEXTS:
        message = f'"{name}" holds {len(texts) or "no"} texts.'
        raise InputError(message, f"Give 1 to {MOST_TEXTS:,}, one per line or row.")
    for number, text in enumerate(texts, start=1):
        if len(text) > MOST_CHARACTERS:
            message = f'Text {number} of "{name}" has {len(text):,} characters.'
            raise InputError(message, f"Give texts of at most {MOST_CHARACTERS:,} characters.")
    return Stimuli(
        reference=str(reference),
        title=f'Texts of "{name}"',
        description=f'{len(texts)} texts of "{name}".',
        names=names(texts),
        categories=categories,
        columns=columns,
        digest=digest,
        draw=lambda i: tile(texts[i]),
        texts=texts,
    )


def identify_texts(reference: Reference) -> str:
    """Return the digest that `load_texts` gives: SHA-256 over the file's bytes and how they are read."""
    path = _path(reference)
    how = dict(sorted(reference.options.items()))
    return digest_of("texts", VERSION, files.file_digest(path), path.suffix.casefold(), how)


def names(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return a unique name per text: the text on one line, shortened, with a number when it is taken.

    Examples
    --------
    >>> names(("a cat", "a cat", "a  dog"))
    ('a cat', 'a cat (2)', 'a dog')
    """
    found: list[str] = []
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    for text in texts:
        short = one_line(text, NAME_CHARACTERS) or "(no visible text)"
        name = short
        while name in taken:
            counts[short] += 1
            name = f"{short} ({counts[short] + 1})"
        taken.add(name)
        found.append(name)
    return tuple(found)


def one_line(text: str, limit: int) -> str:
    """Return a text in normal form C on one line, without control and direction characters, shortened."""
    # C covers control characters, those that turn the reading direction, and halves of surrogate pairs.
    spaced = "".join(" " if c.isspace() else c for c in text)
    shown = "".join(c for c in spaced if unicodedata.category(c)[0] != "C")
    shown = unicodedata.normalize("NFC", " ".join(shown.split()))
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def tile(text: str) -> np.ndarray:
    """Return the first words of a text on a plain tile, (128, 128, 3) uint8."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (TILE, TILE), PAPER)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=12)
    for row, line in enumerate(_wrapped(one_line(text, LINE_CHARACTERS * LINES))):
        pen.text((MARGIN, MARGIN + 14 * row), line, fill=INK, font=font)
    return np.asarray(image).copy()


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        word = word if len(word) <= LINE_CHARACTERS else word[: LINE_CHARACTERS - 1] + "…"
        if lines[-1] and len(lines[-1]) + 1 + len(word) > LINE_CHARACTERS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:LINES]


# Reading ------------------------------------------------------------------------------------------------


def _path(reference: Reference) -> Path:
    reference.check_options(OPTIONS)
    return files.find(reference.rest, "text")


def decoded(data: bytes, name: str) -> str:
    """Return the text of a file: UTF-8, UTF-16 with its mark, else Latin-1, which is told.

    Raises
    ------
    InputError
        When it is too large or no text.
    """
    if len(data) > MOST_BYTES:
        message = f'"{name}" has {len(data) / 2**20:.0f} MB, more than {MOST_BYTES // 2**20} MB.'
        raise InputError(message, "Give a smaller file of texts.")
    text, latin = delimited.decoded(data, name, "Give one text per line in UTF-8, or a CSV file.")
    if latin:
        caution("texts-latin-1", f'"{name}" is not UTF-8 and was read as Latin-1.')
    return text


def _lines(content: str) -> tuple[str, ...]:
    # Not splitlines, which also ends a line at marks that may stand inside a text (U+2028, form feed).
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return tuple(line.strip() for line in lines if one_line(line, 2))


def _table(
    content: str, name: str, reference: Reference
) -> tuple[delimited.Table, str | None, str | None] | None:
    """Return the table, asked column and asked category of a table, or None for a file of lines."""
    column, category = reference.options.get("column"), reference.options.get("category")
    if not name.casefold().endswith((".csv", ".tsv")) and column is None:
        if category is None:
            return None
        message = f'category of "{name}" needs the column of the texts as well.'
        raise InputError(message, f"Write text:{name}?column=NAME&category=NAME.")
    return delimited.table(content, name), column, category


def _from_table(
    table: delimited.Table, column: str | None, category: str | None, name: str
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, np.ndarray]]:
    """Return texts, categories and the other columns of a table."""
    header, body = table.header, table.rows
    place = _place(header, column, ("text", "sentence"), "column", name)
    if place is None:
        message = f'"{name}" has the columns {listing((one_line(c, 40) for c in header), 6)}.'
        raise InputError(message, "Say which one holds the texts: add ?column=NAME to the reference.")
    kind = _place(header, category, ("category",), "category", name)
    body = [row for row in body if one_line(row[place], 2)]
    texts = tuple(row[place].strip() for row in body)
    categories = tuple(one_line(row[kind], 100) for row in body) if kind is not None and kind != place else ()
    others = {
        header[i]: values([row[i] for row in body])
        for i in range(len(header))
        if i not in (place, kind) and header[i]
    }
    return texts, categories, others


def _place(
    header: Sequence[str], asked: str | None, usual: tuple[str, ...], what: str, name: str
) -> int | None:
    """Return the position of the asked column, else of the usual one, else None."""
    if asked is not None:
        if asked not in header:
            message = f'"{name}" has no column "{one_line(asked, 40)}".'
            raise InputError(message, f"It has {listing((one_line(c, 40) for c in header), 6)}.")
        return header.index(asked)
    if what == "column" and len(header) == 1:
        return 0
    return next((i for i, cell in enumerate(header) if cell.casefold() in usual), None)


def values(cells: list[str]) -> np.ndarray:
    """Return a column as numbers when all cells are, else as text without what cannot be shown."""
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError:
        return np.array([one_line(cell, 200) for cell in cells], dtype=object)
