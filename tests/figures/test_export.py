from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from dashboard.errors import InputError
from dashboard.figures import brain, export, rdms
from tests.figures import samples

FIGURES = {
    "brain": samples.brain,
    "one-layer": lambda: samples.brain(1, areas=("V1",)),
    "simulated": lambda: samples.brain(3, simulated=True, ceiling=False),
    "many-layers": lambda: samples.brain(150, names=samples.long_names(150), areas=("V1",)),
    "rdm": lambda: samples.rdm(3, 1),
    "area-rdm": samples.area_rdm,
    "map": lambda: samples.plane(20, 2),
    "stimuli": lambda: samples.stimuli(5),
}


@pytest.fixture(scope="module", params=FIGURES)
def answer(request):
    return FIGURES[request.param]()


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_svg_has_text_and_its_width_in_millimetres(answer):
    root = ET.fromstring(export.export("svg", answer, preset="single"))
    assert root.get("width") == "85mm"
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(texts)
    if "score" in answer:
        assert "Spearman ρ" in texts
        assert "Layer, in order of depth" in texts


def test_pdf_embeds_its_fonts_and_is_as_wide_as_the_column(answer):
    content = export.export("pdf", answer, preset="double")
    assert content.startswith(b"%PDF")
    assert b"/FontFile" in content
    box = re.search(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert float(box[1]) == pytest.approx(180 / 25.4 * 72, abs=0.1)


def test_png_has_twice_the_pixels_of_a_screen_on_white():
    picture = Image.open(io.BytesIO(export.export("png", samples.brain(3, areas=("V1",)), preset="double")))
    assert picture.width == pytest.approx(2 * 180 / 25.4 * 96, abs=2)
    assert picture.info["dpi"][0] == pytest.approx(192, abs=0.1)
    assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)


def test_dark_chart_is_exported_in_ink_on_white():
    chart = brain.layer_profile(samples.brain(3), "human IT", width=300)
    text = export.export("svg", samples.brain(3), chart).decode()
    assert 'fill="white"' in text
    assert export.theme.colour("text") in text


def test_matrices_are_embedded_pictures():
    panels = rdms.matrices(samples.rdm(40, 2), ranked=True)
    text = export.export("svg", samples.rdm(40, 2), panels).decode()
    assert text.count("data:image/png;base64,") == 3
    assert rdms.RANK_UNIT in text
    assert len(text) < 300_000


def test_html_stands_alone_and_holds_names_as_text_only():
    ds = samples.brain(2, names=["</script><script>alert(1)</script>", "b"], areas=("V1",))
    ds.attrs["title"] = "<b>Bold</b> & $title"
    ds.attrs["cautions"] = json.dumps([{"code": "ties", "message": "Many <ties>."}])
    page = export.export("html", ds).decode()
    markup = re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", page, flags=re.S)
    assert not re.search(r"(src|href|url)\s*[=(]", markup)
    assert "http" not in markup.replace("http-equiv", "")
    assert "default-src 'none'" in page
    assert "alert(1)</script>" not in page
    assert "&lt;b&gt;Bold&lt;/b&gt; &amp; $title" in page
    assert "Many &lt;ties&gt;." in page
    spec = json.loads(re.search(r'<script type="application/json" id="spec">(.*?)</script>', page, re.S)[1])
    drawn = [row for layer in spec["layer"] for row in layer["data"]["values"]]
    assert [row["score"] for row in drawn if "depth" in row][:2] == ds["score"].to_numpy()[0].tolist()


def test_brain_csv_is_exact_and_the_same_every_time():
    ds = samples.brain()
    content = export.export("csv", ds)
    assert content == export.export("csv", ds.copy(deep=True))
    found = rows(content)
    assert tuple(found[0]) == brain.COLUMNS
    assert [float(r["score"]) for r in found] == ds["score"].to_numpy().ravel().tolist()
    assert [float(r["sem"]) for r in found] == ds["sem"].to_numpy().ravel().tolist()
    assert found[8]["area"] == "monkey IT"
    assert found[8]["n_subjects"] == "1"


