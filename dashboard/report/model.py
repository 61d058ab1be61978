"""A report: pinned panels, text between them and sections, as plain data that pages and exports share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dashboard.specs import Spec


@dataclass(frozen=True)
class Panel:
    """A pinned figure: what was asked, how it was looked at, and what it showed when it was pinned.

    Attributes
    ----------
    id : str
        Twelve hexadecimal digits, unique in the report.
    title, caption : str
        Words of the person; the caption is Markdown with mathematics between dollar signs.
    spec : Spec
        The question; computing it again gives the answer.
    name : str
        Which figure of the answer it is, as the page's footer names it.
    page : str
        Path of the page that it was pinned on, such as ``"brain"``.
    view : tuple of (str, str)
        What the link to the page needs besides the spec.
    chart : dict
        The Vega-Lite specification as it was pinned, light theme; empty when it is to be drawn anew.
    record : dict
        The record of the answer as it was pinned: inputs by digest, versions, seed, duration.
    alt : str
        What the figure shows, in words.
    beside : tuple of Spec
        Further questions of the same kind, answered in the same figure and on the same scales: side by side.
        ``chart`` is then the figure of them all, ``spec`` the first question.
    beside_records : tuple of dict
        Their records, in the same order.
    """

    id: str
    title: str
    caption: str
    spec: Spec
    name: str
    page: str = ""
    view: tuple[tuple[str, str], ...] = ()
    chart: dict[str, Any] = field(default_factory=dict, hash=False)
    record: dict[str, Any] = field(default_factory=dict, hash=False)
    alt: str = ""
    beside: tuple[Spec, ...] = ()
    beside_records: tuple[dict[str, Any], ...] = field(default=(), hash=False)

    @property
    def specs(self) -> tuple[Spec, ...]:
        """All questions that the figure answers, the first first."""
        return (self.spec, *self.beside)

    @property
    def records(self) -> tuple[dict[str, Any], ...]:
        """The record of each of `specs`."""
        return (self.record, *self.beside_records)


@dataclass(frozen=True)
class Text:
    """A paragraph between panels: Markdown with mathematics between dollar signs."""

    id: str
    text: str


@dataclass(frozen=True)
class Section:
    """A heading; what follows belongs to it until the next."""

    id: str
    title: str


Item = Panel | Text | Section


@dataclass(frozen=True)
class Report:
    """A title and items in order."""

    title: str = "Untitled report"
    items: tuple[Item, ...] = ()

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The pinned figures in order."""
        return tuple(item for item in self.items if isinstance(item, Panel))
