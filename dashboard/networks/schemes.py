"""Where networks come from: one entry per scheme, the part of a reference before the colon.

A new source of networks is one module with the three functions of `Scheme` and one entry here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dashboard.errors import InputError, unknown
from dashboard.networks import bundled, hf, own, timm_zoo, uploaded, zoo
from dashboard.networks.network import Entry, InputKind, Opened
from dashboard.networks.seeding import seeded
from dashboard.reference import Reference, parse

TWIN_OPTIONS = ("untrained", "seed")


@dataclass(frozen=True)
class Scheme:
    """How the networks of one source are found and opened.

    Attributes
    ----------
    facts : callable
        From a reference to everything that its answers depend on, JSON-ready, without importing torch. It
        refuses names and options that the source does not have.
    open : callable
        From a reference to `Opened`. For an untrained twin it builds the network afresh; the random numbers
        are seeded around it.
    entries : callable
        Every network that can be opened here, without importing torch.
    options : tuple of str
        Options besides ``untrained`` and ``seed``.
    reads : callable
        From a reference to what its network is shown, without importing torch.
    """

    facts: Callable[[Reference], dict[str, Any]]
    open: Callable[[Reference], Opened]
    entries: Callable[[], Iterable[Entry]]
    options: tuple[str, ...] = ()
    reads: Callable[[Reference], InputKind] = lambda _: "image"


SCHEMES: dict[str, Scheme] = {
    "bundled": Scheme(bundled.facts, bundled.open_network, bundled.entries, reads=bundled.reads),
    "torchvision": Scheme(zoo.facts, zoo.open_network, zoo.entries, options=("weights", "classes")),
    "timm": Scheme(timm_zoo.facts, timm_zoo.open_network, timm_zoo.entries, options=("weights", "classes")),
    "own": Scheme(own.facts, own.open_network, own.entries, options=("weights", "classes")),
    "upload": Scheme(uploaded.facts, uploaded.open_network, uploaded.entries, reads=uploaded.reads),
    "hf": Scheme(hf.facts, hf.open_network, hf.entries, options=("revision",), reads=hf.reads),
}
"""Every source of networks by the name that stands before the colon."""


def scheme(ref: Reference) -> Scheme:
    """Return the scheme of a reference after looking at its options.

    Raises
    ------
    InputError
        When the scheme or an option is unknown, or a seed is given without ``untrained``.
    """
    if ref.scheme not in SCHEMES:
        raise unknown("source of networks", ref.scheme or ref.name, SCHEMES)
    found = SCHEMES[ref.scheme]
    ref.check_options((*found.options, *TWIN_OPTIONS))
    if ref.options.get("untrained", "") != "":
        message = f"untrained of {ref.name} takes no value."
        raise InputError(message, "Write ?untrained&seed=0.")
    if "seed" in ref.options and "untrained" not in ref.options:
        message = f"{ref.name} has a seed but is not untrained."
        raise InputError(message, "Write ?untrained&seed=0, or leave the seed out.")
    return found


def identity(reference: str) -> str:
    """Return what stands for a network in keys: a SHA-256 in hexadecimal, without importing torch.

    It covers the architecture, the version of the library that builds it, the bytes of the weight file (or
    the name of the published weights), the preprocessing, and the seed of an untrained twin.

    Raises
    ------
    InputError
        When the reference names nothing, or a weight file that is not there.
    """
    ref = parse(reference)
    facts = scheme(ref).facts(ref)
    if "untrained" in ref.options:
        facts = {**facts, "untrained": ref.integer("seed", 0)}
    text = json.dumps({"scheme": ref.scheme, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def input_kind(reference: str) -> InputKind:
    """Return what a network is shown, as far as its card or settings say without opening it.

    Raises
    ------
    InputError
        When the reference names nothing.
    """
    ref = parse(reference)
    return scheme(ref).reads(ref)


def catalogue() -> list[Entry]:
    """Return every network that can be opened here; torch is not imported."""
    return [entry for found in SCHEMES.values() for entry in found.entries()]


def open_network(ref: Reference) -> Opened:
    """Open a network; the weights of an untrained twin depend on its seed alone."""
    found = scheme(ref)
    if "untrained" not in ref.options:
        return found.open(ref)
    with seeded(ref.integer("seed", 0)):
        return found.open(ref)
