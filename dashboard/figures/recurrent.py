"""Gates and states of a recurrent layer over time: heat maps, trajectories, RDMs, and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, rdms, sheets, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MOST_MEANS = 12
"""Up to this many categories get a mean trajectory, named at its end; more would lie over each other."""


def is_gate(trace: str) -> bool:
    """Say whether a trace lies between 0 (shut) and 1 (open)."""
    return trace.endswith("gate")


# --- words ------------------------------------------------------------------------------------------


def verdict(ds: xr.Dataset, cell: str = "") -> str:
    """Say between which steps the representation changes most."""
    one = _cell(ds, cell)
    steps = ds["step"].to_numpy()
    head = f"{ds.attrs['layer']} ({ds.attrs['kind_of_layer']}) takes {len(steps)} steps"
    alike = one["step_similarity"].to_numpy()
    next_to = np.array([alike[k, k + 1] for k in range(len(steps) - 1)])
    if len(steps) < 2 or not np.isfinite(next_to).any():
        return f"{head}; there are too few steps or stimuli to compare RDMs over time."
    k = int(np.nanargmin(next_to))
    return (
        f"{head}; its RDM changes most from step {steps[k]} to {steps[k + 1]} "
        f"(Spearman ρ {theme.three_digits(float(next_to[k]))}), and the first and the last step agree at ρ "
        f"{theme.three_digits(float(alike[0, -1]))}."
    )


def gate_words(ds: xr.Dataset, cell: str, stimulus: str) -> str:
    """Say how far the gates stand open on average for one stimulus."""
    one = _cell(ds, cell)["state"].sel(stimulus=stimulus)
    said = [
        f"{trace} {theme.three_digits(float(one.sel(trace=trace).mean()))}"
        for trace in answers.names(ds, "trace")
        if is_gate(trace)
    ]
    if not said:
        return "A plain recurrent layer has no gates, only its hidden state."
    return f"Mean over units and steps for {stimulus} (0 shut, 1 open): {', '.join(said)}."


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    first = answers.names(ds, "stimulus")[0]
    return f"{verdict(ds)} {gate_words(ds, '', first)}"


# --- tables -----------------------------------------------------------------------------------------


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return mean and spread over units of every trace, for each cell, stimulus and step."""
    state = ds["state"]
    frame = state.mean("unit").to_dataframe("mean").reset_index()
    frame["sd"] = state.std("unit").to_dataframe("sd").reset_index()["sd"]
    return frame[["cell", "trace", "stimulus", "step", "mean", "sd"]]


# --- heat maps --------------------------------------------------------------------------------------


def limits(ds: xr.Dataset, cell: str, trace: str) -> tuple[float, float]:
    """Return the ends of the colour scale of a trace: the same for all stimuli."""
    if is_gate(trace):
        return 0.0, 1.0
    return theme.signed_limits(_cell(ds, cell)["state"].sel(trace=trace).to_numpy())


def trace_chart(
    ds: xr.Dataset,
    cell: str,
    trace: str,
    stimulus: str,
    *,
    dark: bool = False,
    width: int = 230,
    height: int = 200,
) -> Any:
    """Draw one gate or state, units over steps, for one stimulus, with its colour scale."""
    return theme.style(_trace(ds, cell, trace, stimulus, dark, width, height), dark)


def _trace(ds: xr.Dataset, cell: str, trace: str, stimulus: str, dark: bool, width: int, height: int) -> Any:
    import altair as alt

    values = _cell(ds, cell)["state"].sel(trace=trace, stimulus=stimulus).transpose("unit", "step").to_numpy()
    ends, lut = limits(ds, cell, trace), "viridis" if is_gate(trace) else "diverging"
    drawn = sheets.heat(values, lut=lut, limits=ends, x="Step", y="Unit", width=width, height=height)
    bar = sheets.colour_bar(lut, ends, "0 shut, 1 open" if is_gate(trace) else "value", width)
    title = alt.TitleParams(trace[:1].upper() + trace[1:], color=theme.colour("text", dark), fontSize=12)
    words = f"{trace} of {values.shape[0]} units over {values.shape[1]} steps for {stimulus}"
    return alt.vconcat(drawn.properties(title=title), bar, spacing=6).properties(description=words)


def states_chart(
    ds: xr.Dataset, cell: str = "", stimulus: str = "", *, dark: bool = False, width: int = 190
) -> Any:
    """Draw every gate and state for one stimulus, three in a row, for files."""
    import altair as alt

    stimulus = stimulus or answers.names(ds, "stimulus")[0]
    panels = [_trace(ds, cell, trace, stimulus, dark, width, 150) for trace in answers.names(ds, "trace")]
    title = alt.TitleParams(f"{ds.attrs['layer']} for {stimulus}", subtitle=gate_words(ds, cell, stimulus))
    whole = alt.concat(*panels, columns=3, spacing=16).properties(title=title)
    return theme.style(whole, dark)


# --- trajectories -----------------------------------------------------------------------------------


def trajectory_words(ds: xr.Dataset, cell: str = "") -> str:
    """Say how much of the states' variance the plane shows."""
    share = _cell(ds, cell)["explained"].to_numpy()
    if not np.isfinite(share).all():
        return "The states do not vary, so there is no plane to draw."
    return (
        f"The plane shows {100 * share.sum():.0f} % of the variance of the hidden state over stimuli and "
        f"steps ({100 * share[0]:.0f} and {100 * share[1]:.0f} %); what lies outside it is not seen here."
    )


