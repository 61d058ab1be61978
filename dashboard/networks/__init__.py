"""Trained networks made ready: catalogue, safe weight files, preprocessing, layers, responses.

>>> import dashboard.networks as networks
>>> network = networks.load("torchvision:squeezenet1_0?untrained&seed=0")
>>> [layer.name for layer in networks.select(network.layers)][:2]
['features.0', 'features.3']

Importing this package does not import torch; `load`, `activations`, `forecast`, `costs` and `device` do when
called.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from dashboard.errors import InputError, caution, collect_cautions
from dashboard.networks.files import (
    checked_beside,
    header,
    headers_alone,
    inside_roots,
    known,
    learn,
    shown_name,
    weight_file,
)
from dashboard.networks.layers import select
from dashboard.networks.network import Entry, InputKind, Layer, Network, TextInput
from dashboard.networks.reducers import REDUCERS, Reducer, reducer
from dashboard.networks.schemes import SCHEMES, catalogue, identity, input_kind
from dashboard.reference import parse

if TYPE_CHECKING:
    import numpy as np
    import torch

    from dashboard.networks.capture import Forecast
    from dashboard.networks.layercosts import LayerCost

__all__ = [
    "REDUCERS",
    "SCHEMES",
    "Entry",
    "InputKind",
    "Layer",
    "Network",
    "Reducer",
    "TextInput",
    "activations",
    "batches",
    "catalogue",
    "chosen",
    "costs",
    "device",
    "digest_known",
    "first_glance",
    "forecast",
    "identity",
    "input_kind",
    "inside_roots",
    "learn_digest",
    "load",
    "outline",
    "reducer",
    "select",
    "shown_name",
    "suited_stimuli",
    "total_flops",
    "unread_identity",
    "weight_file",
]

_MOST_LOADED = 2
_LARGE_BYTES = 8 * 2**20
_OUTLINED = ("torchvision", "timm", "own")
_loaded: OrderedDict[tuple[str, str], Network] = OrderedDict()
_outlined: OrderedDict[tuple[str, str], Network] = OrderedDict()
_loading = threading.Lock()


def load(reference: str) -> Network:
    """Open a network; the last two stay in memory, so that asking again costs nothing.

    Parameters
    ----------
    reference : str
        Such as ``"torchvision:resnet18?weights=resnet18/model.safetensors"``.

    Returns
    -------
    Network
        In eval mode, without gradients, shared and not to be changed.

    Raises
    ------
    InputError
        When the reference names nothing, or its weights are missing, damaged, refused or do not fit.
    """
    key = (reference, identity(reference))
    with _loading:
        network = _loaded.pop(key, None)
        if network is None:
            while len(_loaded) >= _MOST_LOADED:
                _loaded.popitem(last=False)
            network = _open(*key)
        _loaded[key] = network
    for told in network.cautions:
        caution(told.code, told.message)
    return network


def unread_identity(reference: str) -> str:
    """Return the `identity` of a network whose weights are left unread: of their header alone."""
    with headers_alone():
        return identity(reference)


def first_glance(reference: str) -> bool:
    """Tell whether a network can be outlined by the header of a large weight file, long before it is read."""
    try:
        ref, file = parse(reference), weight_file(reference)
        if file is None or ref.scheme not in _OUTLINED or "untrained" in ref.options:
            return False
        return file.is_file() and file.stat().st_size >= _LARGE_BYTES and header(file) is not None
    except (InputError, OSError):
        return False


def digest_known(reference: str) -> bool:
    """Tell whether the digest of a network's weight file is remembered, so that `identity` costs no time."""
    try:
        file = weight_file(reference)
    except InputError:
        return True  # `identity` says what is wrong
    return file is None or known(file)


def learn_digest(reference: str) -> None:
    """Read the weight file of a reference for its digest, in a thread; see `digest_known`."""
    with suppress(InputError):
        file = weight_file(reference)
        if file is not None:
            learn(file)


def outline(reference: str, *, unread: bool = False) -> Network:
    """Open a network for questions about its layers alone; an untrained twin comes without its weights.

    Drawing the weights of a large twin takes longer than all there is to say about its shapes, operations and
    receptive fields, none of which depend on them. Every weight of an outline is 0: it must answer nothing.
    Other networks are loaded, so that weights which do not fit are refused.

    Parameters
    ----------
    reference : str
    unread : bool, optional
        Take what the header of a safetensors file says for its weights, which are left unread: whether they
        are finite, and whether the file has the bytes of its digest, is then not known.

    Raises
    ------
    InputError
        As `load`.
    """
    ref = parse(reference)
    unread = unread and first_glance(reference)
    bare = unread or ("untrained" in ref.options and ref.scheme in ("torchvision", "timm"))
    with headers_alone() if unread else nullcontext():
        key = (reference, identity(reference))
        network = _bare(key) if bare and key not in _loaded else None
    if network is None:
        return load(reference)
    for told in network.cautions:
        caution(told.code, told.message)
    return network


