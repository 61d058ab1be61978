"""Heads taken out, heads as layers, and derivatives of a score by every map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attention_networks import closest, pictures, sharpen, wrapped

from dashboard import compute, networks
from dashboard.errors import InputError
from dashboard.methods import attention as numbers
from dashboard.networks import attention, attention_edit, attention_heads, capture
from dashboard.networks.attention import Keep
from dashboard.specs import BrainSpec, RdmSpec

CPU = torch.device("cpu")
RECORDING = "simulated-v1?subjects=3&cells=40&repeats=2&stimuli=neuromatch-gratings?n=24"


@pytest.fixture(autouse=True)
def tidy():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    networks._loaded.clear()


def vit():
    from torchvision.models import VisionTransformer

    return wrapped(VisionTransformer(32, 8, 2, 3, 24, 32, num_classes=5).train(), (3, 32, 32))


# Relevance -----------------------------------------------------------------------------------------------


def by_hand(module, x, score):
    """Return logits, and maps with gradients, of the bundled ViT written out with explicit softmaxes."""
    patches = module.stem(x).flatten(2).transpose(1, 2)
    flow = torch.cat([module.cls_token.expand(len(x), -1, -1), patches], dim=1) + module.position
    flow = flow.requires_grad_()
    maps = []
    for block in module.blocks:
        part = block.attention
        n, t, width = flow.shape
        packed = part.qkv(block.norm1(flow)).view(n, t, 3, part.heads, width // part.heads)
        q, k, v = packed.permute(2, 0, 3, 1, 4)
        maps.append((q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1))
        flow = flow + part.project((maps[-1] @ v).transpose(1, 2).reshape(n, t, width))
        flow = flow + block.contract(block.gelu(block.expand(block.norm2(flow))))
    logits = module.head(module.norm(flow[:, 0]))
    return logits, maps, torch.autograd.grad(score(logits).sum(), maps)


def test_relevance_against_explicit_softmax_and_autograd():
    network = networks.load("bundled:objects_vit")
    batch = pictures(2, 3, 64, 64)
    score = attention_edit.class_score([3, 7])
    records, output = attention_edit.gradients(network, batch, score, where=CPU)
    logits, maps, slopes = by_hand(network.module, batch, score)
    torch.testing.assert_close(output, logits.detach(), atol=1e-6, rtol=1e-6)
    assert closest(records, [m.detach() for m in maps]) <= 1e-6
    total = torch.eye(65, dtype=torch.float64).expand(2, 65, 65)
    for m, slope in zip(maps, slopes, strict=True):
        total = total + (slope.double() * m.detach().double()).clamp(min=0).mean(1) @ total
    found = numbers.relevance([r.weights for r in records], [r.gradient for r in records])
    assert float(total[:, 0, 1:].max()) > 1e-3
    np.testing.assert_allclose(found, total.numpy(), atol=1e-6)


@pytest.mark.parametrize("family", ["torchvision", "eager", "swin"])
def test_gradients_predict_what_a_small_change_of_a_map_does(family):
    """In double precision: the derivative along a direction against the change of the score."""
    if family == "swin":
        from torchvision.models.swin_transformer import SwinTransformer

        network = wrapped(SwinTransformer([4, 4], 12, [2], [2], [4, 4], num_classes=5).double(), (3, 32, 32))
    elif family == "eager":
        import timm

        module = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, num_classes=5)
        for block in module.blocks:
            block.attn.fused_attn = False
        network = wrapped(module.double(), (3, 32, 32))
    else:
        network = vit()
        network.module.double()
    batch = pictures(1, 3, 32, 32).double()
    score = attention_edit.class_score(2)
    # The survey's stimulus is float32.
    attention._surveys[network] = attention._watched(capture.private(network.module, CPU), batch)
    records, _ = attention_edit.gradients(network, batch, score, where=CPU)
    assert len(records) == 2
    for record in records:
        direction = pictures(*record.weights.shape, seed=1).double()
        step = 1e-4

        def moved(sign, layer=record.layer, by=direction * step):
            with attention_edit.editing(
                network, lambda name, weights: weights + sign * by if name == layer else weights, CPU
            ) as run:
                return float(score(run(batch)))

        slope = (moved(1) - moved(-1)) / (2 * step)
        assert slope == pytest.approx(float((torch.from_numpy(record.gradient) * direction).sum()), rel=1e-3)


# Taking heads out ----------------------------------------------------------------------------------------


def zeroing(projection, width, head):
    """Zero a head's slice of what an output projection is given."""

    def cut(_part, given):
        x = given[0].clone()
        x[..., head * width : (head + 1) * width] = 0
        return (x, *given[1:])

    return projection.register_forward_pre_hook(cut)


