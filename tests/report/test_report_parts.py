"""Variants, guided examples, files to take along, freshness, and figures side by side."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import subprocess
import sys

import pytest
from PIL import Image

from dashboard import compute, specs
from dashboard.errors import InputError
from dashboard.figures import beside, rdms, theme
from dashboard.report import drawing, edits, plain, transport, variants
from dashboard.report.freshness import freshness, recorded
from dashboard.report.guided import GUIDES
from dashboard.report.model import Panel, Report, Section, Text
from dashboard.report.session import FORMAT, Session, new_id
from dashboard.specs import AreaRdmSpec, AttributionSpec, BrainSpec, MapSpec, RdmSpec, TrustSpec

BRAIN = BrainSpec(network="bundled:tilt_cnn", recording="simulated-v1")
RDM = RdmSpec(network="bundled:tilt_cnn", stimuli="gratings?phases=1", layers=("pool", "fc"))
BAR = {
    "mark": {"type": "bar", "color": "#2F6DB5"},
    "data": {"values": [{"a": "x", "b": 1}]},
    "encoding": {"x": {"field": "a"}, "y": {"field": "b", "type": "quantitative"}},
}


def panel(spec=BRAIN, name="brain", **fields) -> Panel:
    return Panel(edits.new_id(), "A figure", "", spec, name, **fields)


# --- variants -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "name", "value", "expected"),
    [
        (BRAIN, "network", "bundled:objects_cnn", BRAIN.replace(network="bundled:objects_cnn")),
        (BRAIN, "layers", "pool, fc", BRAIN.replace(layers=("pool", "fc"))),
        (BRAIN, "seed", 7, BRAIN.replace(seed=7)),
        (MapSpec(rdms=RDM), "rdms.metric", "cosine", MapSpec(rdms=RDM.replace(metric="cosine"))),
    ],
)
def test_one_setting_is_changed_also_inside(spec, name, value, expected):
    assert variants.replaced(spec, name, value) == expected


def test_settings_name_every_field_of_every_kind_and_references_come_first():
    trust = TrustSpec(attribution=AttributionSpec(network="bundled:objects_cnn", stimuli="objects"))
    names = [one.name for one in variants.settings(trust)]
    assert names[:2] == ["attribution.network", "attribution.stimuli"]
    assert {"seeds", "noise", "attribution.method"} <= set(names)
    assert {one.name: one.form for one in variants.settings(BRAIN)}["measure"] == "choice"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("measure", "spearmann", "Did you mean spearman"),
        ("network", "bundled:tilt_cnn", "shows already"),
        ("nothing", "x", "no setting"),
        ("seed", "many", "cannot be"),
    ],
)
def test_a_setting_that_cannot_be_says_why(name, value, sentence):
    with pytest.raises(InputError, match=sentence):
        variants.replaced(BRAIN, name, value)


# --- guided examples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GUIDES)
def test_every_guided_step_has_a_question_words_and_something_to_try(name):
    report = GUIDES[name].report()
    assert plain.from_plain(json.loads(json.dumps(plain.to_plain(report)))) == report
    assert len(report.panels) >= 4
    for step in report.panels:
        words, _, question = step.caption.partition("\n\n**Try:** ")
        assert question.strip()
        assert 1 <= words.replace("et al.", "et al").count(". ") <= 2
        assert drawing.is_exact(step)
        assert specs.from_dict(step.spec.to_dict()) == step.spec


def test_the_neuromatch_day_decodes_encodes_and_compares_and_needs_nothing():
    asked = [step.spec for step in GUIDES["neuromatch"].report().panels]
    kinds = ["decoding", "encoding", "encoding", "rdm", "brain"]
    assert [spec.kind for spec in asked] == kinds
    assert [getattr(spec, "network", "") for spec in asked[1:3]] == ["bundled:tilt_cnn", "bundled:v1_encoder"]
    assert GUIDES["neuromatch"].why_not() == ""


def test_without_its_recording_an_example_says_how_to_fetch_it(monkeypatch):
    monkeypatch.delenv("HOMOLOG_DATA", raising=False)
    assert "python -m dashboard fetch kriegeskorte92" in GUIDES["objects92"].why_not()


# --- files --------------------------------------------------------------------------------------------------


def given(*items) -> Session:
    return Session(new_id(), "Lab <b>meeting</b>", Report("Title", items), shared=True)


def sealed(body: dict, **head) -> bytes:
    """A file with a right hash, as whoever forges one would write it."""
    text = json.dumps(body).encode()
    top = {"homolog": "session", "format": FORMAT, "sha256": hashlib.sha256(text).hexdigest(), **head}
    return json.dumps(top).encode() + b"\n" + text + b"\n"


def body_of(session: Session) -> dict:
    return json.loads(transport.pack(session).split(b"\n")[1])


def test_a_session_travels_with_words_questions_records_and_a_picture():
    record = {"inputs": {"network": "0" * 64}, "versions": {"homolog": "0.1.0"}, "seconds": 1.0}
    session = given(
        Section(edits.new_id(), "S"), panel(chart=BAR, record=record), Text(edits.new_id(), "$x$")
    )
    data = transport.pack(session)
    found = transport.unpack(data)
    assert len(data) < 60_000
    assert (found.name, found.shared) == (session.name, False)
    assert found.id != session.id
    (figure,) = found.report.panels
    assert (figure.spec, figure.record) == (BRAIN, record)
    address = figure.chart["mark"]["url"]
    picture = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,"))))
    assert picture.format == "PNG"
    # Nothing but the picture comes back of the chart: the rest is ours.
    assert set(figure.chart) == {"$schema", "data", "mark", "width", "height", "config"}


def _with_chart(body):
    body["report"]["items"][0]["chart"] = {"data": {"url": "http://example.org/x.json"}, "usermeta": {}}


def _with_path(body):
    body["report"]["items"][0]["spec"]["network"] = "torchvision:alexnet?weights=/etc/hostname"


def _with_caption(body):
    body["report"]["items"][0]["caption"] = "x" * 2**20


def _with_newer_spec(body):
    body["report"]["items"][0]["spec"]["version"] = 99


def _with_unknown_kind(body):
    body["report"]["items"][0]["spec"]["kind"] = "os.system"


def _with_bad_picture(body):
    body["report"]["items"][0]["picture"] = base64.b64encode(b"<svg onload=alert(1)>").decode()


def _with_deep_record(body):
    deep: list = []
    for _ in range(200):
        deep = [deep]
    body["report"]["items"][0]["record"] = {"deep": deep}


def _with_wrong_record(body):
    body["report"]["items"][0]["record"] = {"seconds": "many", "inputs": {}}


def _with_many(body):
    body["report"]["items"] = [{"type": "text", "id": f"{k:012x}", "text": ""} for k in range(1000)]


def _with_page(body):
    body["report"]["items"][0]["page"] = "../../etc"


def _with_twins(body):
    body["report"]["items"] *= 2


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_with_path, "outside the folders"),
        (_with_caption, "1,048,576 characters"),
        (_with_newer_spec, "version 99"),
        (_with_unknown_kind, "no kind of spec"),
        (_with_bad_picture, "picture in this file"),
        (_with_deep_record, "nested too deeply"),
        (_with_wrong_record, "unusable record"),
        (_with_many, "unusable list of items"),
        (_with_page, "unusable figure's name"),
        (_with_twins, "names one twice"),
    ],
)
def test_a_forged_file_gets_a_sentence(spoil, sentence):
    body = body_of(given(panel()))
    spoil(body)
    with pytest.raises(InputError, match=sentence):
        transport.unpack(sealed(body))


def test_a_chart_in_a_file_is_never_used():
    body = body_of(given(panel()))
    _with_chart(body)
    assert transport.unpack(sealed(body)).report.panels[0].chart == {}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "damaged"),
        (b"PK\x03\x04", "damaged"),
        (b"{}\n{}", "not a session"),
        (sealed({}, format=2), "newer Homolog"),
        (sealed({}, sha256="0" * 64), "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"x" * (transport.LARGEST_IMPORT + 1), "33 MB|32 MB"),
    ],
)
def test_what_is_no_session_gets_a_sentence(data, sentence):
    with pytest.raises(InputError, match=sentence):
        transport.unpack(data)


# --- freshness, colours, side by side -----------------------------------------------------------------------


def test_changed_inputs_and_programs_are_told_and_missing_ones_asked_for():
    now = {"inputs": compute.inputs(RDM), "versions": {"homolog": "0.0.1"}}
    fresh = panel(RDM, "rdm", record=recorded({**now, "versions": {}}, RDM))
    assert freshness(fresh).changed == ()
    other = recorded({**now, "inputs": {**now["inputs"], "network": "1" * 64}}, RDM)
    other["analyses"]["rdm"] = 0
    told = " ".join(freshness(panel(RDM, "rdm", record=other)).changed)
    assert "network bundled:tilt_cnn has changed" in told
    assert "How this is computed has changed" in told
    assert "pinned with Homolog 0.0.1" in told
    gone = BRAIN.replace(recording="no-such-recording")
    record = {"inputs": {"recording": "abcdef012345" + "0" * 52}, "versions": {}}
    asked = " ".join(freshness(panel(gone, record=record)).missing)
    assert "no-such-recording is not here (digest abcdef012345)" in asked


def test_a_pinned_figure_turns_dark_by_meaning():
    dark = theme.darkened(BAR)
    assert dark["mark"]["color"] == theme.colour("network", dark=True)
    assert BAR["mark"]["color"] == theme.colour("network")


@pytest.fixture(scope="module")
def matrices(tmp_path_factory):
    """Answers for two and for one layer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        return [
            compute.compute(spec) for spec in (RDM, RDM.replace(network="bundled:tilt_cnn?untrained&seed=0"))
        ]


