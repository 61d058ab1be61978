"""Recordings: neural data of catalogued experiments and of a simulated population, with their stimuli.

``load("kriegeskorte92")`` gives a checked `Recording`, ``identity`` its digest without reading it; ``align``
and ``matching_pairs`` match stimuli by name. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard import progress
from dashboard import reference as references
from dashboard.errors import InputError, unknown
from dashboard.recordings import open_data
from dashboard.recordings.checks import validate
from dashboard.recordings.downloads import Download
from dashboard.recordings.matching import Matching, align, matching_pairs
from dashboard.recordings.recording import Recording
from dashboard.reference import Reference

if TYPE_CHECKING:
    from dashboard.stimuli import Stimuli

__all__ = [
    "READERS",
    "Entry",
    "Matching",
    "Reader",
    "Recording",
    "align",
    "catalogue",
    "fetch",
    "identify_stimuli",
    "identity",
    "inside_roots",
    "load",
    "load_stimuli",
    "matching_pairs",
    "validate",
]


@dataclass(frozen=True)
class Reader:
    """One recording of the catalogue.

    Attributes
    ----------
    title, species, signal, terms : str
        For lists of choices.
    module : str
        The module with ``load``, ``identify``, ``load_stimuli`` and ``identify_stimuli``, each of a
        `Reference`; imported when it is needed.
    fetched : str
        Under which name the module's ``DOWNLOADS`` has its files; ``""`` when nothing is fetched.
    pictures : bool
        True when it brings pictures of its own.
    """

    title: str
    species: str
    signal: str
    terms: str
    module: str
    fetched: str = ""
    pictures: bool = False

    def call(self, function: str, reference: Reference) -> Any:
        """Call a function of the module."""
        return getattr(importlib.import_module(self.module), function)(reference)

    @property
    def download(self) -> Download | None:
        """The files behind the recording, or None when it is made here."""
        return importlib.import_module(self.module).DOWNLOADS[self.fetched] if self.fetched else None


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue.

    Attributes
    ----------
    reference, title, note : str
        What to load, its heading, and what else to know in a few words.
    species, signal, terms : str
        Whose brain, what was measured, and under which terms it may be used.
    n_bytes : int
        Size of the files, 0 when nothing is fetched.
    present : bool
        True when nothing needs to be fetched.
    pictures : bool
        True when it brings pictures of its own.
    """

    reference: str
    title: str
    note: str
    species: str
    signal: str
    terms: str
    n_bytes: int
    present: bool
    pictures: bool


def load(ref: str) -> Recording:
    """Load and check a recording.

    Parameters
    ----------
    ref : str
        ``kriegeskorte92``, ``simulated-v1?stimuli=…&subjects=…&cells=…&repeats=…&seed=…&noise=…``,
        ``simulated-time?stimuli=…&latency=…&…`` or ``upload:DIGEST``.

    Raises
    ------
    InputError
        When there is no such recording, an option does not fit, or a file cannot be had.
    """
    reader, reference = _find(ref)
    return validate(reader.call("load", reference))


def identity(ref: str) -> str:
    """Return the digest of a recording, equal to ``load(ref).digest``, without reading or simulating it."""
    reader, reference = _find(ref)
    return reader.call("identify", reference)


def load_stimuli(ref: str) -> Stimuli:
    """Load only the pictures of a recording."""
    reader, reference = _find(ref)
    return reader.call("load_stimuli", reference)


def identify_stimuli(ref: str) -> str:
    """Return the digest of the pictures of a recording without reading them."""
    reader, reference = _find(ref)
    return reader.call("identify_stimuli", reference)


def inside_roots(ref: str) -> bool:
    """Return whether a page may open this reference: its stimuli, where it names any, may be opened."""
    from dashboard import stimuli

    _, reference = _find(ref)
    if reference.scheme == "upload":
        from dashboard.recordings import uploaded

        shown: str | None = uploaded.shown_stimuli(reference)
    else:
        shown = reference.options.get("stimuli")
    return not shown or stimuli.inside_roots(shown)


def fetch(name: str, report: Callable[[float, str], None] | None = None) -> None:
    """Fetch the files of a recording that are not here.

    Parameters
    ----------
    name : str
        A recording of the catalogue, or the name of the files that several of them share.
    report : callable, optional
        Takes the fraction that is done and a phrase.

    Raises
    ------
    InputError
        When there is no such recording, it has no files, or a file cannot be had.
    """
    sharing = (known for known, reader in READERS.items() if name == reader.fetched)
    if name not in READERS:
        open_data.refuse(name)
    reader, reference = _find(next(sharing, name))
    download = reader.download
    if download is None:
        message = f"{reference.name} is made here, there is nothing to fetch."
        raise InputError(message, "Use it as it is.")
    with progress.listening(report) if report is not None else contextlib.nullcontext():
        download.fetch()


