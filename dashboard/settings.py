"""Where Homolog keeps and finds things and how much it may use, read from the environment when asked.

========================== ====================================================== =======================
Variable                   Meaning                                                Default
========================== ====================================================== =======================
``HOMOLOG_HOME``           folder of answers, fetched data, weights and uploads   platform's cache folder
``HOMOLOG_DATA``           folder of data and weights that are already here       none
``HOMOLOG_SCHEDULER``      address of a Dask scheduler, ``tls://host:8786``       an embedded cluster
``HOMOLOG_STORE_LIMIT``    most bytes of stored answers, such as ``20GB``         20 GB
``HOMOLOG_WORKER_MEMORY``  most bytes of memory per worker, such as ``6GiB``      40 % of the memory
``HOMOLOG_WORKER_THREADS`` torch threads per worker                               cores - 1, at least 1
``HOMOLOG_ROOTS``          folders whose files pages may add, ``/a:/b``           none
``HOMOLOG_ARCHITECTURES``  folders of Python files with networks, ``/a:/b``       none
``HOMOLOG_UPLOAD``         most bytes of one upload                               100 MiB
``HOMOLOG_SESSION``        most bytes that one session uploads                    500 MiB
``HOMOLOG_UPLOADS``        most bytes of all uploads; the oldest go first         4 GiB
``HOMOLOG_READ_MEMORY``    most bytes of memory for reading one brought file      3 GiB
``HOMOLOG_READ_SECONDS``   most seconds for reading one brought file              60
``HOMOLOG_EXPOSED``        ``yes``: listen beyond this machine without a sign-in  no
========================== ====================================================== =======================

Nothing here imports torch, and nothing is remembered: a changed variable counts at the next call.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from dashboard.errors import InputError

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_DEFAULT_STORE_LIMIT = 20 * 10**9
_LEAST_WORKER_MEMORY = 512 * 2**20
# Two workers at 40 % each leave a fifth of the memory to the server and the system.
_WORKER_SHARE = 0.4


def home() -> Path:
    """Return the folder in which everything that Homolog writes is kept; it exists and can be written to.

    Raises
    ------
    InputError
        When the folder cannot be made or written to.
    """
    text = os.environ.get("HOMOLOG_HOME", "").strip()
    folder = Path(text).expanduser() if text else _cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # os.access is wrong for root, network drives and Windows; only trying tells.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        message = f'The folder "{folder.name}" for answers and data cannot be written ({_reason(error)}).'
        raise InputError(message, "Set HOMOLOG_HOME to a folder that you can write to.") from error
    return folder.resolve()


def data_folder() -> Path | None:
    """Return the folder of data that are already here, or None when ``HOMOLOG_DATA`` names no folder."""
    text = os.environ.get("HOMOLOG_DATA", "").strip()
    folder = Path(text).expanduser() if text else None
    return folder.resolve() if folder is not None and folder.is_dir() else None


def weights_roots() -> list[Path]:
    """Return the folders in which weight files are looked for, those that exist, in order of search."""
    return _existing(_child(_home_or_none(), "weights"), _child(data_folder(), "weights"))


def stimuli_roots() -> list[Path]:
    """Return the folders in which stimulus folders and zips are looked for, those that exist, in order."""
    return _existing(_child(_home_or_none(), "stimuli"), data_folder())


def roots() -> list[Path]:
    """Return the folders whose files a page may add, as the administrator lists them; those that exist."""
    return _listed("HOMOLOG_ROOTS")


def architecture_roots() -> list[Path]:
    """Return the folders with Python files of the administrator's own networks; those that exist."""
    return _listed("HOMOLOG_ARCHITECTURES")


