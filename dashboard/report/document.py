"""A report as PDF: vector figures and text that is text, set by Typst from data that it never runs."""

from __future__ import annotations

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dashboard import provenance
from dashboard.errors import ComputeError
from dashboard.figures import export, theme
from dashboard.report import markup, methods
from dashboard.report.matter import Answers, Matter, Options, Tell, check, sides
from dashboard.report.model import Item, Panel, Report, Section, Text

LAYOUT = Path(__file__).resolve().parents[2] / "assets" / "export" / "report.typ"
HIGHEST_MM = 215.0
"""A figure higher than this is made smaller, so that it stays on a page with its title."""


def write(report: Report, answers: Answers, options: Options, tell: Tell) -> bytes:
    """Return the document.

    Raises
    ------
    InputError
        When the report is empty.
    ComputeError
        When it cannot be set.
    """
    import typst

    check(report)
    matter = Matter(report, answers, options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = []
        for k, item in enumerate(report.items):
            tell(0.9 * k / len(report.items), "Figures")
            items.append(_item(item, k, matter, folder))
        written = methods.of(matter)
        content = {
            "title": report.title,
            "contents": len(report.panels) > 2,
            "items": items,
            "methods": written.paragraphs,
            "references": written.listed,
            "colours": {name: theme.colour(name) for name in ("muted", "caution", "network")},  # type: ignore[arg-type]
        }
        (folder / "report.json").write_text(json.dumps(content), "utf-8", "replace")
        (folder / "report.typ").write_text(LAYOUT.read_text("utf-8"), "utf-8")
        tell(0.92, "Pages")
        try:
            return bytes(typst.compile(folder / "report.typ", root=folder, font_paths=_fonts()))
        except (RuntimeError, typst.TypstError) as error:
            message = "The report could not be set as PDF."
            raise ComputeError(message, "Choose HTML, and print it from the browser.") from error


def _item(item: Item, k: int, matter: Matter, folder: Path) -> dict[str, Any]:
    if isinstance(item, Section):
        return {"type": "section", "title": item.title}
    if isinstance(item, Text):
        return {"type": "text", "words": markup.tree(item.text)}
    return {
        "type": "panel",
        "title": item.title,
        "words": markup.tree(item.caption),
        "cautions": matter.cautions(item),
        "alt": matter.words(item),
        "records": [*filter(None, [sides(item)]), *(provenance.sentence(r) for r in matter.records(item))],
        **_picture(item, k, matter, folder),
    }


def _picture(panel: Panel, k: int, matter: Matter, folder: Path) -> dict[str, Any]:
    drawing = matter.drawing(panel)
    if drawing is None:
        return {"picture": None, "width": 0, "height": 0, "tall": True}
    (folder / f"figure-{k}.pdf").write_bytes(drawing.vectors())
    width = export.MILLIMETRES[drawing.look.preset]
    height = width * drawing.height / drawing.width
    scale = min(1.0, HIGHEST_MM / height)
    return {"picture": f"figure-{k}.pdf", "width": width * scale, "height": height * scale, "tall": False}


def _fonts() -> list[Path]:
    """Return a folder with a sans-serif font for machines that have none of ours, if a package brings one."""
    found = find_spec("matplotlib")
    places = list(found.submodule_search_locations or ()) if found else []
    fonts = Path(places[0]) / "mpl-data" / "fonts" / "ttf" if places else None
    return [fonts] if fonts is not None and fonts.is_dir() else []
