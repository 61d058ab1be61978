"""Is the server safe to expose? Its settings are read, and the server is asked as a stranger would."""

from __future__ import annotations

import contextlib
import http.client
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dashboard import settings
from dashboard.errors import InputError

Grade = Literal["safe", "look", "unsafe"]
LOCAL = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = "every network interface"
MOST_UPLOAD_MB = 100
_TIMEOUT_S = 3
_DEFAULTS = {
    "server.address": "",
    "server.port": 8501,
    "server.maxUploadSize": 200,
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.allowedHosts": [],
    "server.enableStaticServing": False,
    "client.showErrorDetails": "full",
    "browser.gatherUsageStats": True,
}
"""What Streamlit does where nothing is set."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what it is, whether it is safe, and what to do."""

    name: str
    grade: Grade
    said: str


def check(url: str = "") -> list[Finding]:
    """Return what was found in the settings and, where it answers, of the running server.

    Parameters
    ----------
    url : str, optional
        Of the running server; the address and port of the settings when not given.

    Raises
    ------
    InputError
        When the address is none.
    """
    found = options()
    signed_in = _sign_in()
    findings = [
        _address(found, signed_in),
        _hosts(found),
        Finding(
            "sign-in",
            "safe" if signed_in else "look",
            "st.login has a provider."
            if signed_in
            else "Nobody has to sign in: keep it on 127.0.0.1 behind an SSH tunnel or a proxy with a login.",
        ),
        _graded(
            "upload size",
            int(found["server.maxUploadSize"]) <= MOST_UPLOAD_MB,
            f"One file may have {found['server.maxUploadSize']} MB; the limit should be {MOST_UPLOAD_MB}.",
        ),
        _graded(
            "request forgery",
            bool(found["server.enableXsrfProtection"] and found["server.enableCORS"]),
            "enableXsrfProtection and enableCORS must both be true.",
        ),
        _graded(
            "error details",
            found["client.showErrorDetails"] == "none",
            f'showErrorDetails is "{found["client.showErrorDetails"]}" and should be "none".',
        ),
        _graded(
            "static files",
            not found["server.enableStaticServing"],
            "enableStaticServing should be false: nothing of the app is a file to fetch.",
        ),
        _graded("telemetry", not found["browser.gatherUsageStats"], "gatherUsageStats should be false."),
        *_folders(),
        *_limits(),
    ]
    return findings + _asked(url or f"http://127.0.0.1:{found['server.port']}")


def allow_listening(address: str | None) -> None:
    """Let the server start where only this machine reaches it, where people sign in, or where it was said so.

    Parameters
    ----------
    address : str, optional
        Streamlit's ``server.address``; none means every network interface.

    Raises
    ------
    InputError
        When strangers could reach it and nothing asks who they are.
    """
    where = address or EVERYWHERE
    if where in LOCAL or where.startswith("unix://") or _sign_in() or settings.exposed():
        return
    message = f"The server would listen on {where}, where nobody has to sign in, and is not started."
    raise InputError(
        message,
        'Set server.address to "127.0.0.1", set up a sign-in, or set HOMOLOG_EXPOSED=yes where a proxy with '
        "a login stands before it.",
    )


def options() -> dict[str, Any]:
    """Return the settings of Streamlit: defaults, the user's file, the app's file, then the environment."""
    found = dict(_DEFAULTS)
    root = Path(__file__).resolve().parents[1]
    for file in (Path.home() / ".streamlit" / "config.toml", root / ".streamlit" / "config.toml"):
        with contextlib.suppress(OSError, tomllib.TOMLDecodeError):
            for section, values in tomllib.loads(file.read_text("utf-8")).items():
                if isinstance(values, Mapping):
                    found.update({f"{section}.{name}": value for name, value in values.items()})
    for name, value in list(found.items()):
        text = os.environ.get(_variable(name))
        if text is not None:
            found[name] = _typed(text, value)
    return found


def _variable(name: str) -> str:
    section, _, option = name.partition(".")
    snake = "".join(f"_{c}" if c.isupper() else c for c in option)
    return f"STREAMLIT_{section}_{snake}".upper()