def catalogue() -> list[Entry]:
    """Return every recording that can be loaded, with what to know before choosing it."""
    return [_entry(name, reader) for name, reader in READERS.items()]


def _entry(name: str, reader: Reader) -> Entry:
    download = reader.download
    n_bytes = download.n_bytes if download else 0
    present = download is None or download.present()
    size = f"{n_bytes / 1e6:.1f} MB" if n_bytes else "size not told"
    size = f"{size}, {'here' if present else 'to be fetched'}" if download else "made here"
    return Entry(
        reference=name,
        title=reader.title,
        note=f"{reader.species}; {reader.signal}; {size}",
        species=reader.species,
        signal=reader.signal,
        terms=reader.terms,
        n_bytes=n_bytes,
        present=present,
        pictures=reader.pictures,
    )


def _find(ref: str) -> tuple[Reader, Reference]:
    reference = references.parse(ref)
    if reference.scheme == "upload":
        return _BROUGHT, reference
    if reference.name not in READERS:
        raise unknown("recording", reference.name, READERS)
    return READERS[reference.name], reference


_BROUGHT = Reader(
    title="A recording that somebody brought",
    species="as said",
    signal="as said",
    terms="as said",
    module="dashboard.recordings.uploaded",
)
READERS: dict[str, Reader] = {
    "kriegeskorte92": Reader(
        title="92 objects, human and monkey IT (Kriegeskorte et al. 2008)",
        species="human, macaque",
        signal="fMRI and neurons, RDMs",
        terms="cite Kriegeskorte et al. 2008, Neuron 60:1126; no licence of its own",
        module="dashboard.recordings.kriegeskorte92",
        fetched="kriegeskorte92",
        pictures=True,
    ),
    "stringer-orientations": Reader(
        title="Mouse V1, 360 gratings (Stringer et al. 2021)",
        species="mouse",
        signal="two-photon calcium of thousands of neurons",
        terms="cite Stringer et al. 2021, Cell 184:2767; no licence of its own",
        module="dashboard.recordings.stringer",
        fetched="stringer-orientations",
        pictures=True,
    ),
    "stringer-halves": Reader(
        title="Mouse V1, 60 gratings, halves of the trials (Stringer et al. 2021)",
        species="mouse",
        signal="two-photon calcium of thousands of neurons",
        terms="cite Stringer et al. 2021, Cell 184:2767; no licence of its own",
        module="dashboard.recordings.stringer",
        fetched="stringer-halves",
        pictures=True,
    ),
    "stringer-tuning": Reader(
        title="Mouse V1, orientation tuning (Stringer et al. 2021)",
        species="mouse",
        signal="two-photon calcium of 23,589 neurons, means in bins of 5 degrees",
        terms="cite Stringer et al. 2021, Cell 184:2767; licence not told",
        module="dashboard.recordings.fetched",
        fetched="stringer-tuning",
        pictures=True,
    ),
    "stringer-trials": Reader(
        title="Mouse V1, single trials (Stringer et al. 2021)",
        species="mouse",
        signal="two-photon calcium of 1,000 selected neurons, 4,598 trials",
        terms="cite Stringer et al. 2021, Cell 184:2767; licence not told",
        module="dashboard.recordings.fetched",
        fetched="stringer-trials",
        pictures=True,
    ),
    "kay-training": Reader(
        title="Human visual cortex, 1,750 natural images (Kay et al. 2008)",
        species="human",
        signal="fMRI, 8,428 voxels in seven areas",
        terms="cite Kay et al. 2008, Nature 452:352; licence not told, the original needs an account",
        module="dashboard.recordings.fetched",
        fetched="kay",
        pictures=True,
    ),
    "kay-validation": Reader(
        title="Human visual cortex, 120 natural images (Kay et al. 2008)",
        species="human",
        signal="fMRI, 8,428 voxels in seven areas",
        terms="cite Kay et al. 2008, Nature 452:352; licence not told, the original needs an account",
        module="dashboard.recordings.fetched",
        fetched="kay",
        pictures=True,
    ),
    "things-similarity": Reader(
        title="THINGS, 1,854 concepts, similarity judgements (Hebart et al. 2020)",
        species="human",
        signal="behaviour: 49 dimensions of a model of the judgements",
        terms="cite Hebart et al. 2020; judgements CC BY 4.0",
        module="dashboard.recordings.fetched",
        fetched="things-similarity",
    ),
    "simulated-v1": Reader(
        title="Simulated V1 (not measured)",
        species="simulated",
        signal="spike rates of simple and complex cells",
        terms="made here, free to use",
        module="dashboard.recordings.simulated",
    ),
    "simulated-time": Reader(
        title="Simulated V1 over time (not measured)",
        species="simulated",
        signal="responses in time bins with known latency and noise",
        terms="made here, free to use",
        module="dashboard.recordings.simulated_time",
    ),
}
"""Every recording by name; another one is a module with four functions and an entry."""
