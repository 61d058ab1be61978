"""Whole files of odd structure: every recipe and table gives finite numbers or our sentence, nothing else."""

from __future__ import annotations

import csv
import io
import json
import math
import typing
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dashboard.errors import InputError, collect_cautions
from dashboard.recordings import recipe as recipes
from dashboard.recordings.assemble import assemble
from dashboard.recordings.guesses import guess
from dashboard.recordings.readers import look, open_all
from dashboard.recordings.readers.tables import ALL_NUMBERS, MISSING
from dashboard.recordings.recipe import Recipe, from_dict

usual = hypothesis.settings(
    deadline=None,
    max_examples=150,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
pytestmark = pytest.mark.filterwarnings("ignore")

names = st.sampled_from(
    ["responses", "r", "rdm", "names", "stim", "area", "subject", "ori", "time", "weird name", "ü", "x.y", ""]
) | st.text(st.characters(exclude_characters="/\\\0", exclude_categories=("Cs",)), max_size=8)
"""Keys: those that the guess knows, and any other."""

sides = st.sampled_from([0, 1, 2, 3, 4, 6, 12])
shapes = st.lists(sides, max_size=4).map(tuple)
kinds = st.sampled_from(["f8", "f4", "f2", ">f8", "i8", "u1", "?", "c16", "U3", "S2"])


@st.composite
def array(draw) -> np.ndarray:
    """An array of any kind and shape; often with missing or infinite values, or all alike."""
    dtype, shape = np.dtype(draw(kinds)), draw(shapes)
    seed = np.random.default_rng(draw(st.integers(0, 9)))
    if dtype.kind in "US":
        return seed.integers(0, draw(st.sampled_from([3, 1000])), shape).astype(dtype)
    if dtype.kind == "f" and draw(st.booleans()):
        return draw(arrays.arrays(dtype, shape))
    found = (seed.normal(size=shape) * draw(st.sampled_from([0, 1, 100]))).astype(dtype)
    if dtype.kind == "f" and found.size and draw(st.booleans()):
        found.flat[draw(st.integers(0, found.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return found


floats = st.sampled_from(["f8", "f4"])


@st.composite
def lifelike(draw) -> dict[str, np.ndarray]:
    """Responses or RDMs with names, as files mostly hold them, now and then with something odd beside."""
    seed, n = np.random.default_rng(draw(st.integers(0, 9))), draw(st.integers(3, 8))
    shape = draw(st.sampled_from([(n, 4), (4, n), (2, n, 5), (n, n), (2, n * (n - 1) // 2)]))
    values = seed.normal(size=shape)
    if shape == (n, n):
        values = np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(float)
    found = {
        draw(st.sampled_from(["responses", "rdm", "V4"])): values.astype(draw(st.sampled_from(["f8", "f4"])))
    }
    found["names"] = np.array([f"s{k % draw(st.sampled_from([n, n, 3]))}" for k in range(n)])
    return found | draw(st.dictionaries(st.sampled_from(["area", "ori", "subject"]), array(), max_size=1))


contents = lifelike() | st.dictionaries(
    names.filter(lambda n: n and n.strip(". ")), array(), min_size=1, max_size=4
)


@st.composite
def recipe(draw, labels: list[str]) -> Recipe:
    """Any answers, most of them about arrays that are there."""
    label = st.sampled_from([*labels, "", "nowhere"])
    hints = typing.get_type_hints(Recipe)
    chosen = {
        name: draw(st.sampled_from(typing.get_args(hints[name]))) for name in recipes.CHOICES if name in hints
    }
    window = st.none() | st.sampled_from([-1, 0, 0.5, 1, 2, 99])
    return Recipe(
        form=draw(st.sampled_from(["responses", "rdms"])),
        values=tuple(draw(st.lists(st.sampled_from(labels), min_size=1, max_size=2))),
        axes=tuple(draw(st.lists(st.sampled_from(typing.get_args(recipes.Axis)), max_size=4))),
        names=draw(label),
        columns=tuple(draw(st.lists(label, max_size=2))),
        area=draw(label),
        subject=draw(label),
        unit=draw(label),
        repeat=draw(label),
        start=draw(window),
        stop=draw(window),
        **chosen,
    )


def ours(error: InputError) -> bool:
    """Hold an error to our manner: a sentence, and nothing of a library."""
    assert error.problem.endswith(".")
    assert "Traceback" not in str(error)
    return True


def sound(source, given: Recipe) -> bool:
    """Assemble by a recipe; whatever comes out is finite, named and of one length, or it is refused."""
    with collect_cautions():
        try:
            parts = assemble(source, given)
        except InputError as error:
            return not ours(error)
    n = len(parts.names)
    assert n >= 3
    assert len(set(parts.names)) == n
    for subjects in parts.responses.values():
        for values in subjects.values():
            assert values.dtype == np.float64
            assert values.shape[-2] == n
            assert np.isfinite(values).all()
    for subjects in parts.rdms.values():
        for rdm in subjects.values():
            assert rdm.shape == (n * (n - 1) // 2,)
            assert np.isfinite(rdm).all()
    assert all(len(values) == n for values in parts.columns.values())
    return True


@pytest.fixture
def tally():
    """How many files were read, so that a test that only sees refusals fails."""
    found = {"read": 0, "refused": 0}
    yield found
    assert min(found.values()) > 10, found


@usual
@hypothesis.given(data=st.data())
def test_arrays_of_any_structure_by_any_recipe(data, tmp_path, tally):
    given = data.draw(contents)
    path = tmp_path / "a.npz"
    np.savez(path, **{name.replace("file", "f"): values for name, values in given.items()})
    try:
        source = open_all([(path, "a.npz")])
        json.dumps(look([(str(path), "a.npz")]), allow_nan=False)
    except InputError as error:
        ours(error)
        return
    for answers in (guess(source), data.draw(recipe([a.name for a in source.arrays]))):
        tally["read" if sound(source, answers) else "refused"] += 1


cells = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.sampled_from(
        ["", "NA", "nan", "inf", "-inf", "1e999", "1,5", "1.5 mV", "007", "7", "ü", "=1+1", "a b"]
    ),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=5),
)


@st.composite
def table(draw) -> list[list[str]]:
    """A header and rows; mostly columns of one kind, as tables are."""
    width, height = draw(st.integers(1, 5)), draw(st.integers(0, 7))
    lifelike = draw(st.booleans())
    heads = st.sampled_from(["name", "u1", "u2", "u3", "u4", "area"]) if lifelike else names
    header = draw(st.lists(heads, min_size=width, max_size=width, unique=lifelike))
    columns = []
    for head in header:
        usual = ["name" if head == "name" else "number"] if lifelike else ["number", "name", "any"]
        one = draw(st.sampled_from(usual))
        if one == "number":
            column = [repr(round(math.sin(k * 1.37 + len(columns)), 3)) for k in range(height)]
        elif one == "name":
            column = [f"s{k:02d}" for k in range(height)]
        else:
            column = draw(st.lists(cells, min_size=height, max_size=height))
        columns.append([head, *column])
    return [list(row) for row in zip(*columns, strict=True)]


def write(path: Path, rows: list[list[str]], separator: str, encoding: str) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(rows)
    path.write_bytes(stream.getvalue().encode(encoding))


@usual
@hypothesis.given(rows=table(), separator=st.sampled_from(",;\t"), data=st.data())
def test_tables_are_read_cell_by_cell_as_written_or_refused(rows, separator, data, tmp_path, tally):
    """A cell that is read as a number is that number; one that is none is refused by its line."""
    path = tmp_path / "a.csv"
    write(path, rows, separator, data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    try:
        source = open_all([(path, "a.csv")])
    except InputError as error:
        ours(error)
        return
    body = [row for row in rows if any(cell.strip() for cell in row)][1:]
    for column, array in enumerate(a for a in source.arrays if a.name != ALL_NUMBERS):
        written = [row[column].strip() for row in body]
        try:
            refused, values = None, source.read(array.name, {})
        except InputError as error:
            refused = ours(error) and 'of "a.csv" has "' in error.problem
        if refused is not None:
            assert refused
            continue
        assert len(values) == len(written)
        if array.kind == "text":
            assert values.tolist() == written
            continue
        for value, cell in zip(values.tolist(), written, strict=True):
            number = math.nan if cell.casefold() in MISSING else float(cell.replace(",", ".", 1))
            assert value == number or (math.isnan(value) and math.isnan(number))
    for answers in (guess(source), data.draw(recipe([a.name for a in source.arrays]))):
        tally["read" if sound(source, answers) else "refused"] += 1


plain = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=6)
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)


@usual
@hypothesis.given(data=st.data())
def test_json_of_any_structure_is_a_recipe_or_refused(data):
    """What is taken is whole: written and read again it is the same."""
    fields = list(typing.get_type_hints(Recipe))
    given = data.draw(
        anything
        | st.dictionaries(st.sampled_from(fields) | names, anything, max_size=5).map(
            lambda found: {"kind": "recording", "version": recipes.VERSION, **found}
        )
    )
    try:
        found = from_dict(given)
    except InputError as error:
        ours(error)
        return
    assert from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
    assert all(math.isfinite(v) for v in (found.start, found.stop) if v is not None)
