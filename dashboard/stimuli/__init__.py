"""Stimuli: generated gratings, folders and zips of pictures, the pictures of a recording, and texts.

``load("gratings?orientations=8")`` gives a `Stimuli`, ``identity`` its digest without drawing; ``SOURCES`` is
the registry. Nothing here imports torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard import reference as references
from dashboard.errors import InputError, unknown
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli

__all__ = [
    "SOURCES",
    "Entry",
    "Source",
    "Stimuli",
    "catalogue",
    "choices",
    "identity",
    "inside_roots",
    "load",
]


@dataclass(frozen=True)
class Source:
    """One way to get stimuli.

    Attributes
    ----------
    title, description : str
        For lists of choices; one sentence says what it gives.
    example : str
        A reference that can be typed; for a source of files with PATH in place of the path.
    options : tuple of str
        Names of the options.
    load : Callable
        Gives the stimuli of a reference.
    identify : Callable
        Gives the digest that ``load`` would give, quickly.
    files : bool
        True when the reference names a path of this machine.
    generated : bool
        True when the name alone, without options, is a reference that needs no file.
    """

    title: str
    description: str
    example: str
    options: tuple[str, ...]
    load: Callable[[Reference], Stimuli]
    identify: Callable[[Reference], str]
    files: bool = False
    generated: bool = False


@dataclass(frozen=True)
class Entry:
    """A stimulus set to choose: what to load, its heading, and what else to know in a few words."""

    reference: str
    title: str
    note: str


_FILES = {".zip": "zip", ".txt": "text", ".csv": "text", ".tsv": "text"}
"""Source that reads a file in the stimuli folder, by its ending."""


def load(ref: str) -> Stimuli:
    """Load stimuli.

    Parameters
    ----------
    ref : str
        ``gratings?…``, ``neuromatch-gratings?…``, ``objects?…``, ``digits?…``, ``sentences?…``,
        ``latents?…``, ``folder:PATH``, ``zip:PATH``, ``recording:NAME``, ``text:PATH?…``,
        ``typed?text=TEXT`` or ``upload:DIGEST``.

    Raises
    ------
    InputError
        When there is no such source, an option does not fit, or a file is not what it should be.
    """
    source, reference = _find(ref)
    return source.load(reference)


def identity(ref: str) -> str:
    """Return the digest of the stimuli, equal to ``load(ref).digest``, without drawing or decoding."""
    source, reference = _find(ref)
    return source.identify(reference)


def catalogue() -> dict[str, Source]:
    """Return the sources of stimuli by name."""
    return dict(SOURCES)


def choices() -> list[Entry]:
    """Return what can be chosen: generators, pictures of recordings, and what is in the stimuli folder."""
    from dashboard import recordings, settings

    entries = [
        Entry(name, source.title, source.description) for name, source in SOURCES.items() if source.generated
    ]
    for entry in recordings.catalogue():
        if entry.pictures and _is_known(entry.reference):
            entries.append(Entry(f"recording:{entry.reference}", f"Pictures of {entry.title}", entry.note))
    for file in sorted(settings.home().glob("stimuli/*")):
        kind = "folder" if file.is_dir() else _FILES.get(file.suffix.casefold(), "")
        if kind and not file.name.casefold().startswith((".", "readme", "licence", "license")):
            note = "your texts" if kind == "text" else f"your {kind} of pictures"
            entries.append(Entry(str(Reference(f"{kind}:{file.name}")), file.name, note))
    return entries


def _is_known(recording: str) -> bool:
    """Tell whether the pictures of a recording can be named: some are known only after their first fetch."""
    from dashboard import recordings

    try:
        return bool(recordings.identify_stimuli(recording))
    except InputError:
        return False


def inside_roots(ref: str) -> bool:
    """Return whether a page may open this reference: it names no path, or one in the folders for stimuli."""
    source, reference = _find(ref)
    if reference.scheme == "recording":
        from dashboard import recordings

        return recordings.inside_roots(str(Reference(reference.rest, reference.options)))
    if not source.files:
        return True
    from dashboard.stimuli import files  # here, because it loads the picture library

    return files.inside_roots(reference)


def _find(ref: str) -> tuple[Source, Reference]:
    reference = references.parse(ref)
    name = reference.scheme or reference.name
    if name not in SOURCES:
        raise unknown("source of stimuli", name, SOURCES)
    return SOURCES[name], reference


def _later(module: str, function: str) -> Callable[[Reference], Any]:
    """Return a function that imports its module when called; listing sources must load no picture library."""

    def call(reference: Reference) -> Any:
        return getattr(importlib.import_module(module), function)(reference)

    return call


SOURCES: dict[str, Source] = {
    "gratings": Source(
        title="Gratings",
        description="Sinusoidal gratings of chosen orientations, spatial frequencies and phases.",
        example="gratings?orientations=12&spatial_frequencies=4:8:16&phases=4&contrast=1&size=224&aperture=0.9",
        options=("orientations", "spatial_frequencies", "phases", "contrast", "size", "aperture"),
        load=_later("dashboard.stimuli.gratings", "load_gratings"),
        identify=_later("dashboard.stimuli.gratings", "identify_gratings"),
        generated=True,
    ),
    "neuromatch-gratings": Source(
        title="Neuromatch gratings",
        description="The square-wave gratings of the Neuromatch deep-learning day, by tilt from vertical.",
        example="neuromatch-gratings?n=60&low=-90&high=90&patch=no",
        options=("n", "low", "high", "patch", "height", "width"),
        load=_later("dashboard.stimuli.gratings", "load_neuromatch"),
        identify=_later("dashboard.stimuli.gratings", "identify_neuromatch"),
        generated=True,
    ),
    "objects": Source(
        title="Objects",
        description="Coloured, textured shapes on textured grounds, drawn by rule, with every factor known.",
        example="objects?n=240&seed=0&group=training",
        options=("n", "seed", "group"),
        load=_later("dashboard.stimuli.drawn", "load_objects"),
        identify=_later("dashboard.stimuli.drawn", "identify_objects"),
        generated=True,
    ),
    "digits": Source(
        title="Digits",
        description="Handwritten digits of 8 × 8 pixels; the held-out part is new to the digit networks.",
        example="digits?n=200&split=held-out&seed=0",
        options=("n", "split", "seed"),
        load=_later("dashboard.stimuli.digits", "load_digits"),
        identify=_later("dashboard.stimuli.digits", "identify_digits"),
        generated=True,
    ),
    "sentences": Source(
        title="Sentences",
        description="Beginnings of sentences, and whether the verb that follows must be singular or plural.",
        example="sentences?n=240&seed=0",
        options=("n", "seed"),
        load=_later("dashboard.stimuli.sentences", "load_sentences"),
        identify=_later("dashboard.stimuli.sentences", "identify_sentences"),
        generated=True,
    ),
    "latents": Source(
        title="Latent numbers",
        description="Vectors of standard normal numbers, from which a generator makes pictures.",
        example="latents?n=64&size=48&seed=0",
        options=("n", "size", "seed"),
        load=_later("dashboard.stimuli.latents", "load_latents"),
        identify=_later("dashboard.stimuli.latents", "identify_latents"),
        generated=True,
    ),
    "folder": Source(
        title="Folder of pictures",
        description="PNG, JPEG, GIF and WebP files of a folder; subfolders are categories.",
        example="folder:PATH",
        options=(),
        load=_later("dashboard.stimuli.files", "load_folder"),
        identify=_later("dashboard.stimuli.files", "identify_folder"),
        files=True,
    ),
    "zip": Source(
        title="Zip of pictures",
        description="PNG, JPEG, GIF and WebP files of a zip; its folders are categories.",
        example="zip:PATH",
        options=(),
        load=_later("dashboard.stimuli.files", "load_zip"),
        identify=_later("dashboard.stimuli.files", "identify_zip"),
        files=True,
    ),
    "recording": Source(
        title="Pictures of a recording",
        description="The pictures that were shown in a recording.",
        example="recording:kriegeskorte92",
        options=(),
        load=_later("dashboard.stimuli.recorded", "load_recorded"),
        identify=_later("dashboard.stimuli.recorded", "identify_recorded"),
    ),
    "upload": Source(
        title="Pictures or texts that somebody brought",
        description="Pictures, a zip of them with a table of names and columns, or texts, from the Add page.",
        example="upload:DIGEST",
        options=("column", "category"),
        load=_later("dashboard.stimuli.uploads", "load_uploads"),
        identify=_later("dashboard.stimuli.uploads", "identify_uploads"),
    ),
    "text": Source(
        title="Texts",
        description="Texts, one per line of a file or one per row of a CSV column.",
        example="text:PATH?column=NAME&category=NAME",
        options=("column", "category"),
        load=_later("dashboard.stimuli.texts", "load_texts"),
        identify=_later("dashboard.stimuli.texts", "identify_texts"),
        files=True,
    ),
    "typed": Source(
        title="A typed text",
        description="One text, given in the reference itself.",
        example="typed?text=the keys to the old cabinet",
        options=("text",),
        load=_later("dashboard.stimuli.typed", "load_typed"),
        identify=_later("dashboard.stimuli.typed", "identify_typed"),
    ),
}
"""Every source of stimuli by name; another one is two functions and an entry."""
