"""Areas on fsaverage5: side of the head, share, colour; label files that are read, foreign or hostile."""

from __future__ import annotations

import base64
import gzip
import struct
import subprocess
import sys
import zlib

import nibabel
import numpy as np
import pytest

from dashboard import compute, kept, provenance, specs
from dashboard.analyses.cortex import VIEWS, directions
from dashboard.errors import InputError, collect_cautions
from dashboard.figures import alternative, export, theme
from dashboard.figures import cortex as figure
from dashboard.recordings import cortex

SMALL = "simulated-v1?subjects=3&cells=20&repeats=2&stimuli=neuromatch-gratings?n=16"
BRAIN = specs.BrainSpec(network="bundled:tilt_cnn", recording=SMALL, layers=("conv", "fc"), bootstrap=10)
AREA = "simulated V1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One store for the whole module."""
    found = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(found))
        yield found


@pytest.fixture(autouse=True)
def homolog_home(folder, monkeypatch):
    monkeypatch.setenv("HOMOLOG_HOME", str(folder))
    return folder


@pytest.fixture(scope="module")
def upload(folder, tmp_path_factory) -> str:
    files = [
        (f"{s}.mine.annot", annot(tmp_path_factory.mktemp(s), half(i))) for i, s in enumerate(("lh", "rh"))
    ]
    return kept.keep(files, "s").reference


def half(which: int) -> np.ndarray:
    """V1 (label 1) at the back of both hemispheres, IT (label 2) at the front of the right one."""
    points = cortex.mesh(cortex.HEMISPHERES[which]).points
    return np.where(points[:, 1] < -60, 1, np.where((points[:, 1] > 60) & (which == 1), 2, 0)).astype(
        np.int32
    )


def annot(folder, labels: np.ndarray, names=("unknown", "V1", "IT")) -> bytes:
    colours = np.array([[10 * k, 20, 30, 0, 0] for k in range(len(names))])
    nibabel.freesurfer.write_annot(folder / "a", labels, colours, list(names), fill_ctab=True)
    data: bytes = (folder / "a").read_bytes()
    return data


@pytest.fixture(scope="module")
def drawn(upload):
    return compute.compute(specs.CortexSpec(brain=BRAIN, labels=upload))


def pixels(ds, panel: str) -> np.ndarray:
    found: np.ndarray = ds.area_index.sel(panel=panel).values
    return found


def test_the_areas_of_a_recording_are_found_by_name_and_in_their_place(drawn):
    assert list(drawn.area.values) == [AREA]
    assert list(drawn.regions.values) == ["V1"]
    assert list(drawn.region.values) == ["V1", "IT"]
    for side in cortex.HEMISPHERES:
        for view in VIEWS:
            index = pixels(drawn, f"{side} {view}")
            columns = np.nonzero(index == 1)[1].mean() - np.nonzero(index >= 0)[1].mean()
            back = "right" if (side == "left") == (view != "medial") else "left"
            assert (columns > 0) == (back == "right"), (side, view)


def test_the_share_of_pixels_is_that_of_the_projected_vertices(drawn):
    """Against the area of the outline: what lies behind y = -60 mm, counted on the pixels themselves."""
    for panel in ("left lateral", "right medial"):
        side, view = panel.split()
        index = pixels(drawn, panel)
        inside = np.nonzero((index >= 0).any(axis=0))[0]
        points = cortex.mesh(side).points
        right, _ = directions(side, view)
        across = points @ right
        y = np.interp(
            np.arange(inside[0], inside[-1] + 1), [inside[0], inside[-1]], [across.min(), across.max()]
        )
        behind = (y * right[1]) < -60
        columns = (index >= 0).sum(axis=0)[inside[0] : inside[-1] + 1]
        expected = columns[behind].sum() / columns.sum()
        assert float(drawn.share.sel(panel=panel, area=AREA)) == pytest.approx(expected, abs=0.01)


