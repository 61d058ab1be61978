"""Every kind of answer has a methods text, and what it cites can be looked up."""

from __future__ import annotations

import dataclasses
import re
import typing

import pytest

from dashboard import provenance, specs, wording
from dashboard.methods.attribution import METHODS as ATTRIBUTIONS
from dashboard.report import references

NAMED = {
    "network": "bundled:tilt_cnn",
    "stimuli": "gratings",
    "recording": "simulated-v1",
    "second": "bundled:a",
}
NAMED |= {"upload": "upload:00", "second": "bundled:a"}
NEEDED: dict[type[specs.Spec], dict[str, typing.Any]] = {
    specs.RdmPartitionSpec: {"models": ("pixels", "category")},
}


def example(cls: type[specs.Spec], **changes: typing.Any) -> specs.Spec:
    """A spec with every required field filled."""
    values = {**NEEDED.get(cls, {}), **changes}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.name in values or field.default is not dataclasses.MISSING:
            continue
        hint = hints[field.name]
        inner = next((h for h in (typing.get_args(hint) or (hint,)) if isinstance(h, type)), str)
        values[field.name] = example(inner) if issubclass(inner, specs.Spec) else NAMED.get(field.name, "x")
    return cls(**values)


@pytest.mark.parametrize("kind", specs.KINDS)
def test_what_is_cited_resolves(kind):
    for spec in variants(specs.KINDS[kind]):
        text = provenance.described(spec)
        assert references.unresolved(text) == [], text


def variants(cls: type[specs.Spec]) -> list[specs.Spec]:
    """The example, and one for every choice of every setting that is a choice."""
    found = [example(cls)]
    for name, hint in typing.get_type_hints(cls).items():
        if typing.get_origin(hint) is typing.Literal and name in {f.name for f in dataclasses.fields(cls)}:
            found += [example(cls, **{name: choice}) for choice in typing.get_args(hint)]
    if cls is specs.TuningSpec:
        found.append(example(cls, contrasts="0.1:1", sizes="0.2:0.5"))
    if cls is specs.AttributionSpec:
        found += [example(cls, method=method) for method in ATTRIBUTIONS]
    return found


@pytest.mark.parametrize("kind", specs.KINDS)
def test_every_kind_has_a_text_that_names_what_it_was_done_with(kind):
    for spec in variants(specs.KINDS[kind]):
        text = provenance.described(spec)
        assert len(text) > 40, f"write a methods text for {kind}, in wording.TEXTS or provenance.METHODS"
        assert text.endswith(".")
        assert "  " not in text
        for source in provenance._sources(spec):
            assert provenance.shown(source) in text


def test_no_text_stands_in_two_places():
    assert not set(wording.TEXTS) & set(provenance.METHODS)
    assert set(wording.TEXTS) | set(provenance.METHODS) <= set(specs.KINDS)


def test_a_text_says_which_decoder_and_which_regression_were_used():
    decoders = [example(specs.DecodingSpec, model=model) for model in ("ridge", "svm", "mlp")]
    texts = [provenance.described(spec) for spec in decoders]
    for text, word in zip(texts, ("Ridge", "support vector", "hidden layer"), strict=True):
        assert [word in one for one in texts] == [one is text for one in texts]
    assert "partial least squares" in provenance.described(example(specs.EncodingSpec, regression="pls"))
    assert "Hastie" not in provenance.described(example(specs.EncodingSpec, regression="pls"))
    assert "jackknife" in provenance.described(example(specs.AlignmentSpec, measure="procrustes"))
    assert "jackknife" not in provenance.described(example(specs.AlignmentSpec, measure="rbf-cka"))


def test_entries_are_whole_and_their_bibtex_can_be_read_back():
    for key, work in references.REFERENCES.items():
        entry = work.bibtex
        assert entry.count("{") == entry.count("}")
        assert re.match(rf"@\w+\{{{key},\n", entry)
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.M))
        assert {"author", "title", "year"} <= set(fields)
        assert 1900 < int(fields["year"]) < 2027
        assert fields["year"] in work.listed


def test_authors_of_the_same_year_are_told_apart():
    both = references.cited("See Ringach, Shapley & Hawken (2002) and (Ringach, 2002).")
    assert [w.key for w in both] == ["ringach2002selectivity", "ringach2002gabor"]
    assert references.unresolved("as Nobody et al. (1999) and Nili et al., 2014 say") == [
        "Nobody et al. (1999"
    ]
    assert [w.key for w in references.cited("Holm's method (1979)")] == ["holm1979"]
