"""Pictures that somebody dropped on a page: ``upload:DIGEST``, kept as they came and read by workers only."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard import kept
from dashboard.errors import InputError
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever the same files give other names or another order; part of the digest."""

ENDINGS = ("png", "jpg", "jpeg", "webp")
MOST_FILES = 200
_AGAIN = "Drop the pictures on the Add page again."


def keep(given: Sequence[tuple[str, bytes]], session: str) -> str:
    """Keep uploaded pictures and return the reference that opens them; see `kept.keep`.

    Raises
    ------
    InputError
        When there is no file, or there are too many or too large ones.
    """
    if not 1 <= len(given) <= MOST_FILES:
        message = f"The upload holds {len(given) or 'no'} files."
        raise InputError(message, f"Give 1 to {MOST_FILES} pictures; more of them fit into a zip.")
    names = kept.display_names([name for name, _ in given], "picture")
    return kept.keep([(name, data) for name, (_, data) in zip(names, given, strict=True)], session).reference


def load_uploads(reference: Reference) -> Stimuli:
    """Load ``upload:DIGEST``; every picture is checked as those of a folder are.

    Raises
    ------
    InputError
        When the upload is not kept here (any more), or a file is not a picture that we read.
    """
    from dashboard.stimuli import files  # here, because it loads the picture library

    reference.check_options(())
    found = kept.opened(reference.name, _AGAIN)
    members = [files.Member(f.name, f.read) for f in found.files]
    title = f"{len(members)} uploaded picture{'s' if len(members) > 1 else ''}"
    return files.stimuli_of(reference, members, title, identify_uploads(reference))


def identify_uploads(reference: Reference) -> str:
    """Return the digest that `load_uploads` gives: names and SHA-256 of the files, without the session."""
    from dashboard.stimuli import pictures

    reference.check_options(())
    found = kept.opened(reference.name, _AGAIN)
    return digest_of("uploads", VERSION, pictures.VERSION, found.identity)