def test_the_scores_are_those_of_the_comparison_and_of_a_chosen_layer(drawn, upload):
    brain = compute.compute(BRAIN)
    assert float(drawn.score[0]) == float(brain.score.sel(area=AREA).max())
    conv = compute.compute(specs.CortexSpec(brain=BRAIN, labels=upload, layer="conv"))
    assert float(conv.score[0]) == float(brain.score.sel(area=AREA, layer="conv"))
    with pytest.raises(InputError, match='no layer of this comparison "nowhere"'):
        compute.compute(specs.CortexSpec(brain=BRAIN, labels=upload, layer="nowhere"))


def test_colours_are_those_of_the_scale_and_change_with_the_theme_alone(drawn):
    lo, hi, name = figure.limits(drawn)
    assert (lo, hi) == (0.0, float(drawn.ceiling_high.max()))  # else one area alone would look perfect
    assert "the highest noise ceiling" in figure.caption(drawn)
    assert (lo, name) == (0.0, "viridis")
    index = pixels(drawn, "left medial")
    light = drawn.light.sel(panel="left medial").values / 255
    looks = [figure.picture(drawn, "left medial", dark) for dark in (False, True)]
    inner = (index == 1) & ~figure._edges(index)
    step = int(np.floor(256 * float(drawn.score[0]) / hi))
    wanted = theme.lut("viridis")[step] * (0.86 + 0.14 * light[inner])[:, None]
    for look in looks:
        np.testing.assert_allclose(look[inner][:, :3], wanted, atol=0.5)
        assert (look[index < 0][:, 3] == 0).all()
        assert (look[index >= 0][:, 3] == 255).all()
    bare = index == 0
    assert (looks[0][bare].mean() - looks[1][bare].mean()) > 20


def test_simulated_data_are_never_drawn_without_saying_so(drawn):
    assert figure.verdict(drawn).startswith(f"Simulated: {AREA} is drawn at V1")
    assert alternative.alt_text(drawn).startswith("Simulated data.")
    chart = figure.main_chart(drawn).to_dict()
    assert [part["title"] for part in chart["hconcat"]] == [
        f"Simulated: {side} hemisphere" for side in cortex.HEMISPHERES
    ]
    assert any("nothing was measured anywhere on this brain" in c.message for c in compute.cautions(drawn))
    assert "One number colours a whole area" in figure.caption(drawn)


def test_the_same_question_gives_the_same_bytes_and_every_file(drawn, upload):
    from dashboard.analyses.cortex import draw

    spec = specs.CortexSpec(brain=BRAIN, labels=upload)
    with collect_cautions():
        again = draw(spec)
    for name in ("area_index", "light", "sulcus", "share", "score"):
        np.testing.assert_array_equal(again[name].values, drawn[name].values)
    chart = figure.main_chart(drawn)
    assert export.export("svg", drawn, chart) == export.export("svg", drawn, figure.main_chart(drawn))
    assert export.export("png", drawn, chart).startswith(b"\x89PNG")
    assert export.export("pdf", drawn, chart).startswith(b"%PDF")
    assert export.table(drawn)["regions"].tolist() == ["V1"]
    assert "fsaverage5" in provenance.methods_text(provenance_record(drawn))
    places = figure.hemisphere(drawn, "right").to_dict()["hconcat"][0]["layer"][-1]["data"]["values"]
    assert {p["area"] for p in places} == {AREA}
    assert f"{AREA} at V1" in figure.hemisphere(drawn, "right").to_dict()["description"]
    bare = figure.hemisphere(drawn, "right", hover=False).to_dict()["hconcat"][0]["layer"]
    assert bare[-1]["mark"]["type"] == "point"


def provenance_record(ds) -> dict:
    import json

    found: dict = json.loads(ds.attrs["record"])
    return found


def test_areas_go_where_they_are_sent_and_nowhere_twice(upload):
    elsewhere = compute.compute(specs.CortexSpec(brain=BRAIN, labels=upload, regions=(f"{AREA}=IT",)))
    assert (pixels(elsewhere, "left lateral") < 1).all()
    assert (pixels(elsewhere, "right lateral") == 1).any()
    none = compute.compute(specs.CortexSpec(brain=BRAIN, labels=upload, regions=(f"{AREA}=",)))
    assert "No area is on the cortex yet" in figure.verdict(none)
    assert figure.limits(none)[:2] == (0.0, 1.0)
    assert figure.main_chart(none).to_dict()
    with pytest.raises(InputError, match='no region "V9"'):
        compute.compute(specs.CortexSpec(brain=BRAIN, labels=upload, regions=(f"{AREA}=V9",)))
    with pytest.raises(InputError, match='no area of the recording "V7"'):
        compute.compute(specs.CortexSpec(brain=BRAIN, labels=upload, regions=("V7=IT",)))


