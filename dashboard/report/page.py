"""A report as one web page that needs no network: live charts, matrices under the cursor, light and dark."""

from __future__ import annotations

import base64
import contextlib
import html
import json
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

from dashboard import settings
from dashboard.figures import matrix_bytes, raster, theme
from dashboard.report import drawing, markup, methods
from dashboard.report.matter import Answers, Matter, Options, Tell, check, record_text, sides
from dashboard.report.model import Item, Panel, Report, Section, Text
from dashboard.specs import StimuliSpec
from dashboard.store import write_whole

_ROOT = Path(__file__).resolve().parents[2]
PAGE = _ROOT / "assets" / "export" / "report.html"
_MATRIX = _ROOT / "dashboard" / "ui" / "components"


def write(report: Report, answers: Answers, options: Options, tell: Tell) -> bytes:
    """Return the page.

    Raises
    ------
    InputError
        When the report is empty.
    """
    check(report)
    matter = Matter(report, answers, options)
    charts: dict[str, Any] = {}
    matrices: dict[str, str] = {}
    body = []
    for k, item in enumerate(report.items):
        tell(k / len(report.items), "Figures")
        body.append(_item(item, k, matter, charts, matrices))
    body.append(_methods(matter))
    tell(0.9, "The page")
    return (
        Template(PAGE.read_text("utf-8"))
        .substitute(
            title=_safe(report.title),
            contents=_contents(report),
            body="\n".join(body),
            charts=_data(charts),
            matrices=_data(matrices),
            palette=_data({"background": theme.colour("background", True), "colours": _palette()}),
            library=library(),
            matrix_style=_matrix_style(),
            matrix_script=_matrix_script(),
            font=theme.EXPORT_FONT,
            light=_variables(dark=False),
            dark=_variables(dark=True),
        )
        .encode("utf-8", "replace")
    )


def library() -> str:
    """Return the drawing library as a script; putting it together takes seconds, so that it is kept."""
    import vl_convert

    kept = settings.home() / "export" / f"vega-{version('vl-convert-python')}.js"
    try:
        found = kept.read_text("utf-8")
        if found.endswith("\n//whole"):
            return found
    except (OSError, UnicodeDecodeError):
        pass
    made = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
    made += "\n//whole"
    with contextlib.suppress(OSError):  # a full disk costs only time
        write_whole(kept, made.encode())
    return made


# --- parts -------------------------------------------------------------------------------------------------


def _item(item: Item, k: int, matter: Matter, charts: dict[str, Any], matrices: dict[str, str]) -> str:
    if isinstance(item, Section):
        return f'<h2 id="part-{k}">{_safe(item.title)}</h2>'
    if isinstance(item, Text):
        return markup.html(item.text)
    words = _safe(matter.words(item))
    packed = interactive(item, matter)
    if packed is not None:
        matrices[f"figure-{k}"] = base64.b64encode(packed).decode()
        figure = f'<div class="figure" id="figure-{k}"><div class="matrix-view"></div></div>'
    elif chart := matter.chart(item):
        charts[f"figure-{k}"] = chart
        figure = f'<div class="figure" id="figure-{k}" role="img" aria-label="{words}" tabindex="0"></div>'
    else:
        figure = f"<p>{words}</p>"
    letters = f"<p>{_safe(sides(item))}</p>" if item.beside else ""
    cautions = "".join(f'<p class="caution">Caution: {_safe(c)}</p>' for c in matter.cautions(item))
    records = "".join(f'<pre tabindex="0">{_safe(record_text(r))}</pre>' for r in matter.records(item))
    return (
        f'<section class="panel" aria-labelledby="part-{k}"><h3 id="part-{k}">{_safe(item.title)}</h3>'
        f"{cautions}{figure}{letters}{markup.html(item.caption)}"
        f"<details><summary>What it shows, in words</summary><p>{words}</p></details>"
        f"<details><summary>How this was computed</summary>{records}</details></section>"
    )


