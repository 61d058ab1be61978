"""What is in the files that somebody brought?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import xarray as xr

from dashboard import kept
from dashboard.specs import LookSpec


def look(spec: LookSpec) -> xr.Dataset:
    """Look at files before anything is built from them.

    Returns
    -------
    xarray.Dataset
        Without variables; the attribute ``found`` is JSON: what the files hold, and a guess of the recipe.
    """
    found = kept.opened(spec.upload)
    return xr.Dataset(
        attrs={"title": found.title, "found": json.dumps(_LOOKS[spec.brings](spec.upload)), "simulated": "no"}
    )


def _recording(upload: str) -> dict[str, Any]:
    from dashboard.recordings import uploaded

    return uploaded.look(upload)


def _network(upload: str) -> dict[str, Any]:
    from dashboard.networks import uploaded

    return uploaded.look(upload)


_LOOKS: dict[str, Callable[[str], dict[str, Any]]] = {"recording": _recording, "network": _network}
