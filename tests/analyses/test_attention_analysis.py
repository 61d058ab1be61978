"""The answers about attention: against the network's own arithmetic, and in words where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dashboard import compute, networks, specs, stimuli
from dashboard.errors import InputError
from dashboard.figures import attention as figure

torch = pytest.importorskip("torch")
VIT = specs.AttentionSpec(network="bundled:objects_vit", stimuli="objects?n=6&seed=5", item="")
TEXT = specs.AttentionSpec(network="bundled:tiny_text", stimuli="typed?text=the keys to the old cabinet")
SWIN = VIT.replace(network="timm:swin_tiny_patch4_window7_224?untrained&seed=0")


@pytest.fixture(scope="module")
def vit():
    return compute.compute(VIT)


def by_hand(layer: int) -> np.ndarray:
    """Softmax of queries and keys of one block in float64, (heads, queries, keys)."""
    network, shown = networks.load(VIT.network), stimuli.load(VIT.stimuli)
    given = []
    module = network.module
    handle = module.blocks[layer].attention.register_forward_pre_hook(lambda _m, args: given.append(args[0]))
    with torch.no_grad():
        module(network.prepare([shown.picture(0)]))
    handle.remove()
    attention = module.blocks[layer].attention
    weight, bias = attention.qkv.weight.double(), attention.qkv.bias.double()
    mixed = given[0][0].double() @ weight.T + bias
    query, key, _ = mixed.view(65, 3, 4, 16).permute(1, 2, 0, 3)
    return (query @ key.transpose(-1, -2) / 4).softmax(-1).numpy()


def test_maps_and_measures_equal_a_calculation_by_hand(vit):
    assert vit.attrs["kept"] == "maps"
    for layer in (0, 3):
        wanted = by_hand(layer)
        np.testing.assert_allclose(vit[f"map{layer}"], wanted, atol=2e-6)
        np.testing.assert_allclose(vit[f"received{layer}"], wanted.mean(axis=1), atol=2e-6)
        spread = -(wanted * np.log(wanted)).sum(-1).mean(-1) / np.log(65)
        np.testing.assert_allclose(vit.entropy[layer], spread, atol=1e-6)
        np.testing.assert_allclose(vit.special_share[layer], wanted[:, :, 0].mean(-1), atol=1e-6)
        centre = (np.indices((8, 8)).reshape(2, -1).T + 0.5) * 8
        far = np.linalg.norm(centre[:, None] - centre[None], axis=-1)
        patches = wanted[:, 1:, 1:]
        apart = (patches * far).sum(-1) / patches.sum(-1)
        np.testing.assert_allclose(vit.distance[layer], apart.mean(-1), rtol=1e-6)
    np.testing.assert_allclose(vit.rollout.sum("key"), 1, atol=1e-5)


def test_looks_are_rows_of_the_maps_on_the_grid_of_patches(vit):
    look = figure.looks(vit, "2,5")[1]
    row = vit["map1"].to_numpy()[:, 1 + 2 * 8 + 5]
    np.testing.assert_allclose(look.maps.reshape(4, -1), row[:, 1:])
    np.testing.assert_allclose(look.special + look.maps.sum(axis=(1, 2)), 1, atol=1e-6)
    np.testing.assert_allclose(figure.looks(vit, "cls")[0].maps[2].ravel(), vit["map0"][2, 0, 1:])


def test_rows_of_one_query_equal_the_whole_maps(vit):
    for query in ("cls", "received", "7,0"):
        rows = compute.compute(VIT.replace(whole=False, query=query))
        assert rows.attrs["kept"] == "rows"
        assert "map0" not in rows
        for one, other in zip(figure.looks(vit, query), figure.looks(rows, query), strict=True):
            np.testing.assert_allclose(one.maps, other.maps, atol=1e-7)
    with pytest.raises(InputError, match="another query"):
        figure.looks(rows, "0,0")


def test_windows_are_put_back_where_they_lie():
    answer = compute.compute(SWIN.replace(layers=("layers.0.blocks.1.*",)))
    look = figure.looks(answer, "30,30")[0]
    assert look.maps.shape == (3, 56, 56)
    np.testing.assert_allclose(look.maps.sum(axis=(1, 2)), 1, atol=1e-5)
    rows, columns = np.nonzero(look.maps[0])
    # The second block's windows are shifted by 3: the one of place 30 covers 24 + 3 to 30 + 3 (+ the next).
    assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (24, 30)
    assert "rollout" not in answer
    with pytest.raises(InputError, match="within windows"):
        compute.compute(SWIN.replace(view="relevance"))


def test_relevance_and_ablation_are_about_the_class_that_is_asked():
    network, shown = networks.load(VIT.network), stimuli.load(VIT.stimuli)
    with torch.no_grad():
        logits = network.module(network.prepare([shown.picture(0)]))[0].double().numpy()
    found = compute.compute(VIT.replace(view="ablation", target="heart"))
    assert found.attrs["score"] == pytest.approx(logits[network.labels.index("heart")], abs=1e-5)
    top = compute.compute(VIT.replace(view="ablation"))
    assert top.attrs["target_name"] == network.labels[int(logits.argmax())]
    relevant = compute.compute(VIT.replace(view="relevance"))
    assert relevant.relevance.shape == (65, 65)
    assert float(relevant.relevance.min()) >= 0
    other = compute.compute(VIT.replace(view="relevance", target="heart"))
    assert not np.allclose(relevant.relevance[0], other.relevance[0])


def test_queries_and_keys_make_the_weights(vit):
    found = compute.compute(VIT.replace(view="query-key", layers=("blocks.3.attention",), head=1))
    products = found.query_vector.to_numpy() @ found.key_vector.to_numpy().T * found.attrs["scale"]
    powers = np.exp(products - products.max(axis=1, keepdims=True))
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), vit["map3"][1], atol=2e-6)
    assert figure._products(found, 0, 5).sum() == pytest.approx(products[0, 5])


def test_a_text_has_its_words_and_says_what_special_tokens_take():
    answer = compute.compute(TEXT)
    assert figure.tokens(answer) == ["[CLS]", "the", "keys", "to", "the", "old", "cabinet"]
    np.testing.assert_array_equal(figure.special(answer), [True] + [False] * 6)
    values, names, hidden = figure.without(answer, figure.text_map(answer, 3, 2), True)
    assert names[0] == "2 the"
    np.testing.assert_allclose(values, answer["map3"][2, 1:, 1:])  # not scaled up
    assert hidden == pytest.approx(float(answer["map3"][2, 1:, 0].mean()), abs=1e-6)
    np.testing.assert_allclose(answer["map0"].sum("key0"), 1, atol=1e-5)


def test_value_weighted_maps_are_lengths_of_what_is_added():
    found = compute.compute(VIT.replace(weighting="values"))
    assert found.attrs["unit"] == "length of what is added"
    plain = compute.compute(VIT)
    ratio = found["map2"].to_numpy() / plain["map2"].to_numpy()
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-4)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (VIT.replace(network="bundled:objects_cnn"), "has no attention"),
        (VIT.replace(network="timm:coat_lite_tiny?untrained&seed=0"), "cannot be read"),
        (VIT.replace(item="no such"), "no such"),
        (VIT.replace(layers=("stem",)), 'no layer with attention "stem"'),
        (VIT.replace(view="ablation", target="unicorn"), "unicorn"),
        (VIT.replace(view="query-key", head=9), 'no head "9"'),
        (VIT.replace(whole=False, query="9,9"), "no query"),
        (VIT.replace(stimuli="typed?text=hello"), "sees pictures"),
        (TEXT.replace(stimuli="typed?text= "), "There is no text"),
        (TEXT.replace(stimuli="objects?n=2"), "reads texts"),
    ],
)
def test_what_cannot_be_shown_says_why(spec, words):
    with pytest.raises(InputError) as error:
        compute.compute(spec)
    assert words in str(error.value)


def test_dropped_tokens_and_pictures_smaller_than_a_patch_are_told(tmp_path):
    from PIL import Image

    long = compute.compute(TEXT.replace(stimuli=f"typed?text={'the old cat ' * 15}"))
    told = json.loads(long.attrs["cautions"])[0]["message"]
    assert "reads 28 tokens: the last 18" in told
    for name in ("a", "b"):
        Image.new("RGB", (9, 9), "red").save(tmp_path / f"{name}.png")
    small = VIT.replace(network="timm:vit_tiny_patch16_224?untrained&seed=0", stimuli=f"folder:{tmp_path}")
    told = json.loads(compute.compute(small).attrs["cautions"])[0]["message"]
    assert "9 × 9 pixels, fewer than a patch (16 × 16)" in told


def test_agreement_is_the_rank_correlation_with_what_the_score_loses(vit):
    from scipy import stats

    found = compute.compute(VIT.replace(view="agreement"))
    network, shown = networks.load(VIT.network), stimuli.load(VIT.stimuli)
    row = vit["map2"].to_numpy()[1, 0, 1:]
    for k in range(2):
        wanted = stats.spearmanr(row, np.abs(found.importance[k].to_numpy().ravel())).statistic
        assert float(found.agreement[k, 2, 1]) == pytest.approx(wanted, abs=1e-9)
    with torch.no_grad():
        logits = network.module(network.prepare([shown.picture(0)]))[0]
    assert found.attrs["score"] == pytest.approx(float(logits.max()), abs=1e-5)
    assert found.importance.shape == (2, 8, 8)
    words = compute.compute(TEXT.replace(view="agreement"))
    assert words.importance.shape == (2, 1, 7)
    assert np.isnan(words.importance[:, 0, 0]).all()  # [CLS] is never taken out
    assert np.isfinite(words.agreement).all()