def _methods(matter: Matter) -> str:
    found = methods.of(matter)
    paragraphs = "".join(f"<p>{_safe(p)}</p>" for p in found.paragraphs)
    entries = "".join(f"<li>{_safe(entry)}</li>" for entry in found.listed)
    references = f'<h2 id="references">References</h2><ol>{entries}</ol>' if entries else ""
    bibtex = f'<details><summary>BibTeX</summary><pre tabindex="0">{_safe(found.bibtex)}</pre></details>'
    return f'<h2 id="methods">Methods</h2>{paragraphs}{references}{bibtex if found.bibtex else ""}'


def _contents(report: Report) -> str:
    """Return the table of contents: figures under their sections."""
    lines, inside = [], False
    for k, item in enumerate(report.items):
        if isinstance(item, Text):
            continue
        link = f'<a href="#part-{k}">{_safe(item.title)}</a>'
        if isinstance(item, Section):
            lines.append(f"{'</ol></li>' if inside else ''}<li>{link}<ol>")
            inside = True
        else:
            lines.append(f"<li>{link}</li>")
    lines.append(f'{"</ol></li>" if inside else ""}<li><a href="#methods">Methods</a></li>')
    return f'<nav aria-label="Contents"><ol>{"".join(lines)}</ol></nav>'


def interactive(panel: Panel, matter: Matter) -> bytes | None:
    """Return the matrices of a panel for the view with a cursor, or None when it shows something else."""
    found = [matter.answers[spec] for spec in panel.specs if spec in matter.answers]
    if len(found) < len(panel.specs) or not drawing.shows_matrices(panel):
        return None
    areas = drawing.companion(panel)
    shown = drawing.matrices(panel, found, matter.answers.get(areas) if areas else None)
    sprite = None
    names: tuple[str, ...] = ()
    pictures = matter.answers.get(StimuliSpec(stimuli=getattr(panel.spec, "stimuli", "") or "none"))
    if pictures is not None and "thumbnail" in pictures:
        sprite = raster.sprite(pictures.thumbnail.values)
        names = tuple(map(str, pictures.stimulus.values))
    return matrix_bytes.packed(shown, sprite, names)


def _matrix_script() -> str:
    text = (_MATRIX / "matrix.js").read_text("utf-8")
    return text.replace("export default function (component)", "function drawMatrices(component)", 1)


def _matrix_style() -> str:
    """Return the style of the view, whose own element is the root of a component on pages of the app."""
    text = (_MATRIX / "matrix.css").read_text("utf-8").replace(":host", ".figure:has(> .matrix-view)", 1)
    for name in ("figure", "figcaption"):
        text = text.replace(f"\n{name} {{", f"\n.matrix-view {name} {{")
    return text


_STREAMLIT = {
    "--st-text-color": "text",
    "--st-background-color": "background",
    "--st-secondary-background-color": "panel",
    "--st-border-color": "grid",
    "--st-primary-color": "network",
    "--st-blue-text-color": "network",
    "--st-orange-text-color": "brain",
}
"""What the matrix view calls the colours of a page."""


def _variables(dark: bool) -> str:
    own = {
        f"--{name}": name for name in ("text", "muted", "grid", "background", "panel", "network", "caution")
    }
    colours = {name: theme.colour(ink, dark) for name, ink in (own | _STREAMLIT).items()}  # type: ignore[arg-type]
    fixed = {"--st-font": theme.EXPORT_FONT, "--st-button-radius": ".4rem"}
    return " ".join(f"{name}: {value};" for name, value in (colours | fixed).items())


def _palette() -> dict[str, str]:
    """Return the dark counterpart of every light colour but white, which stands in the middle of scales."""
    pairs = dict(zip(theme.CATEGORIES_LIGHT, theme.CATEGORIES_DARK, strict=True))
    pairs |= {light: theme.DARK[name] for name, light in theme.LIGHT.items() if name != "background"}
    return {light.upper(): found for light, found in pairs.items()}


def _safe(text: str) -> str:
    return html.escape(text, quote=True)


def _data(values: Any) -> str:
    # Nothing in a name may end the script element that holds the data.
    return json.dumps(values, ensure_ascii=False).replace("<", "\\u003c")
