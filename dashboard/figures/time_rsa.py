"""Similarity of layers with an area over time: courses with clusters, RDMs at chosen times, and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, rdms, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

LEVEL = 0.05
SHOWN_TIMES = 6

SHUFFLES = {
    "stimuli": "shuffled labels of the stimuli",
    "subjects": "flipped signs of the subjects",
}


def _ms(value: float) -> str:
    return f"{theme.fixed(value, 0)} ms"


def bin_ms(ds: xr.Dataset, dim: str = "time") -> float:
    """Return the usual distance of two times."""
    times = ds[dim].to_numpy()
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0


def best(ds: xr.Dataset) -> int:
    """Return the position of the layer with the largest score, of those with a significant cluster if any."""
    tops = np.nan_to_num(ds["score"].to_numpy(), nan=-np.inf).max(axis=1)
    sure = ds["significant"].to_numpy().any(axis=1)
    return int(np.where(sure, tops, -np.inf).argmax() if sure.any() else tops.argmax())


# --- words --------------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset) -> str:
    """Say which layer resembles the area most, from when on, and when most."""
    start = "Simulated: " if answers.simulated(ds) else ""
    area = ds.attrs["area_name"]
    sure = ds["significant"].to_numpy().any(axis=1)
    if not sure.any():
        return (
            f"{start}No layer resembles {area} at any time beyond what {SHUFFLES[ds.attrs['shuffle']]} give."
        )
    k = best(ds)
    name = answers.names(ds, "layer")[k]
    p = _smallest_p(ds, name)
    others = int(sure.sum()) - 1
    more = f" So do {others} other layers." if others > 1 else " So does one other layer." if others else ""
    return (
        f"{start}{name} resembles {area} from about {_ms(float(ds['onset'][k]))} on"
        f"{_range(ds, 'onset', k)} and "
        f"most at {_ms(float(ds['peak'][k]))}{_range(ds, 'peak', k)} "
        f"({ds.attrs['measure_label']} {theme.three_digits(float(np.nanmax(ds['score'][k])))}; cluster "
        f"{theme.p_value(p)}).{more}"
    )


def _range(ds: xr.Dataset, name: str, k: int) -> str:
    low, high = float(ds[f"{name}_low"][k]), float(ds[f"{name}_high"][k])
    return f" (95 % {theme.fixed(low, 0)} to {theme.fixed(high, 0)})" if math.isfinite(low) else ""


def _smallest_p(ds: xr.Dataset, layer: str) -> float:
    found = ds["cluster_p_all"].to_numpy()[ds["cluster_layer"].to_numpy().astype(str) == layer]
    return float(found.min()) if len(found) else 1.0


def caption(ds: xr.Dataset) -> str:
    """Say how it was measured, and what a cluster does not say."""
    a = ds.attrs
    ceiling = (
        "Grey band: noise ceiling at each time. "
        if np.isfinite(ds["ceiling_low"]).any()
        else "No noise ceiling. "
    )
    spread = (
        f"Shaded: 95 % of {a['bootstrap']} resamples of stimuli and subjects at once, of the best layer; "
        "too wide rather than too narrow (Schütt et al., 2023). "
        if int(a["bootstrap"])
        else ""
    )
    return (
        f"{a['measure_label']} of each layer's RDM with the RDM of every time bin ({_metric(ds)}), mean of "
        f"{ds.sizes['subject']} subjects. {ceiling}{spread}Bars below: clusters with p ≤ .05, corrected over "
        f"times and layers with {int(a['n_labellings']) - 1:,} {SHUFFLES[a['shuffle']]} (Maris & Oostenveld, "
        "2007). A cluster speaks as a whole: its first bin is not tested by itself, so take onsets as rough "
        "(Sassenhagen & Draschkow, 2019)."
    )


def _metric(ds: xr.Dataset) -> str:
    a = ds.attrs
    return f"as given; layers: {a['metric']}" if a.get("given") == "yes" else str(a["metric"])


def words(ds: xr.Dataset) -> str:
    """Return the verdict with the number of layers and times."""
    return f"{verdict(ds)} {ds.sizes['layer']} layers at {ds.sizes['time']} times."


# --- charts -------------------------------------------------------------------------------------------------


def chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.LayerChart:
    """Draw the similarity of each layer over time with the noise ceiling, and clusters as bars below."""
    import altair as alt

    names = answers.names(ds, "layer")
    palette = theme.category_colours(len(names), dark)
    times, scores = ds["time"].to_numpy(), ds["score"].to_numpy()
    low, high = _limits(ds)
    step = (high - low) * 0.035
    x = alt.X("time:Q", title="Time from the start of the stimulus (ms)", scale=alt.Scale(nice=False))
    scale = alt.Scale(domain=[low - step * (len(names) + 1), high], nice=False)
    label = f"Similarity ({ds.attrs['measure_label']})"
    y = alt.Y("score:Q", title=label, scale=scale)
    colour = alt.Color("layer:N", sort=names, title="Layer", scale=alt.Scale(domain=names, range=palette))
    marks: list[Any] = [*_ceiling(ds, dark, x)]
    k = best(ds)
    rows = [
        {"time": float(t), "low": _number(a), "high": _number(b)}
        for t, a, b in zip(times, ds["ci_low"][k].to_numpy(), ds["ci_high"][k].to_numpy(), strict=True)
    ]
    if rows[0]["low"] is not None:
        band = alt.Chart(alt.Data(values=rows)).mark_area(opacity=0.2, color=palette[k])
        marks.append(band.encode(x=x, y=alt.Y("low:Q", title=label), y2="high:Q"))
    for place, axis in ((0.0, "x"), (0.0, "y")):
        rule = alt.Chart(alt.Data(values=[{"at": place}])).mark_rule(
            color=theme.colour("control", dark), strokeDash=[4, 4]
        )
        marks.append(rule.encode(**{axis: "at:Q"}))
    curves = alt.Chart(alt.Data(values=_rows(ds, names, times, scores)))
    marks.append(
        curves.mark_line(strokeWidth=2).encode(
            x=x,
            y=y,
            color=colour,
            tooltip=[
                "layer:N",
                alt.Tooltip("time:Q", title="ms"),
                alt.Tooltip("score:Q", format=".3f", title=str(ds.attrs["measure_label"])),
                alt.Tooltip("sure:N", title="in a significant cluster"),
            ],
        )
    )
    bars = _bars(ds, names, low, step)
    if bars:
        marks.append(
            alt.Chart(alt.Data(values=bars))
            .mark_rule(strokeWidth=4)
            .encode(
                x=alt.X("from:Q"),
                x2="to:Q",
                y="at:Q",
                color=colour,
                tooltip=["layer:N", "from:Q", "to:Q", alt.Tooltip("p:Q", format=".4f")],
            )
        )
    drawn = alt.layer(*marks).properties(
        width=width, height=360, title=ds.attrs["title"], description=words(ds)
    )
    return theme.style(theme.across(drawn, width), dark)


def _limits(ds: xr.Dataset) -> tuple[float, float]:
    parts = [ds[name].to_numpy() for name in ("score", "ceiling_low", "ceiling_high")]
    k = best(ds)
    parts += [ds["ci_low"][k].to_numpy(), ds["ci_high"][k].to_numpy()]
    low, high = theme.sequential_limits(*parts, zero=True)
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _number(value: Any) -> float | None:
    found = float(value)
    return found if math.isfinite(found) else None


def _ceiling(ds: xr.Dataset, dark: bool, x: alt.X) -> list[Any]:
    import altair as alt

    low, high = ds["ceiling_low"].to_numpy(), ds["ceiling_high"].to_numpy()
    if not np.isfinite(low).any():
        return []
    rows = [
        {"time": float(t), "low": _number(a), "high": _number(b)}
        for t, a, b in zip(ds["time"].to_numpy(), low, high, strict=True)
    ]
    grey = theme.colour("ceiling", dark)
    area = alt.Chart(alt.Data(values=rows)).mark_area(color=grey, opacity=theme.CEILING_OPACITY)
    return [
        area.encode(
            x=x,
            y="low:Q",
            y2="high:Q",
            tooltip=[
                alt.Tooltip("low:Q", format=".3f", title="noise ceiling from"),
                alt.Tooltip("high:Q", format=".3f", title="to"),
            ],
        )
    ]


def _rows(
    ds: xr.Dataset, names: Sequence[str], times: np.ndarray, scores: np.ndarray
) -> list[dict[str, Any]]:
    sure = ds["significant"].to_numpy()
    return [
        {
            "layer": name,
            "time": float(t),
            "score": _number(scores[i, j]),
            "sure": "yes" if sure[i, j] else "no",
        }
        for i, name in enumerate(names)
        for j, t in enumerate(times)
    ]


def _bars(ds: xr.Dataset, names: Sequence[str], low: float, step: float) -> list[dict[str, Any]]:
    half = bin_ms(ds) / 2
    return [
        {
            "layer": row["layer"],
            "from": row["from (ms)"] - half,
            "to": row["to (ms)"] + half,
            "at": low - step * (names.index(row["layer"]) + 0.7),
            "p": row["p over all"],
        }
        for row in _clusters(ds)
        if row["p over all"] <= LEVEL
    ]


def _clusters(ds: xr.Dataset) -> list[dict[str, Any]]:
    columns = {
        "layer": "cluster_layer",
        "from (ms)": "cluster_from",
        "to (ms)": "cluster_to",
        "mass": "cluster_mass",
        "p": "cluster_p",
        "p over all": "cluster_p_all",
    }
    return [
        {
            name: str(ds[column].to_numpy()[k]) if name == "layer" else float(ds[column].to_numpy()[k])
            for name, column in columns.items()
        }
        for k in range(ds.sizes["cluster"])
    ]


def main_chart(ds: xr.Dataset, width: int = 640) -> alt.LayerChart:
    """Draw the courses, for export."""
    return chart(ds, width=width - 80)


# --- RDMs at chosen times -----------------------------------------------------------------------------------


def telling_times(ds: xr.Dataset, most: int = SHOWN_TIMES) -> list[float]:
    """Return times worth looking at: before the stimulus, the best layer's onset and peak, and even steps."""
    times = ds["time"].to_numpy()
    k = best(ds)
    wanted = [float(times[0]), *(float(ds[name][k]) for name in ("onset", "peak"))]
    found = [t for t in wanted if math.isfinite(t)]
    for t in np.linspace(max(0.0, float(times[0])), float(times[-1]), most):
        near = float(times[np.abs(times - t).argmin()])
        if len(set(found)) < most and all(abs(near - f) > 2 * bin_ms(ds) for f in found):
            found.append(near)
    return sorted(set(found))