@pytest.mark.parametrize("family", ["bundled:objects_vit", "bundled:tiny_text", "timm", "swin"])
def test_ablation_against_zeroing_the_slice(family):
    width = 16
    if family.startswith("bundled:"):
        network = networks.load(family)
        projections = [block.attention.project for block in network.module.blocks]
        if network.text is None:
            batch = pictures(3, 3, 64, 64)
        else:
            batch = network.prepare(["the key to the cabinets", "the dogs", "every child near the bus often"])
    elif family == "timm":
        import timm

        module = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, num_classes=5)
        network, batch, width = wrapped(module, (3, 32, 32)), pictures(3, 3, 32, 32), 64
        projections = [block.attn.proj for block in module.blocks]
    else:
        from transformers import SwinConfig, SwinForImageClassification

        from dashboard.networks.hf_models import Plain

        config = SwinConfig(
            image_size=32, patch_size=4, embed_dim=8, depths=[2], num_heads=[2], window_size=4, num_labels=3
        )
        inner = SwinForImageClassification(config)
        sharpen(inner, 10, "weight")
        network, batch, width = wrapped(Plain(inner, "image"), (3, 32, 32)), pictures(3, 3, 32, 32), 4
        ends = ("attention.output.dense", "attention.o_proj")
        projections = [part for name, part in inner.named_modules() if name.endswith(ends)]
    score = attention_edit.class_score([0, 1, 0])
    found = attention_edit.ablations(network, batch, score, where=CPU)
    assert len(found.layers) == len(projections)
    with torch.no_grad():
        baseline = score(network.module(batch)).numpy()
        np.testing.assert_allclose(found.baseline, baseline, atol=1e-6)
        for place, projection in enumerate(projections):
            for head in range(found.heads[place]):
                handle = zeroing(projection, width, head)
                change = score(network.module(batch)).numpy() - baseline
                handle.remove()
                np.testing.assert_allclose(found.change[:, place, head], change, atol=1e-5)
    assert np.abs(found.change).max() > 1e-4


def test_ablation_in_multi_head_attention_and_by_editing_the_map():
    """No weight on any key is the same as a slice of zeros."""
    network, batch = vit(), pictures(2, 3, 32, 32)
    torch.nn.init.normal_(network.module.heads[-1].weight)  # it starts at zero
    score = attention_edit.class_score(1)
    found = attention_edit.ablations(network, batch, score, where=CPU)
    for place, layer in enumerate(found.layers):

        def without(name, weights, layer=layer):
            return weights * torch.tensor([1.0, 0.0, 1.0])[:, None, None] if name == layer else weights

        with attention_edit.editing(network, without, CPU) as run, torch.no_grad():
            change = score(run(batch)).numpy() - found.baseline
        np.testing.assert_allclose(found.change[:, place, 1], change, atol=1e-5)
    assert np.abs(found.change).max() > 1e-4


def test_ablating_a_network_without_attention_is_refused():
    with pytest.raises(InputError, match="has no attention"):
        attention_edit.ablations(
            networks.load("bundled:objects_cnn"), pictures(1, 3, 64, 64), attention_edit.class_score(0)
        )


# Heads as layers -----------------------------------------------------------------------------------------


