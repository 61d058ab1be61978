"""Every reader: what is found in a file, what is guessed, and that the numbers come through."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.io import netcdf_file, savemat

from dashboard import kept, recordings
from dashboard.errors import CautionWarning, InputError, collect_cautions
from dashboard.recordings import uploaded
from dashboard.recordings.assemble import assemble
from dashboard.recordings.guesses import guess
from dashboard.recordings.readers import open_all, recognise
from dashboard.recordings.recipe import from_dict

NAMES = [f"picture {i:02d}" for i in range(12)]
VALUES = np.random.default_rng(0).normal(size=(12, 7))


def _npz(path: Path) -> None:
    np.savez(path, responses=VALUES, names=np.array(NAMES))


def _mat(path: Path) -> None:
    savemat(path, {"responses": VALUES, "names": np.array(NAMES, dtype=object)})


def _mat_struct(path: Path) -> None:
    savemat(path, {"data": {"responses": VALUES, "names": np.array(NAMES, dtype=object)}})


def _mat73(path: Path) -> None:
    """As MATLAB writes it: a user block with its name, axes from the other end, cells as references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_dataset("responses", data=VALUES.T)
        data.attrs["MATLAB_class"] = np.bytes_("double")
        cells = file.create_dataset("names", (1, 12), dtype=h5py.ref_dtype)
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
        for i, name in enumerate(NAMES):
            codes = np.array([[ord(c)] for c in name], dtype=np.uint16)
            text = file.create_dataset(f"#refs#/{i}", data=codes)
            text.attrs["MATLAB_class"] = np.bytes_("char")
            cells[0, i] = text.ref
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(head)


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["v1/responses"] = VALUES
        file["v1/names"] = NAMES


def _netcdf4(path: Path) -> None:
    _dataset().to_netcdf(path, engine="h5netcdf")


def _netcdf3(path: Path) -> None:
    with netcdf_file(path, "w") as file:
        for dim, n in (("stimulus", 12), ("neuroid", 7), ("letters", 10)):
            file.createDimension(dim, n)
        file.createVariable("responses", "f8", ("stimulus", "neuroid"))[:] = VALUES
        letters = np.array([list(name) for name in NAMES], dtype="S1")
        file.createVariable("names", "S1", ("stimulus", "letters"))[:] = letters


def _dataset() -> xr.Dataset:
    # The dimensions are turned round, so that only their names can tell what they are.
    return xr.Dataset(
        {"responses": (("neuroid", "stimulus"), VALUES.T), "names": ("stimulus", NAMES)},
    )


def _wide() -> pd.DataFrame:
    return pd.DataFrame({"image": NAMES, **{f"unit {j}": VALUES[:, j] for j in range(7)}})


def _long() -> pd.DataFrame:
    rows = [(NAMES[i], j, VALUES[i, j]) for i in range(12) for j in range(7)]
    return pd.DataFrame(rows, columns=["stimulus", "neuron", "response"])


def _dims_by_position(path: Path) -> None:
    np.savez(path, responses=VALUES.T.copy(), names=np.array(NAMES))


FILES = {
    "a.npz": _npz,
    "turned.npz": _dims_by_position,
    "a.mat": _mat,
    "struct.mat": _mat_struct,
    "a73.mat": _mat73,
    "a.h5": _hdf5,
    "a.nc": _netcdf4,
    "classic.nc": _netcdf3,
    "wide.csv": lambda path: _wide().to_csv(path, index=False),
    "decimal-comma.csv": lambda path: _wide().to_csv(path, index=False, sep=";", decimal=","),
    "utf-16.csv": lambda path: _wide().to_csv(path, index=False, encoding="utf-16"),
    "tab.tsv": lambda path: _wide().to_csv(path, index=False, sep="\t"),
    "long.csv": lambda path: _long().to_csv(path, index=False),
    "wide.parquet": lambda path: _wide().to_parquet(path),
    "long.parquet": lambda path: _long().to_parquet(path),
}


@pytest.mark.parametrize("name", FILES)
def test_the_guess_reads_the_same_numbers_from_every_format(name, tmp_path):
    path = tmp_path / name
    FILES[name](path)
    source = open_all([(path, name)])
    recipe = guess(source)
    parts = assemble(source, from_dict(recipe.to_dict()))
    assert parts.names == tuple(NAMES)
    ((area, subjects),) = parts.responses.items()
    np.testing.assert_allclose(subjects["subject 1"], VALUES, rtol=1e-12)
    assert not parts.by_position


