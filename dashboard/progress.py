"""How far a computation is, told to whoever listens: a page, a terminal or nobody."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator

Listener = Callable[[float, str], None]

_listener: contextvars.ContextVar[Listener | None] = contextvars.ContextVar("progress", default=None)


def report(fraction: float, phrase: str) -> None:
    """Say that ``fraction`` (0 to 1) of the current part is done, and what is being done.

    The listener may raise `errors.Cancelled`; call this between batches, at least once a second.
    """
    listener = _listener.get()
    if listener is not None:
        listener(min(max(float(fraction), 0.0), 1.0), phrase)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send the reports made inside the block to ``listener``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextlib.contextmanager
def part(start: float, stop: float) -> Iterator[None]:
    """Map the reports made inside the block onto ``start`` to ``stop`` of the whole."""
    outer = _listener.get()
    if outer is None:
        yield
        return
    with listening(lambda fraction, phrase: outer(start + (stop - start) * fraction, phrase)):
        yield
