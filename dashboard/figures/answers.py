"""What every figure needs to know about an answer: its kind, record, cautions and what it was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dashboard.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

_VARIABLE_OF_KIND = {
    "score": "brain",
    "position": "map",
    "thumbnail": "stimuli",
    "n_units": "recording",
    "units": "network",
}


def record(ds: xr.Dataset) -> dict[str, Any]:
    """Return the record of an answer: spec, digests, versions, seed and times; empty when it has none."""
    return _json(ds, "record", {})


def spec(ds: xr.Dataset) -> dict[str, Any]:
    """Return the spec that the answer answers, as a dict; empty when it has none."""
    found = record(ds).get("spec", {})
    return json.loads(found) if isinstance(found, str) else found


def cautions(ds: xr.Dataset) -> list[str]:
    """Return the sentences of caution that travel with the answer."""
    return [c["message"] for c in _json(ds, "cautions", [])]


def _json(ds: xr.Dataset, name: str, default: Any) -> Any:
    text = ds.attrs.get(name, "")
    return json.loads(text) if text else default


def simulated(ds: xr.Dataset) -> bool:
    """Say whether anything in the answer is simulated."""
    return ds.attrs.get("simulated", "no") == "yes"


def kind(ds: xr.Dataset) -> str:
    """Return the kind of the answer, from its spec or else from its variables.

    Raises
    ------
    InputError
        When it is no answer of ours.
    """
    known = spec(ds).get("kind") or ds.attrs.get("kind")
    if known:
        return str(known)
    if "rdm" in ds:
        return "area-rdm" if "area" in ds["rdm"].dims else "rdm"
    for variable, name in _VARIABLE_OF_KIND.items():
        if variable in ds:
            return name
    message = "This is not an answer that Homolog can draw: it has none of the variables that it knows."
    raise InputError(message, "Compute it again, or open another file.")


def names(ds: xr.Dataset, dim: str) -> list[str]:
    """Return the coordinate of a dimension as plain strings."""
    return [str(v) for v in ds[dim].to_numpy()]


def categories(ds: xr.Dataset) -> list[str]:
    """Return the category of every stimulus; empty strings where there are none."""
    if "category" not in ds.variables:
        return [""] * ds.sizes["stimulus"]
    return [str(v) for v in ds["category"].to_numpy()]


def unit(ds: xr.Dataset, variable: str = "rdm") -> str:
    """Return the unit of a variable, looked for there and then on the whole answer."""
    found = (
        ds[variable].attrs.get("units") or ds.attrs.get("units") or ds.attrs.get("metric") or "dissimilarity"
    )
    return str(found)
