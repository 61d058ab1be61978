"""The numbers of an answer as one short text, to tell whether two answers are the same to the last digit."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

TIMED = ("attribution-methods", "costs")
"""Kinds of answers that hold measured seconds, which no second run repeats."""


def digest(answer: xr.Dataset) -> str:
    """Return the SHA-256 of names, dimensions and every value of an answer; its record does not count."""
    found = hashlib.sha256()
    for name in sorted(map(str, answer.variables)):
        variable = answer.variables[name]
        values = np.asarray(variable.values)
        text = values.dtype.kind in "OUST"
        head = [name, list(map(str, variable.dims)), "text" if text else values.dtype.str, list(values.shape)]
        found.update(json.dumps(head).encode())
        if text:
            found.update(json.dumps([str(v) for v in values.ravel()], ensure_ascii=False).encode())
        else:
            found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def compared(answer: xr.Dataset, exported: str) -> str:
    """Say whether an answer holds the numbers whose digest was exported."""
    if digest(answer) == exported:
        return "The same numbers as in the report, to the last digit."
    return (
        "Other numbers than in the report: another device, version or input. Compare the record of the "
        "answer "
        "with the one in the report."
    )
