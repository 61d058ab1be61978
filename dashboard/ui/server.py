"""What lives as long as the server: the libraries that pages draw with, and the job engine."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dashboard import jobs, networks

WARM = (
    "altair",
    "pandas",
    "xarray",
    "h5netcdf",
    "dashboard.ui.sidebar",
    "dashboard.ui.panel",
    "dashboard.ui.home",
)
"""Imported before the first request, so that nobody waits for them. None of them is torch."""

ENGINE_DELAY_S = 5.0
"""The workers import torch on every core; the first page, which mostly comes at once, goes before them."""


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Start the workers behind the first page and end them with the server."""
    for name in WARM:
        importlib.import_module(name)
    networks.catalogue()  # the first list takes most of a second, which the first visitor need not wait
    engine = jobs.engine()
    engine.start_in_background(delay_s=ENGINE_DELAY_S)
    try:
        yield
    finally:
        engine.close()
