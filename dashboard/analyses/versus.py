"""In what do two networks differ: card, layers, weights, training?"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from dashboard import compute, networks
from dashboard.networks import Network
from dashboard.progress import part, report
from dashboard.specs import CostsSpec, NetworkSpec, TrainingSpec, VersusSpec

BY_NAME = 0.5
"""Layers are matched by name when at least this share of the shorter network's names is in the other."""

SIDES = ("first", "second")
Pair = tuple[int | None, int | None]


def versus(spec: VersusSpec) -> xr.Dataset:
    """Return the layers of two networks matched with each other, and what is known of both.

    Layers are matched by name, or else by kind in order (longest runs of equal kinds first: J. Ratcliff and
    D. Metzener, 1988). Between matched runs, layers are paired in order.

    Returns
    -------
    xarray.Dataset
        ``name``, ``kind``, ``shape``, ``detail`` (row, side) text, empty where there is no such layer;
        ``parameters`` and ``flops`` (row, side), NaN there; ``leaf`` (row,); ``change`` (row,): same,
        changed, only first or only second; ``weight_change`` (row,), the root mean square difference of the
        weights relative to the first's (NaN without weights of equal shapes); ``loss`` and ``metric`` (side,
        part, epoch), NaN where a network has no history; ``total_flops`` and ``n_parameters`` (side,).
    """
    references = (spec.network, spec.second)
    tables, costs, histories, opened = [], [], [], []
    for k, reference in enumerate(references):
        report(0.4 * k, f"Opening {networks.shown_name(reference)}")
        with part(0.4 * k, 0.4 * k + 0.4):
            tables.append(compute.compute(NetworkSpec(network=reference)))
            costs.append(compute.compute(CostsSpec(network=reference)))
            histories.append(_history(tables[-1], reference))
        opened.append(networks.load(reference))
    pairs, how = matched(*([_names(t), list(map(str, t["kind"].values))] for t in tables))
    report(0.9, "Weights of matched layers")
    columns = {name: _texts(tables, pairs, name) for name in ("kind", "shape", "detail")}
    numbers = {
        "parameters": _numbers([t["parameters"] for t in tables], pairs),
        "flops": _numbers([c["flops"] for c in costs], pairs),
    }
    moved = np.array([_weight_change(opened, tables, pair) for pair in pairs])
    return xr.Dataset(
        {
            "name": (("row", "side"), _table([_names(t) for t in tables], pairs)),
            **{name: (("row", "side"), values) for name, values in columns.items()},
            **{name: (("row", "side"), values) for name, values in numbers.items()},
            "leaf": ("row", _leaves(tables, pairs)),
            "weight_change": ("row", moved),
            "change": ("row", _changes(pairs, columns, numbers["parameters"])),
            **_curves(histories),
            "total_flops": ("side", [int(c.attrs["total_flops"]) for c in costs]),
            "n_parameters": ("side", [int(t.attrs["n_parameters"]) for t in tables]),
        },
        coords={"side": list(SIDES)},
        attrs={
            "title": f"{tables[0].attrs['title']} and {tables[1].attrs['title']}",
            "network": spec.network,
            "second": spec.second,
            "titles": json.dumps(_titles([str(t.attrs["title"]) for t in tables])),
            "facts": json.dumps([_facts(t) for t in tables]),
            "metric_names": json.dumps(
                [str(h.attrs["metric_name"]) if h is not None else "" for h in histories]
            ),
            "matched_by": how,
            "simulated": "no",
        },
    )


def _history(table: xr.Dataset, reference: str) -> xr.Dataset | None:
    if table.attrs["has_history"] != "yes" or "untrained" in reference:
        return None
    return compute.compute(TrainingSpec(network=reference))


def _metric(history: xr.Dataset | None) -> str:
    return "" if history is None else str(history.attrs["metric_name"])


def _facts(table: xr.Dataset) -> dict[str, Any]:
    """Return the attributes of a network's answer that its card is written from."""
    left = ("record", "cautions")
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in table.attrs.items()
        if name not in left
    }


def _titles(titles: list[str]) -> list[str]:
    return titles if titles[0] != titles[1] else [f"{titles[0]} (first)", f"{titles[1]} (second)"]


def _names(table: xr.Dataset) -> list[str]:
    return [str(name) for name in table["layer"].values]


