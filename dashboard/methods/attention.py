"""What follows from attention maps: where heads look, how far and how widely, and what flows to the answer.

Maps are (n, heads, queries, keys) with rows that sum to one; n counts stimuli, or stimuli × windows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dashboard.errors import InputError

Floats = NDArray[np.float64]

ROLLOUT_CAUTION = (
    "Rollout averages heads, takes the residual path to carry half of everything, and leaves out values, "
    "perceptrons and norms; it does not depend on the class (Abnar & Zuidema 2020)."
)
EXPLANATION_CAUTION = (
    "Attention says where a head reads, not what the answer rests on (Jain & Wallace 2019; Wiegreffe & "
    "Pinter 2019): compare with what changes when a head or a patch is taken out."
)
REGISTER_CAUTION = (
    "Without register tokens, vision transformers use some background patches as scratch space, and these "
    "draw attention (Darcet et al. 2024)."
)


def entropy(weights: ArrayLike, allowed: ArrayLike | None = None) -> Floats:
    """Return how widely each query spreads its attention: 0 on one key, 1 evenly on all it may attend to.

    −Σ w ln w / ln m, where m counts the keys that are not masked, so that causal and padded rows compare.

    Parameters
    ----------
    weights : (n, heads, queries, keys)
    allowed : (n, heads or 1, queries), optional
        m of every query; the number of keys by default.

    Returns
    -------
    np.ndarray (n, heads, queries)
        NaN where a query may attend to fewer than two keys.
    """
    w = np.asarray(weights, dtype=np.float64)
    spread = -np.sum(w * np.log(w, out=np.zeros_like(w), where=w > 0), axis=-1)
    m = np.broadcast_to(w.shape[-1] if allowed is None else np.asarray(allowed), spread.shape)
    most = np.log(m, out=np.full(m.shape, np.nan), where=m > 1)
    return spread / most


def received(weights: ArrayLike, queries: ArrayLike | None = None) -> Floats:
    """Return the mean attention that each key receives, (n, heads, keys).

    Parameters
    ----------
    weights : (n, heads, queries, keys)
    queries : (n, queries) or (queries,) bool, optional
        Which queries count (those of the text, not of its padding, say); all by default.
    """
    w = np.asarray(weights, dtype=np.float64)
    if queries is None:
        return np.asarray(w.mean(axis=-2))
    counts = np.broadcast_to(np.asarray(queries, dtype=np.float64), (w.shape[0], w.shape[-2]))
    return np.einsum("nhqk,nq->nhk", w, counts) / counts.sum(axis=1)[:, None, None]


def share(weights: ArrayLike, keys: ArrayLike) -> Floats:
    """Return the part of every query's attention that goes to some keys, such as special tokens.

    Parameters
    ----------
    weights : (n, heads, queries, keys)
    keys : (keys,) or (n, keys) bool

    Returns
    -------
    np.ndarray (n, heads, queries)
    """
    w = np.asarray(weights, dtype=np.float64)
    chosen = np.broadcast_to(np.asarray(keys, dtype=np.float64), (w.shape[0], w.shape[-1]))
    return np.einsum("nhqk,nk->nhq", w, chosen)


def distance(weights: ArrayLike, query_centres: ArrayLike, key_centres: ArrayLike) -> Floats:
    """Return how far each query looks on average, in the unit of the centres (pixels).

    Σ w d / Σ w over keys that have a place: special tokens lie nowhere, and their share is left out
    (Dosovitskiy et al. 2021, appendix D.7).

    Parameters
    ----------
    weights : (n · windows, heads, queries, keys)
    query_centres, key_centres : (windows, queries, 2), (windows, keys, 2)
        Row and column of every token; NaN for tokens without a place.

    Returns
    -------
    np.ndarray (n · windows, heads, queries)
        NaN for queries without a place, and for those that look only at keys without one.
    """
    w = np.asarray(weights, dtype=np.float64)
    here, there = np.asarray(query_centres, np.float64), np.asarray(key_centres, np.float64)
    apart = np.linalg.norm(here[:, :, None] - there[:, None], axis=-1)  # (windows, queries, keys)
    known = np.isfinite(apart)
    grouped = w.reshape(-1, len(apart), *w.shape[1:])
    far = np.einsum("nwhqk,wqk->nwhq", grouped, np.where(known, apart, 0.0))
    mass = np.einsum("nwhqk,wqk->nwhq", grouped, known.astype(np.float64))
    found = np.divide(far, mass, out=np.full_like(far, np.nan), where=mass > 0)
    return found.reshape(*w.shape[:-1])


def per_head(values: ArrayLike, n: int, queries: ArrayLike | None = None) -> Floats:
    """Average values of queries to one number for each stimulus and head, leaving NaN out.

    Parameters
    ----------
    values : (n · windows, heads, queries)
    n : int
        Number of stimuli.
    queries : (n, queries) bool, optional
        Which queries count.

    Returns
    -------
    np.ndarray (n, heads)
        NaN where no query has a value.
    """
    v = np.asarray(values, dtype=np.float64)
    v = v.reshape(n, -1, *v.shape[1:]).swapaxes(1, 2)  # (n, heads, windows, queries)
    used = np.isfinite(v)
    if queries is not None:
        used = used & np.asarray(queries, dtype=bool)[:, None, None, :]
    total, count = np.where(used, v, 0.0).sum(axis=(2, 3)), used.sum(axis=(2, 3))
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


# --- what flows through all layers -----------------------------------------------------------------


def why_no_flow(shapes: Sequence[tuple[int, int, int]]) -> str:
    """Say why attention cannot be followed through the layers; ``""`` when it can.

    Parameters
    ----------
    shapes : sequence of (int, int, int)
        (windows, queries, keys) of every map in order.
    """
    if not shapes:
        return "There is no attention map to follow."
    if any(windows > 1 for windows, _, _ in shapes):
        return "Its tokens attend within windows, and a flow from layer to layer is not defined across them."
    if any((queries, keys) != (shapes[0][2],) * 2 for _, queries, keys in shapes):
        return (
            "Its queries and keys are not the same tokens in every layer: they are pooled or of another kind."
        )
    return ""


def rollout(maps: Sequence[ArrayLike]) -> Floats:
    """Return attention followed through all layers (Abnar & Zuidema 2020).

    R ← ½ (A + 1) R from the first layer to the last, A being the mean over heads.

    Parameters
    ----------
    maps : sequence of (n, heads, tokens, tokens)
        One per layer, first layer first.

    Returns
    -------
    np.ndarray (n, tokens, tokens)
        Row i: what token i of the last layer holds of every input token; rows sum to one.

    Raises
    ------
    InputError
        When queries and keys are not the same tokens in every layer.
    """
    layers = _square(maps)
    total = np.broadcast_to(np.eye(layers[0].shape[-1]), layers[0][:, 0].shape)
    for layer in layers:
        total = 0.5 * (layer.mean(axis=1) @ total + total)
    return np.asarray(total)


def relevance(maps: Sequence[ArrayLike], gradients: Sequence[ArrayLike]) -> Floats:
    """Return relevance for a score, weighted by gradients (Chefer, Gur & Wolf 2021, equations 5 and 6).

    R ← R + Ā R with Ā the mean over heads of (∂score/∂A ⊙ A)⁺, from R = 1.

    Parameters
    ----------
    maps, gradients : sequence of (n, heads, tokens, tokens)
        One per layer, first layer first; gradients of the score by the maps.

    Returns
    -------
    np.ndarray (n, tokens, tokens)
        Row 0 of a network with a CLS token: relevance of every token for the score; the diagonal contains
        the 1 that each token starts with.

    Raises
    ------
    InputError
        When queries and keys are not the same tokens in every layer.
    """
    layers, slopes = _square(maps), _square(gradients)
    total = np.broadcast_to(np.eye(layers[0].shape[-1]), layers[0][:, 0].shape)
    for layer, slope in zip(layers, slopes, strict=True):
        total = total + np.maximum(slope * layer, 0).mean(axis=1) @ total
    return np.asarray(total)


def _square(maps: Sequence[ArrayLike]) -> list[Floats]:
    layers = [np.asarray(m, dtype=np.float64) for m in maps]
    why = why_no_flow([(1, *m.shape[-2:]) for m in layers])
    if not why and any(len(m) != len(layers[0]) for m in layers):
        why = "Its tokens attend within windows, and a flow from layer to layer is not defined across them."
    if why:
        raise InputError(why, "Look at single heads instead.")
    return layers


def value_weighted(weights: ArrayLike, norms: ArrayLike) -> Floats:
    """Return ‖w · f(x)‖, what each key really adds to a query (Kobayashi et al. 2020, equation 4).

    Parameters
    ----------
    weights : (n, heads, queries, keys)
    norms : (n, heads, keys)
        ‖f(x)‖, the length of the key's value behind the head's part of the output projection.

    Returns
    -------
    np.ndarray (n, heads, queries, keys)
        In the unit of the residual stream; rows do not sum to one.
    """
    return np.asarray(weights, dtype=np.float64) * np.asarray(norms, dtype=np.float64)[:, :, None, :]


def products(query: ArrayLike, key: ArrayLike, scale: float = 1.0) -> Floats:
    """Return what each component of two vectors adds to their score: query · key · scale, (…, width)."""
    return np.asarray(query, dtype=np.float64) * np.asarray(key, dtype=np.float64) * scale


def agreement(attention: ArrayLike, values: ArrayLike) -> Floats:
    """Return the rank correlation of attention with what counts (patch ablation, say): (…,).

    Parameters
    ----------
    attention, values : (…, places)
        Places where either is NaN are left out.

    Returns
    -------
    np.ndarray (…,)
        Spearman's rho with ties; NaN where one side is constant or fewer than three places are left.
    """
    a, b = np.broadcast_arrays(np.asarray(attention, np.float64), np.asarray(values, np.float64))
    rows = [
        _spearman(x, y) for x, y in zip(a.reshape(-1, a.shape[-1]), b.reshape(-1, a.shape[-1]), strict=True)
    ]
    return np.array(rows).reshape(a.shape[:-1])


def _spearman(x: Floats, y: Floats) -> float:
    # Importing it takes a second, which the first view of heads must not wait for.
    from scipy.stats import rankdata

    used = np.isfinite(x) & np.isfinite(y)
    if used.sum() < 3:
        return float("nan")
    x, y = rankdata(x[used]), rankdata(y[used])
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else float("nan")
