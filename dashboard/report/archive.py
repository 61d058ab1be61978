"""A report as a zip: every answer, spec and figure as a file, with a list, methods and references."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable

from dashboard.errors import HomologError
from dashboard.figures import export
from dashboard.report import markup, methods, plain
from dashboard.report.matter import Answers, Matter, Options, Tell, check, record_text, sides
from dashboard.report.model import Panel, Report, Section, Text

_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(report: Report, answers: Answers, options: Options, tell: Tell) -> bytes:
    """Return the zip; the same report and answers give the same bytes.

    Raises
    ------
    InputError
        When the report is empty.
    """
    check(report)
    matter = Matter(report, answers, options)
    files: dict[str, bytes] = {}
    lines: list[str] = []
    for k, panel in enumerate(report.panels, 1):
        tell(0.95 * (k - 1) / len(report.panels), f"Figure {k} of {len(report.panels)}")
        made = _panel(panel, k, matter)
        files |= made
        lines += [f"\n### {k}. {panel.title}\n", *(f"- `{name}`: {_MEANS[_kind(name)]}" for name in made)]
    found = methods.of(matter)
    text = json.dumps(plain.to_plain(report), ensure_ascii=False, indent=1, sort_keys=True)
    files["report.json"] = text.encode("utf-8", "replace")
    if found.bibtex:
        files["references.bib"] = found.bibtex.encode()
    files["README.md"] = _readme(report, lines, found).encode("utf-8", "replace")
    return pack(files)


def pack(files: dict[str, bytes]) -> bytes:
    """Return files as a zip without dates, in order of their names."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in sorted(files):
            bundle.writestr(_entry(name), files[name])
    return stream.getvalue()


def undated(content: bytes) -> bytes:
    """Return a zip with its members in their order but without dates."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            new.writestr(_entry(member.filename), _no_date(old.read(member)))
    return stream.getvalue()


def _no_date(content: bytes) -> bytes:
    return re.sub(
        rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rb"\g<1>2000-01-01T00:00:00Z", content
    ) if b"<cp:coreProperties" in content[:400] else content  # fmt: skip


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def stem(panel: Panel, k: int) -> str:
    """Return the start of a panel's file names: its number and the plain letters of its title.

    Examples
    --------
    >>> stem(Panel("0" * 12, "../Which layer? <b>", "", None, "brain"), 3)  # type: ignore[arg-type]
    '03-which-layer-b'
    """
    words = re.sub(r"[^a-z0-9]+", "-", panel.title.lower()).strip("-")[:40].strip("-")
    return f"{k:02d}-{words or panel.spec.kind}"


_MEANS = {
    "svg": "the figure, for an editor of vectors",
    "png": "the figure, as a picture",
    "pdf": "the figure, for a paper, fonts embedded",
    "nc": "the whole answer with labels, units and record (netCDF)",
    "csv": "the numbers as a table",
    "spec.json": "the question; `python -m dashboard run FILE` answers it again",
    "record.json": "inputs by digest, versions, seed and duration",
    "md": "caption and what the figure shows, in words",
}


def _kind(name: str) -> str:
    return next(kind for kind in sorted(_MEANS, key=len, reverse=True) if name.endswith(f".{kind}"))


def _panel(panel: Panel, k: int, matter: Matter) -> dict[str, bytes]:
    start = stem(panel, k)
    files: dict[str, bytes] = {}
    drawing = matter.drawing(panel)
    if drawing is not None:
        files[f"figures/{start}.svg"] = drawing.svg().encode()
        files[f"figures/{start}.png"] = drawing.png()
        files[f"figures/{start}.pdf"] = drawing.pdf()
    ends = [f"-{letter}" for letter in "abcdef"] if panel.beside else ["", "-areas"]
    for number, spec in enumerate(matter.specs(panel)):
        name = start + ends[number]
        text = json.dumps(spec.to_dict(), indent=2, ensure_ascii=False, sort_keys=True)
        files[f"specs/{name}.spec.json"] = text.encode()
        answer = matter.answers.get(spec)
        if answer is None:
            continue
        for ending in ("nc", "csv"):
            _add(files, f"data/{name}.{ending}", lambda e=ending, a=answer: export.export(e, a))  # type: ignore[misc]
    for number, record in enumerate(matter.records(panel)):
        name = start + ends[number]
        files[f"specs/{name}.record.json"] = record_text(record).encode()
    words = [f"# {panel.title}", panel.caption, sides(panel), matter.words(panel), *matter.cautions(panel)]
    files[f"figures/{start}.md"] = ("\n\n".join(w for w in words if w) + "\n").encode("utf-8", "replace")
    return files


def _add(files: dict[str, bytes], name: str, make: Callable[[], bytes]) -> None:
    """Add a file unless this kind of answer has no such form."""
    try:
        files[name] = make()
    except HomologError:
        return


def _readme(report: Report, lines: list[str], found: methods.Methods) -> str:
    outline = [
        f"## {item.title}" if isinstance(item, Section) else markup.plain(item.text)
        for item in report.items
        if isinstance(item, Section | Text)
    ]
    parts = [
        f"# {report.title}",
        "Exported from Homolog. `report.json` is the report itself; "
        "`python -m dashboard report report.json --out report.html` writes it again in another form.",
        *outline,
        "## Files",
        "\n".join(lines),
        "## Methods",
        *found.paragraphs,
    ]
    if found.listed:
        parts += ["## References (`references.bib`)", "\n".join(f"- {entry}" for entry in found.listed)]
    return "\n\n".join(parts) + "\n"
