"""Stimuli of a network and of a recording are matched by name, never by position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dashboard.errors import InputError, caution, listing
from dashboard.recordings.recording import Recording
from dashboard.stimuli.sets import clean_names


class Matching(NamedTuple):
    """Positions of the same stimuli on both sides, in the order of the recording.

    Attributes
    ----------
    recording : np.ndarray
        (n_shared,) positions in the recording's stimuli.
    stimuli : np.ndarray
        (n_shared,) positions in the network's stimuli.
    """

    recording: np.ndarray
    stimuli: np.ndarray


def align(recording: Recording, names: Iterable[str], *, shared: bool = False) -> Matching:
    """Match the stimuli of a network with those of a recording by name.

    Parameters
    ----------
    recording : Recording
        Its `stimulus_names` give the order.
    names : iterable of str
        Names of the network's stimuli, in any order.
    shared : bool
        Go on with the stimuli that are on both sides, and say how many are left out.

    Raises
    ------
    InputError
        When names are repeated or empty, or the two sides do not hold the same names (unless ``shared``), or
        share fewer than three.
    """
    return _match(clean_names(names, "The stimulus set"), recording.stimulus_names, recording.title, shared)


def matching_pairs(names: Iterable[str], wanted: Iterable[str], title: str = "the recording") -> np.ndarray:
    """Return where the pairs of one condensed RDM lie in another.

    Parameters
    ----------
    names : iterable of str
        (n,) names of the stimuli of the RDM at hand, in its order.
    wanted : iterable of str
        (n,) names of the stimuli in the order that is wanted, such as a recording's.
    title : str
        What the wanted order belongs to, for the sentence.

    Returns
    -------
    np.ndarray
        (n * (n - 1) / 2,) positions, so that ``rdm[matching_pairs(names, wanted)]`` is in the wanted order.

    Raises
    ------
    InputError
        When names are repeated or the two sides do not hold the same names.

    Examples
    --------
    >>> matching_pairs(["a", "b", "c"], ["c", "b", "a"])
    array([2, 1, 0])
    """
    clean = clean_names(names, "The stimulus set")
    matching = _match(clean, clean_names(wanted, title), title, False)
    return pairs_of(matching.stimuli, len(clean))


def find(names: tuple[str, ...], wanted: tuple[str, ...], title: str) -> np.ndarray:
    """Return the positions of ``wanted`` in ``names``, or refuse names that are not there."""
    places = {name: i for i, name in enumerate(names)}
    missing = [name for name in wanted if name not in places]
    if missing:
        message = f"{title} has no stimuli named {listing(missing)}."
        raise InputError(message, f"It has {len(names)}, such as {listing(names)}.")
    return np.array([places[name] for name in wanted], dtype=np.int64)


def pairs_of(order: np.ndarray, n: int) -> np.ndarray:
    """Return the positions in a condensed RDM of ``n`` stimuli of the pairs of ``order``.

    Parameters
    ----------
    order : np.ndarray
        (m,) distinct positions of stimuli, 0 to n - 1.
    n : int
        Number of stimuli of the RDM.

    Returns
    -------
    np.ndarray
        (m * (m - 1) / 2,) int64, in scipy's `pdist` order of ``order``.
    """
    first, second = np.triu_indices(len(order), 1)
    low = np.minimum(order[first], order[second])
    high = np.maximum(order[first], order[second])
    return low * (2 * n - low - 1) // 2 + high - low - 1


def _match(names: tuple[str, ...], wanted: tuple[str, ...], title: str, shared: bool) -> Matching:
    places = {name: i for i, name in enumerate(names)}
    found = [i for i, name in enumerate(wanted) if name in places]
    lacking = [name for name in wanted if name not in places]
    beyond = sorted(set(names) - set(wanted), key=places.__getitem__)
    if (lacking or beyond) and not shared:
        told = _told(lacking, beyond)
        raise InputError(
            f"The {len(names)} stimuli do not match the {len(wanted)} of {title} by name: {told}.",
            "Show the network the pictures of the recording, or name the pictures as in the recording.",
        )
    if len(found) < 3:
        message = f"The stimuli share {len(found)} names with {title}, and at least 3 are needed."
        raise InputError(message, "Show the network the pictures of the recording.")
    if lacking or beyond:
        caution(
            "shared-stimuli",
            f"Only {len(found)} stimuli are compared: {len(lacking)} of {title} and {len(beyond)} of the "
            f"network's stimuli have no partner of the same name.",
        )
    return Matching(np.array(found), np.array([places[wanted[i]] for i in found]))


def _told(lacking: list[str], beyond: list[str]) -> str:
    parts = []
    if lacking:
        parts.append(f"{len(lacking)} missing ({listing(lacking)})")
    if beyond:
        parts.append(f"{len(beyond)} not in the recording ({listing(beyond)})")
    return " and ".join(parts)
