"""CSV and parquet tables: every column is an array, and all columns of numbers together are one, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dashboard import delimited
from dashboard.errors import InputError, listing
from dashboard.recordings.readers.source import (
    Array,
    Kind,
    Refused,
    Source,
    check_size,
    damaged,
    shown,
    texts,
)

ALL_NUMBERS = "(all number columns)"
"""Name of the array that joins the columns of numbers: rows × columns."""

MOST_COLUMNS = 50_000
MOST_CSV_BYTES = 200 * 2**20
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "missing"})
"""Cells that stand for a missing number; in columns of text they stay what they are."""


# --- CSV -------------------------------------------------------------------------------------------


def open_csv(path: Path, name: str) -> Source:
    """Open a CSV or TSV file with a header.

    Raises
    ------
    InputError
        When it is no such file, rows differ in length, headers are equal, or a quote is not closed.
    """
    text, notes = _text(path, name)
    header, columns, lines, separator = _columns(text, name)
    decimal = _decimal(columns, separator)
    facts = {"decimal": decimal, "separator": separator}
    if decimal == ",":
        notes.append("The numbers have decimal commas.")
    kinds: dict[str, Kind] = {
        head: "number" if _numbers(cells, decimal) else "text" for head, cells in columns.items()
    }
    arrays = [Array(head, (len(lines),), kinds[head], note=_preview(columns[head])) for head in header]
    arrays += _joined(header, kinds, len(lines))

    def read(label: str, options: Mapping[str, Any]) -> np.ndarray:
        sign = str(options.get("decimal") or decimal)
        if label == ALL_NUMBERS:
            chosen = _number_columns(header, kinds, options)
            return np.stack([_read(columns[h], h, lines, sign, name) for h in chosen], axis=1)
        if options.get("text") or kinds[label] == "text":
            return texts(np.array(columns[label], dtype=object))
        return _read(columns[label], label, lines, sign, name)

    return Source("CSV table", tuple(arrays), read, notes=tuple(notes), facts=facts)


def _text(path: Path, name: str) -> tuple[str, list[str]]:
    """Return the text of a file: UTF-8, UTF-16 with its mark, else Latin-1, which is told."""
    if path.stat().st_size > MOST_CSV_BYTES:
        message = f'"{name}" is larger than {MOST_CSV_BYTES // 2**20} MB.'
        raise Refused(message, "Save large tables as parquet or .npz.")
    text, latin = delimited.decoded(path.read_bytes(), name, "Save the table as CSV in UTF-8.")
    return text, ["The file is not UTF-8 and was read as Latin-1."] if latin else []


def _columns(text: str, name: str) -> tuple[list[str], dict[str, list[str]], list[int], str]:
    """Return header, cells by column, line number of each row, and the separator."""
    table = delimited.table(text, name, partial(_check_header, name))
    if not table.rows:
        message = f'"{name}" has no rows below a header.'
        raise InputError(message, "Give a table with a header and a row per stimulus or trial.")
    header = _header(table.header, name)
    check_size((len(table.rows), len(header)), 8, "the table", name)
    cells = {label: [row[i].strip() for row in table.rows] for i, label in enumerate(header)}
    return header, cells, table.lines, table.separator


def _check_header(name: str, cells: Sequence[str]) -> None:
    if len(cells) > MOST_COLUMNS:
        message = f'"{name}" has {len(cells):,} columns, more than {MOST_COLUMNS:,}.'
        raise Refused(message, "Save wide data as .npz or parquet.")
    if all(_number(cell, ".") is not None for cell in cells):
        message = f'The first line of "{name}" holds numbers, where the names of the columns should be.'
        raise InputError(message, "Add a header line with a name per column.")


def _header(cells: Sequence[str], name: str) -> list[str]:
    named = [shown(cell, 200) if cell else f"column {i}" for i, cell in enumerate(cells, 1)]
    if len(set(named)) < len(named):
        message = f'"{name}" has columns without a name, or with one that is taken.'
        raise InputError(message, "Give every column a name of its own.")
    return named


def _number(cell: str, decimal: str) -> float | None:
    """Return a cell as a number, NaN for a missing one, None when it is none."""
    if cell.casefold() in MISSING:
        return float("nan")
    if "_" in cell or (decimal == "," and "." in cell):
        return None
    try:
        return float(cell.replace(",", ".", 1) if decimal == "," else cell)
    except ValueError:
        return None


def _numbers(cells: Sequence[str], decimal: str) -> bool:
    """Tell whether most cells of a column are numbers; one odd cell is told by its line."""
    found = [_number(cell, decimal) for cell in cells if cell.casefold() not in MISSING]
    return bool(found) and sum(value is not None for value in found) > len(found) / 2


def _decimal(columns: Mapping[str, Sequence[str]], separator: str) -> str:
    """Return the decimal sign with which more columns are numbers."""
    if separator == ",":
        return "."
    counts = {sign: sum(_numbers(cells, sign) for cells in columns.values()) for sign in (".", ",")}
    return "," if counts[","] > counts["."] else "."


def _read(cells: Sequence[str], label: str, lines: Sequence[int], decimal: str, name: str) -> np.ndarray:
    values = [_number(cell, decimal) for cell in cells]
    for value, cell, line in zip(values, cells, lines, strict=True):
        if value is None:
            message = f'Line {line} of "{name}" has "{shown(cell, 40)}" in column "{shown(label, 40)}".'
            raise InputError(message, f'Give numbers with the decimal sign "{decimal}" and no units.')
    return np.array(values, dtype=np.float64)


# --- parquet ---------------------------------------------------------------------------------------


def open_parquet(path: Path, name: str) -> Source:
    """Open a parquet file; columns of lists and structs are left out.

    Raises
    ------
    InputError
        When it is damaged or would take too much.
    """
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        rows, schema = file.metadata.num_rows, file.schema_arrow
    except Exception as error:  # the library raises many kinds on damaged files
        raise damaged(name) from error
    if len(schema.names) > MOST_COLUMNS:
        raise Refused(f'"{name}" has {len(schema.names):,} columns.', f"The limit is {MOST_COLUMNS:,}.")
    check_size((rows, len(schema.names)), 8, "the table", name)
    kinds: dict[str, Kind] = {}
    for field in schema:
        kind = _arrow_kind(field.type)
        if kind is not None:
            kinds[shown(field.name, 200)] = kind
    header = list(kinds)
    notes = [f"{len(schema.names) - len(header)} columns are lists or structs and are left out."]
    if len(schema.names) == len(header):
        notes = []
    arrays = [Array(head, (rows,), kinds[head]) for head in header] + _joined(header, kinds, rows)

    def read(label: str, options: Mapping[str, Any]) -> np.ndarray:
        chosen = _number_columns(header, kinds, options) if label == ALL_NUMBERS else [label]
        try:
            table = file.read(columns=chosen)
            found = [table.column(head).to_numpy() for head in chosen]
        except Exception as error:
            raise damaged(name) from error
        if label == ALL_NUMBERS:
            return np.stack([np.asarray(values, dtype=np.float64) for values in found], axis=1)
        return texts(found[0]) if kinds[label] == "text" else np.asarray(found[0], dtype=np.float64)

    return Source("Parquet table", tuple(arrays), read, notes=tuple(notes))


def _arrow_kind(kind: Any) -> Kind | None:
    import pyarrow.types as types

    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return "number"
    if types.is_dictionary(kind):
        kind = kind.value_type
    return "text" if types.is_string(kind) or types.is_large_string(kind) else None


# --- both ------------------------------------------------------------------------------------------


def _number_columns(
    header: Sequence[str], kinds: Mapping[str, Kind], options: Mapping[str, Any]
) -> list[str]:
    """Return the columns of numbers but for those that tell something else, such as a time."""
    without = options.get("without", ())
    found = [head for head in header if kinds[head] == "number" and head not in without]
    if not found:
        message = "No column of numbers is left beside those of stimuli, times, repeats and subjects."
        raise InputError(message, "Choose the column of the responses.")
    return found


def _joined(header: Sequence[str], kinds: Mapping[str, Kind], rows: int) -> list[Array]:
    numbers = [head for head in header if kinds[head] == "number"]
    if len(numbers) < 2:
        return []
    return [Array(ALL_NUMBERS, (rows, len(numbers)), "number", ("row", "column"), listing(numbers))]


def _preview(cells: Sequence[str]) -> str:
    return ", ".join(shown(cell, 20) for cell in cells[:3])
