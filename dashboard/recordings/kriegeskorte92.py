"""92 object pictures with RDMs of human and monkey inferior temporal cortex (Kriegeskorte et al. 2008)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from dashboard.errors import InputError
from dashboard.recordings.downloads import Download, File
from dashboard.recordings.mat import read_mat
from dashboard.recordings.recording import Recording
from dashboard.reference import Reference
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever the same files give other values, names or columns; part of the digest."""

N = 92

CITATION = (
    "Kriegeskorte, Mur, Ruff, Kiani, Bodurka, Esteky, Tanaka and Bandettini (2008). Matching categorical "
    "object representations in inferior temporal cortex of man and monkey. Neuron 60:1126-1141."
)
TERMS = (
    "From the demonstration data of rsatoolbox (MIT licence, copyright 2019 rsatoolbox authors); the data "
    "carry no licence of their own: cite the paper, do not pass them on."
)

BRAIN, BEHAVIOUR, MODELS, SUPPLEMENT = (
    "92_brainRDMs.mat",
    "92_behavRDMs.mat",
    "92_modelRDMs.mat",
    "Kriegeskorte_Neuron2008_supplementalData.mat",
)

DOWNLOAD = Download(
    name="kriegeskorte92",
    url=(
        "https://raw.githubusercontent.com/rsagroup/rsatoolbox/"
        "f1f83cadb7243492a1aae7460466e0f0140b20ac/demos/92imageData/"
    ),
    files=MappingProxyType(
        {
            BRAIN: File(224663, "1743f90a15e895798a94318649e80e1123a7e5943a1703fa1dd7c31ea5780b7c"),
            BEHAVIOUR: File(982719, "7a8e118c144c3840adeeeef6ea0706a0be2b3e80df719af15fbb56fc62562f5f"),
            MODELS: File(333004, "e1d2b58bb2f9508bc13da4c81b94d1ab07823b25ed30b9563bd9d6d730c2a00a"),
            SUPPLEMENT: File(3603779, "06f21214399a5d43dc264eed19a7f4b8daf11c8622a59eec3e106064ce5e3504"),
        }
    ),
)

DOWNLOADS = MappingProxyType({DOWNLOAD.name: DOWNLOAD})


def identify(reference: Reference) -> str:
    """Return the digest of the recording, from the known checksums, without reading the files."""
    reference.check_options(())
    return digest_of("kriegeskorte92", VERSION, sorted(file.sha256 for file in DOWNLOAD.files.values()))


def identify_stimuli(reference: Reference) -> str:
    """Return the digest of the pictures, from the known checksum."""
    reference.check_options(())
    return digest_of("recording:kriegeskorte92", VERSION, DOWNLOAD.files[SUPPLEMENT].sha256)


def load(reference: Reference) -> Recording:
    """Load the recording: human IT of four subjects (two sessions averaged) and monkey IT as one RDM.

    Raises
    ------
    InputError
        When a file cannot be fetched or is not the one that we know.
    """
    stimuli = load_stimuli(reference)
    human, subjects = _human(_variables(BRAIN)["RDMs"])
    models = {str(model.name): _condensed(model.RDM) for model in _variables(MODELS)["Models"]}
    judgements = np.stack([_condensed(entry.RDM) for entry in _variables(BEHAVIOUR)["rdms_behav_92"]])
    return Recording(
        reference=str(reference),
        title="92 objects, human and monkey IT",
        description=(
            "RDMs of 92 object pictures in inferior temporal cortex, from fMRI of four people and from "
            "neurons of two monkeys."
        ),
        citation=CITATION,
        terms=TERMS,
        species="human, macaque",
        signal="human: fMRI response patterns; monkey: single-neuron firing rates",
        digest=identify(reference),
        stimulus_names=stimuli.names,
        areas=("human IT", "monkey IT"),
        subjects={"human IT": subjects, "monkey IT": ("two monkeys pooled",)},
        rdms={"human IT": human, "monkey IT": models["monkeyIT"][None]},
        rdm_metric="correlation",
        rdm_unit="1 − Pearson r",
        units={"human IT": 316, "monkey IT": 674},
        notes={
            "human IT": "Four subjects, each the mean of two sessions: intervals over subjects are wide.",
            "monkey IT": "One RDM of 674 neurons pooled over two monkeys: it has no noise ceiling.",
        },
        behaviour={"similarity judgements": judgements},
        models=models,
        stimuli=stimuli,
    )


def load_stimuli(reference: Reference) -> Stimuli:
    """Load the 92 pictures, 175 x 175 pixels in colour on grey 128."""
    reference.check_options(())
    variables = _variables(SUPPLEMENT)
    entries = variables["stimuli_92objs"]
    pictures = [np.asarray(entry.image, dtype=np.uint8) for entry in entries]
    categories = tuple(str(entry.category) for entry in entries)
    labels = [str(label) for label in variables["categoryLabels"]]
    vectors = np.asarray(variables["categoryVectors"], dtype=np.int64)
    columns = {
        "animate": vectors[:, labels.index("animate")],
        "monkeyape": vectors[:, labels.index("monkeyape")],
        **{
            name: np.array([int(getattr(entry, name)) for entry in entries])
            for name in ("human", "face", "natural")
        },
    }
    return Stimuli(
        reference=f"recording:{reference}",
        title="92 objects",
        description="92 colour pictures of objects on grey: bodies, faces, natural and artificial things.",
        # The source names no picture, so position and category stand for it.
        names=tuple(f"{i:02d} {category}" for i, category in enumerate(categories, 1)),
        categories=categories,
        columns=columns,
        digest=identify_stimuli(reference),
        draw=lambda i: pictures[i].copy(),
    )


def supplement_vectors() -> dict[str, np.ndarray]:
    """Return the two RDMs of the paper's figure 1 by name, each (4186,); for checks."""
    entries = _variables(SUPPLEMENT)["RDMs_mIT_hIT_fig1"]
    return {str(entry.name): np.asarray(entry.RDM, dtype=np.float64).ravel() for entry in entries}


def _variables(name: str) -> dict[str, Any]:
    return read_mat(DOWNLOAD.read(name), name)


def _human(entries: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Average the sessions of each subject.

    Parameters
    ----------
    entries : np.ndarray
        (4, 2) structs, subjects by sessions, named like ``"hIT | BE | Session: 1"``.

    Returns
    -------
    (4, 4186) float64 and the names of the subjects.
    """
    subjects = []
    for sessions in entries:
        names = {str(entry.name).split("|")[1].strip() for entry in sessions}
        if len(names) != 1:
            message = f'"{BRAIN}" mixes the subjects {", ".join(sorted(names))} in one row.'
            raise InputError(message, "Fetch it again.")
        subjects.append(names.pop())
    rdms = [np.mean([_condensed(entry.RDM) for entry in sessions], axis=0) for sessions in entries]
    return np.stack(rdms), tuple(subjects)


def _condensed(matrix: np.ndarray) -> np.ndarray:
    """Return the upper triangle row by row: (4186,) float64; float64 first, for some are bytes."""
    square = np.asarray(matrix, dtype=np.float64)
    return square[np.triu_indices(N, 1)]