def _bare(key: tuple[str, str]) -> Network | None:
    """Return a network without its weights, or None where its builder computes and needs memory for that."""
    with _loading:
        network = _outlined.get(key)
        if network is None:
            try:
                network = _open(*key, weightless=True)
            except (NotImplementedError, RuntimeError):
                return None
            while len(_outlined) >= _MOST_LOADED:
                _outlined.popitem(last=False)
            _outlined[key] = network
    return network


def suited_stimuli(reference: str) -> str:
    """Return the stimuli that a bundled network was made for; ``""`` for others. Torch is not imported.

    Raises
    ------
    InputError
        When there is no such bundled network.
    """
    from dashboard.networks import bundled

    ref = parse(reference)
    return bundled.suited_stimuli(ref) if ref.scheme == "bundled" else ""


def _open(reference: str, digest: str, weightless: bool = False) -> Network:
    from dashboard.networks.layers import tabulate, without_weights, zeroed
    from dashboard.networks.schemes import open_network

    with checked_beside():  # the weights are compared with their digest while the layers are tabulated
        with collect_cautions() as told, without_weights() if weightless else nullcontext():
            opened = open_network(parse(reference))
        if identity(reference) != digest:
            message = "The weight file changed while it was read."
            raise InputError(message, "Try again when it is complete.")
        module = opened.module.eval().requires_grad_(False)
        if weightless:
            zeroed(module)
        layers = tabulate(module, opened.input_shape, texts=opened.text is not None)
    return Network(
        reference=shown_name(reference),
        title=opened.title,
        module=module,
        preprocess=opened.preprocess,
        labels=opened.labels,
        layers=layers,
        digest=digest,
        card=opened.card,
        preprocessing=opened.preprocessing,
        weights=opened.weights,
        input_shape=opened.input_shape,
        cautions=tuple(told),
        text=opened.text,
    )


def chosen(network: Network, patterns: Iterable[str] = ()) -> tuple[Layer, ...]:
    """Choose layers of a network as `select` does, and heads of its attention layers where they are named.

    Parameters
    ----------
    network : Network
    patterns : iterable of str
        As for `select`; besides, ``"heads"`` for every head, and names or globs such as
        ``"blocks.3.attention#head2"`` and ``"blocks.3.*#head*"``. Heads are counted from 0 and come only when
        they are asked for.

    Raises
    ------
    InputError
        When a pattern matches nothing; it tells the nearest names.
    """
    patterns = tuple(patterns)
    named = [p for p in patterns if p == "heads" or "#" in p]
    if not named:
        return select(network.layers, patterns)
    from dashboard.networks import attention_heads

    rest = [p for p in patterns if p not in named]
    layers = select(network.layers, rest) if rest else ()
    return attention_heads.merged(network, layers, attention_heads.select(network, named))


def batches(
    network: Network, stimuli: Iterable[np.ndarray | str], size: int | None = None
) -> Iterator[torch.Tensor]:
    """Preprocess pictures or texts and hand them out in batches of a fitting size; see `capture.batches`."""
    from dashboard.networks import capture

    return capture.batches(network, stimuli, size)


def activations(
    network: Network,
    inputs: Iterable[torch.Tensor],
    layers: Sequence[Layer],
    reduce: Reducer | str = "all",
    **options: Any,
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the responses of layers batch by batch; see `capture.activations`."""
    from dashboard.networks import capture

    return capture.activations(network, inputs, layers, reduce, **options)


def forecast(
    network: Network, n_stimuli: int, layers: Sequence[Layer], reduce: Reducer | str = "all"
) -> Forecast:
    """Tell memory and time of an extraction before it runs; see `capture.forecast`."""
    from dashboard.networks import capture

    return capture.forecast(network, n_stimuli, layers, reduce)


def costs(network: Network) -> list[LayerCost]:
    """Return operations, memory and receptive field of every layer; see `layercosts.costs`."""
    from dashboard.networks import layercosts

    return layercosts.costs(network)


def total_flops(network: Network) -> int:
    """Return the floating-point operations of the whole network for one stimulus."""
    from dashboard.networks import layercosts

    return layercosts.total_flops(network)


def device() -> torch.device:
    """Return where networks run here: CUDA, else MPS, else the CPU."""
    from dashboard.networks import capture

    return capture.device()
