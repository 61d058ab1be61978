"""What a report is made of, gathered before it is written: answers, facts about networks, drawn figures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dashboard import provenance, specs
from dashboard.errors import HomologError, InputError
from dashboard.figures import answers as read
from dashboard.figures import export
from dashboard.figures.export import Drawing, Look
from dashboard.report import drawing
from dashboard.report.model import Panel, Report, Section, Text
from dashboard.specs import Spec

if TYPE_CHECKING:
    import xarray as xr

Answers = Mapping[Spec, "xr.Dataset"]
Tell = Callable[[float, str], None]


def quiet(fraction: float, phrase: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Options:
    """How a report is written.

    Attributes
    ----------
    preset : {"single", "double"}
        Width of figures in files of figures: 85 or 180 mm.
    points : float
        Size of the labels of axes in print; 0 leaves the proportions as on the screen.
    dpi : int
        Pixels to the inch of pictures.
    """

    preset: export.Preset = "double"
    points: float = 0.0
    dpi: int = export.SCREEN_DPI

    @property
    def look(self) -> Look:
        """The same, for a figure."""
        return Look(self.preset, self.points, self.dpi)


@dataclass(eq=False)
class Matter:
    """A report with everything that exporters need of it; figures are drawn once.

    Attributes
    ----------
    report : Report
    answers : mapping of Spec to xr.Dataset
        What is known; panels without an answer show what was pinned.
    options : Options
    """

    report: Report
    answers: Answers
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        self._drawn: dict[tuple[str, Look], Drawing] = {}
        self._charts: dict[str, dict[str, Any]] = {}

    def chart(self, panel: Panel) -> dict[str, Any]:
        """Return the Vega-Lite spec of a panel: as pinned or drawn anew; empty for neither."""
        if panel.id not in self._charts:
            self._charts[panel.id] = _paper(panel.chart or self._anew(panel))
        return self._charts[panel.id]

    def _anew(self, panel: Panel) -> dict[str, Any]:
        found = [self.answers[spec] for spec in panel.specs if spec in self.answers]
        if len(found) < len(panel.specs):
            return {}
        areas = drawing.companion(panel)
        try:
            return drawing.redrawn(panel, found, self.answers.get(areas) if areas else None).chart
        except InputError:  # a kind without a figure still has its words, table and record
            return {}

    def drawing(self, panel: Panel, look: Look | None = None) -> Drawing | None:
        """Return the drawn figure of a panel, or None where there is none."""
        look = look or self.options.look
        chart = self.chart(panel)
        if not chart:
            return None
        if (panel.id, look) not in self._drawn:
            self._drawn[panel.id, look] = export.draw(chart, look)
        return self._drawn[panel.id, look]

    def answer(self, panel: Panel) -> xr.Dataset | None:
        """Return the answer to a panel's first question, if it is known."""
        return self.answers.get(panel.spec)

    def records(self, panel: Panel) -> list[dict[str, Any]]:
        """Return the records of a panel, as pinned or of the answers, then of areas beside its layers."""
        found = [record for record in panel.records if record.get("spec")]
        found = found or [read.record(self.answers[s]) for s in panel.specs if s in self.answers]
        return [*found, *(read.record(self.answers[s]) for s in self.specs(panel)[len(panel.specs) :])]

    def specs(self, panel: Panel) -> tuple[Spec, ...]:
        """Return the questions of a panel, and that of the areas beside its layers where it is answered."""
        areas = drawing.companion(panel)
        return (*panel.specs, areas) if areas is not None and areas in self.answers else panel.specs

    def cautions(self, panel: Panel) -> list[str]:
        """Return what a reader of a panel must know, each sentence once."""
        said = [c for spec in panel.specs if spec in self.answers for c in read.cautions(self.answers[spec])]
        return list(dict.fromkeys(said))

    def words(self, panel: Panel) -> str:
        """Return what a panel shows, in words."""
        from dashboard.figures.alternative import alt_text

        known = [self.answers[spec] for spec in panel.specs if spec in self.answers]
        return panel.alt or " Beside it: ".join(map(alt_text, known)) or panel.title


def sides(panel: Panel) -> str:
    """Return what the letters of a figure side by side stand for; nothing where it answers one question."""
    from dashboard.figures.beside import LETTERS

    if not panel.beside:
        return ""
    return " · ".join(f"{k}: {provenance.title(s)}" for k, s in zip(LETTERS, panel.specs, strict=False))


def _paper(chart: dict[str, Any]) -> dict[str, Any]:
    """Return a chart on white, in letters that nearly every machine has, whatever page it was pinned on."""
    from dashboard.figures import theme

    if not chart:
        return {}
    config = {**chart.get("config", {}), "background": "white", "font": theme.EXPORT_FONT}
    return {**chart, "config": config, **({"background": "white"} if "background" in chart else {})}


def check(report: Report) -> None:
    """Refuse a report with nothing in it.

    Raises
    ------
    InputError
    """
    if not any(isinstance(item, Panel | Text | Section) for item in report.items):
        message = "This report is empty."
        raise InputError(message, "Pin a figure or write a paragraph first.")


def needed(report: Report) -> list[Spec]:
    """Return every question that the panels ask, each once, in order."""
    return list(dict.fromkeys(spec for panel in report.panels for spec in panel.specs))


def beside(report: Report) -> list[Spec]:
    """Return small questions whose answers a report uses where they are known: facts, pictures, areas."""
    found: list[Spec] = []
    for spec in needed(report):
        for source, reference in sources(spec):
            if source == "network":
                found.append(specs.NetworkSpec(network=reference))
            if source == "recording":
                found.append(specs.RecordingSpec(recording=reference))
            if source == "stimuli":
                found.append(specs.StimuliSpec(stimuli=reference))
    found += [areas for panel in report.panels if (areas := drawing.companion(panel)) is not None]
    return list(dict.fromkeys(found))


def sources(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the kind and the reference of every input of a spec."""
    for f in dataclasses.fields(spec):
        value = getattr(spec, f.name)
        if isinstance(value, Spec):
            yield from sources(value)
        elif "source" in f.metadata and value:
            yield str(f.metadata["source"]), value


def gather(
    report: Report,
    ask: Callable[[Spec], xr.Dataset],
    stored: Callable[[Spec], xr.Dataset | None],
    tell: Tell = quiet,
) -> dict[Spec, xr.Dataset]:
    """Return the answers of a report.

    Parameters
    ----------
    ask : callable
        Answers a spec, computing it when it must.
    stored : callable
        Returns an answer only if it is there.
    tell : callable
        Hears how far it is.

    Raises
    ------
    HomologError
        When an answer cannot be had for a panel that was pinned without its figure.
    """
    found: dict[Spec, xr.Dataset] = {}
    questions = needed(report)
    pinned = {spec for panel in report.panels if panel.chart for spec in panel.specs}
    for k, spec in enumerate(questions):
        tell(k / len(questions), f"Answer {k + 1} of {len(questions)}")
        try:
            found[spec] = ask(spec)
        except InputError:  # an input is gone: what was pinned can still be shown
            if spec not in pinned:
                raise
    for spec in beside(report):
        try:
            known = stored(spec)
        except HomologError:
            continue
        if known is not None:
            found[spec] = known
    return found


def record_text(record: Mapping[str, Any]) -> str:
    """Return a record as indented JSON."""
    return json.dumps(record, indent=2, ensure_ascii=False, sort_keys=True)
