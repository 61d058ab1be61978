"""A report as PowerPoint: one figure a slide, with what to say and where it comes from in the notes."""

from __future__ import annotations

import io
from typing import Any

from dashboard import provenance
from dashboard.figures import export, theme
from dashboard.figures.export import Look
from dashboard.report import archive, markup, methods
from dashboard.report.matter import Answers, Matter, Options, Tell, check, sides
from dashboard.report.model import Item, Panel, Report, Section, Text

WIDTH_MM, HEIGHT_MM, MARGIN_MM = 338.67, 190.5, 12.0
"""A slide of 16:9, and what is left free at its edges."""

LONGEST = 420
"""Characters of a caption on its slide; the whole of it stands in the notes."""


def write(report: Report, answers: Answers, options: Options, tell: Tell) -> bytes:
    """Return the slides.

    Raises
    ------
    InputError
        When the report is empty.
    """
    from pptx import Presentation
    from pptx.util import Mm

    check(report)
    matter = Matter(report, answers, options)
    deck = Presentation()
    deck.slide_width, deck.slide_height = Mm(WIDTH_MM), Mm(HEIGHT_MM)
    deck.core_properties.title, deck.core_properties.author = report.title, ""
    _opening(deck, report)
    for k, item in enumerate(report.items):
        tell(0.9 * k / len(report.items), "Slides")
        _slide(deck, item, matter)
    _closing(deck, matter)
    stream = io.BytesIO()
    deck.save(stream)
    return archive.undated(stream.getvalue())


def _slide(deck: Any, item: Item, matter: Matter) -> None:
    if isinstance(item, Section):
        _words(_blank(deck), item.title, 75, 40, size=36, bold=True)
    elif isinstance(item, Text):
        slide = _blank(deck)
        text = markup.plain(item.text)
        _words(slide, _shortened(text, 900), MARGIN_MM, HEIGHT_MM - 2 * MARGIN_MM, size=20)
        slide.notes_slide.notes_text_frame.text = _clean(text)
    else:
        _panel(deck, item, matter)


def _panel(deck: Any, panel: Panel, matter: Matter) -> None:
    slide = _blank(deck)
    _title(slide, panel.title)
    caption = "\n".join(filter(None, [sides(panel), markup.plain(panel.caption)]))
    below = 26 if caption else 4
    top, room = 30.0, HEIGHT_MM - 30 - below - 6
    drawing = matter.drawing(panel, Look(dpi=max(export.SCREEN_DPI, matter.options.dpi)))
    if drawing is None:
        _words(slide, matter.words(panel), top, room, size=18)
    else:
        _picture(slide, drawing, top, room, matter.words(panel))
    if caption:
        _words(slide, _shortened(caption, LONGEST), HEIGHT_MM - below - 4, below, size=14)
    slide.notes_slide.notes_text_frame.text = _clean(notes(panel, matter))


def notes(panel: Panel, matter: Matter) -> str:
    """Return what stands in the notes: the caption, what the figure shows, cautions, methods, provenance."""
    parts = [markup.plain(panel.caption), sides(panel), matter.words(panel)]
    parts += [f"Caution: {sentence}" for sentence in matter.cautions(panel)]
    for record in matter.records(panel):
        parts += [f"Methods: {methods.text_of(record)}", provenance.sentence(record)]
    parts += [provenance.command(spec) for spec in panel.specs]
    return "\n\n".join(part for part in parts if part)


def _opening(deck: Any, report: Report) -> None:
    slide = _blank(deck)
    _words(slide, report.title, 62, 45, size=40, bold=True)
    number = len(report.panels)
    below = f"{number} {'figure' if number == 1 else 'figures'} · made with Homolog"
    _words(slide, below, 112, 12, size=16, ink="muted")


def _closing(deck: Any, matter: Matter) -> None:
    found = methods.of(matter)
    slide = _blank(deck)
    _title(slide, "Methods and references")
    _words(slide, _shortened("\n\n".join(found.paragraphs), 2400), 30, HEIGHT_MM - 36, size=11)
    whole = [*found.paragraphs, *found.listed]
    slide.notes_slide.notes_text_frame.text = _clean("\n\n".join(whole))


# --- drawing -----------------------------------------------------------------------------------------------


def _blank(deck: Any) -> Any:
    """Return a new slide with nothing but a title, which lists and screen readers name it by."""
    return deck.slides.add_slide(deck.slide_layouts[5])


def _title(slide: Any, text: str) -> None:
    from pptx.util import Mm

    shape = slide.shapes.title
    shape.left, shape.top, shape.width, shape.height = (
        Mm(MARGIN_MM),
        Mm(7),
        Mm(WIDTH_MM - 2 * MARGIN_MM),
        Mm(20),
    )
    _write(shape, text, 26, bold=True)


def _words(
    slide: Any, text: str, top: float, high: float, *, size: int, bold: bool = False, ink: str = "text"
) -> None:
    from pptx.util import Mm

    title = slide.shapes.title
    if bold and title is not None:  # slides of words only carry them as their title
        shape = title
        shape.left, shape.top, shape.width, shape.height = (
            Mm(MARGIN_MM),
            Mm(top),
            Mm(WIDTH_MM - 2 * MARGIN_MM),
            Mm(high),
        )
    else:
        if title is not None and not title.text_frame.text:
            title._element.getparent().remove(title._element)
        shape = slide.shapes.add_textbox(Mm(MARGIN_MM), Mm(top), Mm(WIDTH_MM - 2 * MARGIN_MM), Mm(high))
    _write(shape, text, size, bold=bold, ink=ink)


def _write(shape: Any, text: str, size: int, *, bold: bool = False, ink: str = "text") -> None:
    from pptx.dml.color import RGBColor
    from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
    from pptx.util import Pt

    frame = shape.text_frame
    frame.word_wrap = True
    frame.vertical_anchor = MSO_ANCHOR.TOP
    frame.text = _clean(text)
    for paragraph in frame.paragraphs:
        paragraph.alignment = PP_ALIGN.LEFT
        for run in paragraph.runs:
            run.font.size, run.font.bold = Pt(size), bold
            run.font.color.rgb = RGBColor.from_string(theme.colour(ink).lstrip("#"))  # type: ignore[arg-type]


def _picture(slide: Any, drawing: export.Drawing, top: float, room: float, words: str) -> None:
    from pptx.util import Mm

    wide = WIDTH_MM - 2 * MARGIN_MM
    scale = min(wide / drawing.width, room / drawing.height)
    width, height = drawing.width * scale, drawing.height * scale
    made = slide.shapes.add_picture(
        io.BytesIO(drawing.png()),
        Mm((WIDTH_MM - width) / 2),
        Mm(top + (room - height) / 2),
        Mm(width),
        Mm(height),
    )
    made._element.nvPicPr.cNvPr.set("descr", _clean(words))
    made.name = "Figure"


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rsplit(" ", 1)[0] + " …"


def _clean(text: str) -> str:
    """Leave out characters that the XML of slides cannot hold."""
    return "".join(c for c in text if c in "\n\t" or (ord(c) >= 32 and not 0xD800 <= ord(c) <= 0xDFFF))