def _typed(text: str, like: Any) -> Any:
    if isinstance(like, bool):
        return text.strip().lower() in ("true", "1", "yes")
    if isinstance(like, int):
        return int(text) if text.strip().isdigit() else like
    return text.split(",") if isinstance(like, list) else text


def _sign_in() -> bool:
    root = Path(__file__).resolve().parents[1]
    for file in (root / ".streamlit" / "secrets.toml", Path.home() / ".streamlit" / "secrets.toml"):
        with contextlib.suppress(OSError, tomllib.TOMLDecodeError):
            if "auth" in tomllib.loads(file.read_text("utf-8")):
                return True
    return False


def _graded(name: str, safe: bool, remedy: str) -> Finding:
    return Finding(name, "safe" if safe else "unsafe", "As it should be." if safe else remedy)


def _address(found: Mapping[str, Any], signed_in: bool) -> Finding:
    address = str(found["server.address"])
    if address in LOCAL:
        return Finding("address", "safe", f"It listens on {address} only.")
    where = address or EVERYWHERE
    if signed_in:
        return Finding("address", "look", f"It listens on {where}: put a proxy with TLS before it.")
    if settings.exposed():
        said = f"It listens on {where} because HOMOLOG_EXPOSED says so: a proxy must ask for a login."
        return Finding("address", "look", said)
    return Finding(
        "address", "unsafe", f'It listens on {where} without a sign-in. Set address to "127.0.0.1".'
    )


def _hosts(found: Mapping[str, Any]) -> Finding:
    if found["server.allowedHosts"]:
        return Finding("allowed hosts", "safe", "Requests for other hosts are refused.")
    grade: Grade = "look" if str(found["server.address"]) in LOCAL else "unsafe"
    return Finding(
        "allowed hosts", grade, 'Set allowedHosts to the name of the server, such as ["lab.example"].'
    )


def _folders() -> list[Finding]:
    open_folders = [*settings.roots(), *settings.architecture_roots()]
    writable = [folder.name for folder in settings.architecture_roots() if _others_write(folder)]
    if writable:
        said = (
            f"Others may write into {', '.join(writable)}, whose Python files are run: take that right away."
        )
        return [Finding("folders", "unsafe", said)]
    return [
        Finding("folders", "safe", f"{len(open_folders)} listed folders; none that runs code is open to all.")
    ]


def _others_write(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & 0o002)
    except OSError:
        return False


def _limits() -> list[Finding]:
    said = (
        f"One upload {settings.upload_bytes() // 2**20} MB, one session "
        f"{settings.session_bytes() // 2**20} MB, "
        f"all together {settings.uploads_bytes() // 2**20} MB; reading one file "
        f"{settings.read_memory_bytes() // 2**20} MB of memory and {settings.read_seconds():.0f} s."
    )
    return [Finding("limits", "safe", said)]


# --- the running server ----------------------------------------------------------------------------


def _asked(url: str) -> list[Finding]:
    """Ask the running server what it tells strangers."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f'"{url}" is not the address of a server.', "Write http://127.0.0.1:8501.")
    health = _get(parts, "/_stcore/health")
    if health is None:
        return [Finding("running server", "look", "It does not answer, so only the settings were looked at.")]
    metrics = _get(parts, "/_stcore/metrics")
    foreign = _get(parts, "/_stcore/host-config", host="attacker.example")
    return [
        Finding("running server", "safe", "It answers."),
        Finding("metrics", *_metrics(metrics)),
        Finding("foreign host", *_foreign(foreign)),
    ]


def _metrics(status: int | None) -> tuple[Grade, str]:
    if status == 200:
        return "look", "Anybody can read /_stcore/metrics: block it in the proxy."
    return "safe", "/_stcore/metrics is not open."


def _foreign(status: int | None) -> tuple[Grade, str]:
    if status == 200:
        return "look", "It answers requests for foreign hosts: set server.allowedHosts."
    return "safe", "Requests for foreign hosts are refused."


def _get(parts: Any, path: str, host: str = "") -> int | None:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
