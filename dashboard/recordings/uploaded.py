"""``upload:DIGEST``: a recording that somebody brought, read once by its recipe in a process of its own.

What was read is kept beside the files as plain arrays with their SHA-256, so that later questions neither
parse the files again nor trust them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dashboard import guarded, kept
from dashboard.errors import InputError, caution, collect_cautions, listing
from dashboard.recordings.recipe import Recipe, from_dict
from dashboard.recordings.recording import Recording
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 2
"""Raised whenever the same files and recipe give other values; part of the digest."""

_ARRAYS, _FACTS = f"read-{VERSION}.npz", f"read-{VERSION}.json"
_SIGNAL = "not said"


def load(reference: Reference) -> Recording:
    """Load a recording that somebody brought.

    Raises
    ------
    InputError
        When it is not kept here, has no recipe, or its files and recipe do not fit.
    """
    found, recipe = _opened(reference)
    facts, arrays = _read(found)
    stimuli = _stimuli(found, recipe, facts)
    names = stimuli.names
    areas = tuple(facts["responses"] or facts["rdms"])
    subjects = {area: tuple(facts["responses"].get(area) or facts["rdms"][area]) for area in areas}
    responses = {a: tuple(arrays[key] for key in s.values()) for a, s in facts["responses"].items()}
    surplus = {
        a: tuple(arrays[s[who]] if who in s else responses[a][k][:0] for k, who in enumerate(subjects[a]))
        for a, s in facts.get("surplus", {}).items()
    }
    courses = {a: tuple(arrays[key] for key in s.values()) for a, s in facts.get("courses", {}).items()}
    rdms = {a: np.stack([arrays[key] for key in s.values()]) for a, s in facts["rdms"].items()}
    movies = {a: np.stack([arrays[k] for k in s.values()]) for a, s in facts.get("movies", {}).items()}
    return Recording(
        reference=found.reference,
        title=found.title,
        description=f"{len(names)} stimuli, read from {listing(f.name for f in found.files)}.",
        citation=recipe.citation,
        terms=recipe.terms or "not said",
        species=recipe.species or "species not said",
        signal=recipe.signal or _SIGNAL,
        digest=identify(reference),
        stimulus_names=names,
        areas=areas,
        subjects=subjects,
        responses=responses,
        surplus=surplus,
        courses=courses,
        times_ms=tuple(facts.get("times_ms", ())),
        rdms=rdms,
        movies=movies,
        rdm_metric=recipe.metric if rdms else "",
        rdm_unit=recipe.metric or ("dissimilarity" if rdms else ""),
        units={area: rs[0].shape[-1] for area, rs in responses.items()},
        stimuli=stimuli,
    )


def identify(reference: Reference) -> str:
    """Return the digest of the recording: of its files, its recipe and its pictures, not of the session."""
    found, recipe = _opened(reference)
    return digest_of("brought", VERSION, found.identity, _stimuli_identity(recipe))


def load_stimuli(reference: Reference) -> Stimuli:
    """Load the pictures that the recipe joins by name; without any, the names as texts."""
    found, recipe = _opened(reference)
    return _stimuli(found, recipe, _read(found)[0])


def identify_stimuli(reference: Reference) -> str:
    """Return the digest that `load_stimuli` gives."""
    found, recipe = _opened(reference)
    return digest_of("brought-stimuli", VERSION, found.identity, _stimuli_identity(recipe))


def shown_stimuli(reference: Reference) -> str:
    """Return the reference of the stimuli that the recipe names, or ``""``."""
    return _opened(reference)[1].stimuli


def _opened(reference: Reference) -> tuple[kept.Kept, Recipe]:
    reference.check_options(())
    found = kept.opened(reference.name)
    if not found.recipe:
        message = f"Nobody has said yet how {found.title} is to be read."
        raise InputError(message, "Answer the questions on the Add page.")
    return found, from_dict(found.recipe)


def _stimuli_identity(recipe: Recipe) -> str:
    from dashboard import stimuli

    return stimuli.identity(recipe.stimuli) if recipe.stimuli else ""


# --- reading once ----------------------------------------------------------------------------------


def look(reference: str) -> dict[str, Any]:
    """Tell what is in the files of an upload: looked at in a process of its own; see `readers.look`."""
    found = kept.opened(reference)
    files = [[str(file.checked()), file.name] for file in found.files]
    result: dict[str, Any] = guarded.call(
        "dashboard.recordings.readers:look", files, name=found.files[0].name
    )
    return result


def _read(found: kept.Kept) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return facts and arrays of an upload, from what was kept when they are whole."""
    kept_before = _from_disk(found.folder)
    if kept_before is None:
        files = [[str(file.checked()), file.name] for file in found.files]
        name = found.files[0].name
        with collect_cautions() as told:
            facts = guarded.call(
                "dashboard.recordings.uploaded:convert",
                files,
                dict(found.recipe),
                str(found.folder),
                name=name,
            )
        facts["cautions"] = [dataclasses.astuple(c) for c in told]
        (found.folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        kept_before = _from_disk(found.folder)
        if kept_before is None:
            raise InputError(f'"{name}" could not be kept.', "Free some space on the server's disk.")
    for code, message in kept_before[0]["cautions"]:
        caution(code, message)
    return kept_before


def convert(files: list[list[str]], recipe: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Read files by a recipe and write plain arrays; runs in a process of its own (see `guarded`).

    Parameters
    ----------
    files : list of (path, name)
    recipe : mapping
    folder : str
        Where to write.

    Returns
    -------
    dict
        Names of the stimuli, keys of the arrays by area and subject, and the SHA-256 of the arrays.
    """
    from dashboard.recordings.assemble import assemble
    from dashboard.recordings.readers import open_all

    parts = assemble(open_all([(Path(path), name) for path, name in files]), from_dict(recipe))
    arrays: dict[str, np.ndarray] = {}

    def keys(given: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for area, subjects in given.items():
            for subject, values in subjects.items():
                key = f"a{len(arrays)}"
                arrays[key] = values
                found.setdefault(area, {})[subject] = key
        return found

    facts: dict[str, Any] = {
        "names": list(parts.names),
        "responses": keys(parts.responses),
        "surplus": keys(parts.surplus),
        "courses": keys(parts.courses),
        "times_ms": list(parts.times_ms),
        "rdms": keys(parts.rdms),
        "movies": keys(parts.movies),
        "columns": {
            name: [v if isinstance(v, str) else float(v) for v in values.tolist()]
            for name, values in parts.columns.items()
        },
        "by_position": parts.by_position,
    }
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    data = stream.getvalue()
    beside = Path(folder) / f"{_ARRAYS}.part"
    beside.write_bytes(data)
    beside.replace(Path(folder) / _ARRAYS)
    return facts | {"sha256": hashlib.sha256(data).hexdigest()}


def _from_disk(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    try:
        facts: dict[str, Any] = json.loads((folder / _FACTS).read_text("utf-8"))
        data = (folder / _ARRAYS).read_bytes()
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            return None
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return facts, {key: archive[key] for key in archive.files}
    except (OSError, ValueError, KeyError, EOFError):
        return None


# --- stimuli ---------------------------------------------------------------------------------------


def _stimuli(found: kept.Kept, recipe: Recipe, facts: Mapping[str, Any]) -> Stimuli:
    from dashboard.stimuli.texts import tile

    names = tuple(facts["names"])
    columns = {name: _column(values) for name, values in facts["columns"].items()}
    digest = digest_of("brought-stimuli", VERSION, found.identity, _stimuli_identity(recipe))
    if recipe.stimuli:
        shown = _joined(recipe, names, bool(facts["by_position"]), found.title)
        merged = {**shown.columns, **columns}
        return dataclasses.replace(
            shown, columns=merged, digest=digest, reference=f"recording:{found.reference}"
        )
    return Stimuli(
        reference=f"recording:{found.reference}",
        title=f"Names of the stimuli of {found.title}",
        description="The recording brings no pictures: these are the names alone.",
        names=names,
        columns=columns,
        digest=digest,
        draw=lambda i: tile(names[i]),
        texts=names,
    )


def _column(values: list[Any]) -> np.ndarray:
    if all(isinstance(v, float) for v in values):
        return np.array(values)
    found = np.empty(len(values), dtype=object)
    found[:] = [str(v) for v in values]
    return found


def _joined(recipe: Recipe, names: tuple[str, ...], by_position: bool, title: str) -> Stimuli:
    """Return the stimuli of the recipe in the order of the recording, matched by name."""
    from dashboard import stimuli

    shown = stimuli.load(recipe.stimuli)
    if by_position:
        if len(shown) != len(names):
            message = f"{title} has {len(names)} stimuli without names, and {shown.title} has {len(shown)}."
            raise InputError(message, "Give the names of the stimuli, or as many pictures.")
        caution(
            "joined-by-position",
            f"Stimuli and pictures are joined by position, the first with the first ({shown.names[0]}): a "
            "wrong order would not be noticed.",
        )
        return shown
    wanted = _spelled(names, shown.names)
    lacking = [name for name in wanted if name not in set(shown.names)]
    if lacking:
        message = f"{len(lacking)} of {len(names)} stimuli of {title} have no picture: {listing(lacking)}."
        remedy = f"Pictures are called like {listing(shown.names)}; name both alike."
        raise InputError(message, remedy)
    if wanted != names:
        caution("names-without-ending", "Endings such as .png were taken off the names to find the pictures.")
    return shown.subset(wanted)


def _spelled(names: tuple[str, ...], pictures: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names as the pictures have them: without the ending of a file where that makes them fit."""
    known = set(pictures)
    bare = tuple(n if n in known else n.rpartition(".")[0] or n for n in names)
    return bare if sum(n in known for n in bare) > sum(n in known for n in names) else names