def test_names_that_are_written_in_another_way_are_one_area_and_drawn_once():
    from dashboard.analyses.cortex import _by_name

    areas = ["human IT", "monkey IT", "simulated V1", "MT"]
    for parcellation, names in (
        ("centres", ("inf temporal", "")),
        ("folds", ("inferiortemporal", "pericalcarine")),
    ):
        regions = cortex.regions("", parcellation)
        it, v1 = ([regions.names.index(name)] if name else [] for name in names)
        assert _by_name(areas, regions) == {"human IT": it, "monkey IT": [], "simulated V1": v1, "MT": []}


def test_the_centres_that_come_along_lie_where_they_should():
    found = cortex.regions("", "centres")
    assert "occipital" in found.names
    assert not [name for name in found.names if "cerebellum" in name or name == "thalamus"]
    for side in cortex.HEMISPHERES:
        points = cortex.mesh(side).points[found.place[side] == found.names.index("occipital")]
        assert points[:, 1].max() < -10  # at the back


def test_folds_lie_at_the_same_place_in_both_hemispheres():
    """In millimetres of the brain itself, which the mirror image of the sphere knows nothing of."""
    found = cortex.regions("")
    assert "Desikan" in found.title
    middle = {}
    for side, sign in zip(cortex.HEMISPHERES, (-1, 1), strict=True):
        points = cortex._arrays(f"pial_{side}")[0] * [sign, 1, 1]
        middle[side] = np.array(
            [points[found.place[side] == k].mean(axis=0) for k in range(len(found.names))]
        )
    assert np.linalg.norm(middle["left"] - middle["right"], axis=1).max() < 6
    side_front_up = dict(zip(found.names, middle["left"], strict=True))
    assert side_front_up["pericalcarine"][1] < -70
    assert side_front_up["frontalpole"][1] > 55
    assert side_front_up["inferiortemporal"][2] < -15


def test_the_mirror_image_is_turned_to_where_the_sulci_agree_best(monkeypatch):
    depth = {side: cortex._arrays(f"sulc_{side}")[0] for side in cortex.HEMISPHERES}

    def agreement(vector) -> float:
        monkeypatch.setattr(cortex, "MIRROR_RAD", tuple(vector))
        return float(np.corrcoef(depth["left"][cortex.mirrored()], depth["right"])[0, 1])

    best = np.array(cortex.MIRROR_RAD)
    found = agreement(best)
    assert found == pytest.approx(0.925, abs=0.002)
    for step in 0.05 * np.eye(3):  # about 3 degrees
        assert max(agreement(best + step), agreement(best - step)) < found


def test_without_folds_the_centres_are_drawn_and_it_is_said(monkeypatch, tmp_path):
    (tmp_path / "datasets").symlink_to(cortex._folder() / "datasets")
    cortex._folds.cache_clear()
    with monkeypatch.context() as patch, collect_cautions() as told:
        patch.setattr(cortex, "_folder", lambda: tmp_path)
        found = cortex.regions("")
    cortex._folds.cache_clear()
    assert found.title == cortex.TITLES["centres"]
    assert [c.code for c in told] == ["no-folds"]


def test_a_fold_around_an_area_is_said_to_be_none_of_its_borders(folder):
    with collect_cautions() as told:
        found = compute.compute(specs.CortexSpec(brain=BRAIN))
    assert list(found.regions.values) == ["pericalcarine"]
    assert [c.message for c in told if c.code == "drawn-at-folds"] == [
        f"{AREA} at pericalcarine: the fold in which most of the area lies in people, with other borders."
    ]
    assert (pixels(found, "left medial") == 1).sum() > 5 * (pixels(found, "left lateral") == 1).sum()


# --- label files -------------------------------------------------------------------------------------------