def test_names_in_a_file_of_their_own_are_joined(tmp_path):
    np.save(tmp_path / "r.npy", VALUES)
    pd.DataFrame({"name": NAMES}).to_csv(tmp_path / "n.csv", index=False)
    source = open_all([(tmp_path / "r.npy", "r.npy"), (tmp_path / "n.csv", "n.csv")])
    recipe = guess(source)
    assert (tuple(recipe.to_dict()["values"]), recipe.names) == (("r.npy: array",), "n.csv: name")
    np.testing.assert_array_equal(assemble(source, recipe).responses["all units"]["subject 1"], VALUES)


@pytest.fixture
def nwb(tmp_path) -> Path:
    """Two units on two electrodes, and two regions sampled at 10 Hz, in three presentations of a second."""
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        times = file.create_group("intervals/trials")
        times["start_time"], times["stop_time"] = [0.0, 2.0, 4.0], [1.0, 3.0, 5.0]
        times["image"] = ["a", "b", "c"]
        units = file.create_group("units")
        units["spike_times"] = [0.1, 0.5, 2.2, 4.0, 4.999, 5.0, 0.9, 2.1, 2.2, 2.3]
        units["spike_times_index"] = [6, 10]
        units["electrodes"], units["electrodes_index"] = [1, 0], [1, 2]
        file["general/extracellular_ephys/electrodes/location"] = ["VISl", "VISp"]
        series = file.create_group("processing/ophys/Fluorescence/dff")
        series["data"] = np.stack([np.arange(60.0), -np.arange(60.0)], axis=1)
        series["rois"] = [0, 1]
        series.create_dataset("starting_time", data=0.0).attrs["rate"] = 10.0
    return path


def test_nwb_counts_spikes_and_averages_fluorescence_per_presentation(nwb):
    source = open_all([(nwb, "a.nwb")])
    recipe = guess(source)
    assert tuple(recipe.to_dict()["values"]) == ("spikes per second in intervals/trials",)
    assert recipe.names == "intervals/trials/image"
    parts = assemble(source, recipe)
    # A spike at the start counts, one at the end does not.
    expected = {"VISp": [[2.0], [1.0], [2.0]], "VISl": [[1.0], [3.0], [0.0]]}
    assert {a: s["subject 1"].tolist() for a, s in parts.responses.items()} == expected
    window = {**recipe.to_dict(), "start": 0.0, "stop": 0.5, "area": ""}
    half = assemble(source, from_dict(window)).responses["all units"]["subject 1"]
    np.testing.assert_array_equal(half, [[2, 0], [2, 6], [2, 0]])
    series = {"values": ["processing/ophys/Fluorescence/dff in intervals/trials"], "area": ""}
    means = assemble(source, from_dict({**recipe.to_dict(), **series})).responses["all units"]["subject 1"]
    np.testing.assert_allclose(means, [[4.5, -4.5], [24.5, -24.5], [44.5, -44.5]])


def test_rsatoolbox_files_open_as_they_are(tmp_path):
    rsatoolbox = pytest.importorskip("rsatoolbox")
    rdms = np.random.default_rng(1).uniform(size=(3, 10))
    saved = rsatoolbox.rdm.RDMs(
        rdms,
        dissimilarity_measure="correlation",
        rdm_descriptors={"subj": ["a", "b", "c"]},
        pattern_descriptors={"stim": NAMES[:5]},
    )
    saved.save(str(tmp_path / "r.h5"), file_type="hdf5")
    source = open_all([(tmp_path / "r.h5", "r.h5")])
    recipe = guess(source)
    parts = assemble(source, recipe)
    assert recipe.metric == "correlation"
    assert parts.names == tuple(NAMES[:5])
    assert list(parts.rdms["all units"]) == ["a", "b", "c"]
    np.testing.assert_array_equal(np.stack(list(parts.rdms["all units"].values())), rdms)
    data = rsatoolbox.data.Dataset(
        np.repeat(VALUES, 2, axis=0),
        obs_descriptors={"stim": np.repeat(NAMES, 2)},
        channel_descriptors={"roi": ["V1"] * 3 + ["V4"] * 4},
    )
    data.save(str(tmp_path / "d.h5"), file_type="hdf5")
    source = open_all([(tmp_path / "d.h5", "d.h5")])
    recipe = from_dict({**guess(source).to_dict(), "repeats": "equal"})
    parts = assemble(source, recipe)
    np.testing.assert_array_equal(parts.responses["V4"]["subject 1"], np.stack([VALUES[:, 3:]] * 2))


