"""The front door: a spec in, its labelled answer out, from the store or by running its analysis."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from dashboard import __version__, analyses, errors, provenance, store
from dashboard.specs import Spec

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)


def identity(source: str, reference: str) -> str:
    """Return the digest of what a reference names: of bytes and parameters, never of its text alone.

    Parameters
    ----------
    source : "network", "stimuli", "recording", "upload" or "outline", a network whose weights are unread
    reference : str

    Raises
    ------
    InputError
        When the reference is malformed, unknown, or names a file that is not there.
    """
    if source == "network":
        from dashboard import networks

        return networks.identity(reference)
    if source == "outline":
        from dashboard import networks

        return networks.unread_identity(reference)
    if source == "stimuli":
        from dashboard import stimuli

        return stimuli.identity(reference)
    if source == "upload":
        from dashboard import kept

        return kept.opened(reference).identity
    from dashboard import recordings

    return recordings.identity(reference)


def inputs(spec: Spec) -> dict[str, str]:
    """Return the digest of every network, stimulus set and recording that a spec names, by field."""
    found: dict[str, str] = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, Spec):
            found.update({f"{field.name}.{name}": digest for name, digest in inputs(value).items()})
        elif "source" in field.metadata and value:
            found[field.name] = identity(field.metadata["source"], value)
    return found


def key(spec: Spec) -> str:
    """Return the key of the answer: SHA-256 of settings, input digests and code versions.

    Two specs that name the same bytes in two ways have one key; a file that changes in place changes it.
    """
    payload = {
        "spec": _settings(spec),
        "inputs": inputs(spec),
        "analyses": analyses.versions(spec.kind),
        "homolog": __version__,
    }
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


def _settings(spec: Spec) -> dict[str, Any]:
    """Return the spec as a dict without the text of its references."""
    settings = spec.to_dict()
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, Spec):
            settings[field.name] = _settings(value)
        elif "source" in field.metadata:
            del settings[field.name]
    return settings


def stored(spec: Spec) -> xr.Dataset | None:
    """Return the answer if it lies in the store, without computing anything."""
    return store.default().open(key(spec))


def compute(spec: Spec) -> xr.Dataset:
    """Answer a spec.

    Returns
    -------
    xarray.Dataset
        Labelled values; ``attrs`` hold the title, the record (JSON) and the cautions (JSON).

    Raises
    ------
    HomologError
        With one sentence for the reader. Whatever was computed before stays stored.
    """
    analysis = analyses.ANALYSES[spec.kind]
    answer_key = key(spec) if analysis.kept else ""
    if analysis.kept:
        found = store.default().open(answer_key)
        if found is not None:
            for caution in cautions(found):
                errors.caution(caution.code, caution.message)
            return found
    start = time.monotonic()
    with errors.collect_cautions() as given:
        try:
            answer = analysis.run(spec)
        except MemoryError as error:
            raise errors.ComputeError(
                "There was not enough memory for this calculation.",
                "Choose fewer layers or stimuli, or another reducer such as spatial-mean.",
            ) from error
    record = provenance.record(
        spec, inputs(spec), time.monotonic() - start, device=answer.attrs.get("device")
    )
    answer.attrs["record"] = json.dumps(record, sort_keys=True)
    answer.attrs["cautions"] = json.dumps([dataclasses.asdict(c) for c in given])
    answer.attrs.setdefault("simulated", "no")
    if analysis.kept:
        store.default().put(answer_key, answer)
    for caution in given:
        errors.caution(caution.code, caution.message)
    return answer


def cautions(answer: xr.Dataset) -> list[errors.Caution]:
    """Return the cautions that an answer carries."""
    return [errors.Caution(**c) for c in json.loads(answer.attrs.get("cautions", "[]"))]
