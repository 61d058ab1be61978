"""Loops that numpy has no words for, compiled to machine code on first use: for workers.

``compiled`` is numba's ``njit`` without Python's lock, so that threads run side by side. What it compiles is
kept beside the source, or in the user's cache, for later processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(*, reorder: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator of a function of arrays and numbers.

    Parameters
    ----------
    reorder : bool
        Leave the order of sums to the processor: of whole numbers below 2**53, or where the last digit
        does not matter.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract"} if reorder else False}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # there is no folder to keep it in: every process compiles anew
            return njit(**options)(function)

    return decorate
