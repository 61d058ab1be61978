"""Time in files: tables with a column of times, spikes in bins, and RDMs that change over time."""

from __future__ import annotations

import dataclasses
import io
import itertools
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.io import savemat
from scipy.spatial.distance import squareform

from dashboard import compute, kept, recordings, specs
from dashboard.errors import InputError, collect_cautions
from dashboard.recordings import moments, readers
from dashboard.recordings.assemble import assemble
from dashboard.recordings.guesses import guess
from dashboard.recordings.readers import open_all
from dashboard.recordings.recipe import Recipe, from_dict
from tests.recordings.test_readers import nwb  # noqa: F401 - a fixture

pytestmark = pytest.mark.filterwarnings("ignore::dashboard.errors.CautionWarning")
NAMES = [f"item {k}" for k in range(4)]
TIMES = np.array([-20.0, 0.0, 20.0, 40.0, 60.0])
CUBE = np.random.default_rng(0).random((2, 4, 3, 5)).round(6)  # repeat, stimulus, unit, time


def long_table(seed: int = 1) -> pd.DataFrame:
    """A row per repeat, stimulus, unit and time, in random order."""
    rows = [
        (NAMES[s], f"cell {u}", TIMES[t], r, CUBE[r, s, u, t])
        for r, s, u, t in itertools.product(*map(range, CUBE.shape))
    ]
    table = pd.DataFrame(rows, columns=["stimulus", "unit", "time_ms", "repeat", "response"])
    shuffled = table.sample(frac=1, random_state=seed)
    # Stimuli come in the order of their first row.
    return pd.concat([table.iloc[::15], shuffled.drop(table.index[::15])])


def parts_of(tmp_path: Path, table: pd.DataFrame, name: str = "t.csv", **changes):
    path = tmp_path / name
    table.to_parquet(path) if name.endswith("parquet") else table.to_csv(path, index=False)
    source = open_all([(path, name)])
    return assemble(source, dataclasses.replace(guess(source), **changes))


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_long_tables_keep_their_times(tmp_path, name):
    parts = parts_of(tmp_path, long_table(), name)
    assert parts.names == tuple(NAMES)
    assert parts.times_ms == tuple(TIMES)
    np.testing.assert_array_equal(parts.courses["all units"]["subject 1"], CUBE)
    np.testing.assert_allclose(parts.responses["all units"]["subject 1"], CUBE.mean(axis=3))


def test_the_unit_of_times_is_guessed_and_a_window_taken(tmp_path):
    table = long_table().rename(columns={"time_ms": "time"})
    table["time"] /= 1000
    parts = parts_of(tmp_path, table, start=1, stop=4)
    assert parts.times_ms == pytest.approx((0.0, 20.0, 40.0))
    np.testing.assert_array_equal(parts.courses["all units"]["subject 1"], CUBE[..., 1:4])
    averaged = parts_of(tmp_path, table, course="average")
    assert (averaged.times_ms, averaged.courses) == ((), {})
    np.testing.assert_allclose(averaged.responses["all units"]["subject 1"], CUBE.mean(axis=3))


def test_a_column_per_unit_and_a_time_per_row(tmp_path):
    rows = [
        {"stimulus": NAMES[s], "time_ms": TIMES[t], "repeat": r}
        | {f"cell {u}": CUBE[r, s, u, t] for u in range(3)}
        for r, s, t in itertools.product(range(2), range(4), range(5))
    ]
    parts = parts_of(tmp_path, pd.DataFrame(rows))
    assert parts.times_ms == tuple(TIMES)
    np.testing.assert_array_equal(parts.courses["all units"]["subject 1"], CUBE)


def test_times_that_no_rows_share_are_refused_until_bins_gather_them(tmp_path):
    table = long_table()
    table["time_ms"] += np.random.default_rng(2).uniform(0.0, 9.0, len(table))
    with pytest.raises(InputError, match="different times, so that"):
        parts_of(tmp_path, table)
    parts = parts_of(tmp_path, table, bin_ms=20.0)
    assert parts.times_ms == tuple(TIMES + 10)
    np.testing.assert_array_equal(parts.courses["all units"]["subject 1"], CUBE)
    table.loc[table.index[3], "time_ms"] = np.nan
    with pytest.raises(InputError, match="1 of 120 rows have no time"):
        parts_of(tmp_path, table, bin_ms=20.0)


