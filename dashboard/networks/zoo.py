"""Classification networks of torchvision: ``torchvision:NAME[?weights=PATH|ENTRY][&classes=N]``.

Without ``weights`` the default published weights are meant. The list of names is read from the source files
of the installed torchvision, so that asking for it does not import torch; a test compares the two lists.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard import settings
from dashboard.errors import InputError, caution, unknown
from dashboard.networks import files
from dashboard.networks.formats import clean
from dashboard.networks.network import Entry, Opened
from dashboard.networks.seeding import seeded
from dashboard.reference import Reference

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

PREPROCESSING_VERSION = 1
"""Raised when `_preprocessor` or the choice of size changes, so that stored answers are not mistaken."""

WEIGHT_FILE = "model.safetensors"
_MOST_LABEL_BYTES = 2**20
_MOST_CLASSES = 1_000_000


# --- without torch ---------------------------------------------------------------------------------


@cache
def builders() -> tuple[str, ...]:
    """Return the names of all classification networks of the installed torchvision, without importing it."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return ()
    names: list[str] = []
    for file in sorted((Path(spec.origin).parent / "models").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "register_model" in text:
            names.extend(_registered(ast.parse(text)))
    return tuple(sorted(names))


def _registered(tree: ast.Module) -> Iterator[str]:
    """Return the names under which a source file registers its builders."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "register_model":
                given = [k.value for k in decorator.keywords if k.arg == "name"] + decorator.args[:1]
                yield str(ast.literal_eval(given[0])) if given else node.name


def entries() -> Iterable[Entry]:
    """Return every builder with its published weights, before it the weight files found for it."""
    for name in builders():
        for reference in _found(name):
            yield Entry(reference, f"{name} (weights from a file)", "torchvision", "file")
        yield Entry(f"torchvision:{name}", f"{name} (published weights)", "torchvision", "download")


def _found(name: str) -> list[str]:
    """Return references to weight files in folders named like a builder, relative to their root."""
    relative = f"{name}/{WEIGHT_FILE}"
    return [f"torchvision:{name}?weights={relative}"] if found(relative) else []


def found(relative: str) -> bool:
    """Tell whether one of the weights folders holds a file."""
    return any((root / relative).is_file() for root in settings.weights_roots())


def facts(ref: Reference) -> dict[str, Any]:
    """Return what answers about a torchvision network depend on."""
    name = _known(ref)
    labels = labels_file(ref)
    return {
        "name": name,
        "torchvision": version("torchvision"),
        "torch": version("torch"),
        "preprocessing": [PREPROCESSING_VERSION, _entry_name(ref)],
        "weights": weights_fact(ref),
        "labels": files.sha256(labels) if labels else None,
        "classes": classes(ref),
    }


def weights_fact(ref: Reference) -> str | None:
    """Return what stands for the weights: their SHA-256, the name of published ones, or nothing."""
    if "untrained" in ref.options:
        return None
    file = files.weight_file(str(ref))
    if file is None:
        return _entry_name(ref)
    if file.is_dir():
        from dashboard.networks.formats import refuse

        raise refuse("folder", file.name)
    return files.fingerprint(file)


def _known(ref: Reference) -> str:
    if ref.rest not in builders():
        raise unknown("torchvision network", ref.rest, builders())
    return ref.rest


def _entry_name(ref: Reference) -> str:
    """Return which published weights are meant; a file takes the preprocessing of the default ones."""
    return "DEFAULT" if files.names_file(ref) else ref.options.get("weights", "DEFAULT")


def classes(ref: Reference) -> int | None:
    """Return the number of classes that a reference asks for, if it does."""
    if "classes" not in ref.options:
        return None
    if not files.names_file(ref) and "untrained" not in ref.options:
        message = f"classes of {ref.name} needs a weight file or an untrained network."
        raise InputError(message, "Published weights have the classes that they were trained for.")
    return ref.integer("classes", 1000, low=1, high=_MOST_CLASSES)


def labels_file(ref: Reference) -> Path | None:
    """Return ``labels.json`` beside the weight file, if there is one."""
    if not files.names_file(ref) or "untrained" in ref.options:
        return None
    file = files.weight_file(str(ref))
    beside = file.parent / "labels.json" if file is not None else None
    return beside if beside is not None and beside.is_file() else None


# --- with torch ------------------------------------------------------------------------------------


def open_network(ref: Reference) -> Opened:
    """Build a torchvision network with the weights that the reference means."""
    name = _known(ref)
    entry = _published(name, _entry_name(ref))
    n_classes = classes(ref) or len(entry.meta.get("categories") or ()) or 1000
    preset = entry.transforms()
    build = _builder(name, entry, n_classes)
    if "untrained" in ref.options:
        module, told = build(), f"Untrained: random weights from seed {ref.integer('seed', 0)}."
    else:
        module, told = _trained(ref, name, entry, build)
    size = preset.crop_size[0]
    return Opened(
        module=module,
        preprocess=_preprocessor(preset),
        input_shape=(3, size, size),
        title=name + (", untrained" if "untrained" in ref.options else ""),
        preprocessing=_sentence(preset),
        weights=told,
        labels=named(ref, tuple(entry.meta.get("categories") or ()) or _imagenet(), n_classes),
        card={"library": f"torchvision {version('torchvision')}", "recipe": entry.meta.get("recipe", "")},
    )


def _published(name: str, entry: str) -> Any:
    from torchvision import models

    choices = models.get_model_weights(name)
    if entry != "DEFAULT" and entry not in choices.__members__:
        raise unknown(f"published weights of {name}", entry, ["DEFAULT", *choices.__members__])
    return choices[entry]


def _builder(name: str, entry: Any, classes: int) -> Callable[[], nn.Module]:
    """Return a function that builds the architecture as the published weights expect it."""
    from torchvision import models

    options: dict[str, Any] = {"num_classes": classes}
    make = models.get_model_builder(name)
    if make.__module__.endswith("vision_transformer"):  # the number of tokens is built in
        options["image_size"] = entry.transforms().crop_size[0]

    def build() -> nn.Module:
        with _quiet():
            module = make(weights=None, **options)
        # GoogLeNet and Inception turn the usual normalisation into their own; torchvision switches this on
        # only when it loads the weights itself.
        if hasattr(module, "transform_input"):
            module.transform_input = True
        return module

    return build


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torchvision's remarks about how GoogLeNet and Inception start away from the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _trained(ref: Reference, name: str, entry: Any, build: Callable[[], nn.Module]) -> tuple[nn.Module, str]:
    from dashboard.networks import download, weights

    file = files.weight_file(str(ref))
    if file is not None:
        digest = files.fingerprint(file)
        shown, told = file.name, files.told(file, digest)
        state = weights.read_file(file, digest)
    else:
        fetched = download.fetch(entry.url)
        shown, told = fetched.name, f"Published weights {entry.name} of torchvision, {fetched.name}."
        state = weights.read_verified(fetched)
    return filled(build, state, shown, name), told


def filled(
    build: Callable[[], nn.Module], state: dict[str, torch.Tensor], shown: str, name: str
) -> nn.Module:
    """Return the network with its weights; it is built without memory first, to see whether they fit.

    Raises
    ------
    NotImplementedError
        When weights are left unread and the network cannot be built without memory.
    """
    import torch

    from dashboard.networks import weights

    try:
        with torch.device("meta"):
            module: nn.Module | None = build()
    except (NotImplementedError, RuntimeError):
        if files.unread():
            raise
        module = None
    if module is not None:
        weights.put(state, module, shown, name)
        if files.unread() or not any(t.is_meta for t in (*module.parameters(), *module.buffers())):
            return module
    with seeded(0):  # what a builder computes beside its weights (tables, indices) needs real memory
        module = build()
    weights.put(state, module, shown, name)
    return module


def _preprocessor(preset: Any) -> Callable[[np.ndarray], torch.Tensor]:
    """Return the weights' own transform for uint8 pictures; it goes through Pillow, never torchvision.io."""
    from PIL import Image

    def preprocess(picture: np.ndarray) -> torch.Tensor:
        return preset(Image.fromarray(picture))

    return preprocess


def _sentence(preset: Any) -> str:
    def numbers(values: list[float]) -> str:
        return ", ".join(f"{v:g}" for v in values)

    crop, short = preset.crop_size[0], preset.resize_size[0]
    return (
        f"RGB, short side to {short} pixels ({preset.interpolation.value}), centre crop {crop} × {crop}, "
        f"divided by 255, minus {numbers(preset.mean)}, divided by {numbers(preset.std)}."
    )


def named(ref: Reference, usual: tuple[str, ...], n_classes: int) -> tuple[str, ...]:
    """Return the names of the classes: from beside the file, else the usual ones when their number fits."""
    beside = labels_file(ref)
    given = _read_labels(beside) if beside is not None else ()
    if len(given) == n_classes:
        return given
    if beside is not None:
        caution(
            "labels-do-not-fit",
            f'"{beside.name}" is not a list of {n_classes} names, so the classes have their usual names.',
        )
    return usual if len(usual) == n_classes else tuple(f"class {i}" for i in range(n_classes))


def _read_labels(file: Path) -> tuple[str, ...]:
    try:
        if file.stat().st_size > _MOST_LABEL_BYTES:
            return ()
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ()
    if not isinstance(content, list) or not all(isinstance(label, str) for label in content):
        return ()
    return tuple(clean(label, 200) for label in content)


def _imagenet() -> tuple[str, ...]:
    from torchvision import models

    return tuple(models.ResNet50_Weights.DEFAULT.meta["categories"])
