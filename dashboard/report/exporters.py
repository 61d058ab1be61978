"""Every form in which a report can be taken along, by file ending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from dashboard.errors import unknown
from dashboard.report.matter import Answers, Options, Tell, quiet
from dashboard.report.model import Report

Write = Callable[[Report, Answers, Options, Tell], bytes]


@dataclass(frozen=True)
class Exporter:
    """A form of a report.

    Attributes
    ----------
    label : str
    words : str
        What it is good for, in a sentence.
    media_type : str
    module : str
        Module of this package whose ``write`` makes it, imported when it is wanted.
    icon : str
    """

    label: str
    words: str
    media_type: str
    module: str
    icon: str

    def write(self, report: Report, answers: Answers, options: Options, tell: Tell = quiet) -> bytes:
        """Return the file."""
        made: Write = import_module(f"dashboard.report.{self.module}").write
        found = made(report, answers, options, tell)
        tell(1.0, "Done")
        return found


_OFFICE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"

EXPORTERS: dict[str, Exporter] = {
    "pptx": Exporter(
        "PowerPoint",
        "One figure a slide; provenance and methods stand in the notes.",
        _OFFICE,
        "slides",
        ":material/slideshow:",
    ),
    "html": Exporter(
        "Web page",
        "One file that needs no internet: live charts, matrices under the cursor, light and dark.",
        "text/html",
        "page",
        ":material/public:",
    ),
    "pdf": Exporter(
        "PDF",
        "For paper: vector figures, page numbers, methods and references.",
        "application/pdf",
        "document",
        ":material/picture_as_pdf:",
    ),
    "ipynb": Exporter(
        "Notebook",
        "Computes every figure again from its question (Jupyter), and says whether the numbers are the same.",
        "application/x-ipynb+json",
        "notebook",
        ":material/code:",
    ),
    "zip": Exporter(
        "Everything",
        "Zip of all data (netCDF, CSV), questions (JSON) and figures (SVG, PNG, PDF), with BibTeX.",
        "application/zip",
        "archive",
        ":material/folder_zip:",
    ),
}


def ending_of(path: str | Path) -> str:
    """Return the ending of a file name, checked.

    Raises
    ------
    InputError

    Examples
    --------
    >>> ending_of("lab meeting.PPTX")
    'pptx'
    """
    ending = Path(path).suffix.lower().lstrip(".")
    if ending not in EXPORTERS:
        raise unknown("form of a report", ending or Path(path).name, EXPORTERS)
    return ending