def test_heads_are_what_the_projection_is_given():
    network = networks.load("bundled:objects_vit")
    batch = pictures(3, 3, 64, 64)
    kept = []
    part = network.module.blocks[2].attention.project
    handle = part.register_forward_pre_hook(lambda _m, given: kept.append(given[0].clone()))
    with torch.no_grad():
        network.module(batch)
    handle.remove()
    layers = networks.chosen(network, ["blocks.2.attention", "blocks.2.attention#head*"])
    names = [f"blocks.2.attention#head{h}" for h in range(4)]
    assert [layer.name for layer in layers] == [*names, "blocks.2.attention"]
    whole = next(networks.activations(network, [batch], layers))
    first = next(networks.activations(network, [batch], layers, "cls"))
    mean = next(networks.activations(network, [batch], layers, "spatial-mean"))
    for head, name in enumerate(names):
        expected = kept[0][..., head * 16 : (head + 1) * 16]
        np.testing.assert_allclose(whole[name], expected.flatten(1), atol=1e-6)
        np.testing.assert_allclose(first[name], expected[:, 0], atol=1e-6)
        np.testing.assert_allclose(mean[name], expected.mean(1), atol=1e-6)
        assert networks.chosen(network, [name])[0].units == 65 * 16


def test_heads_of_texts_are_averaged_over_their_words():
    network = networks.load("bundled:tiny_text")
    texts = ["the keys to the old cabinet", "a dog"]
    layers = networks.chosen(network, ["blocks.1.attention#head3"])
    together = next(networks.activations(network, [network.prepare(texts)], layers, "spatial-mean"))
    short = network.prepare(texts)[1:, :3]
    alone = next(networks.activations(network, [short], layers, "spatial-mean"))
    np.testing.assert_allclose(together[layers[0].name][1], alone[layers[0].name][0], atol=1e-6)


def test_windowed_heads_keep_every_window():
    from torchvision.models.swin_transformer import SwinTransformer

    network = wrapped(SwinTransformer([4, 4], 12, [2], [3], [4, 4], num_classes=5), (3, 32, 32))
    layers = networks.chosen(network, ["features.1.1.attn#head2"])
    assert layers[0].shape == (4, 16, 4)
    rows = next(networks.activations(network, [pictures(2, 3, 32, 32)], layers))
    with attention.reading(network, Keep(vectors=True), CPU) as read:
        record = read(pictures(2, 3, 32, 32))[0][1]
    expected = (record.weights[:, 2] @ record.value[:, 2]).reshape(2, -1)
    np.testing.assert_allclose(rows[layers[0].name], expected, atol=1e-5)


def test_the_default_selection_and_all_hold_no_heads():
    network = networks.load("bundled:objects_vit")
    for patterns in ((), ("all",), ("leaves",), ("blocks.1*",)):
        assert networks.chosen(network, patterns) == networks.select(network.layers, patterns)
        assert not any("#" in layer.name for layer in networks.chosen(network, patterns))
    every = networks.chosen(network, ["heads"])
    assert every == attention_heads.heads(network)
    assert len(every) == 16
    assert attention_heads.split(every[5].name) == ("blocks.1.attention", 1)
    assert attention_heads.split("blocks.1.attention") is None


def test_wrong_heads_are_refused():
    network = networks.load("bundled:objects_vit")
    with pytest.raises(InputError, match=r'no head "blocks\.1\.attention#head4".*blocks\.1\.attention#head'):
        networks.chosen(network, ["blocks.1.attention#head4"])
    with pytest.raises(InputError, match="has no attention"):
        networks.chosen(networks.load("bundled:tilt_cnn"), ["heads"])


def test_heads_go_through_the_front_door():
    names = ("blocks.0.attention#head1", "blocks.3.attention#head*", "blocks.3")
    answer = compute.compute(
        RdmSpec(network="bundled:objects_vit", stimuli="objects?n=12", layers=names, reducer="cls")
    )
    heads = [f"blocks.3.attention#head{h}" for h in range(4)]
    assert [str(n) for n in answer["layer"].values] == ["blocks.0.attention#head1", *heads, "blocks.3"]
    brain = compute.compute(
        BrainSpec(
            network="bundled:objects_vit",
            recording=RECORDING,
            layers=("heads",),
            reducer="cls",
            bootstrap=50,
        )
    )
    assert brain.sizes["layer"] == 16