def inside(path: Path, folders: list[Path]) -> bool:
    """Tell whether a path truly lies in one of these folders, links followed to their ends."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return False
    return any(real.is_relative_to(folder.resolve()) for folder in folders)


def upload_bytes() -> int:
    """Return the most bytes of one upload, all its files together."""
    return _bytes("HOMOLOG_UPLOAD", 100 * 2**20)


def session_bytes() -> int:
    """Return the most bytes that one session may upload."""
    return _bytes("HOMOLOG_SESSION", 500 * 2**20)


def uploads_bytes() -> int:
    """Return the most bytes of all uploads that are kept."""
    return _bytes("HOMOLOG_UPLOADS", 4 * 2**30)


def read_memory_bytes() -> int:
    """Return the most bytes of memory that reading one brought file may take."""
    return _bytes("HOMOLOG_READ_MEMORY", 3 * 2**30)


def read_seconds() -> float:
    """Return the most seconds that reading one brought file may take.

    Raises
    ------
    InputError
        When ``HOMOLOG_READ_SECONDS`` is not a whole number from 1 to 3600.
    """
    return float(_whole("HOMOLOG_READ_SECONDS", 60, 3600))


def exposed() -> bool:
    """Tell whether the administrator lets the server listen beyond this machine without a sign-in.

    Raises
    ------
    InputError
        When ``HOMOLOG_EXPOSED`` is neither yes nor no.
    """
    text = os.environ.get("HOMOLOG_EXPOSED", "").strip().lower()
    if text not in ("", "yes", "no"):
        raise InputError(f'HOMOLOG_EXPOSED is "{text}", which is neither yes nor no.')
    return text == "yes"


def scheduler() -> str | None:
    """Return the address of the Dask scheduler to use, or None for an embedded cluster.

    Raises
    ------
    InputError
        When ``HOMOLOG_SCHEDULER`` is not an address.
    """
    text = os.environ.get("HOMOLOG_SCHEDULER", "").strip()
    return scheduler_address(text) if text else None


def scheduler_address(text: str) -> str:
    """Return ``text`` when it can be the address of a Dask scheduler.

    Raises
    ------
    InputError
        When it cannot.
    """
    if not re.fullmatch(r"((tcp|tls|ws|wss|ucx)://)?[^\s/:]+:\d+|\S+\.json", text):
        message = f'"{text}" is not the address of a Dask scheduler.'
        raise InputError(message, "Write it as tls://host:8786 or name a scheduler file that ends in .json.")
    return text


def store_limit_bytes() -> int:
    """Return the most bytes that stored answers may take.

    Raises
    ------
    InputError
        When ``HOMOLOG_STORE_LIMIT`` is not an amount.
    """
    return _bytes("HOMOLOG_STORE_LIMIT", _DEFAULT_STORE_LIMIT)


def worker_memory_bytes() -> int:
    """Return the most bytes of memory that one embedded worker may take.

    Raises
    ------
    InputError
        When ``HOMOLOG_WORKER_MEMORY`` is not an amount.
    """
    return _bytes("HOMOLOG_WORKER_MEMORY", max(int(_WORKER_SHARE * _memory()), _LEAST_WORKER_MEMORY))


def worker_threads() -> int:
    """Return how many threads torch may use in a worker; one core is left to the pages.

    Raises
    ------
    InputError
        When ``HOMOLOG_WORKER_THREADS`` is not a whole number from 1 to 1024.
    """
    return _whole("HOMOLOG_WORKER_THREADS", max(1, _cores() - 1), 1024)


def parse_bytes(text: str, name: str = "This") -> int:
    """Read an amount such as ``"20GB"``, ``"512 MiB"`` or ``"1000000"``.

    Raises
    ------
    InputError
        When it is not a positive amount.

    Examples
    --------
    >>> parse_bytes("1.5 GB")
    1500000000
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    amount = int(float(found[1]) * _UNITS[found[2]]) if found and found[2] in _UNITS else 0
    if amount < 1:
        message = f'{name} is "{text}", which is not an amount of bytes.'
        raise InputError(message, "Write a number and a unit, such as 20GB or 512MiB.")
    return amount


def _whole(name: str, default: int, most: int) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        message = f'{name} is "{text}", which is not a whole number from 1 to {most}.'
        raise InputError(message)
    return int(text)


def _listed(name: str) -> list[Path]:
    texts = [text.strip() for text in os.environ.get(name, "").split(os.pathsep)]
    return [p.resolve() for p in (Path(text).expanduser() for text in texts if text) if p.is_dir()]


def _bytes(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip()
    return parse_bytes(text, name) if text else default


def _cache_folder() -> Path:
    import platformdirs  # here, because most runs set HOMOLOG_HOME or have it imported already

    return platformdirs.user_cache_path("homolog", appauthor=False)


def _home_or_none() -> Path | None:
    # Looking for weights must work with a home that is read-only or missing.
    text = os.environ.get("HOMOLOG_HOME", "").strip()
    return (Path(text).expanduser() if text else _cache_folder()).resolve()


def _child(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None else None


def _existing(*folders: Path | None) -> list[Path]:
    return [folder for folder in folders if folder is not None and folder.is_dir()]


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1


def _memory() -> int:
    """Return the bytes of memory of the machine, or of the container when that has less."""
    from distributed.system import MEMORY_LIMIT  # it knows cgroups and rlimits

    return int(MEMORY_LIMIT)
