"""What lives as long as the server: the job engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dashboard import jobs


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Start the workers behind the first page and end them with the server."""
    engine = jobs.engine()
    engine.start_in_background()
    try:
        yield
    finally:
        engine.close()
