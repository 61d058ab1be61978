from __future__ import annotations

import copy
import gc
import weakref

import captum.attr
import pytest
import torch
from attributed import bundled, explained, filled, target_of
from torch import nn

from dashboard import networks
from dashboard.errors import InputError
from dashboard.methods.attribution import METHODS, gradients
from dashboard.methods.attribution.base import Explained, Settings, Truncated

GRADIENT = [name for name, method in METHODS.items() if method.family == "gradient"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def relative(ours, theirs):
    theirs = theirs.double()
    return float((ours - theirs).abs().max() / theirs.abs().max())


def doubled(module, inputs):
    """The same in float64: in float32 another batch size rounds otherwise and flips ReLUs near zero."""
    return copy.deepcopy(module).double(), inputs.double()


def completeness(found):
    return abs(float(found.values.sum()) - found.total) / abs(found.total)


class Affine(nn.Module):
    """f(x) = w · x + 3, w = 0, 1, 2, …"""

    def forward(self, x):
        flat = x.flatten(1)
        return (flat * torch.arange(flat.shape[1], dtype=x.dtype)).sum(1, keepdim=True) + 3


def affine(n_baselines=2):
    torch.manual_seed(1)
    return Explained(Affine(), torch.randn(1, 2, 3), torch.randn(n_baselines, 2, 3), lambda out: out[:, 0])


def test_one_pass_is_what_captum_says_in_several():
    module, pictures = filled("resnet18")
    one = explained(module, pictures[:1])
    target = target_of(one)
    shared = gradients.shared_pass(one)
    saliency = METHODS["saliency"].run(one, Settings())
    product = METHODS["input-x-gradient"].run(one, Settings())
    x = pictures[:1].clone().requires_grad_()
    assert relative(saliency.values, captum.attr.Saliency(module).attribute(x, target)[0]) < 1e-6
    theirs = captum.attr.InputXGradient(module).attribute(x, target)[0].detach()
    assert relative(product.values, theirs) < 1e-6
    assert shared.layer == "layer4"
    layer = captum.attr.LayerGradientXActivation(module, module.layer4)
    theirs = layer.attribute(x, target).detach()
    assert relative(shared.layer_gradient.double() * shared.activation, theirs) < 1e-6
    assert not any(part._forward_hooks for part in module.modules())


def test_methods_share_one_forward_pass():
    module, pictures = bundled("objects_cnn")
    calls = []

    def score(outputs):
        calls.append(len(outputs))
        return outputs[:, 0]

    one = Explained(module, pictures[:1], pictures[1:], score)
    for name in ("saliency", "input-x-gradient"):
        assert METHODS[name].why_not(one, Settings()) == ""
        METHODS[name].run(one, Settings())
    gradients.shared_pass(one)
    assert calls == [1]


def test_what_is_remembered_goes_with_what_was_explained():
    module = nn.Linear(4, 2)
    one = Explained(module, torch.rand(1, 4), torch.zeros(1, 4), lambda out: out[:, 0].detach(), kind="table")
    assert METHODS["saliency"].why_not(one, Settings())
    here = weakref.ref(one)
    del one
    gc.collect()
    assert here() is None


@pytest.mark.parametrize("name", ["objects_cnn", "objects_vit"])
@pytest.mark.parametrize("baseline", ["black", "picture"])
def test_integrated_gradients_of_trained_networks(name, baseline):
    module, pictures = doubled(*bundled(name, 2))
    dark = torch.full_like(pictures[:1], float(pictures.min()))
    one = explained(module, pictures, dark if baseline == "black" else None)
    found = METHODS["integrated-gradients"].run(one, Settings(steps=50))
    theirs = captum.attr.IntegratedGradients(module).attribute(
        one.inputs, one.baselines, target=target_of(one), n_steps=50, method="riemann_middle"
    )
    plain = METHODS["integrated-gradients"].run(one, Settings(steps=50, tolerance=0))
    assert relative(plain.values, theirs[0]) < 1e-6
    assert completeness(found) < 0.005
    (steps,) = found.extra["steps"]
    theirs = captum.attr.IntegratedGradients(module).attribute(
        one.inputs, one.baselines, target=target_of(one), n_steps=steps, method="riemann_middle"
    )
    assert relative(found.values, theirs[0]) < 1e-6


def test_integrated_gradients_of_a_trained_squeezenet(data_folder):
    from safetensors.torch import load_file
    from torchvision.models import squeezenet1_0

    module = squeezenet1_0(weights=None).eval().requires_grad_(False)
    module.load_state_dict(load_file(data_folder / "weights" / "squeezenet1_0" / "model.safetensors"))
    torch.manual_seed(0)
    inputs = nn.functional.interpolate(torch.randn(1, 3, 12, 12), size=(64, 64), mode="bicubic")
    module, inputs = doubled(module, inputs)
    one = explained(module, inputs, torch.zeros_like(inputs))
    found = METHODS["integrated-gradients"].run(one, Settings(steps=50))
    assert completeness(found) < 0.005
    plain = METHODS["integrated-gradients"].run(one, Settings(steps=50, tolerance=0))
    theirs = captum.attr.IntegratedGradients(module).attribute(
        inputs, one.baselines, target=target_of(one), n_steps=50, method="riemann_middle"
    )
    assert relative(plain.values, theirs[0]) < 1e-6


@pytest.mark.parametrize("rule", ["midpoint", "trapezoid", "left", "right"])
def test_rules_are_those_of_captum(rule):
    module, pictures = doubled(*bundled("objects_cnn", 2))
    one = explained(module, pictures)
    found = gradients.integrated_gradients(one, Settings(steps=7, batch=3, tolerance=0), rule=rule)
    theirs = captum.attr.IntegratedGradients(module).attribute(
        one.inputs,
        one.baselines,
        target=target_of(one),
        n_steps=7,
        method="riemann_" + rule.replace("midpoint", "middle"),
    )
    assert relative(found.values, theirs[0]) < 1e-6


def test_steps_are_added_until_the_values_follow_the_score():
    torch.manual_seed(0)
    x = torch.rand(1, 3, dtype=torch.float64)
    one = Explained(
        nn.Identity(), x, torch.zeros_like(x), lambda out: (20 * out - 6).sigmoid().sum(1), kind="table"
    )
    rough = METHODS["integrated-gradients"].run(one, Settings(steps=2, tolerance=0))
    fine = METHODS["integrated-gradients"].run(one, Settings(steps=2, tolerance=1e-9))
    plain = METHODS["integrated-gradients"].run(one, Settings(steps=18, tolerance=0))
    assert rough.extra["steps"] == (2,)
    assert fine.extra["steps"] == (18,)
    assert torch.allclose(fine.values, plain.values, atol=1e-14)
    assert completeness(fine) < completeness(rough)
    assert "up to 18 were taken; from the worst baseline" in fine.notes[0]


def test_the_chunk_changes_only_rounding():
    module, pictures = bundled("objects_vit", 3)
    one = explained(module, pictures)
    maps = [
        gradients.integrated_gradients(one, Settings(steps=11, batch=n, tolerance=0)).values
        for n in (1, 4, 64)
    ]
    assert relative(maps[0], maps[1]) < 1e-5
    assert relative(maps[2], maps[1]) < 1e-5


def test_a_linear_network_has_its_weights_as_gradient():
    one = affine()
    weights = torch.arange(6.0).double().view(2, 3)
    way = one.inputs[0].double() - one.baselines.double().mean(0)
    assert torch.equal(METHODS["saliency"].run(one, Settings()).values, weights)
    for name in ("input-x-gradient", "integrated-gradients"):
        assert torch.allclose(METHODS[name].run(one, Settings()).values, weights * way, atol=1e-6)
    smooth = METHODS["smoothgrad"].run(one, Settings())
    assert torch.equal(smooth.values, weights)
    assert not smooth.standard_error.any()


def test_smoothgrad_of_a_square_has_the_known_error():
    torch.manual_seed(0)
    x = torch.randn(1, 4)
    one = Explained(nn.Identity(), x, torch.zeros_like(x), lambda out: out.square().sum(1), kind="table")
    found = METHODS["smoothgrad"].run(one, Settings(samples=4000, noise=0.2, batch=500))
    deviation = 0.2 * float(x.max() - x.min())
    assert found.standard_error.numpy() == pytest.approx(2 * deviation / 4000**0.5, rel=0.05)
    assert ((found.values - 2 * x[0].double()).abs() < 4.5 * found.standard_error).all()


def test_expected_gradients_estimate_integrated_gradients():
    module, pictures = bundled("objects_cnn", 4)
    one = explained(module, pictures)
    wanted = METHODS["integrated-gradients"].run(one, Settings(steps=64))
    found = METHODS["expected-gradients"].run(one, Settings(samples=400, batch=40))
    assert found.total == pytest.approx(wanted.total, abs=1e-9)
    away = (found.values - wanted.values).abs() / found.standard_error.clamp_min(1e-9)
    share = float((away < 2).double().mean())
    assert 0.92 < share < 0.99  # 95.4 % of a normal distribution lie within two standard errors


@pytest.mark.parametrize("name", ["smoothgrad", "expected-gradients"])
def test_samples_depend_on_the_seed_and_not_on_the_batch(name):
    module, pictures = bundled("objects_cnn", 3)
    one = explained(module, pictures)
    first = METHODS[name].run(one, Settings(samples=6, seed=1, batch=2))
    again = METHODS[name].run(one, Settings(samples=6, seed=1, batch=2))
    other = METHODS[name].run(one, Settings(samples=6, seed=2, batch=2))
    wider = METHODS[name].run(one, Settings(samples=6, seed=1, batch=5))
    assert torch.equal(first.values, again.values)
    assert torch.equal(first.standard_error, again.standard_error)
    assert not torch.equal(first.values, other.values)
    assert relative(wider.values, first.values) < 1e-4


def sentence(**more):
    network = networks.load("bundled:tiny_text")
    tokens = network.prepare(["the keys to the old cabinet"])
    blank = torch.where((tokens > 2), torch.ones_like(tokens), tokens)
    return network.module, explained(network.module, tokens, blank, target=1, kind="text", **more)


def test_text_is_explained_at_the_embedding():
    module, one = sentence(embedding="embedding")
    found = METHODS["integrated-gradients"].run(one, Settings(steps=50))
    assert found.values.shape == (28,)
    layer = captum.attr.LayerIntegratedGradients(module, module.embedding)
    theirs = layer.attribute(one.inputs, one.baselines, target=1, n_steps=50, method="riemann_middle")
    plain = METHODS["integrated-gradients"].run(one, Settings(steps=50, tolerance=0))
    assert relative(plain.values, theirs[0].sum(-1)) < 1e-6
    assert found.total == pytest.approx(one.levels()[0] - one.levels()[1], abs=1e-6)
    assert completeness(found) < 0.005
    for name in GRADIENT:
        assert METHODS[name].why_not(one, Settings()) == ""
        assert METHODS[name].run(one, Settings(samples=4, steps=4)).values.shape == (28,)


def test_text_without_an_embedding_is_refused():
    _, one = sentence()
    for name in GRADIENT:
        assert METHODS[name].why_not(one, Settings()).startswith("Token numbers cannot be scaled or averaged")
    _, one = sentence(embedding="embeding")
    assert "Did you mean embedding" in METHODS["saliency"].why_not(one, Settings())


@pytest.mark.parametrize("name", ["digits_lstm", "digits_gru", "digits_mlp"])
def test_recurrent_and_plain_networks(name):
    network = networks.load(f"bundled:{name}")
    torch.manual_seed(0)
    one = explained(network.module, torch.rand(1, *network.input_shape))
    found = METHODS["integrated-gradients"].run(one, Settings())
    assert completeness(found) < 0.005


class Steps(nn.Module):
    """A network that rounds."""

    def forward(self, x):
        return x.flatten(1).round().long().float()


class Detached(nn.Module):
    def forward(self, x):
        return x.detach().flatten(1)


class Overwriting(nn.Module):
    def forward(self, x):
        y = x.flatten(1).sigmoid()
        z = y.square()
        y.add_(1)
        return z + y


class Broken(nn.Module):
    def forward(self, x):
        return (x.flatten(1) - x.flatten(1)).sqrt()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Steps(), "No gradient reaches the input"),
        (Detached(), "No gradient reaches the input"),
        (Overwriting(), "overwrites values"),
        (Broken(), "values that are no numbers"),
    ],
)
def test_networks_without_a_gradient_are_refused_in_words(module, words):
    one = Explained(module, torch.rand(1, 4), torch.zeros(1, 4), lambda out: out[:, 0], kind="table")
    for name in GRADIENT:
        assert words in METHODS[name].why_not(one, Settings())
    with pytest.raises(InputError, match=words):
        METHODS["integrated-gradients"].run(one, Settings())