def movie(ds: xr.Dataset, times: Sequence[float]) -> list[rdms.Matrix]:
    """Return the RDM of the area at each of these times (ms), all on one scale."""
    labels, groups = tuple(answers.names(ds, "stimulus")), tuple(answers.categories(ds))
    values = [ds["movie"].sel(time=t, method="nearest").to_numpy() for t in times]
    low, high = theme.sequential_limits(*values, zero=True)
    return [
        rdms.Matrix(
            _ms(float(t)),
            rdms.squared(v, len(labels)),
            labels,
            groups,
            low,
            high,
            answers.unit(ds, "movie"),
            "brain",
        )
        for t, v in zip(times, values, strict=True)
    ]


# --- tables -------------------------------------------------------------------------------------------------


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per layer and time."""
    names = ["score", "statistic", "ci_low", "ci_high", "significant"]
    return ds[names].to_dataframe().reset_index()


def layer_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return onset and peak of each layer."""
    import pandas as pd

    names = answers.names(ds, "layer")
    return pd.DataFrame(
        {
            "layer": names,
            "p of the best cluster": [_smallest_p(ds, name) for name in names],
            **{
                f"{name} (ms)": [_latency(ds, name, k) for k in range(len(names))]
                for name in ("onset", "peak")
            },
            "resamples with a cluster": ds["resamples_with"].to_numpy(),
        }
    )


def _latency(ds: xr.Dataset, name: str, k: int) -> str:
    """Write an onset or peak with its interval, or say that there is none."""
    value = float(ds[name][k])
    if not math.isfinite(value):
        return f"no {name}"
    low, high = (float(ds[f"{name}_{end}"][k]) for end in ("low", "high"))
    spread = (
        f", 95 % {theme.fixed(low, 0)} to {theme.fixed(high, 0)}" if math.isfinite(low) else ", no interval"
    )
    return f"{theme.fixed(value, 0)}{spread}"


def cluster_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per cluster, largest mass first."""
    import pandas as pd

    return pd.DataFrame(_clusters(ds))
