"""The methods section of a report, written from its records: inputs, what was done, versions, references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dashboard import provenance, specs
from dashboard.errors import HomologError
from dashboard.report import references
from dashboard.report.matter import Matter, sources
from dashboard.specs import Spec


@dataclass(frozen=True)
class Methods:
    """A methods section.

    Attributes
    ----------
    paragraphs : list of str
    listed : list of str
        The references as a list shows them.
    bibtex : str
        The same as a file.
    """

    paragraphs: list[str]
    listed: list[str]
    bibtex: str


def of(matter: Matter) -> Methods:
    """Return the methods section of a report."""
    found = [*_inputs(matter), *_done(matter), *_programs(matter)]
    text = "\n".join(found)
    works = references.cited(text)
    return Methods(found, [w.listed for w in works], "\n".join(w.bibtex for w in works))


def _done(matter: Matter) -> Iterator[str]:
    """Yield what was done, each text once, with the figures that it is about."""
    figures: dict[str, list[int]] = {}
    for number, panel in enumerate(matter.report.panels, 1):
        for spec in matter.specs(panel):
            text = provenance.described(spec)
            if text and number not in figures.setdefault(text, []):
                figures[text].append(number)
    for text, numbers in figures.items():
        which = ", ".join(map(str, numbers))
        yield f"Figure{'s' if len(numbers) > 1 else ''} {which}. {text}"


# --- inputs ------------------------------------------------------------------------------------------------


def _inputs(matter: Matter) -> Iterator[str]:
    """Yield a paragraph for every kind of input, with digests and preprocessing."""
    named: dict[str, dict[str, str]] = {"network": {}, "stimuli": {}, "recording": {}}
    for panel in matter.report.panels:
        records = matter.records(panel)
        for k, spec in enumerate(matter.specs(panel)):
            digests = _digests(spec, records[k] if k < len(records) else {})
            for source, reference in sources(spec):
                if source in named:
                    named[source].setdefault(reference, digests.get(reference, ""))
    for source, write in (("network", _network), ("stimuli", _stimuli), ("recording", _recording)):
        sentences = [write(matter, reference, digest) for reference, digest in named[source].items()]
        if sentences:
            yield f"{source.capitalize() if source == 'stimuli' else source.capitalize() + 's'}. " + " ".join(
                sentences
            )


def _digests(spec: Spec, record: dict[str, Any]) -> dict[str, str]:
    """Return the digest of every input that a record knows, by reference."""
    found: dict[str, str] = {}
    for path, digest in record.get("inputs", {}).items():
        value: Any = spec
        for name in path.split("."):
            value = getattr(value, name, None)
        if isinstance(value, str):
            found[value] = str(digest)
    return found


def _digest_words(digest: str) -> str:
    return f" (SHA-256 {digest[:12]})" if digest else ""


def _network(matter: Matter, reference: str, digest: str) -> str:
    facts = matter.answers.get(specs.NetworkSpec(network=reference))
    if facts is None:
        return f"{provenance.shown(reference)}{_digest_words(digest)}."
    parts = [f"{facts.attrs.get('title', '')}, {provenance.shown(reference)}{_digest_words(digest)}"]
    if facts.attrs.get("n_parameters"):
        parts[0] += f", {int(facts.attrs['n_parameters']):,} parameters"
    parts += [str(facts.attrs[name]) for name in ("weights", "preprocessing") if facts.attrs.get(name)]
    return " ".join(part.rstrip(".") + "." if not part.endswith("?") else part for part in parts)


def _stimuli(matter: Matter, reference: str, digest: str) -> str:
    facts = matter.answers.get(specs.StimuliSpec(stimuli=reference))
    number = f", {facts.sizes['stimulus']} stimuli" if facts is not None and "stimulus" in facts.sizes else ""
    return f"{provenance.shown(reference)}{_digest_words(digest)}{number}."


def _recording(matter: Matter, reference: str, digest: str) -> str:
    facts = matter.answers.get(specs.RecordingSpec(recording=reference))
    if facts is None:
        return f"{provenance.shown(reference)}{_digest_words(digest)}."
    words = [f"{facts.attrs.get('title', '')}, {provenance.shown(reference)}{_digest_words(digest)}"]
    words += [str(facts.attrs[name]) for name in ("description", "citation") if facts.attrs.get(name)]
    return " ".join(word.rstrip(".") + "." for word in words)


# --- programs ----------------------------------------------------------------------------------------------


def _programs(matter: Matter) -> Iterator[str]:
    records = [record for panel in matter.report.panels for record in matter.records(panel)]
    made = list(dict.fromkeys(provenance.made_with(record) for record in records))
    seeds = sorted({int(r["seed"]) for r in records if isinstance(r.get("seed"), int)})
    devices = sorted({str(r["device"]) for r in records if r.get("device")})
    parts = list(made)
    if seeds:
        parts.append(
            f"Random numbers had the {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}."
        )
    if devices:
        parts.append(f"Networks ran on {', '.join(devices)}.")
    if parts:
        yield "Programs. " + " ".join(parts)


def text_of(record: dict[str, Any]) -> str:
    """Return the methods text of one record, or nothing where it cannot be read."""
    try:
        return provenance.methods_text(record)
    except HomologError:
        return ""
