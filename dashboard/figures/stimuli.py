"""The stimuli of a set: thumbnails, contact sheet and table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dashboard.figures import answers, raster, theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import xarray as xr


def thumbnails(stimuli_ds: xr.Dataset) -> np.ndarray:
    """Return the thumbnails (n_stimuli, s, s, 3) uint8."""
    return stimuli_ds["thumbnail"].transpose("stimulus", "y", "x", "channel").to_numpy()


def thumbnails_by_name(stimuli_ds: xr.Dataset) -> dict[str, np.ndarray]:
    """Return the thumbnail (s, s, 3) uint8 of each stimulus by its name."""
    return dict(zip(answers.names(stimuli_ds, "stimulus"), thumbnails(stimuli_ds), strict=True))


def contact_sheet(stimuli_ds: xr.Dataset, columns: int | None = None) -> bytes:
    """Return all thumbnails as one PNG, near square unless ``columns`` is given."""
    return raster.sprite(thumbnails(stimuli_ds), columns).data


def contact_chart(stimuli_ds: xr.Dataset, *, dark: bool = False, width: int = 640) -> alt.Chart:
    """Draw the contact sheet as a chart, for export."""
    import altair as alt

    n = stimuli_ds.sizes["stimulus"]
    columns = max(1, round(math.sqrt(n * 1.6)))
    height = round(width * math.ceil(n / columns) / columns)
    uri = raster.data_uri(raster.sprite(thumbnails(stimuli_ds), columns).data)
    chart = (
        alt.Chart(alt.Data(values=[{"url": uri}]))
        .mark_image(width=width, height=height, aspect=False, aria=False)
        .encode(x=alt.value(width / 2), y=alt.value(height / 2), url="url:N")
        .properties(width=width, height=height, title=f"{stimuli_ds.attrs.get('title', 'Stimuli')} ({n})")
    )
    return theme.style(chart, dark)


def stimulus_table(stimuli_ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per stimulus: name, category and every other column."""
    import pandas as pd

    columns: dict[str, object] = {
        "stimulus": answers.names(stimuli_ds, "stimulus"),
        "category": answers.categories(stimuli_ds),
    }
    for name, variable in stimuli_ds.data_vars.items():
        if variable.dims == ("stimulus",) and name not in columns:
            columns[str(name)] = variable.to_numpy()
    return pd.DataFrame(columns)
