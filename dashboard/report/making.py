"""Files of a report made beside the server: in a process of their own, with progress, and ended on demand.

Drawing figures keeps a core busy for seconds. In a process of its own it slows nobody's clicks, can be ended
at any moment, and takes its memory along.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dashboard import settings
from dashboard.errors import Cancelled, ComputeError, HomologError, InputError
from dashboard.report import plain
from dashboard.report.exporters import EXPORTERS
from dashboard.report.matter import Options, check
from dashboard.report.model import Report

_ROOT = Path(__file__).resolve().parents[2]
_PLACES = threading.BoundedSemaphore(2)
"""Files that are made at once on a server, whoever wants them."""


@dataclass
class Making:
    """One file that is being made; `result` waits for it.

    Attributes
    ----------
    report : Report
    ending : str
        One of `EXPORTERS`.
    options : Options
    fraction : float
        Share that is done, 0 to 1.
    phrase : str
        What is being done.
    """

    report: Report
    ending: str
    options: Options = field(default_factory=Options)
    fraction: float = 0.0
    phrase: str = "Starting"
    over: bool = False
    problem: str = ""
    _process: subprocess.Popen[str] | None = None
    _cancelled: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cancel(self) -> None:
        """End it."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.kill()

    def result(self) -> bytes:
        """Make the file and return its bytes.

        Raises
        ------
        HomologError
            Why there is none; `problem` keeps the sentence.
        """
        try:
            check(self.report)
            self.phrase = "Waiting for other files"
            with _PLACES, tempfile.TemporaryDirectory() as folder:
                self.phrase = "Starting"
                return self._made(Path(folder))
        except HomologError as error:
            self.problem = str(error)
            raise
        finally:
            self.over = True

    def _made(self, folder: Path) -> bytes:
        source, target = folder / "report.json", folder / f"report.{self.ending}"
        source.write_text(json.dumps(plain.to_plain(self.report)), "utf-8", "replace")
        process = self._begin(source, target)
        assert process.stdout is not None  # noqa: S101 - it was asked for
        assert process.stderr is not None  # noqa: S101
        for line in process.stdout:
            self._hear(line)
        said = process.stderr.read()
        status = process.wait()
        if self._cancelled:
            raise Cancelled("The file was not made: cancelled.")
        if status or not target.exists():
            kind = InputError if status == InputError.exit_status else ComputeError
            raise kind(said.strip().splitlines()[-1] if said.strip() else "The file could not be made.")
        return target.read_bytes()

    def _begin(self, source: Path, target: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dashboard", "report", str(source), "--out", str(target), "--tell"]
        for name, value in asdict(self.options).items():
            command += [f"--{name}", str(value)]
        address = settings.scheduler()
        command += ["--scheduler", address] if address else []
        with self._lock:
            if self._cancelled:
                raise Cancelled("The file was not made: cancelled.")
            self._process = subprocess.Popen(
                command, cwd=_ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            return self._process

    def _hear(self, line: str) -> None:
        try:
            told = json.loads(line)
            self.fraction, self.phrase = float(told["fraction"]), str(told["phrase"])
        except (ValueError, KeyError, TypeError):
            return


def file_name(report: Report, ending: str) -> str:
    """Return a name for the file: plain letters of the title, and the ending."""
    words = "".join(c if c.isalnum() else "-" for c in report.title.lower())
    words = "-".join(part for part in words.split("-") if part)[:60]
    return f"{words or 'report'}.{ending}"


def media_type(ending: str) -> str:
    """Return the media type of a form."""
    return EXPORTERS[ending].media_type
