"""Two networks side by side: card, layers, parameters, training, and words."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, network, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MARKS = {
    "same": "",
    "changed": "changed",
    "only first": "only in the first",
    "only second": "only in the second",
}


def titles(ds: xr.Dataset) -> list[str]:
    """Return what the two networks are called, never the same."""
    found: list[str] = json.loads(ds.attrs["titles"])
    return found


# --- words ------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset) -> str:
    """Say how large both are and in how many layers they differ."""
    first, second = titles(ds)
    size, flops = ds["n_parameters"].to_numpy(), ds["total_flops"].to_numpy()
    change = [str(v) for v in ds["change"].to_numpy()]
    counts = {kind: change.count(kind) for kind in MARKS}
    text = (
        f"{first} has {int(size[0]):,} parameters and takes {network.large(int(flops[0]))} operations for a "
        f"stimulus, {second} {int(size[1]):,} and {network.large(int(flops[1]))}"
    )
    if counts["same"] == len(change):
        return f"{text}. Their {len(change)} layers are the same{_weights(ds)}."
    said = [f"{counts[kind]} {words}" for kind, words in MARKS.items() if counts[kind] and words]
    return f"{text}. Of {len(change)} layers, matched by {ds.attrs['matched_by']}, {', '.join(said)}."


def _weights(ds: xr.Dataset) -> str:
    moved = ds["weight_change"].to_numpy()
    moved = moved[np.isfinite(moved)]
    if not moved.size:
        return ""
    return ", with other weights" if (moved > 0).any() else ", and so are their weights"


# --- tables -----------------------------------------------------------------------------------------


def cards(ds: xr.Dataset, *, differences: bool = False) -> pd.DataFrame:
    """Return what is known of both networks, one row a fact, with a column that says what differs."""
    import pandas as pd
    import xarray as xr

    known = [network.card(xr.Dataset(attrs=facts)) for facts in json.loads(ds.attrs["facts"])]
    flops = [network.large(int(v)) for v in ds["total_flops"].to_numpy()]
    known = [{**card, "Operations": f"{n} for a stimulus"} for card, n in zip(known, flops, strict=True)]
    rows = [
        {
            "Fact": heading,
            **{title: card.get(heading, "") for title, card in zip(titles(ds), known, strict=True)},
            "Differs": "" if known[0].get(heading) == known[1].get(heading) else "differs",
        }
        for heading in dict.fromkeys([*known[0], *known[1]])
    ]
    table = pd.DataFrame(rows)
    return table[table["Differs"] != ""].reset_index(drop=True) if differences else table


def layers(ds: xr.Dataset, *, differences: bool = False) -> pd.DataFrame:
    """Return the matched layers, one row a pair, with what changes in words.

    Parameters
    ----------
    differences : bool
        Leave out layers that are the same in both, also in their weights.
    """
    import pandas as pd

    first, second = titles(ds)
    text = {
        name: ds[name].transpose("row", "side").to_numpy() for name in ("name", "kind", "shape", "detail")
    }
    numbers = {name: ds[name].transpose("row", "side").to_numpy() for name in ("parameters", "flops")}
    change, moved = [str(v) for v in ds["change"].to_numpy()], ds["weight_change"].to_numpy()
    rows = []
    for k in range(ds.sizes["row"]):
        row: dict[str, Any] = {
            "Change": words(change[k], {n: text[n][k] for n in text}, numbers["parameters"][k], moved[k])
        }
        for side, title in enumerate((first, second)):
            row[f"Layer of {title}"] = str(text["name"][k, side])
            row[f"Output of {title}"] = str(text["shape"][k, side])
            row[f"Parameters of {title}"] = _whole(numbers["parameters"][k, side])
            row[f"FLOPs of {title}"] = _whole(numbers["flops"][k, side])
        rows.append(row)
    table = pd.DataFrame(rows).astype({c: "Int64" for c in rows[0] if c.startswith(("Param", "FLOP"))})
    return table[table["Change"] != "same"].reset_index(drop=True) if differences else table


def _whole(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def words(change: str, text: dict[str, np.ndarray], parameters: np.ndarray, moved: float) -> str:
    """Say in words what changes from one layer to its partner; ``"same"`` when nothing does."""
    if change.startswith("only"):
        return MARKS[change]
    said = [
        f"{name}: {text[key][0] or 'none'} → {text[key][1] or 'none'}"
        for key, name in (("kind", "kind"), ("shape", "output"), ("detail", "settings"))
        if text[key][0] != text[key][1]
    ]
    if parameters[0] != parameters[1]:
        said.append(f"parameters: {int(parameters[0]):,} → {int(parameters[1]):,}")
    if math.isfinite(moved) and moved > 0:
        said.append(f"other weights (differ by {100 * moved:.3g} %)")
    return "; ".join(said) or "same"


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return the matched layers as a table for files."""
    return layers(ds)