def test_two_answers_stand_side_by_side_on_one_scale(matrices):
    pair = panel(RDM, "rdm", beside=(RDM.replace(network="bundled:tilt_cnn?untrained&seed=0"),))
    made = drawing.redrawn(pair, matrices)
    shown = drawing.matrices(pair, matrices)
    assert [m.title for m in shown] == ["A: pool", "A: fc", "B: pool", "B: fc"]
    assert len({(m.lo, m.hi) for m in shown}) == 1
    alone = [m for answer in matrices for m in rdms.matrices(answer)]
    assert shown[0].hi == max(m.hi for m in alone)
    assert len(made.beside_records) == 1
    assert made.beside_records[0]["inputs"]["network"] != made.record["inputs"]["network"]
    assert transport.picture(made.chart)


def test_brain_areas_stay_beside_the_layers_when_a_figure_is_drawn_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMOLOG_HOME", str(tmp_path))
    one = panel(RDM.replace(stimuli="recording:simulated-v1?subjects=2&cells=12", layers=("fc",)), "rdm")
    areas = drawing.companion(one)
    assert areas == AreaRdmSpec(recording="simulated-v1?subjects=2&cells=12", metric=RDM.metric)
    found = [compute.compute(one.spec)]
    titles = [m.title for m in drawing.matrices(one, found, compute.compute(areas))]
    assert titles[0] == "fc"
    assert len(titles) > 1
    drawn = json.dumps(drawing.redrawn(one, found, compute.compute(areas)).chart)
    assert all(title in drawn for title in titles)
    for other in (
        dataclasses.replace(one, view=(("beside", "nothing"),)),
        dataclasses.replace(one, beside=(RDM,)),
        panel(RDM, "rdm"),
        panel(),
    ):
        assert drawing.companion(other) is None


