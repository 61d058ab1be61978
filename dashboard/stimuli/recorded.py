"""The pictures that were shown in a recording, as a source of stimuli."""

from __future__ import annotations

from dashboard import recordings
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli


def load_recorded(reference: Reference) -> Stimuli:
    """Load ``recording:NAME``; what follows the name are the recording's own options."""
    return recordings.load_stimuli(_inner(reference))


def identify_recorded(reference: Reference) -> str:
    """Return the digest that `load_recorded` gives, without reading the recording."""
    return recordings.identify_stimuli(_inner(reference))


def _inner(reference: Reference) -> str:
    return str(Reference(reference.rest, reference.options))
