from __future__ import annotations

import captum.attr
import pytest
import torch
from attributed import bundled, explained, filled, state, target_of
from torch import nn
from torch.nn import functional as F

from dashboard import networks
from dashboard.errors import InputError
from dashboard.methods.attribution import METHODS
from dashboard.methods.attribution.base import Explained, Settings
from dashboard.stimuli.objects import Objects


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def close(ours, theirs, tolerance=1e-6):
    theirs = theirs.detach().double()
    return float((ours - theirs).abs().max() / theirs.abs().max()) < tolerance


@pytest.mark.parametrize(
    ("name", "layer"), [("resnet18", ""), ("resnet18", "layer3"), ("vgg11", "features.18")]
)
def test_grad_cam_is_captums(name, layer):
    module, pictures = filled(name)
    one = explained(module, pictures[:1])
    found = METHODS["grad-cam"].run(one, Settings(layer=layer))
    at = dict(module.named_modules())[layer or "layer4"]
    peer = captum.attr.LayerGradCam(module, at)
    theirs = peer.attribute(one.inputs.clone().requires_grad_(), target_of(one), relu_attributions=True)
    assert close(found.extra["grad_cam"], theirs[0, 0])
    assert found.extra["layer"] == (layer or "layer4")
    assert found.values.shape == (64, 64)
    assert (found.values >= 0).all()


def test_a_global_mean_needs_no_other_map_and_all_else_does():
    module, pictures = filled("resnet18", 96)
    one = explained(module, pictures[:1])
    last, earlier = (METHODS["grad-cam"].run(one, Settings(layer=name)) for name in ("", "layer3"))
    assert last.extra["variant"] == "Grad-CAM"
    assert last.notes == ()
    assert earlier.extra["variant"] == "HiResCAM"
    assert "Draelos & Carin 2020" in earlier.notes[0]


