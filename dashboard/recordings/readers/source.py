"""What readers give: the arrays of a file with names, shapes and kinds, and a way to read each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from dashboard.errors import InputError, unknown

MOST_BYTES = 512 * 2**20
"""Most bytes of one array."""

MOST_ARRAYS = 10_000

OVER_TIME, TIMES_OF = " over time", "times of "
"""How names end of arrays that the reader puts into time bins itself, and what stands before their times."""

Kind = Literal["number", "text", "complex", "other"]


class Refused(InputError):
    """A file of a kind that is not opened."""


@dataclass(frozen=True)
class Array:
    """One array of a file, from what the file says of it.

    Attributes
    ----------
    name : str
        Where it is in the file.
    shape : tuple of int
    kind : "number", "text", "complex" or "other"
    dims : tuple of str
        Names of the axes where the file has them, else empty.
    note : str
        What else to know, in a few words.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind
    dims: tuple[str, ...] = ()
    note: str = ""

    @property
    def shape_text(self) -> str:
        """The shape as people write it: ``92 × 316``."""
        return " × ".join(map(str, self.shape)) or "1"


@dataclass(frozen=True)
class Source:
    """An opened file: its arrays, and how to read one.

    Attributes
    ----------
    format : str
        Title of the format.
    arrays : tuple of Array
    read : callable
        From the name of an array and the options of the recipe (start, stop, bin_ms, decimal, and columns to
        leave out) to its values: numbers as stored, texts as an object array of str.
    notes : tuple of str
        What a reader must know about the whole file.
    facts : Mapping of str to str
        What the file says of itself, such as the metric of its RDMs.
    partner : callable
        From the names of a label array and of an array of values to the label array that belongs to these
        values, where every file or subject has one of the same name.
    """

    format: str
    arrays: tuple[Array, ...]
    read: Callable[[str, Mapping[str, Any]], np.ndarray]
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    partner: Callable[[str, str], str] = lambda label, _: label

    def array(self, name: str) -> Array:
        """Return what the file says of an array.

        Raises
        ------
        InputError
            When there is none of this name.
        """
        for array in self.arrays:
            if array.name == name:
                return array
        raise unknown("array", shown(name), [a.name for a in self.arrays] or {"(none)"})


def kind_of(dtype: np.dtype) -> Kind:
    """Return what the entries of an array are."""
    return {"c": "complex", "U": "text", "S": "text"}.get(  # type: ignore[return-value]
        dtype.kind, "number" if dtype.kind in "biuf" else "other"
    )


def check_size(shape: tuple[int, ...], item_bytes: int, variable: str, name: str) -> None:
    """Refuse an array that would take more than 512 MB."""
    n_bytes = math.prod(shape) * max(item_bytes, 1)
    if n_bytes > MOST_BYTES:
        size = f"{n_bytes / 2**20:,.0f} MB" if n_bytes < 2**50 else "far too much"
        message = f'"{shown(variable)}" in "{name}" would need {size}.'
        raise InputError(message, f"The limit is {MOST_BYTES // 2**20} MB; save only what is needed.")


def shown(text: object, limit: int = 80) -> str:
    """Return text from a file without control characters and not longer than ``limit``."""
    clean = "".join(c if c.isprintable() else "?" for c in str(text))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def texts(values: np.ndarray) -> np.ndarray:
    """Return texts as an object array of str; bytes are read as UTF-8."""

    def text(value: Any) -> str:
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    flat = [text(value) for value in np.asarray(values).ravel().tolist()]
    found = np.empty(len(flat), dtype=object)
    found[:] = flat
    return found.reshape(np.shape(values))


def damaged(name: str, remedy: str = "Download or save it again.") -> InputError:
    """Return the error for a file that is not what it claims to be."""
    return InputError(f'"{name}" is not complete or is damaged.', remedy)
