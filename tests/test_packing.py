"""Packed answers: every value, type, label and attribute comes back; nothing changed passes for whole."""

from __future__ import annotations

import io
import string

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dashboard import packing


def answer() -> xr.Dataset:
    return xr.Dataset(
        {
            "rdm": (
                ("layer", "pair"),
                np.array([[0.1, np.nan, -0.0], [np.inf, 5e-324, 1.0]]),
                {"units": "1 − r"},
            ),
            "default": ("layer", np.array([1, 0], np.int8)),
            "flag": ("layer", np.array([True, False])),
            "note": ("layer", np.array(["", "größer ☃ 𝄞"], dtype=object)),
            "thumbnail": (("layer", "y", "channel"), np.arange(12, dtype=np.uint8).reshape(2, 2, 3)),
            "none": (("nothing", "layer"), np.zeros((0, 2), np.float32)),
            "no_text": ("nothing", np.zeros(0, object)),
            "score": ((), 0.25),
            "word": ((), "one"),
            "when": ("layer", np.array(["2026-11-20T22:59", "NaT"], "datetime64[ns]")),
            "elapsed": ("layer", np.array([5, 7], "timedelta64[ms]")),
            "half": ("layer", np.array([1.5, np.nan], np.float16)),
        },
        coords={
            "layer": ["conv1", "features.0:2"],
            "layer_kind": ("layer", ["Conv2d", "ReLU"]),
            "pair": np.arange(3, dtype=np.int32),
        },
        attrs={
            "title": "RDMs “of” a network",
            "n": 5,
            "x": float("nan"),
            "yes": True,
            "nothing": None,
            "empty": "",
            "many": ["a", 1, 2.5],
            "pair": (1, 2),
            "nested": {"a": {"b": []}},
            "numpy": np.float32(0.1),
            "array": np.array([[1, 2]], np.int16),
            "units": "days since 2000-01-01",
            "long": "x" * 200_000,
        },
    )


def test_everything_comes_back():
    before = answer()
    after = packing.unpack(packing.pack(before))
    assert packing.same(before, after)
    assert list(after.data_vars) == list(before.data_vars)
    assert after.layer.dtype == before.layer.dtype
    assert after.note.dtype == object
    assert after.indexes["layer"].equals(before.indexes["layer"])
    assert np.signbit(after.rdm.to_numpy()[0, 2])
    assert type(after.attrs["n"]) is int
    assert type(after.attrs["numpy"]) is np.float32
    assert after.attrs["pair"] == (1, 2)
    xr.testing.assert_identical(before.drop_attrs(), after.drop_attrs())


def test_any_netcdf_reader_opens_it():
    packed = packing.pack(answer().drop_vars(["when", "elapsed", "half"]))
    with xr.open_dataset(io.BytesIO(packed), engine="h5netcdf") as seen:
        assert seen.sel(layer="conv1").rdm[0] == 0.1
        assert list(seen.note.values) == ["", "größer ☃ 𝄞"]
        assert seen.attrs["title"] == "RDMs “of” a network"
        assert seen.flag.dtype == bool
        assert "layer_kind" in seen.coords
        assert seen.sizes["nothing"] == 0


def test_same_sees_every_difference():
    before = answer()
    for change in (
        {"rdm": before.rdm + 1e-16},
        {"rdm": before.rdm.astype("f4")},
        {"default": before.default.astype("i2")},
        {"note": before.note.astype("U")},
        {"rdm": before.rdm.assign_attrs(units="r")},
    ):
        assert not packing.same(before, before.assign(change))
    zero = before.copy(deep=True)
    zero.rdm[0, 2] = 0.0
    assert not packing.same(before, zero)
    assert not packing.same(before, before.assign_attrs(n=5.0))
    assert packing.same(before, before.copy(deep=True))


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=20, deadline=None)
@given(
    values=hnp.arrays(
        st.sampled_from(["f8", "f4", "i8", "u1", "?", "i2"]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0),
    ),
    names=st.lists(text, min_size=1, max_size=5, unique=True),
    attrs=st.dictionaries(
        st.text(string.ascii_letters, min_size=1, max_size=6), text | st.integers() | st.floats()
    ),
)
def test_round_trip_of_anything(values, names, attrs):
    before = xr.Dataset(
        {"v": (("a", "b"), values), "t": ("name", np.array(names, object))}, {"name": names}, attrs=attrs
    )
    assert packing.same(packing.unpack(packing.pack(before)), before)


def test_pandas_text_becomes_plain_text():
    table = pd.DataFrame({"name": pd.array(["x", "y"], dtype="string"), "n": [1, 2]}).to_xarray()
    after = packing.unpack(packing.pack(table))
    assert after.name.dtype == object
    assert list(after.name.values) == ["x", "y"]


def test_a_text_type_of_another_library_is_kept_as_text():
    class Version(str):
        __slots__ = ()

    after = packing.unpack(packing.pack(xr.Dataset(attrs={"torch": Version("2.14")})))
    assert type(after.attrs["torch"]) is str


@pytest.mark.parametrize(
    "values",
    [
        np.array(["a", None], object),
        np.array([{}, 1], object),
        np.array(["a\0b"], object),
        np.array([(1, 2.0)], "i4,f8"),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused(values):
    with pytest.raises((TypeError, ValueError)):
        packing.pack(xr.Dataset({"v": ("x", values)}))


def test_every_changed_bit_and_every_cut_is_seen():
    packed = packing.pack(xr.Dataset({"v": ("x", np.arange(3.0))}), key="k")
    generator = np.random.default_rng(0)
    places = [*range(1, 60), *(len(packed) - generator.integers(1, len(packed), 300)).tolist()]
    for place in places:
        changed = bytearray(packed)
        changed[-place] ^= 1 << int(generator.integers(8))
        with pytest.raises(packing.Damaged):
            packing.unpack(bytes(changed))
    for length in {0, 1, 47, 48, 49, *generator.integers(0, len(packed), 100).tolist()}:
        with pytest.raises(packing.Damaged):
            packing.unpack(packed[:length])


def test_an_answer_under_another_key_is_refused():
    packed = packing.pack(xr.Dataset({"v": 1}), key="a")
    assert packing.unpack(packed, "a").v == 1
    with pytest.raises(packing.Damaged, match="something else"):
        packing.unpack(packed, "b")


def test_about_is_read_without_the_values(tmp_path):
    path = tmp_path / "answer.nc"
    path.write_bytes(packing.pack(xr.Dataset({"v": 1}), "k", "rdm", "Título"))
    assert packing.read_about(path) == {"key": "k", "kind": "rdm", "title": "Título"}
    path.write_bytes(b"short")
    with pytest.raises(packing.Damaged):
        packing.read_about(path)