def test_quantised_networks_are_refused_in_words():
    float_network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    module = torch.ao.quantization.quantize_dynamic(float_network, {nn.Linear})
    one = Explained(module, torch.rand(1, 4), torch.zeros(1, 4), lambda out: out[:, 0], kind="table")
    assert "quantised" in METHODS["saliency"].why_not(one, Settings())


def test_a_network_that_begins_in_place_leaves_the_stimulus():
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)).requires_grad_(False)
    x = torch.tensor([[-1.0, 2.0, -3.0, 4.0]])
    one = Explained(module, x, torch.zeros(1, 4), lambda out: out[:, 0], kind="table")
    found = METHODS["saliency"].run(one, Settings()).values
    assert torch.allclose(found, (module[1].weight[0].abs() * (x[0] > 0)).double())


def test_a_gradient_of_zero_is_told():
    module = nn.Sequential(nn.Linear(4, 2), nn.ReLU()).requires_grad_(False)
    module[0].bias.fill_(-100)
    one = Explained(module, torch.rand(1, 4), torch.zeros(1, 4), lambda out: out[:, 0], kind="table")
    assert "zero everywhere" in METHODS["saliency"].run(one, Settings()).notes[0]


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("integrated-gradients", Settings(steps=1), "1 steps"),
        ("smoothgrad", Settings(samples=1), "1 samples"),
        ("expected-gradients", Settings(samples=1), "1 samples"),
    ],
)
def test_too_few_steps_or_samples(name, settings, words):
    with pytest.raises(InputError, match=words):
        METHODS[name].run(affine(), settings)