class TwoPlaces(nn.Module):
    """Its score reads one channel on the left and subtracts it on the right: the mean gradient is zero."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.conv.weight)

    def forward(self, x):
        left, right = self.conv(x).chunk(2, dim=3)
        return (left.sum((2, 3)) - right.sum((2, 3))).expand(-1, 2)


def test_places_are_kept_apart_where_the_mean_gradient_would_hide_them():
    one = explained(TwoPlaces(), torch.ones(1, 1, 4, 4), target=0)
    found = METHODS["grad-cam"].run(one, Settings())
    assert not found.extra["grad_cam"].any()
    assert found.extra["raw"].tolist() == [[1, 1, 0, 0]] * 4


def test_tokens_go_back_to_their_places():
    network = networks.load("bundled:objects_vit")
    objects = Objects(8, 5)
    inputs, masks = network.prepare(list(objects.pictures())), torch.from_numpy(objects.masks())
    inside = {"raw": 0.0, "grad_cam": 0.0}
    for picture, mask in zip(inputs, masks, strict=True):
        one = explained(network.module, picture[None], grid=(8, 8), prefix=1)
        found = METHODS["grad-cam"].run(one, Settings())
        assert found.extra["layer"] == "blocks.3.norm1"
        for name in inside:
            cam = F.interpolate(found.extra[name][None, None], size=(64, 64), mode="bilinear")[0, 0]
            inside[name] += float((cam * mask).sum() / cam.sum().clamp_min(1e-12)) / len(inputs)
    # By chance it is the share of the picture that objects cover; plain Grad-CAM does no better on tokens.
    assert inside["raw"] > 2 * float(masks.double().mean())
    assert inside["raw"] > inside["grad_cam"]


@pytest.mark.parametrize("more", [{"grid": (8, 8), "prefix": 1}, {}])
def test_tokens_of_a_named_layer(more):
    module, pictures = bundled("objects_vit", 1)
    one = explained(module, pictures, **more)
    assert METHODS["grad-cam"].run(one, Settings(layer="blocks.1.norm2")).extra["raw"].shape == (8, 8)
    for layer in ("norm", "blocks.3.norm2"):
        assert (
            METHODS["grad-cam"]
            .why_not(one, Settings(layer=layer))
            .startswith(
                "After this layer only the class token"
                if layer != "norm"
                else "The output of this layer is not"
            )
        )
    assert "Did you mean" in METHODS["grad-cam"].why_not(one, Settings(layer="block.1"))


def test_channels_last_layers():
    module, pictures = filled("swin_t")
    module, pictures = module.double(), pictures.double()  # a norm follows: what it adds up nearly cancels
    one = explained(module, pictures[:1])
    found = METHODS["grad-cam"].run(one, Settings())
    seen = []
    handle = module.features.register_forward_hook(lambda _m, _i, out: seen.append(out))
    x = pictures[:1].clone().requires_grad_()
    out = one.scores(x)
    handle.remove()
    (slope,) = torch.autograd.grad(out.sum(), seen[0])
    wanted = (slope[0] * seen[0][0]).sum(-1).clamp_min(0)
    assert found.extra["raw"].shape == (2, 2)
    assert close(found.extra["raw"], wanted)


def test_a_network_that_answers_with_a_map():
    network = networks.load("bundled:objects_unet")
    inputs = network.prepare(list(Objects(1, 5).pictures()))
    one = Explained(network.module, inputs, torch.zeros_like(inputs), lambda out: out.flatten(1).mean(1))
    found = METHODS["grad-cam"].run(one, Settings())
    assert found.extra["raw"].shape[0] < 64  # not the answer itself
    assert found.extra["raw"].any()


@pytest.mark.parametrize("name", ["digits_mlp", "digits_lstm"])
def test_networks_without_places_are_refused(name):
    network = networks.load(f"bundled:{name}")
    one = explained(network.module, torch.rand(1, *network.input_shape))
    for method in ("grad-cam", "guided-grad-cam"):
        assert (
            METHODS[method].why_not(one, Settings()).startswith("No layer of this network keeps the places")
        )
        with pytest.raises(InputError):
            METHODS[method].run(one, Settings())


def test_a_map_of_nothing_is_told():
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1)).requires_grad_(
        False
    )
    module[3].weight.fill_(-1)
    module[0].bias.fill_(1)
    found = METHODS["grad-cam"].run(explained(module, torch.rand(1, 1, 4, 4), target=0), Settings(layer="1"))
    assert not found.values.any()
    assert "zero everywhere" in found.notes[-1]


# --- guided ----------------------------------------------------------------------------------------


class Functional(nn.Module):
    """The same ReLUs as modules, as functions, as methods and in place."""

    def __init__(self, how):
        super().__init__()
        torch.manual_seed(2)
        self.how = how
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)
        self.relu = nn.ReLU(inplace=how == "in place")

    def forward(self, x):
        x = self.first(x.flatten(1))
        if self.how in ("module", "in place"):
            x = self.relu(x)
        elif self.how == "function":
            x = F.relu(x)
        elif self.how == "torch":
            x = torch.relu(x)
        else:
            x.relu_()
        return self.second(x)


def test_guided_backpropagation_is_captums():
    module, pictures = filled("resnet18")
    one = explained(module, pictures[:1])
    found = METHODS["guided-backprop"].run(one, Settings())
    theirs = captum.attr.GuidedBackprop(module).attribute(one.inputs.clone().requires_grad_(), target_of(one))
    assert close(found.values, theirs[0], 1e-5)
    cam = METHODS["grad-cam"].run(one, Settings())
    both = METHODS["guided-grad-cam"].run(one, Settings())
    assert torch.equal(both.values, found.values * cam.values)
    assert "whatever the class" in both.notes[0]


@pytest.mark.parametrize("how", ["module", "in place", "function", "torch", "method"])
def test_every_way_of_calling_relu_is_guided(how):
    module = Functional(how).requires_grad_(False)
    x = torch.randn(1, 6)
    one = Explained(module, x, torch.zeros_like(x), lambda out: out[:, 1], kind="table")
    on = (module.first(x) > 0)[0]
    wanted = (module.second.weight[1].clamp_min(0) * on) @ module.first.weight
    assert close(METHODS["guided-backprop"].run(one, Settings()).values, wanted)


def test_relu6_is_guided_too():
    module, pictures = filled("mobilenet_v2")
    assert METHODS["guided-backprop"].why_not(explained(module, pictures[:1]), Settings()) == ""


@pytest.mark.parametrize("name", ["convnext_tiny", "swin_t"])
def test_guided_backpropagation_without_relu_is_refused(name):
    module, pictures = filled(name)
    words = METHODS["guided-backprop"].why_not(explained(module, pictures[:1]), Settings())
    assert words.startswith("Guided backpropagation only changes ReLUs")


def test_guided_backpropagation_of_a_transformer_with_relus_in_its_stem_is_refused():
    module, pictures = bundled("objects_vit", 1)
    words = METHODS["guided-backprop"].why_not(explained(module, pictures), Settings())
    assert "the blocks of a transformer have none" in words


def test_nothing_is_left_on_the_network():
    module, pictures = bundled("objects_cnn", 2)
    before = state(module, pictures)
    one = explained(module, pictures)
    for name in ("grad-cam", "guided-backprop", "guided-grad-cam"):
        METHODS[name].run(one, Settings())
    assert state(module, pictures) == before
