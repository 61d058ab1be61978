"""A report as a Jupyter notebook: each figure computed again from its question, with the words between."""

from __future__ import annotations

import base64
import dataclasses
import re
from typing import Any

from dashboard.figures.export import Look
from dashboard.report import methods, numbers
from dashboard.report.matter import Answers, Matter, Options, Tell, check, sides
from dashboard.report.model import Item, Panel, Report, Section, Text
from dashboard.specs import Spec

_SETUP = '''\
import json
import sys
import warnings
from pathlib import Path

import torch
from IPython.display import SVG, Markdown, display

# Start Jupyter in the folder of Homolog, where README.md lies, or write its path here.
sys.path.insert(0, str(Path(".").resolve()))

from dashboard import compute, settings, specs
from dashboard.errors import CautionWarning
from dashboard.figures import export
from dashboard.report import drawing, numbers
from dashboard.report.model import Panel

torch.set_num_threads(settings.worker_threads())  # as in the app: others sum in another order
warnings.simplefilter("ignore", CautionWarning)  # the cautions of each answer are printed with it


def show(answers, name, view):
    """Draw a figure of the answers, as the page draws it."""
    panel = Panel("0" * 12, "", "", specs.from_dict(json.loads(answers[0].attrs["record"])["spec"]), name,
                  view=tuple(view.items()), beside=tuple(
                      specs.from_dict(json.loads(a.attrs["record"])["spec"]) for a in answers[1:]))
    areas = drawing.companion(panel)  # brain areas beside the layers
    figure = drawing.redrawn(panel, answers, compute.compute(areas) if areas else None).chart
    display(SVG(export.draw(figure).svg()))
    for answer in answers:
        for caution in compute.cautions(answer):
            print("Caution:", caution.message)'''


def write(report: Report, answers: Answers, options: Options, tell: Tell) -> bytes:
    """Return the notebook; it runs from top to bottom in the folder of Homolog.

    Raises
    ------
    InputError
        When the report is empty.
    """
    import nbformat

    check(report)
    matter = Matter(report, answers, options)
    cells = [
        _text(
            f"# {_title(report.title)}\n\nEach figure below is computed again from its question: Homolog "
            f"looks "
            "into its store of answers first, so that a second run takes seconds. After each figure a line "
            "says "
            "whether the numbers are those of the report, to the last digit."
        ),
        _code(_SETUP),
    ]
    for k, item in enumerate(report.items):
        tell(0.9 * k / len(report.items), "Cells")
        cells += _item(item, k, matter)
    cells.append(_text(_methods(matter)))
    for k, cell in enumerate(cells):
        cell["id"] = f"cell-{k:03d}"
    made = nbformat.v4.new_notebook(cells=cells, metadata=_METADATA)
    nbformat.validate(made)
    return (nbformat.writes(made) + "\n").encode("utf-8", "replace")


_FORMULA = re.compile(r"(\$\$.*?\$\$|\$[^$\n]+\$)", re.S)
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def _item(item: Item, k: int, matter: Matter) -> list[Any]:
    if isinstance(item, Section):
        return [_text(f"## {_title(item.title)}")]
    if isinstance(item, Text):
        return [_text(_no_html(item.text))]
    return _panel(item, k, matter)


def _panel(panel: Panel, k: int, matter: Matter) -> list[Any]:
    asked = " ".join((type(spec).__doc__ or "").split("\n")[0] for spec in panel.specs[:1])
    said = [
        f"### {_title(panel.title)}",
        _no_html(panel.caption),
        _no_html(sides(panel)),
        f"The question: *{asked}*",
    ]
    head = _text("\n\n".join(part for part in said if part))
    drawing = matter.drawing(panel, Look()) if panel.chart else None
    if drawing is not None:
        picture = base64.b64encode(drawing.png()).decode()
        head["attachments"] = {"pinned.png": {"image/png": picture}}
        words = matter.words(panel).replace("[", "(").replace("]", ")").replace("\n", " ")
        head["source"] += f"\n\nThe figure as it was pinned:\n\n![{words}](attachment:pinned.png)"
    names = [f"answer_{k}" + ("abcdef"[n] if panel.beside else "") for n in range(len(panel.specs))]
    lines = []
    for name, spec in zip(names, panel.specs, strict=True):
        lines += [f"{name} = compute.compute(", _literal(spec), ")"]
    lines.append(f"show([{', '.join(names)}], {panel.name!r}, {dict(panel.view)!r})")
    return [head, _code("\n".join(lines)), *_checks(panel, names, matter)]


def _checks(panel: Panel, names: list[str], matter: Matter) -> list[Any]:
    lines = []
    for name, spec in zip(names, panel.specs, strict=True):
        answer = matter.answers.get(spec)
        if answer is not None and spec.kind not in numbers.TIMED:
            lines.append(f'print(numbers.compared({name}, "{numbers.digest(answer)}"))')
    records = [methods.text_of(record) for record in matter.records(panel)]
    lines += [f"display(Markdown({text!r}))" for text in records]
    return [_code("\n".join(lines))] if lines else []


def _literal(spec: Spec, indent: str = "    ") -> str:
    """Return a spec as the Python that makes it, one setting a line, those at their default left out."""
    lines = [f"{indent}specs.{type(spec).__name__}("]
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if field.default is not dataclasses.MISSING and value == field.default:
            continue
        shown = _literal(value, indent + "    ").strip() if isinstance(value, Spec) else repr(value)
        lines.append(f"{indent}    {field.name}={shown},")
    return "\n".join([*lines, f"{indent})"])


def _methods(matter: Matter) -> str:
    found = methods.of(matter)
    parts = ["## Methods", *found.paragraphs]
    if found.listed:
        parts += ["## References", "\n".join(f"{k}. {entry}" for k, entry in enumerate(found.listed, 1))]
        parts.append(f"```bibtex\n{found.bibtex}```")
    return "\n\n".join(parts)


def _title(text: str) -> str:
    return _no_html(" ".join(text.split()))


def _no_html(text: str) -> str:
    """Let what looks like HTML show as text, and fetch no pictures; mathematics stays as it is."""
    parts = _FORMULA.split(text)
    parts[::2] = [p.replace("&", "&amp;").replace("<", "&lt;").replace("![", "!\\[") for p in parts[::2]]
    return "".join(parts)


def _text(source: str) -> Any:
    import nbformat

    return nbformat.v4.new_markdown_cell(source)


def _code(source: str) -> Any:
    import nbformat

    return nbformat.v4.new_code_cell(source)
