"""What is in the files that somebody brought?"""

from __future__ import annotations

import json

import xarray as xr

from dashboard import bringing, kept
from dashboard.specs import LookSpec


def look(spec: LookSpec) -> xr.Dataset:
    """Look at files before anything is built from them.

    Returns
    -------
    xarray.Dataset
        Without variables; the attribute ``found`` is JSON: what the files hold, and a guess of the recipe.
    """
    found = json.dumps(bringing.look(spec.brings, spec.upload))
    return xr.Dataset(attrs={"title": kept.opened(spec.upload).title, "found": found, "simulated": "no"})
