"""Networks, stimuli and scores that the tests of attribution share."""

from __future__ import annotations

import hashlib

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from dashboard import networks
from dashboard.methods.attribution.base import Explained
from dashboard.stimuli.objects import Objects


def filled(name: str, side: int = 64) -> tuple[nn.Module, torch.Tensor]:
    """A torchvision network with random weights and filled batch-norm statistics, and 6 smooth pictures."""
    torch.manual_seed(0)
    network = getattr(torchvision.models, name)(weights=None)
    if isinstance(network, torchvision.models.VisionTransformer):
        nn.init.normal_(network.heads.head.weight, std=0.05)  # untrained it is zero, and so is every map
    pictures = F.interpolate(torch.randn(6, 3, 8, 8), size=(side, side), mode="bicubic")
    with torch.no_grad():
        network.train()(pictures)
    return network.eval().requires_grad_(False), pictures


def bundled(name: str, n: int = 3) -> tuple[nn.Module, torch.Tensor]:
    """A trained network that sees Objects, and preprocessed pictures of them."""
    network = networks.load(f"bundled:{name}")
    return network.module, network.prepare(list(Objects(n, 3).pictures()))


def explained(
    module: nn.Module,
    inputs: torch.Tensor,
    baselines: torch.Tensor | None = None,
    target: int | None = None,
    **more,
) -> Explained:
    """Explain the logit of a class of the first stimulus (the top one by default) against the others."""
    if baselines is None:
        baselines = inputs[1:] if len(inputs) > 1 else torch.zeros_like(inputs)
    if target is None:
        with torch.no_grad():
            target = int(module(inputs[:1]).argmax())
    return Explained(module, inputs[:1], baselines, lambda outputs: outputs[:, target], **more)


def target_of(one: Explained) -> int:
    """The class that `explained` chose, read back through its score."""
    with torch.no_grad():
        n = one.module(one.inputs).shape[1]
    return int(one.score(torch.arange(n, dtype=torch.float64)[None]))


def state(module: nn.Module, inputs: torch.Tensor) -> tuple[str, int, int]:
    """Digest of weights and outputs, number of state entries, number of hooks."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    with torch.no_grad():
        digest.update(module(inputs).numpy().tobytes())
    hooks = sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
        for part in module.modules()
    )
    return digest.hexdigest(), len(module.state_dict()), hooks
