"""Specs go to URLs and JSON and come back; what cannot be read is refused with a sentence."""

from __future__ import annotations

import json
import typing
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import specs
from dashboard.errors import InputError

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=20)
NAMES = st.lists(TEXT, max_size=4).map(tuple)
RDMS = st.builds(
    specs.RdmSpec,
    network=TEXT,
    stimuli=TEXT,
    layers=NAMES,
    metric=st.sampled_from(typing.get_args(specs.Metric)),
    reducer=TEXT,
)
SPECS = st.one_of(
    st.builds(specs.NetworkSpec, network=TEXT),
    RDMS,
    st.builds(
        specs.MapSpec, rdms=RDMS, method=st.sampled_from(("classical", "metric")), seed=st.integers(0, 2**40)
    ),
    st.builds(
        specs.BrainSpec,
        network=TEXT,
        recording=TEXT,
        areas=NAMES,
        layers=NAMES,
        measure=st.sampled_from(typing.get_args(specs.Measure)),
        bootstrap=st.integers(0, 10**6),
    ),
)


@given(SPECS)
def test_json_round_trip(spec):
    again = specs.from_json(spec.to_json())
    assert again == spec
    assert hash(again) == hash(spec)
    assert again.to_json() == spec.to_json()


@given(SPECS)
def test_url_round_trip(spec):
    url = urlencode(spec.to_query())
    again = type(spec).from_query(dict(parse_qsl(url, keep_blank_values=True)))
    assert again == spec


def test_defaults_stay_out_of_the_url():
    spec = specs.BrainSpec(network="bundled:tilt_cnn", recording="simulated-v1")
    assert spec.to_query() == {"network": "bundled:tilt_cnn", "recording": "simulated-v1"}


def test_lists_from_json_become_tuples():
    spec = specs.RdmSpec(network="n", stimuli="s", layers=["a", "b"])
    assert spec.layers == ("a", "b")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not JSON"),
        ("[]", "not a Homolog spec"),
        ('{"kind": "brian"}', "Did you mean brain"),
        ('{"kind": "brain", "version": 99, "network": "n", "recording": "r"}', "version 99"),
        ('{"kind": "brain", "version": true, "network": "n", "recording": "r"}', "version True"),
        ('{"kind": "brain", "network": "n"}', 'lacks "recording"'),
        ('{"kind": "brain", "network": "n", "recording": "r", "measur": "x"}', "Did you mean measure"),
        ('{"kind": "brain", "network": "n", "recording": "r", "measure": "x"}', 'no measure "x"'),
        ('{"kind": "brain", "network": 3, "recording": "r"}', "network of brain cannot be 3"),
        ('{"kind": "brain", "network": "n", "recording": "r", "bootstrap": 1.5}', "bootstrap"),
        ('{"kind": "brain", "network": "n", "recording": "r", "bootstrap": true}', "bootstrap"),
        ('{"kind": "brain", "network": "n", "recording": "r", "layers": "abc"}', "list of names"),
        ('{"kind": "brain", "network": "n", "recording": "r", "layers": [1]}', "list of names"),
        ('{"kind": "map", "rdms": {"kind": "network", "network": "n"}}', "rdms of map"),
    ],
)
def test_what_cannot_be_read_is_refused(text, sentence):
    with pytest.raises(InputError, match=sentence):
        specs.from_json(text)


def test_unknown_url_setting_is_refused():
    with pytest.raises(InputError, match="Did you mean layers"):
        specs.RdmSpec.from_query({"network": "n", "stimuli": "s", "layer": "conv"})


def test_url_number_that_is_none_is_refused():
    with pytest.raises(InputError, match='must be a number, not "many"'):
        specs.BrainSpec.from_query({"network": "n", "recording": "r", "bootstrap": "many"})


def test_every_kind_names_itself_and_round_trips_its_version():
    for kind, cls in specs.KINDS.items():
        assert cls.kind == kind
        assert json.dumps(cls.version) == str(cls.version)
