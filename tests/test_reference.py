"""References are read once and written back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.errors import InputError
from dashboard.reference import Reference, parse, untrained

NAME = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
VALUE = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=12).map(str.strip)


@given(NAME, st.dictionaries(NAME, VALUE, max_size=3))
def test_round_trip(name, options):
    reference = Reference(name, options)
    assert parse(str(reference)).options == options
    assert parse(str(reference)).name == name


def test_a_plus_sign_stays_a_plus_sign():
    assert parse("zip:a?n=1+2").options["n"] == "1+2"
    assert str(parse("zip:a?n=1+2")) == "zip:a?n=1+2"


def test_scheme_and_rest():
    reference = parse("torchvision:resnet18?weights=a/b.safetensors&untrained&seed=3")
    assert (reference.scheme, reference.rest) == ("torchvision", "resnet18")
    assert reference.options["untrained"] == ""
    assert reference.integer("seed", 0) == 3
    assert str(reference) == "torchvision:resnet18?weights=a/b.safetensors&untrained&seed=3"


@pytest.mark.parametrize(
    ("text", "sentence"), [("", "not a reference"), ("a?b=1&b=2", "twice"), ("a\x00", "not a ref")]
)
def test_malformed(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse(text)


@pytest.mark.parametrize("text", ["x", "nan", "inf", "-1", "11", "2.5", ""])
def test_integer_option_out_of_range(text):
    with pytest.raises(InputError, match="n of s must be a"):
        Reference("s", {"n": text}).integer("n", 0, low=0, high=10)


def test_unknown_option_names_the_allowed():
    with pytest.raises(InputError, match="Did you mean seed"):
        parse("gratings?sed=1").check_options({"seed", "n"})


@pytest.mark.parametrize(
    ("network", "twin"),
    [
        ("bundled:objects_cnn", "bundled:objects_cnn?untrained&seed=0"),
        ("torchvision:resnet18?weights=DEFAULT", "torchvision:resnet18?untrained&seed=0"),
        ("torchvision:resnet18?untrained&seed=3", "torchvision:resnet18?untrained&seed=3"),
    ],
)
def test_untrained_twin(network, twin):
    assert untrained(network) == twin
