"""The layers of a network as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboard.figures import answers

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def layer_table(network_ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per layer in order of depth.

    Returns
    -------
    pd.DataFrame
        Columns Layer, Kind, Output shape, Units, Parameters, Default (in the default selection or not).
    """
    import pandas as pd

    return pd.DataFrame(
        {
            "Layer": answers.names(network_ds, "layer"),
            "Kind": [str(v) for v in network_ds["kind"].to_numpy()],
            "Output shape": [str(v) for v in network_ds["shape"].to_numpy()],
            "Units": network_ds["units"].to_numpy().astype("int64"),
            "Parameters": network_ds["parameters"].to_numpy().astype("int64"),
            "Default": network_ds["default"].to_numpy().astype(bool),
        }
    )


def facts(network_ds: xr.Dataset) -> str:
    """Return a line of facts: layers, parameters, input shape and weights."""
    attrs = network_ds.attrs
    parameters = f"{int(attrs.get('n_parameters', network_ds['parameters'].sum())):,}".replace(",", " ")
    found = [f"{network_ds.sizes['layer']} layers", f"{parameters} parameters"]
    if attrs.get("input_shape"):
        found.append(f"input {attrs['input_shape']}")
    return ", ".join(found)
