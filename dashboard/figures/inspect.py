"""The quality of a recording: verdict, heat map of the responses, reliability of the units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, raster, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr

RELIABLE = 0.5
"""Reliability from which a unit is called reliable; half of the variance of its mean response is signal."""

BINS = np.linspace(-1, 1, 41)


def verdict(ds: xr.Dataset) -> str:
    """Say what was read and how reliable it is, from the numbers."""
    areas = answers.names(ds, "area")
    counts = [
        f"{area} ({_amount(int(n), 'unit')}, {_amount(int(s), 'subject')})"
        if n
        else f"{area} (RDMs, {_amount(int(s), 'subject')})"
        for area, n, s in zip(areas, ds["n_units"].to_numpy(), ds["n_subjects"].to_numpy(), strict=True)
    ]
    text = f"{int(ds.attrs['n_stimuli'])} stimuli in {', '.join(counts)}."
    values = ds["reliability"].to_numpy()
    known = values[np.isfinite(values)]
    if known.size:
        share = float((known >= RELIABLE).mean())
        repeats = int(ds["n_repeats"].max())
        return (
            f"{text} The median unit has a reliability of {theme.three_digits(float(np.median(known)))} over "
            f"{repeats} repeats; {share:.0%} reach {RELIABLE:g}."
        )
    if not values.size:
        return text
    return f"{text} There are no repeats, so the reliability of single units is unknown."


def ceiling_words(ds: xr.Dataset) -> str:
    """Say how well the best possible model could do in each area, where subjects tell it."""
    parts = [
        f"{area}: {theme.interval(float(low), float(high))}"
        for area, low, high in zip(
            answers.names(ds, "area"),
            ds["ceiling_lower"].to_numpy(),
            ds["ceiling_upper"].to_numpy(),
            strict=True,
        )
        if np.isfinite([low, high]).all()
    ]
    if parts:
        return (
            "Noise ceiling of the RDMs over subjects (Spearman ρ, leave one out to all; Nili et al., 2014): "
            f"{'; '.join(parts)}."
        )
    return "With one subject there is no noise ceiling over subjects."


def _amount(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def heat_chart(ds: xr.Dataset, dark: bool = False, area: str = "", *, width: int | str = 640) -> alt.Chart:
    """Draw the responses of one area, stimuli × units, as z-scores over stimuli."""
    import altair as alt

    names = answers.names(ds, "area")
    place = names.index(area) if area in names else 0
    heat = ds["heat"].to_numpy()[place]
    heat = heat[:, ~np.isnan(heat).all(axis=0)] if heat.size else heat
    limit = 3.0
    pixels = raster.coloured(heat, theme.lut("diverging"), -limit, limit) if heat.size else None
    size: dict[str, Any] = {"width": width if isinstance(width, int) else 640, "height": 280}
    chart = (
        alt.Chart(
            alt.Data(
                values=[{"url": raster.data_uri(raster.png(raster.enlarged(pixels)))}]
                if pixels is not None
                else []
            )
        )
        .mark_image(**size, aspect=False, aria=False)
        .encode(x=alt.value(size["width"] / 2), y=alt.value(size["height"] / 2), url="url:N")
        .properties(
            **size,
            title={
                "text": f"Responses of {names[place]}",
                "subtitle": f"rows: {heat.shape[0]} of {ds.attrs['n_stimuli']} stimuli; columns: "
                f"{heat.shape[1]} of {int(ds['n_units'].to_numpy()[place]):,} units; z-scores over stimuli, "
                f"from −{limit:g} (blue) to {limit:g} (red)",
            },
            description=heat_words(ds, names[place]),
        )
    )
    return theme.style(theme.unfitted(chart), dark)


def heat_words(ds: xr.Dataset, area: str) -> str:
    """Say what the heat map shows, for those who cannot see it."""
    place = answers.names(ds, "area").index(area)
    heat = ds["heat"].to_numpy()[place]
    if not np.isfinite(heat).any():
        return f"{area} has RDMs only, no responses."
    row = int(np.nanargmax(np.nanmean(heat, axis=1)))
    name = str(ds["row_name"].to_numpy()[row])
    return f"Heat map of the responses of {area}; on average units respond most to {name}."


def reliability_chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.Chart:
    """Draw how many units have which reliability, by area."""
    import altair as alt

    values = ds["reliability"].to_numpy()
    areas = ds["unit_area"].to_numpy()
    rows: list[dict[str, Any]] = []
    for area in answers.names(ds, "area"):
        known = values[(areas == area) & np.isfinite(values)]
        counts, _ = np.histogram(known, BINS)
        rows += [
            {"low": float(low), "high": float(high), "units": int(n), "area": area}
            for low, high, n in zip(BINS[:-1], BINS[1:], counts, strict=True)
            if n
        ]
    colours = theme.category_colours(ds.sizes["area"], dark)
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("low:Q", bin="binned", title="Reliability (split half, Spearman–Brown)").scale(
                domain=[-1, 1]
            ),
            x2="high:Q",
            y=alt.Y("units:Q", title="Units", stack=True),
            color=alt.Color("area:N", title="Area").scale(domain=answers.names(ds, "area"), range=colours),
            tooltip=["area:N", alt.Tooltip("low:Q", format=".2f"), "units:Q"],
        )
        .properties(width=width, height=200, title="Reliability of units", description=verdict(ds))
    )
    return theme.style(chart, dark)


def over_time(ds: xr.Dataset) -> bool:
    """Tell whether anything is known over time."""
    return bool("course" in ds and np.isfinite(ds["course"].to_numpy()).any())


def course_words(ds: xr.Dataset) -> str:
    """Say which times there are, and when the mean response is largest."""
    times = ds["time"].to_numpy()
    step = float(np.median(np.diff(times))) if len(times) > 1 else float("nan")
    every = f", mostly every {theme.three_digits(step)} ms" if len(times) > 1 else ""
    peaks = [
        f"{area} at {times[int(np.nanargmax(values))]:g} ms"
        for area, values in zip(answers.names(ds, "area"), ds["course"].to_numpy(), strict=True)
        if np.isfinite(values).any()
    ]
    return (
        f"{len(times)} times from {times[0]:g} to {times[-1]:g} ms after the start of the stimulus{every}. "
        f"Largest mean: {', '.join(peaks)}."
    )


def course_chart(ds: xr.Dataset, dark: bool = False, *, width: int | str = "container") -> alt.Chart:
    """Draw the mean response, or dissimilarity, of each area over time."""
    import altair as alt

    areas, times = answers.names(ds, "area"), ds["time"].to_numpy()
    rows = [
        {"area": area, "time": float(t), "mean": float(v)}
        for area, values in zip(areas, ds["course"].to_numpy(), strict=True)
        for t, v in zip(times, values, strict=True)
        if np.isfinite(v)
    ]
    colours = [theme.colour("brain", dark)] if len(areas) == 1 else theme.category_colours(len(areas), dark)
    of_rdms = not int(ds["n_units"].sum())
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2, point=len(times) == 1)
        .encode(
            x=alt.X("time:Q", title="Time from the start of the stimulus (ms)", scale=alt.Scale(nice=False)),
            y=alt.Y("mean:Q", title="Mean dissimilarity" if of_rdms else "Mean response"),
            color=alt.Color("area:N", title="Area", legend=alt.Legend() if len(areas) > 1 else None).scale(
                domain=areas, range=colours
            ),
            tooltip=["area:N", "time:Q", alt.Tooltip("mean:Q", format=".4g")],
        )
        .properties(
            width=width, height=180, title="Mean over stimuli and units", description=course_words(ds)
        )
    )
    return theme.style(chart, dark)


def main_chart(ds: xr.Dataset, width: int = 640) -> alt.Chart:
    """Draw the heat map of the first area, for export."""
    return heat_chart(ds, width=width - 12)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per unit, or per area where there are only RDMs."""
    import pandas as pd

    if not ds.sizes.get("unit"):
        columns = ["n_subjects", "n_units", "n_repeats", "ceiling_lower", "ceiling_upper"]
        return ds[columns].to_dataframe().reset_index()
    return pd.DataFrame(
        {
            "area": ds["unit_area"].to_numpy(),
            "subject": ds["unit_subject"].to_numpy(),
            **{name: ds[name].to_numpy() for name in ("reliability", "mean", "std")},
        }
    )
