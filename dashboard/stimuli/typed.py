"""A text that somebody types, as stimuli of its own."""

from __future__ import annotations

from dashboard.errors import InputError
from dashboard.reference import Reference
from dashboard.stimuli import texts
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1


def load_typed(reference: Reference) -> Stimuli:
    """Load ``typed?text=TEXT``: one stimulus.

    Raises
    ------
    InputError
        When the text is empty, holds nothing that can be seen, or is far too long.
    """
    text = _text(reference)
    return Stimuli(
        reference=str(reference),
        title="A typed text",
        description="One text that was typed.",
        names=texts.names((text,)),
        digest=identify_typed(reference),
        draw=lambda _: texts.tile(text),
        texts=(text,),
    )


def identify_typed(reference: Reference) -> str:
    """Return the digest that `load_typed` gives: SHA-256 over the text."""
    return digest_of("typed", VERSION, _text(reference))


def _text(reference: Reference) -> str:
    reference.check_options(("text",))
    text = reference.options.get("text", "").strip()
    if not texts.one_line(text, 2):
        message = "There is no text."
        raise InputError(message, "Type a few words.")
    if len(text) > texts.MOST_CHARACTERS:
        message = f"The text has {len(text):,} characters."
        raise InputError(message, f"Give at most {texts.MOST_CHARACTERS:,} characters.")
    return text