# --- matching ---------------------------------------------------------------------------------------


def matched(first: Sequence[list[str]], second: Sequence[list[str]]) -> tuple[list[Pair], str]:
    """Pair the layers of two networks.

    Parameters
    ----------
    first, second : (names, kinds)
        Of every layer, in order of execution.

    Returns
    -------
    list of (position in the first or None, position in the second or None)
        In order; every layer stands in one pair.
    str
        ``"name"`` or ``"kind and order"``.
    """
    shared = len(set(first[0]) & set(second[0]))
    by_name = shared >= BY_NAME * min(len(first[0]), len(second[0]))
    a, b = (first[0], second[0]) if by_name else (first[1], second[1])
    pairs: list[Pair] = []
    for _, i, i_end, j, j_end in difflib.SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes():
        n, m = i_end - i, j_end - j
        if n == m or not by_name:  # equal, renamed, or between equal runs: paired in order
            pairs += [(i + k if k < n else None, j + k if k < m else None) for k in range(max(n, m))]
        else:
            pairs += [(k, None) for k in range(i, i_end)] + [(None, k) for k in range(j, j_end)]
    return pairs, "name" if by_name else "kind and order"


def _table(values: list[list[str]], pairs: list[Pair]) -> np.ndarray:
    rows = [["" if k is None else values[s][k] for s, k in enumerate(pair)] for pair in pairs]
    return np.array(rows, dtype=str).reshape(-1, 2)


def _texts(tables: list[xr.Dataset], pairs: list[Pair], name: str) -> np.ndarray:
    return _table([[str(v) for v in t[name].values] for t in tables], pairs)


def _numbers(columns: list[xr.DataArray], pairs: list[Pair]) -> np.ndarray:
    held = [c.values for c in columns]
    rows = [[math.nan if k is None else float(held[s][k]) for s, k in enumerate(pair)] for pair in pairs]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _leaves(tables: list[xr.Dataset], pairs: list[Pair]) -> np.ndarray:
    held = [t["leaf"].values for t in tables]
    return np.array(
        [max(int(held[s][k]) for s, k in enumerate(pair) if k is not None) for pair in pairs], dtype=np.int8
    )


def _changes(pairs: list[Pair], columns: dict[str, np.ndarray], parameters: np.ndarray) -> list[str]:
    found = []
    for row, (i, j) in enumerate(pairs):
        if i is None or j is None:
            found.append("only second" if i is None else "only first")
            continue
        equal = all(values[row, 0] == values[row, 1] for values in columns.values())
        found.append("same" if equal and parameters[row, 0] == parameters[row, 1] else "changed")
    return found


def _weight_change(opened: list[Network], tables: list[xr.Dataset], pair: Pair) -> float:
    """Return by how much the weights of matched layers differ, relative to the size of the first's."""
    if None in pair:
        return math.nan
    held = []
    for network, table, k in zip(opened, tables, pair, strict=True):
        module = str(table["layer"].values[k]).partition(":")[0]
        try:
            held.append(
                [p.detach().cpu().double() for p in network.module.get_submodule(module).parameters()]
            )
        except AttributeError:
            return math.nan
    a, b = held
    if not a or [p.shape for p in a] != [p.shape for p in b]:
        return math.nan
    size = sum(float((p**2).sum()) for p in a)
    apart = sum(float(((p - q) ** 2).sum()) for p, q in zip(a, b, strict=True))
    return math.sqrt(apart / size) if size else (math.nan if apart else 0.0)


def _curves(histories: list[xr.Dataset | None]) -> dict[str, Any]:
    """Return the histories on one axis of epochs."""
    epochs = sorted({int(e) for h in histories if h is not None for e in h["epoch"].values})
    parts = ["training", "validation"]
    found = {}
    for name in ("loss", "metric"):
        values = np.full((2, len(parts), len(epochs)), np.nan)
        for s, history in enumerate(histories):
            if history is not None:
                rows = [epochs.index(int(e)) for e in history["epoch"].values]
                values[s][:, rows] = history[name].sel(part=parts).transpose("part", "epoch").values
        found[name] = xr.DataArray(
            values, dims=("side", "part", "epoch"), coords={"part": parts, "epoch": epochs}
        )
    return found