def test_a_table_that_reads_as_opcodes_of_a_pickle_is_a_table(tmp_path):
    table = long_table().assign(stimulus=lambda t: "ori 000.0 " + t.stimulus)
    path = tmp_path / "t.csv"
    table[["stimulus", "unit", "time_ms", "repeat", "response"]].to_csv(path, index=False)
    opcodes = [opcode.name for opcode, _, _ in pickletools.genops(path.read_bytes())]
    assert opcodes[-1] == "STOP"
    assert readers.recognise(path, "t.csv") == "csv"
    for protocol in range(6):
        path.write_bytes(pickle.dumps({"a": np.arange(3)}, protocol))
        with pytest.raises(InputError, match="can run code"):
            readers.recognise(path, "t.csv")


def test_bins_average_the_samples_they_hold():
    values, times = np.arange(12.0).reshape(2, 6), np.array([-10.0, 0.0, 10.0, 20.0, 30.0, 50.0])
    found, middles = moments.averaged(values, times, 20.0)
    np.testing.assert_array_equal(middles, [-10, 10, 30, 50])
    np.testing.assert_array_equal(found, [[0, 1.5, 3.5, 5], [6, 7.5, 9.5, 11]])
    with pytest.raises(InputError, match="cannot be -1 ms wide"):
        moments.averaged(values, times, -1.0)
    with pytest.raises(InputError, match="0 time bins"):
        moments.edges(0.0, 0.05, 0.1)


def test_nwb_units_and_fluorescence_come_in_bins(nwb):  # noqa: F811
    source = open_all([(nwb, "a.nwb")])
    recipe = dataclasses.replace(
        guess(source),
        values=("spikes per second in intervals/trials over time",),
        axes=("stimulus", "unit", "time"),
        course="keep",
        area="",
        bin_ms=250.0,
        start=-0.25,
        stop=0.75,
    )
    parts = assemble(source, recipe)
    assert parts.times_ms == pytest.approx((-125, 125, 375, 625))
    course = parts.courses["all units"]["subject 1"][0]
    # Unit 0 fires at 0.1, 0.5, 2.2, 4.0 and 4.999 s; presentations begin at 0, 2 and 4 s.
    np.testing.assert_allclose(course[:, 0], [[0, 4, 0, 4], [0, 4, 0, 0], [0, 4, 0, 0]])
    np.testing.assert_allclose(course[:, 1], [[0, 0, 0, 0], [0, 8, 4, 0], [0, 0, 0, 0]])
    usual = dataclasses.replace(recipe, bin_ms=None, start=None, stop=None)
    assert len(assemble(source, usual).times_ms) == 100  # 10 ms in a second
    series = dataclasses.replace(
        usual, values=("processing/ophys/Fluorescence/dff in intervals/trials over time",)
    )
    found = assemble(source, series)
    assert found.times_ms == pytest.approx((100, 300, 500, 700, 900))
    begin = np.array([0.5, 20.5, 40.5])[:, None] + 2 * np.arange(5)  # two samples of 0.1 s a bin
    np.testing.assert_allclose(found.courses["all units"]["subject 1"][0][:, 0], begin)


PAIRS = np.random.default_rng(3).uniform(0.1, 1, size=(2, 5, 66))  # subject, time, pair
SQUARES = np.array([[squareform(rdm) for rdm in movie] for movie in PAIRS])