def test_why_a_unit_fires():
    module, pictures = bundled("objects_cnn", 2)
    inside = Truncated(module, "block3.relu1")
    with torch.no_grad():
        whole = []
        handle = module.block3.relu1.register_forward_hook(lambda _m, _i, out: whole.append(out))
        module(pictures)
        handle.remove()
        assert torch.equal(inside(pictures), whole[0])
        unit = int((whole[0][0] - whole[0][1]).mean((1, 2)).abs().argmax())
    one = Explained(inside, pictures[:1], pictures[1:], lambda out: out[:, unit].mean((1, 2)))
    found = METHODS["integrated-gradients"].run(one, Settings())
    assert completeness(found) < 0.005
    assert not any(part._forward_hooks for part in module.modules())
    with pytest.raises(InputError, match="Did you mean block3"):
        Truncated(module, "block33")


def test_progress_is_told():
    told = []
    METHODS["integrated-gradients"].run(affine(), Settings(steps=5, batch=2), told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) >= 6
    told.clear()
    METHODS["smoothgrad"].run(affine(), Settings(samples=5, batch=2), told.append)
    assert told == pytest.approx([0.4, 0.8, 1.0])


@pytest.mark.parametrize(
    ("name", "side", "layer", "grid", "prefix"),
    [
        ("squeezenet1_0", 64, "classifier.1", (3, 3), 0),
        ("swin_t", 64, "features", (2, 2), 0),
        ("vit_b_16", 224, "encoder.layers.encoder_layer_11.ln_1", (14, 14), 1),
    ],
)
def test_default_layers(name, side, layer, grid, prefix):
    module, pictures = filled(name, side) if side == 64 else (None, None)
    if module is None:
        from torchvision.models import VisionTransformer

        torch.manual_seed(0)
        module = VisionTransformer(224, 16, 12, 2, 16, 32).eval().requires_grad_(False)
        nn.init.normal_(module.heads.head.weight)
        pictures = torch.randn(1, 3, 224, 224)
    shared = gradients.shared_pass(explained(module, pictures[:1]))
    assert (shared.layer, shared.grid, shared.prefix) == (layer, grid, prefix)
