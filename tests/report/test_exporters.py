"""A small report in every form: what is in the files, and that they are the same every time."""

from __future__ import annotations

import ast
import base64
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from importlib.metadata import version
from pathlib import Path

import nbformat
import pypdf
import pytest
import xarray as xr
from pptx import Presentation

from dashboard import compute, errors, specs
from dashboard.errors import InputError
from dashboard.figures import export
from dashboard.report import exporters, making, markup, mathematics, matter, numbers, page, plain, session
from dashboard.report.matter import Options
from dashboard.report.model import Panel, Report, Section, Text

ROOT = Path(__file__).resolve().parents[2]
RDM = specs.RdmSpec(
    network="bundled:tilt_cnn", stimuli="gratings?orientations=3&phases=2", layers=("conv", "fc")
)
TWIN = RDM.replace(network="bundled:tilt_cnn?untrained&seed=0")
KERNELS = specs.FiltersSpec(network="bundled:tilt_cnn")
NASTY = "<script>alert(1)</script>"
CAPTION = (
    f"A **bold** word, $r_{{ij}} = \\frac{{a}}{{\\sqrt{{n}}}}$ and {NASTY} ![x](http://example.org/x.png)"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report, its answers and every file, in a store that lives as long as the module."""
    patch = pytest.MonkeyPatch()
    home = tmp_path_factory.mktemp("home")
    patch.setenv("HOMOLOG_HOME", str(home))
    with errors.collect_cautions():
        rdm = compute.compute(RDM)
        compute.compute(specs.NetworkSpec(network="bundled:tilt_cnn"))
        compute.compute(specs.StimuliSpec(stimuli=RDM.stimuli))
        record = json.loads(rdm.attrs["record"])
        items = (
            Section("0" * 12, f"One {NASTY}"),
            Text("1" * 12, "Some words with $x^2$."),
            Panel(
                "2" * 12,
                f"Matrices {NASTY}",
                CAPTION,
                RDM,
                "rdm",
                chart=export.specification(rdm),
                record=record,
                alt="Two matrices.",
            ),
            Panel("3" * 12, "Kernels", "", KERNELS, "filters"),
            Panel("4" * 12, "Trained and not", "", RDM, "rdm", beside=(TWIN,)),
        )
        report = Report(f"Tilt {NASTY}", items)
        answers = matter.gather(report, compute.compute, compute.stored)
        files = {ending: e.write(report, answers, Options()) for ending, e in exporters.EXPORTERS.items()}
    patch.undo()
    return report, answers, files, home


# --- page --------------------------------------------------------------------------------------------------


def test_the_page_asks_the_network_for_nothing_and_runs_no_caption(made):
    text = made[2]["html"].decode()
    markup_only = re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", text, flags=re.S)
    assert "default-src 'none'" in text
    assert not re.search(r"\bsrc\s*=|url\(|@import|<link", markup_only)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in markup_only
    assert "<strong>bold</strong>" in markup_only
    assert "<mfrac>" in markup_only
    assert '<a href="#part-2">' in markup_only
    assert "fd1f6fc2" in markup_only
    assert len(text) < 4_000_000


def test_a_page_that_was_cut_off_is_not_taken_for_the_library(made, monkeypatch, tmp_path):
    import vl_convert

    monkeypatch.setenv("HOMOLOG_HOME", str(tmp_path))
    kept = tmp_path / "export" / f"vega-{version('vl-convert-python')}.js"
    kept.parent.mkdir()
    kept.write_text("half of")
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda snippet: "whole;</script>")
    assert page.library() == "whole;<\\/script>\n//whole"
    assert kept.read_text() == page.library()


# --- paper -------------------------------------------------------------------------------------------------


def test_the_pdf_has_text_embedded_fonts_vectors_and_page_numbers(made):
    reader = pypdf.PdfReader(io.BytesIO(made[2]["pdf"]))
    text = "\n".join(p.extract_text() for p in reader.pages)
    for words in (
        f"Tilt {NASTY}",
        f"Matrices {NASTY}",
        "1 − Pearson r",
        "Methods",
        "gratings",
        f"1 / {len(reader.pages)}",
    ):
        assert words in " ".join(text.split())
    assert reader.metadata.title == f"Tilt {NASTY}"
    fonts = [f for p in reader.pages for f in fonts_of(p["/Resources"])]
    assert fonts
    assert all(embedded(font) for font in fonts)


def fonts_of(resources) -> list:
    """Fonts of a page and of the figures on it."""
    resources = resources.get_object()
    found = [f.get_object() for f in (resources.get("/Font") or {}).get_object().values()]
    for inner in (resources.get("/XObject") or {}).values():
        if "/Resources" in inner.get_object():
            found += fonts_of(inner.get_object()["/Resources"])
    return found


def embedded(font) -> bool:
    if font["/Subtype"] == "/Type3":
        return True
    if "/DescendantFonts" in font:
        font = font["/DescendantFonts"].get_object()[0].get_object()
    described = font["/FontDescriptor"].get_object()
    return any(name in described for name in ("/FontFile", "/FontFile2", "/FontFile3"))


# --- slides ------------------------------------------------------------------------------------------------


def test_slides_hold_figures_alt_text_and_notes(made):
    deck = Presentation(io.BytesIO(made[2]["pptx"]))
    slides = list(deck.slides)
    assert len(slides) == 1 + len(made[0].items) + 1
    assert slides[0].shapes.title.text_frame.text == f"Tilt {NASTY}"
    figure = slides[3]
    assert figure.shapes.title.text_frame.text == f"Matrices {NASTY}"
    (picture,) = [s for s in figure.shapes if s.shape_type == 13]
    assert picture._element.nvPicPr.cNvPr.get("descr") == "Two matrices."
    assert picture.image.size[0] >= 1300
    assert picture.left >= 0
    assert picture.left + picture.width <= deck.slide_width
    assert picture.top + picture.height <= deck.slide_height
    notes = figure.notes_slide.notes_text_frame.text
    for words in (
        "rᵢⱼ = a/(√n)",
        "Pearson correlation",
        "torch",
        "python -m dashboard rdm",
        "network fd1f6fc2",
    ):
        assert words in notes
    assert "SHA-256" in slides[-1].notes_slide.notes_text_frame.text


# --- notebook ----------------------------------------------------------------------------------------------


def test_the_notebook_runs_from_a_clean_kernel_to_the_same_numbers(made, monkeypatch):
    from nbclient import NotebookClient

    notebook = nbformat.reads(made[2]["ipynb"].decode(), as_version=4)
    nbformat.validate(notebook)
    assert NASTY not in "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    monkeypatch.setenv("HOMOLOG_HOME", str(made[3]))
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    said = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", []))
    assert said.count("The same numbers as in the report, to the last digit.") == 4
    shown = [o for c in notebook.cells for o in c.get("outputs", []) if "image/svg+xml" in o.get("data", {})]
    assert len(shown) == 3


def test_the_notebook_names_every_setting_that_is_no_default(made):
    notebook = nbformat.reads(made[2]["ipynb"].decode(), as_version=4)
    code = next(c.source for c in notebook.cells if "RdmSpec(" in c.source)
    call = next(
        n
        for n in ast.walk(ast.parse(code))
        if isinstance(n, ast.Call) and ast.unparse(n.func) == "specs.RdmSpec"
    )
    assert {k.arg: ast.literal_eval(k.value) for k in call.keywords} == {
        "network": RDM.network, "stimuli": RDM.stimuli, "layers": RDM.layers,
    }  # fmt: skip


def test_other_numbers_are_told_apart_by_their_last_digit():
    one = xr.Dataset({"score": ("layer", [0.1, 0.2])}, {"layer": ["a", "b"]})
    two = one.copy(deep=True)
    assert numbers.digest(one) == numbers.digest(two)
    two["score"][0] = 0.1 + 2**-56
    assert numbers.digest(one) != numbers.digest(two)
    assert numbers.compared(two, numbers.digest(one)).startswith("Other numbers")
    assert numbers.digest(one.assign_coords(layer=["a", "c"])) != numbers.digest(one)


# --- zip ---------------------------------------------------------------------------------------------------


def test_the_zip_holds_data_questions_figures_and_references(made):
    with zipfile.ZipFile(io.BytesIO(made[2]["zip"])) as bundle:
        names = bundle.namelist()
        wanted = {"01-matrices-script-alert-1-script.nc", "02-kernels.csv", "02-kernels.pdf"}
        wanted |= {"02-kernels.svg", "02-kernels.png", "02-kernels.spec.json", "report.json", "README.md"}
        assert wanted <= {name.rpartition("/")[2] for name in names}
        assert specs.from_json(bundle.read("specs/02-kernels.spec.json").decode()) == KERNELS
        assert plain.from_plain(json.loads(bundle.read("report.json"))) == made[0]
        content = io.BytesIO(bundle.read(next(n for n in names if n.endswith("script.nc"))))
        with xr.open_dataset(content, engine="h5netcdf") as back:
            assert numbers.digest(back.load()) == numbers.digest(made[1][RDM])
        readme = bundle.read("README.md").decode()
        assert all(name in readme for name in names if name.startswith("data/"))
        assert "SHA-256 fd1f6fc23fc2" in readme
        texts = [t.text for t in ET.fromstring(bundle.read("figures/02-kernels.svg")).iter() if t.text]
        assert any("Kernels" in t for t in texts)


# --- side by side ------------------------------------------------------------------------------------------

SIDES = "A: RDMs: bundled:tilt_cnn × gratings"


def test_a_pair_is_whole_in_the_page(made):
    report, answers, files, _ = made
    text = files["html"].decode()
    packed = json.loads(re.search(r'id="matrices">(.*?)</script>', text, re.S)[1])
    head, _, _ = base64.b64decode(packed["figure-4"]).partition(b"\n")
    titles = [f"{letter}: {layer}" for letter in "AB" for layer in RDM.layers]
    assert all(title.encode() in base64.b64decode(packed["figure-4"]) for title in titles), head[:300]
    assert b"A: conv" not in base64.b64decode(packed["figure-2"])
    assert text.count("untrained&amp;seed=0") > 2
    assert len(matter.Matter(report, answers).records(report.panels[-1])) == 2


def test_a_pair_is_whole_in_slides_pdf_notebook_and_zip(made):
    files = made[2]
    figure = Presentation(io.BytesIO(files["pptx"])).slides[5]
    assert any(shape.shape_type == 13 for shape in figure.shapes)
    notes = figure.notes_slide.notes_text_frame.text
    assert notes.count("python -m dashboard rdm") == notes.count("Methods: ") == 2
    printed = pypdf.PdfReader(io.BytesIO(files["pdf"]))
    words = " ".join(" ".join(p.extract_text() for p in printed.pages).split())
    notebook = "\n".join(c.source for c in nbformat.reads(files["ipynb"].decode(), as_version=4).cells)
    assert "show([answer_4a, answer_4b], 'rdm', {})" in notebook
    assert notebook.count("compared(answer_4") == 2
    with zipfile.ZipFile(io.BytesIO(files["zip"])) as bundle:
        names = set(bundle.namelist())
        told = bundle.read("figures/03-trained-and-not.md").decode()
        drawn = bundle.read("figures/03-trained-and-not.svg").decode()
    for letter in "ab":
        start = f"03-trained-and-not-{letter}"
        assert {f"data/{start}.nc", f"data/{start}.csv", f"specs/{start}.spec.json"} <= names
        assert f"specs/{start}.record.json" in names
        assert f"{letter.upper()}: fc" in drawn
        assert f"{letter.upper()}: fc" in words
    for text in (notes, words, notebook, told):
        assert SIDES in text
        assert "B: RDMs: bundled:tilt_cnn?untrained&" in text.replace("&amp;", "&")


@pytest.mark.parametrize("ending", ["pptx", "pdf", "zip"])
def test_the_same_report_gives_the_same_bytes(made, ending):
    report, answers, files, _ = made
    again = exporters.EXPORTERS[ending].write(report, answers, Options())
    if ending != "pdf":
        with zipfile.ZipFile(io.BytesIO(again)) as b, zipfile.ZipFile(io.BytesIO(files[ending])) as a:
            assert b.namelist() == a.namelist()
            assert [name for name in a.namelist() if a.read(name) != b.read(name)] == []
    same = again == files[ending]  # in the assertion itself pytest would compare them for minutes
    assert same


# --- all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", exporters.EXPORTERS)
def test_an_empty_report_is_refused_in_a_sentence(ending):
    with pytest.raises(InputError, match="This report is empty"):
        exporters.EXPORTERS[ending].write(Report(), {}, Options())


@pytest.mark.parametrize("ending", ["html", "pdf", "pptx", "zip"])
def test_a_caption_of_a_megabyte_loses_nothing(ending):
    long = "<b>word</b> $x$ " * 66_000 + "END"
    found = exporters.EXPORTERS[ending].write(Report("Long", (Text("0" * 12, long),)), {}, Options())
    if ending == "html":
        assert found.count(b"END") == 1
        assert b"<b>" not in found
    if ending == "pptx":
        assert Presentation(io.BytesIO(found)).slides[1].notes_slide.notes_text_frame.text.endswith("END")


def test_a_panel_without_answer_or_chart_still_has_its_words():
    report = Report("R", (Panel("0" * 12, "Gone", "why", RDM, "rdm", alt="It showed two matrices."),))
    for ending, exporter in exporters.EXPORTERS.items():
        found = exporter.write(report, {}, Options())
        if ending == "html":
            assert b"It showed two matrices." in found


def test_mathematics_that_cannot_be_read_is_shown_as_written():
    assert mathematics.mathml("<" * 3000) == f"<code>{'&lt;' * 3000}</code>"
    assert mathematics.plain("x" * 3000) == "x" * 3000
    assert mathematics.plain("\\sqrt{\\alpha^2} \\leq \\frac{1}{n-1}") == "√(α²) ≤ 1/(n − 1)"
    assert "javascript" not in markup.html("[x](javascript:alert(1))").replace("[x](javascript:alert(1))", "")


def test_figures_of_a_column_have_letters_of_the_size_asked_for(made):
    spec = export.specification(made[1][KERNELS])
    one = export.draw(export.specification(made[1][RDM]), export.Look("single", 7.0))
    sizes = [float(s) for s in re.findall(r'font-size="([\d.]+)px"', one.text)]
    points = [s * 85 / 25.4 * 72 / one.width for s in sizes]
    assert min(points) == pytest.approx(7.0, abs=0.4)
    fine, coarse = (export.draw(spec, export.Look(dpi=dpi)).png() for dpi in (300, 192))
    widths = [int.from_bytes(png[16:20], "big") for png in (fine, coarse)]
    assert widths == [pytest.approx(180 / 25.4 * 300, abs=2), pytest.approx(180 / 25.4 * 192, abs=2)]
    with pytest.raises(InputError, match="Letters cannot be 40 points"):
        export.Look(points=40)
    with pytest.raises(InputError, match='no resolution "72"'):
        export.Look(dpi=72)


# --- the command, and files made beside the server ---------------------------------------------------------


def contents(data: bytes) -> dict[str, bytes]:
    """Members of a zip but for PDFs, in which another process numbers parts in another order."""
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        return {n: bundle.read(n) for n in bundle.namelist() if not n.endswith(".pdf")}


def test_the_command_writes_a_report_and_refuses_what_is_none(made, monkeypatch, tmp_path):
    monkeypatch.setenv("HOMOLOG_HOME", str(made[3]))
    source = tmp_path / "report.json"
    source.write_text(json.dumps(plain.to_plain(made[0])))
    assert session.read_report(source) == made[0]
    command = [sys.executable, "-m", "dashboard", "report", str(source), "--out", str(tmp_path / "out.zip")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert contents((tmp_path / "out.zip").read_bytes()) == contents(made[2]["zip"])
    source.write_text("{}")
    with pytest.raises(InputError, match=r"report\.json is no report and no session"):
        session.read_report(source)
    with pytest.raises(InputError, match='no form of a report "docx"'):
        exporters.ending_of("a.docx")


def test_a_file_is_made_in_a_process_of_its_own_and_can_be_stopped(made, monkeypatch):
    monkeypatch.setenv("HOMOLOG_HOME", str(made[3]))
    task = making.Making(Report("Words", (Text("0" * 12, "Words."),)), "pptx")
    assert len(Presentation(io.BytesIO(task.result())).slides) == 3
    assert (task.over, task.problem, task.fraction) == (True, "", 1.0)
    stopped = making.Making(made[0], "pdf")
    stopped.cancel()
    with pytest.raises(errors.Cancelled):
        stopped.result()
    assert stopped.over
    with pytest.raises(InputError, match="empty"):
        making.Making(Report(), "pdf").result()
    assert making.file_name(Report("Größe: <b> / 2"), "pdf") == "größe-b-2.pdf"