def test_rdm_csv_has_a_row_per_layer_and_pair():
    ds = samples.rdm(5, 2)
    found = rows(export.export("csv", ds))
    assert tuple(found[0]) == ("layer", "stimulus_a", "stimulus_b", "dissimilarity")
    assert len(found) == 2 * 10
    assert [float(r["dissimilarity"]) for r in found] == ds["rdm"].to_numpy().ravel().tolist()
    assert (found[4]["stimulus_a"], found[4]["stimulus_b"]) == ("picture 0001", "picture 0002")
    assert found[10]["layer"] == "features.1"


def test_area_csv_leaves_out_absent_subjects():
    ds = samples.area_rdm(5)
    found = rows(export.export("csv", ds))
    assert len(found) == 10 * 5
    assert {(r["area"], r["subject"]) for r in found} == {
        *(("human IT", s) for s in "012"),
        *(("monkey IT", s) for s in "01"),
    }


@pytest.mark.parametrize(
    ("ds", "first"),
    [
        (samples.plane(4), "source,stimulus,category,x,y,stress"),
        (samples.stimuli(4), "stimulus,category,orientation"),
        (samples.network(), "Layer,Kind,Output shape,Units,Parameters,Default"),
        (samples.recording(), "area,n_subjects,n_stimuli,n_units,has_responses,has_repeats"),
    ],
)
def test_every_kind_has_a_table(ds, first):
    assert export.export("csv", ds).decode().splitlines()[0] == first


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run_is_quoted(start):
    ds = samples.brain(2, names=[f"{start}cmd()", "b"], areas=("V1",))
    found = rows(export.export("csv", ds))
    assert found[0]["layer"] == f"'{start}cmd()".replace("\r", "\n")
    assert found[1]["layer"] == "b"
    ds["score"][:] = -0.25
    assert rows(export.export("csv", ds))[0]["score"] == "-0.25"


def test_netcdf_comes_back_equal(tmp_path):
    ds = samples.brain()
    path = export.write(tmp_path / "answer.nc", ds)
    with xr.open_dataset(path) as back:
        xr.testing.assert_identical(back.load(), ds)


def test_json_is_the_spec():
    assert json.loads(export.export("json", samples.brain())) == {"kind": "brain", "version": 1}
    bare = samples.brain()
    bare.attrs["record"] = "{}"
    with pytest.raises(InputError, match="no record"):
        export.export("json", bare)


def test_write_is_whole_or_nothing(tmp_path):
    path = tmp_path / "scores.CSV"
    path.write_text("old")
    export.write(path, samples.brain())
    assert path.read_bytes() == export.export("csv", samples.brain())
    with pytest.raises(InputError, match="no figure for the kind of answer recording"):
        export.write(tmp_path / "layers.png", samples.recording())
    assert [p.name for p in tmp_path.iterdir()] == ["scores.CSV"]


def test_what_cannot_be_written_is_refused_with_the_file_name_only(tmp_path):
    with pytest.raises(InputError, match=r'no file ending "docx".*csv, html') as caught:
        export.write(tmp_path / "scores.docx", samples.brain())
    with pytest.raises(InputError, match=r'no file ending "scores"'):
        export.ending_of("scores")
    with pytest.raises(InputError, match=r"scores\.csv cannot be written: no such file") as caught:
        export.write(tmp_path / "missing" / "scores.csv", samples.brain())
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(InputError, match='no width "wide"'):
        export.export("png", samples.brain(), preset="wide")  # type: ignore[arg-type]


def test_every_ending_has_a_media_type():
    assert set(export.MEDIA_TYPES) == set(export.EXPORTERS)


def test_values_survive_as_written():
    value = np.nextafter(0.1, 1)
    ds = samples.brain(1, areas=("V1",))
    ds["score"][0, 0] = value
    assert float(rows(export.export("csv", ds))[0]["score"]) == value