def trajectory_chart(
    ds: xr.Dataset,
    cell: str = "",
    stimulus: str = "",
    *,
    dark: bool = False,
    width: Any = "container",
    height: int = 380,
) -> Any:
    """Draw the path of the hidden state in its principal plane: all stimuli, class means, the chosen one."""
    import altair as alt

    stimulus = stimulus or answers.names(ds, "stimulus")[0]
    rows = _paths(ds, cell)
    share = _cell(ds, cell)["explained"].to_numpy()
    titles = [f"Principal axis {k + 1} ({100 * share[k]:.0f} % of variance)" for k in range(2)]
    place = {
        "x": alt.X("x:Q", title=titles[0], scale=alt.Scale(zero=False)),
        "y": alt.Y("y:Q", title=titles[1], scale=alt.Scale(zero=False)),
        "order": alt.Order("step:Q"),
    }
    all_paths = (
        alt.Chart(alt.Data(values=[row for row in rows if row["stimulus"] != stimulus]))
        .mark_line(strokeWidth=0.6, opacity=0.35, color=theme.colour("muted", dark))
        .encode(**place, detail="stimulus:N", tooltip=["stimulus:N", "category:N"])
    )
    chosen = alt.Chart(alt.Data(values=[row for row in rows if row["stimulus"] == stimulus]))
    ink = theme.colour("text", dark)
    path = chosen.mark_line(strokeWidth=2.4, color=ink, point=alt.OverlayMarkDef(color=ink, size=36)).encode(
        **place, tooltip=["stimulus:N", "step:Q"]
    )
    numbers = chosen.mark_text(dx=8, dy=-8, fontWeight="bold", color=ink).encode(
        x="x:Q", y="y:Q", text="step:N"
    )
    layers = [all_paths, *_means(rows, place, dark), path, numbers]
    words = f"Trajectories of the hidden state, {stimulus} highlighted. {trajectory_words(ds, cell)}"
    chart = alt.layer(*layers).properties(width=width, height=height, description=words)
    return theme.style(chart, dark)


def _paths(ds: xr.Dataset, cell: str) -> list[dict[str, Any]]:
    place = _cell(ds, cell)["position"].transpose("stimulus", "step", "axis").to_numpy()
    names, kinds = answers.names(ds, "stimulus"), answers.categories(ds)
    return [
        {
            "stimulus": names[i],
            "category": kinds[i],
            "step": int(step),
            "x": round(float(place[i, t, 0]), 4),
            "y": round(float(place[i, t, 1]), 4),
        }
        for i in range(len(names))
        for t, step in enumerate(ds["step"].to_numpy())
    ]


def _means(rows: list[dict[str, Any]], place: dict[str, Any], dark: bool) -> list[Any]:
    """Return the mean path of every category, named at its end; none where there are too many to tell."""
    import altair as alt

    kinds = list(dict.fromkeys(row["category"] for row in rows if row["category"]))
    if not 1 < len(kinds) <= MOST_MEANS:
        return []
    steps = sorted({row["step"] for row in rows})
    means = []
    for kind in kinds:
        for step in steps:
            found = [row for row in rows if row["category"] == kind and row["step"] == step]
            x, y = (float(np.mean([row[axis] for row in found])) for axis in "xy")
            means.append({"category": kind, "step": step, "x": x, "y": y})
    colours, shapes = theme.category_colours(len(kinds), dark), (theme.CATEGORY_SHAPES * 2)[: len(kinds)]
    colour = alt.Color("category:N", title=None, scale=alt.Scale(domain=kinds, range=colours), legend=None)
    base = alt.Chart(alt.Data(values=means))
    line = base.mark_line(strokeWidth=1.8).encode(**place, color=colour, tooltip=["category:N", "step:Q"])
    ends = alt.Chart(alt.Data(values=[row for row in means if row["step"] == steps[-1]]))
    mark = ends.mark_point(filled=True, size=70, opacity=1).encode(
        x="x:Q",
        y="y:Q",
        color=colour,
        shape=alt.Shape("category:N", scale=alt.Scale(domain=kinds, range=list(shapes)), legend=None),
    )
    label = ends.mark_text(align="left", dx=8, fontSize=11).encode(
        x="x:Q", y="y:Q", text="category:N", color=colour
    )
    return [line, mark, label]


# --- RDMs over time ---------------------------------------------------------------------------------


def step_matrices(ds: xr.Dataset, cell: str = "") -> list[rdms.Matrix]:
    """Return the RDM of every step in one order of stimuli, all on one scale."""
    one = _cell(ds, cell)[["rdm"]].rename(step="layer")
    kinds = ("stimulus", answers.categories(ds))
    named = one.assign_coords(
        layer=[f"step {k}" for k in ds["step"].to_numpy()], stimulus=ds["stimulus"].to_numpy(), category=kinds
    )
    named.attrs = {"kind": "rdm"}
    return rdms.matrices(named)


def step_similarity_chart(ds: xr.Dataset, cell: str = "", *, dark: bool = False, side: int = 260) -> Any:
    """Draw how alike the RDMs of two steps are, for all pairs of steps."""
    import altair as alt

    values = _cell(ds, cell)["step_similarity"].to_numpy()
    ends = theme.signed_limits(values)
    drawn = sheets.heat(values, lut="diverging", limits=ends, x="Step", y="Step", width=side, height=side)
    bar = sheets.colour_bar("diverging", ends, "Spearman ρ of two RDMs", side)
    whole = alt.vconcat(drawn, bar, spacing=6).properties(description=verdict(ds, cell))
    return theme.style(whole, dark)


def _cell(ds: xr.Dataset, cell: str) -> xr.Dataset:
    return ds.sel(cell=cell or answers.names(ds, "cell")[-1])
