"""The best layer and unit for a category, and concepts, in bundled networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dashboard import compute, networks, specs
from dashboard.analyses import selectivity
from dashboard.errors import CautionWarning, InputError
from dashboard.figures import alternative, export
from dashboard.figures import selectivity as figure
from dashboard.methods import selectivity as method
from dashboard.networks.differentiable import opened_at
from dashboard.stimuli import load as load_stimuli

pytestmark = pytest.mark.filterwarnings("ignore::dashboard.errors.CautionWarning")
CNN, SHOWN = "bundled:objects_cnn", "objects?n=96&seed=4"
LAYERS = ("stem.0", "block4")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOLOG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def answer(home):
    return compute.compute(specs.SelectivitySpec(network=CNN, stimuli=SHOWN, layers=LAYERS))


@pytest.fixture(scope="module")
def concept(home):
    return compute.compute(
        specs.ConceptsSpec(
            network=CNN, stimuli=SHOWN, concept="category=ring", target="ring", layers=LAYERS, runs=12
        )
    )


def test_the_best_unit_is_the_one_of_the_unit_page(answer):
    chosen = answer.sel(layer="block4", category_name="ring")
    unit = compute.compute(
        specs.UnitSpec(network=CNN, stimuli=SHOWN, layer="block4", unit=int(chosen["best_unit"]))
    )
    place = list(unit["category_name"].to_numpy()).index("ring")
    assert float(unit["d_prime"][place]) == pytest.approx(float(chosen["d_prime"]), rel=1e-6)
    assert float(unit["index"][place]) == pytest.approx(float(chosen["index"]), rel=1e-6)


def test_deeper_layers_care_more_for_categories(answer):
    held = answer["held_out"].mean("category_name")
    assert float(held.sel(layer="block4")) > float(held.sel(layer="stem.0")) + 0.5
    assert "block4" in figure.verdict(answer)


def test_noise_has_a_best_unit_but_nothing_is_left_of_it_when_held_out():
    random = np.random.default_rng(0)
    labels = [f"c{k % 4}" for k in range(80)]
    response = random.normal(size=(80, 400))
    best = np.nanmax(method.categories(response, labels).d_prime, axis=1)
    held = selectivity._held_out(response, labels, selectivity._halves(labels))
    assert best.min() > 0.5
    assert abs(held.mean()) < 0.25


def test_a_class_is_raised_by_its_own_category(concept):
    deep = concept.sel(layer="block4")
    assert float(deep["score"].mean()) > 0.9
    assert float(deep["p_corrected"]) < 0.05
    assert float(deep["accuracy"].mean()) > 0.8
    assert "Ring raises ring most clearly at block4" in figure.concept_verdict(concept)


def test_derivatives_are_those_of_the_network():
    network, shown = networks.load(CNN), load_stimuli(SHOWN)
    layer = networks.select(network.layers, ["block4"])[0]
    (found,) = selectivity._gradients(network, layer, shown, [3], 2)
    batch = network.prepare([shown.picture(3)])
    with opened_at(network.module, layer) as run, torch.enable_grad():
        output, answer = run(batch)
        torch.testing.assert_close(answer, network.module(batch))
    # behind block4 there is a mean over 4 × 4 positions and the read-out
    np.testing.assert_allclose(found[0], network.module.head.weight[2].numpy(), rtol=1e-5)
    assert output.shape == (1, 128, 4, 4)


def test_the_same_spec_gives_the_same_scores(concept):
    spec = specs.ConceptsSpec(
        network=CNN, stimuli=SHOWN, concept="ring", target="ring", layers=LAYERS, runs=12
    )
    np.testing.assert_array_equal(selectivity.concepts(spec)["score"], concept["score"])


def test_concepts_can_be_factors():
    shown = load_stimuli(SHOWN)
    name, has = selectivity.having(shown, "texture=stripes")
    assert name == "texture stripes"
    np.testing.assert_array_equal(has, np.asarray(shown.columns["texture"]) == "stripes")
    with pytest.raises(InputError, match="texture"):
        selectivity.having(shown, "texture=wool")
    with pytest.raises(InputError, match="column"):
        selectivity.having(shown, "smell=good")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "horse"}, "horse"),
        ({"runs": 1}, "runs must be from 2"),
        ({"network": "bundled:objects_vae", "layers": ()}, "does not choose between named classes"),
        ({"stimuli": "objects?n=6"}, "4 of each"),
    ],
)
def test_bad_concepts_get_a_sentence(change, words):
    given = {"network": CNN, "stimuli": SHOWN, "concept": "texture=stripes", "layers": ("stem.0",)}
    with pytest.raises(InputError, match=words):
        compute.compute(specs.ConceptsSpec(**(given | change)))


def test_too_few_categories_and_other_classes():
    with pytest.raises(InputError, match="no two categories with four stimuli"):
        compute.compute(specs.SelectivitySpec(network=CNN, stimuli="objects?n=8", layers=LAYERS))
    with pytest.warns(CautionWarning, match="No stimulus is of the category ring"):
        selectivity._class_stimuli(load_stimuli("gratings?orientations=2"), "ring")


def test_export_and_words(answer, concept):
    assert len(export.table(answer)) == 2 * answer.sizes["category_name"]
    assert len(export.table(concept)) == 2
    assert export.export("svg", answer).startswith(b"<svg")
    assert export.export("svg", concept).startswith(b"<svg")
    assert "ring" in alternative.alt_text(concept)
    assert [row[3] for row in figure.best_units(answer)] == sorted(
        (row[3] for row in figure.best_units(answer)), reverse=True
    )