def write(tmp_path: Path, form: str) -> tuple[Path, tuple[str, ...]]:
    """Write RDMs over time; return the file and what its axes count."""
    names = np.array([f"n{k}" for k in range(12)])
    if form == "npz squares":
        np.savez(tmp_path / "m.npz", rdm_movie=SQUARES, names=names, times_ms=TIMES)
        return tmp_path / "m.npz", ("subject", "time", "stimulus", "stimulus")
    if form == "npz pairs":
        np.savez(tmp_path / "m.npz", rdms=PAIRS[0], names=names, time=TIMES / 1000)
        return tmp_path / "m.npz", ("time", "pair")
    if form == "mat":
        cells = {"names": names.astype(object), "times_ms": TIMES}
        savemat(tmp_path / "m.mat", {"rdm": SQUARES[0].transpose(1, 2, 0), **cells})
        return tmp_path / "m.mat", ("stimulus", "stimulus", "time")
    dims = ("subject", "time", "stimulus_1", "stimulus_2")
    ds = xr.Dataset({"rdm": (dims, SQUARES)}, coords={"time": TIMES / 1000, "name": ("stimulus_1", names)})
    ds.to_netcdf(tmp_path / "m.nc")
    return tmp_path / "m.nc", ("subject", "time", "stimulus", "stimulus")


@pytest.mark.parametrize("form", ["npz squares", "npz pairs", "mat", "netCDF"])
def test_rdm_movies_are_read_from_every_format(form, tmp_path):
    path, axes = write(tmp_path, form)
    source = open_all([(path, path.name)])
    recipe = guess(source)
    assert (recipe.form, recipe.axes, recipe.course) == ("rdms", axes, "keep")
    parts = assemble(source, recipe)
    np.testing.assert_allclose(parts.times_ms, TIMES)
    found = np.stack(list(parts.movies["all units"].values()))
    np.testing.assert_array_equal(found, PAIRS[: len(found)])
    mean = np.stack(list(parts.rdms["all units"].values()))
    np.testing.assert_allclose(mean, PAIRS[: len(found)].mean(axis=1))
    some = assemble(source, dataclasses.replace(recipe, start=1, bin_ms=40.0))
    np.testing.assert_allclose(some.times_ms, (20, 60))
    binned = np.stack(list(some.movies["all units"].values()))
    np.testing.assert_allclose(binned[:, 0], PAIRS[: len(found), 1:3].mean(axis=1))


SHOWN = "gratings?orientations=6&spatial_frequencies=4&phases=2&size=32"


def test_a_movie_that_becomes_the_layer_is_found_by_rsa_over_time():
    """RDMs that are a layer's own from 20 ms on resemble it perfectly from there on."""
    layer = compute.compute(specs.RdmSpec(network="bundled:tilt_cnn", stimuli=SHOWN, layers=("pool",)))
    names, own = layer.stimulus.to_numpy(), layer.rdm.to_numpy()[0]
    random = np.random.default_rng(0)
    movie = np.stack([own if t >= 20 else random.permutation(own) for t in TIMES])
    stream = io.BytesIO()
    np.savez(stream, rdms=movie, names=np.array(names), times_ms=TIMES)
    recipe = {
        **Recipe(form="rdms", values=("rdms",), axes=("time", "pair"), names="names").to_dict(),
        **{"course": "keep", "times": "times_ms", "stimuli": SHOWN, "title": "A movie"},
    }
    brought = kept.keep([("m.npz", stream.getvalue())], "s", from_dict(recipe).to_dict())
    asked = specs.TimeRsaSpec(
        network="bundled:tilt_cnn",
        recording=brought.reference,
        layers=("pool",),
        permutations=99,
        bootstrap=0,
    )
    with collect_cautions() as told:
        answer = compute.compute(asked)
    score = answer.score.to_numpy()[0]
    np.testing.assert_allclose(score[TIMES >= 20], 1.0, atol=1e-12)
    assert (np.abs(score[TIMES < 20]) < 0.5).all()
    assert float(answer.onset[0]) == 20
    assert answer.attrs["given"] == "yes"
    assert "no-ceiling" in {c.code for c in told}
    facts = compute.compute(specs.RecordingSpec(recording=brought.reference))
    assert facts.n_times.to_numpy().tolist() == [5]
    inspected = compute.compute(specs.InspectSpec(recording=brought.reference))
    np.testing.assert_allclose(inspected.course.to_numpy()[0], movie.mean(axis=1))
    with pytest.raises(InputError, match="only RDMs"):
        recordings.load(brought.reference).over_time("all units")
    turned = recordings.load(brought.reference).select(names[::-1])
    np.testing.assert_array_equal(squareform(turned.movies["all units"][0, 3]), squareform(own)[::-1, ::-1])