def gifti(labels: np.ndarray) -> bytes:
    table = nibabel.gifti.GiftiLabelTable()
    for key, name in ((0, "???"), (1, "L_V1_ROI"), (2, "R_IT_ROI")):
        label = nibabel.gifti.GiftiLabel(key=key)
        label.label = name
        table.labels.append(label)
    array = nibabel.gifti.GiftiDataArray(labels.astype(np.int32), intent="NIFTI_INTENT_LABEL")
    data: bytes = nibabel.GiftiImage(darrays=[array], labeltable=table).to_bytes()
    return data


def read(folder, **files: bytes):
    given = []
    for i, (name, data) in enumerate(files.items()):
        path = folder / str(i)
        path.write_bytes(data)
        given.append([str(path), name.replace("__", ".")])
    return cortex.read(given)


def label_file(vertices) -> bytes:
    lines = [f"{v} 0.0 0.0 0.0 1.0" for v in vertices]
    return "\n".join(["#!ascii label  , from subject fsaverage", str(len(lines)), *lines]).encode()


def test_gifti_and_label_files_are_read_like_annotations(tmp_path):
    labels = half(1)
    of_annot = read(tmp_path, rh__mine__annot=annot(tmp_path, labels))
    of_gifti = read(tmp_path, rh__mine__label__gii=gifti(labels))
    packed = read(tmp_path, **{"rh__mine__label__gii__gz": gzip.compress(gifti(labels))})
    assert of_annot == of_gifti == packed
    assert of_annot["names"] == ["V1", "IT"]
    np.testing.assert_array_equal(np.array(of_annot["place"]["right"]), labels - 1)
    assert set(of_annot["place"]["left"]) == {-1}
    single = read(
        tmp_path,
        rh__V1__label=label_file(np.flatnonzero(labels == 1)),
        rh__IT__label=label_file(np.flatnonzero(labels == 2)),
    )
    assert single == of_annot


def test_finer_surfaces_give_their_first_vertices_and_it_is_told(tmp_path):
    labels = np.concatenate([half(0), np.ones(40_962 - 10_242, dtype=np.int32)])
    with collect_cautions() as told:
        found = read(tmp_path, lh__mine__annot=annot(tmp_path, labels))
    np.testing.assert_array_equal(np.array(found["place"]["left"]), half(0) - 1)
    assert [c.code for c in told] == ["finer-surface"]


def test_a_table_is_read_like_an_annotation(tmp_path):
    names = np.array(["unknown", "V1", "IT"])
    rows = {
        side: [f"{k},{name}" for k, name in enumerate(names[half(i)])] for i, side in enumerate(("lh", "rh"))
    }
    files = {f"{side}__mine__csv": "\n".join(["vertex,region", *rows[side]]).encode() for side in rows}
    both = ["hemisphere,vertex,region", *(f"{side},{row}" for side in rows for row in rows[side])]
    wanted = read(
        tmp_path, lh__mine__annot=annot(tmp_path, half(0)), rh__mine__annot=annot(tmp_path, half(1))
    )
    one, other = read(tmp_path, **files), read(tmp_path, both__csv="\n".join(both).encode())
    for found in (one, other):
        assert found["names"] == wanted["names"]
        assert found["place"] == wanted["place"]


def external(data: bytes) -> bytes:
    return data.replace(b"<Data>", b"").replace(b"GZipBase64Binary", b"ExternalFileBinary")


