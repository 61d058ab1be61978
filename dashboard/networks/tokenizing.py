"""Texts cut into tokens by a ``tokenizer.json``; what a stranger's does runs under limits elsewhere."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dashboard import guarded, settings
from dashboard.errors import InputError

_REMEMBERED = 4096


@dataclass(frozen=True)
class Encoding:
    """One text in tokens.

    Attributes
    ----------
    ids : tuple of int
        Numbers of the tokens.
    tokens : tuple of str
        The same as people read them.
    dropped : int
        How many tokens of the text are cut off because the network reads no more.
    cut : bool
        Whether anything is.
    """

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    dropped: int
    cut: bool


Encoder = Callable[[str], Encoding]


def encoding_of(found: Any) -> Encoding:
    """Return what the library says of a text."""
    rest = found.overflowing
    dropped = sum(mask == 0 for part in rest for mask in part.special_tokens_mask)
    return Encoding(tuple(found.ids), tuple(found.tokens), dropped, bool(rest))


def plain(tokenizer: Any) -> Encoder:
    """Return a function that encodes texts in this process."""
    return lambda text: encoding_of(tokenizer.encode(text))


def guarded_encoder(file: Path, longest: int, name: str) -> Encoder:
    """Return a function that encodes texts in a process of its own, with limits of memory and time.

    A tokenizer holds regular expressions, which can take longer than the world lasts for one short text.
    The process lives as long as the function, or until a text passes the limits.

    Parameters
    ----------
    file : Path
        ``tokenizer.json``, which somebody brought.
    longest : int
        Most tokens of a text.
    name : str
        What the network is called in messages.
    """
    child, lock = guarded.Child(), threading.Lock()

    @lru_cache(maxsize=_REMEMBERED)
    def encode(text: str) -> Encoding:
        try:
            with lock:
                found = child.ask(
                    "dashboard.networks.tokenizing:encode", str(file), longest, text, name="a text"
                )
        except guarded.OverLimit as error:
            seconds = settings.read_seconds()
            message = (
                f'The tokenizer of "{name}" did not finish a text within {seconds:.0f} seconds '
                "and the memory that it may have, or broke off."
            )
            raise InputError(message, "Use another tokenizer.json, or shorter texts.") from error
        return Encoding(tuple(found[0]), tuple(found[1]), *found[2:])

    weakref.finalize(encode, child.close)
    return encode


def encode(file: str, longest: int, text: str) -> list[Any]:
    """Encode a text where `guarded_encoder` asks for it; returns the fields of `Encoding`."""
    found = encoding_of(_opened(file, longest).encode(text))
    return [found.ids, found.tokens, found.dropped, found.cut]


@lru_cache(maxsize=1)
def _opened(file: str, longest: int) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    return tokenizer