def test_reports_are_imported_without_torch_and_streamlit():
    program = (
        "import sys, pkgutil, importlib, dashboard.report as r;"
        "[importlib.import_module(m.name) for m in pkgutil.iter_modules(r.__path__, 'dashboard.report.')];"
        "print(sorted({'torch', 'streamlit', 'shap', 'captum'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_charts_side_by_side_share_the_ends_of_their_scales():
    def chart(low, high):
        point = {"name": "b", "select": {"type": "point"}}
        y = {"field": "b", "type": "quantitative", "scale": {"domain": [low, high]}}
        size = {"condition": {"param": "b", "value": 3}, "value": 1}
        layer = {
            "mark": "line",
            "params": [point],
            "transform": [{"filter": "b.x == datum.b"}],
            "encoding": {**BAR["encoding"], "y": y, "size": size},
        }
        return {"data": BAR["data"], "layer": [layer], "title": "t", "config": {"background": "white"}}

    both = beside.side_by_side([chart(0, 1), chart(-2, 0.5)], ["A: one", "B: two"])
    assert [s["domain"] for s in beside._scales(both["concat"], "y")] == [[-2, 1], [-2, 1]]
    layers = [part["hconcat"][0]["layer"][0] for part in both["concat"]]
    assert [one["params"][0]["name"] for one in layers] == ["b", "b_1"]
    assert [one["encoding"]["size"]["condition"]["param"] for one in layers] == ["b", "b_1"]
    assert [one["transform"][0]["filter"] for one in layers] == ["b.x == datum.b", "b_1.x == datum.b"]
    assert [one["encoding"]["y"]["field"] for one in layers] == ["b", "b"]
    assert transport.picture(both)


def test_records_of_a_pair_go_with_its_specs():
    pair = panel(beside=(BRAIN.replace(seed=1),), record={"a": 1}, beside_records=({"b": 2},))
    assert pair.specs == (BRAIN, BRAIN.replace(seed=1))
    assert pair.records == ({"a": 1}, {"b": 2})
    assert dataclasses.replace(pair, beside=()).specs == (BRAIN,)
