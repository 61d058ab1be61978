"""What can go wrong, in words: one family of errors, and cautions that travel with an answer."""

from __future__ import annotations

import contextlib
import contextvars
import difflib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


class HomologError(Exception):
    """An error that a user can read: what is wrong, and what to do about it.

    Parameters
    ----------
    problem : str
        One sentence that names the file, setting or value. Never a path of the server.
    remedy : str, optional
        One sentence that says what to do.
    """

    exit_status = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class InputError(HomologError):
    """What the user gave (a file, a name, a setting) cannot be used."""

    exit_status = 2


class ComputeError(HomologError):
    """The computation could not finish: a worker died, memory or disk ran out."""


class Cancelled(HomologError):
    """Somebody cancelled the computation."""

    def __init__(self, problem: str = "Cancelled.", remedy: str = "") -> None:
        super().__init__(problem, remedy)


def unknown(kind: str, name: str, allowed: Iterable[str]) -> InputError:
    """Error for a name that is not in a registry, with the nearest names.

    Examples
    --------
    >>> str(unknown("measure", "spearmann", ["spearman", "pearson"]))
    'There is no measure "spearmann". Did you mean spearman? Known: pearson, spearman.'
    """
    choices = sorted(allowed)
    near = difflib.get_close_matches(name, choices, n=3, cutoff=0.6)
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    shown = ", ".join(choices[:12]) + (f" and {len(choices) - 12} more" if len(choices) > 12 else "")
    return InputError(f'There is no {kind} "{name}".', f"{hint}Known: {shown}.")


def listing(names: Iterable[str], limit: int = 3) -> str:
    """Join the first few names and count the rest: ``'a, b, c and 4 more'``."""
    names = list(names)
    rest = len(names) - limit
    return ", ".join(map(str, names[:limit])) + (f" and {rest} more" if rest > 0 else "")


@dataclass(frozen=True)
class Caution:
    """Something a reader of the answer must know, in one sentence.

    Attributes
    ----------
    code : str
        Short stable name, such as ``"ties"`` or ``"constant-pattern"``.
    message : str
        The sentence that pages show.
    """

    code: str
    message: str


class CautionWarning(UserWarning):
    """Raised as a Python warning when nobody collects cautions (a notebook, say)."""


_collector: contextvars.ContextVar[list[Caution] | None] = contextvars.ContextVar("cautions", default=None)


def caution(code: str, message: str) -> None:
    """Tell whoever collects cautions (else Python's warnings) one sentence, once."""
    found = _collector.get()
    if found is None:
        warnings.warn(message, CautionWarning, stacklevel=2)
    elif Caution(code, message) not in found:
        found.append(Caution(code, message))


@contextlib.contextmanager
def collect_cautions() -> Iterator[list[Caution]]:
    """Collect the cautions given inside the block, in order and without repeats."""
    found: list[Caution] = []
    token = _collector.set(found)
    try:
        yield found
    finally:
        _collector.reset(token)
