"""Networks of timm: ``timm:NAME[.TAG][?weights=PATH][&classes=N]``.

Without ``weights`` the published ones are meant, those of the tag or of timm's default tag. Names are read
from the source files of the installed timm, so that asking for them imports no torch; a test compares them.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dashboard.errors import InputError, unknown
from dashboard.networks import files, hub, zoo
from dashboard.networks.network import Entry, Opened
from dashboard.reference import Reference

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

PREPROCESSING_VERSION = 1
"""Raised when preprocessing changes, so that stored answers are not mistaken."""

SHORT_LIST = (
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "deit_small_patch16_224",
    "vit_small_patch14_dinov2",
    "swin_tiny_patch4_window7_224",
    "convnext_tiny",
    "resnet18",
    "resnet50",
    "efficientnet_b0",
    "mobilenetv3_small_100",
    "mixer_b16_224",
)
"""What lists of choices offer; every other name of timm can be typed."""

_DEFINED = re.compile(r"^@register_model\s*\n(?:@.*\n)*def (\w+)", re.MULTILINE)
_TAG = re.compile(r"\w+(\.\w+)*")


# --- without torch ---------------------------------------------------------------------------------


@cache
def builders() -> tuple[str, ...]:
    """Return the names of all networks of the installed timm, without importing it."""
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        return ()
    files_of_timm = sorted((Path(spec.origin).parent / "models").glob("*.py"))
    texts = (file.read_text(encoding="utf-8") for file in files_of_timm)
    return tuple(sorted({name for text in texts for name in _DEFINED.findall(text)}))


def entries() -> Iterable[Entry]:
    """Return a dozen well-known networks, before each the weight file found for it."""
    for name in SHORT_LIST:
        if name not in builders():
            continue
        relative = f"timm/{name}/{zoo.WEIGHT_FILE}"
        if zoo.found(relative):
            title = f"{name} of timm (weights from a file)"
            yield Entry(f"timm:{name}?weights={relative}", title, "timm", "file")
        yield Entry(f"timm:{name}", f"{name} of timm (published weights)", "timm", "download")


def facts(ref: Reference) -> dict[str, Any]:
    """Return what answers about a network of timm depend on."""
    name = _known(ref)
    labels = zoo.labels_file(ref)
    return {
        "name": name,
        "timm": version("timm"),
        "torchvision": version("torchvision"),  # its transforms prepare the pictures
        "torch": version("torch"),
        "preprocessing": PREPROCESSING_VERSION,
        "weights": zoo.weights_fact(ref),
        "labels": files.sha256(labels) if labels else None,
        "classes": zoo.classes(ref),
    }


def _known(ref: Reference) -> str:
    """Return name and tag of a reference; whether timm has the tag is seen when the network is opened."""
    name, dot, tag = ref.rest.partition(".")
    if name not in builders():
        raise unknown("timm network", name, builders())
    if dot and not _TAG.fullmatch(tag):
        message = f'"{tag}" is not a tag of {name}.'
        raise InputError(message, f"Write timm:{name}, or timm:{name}.TAG as timm names its weights.")
    if "weights" in ref.options and not files.names_file(ref):
        message = f'"{ref.options["weights"]}" is not a weight file.'
        raise InputError(
            message, f"Write timm:{name}?weights=PATH, or timm:{name}.TAG for published weights."
        )
    return ref.rest


# --- with torch ------------------------------------------------------------------------------------


def open_network(ref: Reference) -> Opened:
    """Build a network of timm with the weights that the reference means."""
    from timm.data import create_transform, resolve_model_data_config

    name = _known(ref)
    build = _builder(name, zoo.classes(ref))
    if "untrained" in ref.options:
        module, told = build(), f"Untrained: random weights from seed {ref.integer('seed', 0)}."
    else:
        module, told = _trained(ref, name, build)
    data = resolve_model_data_config(module)
    published: dict[str, Any] = dict(cast("Any", module).pretrained_cfg)
    classes = int(getattr(module, "num_classes", 0) or 0)
    transform = create_transform(**data, is_training=False)
    return Opened(
        module=module,
        preprocess=_preprocessor(transform),
        input_shape=tuple(data["input_size"]),
        title=name + (", untrained" if "untrained" in ref.options else ""),
        preprocessing=_sentence(data),
        weights=told,
        labels=_labels(ref, module, classes),
        card={
            "library": f"timm {version('timm')}",
            "licence": str(published.get("license") or ""),
            "recipe": str(published.get("origin_url") or ""),
        },
    )


def _builder(name: str, classes: int | None) -> Callable[[], nn.Module]:
    import timm

    bare, dot, tag = name.partition(".")
    tags = [found.partition(".")[2] for found in timm.list_pretrained(f"{bare}.*")] if dot else []
    if dot and tag not in tags:
        raise unknown(f"tag of {bare}", tag, tags or {"(none)"})

    def build() -> nn.Module:
        options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
        return timm.create_model(name, pretrained=False, **options)

    return build


def _trained(ref: Reference, name: str, build: Callable[[], nn.Module]) -> tuple[nn.Module, str]:
    from dashboard.networks import weights

    file = files.weight_file(str(ref))
    if file is not None:
        digest = files.fingerprint(file)
        return zoo.filled(build, weights.read_file(file, digest), file.name, name), files.told(file, digest)
    pinned = _published(name)
    file = hub.fetch(pinned, hub.weight_files(pinned)) / "model.safetensors"
    state = weights.read_file(file, files.sha256(file))
    told = f"Published weights {pinned.name} on the Hugging Face Hub, commit {pinned.commit[:12]}."
    return zoo.filled(build, state, pinned.name, name), told


def _published(name: str) -> hub.Pinned:
    """Return where timm publishes the weights of a network."""
    from timm.models import get_pretrained_cfg

    settings = get_pretrained_cfg(name)
    place = settings.hf_hub_id if settings is not None else None
    if settings is None or not place:
        message = f"timm publishes no weights of {name} as .safetensors."
        raise InputError(message, f"Write timm:{name}?weights=PATH, or ?untrained&seed=0.")
    if place == "timm/":
        place += f"{settings.architecture}.{settings.tag}" if settings.tag else str(settings.architecture)
    return hub.pin(place)


def _preprocessor(transform: Any) -> Callable[[np.ndarray], torch.Tensor]:
    from PIL import Image

    def preprocess(picture: np.ndarray) -> torch.Tensor:
        return transform(Image.fromarray(picture))

    return preprocess


def _sentence(data: dict[str, Any]) -> str:
    def numbers(values: Iterable[float]) -> str:
        return ", ".join(f"{v:g}" for v in values)

    _, height, width = data["input_size"]
    return (
        f"RGB, resized ({data['interpolation']}) so that the {data['crop_mode']} crop of {height} × {width} "
        f"takes {data['crop_pct']:.4g} of it, divided by 255, minus {numbers(data['mean'])}, "
        f"divided by {numbers(data['std'])}."
    )


def _labels(ref: Reference, module: Any, classes: int) -> tuple[str, ...]:
    """Return the names of the classes: from beside the file, else those of the published weights."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset(module.pretrained_cfg)
    usual: tuple[str, ...] = ()
    if subset:
        info = ImageNetInfo(subset)
        usual = tuple(info.index_to_description(i) for i in range(info.num_classes()))
    return zoo.named(ref, usual, classes) if classes else ()
