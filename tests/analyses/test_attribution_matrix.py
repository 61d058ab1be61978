"""Each method on each kind of network: a correct map or a sentence, and the table that says so is current."""

from __future__ import annotations

import re

import pytest

from dashboard.analyses import attribution_matrix as matrix
from dashboard.methods.attribution import METHODS


@pytest.fixture(scope="module")
def table():
    """Cells of the committed table by network and method, refusals as sentences."""
    text = matrix.FILE.read_text("utf-8")
    sentences = {m[1]: m[2] for m in re.finditer(r"^(\d+)\. (.*)$", text, re.M)}
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    names = rows[0][1:]
    labels = {entry.label: name for name, entry in METHODS.items()}
    return {
        network: {labels[r[0]]: "map" if r[k + 1] == "●" else sentences[r[k + 1]] for r in rows[1:]}
        for k, network in enumerate(names)
    }


LARGE = ("ConvNeXt-T", "ViT-B/16", "Swin-T")
FEW = ("saliency", "integrated-gradients", "deeplift", "guided-backprop", "grad-cam")
"""Cells of large networks that are computed each time; the command computes all."""


@pytest.mark.parametrize("name", [name for name in matrix.NETWORKS if name not in LARGE])
def test_every_method_gives_a_correct_map_or_a_sentence(name, table):
    found = matrix.row(name)
    assert not {m: c for m, c in found.items() if c.startswith("WRONG")}
    assert found == table[name]


@pytest.mark.parametrize("name", LARGE)
def test_large_networks_give_correct_maps_or_sentences(name, table):
    found = matrix.row(name, FEW)
    assert found == {method: table[name][method] for method in FEW}


def test_table_has_no_wrong_map_and_every_network_and_method(table):
    assert set(table) == set(matrix.NETWORKS)
    assert all(set(cells) == set(METHODS) for cells in table.values())
    assert not [c for cells in table.values() for c in cells.values() if c.startswith("WRONG")]
