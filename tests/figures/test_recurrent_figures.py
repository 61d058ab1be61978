"""Heat maps, trajectories and RDMs of recurrent states, from a small answer made by hand."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from dashboard.figures import export, recurrent, sheets
from dashboard.figures.alternative import alt_text
from tests.figures import samples


def answer(n: int = 6, steps: int = 4, units: int = 3) -> xr.Dataset:
    rng = np.random.default_rng(0)
    traces = ["input gate", "forget gate", "output gate", "candidate", "cell state", "hidden state"]
    state = rng.uniform(0, 1, (1, 6, n, steps, units))
    state[:, 3:] = 4 * state[:, 3:] - 1
    similar = np.array([[1, 0.9, 0.2, 0.1], [0.9, 1, 0.4, 0.3], [0.2, 0.4, 1, 0.8], [0.1, 0.3, 0.8, 1]])
    return xr.Dataset(
        {
            "state": (("cell", "trace", "stimulus", "step", "unit"), state),
            "position": (("cell", "stimulus", "step", "axis"), rng.normal(size=(1, n, steps, 2))),
            "explained": (("cell", "axis"), np.array([[0.5, 0.25]])),
            "rdm": (("cell", "step", "pair"), rng.uniform(0, 1, (1, steps, n * (n - 1) // 2))),
            "step_similarity": (("cell", "step", "other_step"), similar[None, :steps, :steps]),
        },
        {
            "cell": ["layer 1"],
            "trace": traces,
            "stimulus": samples.stimulus_names(n),
            "category": ("stimulus", ["a", "b"] * (n // 2)),
            "step": np.arange(1, steps + 1),
            "other_step": np.arange(1, steps + 1),
        },
        samples.attrs("recurrent", layer="lstm", kind_of_layer="LSTM", network="net", stimuli="pictures"),
    )


def test_words_name_the_largest_change_and_how_far_gates_are_open():
    ds = answer()
    assert "from step 2 to 3 (Spearman ρ 0.400)" in recurrent.verdict(ds)
    assert "agree at ρ 0.100" in alt_text(ds)
    mean = float(ds.state.isel(cell=0).sel(trace="forget gate", stimulus="picture 0000").mean())
    assert f"forget gate {mean:.3f}" in recurrent.gate_words(ds, "", "picture 0000")
    assert "75 % of the variance" in recurrent.trajectory_words(ds)
    assert "too few" in recurrent.verdict(answer(steps=1))


def test_gates_share_the_scale_from_shut_to_open_and_states_are_centred_on_zero():
    ds = answer()
    assert recurrent.limits(ds, "", "input gate") == (0, 1)
    low, high = recurrent.limits(ds, "", "cell state")
    assert low == -high
    assert high == float(np.abs(ds.state.sel(trace="cell state")).max())


def test_mean_paths_of_categories_are_means():
    ds = answer()
    spec = json.loads(recurrent.trajectory_chart(ds, width=300).to_json())
    found = [rows for layer in spec["layer"] if "data" in layer and (rows := layer["data"]["values"])]
    means = next(rows for rows in found if "stimulus" not in rows[0] and len(rows) == 8)
    one = next(row for row in means if row["category"] == "b" and row["step"] == 3)
    wanted = ds.position.isel(cell=0, stimulus=[1, 3, 5], step=2).mean("stimulus")
    np.testing.assert_allclose([one["x"], one["y"]], wanted, atol=1e-4)


def test_rdms_of_all_steps_share_one_scale():
    found = recurrent.step_matrices(answer())
    assert [m.title for m in found] == ["step 1", "step 2", "step 3", "step 4"]
    assert len({(m.lo, m.hi) for m in found}) == 1
    assert found[0].labels[:3] == ("picture 0000", "picture 0002", "picture 0004")


def test_states_are_exported_and_ticks_are_few_whole_numbers():
    ds = answer()
    assert export.export("png", ds)[:4] == b"\x89PNG"
    table = export.table(ds)
    assert len(table) == 6 * 6 * 4
    assert sheets._ticks(8, 8) == list(range(1, 9))
    assert sheets._ticks(64, 6) == [1, 20, 40, 60]
    assert sheets._ticks(1000, 6) == [1, 200, 400, 600, 800, 1000]
