"""What every figure needs to know about an answer: its kind, record, cautions and what it was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dashboard.errors import InputError, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

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


def place(ds: xr.Dataset, stimulus: str) -> int:
    """Return the position of a stimulus among those of an answer.

    Raises
    ------
    InputError
        When the answer has no such stimulus.
    """
    known = names(ds, "stimulus")
    if stimulus not in known:
        raise unknown("stimulus", stimulus, known)
    return known.index(stimulus)


def beside_twin(
    ds: xr.Dataset,
    twin: xr.Dataset,
    name: str,
    write: Callable[[float], str],
    *,
    start: str = "",
    low_is_good: bool = False,
) -> str:
    """Compare a mean and its interval with the untrained twin's, stimuli being the same.

    Parameters
    ----------
    ds, twin : xr.Dataset
        Their attributes hold ``name``, ``name_low`` and ``name_high``.
    name : str
        Such as ``accuracy``.
    write : callable
        Writes a value with its unit.
    start : str
        What the sentence opens with, such as ``Mean error: ``.
    low_is_good : bool
        Whether a small value is a good one.
    """
    values = [[float(d.attrs[f"{name}{end}"]) for end in ("", "_low", "_high")] for d in (ds, twin)]
    told = [f"{write(mean)} ({write(low)} to {write(high)})" for mean, low, high in values]
    (_, low, high), (_, twin_low, twin_high) = values
    apart = high < twin_low if low_is_good else low > twin_high
    end = "Training made the difference." if apart else "The intervals overlap: training shows no clear gain."
    opening = f"{start}trained" if start else "Trained"
    return f"{opening} {told[0]}, untrained twin {told[1]}. {end}"


UNJUDGED = "How good either is cannot be told, so training cannot be judged from these stimuli."
"""Stands where a network and its untrained twin cannot be compared."""
