"""Five gradient maps of one picture beside five stock captum calls, and what a thousand attributions leave.

``python -m benchmarks.attribution`` prints ratios of processor times, taken in turns in one process; the
completeness of DeepSHAP at 224 pixels; and digest, outputs and memory of a trained network after many
attributions. Wanted: at least 2.5 times as fast, relative errors at most 1e-5, the same digest and outputs,
memory back within 5 %.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WANTED_RATIO, WANTED_ERROR, WANTED_MEMORY = 2.5, 1e-5, 0.05
PARTS = ("five-maps", "many", "deepshap")
NETWORKS = ("resnet18", "vgg11", "alexnet", "squeezenet1_0", "densenet121")


def filled(name: str, side: int) -> tuple[Any, Any]:
    """Return a torchvision network with random weights and filled batch-norm statistics, and 4 pictures."""
    import torch
    import torchvision

    torch.manual_seed(0)
    module = getattr(torchvision.models, name)(weights=None)
    pictures = torch.nn.functional.interpolate(torch.randn(4, 3, 14, 14), size=(side, side), mode="bicubic")
    with torch.no_grad():
        module.train()(pictures)
    return module.eval(), pictures


def timed(run: Callable[[], object]) -> float:
    """Return the processor seconds of one run: what other programs take meanwhile does not count."""
    start = time.process_time()
    run()
    return time.process_time() - start


def five_maps(side: int, repeats: int) -> dict[str, Any]:
    """Time five maps of ResNet-18 both ways, in turns, and compare their numbers."""
    from captum import attr

    from dashboard.methods.attribution import METHODS, gradients
    from dashboard.methods.attribution.base import Explained, Settings

    module, pictures = filled("resnet18", side)
    x, black = pictures[:1], pictures[:1] * 0
    target = int(module(x).argmax())
    stock = {
        "saliency": attr.Saliency(module),
        "input × gradient": attr.InputXGradient(module),
        "Grad-CAM": attr.LayerGradCam(module, module.layer4),
        "activation": attr.LayerActivation(module, module.layer4),
        "gradient × activation": attr.LayerGradientXActivation(module, module.layer4),
    }
    found: dict[str, dict[str, Any]] = {"ours": {}, "captum": {}}

    def captum() -> None:
        for name, peer in stock.items():
            more = {"relu_attributions": True} if name == "Grad-CAM" else {}
            given = {} if name == "activation" else {"target": target}
            found["captum"][name] = peer.attribute(x.clone().requires_grad_(), **given, **more)

    def ours() -> None:
        one = Explained(module, x, black, lambda out: out[:, target])
        shared = gradients.shared_pass(one)
        found["ours"] = {
            "saliency": METHODS["saliency"].run(one, Settings()).values,
            "input × gradient": METHODS["input-x-gradient"].run(one, Settings()).values,
            "Grad-CAM": METHODS["grad-cam"].run(one, Settings()).extra["grad_cam"],
            "activation": shared.activation,
            "gradient × activation": shared.activation * shared.layer_gradient,
        }

    captum()
    ours()
    pairs = [(timed(captum), timed(ours)) for _ in range(repeats)]
    slow, fast = (min(column) for column in zip(*pairs, strict=True))
    differences = {
        name: float((found["ours"][name] - theirs.detach()[0]).abs().max() / theirs.detach().abs().max())
        for name, theirs in found["captum"].items()
    }
    return {
        "captum_s": slow,
        "ours_s": fast,
        "ratio": slow / fast,
        "ratio_median_of_pairs": statistics.median(a / b for a, b in pairs),
        "largest_relative_difference": max(differences.values()),
    }


def completeness(side: int, names: Sequence[str] = NETWORKS) -> dict[str, float]:
    """Return DeepSHAP's relative completeness error for each network, against 3 backgrounds.

    Their weights are random (seed 0), their batch-norm statistics filled: what is tested is the sum alone.
    """
    import torch

    from dashboard.methods.attribution import METHODS
    from dashboard.methods.attribution.base import Explained, Settings

    errors = {}
    for name in names:
        module, pictures = filled(name, side)
        with torch.no_grad():  # of random weights most scores hardly change
            target = int((module(pictures[:1])[0] - module(pictures[1:]).mean(0)).abs().argmax())
        one = Explained(module, pictures[:1], pictures[1:], lambda out, k=target: out[:, k])
        found = METHODS["deepshap"].run(one, Settings())
        errors[name] = abs(float(found.values.sum()) - found.total) / abs(found.total)
    return errors


def digest(module: Any, inputs: Any) -> str:
    """Return a digest of everything a network holds and of what it answers."""
    import torch

    told = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        told.update(name.encode() + tensor.numpy().tobytes())
    with torch.no_grad():
        told.update(module(inputs).numpy().tobytes())
    return told.hexdigest()


def resident() -> float:
    """Return the memory of this process in MB (Linux with glibc), freed pages given back first.

    Without that, pages that the allocator keeps for later count too: some 20 MB, however many attributions.
    """
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def many(calls: int) -> dict[str, Any]:
    """Attribute again and again with every method that works here; return what is left of it."""
    from dashboard import networks
    from dashboard.methods.attribution import METHODS
    from dashboard.methods.attribution.base import Explained, Settings
    from dashboard.methods.attribution.segments import grid
    from dashboard.stimuli.objects import Objects

    network = networks.load("bundled:objects_cnn")
    inputs = network.prepare(list(Objects(8, 3).pictures()))
    settings = Settings(steps=10, samples=20, tolerance=0, segments=grid(64, 64, 3, 3))
    before = digest(network.module, inputs)
    first = Explained(network.module, inputs[:1], inputs[6:], lambda out: out[:, 0])
    kinds = [name for name, method in METHODS.items() if not method.why_not(first, settings)]
    at_first = 0.0
    for call in range(calls + 2 * len(kinds)):
        if call == 2 * len(kinds):  # libraries are imported and buffers allocated by now
            at_first = resident()
        i = call % 6
        one = Explained(network.module, inputs[i : i + 1], inputs[6:], lambda out, k=i: out[:, k])
        METHODS[kinds[call % len(kinds)]].run(one, settings)
    hooks = sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
        for part in network.module.modules()
    )
    return {
        "calls": calls,
        "methods": kinds,
        "same_digest_and_outputs": digest(network.module, inputs) == before,
        "hooks_left": hooks,
        "MB_before": at_first,
        "MB_after": resident(),
    }


def shown(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Print a part of the answer as soon as it is known."""
    sys.stdout.write(json.dumps({name: found}, indent=1) + "\n")
    sys.stdout.flush()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attribution", description=__doc__)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    met = {}
    if "five-maps" in options.parts:
        maps = shown("five_maps", five_maps(options.side, options.repeats))
        met["ratio"] = maps["ratio"] >= WANTED_RATIO
    if "many" in options.parts:
        left = shown("many", many(options.calls))
        met["network_as_before"] = left["same_digest_and_outputs"] and left["hooks_left"] == 0
        met["memory"] = left["MB_after"] / left["MB_before"] - 1 <= WANTED_MEMORY
    if "deepshap" in options.parts:
        errors = shown("deepshap_relative_error", completeness(options.side, options.networks))
        met["completeness"] = max(errors.values()) <= WANTED_ERROR
    shown("met", met)
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
