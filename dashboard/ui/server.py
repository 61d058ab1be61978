"""What lives as long as the server: the libraries that pages draw with, and the job engine."""

from __future__ import annotations

import contextlib
import importlib
import re
import secrets
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st

from dashboard import exposure, jobs, networks
from dashboard.errors import HomologError, InputError

OWNER_COOKIE = "homolog_owner"
OWNER_YEARS = 2
_OWNER = re.compile(rf"(?:^|;\s*){OWNER_COOKIE}=[0-9a-f]{{32}}(?:;|$)".encode())

WARM = (
    "altair",
    "pandas",
    "xarray",
    "dask.array",  # xarray imports it at the first answer
    "h5netcdf",
    "dashboard.ui.sidebar",
    "dashboard.ui.panel",
    "dashboard.ui.home",
)
"""Imported before the first request, so that nobody waits for them. None of them is torch."""

ENGINE_DELAY_S = 5.0
"""The workers import torch on every core; the first page, which mostly comes at once, goes before them."""


def stay_home() -> None:
    """End the process with a sentence where strangers would reach a server that asks nobody who they are."""
    try:
        exposure.allow_listening(st.get_option("server.address"))
    except InputError as error:
        sys.exit(str(error))


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Start the workers behind the first page and end them with the server."""
    for name in WARM:
        importlib.import_module(name)
    entries = networks.catalogue()  # the first list takes most of a second; no visitor need wait for it
    threading.Thread(target=_learn_digests, args=(entries,), name="digests", daemon=True).start()
    engine = jobs.engine()
    engine.start_in_background(delay_s=ENGINE_DELAY_S)
    try:
        yield
    finally:
        engine.close()


def _learn_digests(entries: Iterable[networks.Entry]) -> None:
    """Read the weight files of this server once, behind the first page, so that no page waits for it."""
    time.sleep(ENGINE_DELAY_S)
    for entry in entries:
        if entry.weights == "file":
            with contextlib.suppress(HomologError):  # whoever opens it is told
                networks.identity(entry.reference)


class OwnerCookie:
    """Give every browser a random secret that only the server reads: whose sessions are whose."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on; an answer that is a page gets the cookie where the browser has none."""
        if scope["type"] != "http" or _owner_of(scope["headers"]):
            await self.app(scope, receive, send)
            return

        async def give(message: Any) -> None:
            if message["type"] == "http.response.start" and _is_page(message["headers"]):
                message["headers"] = [*message["headers"], (b"set-cookie", _cookie(scope).encode())]
            await send(message)

        await self.app(scope, receive, give)


def _owner_of(headers: Any) -> bool:
    return any(name == b"cookie" and _OWNER.search(value) for name, value in headers)


def _is_page(headers: Any) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers)


def _cookie(scope: Any) -> str:
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    age = OWNER_YEARS * 365 * 24 * 3600
    return f"{OWNER_COOKIE}={secrets.token_hex(16)}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"
