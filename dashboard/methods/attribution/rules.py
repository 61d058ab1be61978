"""Attributions by changed rules of going backward, each on a private copy. Imports torch."""

from __future__ import annotations

from dashboard.methods.attribution import Report, guided
from dashboard.methods.attribution.base import Attribution, Explained, Settings


def guided_backprop(explained: Explained, settings: Settings, report: Report | None = None) -> Attribution:
    """Return guided backpropagation (Springenberg et al. 2015); of a token the sum over features."""
    found = guided.guided_gradient(explained)
    values = found.gradient.sum(-1) if explained.kind == "text" else found.gradient
    return Attribution(values[0], notes=guided.notes(found))


REFUSALS = {"guided_backprop": guided.no_guided}