# --- charts -----------------------------------------------------------------------------------------


def size_chart(
    ds: xr.Dataset,
    what: str = "parameters",
    *,
    differences: bool = False,
    dark: bool = False,
    width: Any = "container",
) -> Any:
    """Draw parameters or FLOPs of matched layers on one logarithmic scale, one row a pair of layers."""
    import altair as alt

    rows, order = size_rows(ds, what, differences)
    names = titles(ds)
    title = {"parameters": "Parameters", "flops": "FLOPs for a stimulus"}[what]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("row:N", sort=order, title=None, axis=alt.Axis(grid=True, labelLimit=160)),
        x=alt.X("value:Q", title=f"{title} (log scale)", scale=alt.Scale(type="log", nice=True)),
    )
    line = base.mark_line(color=theme.colour("muted", dark), strokeWidth=1).encode(detail="row:N")
    points = base.mark_point(filled=True, size=65, opacity=0.9).encode(
        color=alt.Color(
            "side:N",
            title=None,
            scale=alt.Scale(
                domain=names, range=[theme.colour("network", dark), theme.colour("second", dark)]
            ),
        ),
        shape=alt.Shape("side:N", title=None, scale=alt.Scale(domain=names, range=["circle", "triangle-up"])),
        tooltip=[
            alt.Tooltip("side:N", title="Network"),
            alt.Tooltip("layer:N", title="Layer"),
            alt.Tooltip("value:Q", title=title, format=","),
        ],
    )
    chart = (line + points).properties(width=width, height=alt.Step(17), description=verdict(ds))
    return theme.style(chart, dark)


def size_rows(ds: xr.Dataset, what: str, differences: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the points of `size_chart` and the order of its rows; only layers with something to show."""
    values = ds[what].transpose("row", "side").to_numpy()
    names = ds["name"].transpose("row", "side").to_numpy()
    change, leaf = [str(v) for v in ds["change"].to_numpy()], ds["leaf"].to_numpy()
    rows, order = [], []
    for k in range(len(values)):
        if not leaf[k] or (differences and change[k] == "same"):
            continue
        label = f"{k + 1} · {theme.shortened(str(names[k, 0] or names[k, 1]), 20)}"
        here = [
            {"row": label, "side": title, "value": float(values[k, s]), "layer": str(names[k, s])}
            for s, title in enumerate(titles(ds))
            if math.isfinite(values[k, s]) and values[k, s] > 0
        ]
        rows += here
        order += [label] if here else []
    return rows, order


def training_note(ds: xr.Dataset) -> str:
    """Say whether the curves can be compared; ``""`` when both tell one and the same measure."""
    metrics: list[str] = json.loads(ds.attrs["metric_names"])
    missing = [title for title, metric in zip(titles(ds), metrics, strict=True) if not metric]
    if len(missing) == 2:
        return "Neither network brings a history of its training."
    if missing:
        return f"{missing[0]} brings no history of training."
    if metrics[0] != metrics[1]:
        return (
            f"The metrics are different ({metrics[0]}; {metrics[1]}): compare their course, not their values."
        )
    return ""


def curves_chart(
    ds: xr.Dataset, name: str, *, dark: bool = False, width: Any = "container", height: int = 240
) -> Any:
    """Draw loss or metric of both networks over epochs on one scale; dashed is training, solid validation."""
    import altair as alt

    values = ds[name].transpose("side", "part", "epoch").to_numpy()
    rows = [
        {"network": title, "part": one, "epoch": int(epoch), "value": float(values[s, p, e])}
        for s, title in enumerate(titles(ds))
        for p, one in enumerate(answers.names(ds, "part"))
        for e, epoch in enumerate(ds["epoch"].to_numpy())
        if math.isfinite(values[s, p, e])
    ]
    metrics = sorted({m for m in json.loads(ds.attrs["metric_names"]) if m})
    title = "Loss" if name == "loss" else " / ".join(m[:1].upper() + m[1:] for m in metrics) or "Metric"
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=alt.OverlayMarkDef(size=16), strokeWidth=1.8)
        .encode(
            x=alt.X(
                "epoch:Q",
                title="Epoch (solid: validation, dashed: training)",
                axis=alt.Axis(tickMinStep=1, format="d"),
            ),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=name == "loss")),
            color=alt.Color(
                "network:N",
                title=None,
                scale=alt.Scale(
                    domain=titles(ds), range=[theme.colour("network", dark), theme.colour("second", dark)]
                ),
            ),
            strokeDash=alt.StrokeDash(
                "part:N",
                title=None,
                scale=alt.Scale(domain=["training", "validation"], range=[[5, 4], [1, 0]]),
                legend=None,
            ),
            tooltip=["network:N", "part:N", "epoch:Q", alt.Tooltip("value:Q", format=".4g")],
        )
        .properties(width=width, height=height, description=f"{title} of both networks over epochs")
    )
    return theme.style(chart, dark)