@pytest.mark.parametrize(
    ("form", "axes"),
    [
        ("square", ("stimulus", "stimulus")),
        ("stack", ("subject", "stimulus", "stimulus")),
        ("turned", ("stimulus", "stimulus", "subject")),
        ("condensed", ("pair",)),
        ("rows", ("subject", "pair")),
    ],
)
def test_rdms_are_taken_in_every_shape(form, axes, tmp_path):
    condensed = np.random.default_rng(2).uniform(0.1, 1, size=(2, 66))
    square = np.zeros((2, 12, 12))
    rows, columns = np.triu_indices(12, 1)
    square[:, rows, columns] = square[:, columns, rows] = condensed
    given = {
        "square": square[0],
        "stack": square,
        "turned": square.transpose(1, 2, 0),
        "condensed": condensed[0],
        "rows": condensed,
    }[form]
    np.savez(tmp_path / "r.npz", rdm=given, names=np.array(NAMES))
    source = open_all([(tmp_path / "r.npz", "r.npz")])
    recipe = guess(source)
    assert (recipe.form, recipe.axes) == ("rdms", axes)
    found = np.stack(list(assemble(source, recipe).rdms["all units"].values()))
    np.testing.assert_array_equal(found, condensed if len(found) == 2 else condensed[:1])


def test_an_upload_opens_everywhere_by_its_reference_and_is_read_once(monkeypatch):
    stream = io.BytesIO()
    np.savez(stream, V1=VALUES, IT=VALUES[:, :4], names=np.array([f"picture-{i}" for i in range(12)]))
    upload = kept.keep([("mine.npz", stream.getvalue())], "secret")
    with pytest.raises(InputError, match="Nobody has said yet how mine.npz is to be read"):
        recordings.load(upload.reference)
    found = uploaded.look(upload.reference)
    assert [a["name"] for a in found["arrays"]] == ["V1", "IT", "names"]
    again = kept.with_recipe(upload.reference, found["recipe"])
    recording = recordings.load(again.reference)
    assert recording.areas == ("V1", "IT")
    np.testing.assert_array_equal(recording.responses["IT"][0], VALUES[:, :4])
    assert recording.digest == recordings.identity(again.reference)
    monkeypatch.setattr(uploaded.guarded, "call", None)  # the second time nothing is read from the file
    np.testing.assert_array_equal(recordings.load(again.reference).responses["V1"][0], VALUES)
    other = kept.keep([("mine.npz", stream.getvalue())], "other secret", found["recipe"])
    assert other.reference != again.reference
    assert recordings.identity(other.reference) == recording.digest


def test_pictures_are_joined_by_name_whatever_their_order():
    stream = io.BytesIO()
    shown = "gratings?orientations=6&spatial_frequencies=4&phases=2"
    from dashboard import stimuli

    names = list(stimuli.load(shown).names)[::-1]
    np.savez(stream, r=VALUES, names=np.array([f"{n}.png" for n in names]))
    recipe = {"kind": "recording", "values": ["r"], "axes": ["stimulus", "unit"], "names": "names"}
    found = kept.keep([("a.npz", stream.getvalue())], "s", {**recipe, "stimuli": shown})
    with collect_cautions() as told:
        recording = recordings.load(found.reference)
    assert recording.stimuli.names == tuple(names) == recording.stimulus_names
    assert [c.code for c in told] == ["names-without-ending"]
    assert recordings.load_stimuli(found.reference).digest == recordings.identify_stimuli(found.reference)
    assert recordings.inside_roots(found.reference)
    bad = kept.keep([("a.npz", stream.getvalue())], "s", {**recipe, "stimuli": "objects?n=12"})
    with pytest.raises(InputError, match="12 of 12 stimuli of a.npz have no picture"):
        recordings.load(bad.reference)


def test_formats_are_told_by_their_bytes_not_by_their_names(tmp_path):
    _mat73(tmp_path / "a.mat")
    assert recognise(tmp_path / "a.mat", "anything.csv") == "mat73"
    _netcdf4(tmp_path / "a.nc")
    assert recognise(tmp_path / "a.nc", "a.h5") == "netcdf4"


pytestmark = pytest.mark.filterwarnings(f"ignore::{CautionWarning.__module__}.{CautionWarning.__name__}")