BAD = {
    "another surface": (
        "lh.a.annot",
        lambda d: annot(d, np.zeros(642, np.int32)),
        "642 vertices, and fsaverage5",
    ),
    "no hemisphere": ("mine.annot", lambda d: annot(d, half(0)), "does not say which hemisphere"),
    "nothing marked": ("lh.a.annot", lambda d: annot(d, 0 * half(0)), "mark no region"),
    "cut": ("lh.a.annot", lambda d: annot(d, half(0))[:5000], "not complete or is damaged"),
    "claims": ("lh.a.annot", lambda d: struct.pack(">i", 2**31 - 1) + bytes(99), "2,147,483,647 vertices"),
    "cut table": ("lh.a.annot", lambda d: annot(d, half(0))[:-30], "not complete or is damaged"),
    "external": ("lh.a.label.gii", lambda d: external(gifti(half(0))), "points to another file"),
    "entities": (
        "lh.a.label.gii",
        lambda d: (
            b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><GIFTI>&b;</GIFTI>'
        ),
        "points to another file",
    ),
    "no gifti": ("lh.a.label.gii", lambda d: b"<html>404</html>", "not complete or is damaged"),
    "gifti of a shape": (
        "lh.a.gii",
        lambda d: gifti(half(0)).replace(b"LABEL", b"SHAPE", 0)[:900],
        "damaged",
    ),
    "label cut": ("lh.V1.label", lambda d: label_file(range(20))[:150], "not complete or is damaged"),
    "label of nothing": ("lh.V1.label", lambda d: b"#!ascii", "not complete or is damaged"),
    "label beyond": ("lh.V1.label", lambda d: label_file([5, 900_000]), "900,001 vertices"),
    "bomb": ("lh.a.label.gii.gz", lambda d: gzip.compress(bytes(80 * 2**20)), "unpacks to too much"),
    "inner bomb": (
        "lh.a.label.gii",
        lambda d: gifti(half(0)).replace(
            gifti(half(0)).split(b"<Data>")[1].split(b"</Data>")[0],
            base64.b64encode(zlib.compress(bytes(10**6))),
        ),
        "",
    ),
    "table without regions": ("lh.a.csv", lambda d: b"vertex,name\n1,V1", "columns vertex"),
    "table of words": ("lh.a.csv", lambda d: b"vertex,region\none,V1", "columns vertex"),
    "table beyond": ("lh.a.csv", lambda d: b"vertex,region\n900000,V1", "900,001 vertices"),
    "another kind": ("lh.a.mgh", lambda d: bytes(999), "is no file of labels that is read"),
}


@pytest.mark.parametrize("which", BAD)
def test_hostile_and_foreign_label_files_are_refused_in_our_words(which, tmp_path):
    name, make, words = BAD[which]
    with pytest.raises(InputError) as error:
        read(tmp_path, **{name.replace(".", "__"): make(tmp_path)})
    assert words in error.value.problem
    assert error.value.remedy
    assert str(tmp_path) not in str(error.value)


def test_damaged_label_files_are_read_or_refused(tmp_path):
    from tests.fuzz.mutations import mutated, rng_of

    good = {
        "lh.a.annot": annot(tmp_path, half(0)),
        "lh.a.label.gii": gifti(half(0)),
        "lh.V1.label": label_file([3, 4]),
    }
    counts = {"read": 0, "refused": 0}
    for name, data in good.items():
        for k in range(25):
            with collect_cautions():
                try:
                    read(tmp_path, **{name.replace(".", "__"): mutated(data, rng_of(name, k))})
                    counts["read"] += 1
                except InputError:
                    counts["refused"] += 1
    assert min(counts.values()) > 5, counts


def test_overlapping_labels_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"V2 of .* overlaps another region in 1 vertices"):
        read(tmp_path, lh__V1__label=label_file([3, 4]), lh__V2__label=label_file([4, 5]))


def test_the_command_line_adds_labels_and_draws(tmp_path, capsys):
    from dashboard.__main__ import main

    for i, side in enumerate(("lh", "rh")):
        (tmp_path / f"{side}.mine.annot").write_bytes(annot(tmp_path, half(i)))
    assert main(["add", str(tmp_path / "lh.mine.annot"), str(tmp_path / "rh.mine.annot")]) == 0
    out = capsys.readouterr()
    assert "2 regions of the cortex." in out.err
    common = ["--recording", SMALL, "--layers", "conv,fc", "--bootstrap", "10"]
    picture = tmp_path / "cortex.png"
    given = ["cortex", "bundled:tilt_cnn", *common, "--labels", out.out.strip(), "--out", str(picture)]
    assert main(given) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_pages_and_figures_load_no_library_of_brain_images():
    """Only workers do; both are pure Python, so that no map of memory would show them."""
    program = (
        "import sys, dashboard.figures.cortex, dashboard.ui.brain_cortex, dashboard.ui.adding.recording\n"
        "from dashboard.figures import alternative, export\n"
        "print(sorted({'nilearn', 'nibabel', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
