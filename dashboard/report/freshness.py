"""Whether a pinned figure still shows what its question answers today, in sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dashboard import __version__, analyses, compute, provenance
from dashboard.errors import HomologError
from dashboard.report.model import Panel
from dashboard.specs import Spec

SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Freshness:
    """What changed since a figure was pinned.

    Attributes
    ----------
    missing : tuple of str
        Sentences that ask for inputs which are not here; without them nothing can be computed again.
    changed : tuple of str
        Sentences about inputs, analyses and versions that are others than then.
    """

    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def recorded(record: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """Return a record with the versions of the analyses behind it, which tell later whether they changed."""
    return {**record, "analyses": analyses.versions(spec.kind)}


def freshness(panel: Panel) -> Freshness:
    """Compare a pinned figure with what its specs name today; nothing is computed."""
    missing: list[str] = []
    changed: list[str] = []
    for spec, record in zip(panel.specs, panel.records or ({},), strict=False):
        then = record.get("inputs", {})
        for field, source, reference in sources(spec):
            try:
                now = compute.identity(source, reference)
            except HomologError as error:
                missing.append(_missing(source, reference, then.get(field, ""), error))
                continue
            if then.get(field, now) != now:
                changed.append(
                    f"The {source} {provenance.shown(reference)} has changed since this was pinned."
                )
        changed += _programs(record, spec)
    return Freshness(tuple(dict.fromkeys(missing)), tuple(dict.fromkeys(changed)))


def sources(spec: Spec, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield every input of a spec: its field as records name it, its kind, its reference."""
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, Spec):
            yield from sources(value, f"{prefix}{field.name}.")
        elif "source" in field.metadata:
            yield f"{prefix}{field.name}", field.metadata["source"], value


def _programs(record: Mapping[str, Any], spec: Spec) -> list[str]:
    found = []
    then = record.get("analyses", {})
    now = analyses.versions(spec.kind)
    other = [kind for kind in now if kind in then and then[kind] != now[kind]]
    if other:
        names = ", ".join(provenance.LABELS.get(kind, kind) for kind in other)
        found.append(f"How this is computed has changed since it was pinned ({names}).")
    version = record.get("versions", {}).get("homolog", __version__)
    if version != __version__:
        found.append(f"It was pinned with Homolog {version}; this is {__version__}.")
    return found


def _missing(source: str, reference: str, digest: str, error: HomologError) -> str:
    called = f"The {source} {provenance.shown(reference)} is not here"
    wanted = f" (digest {digest[:SHOWN_DIGITS]})" if digest else ""
    return f"{called}{wanted}: the figure is shown as it was pinned. {error.remedy or error.problem}".strip()
