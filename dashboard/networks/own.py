"""Networks of the administrator's own Python files: ``own:NAME[?weights=PATH][&classes=N]``.

A file ``NAME.py`` in a folder of ``HOMOLOG_ARCHITECTURES`` defines ``build(classes)``, which returns the
network, and may define ``CLASSES``, ``INPUT`` (channels, height, width), ``RESIZE``, ``MEAN``, ``STD``,
``LABELS`` and ``HEAD`` (the module whose weights change with the number of classes). It is run as it stands,
so only who may change the server may put it there; a reference cannot name any other folder.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard import settings
from dashboard.errors import InputError, unknown
from dashboard.networks import files, zoo
from dashboard.networks.network import Entry, Opened
from dashboard.reference import Reference

if TYPE_CHECKING:
    import numpy as np
    import torch

_NAME = re.compile(r"[A-Za-z_]\w{0,63}")
_USUAL: dict[str, Any] = {
    "CLASSES": 1000,
    "INPUT": (3, 224, 224),
    "RESIZE": 256,
    "MEAN": (0.485, 0.456, 0.406),
    "STD": (0.229, 0.224, 0.225),
    "HEAD": "",
    "LABELS": (),
}
"""What a file need not say: the values of torchvision's ImageNet networks."""


def builders() -> dict[str, Path]:
    """Return the files by the name of the network."""
    found: dict[str, Path] = {}
    for root in settings.architecture_roots():
        for path in sorted(root.glob("*.py")):
            if _NAME.fullmatch(path.stem) and settings.inside(path, [root]):
                found.setdefault(path.stem, path)
    return found


def entries() -> Iterable[Entry]:
    """Return the networks with a weight file in ``weights/NAME``, else their untrained twins."""
    for name in builders():
        relative = f"{name}/{zoo.WEIGHT_FILE}"
        if zoo.found(relative):
            yield Entry(f"own:{name}?weights={relative}", f"{name} (own, weights from a file)", "own", "file")
        else:
            yield Entry(f"own:{name}?untrained&seed=0", f"{name} (own, untrained)", "own", "file")


def facts(ref: Reference) -> dict[str, Any]:
    """Return what answers about the network depend on: the Python file, the weights, and torch."""
    path = _known(ref)
    if "untrained" not in ref.options and not files.names_file(ref):
        message = f"{ref.name} needs weights."
        raise InputError(message, f"Write {ref.name}?weights=PATH, or {ref.name}?untrained&seed=0.")
    return {
        "name": ref.rest,
        "file": files.sha256(path),
        "torch": version("torch"),
        "weights": zoo.weights_fact(ref),
        "classes": zoo.classes(ref),
    }


def open_network(ref: Reference) -> Opened:
    """Run the file, build the network and load the weights."""
    from dashboard.networks import weights

    path = _known(ref)
    module = _run(path)
    said = {name: getattr(module, name, usual) for name, usual in _USUAL.items()}
    classes = zoo.classes(ref) or int(said["CLASSES"])

    def build() -> Any:
        return module.build(classes)

    if "untrained" in ref.options:
        network, told = build(), f"Untrained: random weights from seed {ref.integer('seed', 0)}."
    else:
        file = files.weight_file(str(ref))
        assert file is not None  # noqa: S101 - facts asked for it
        digest = files.fingerprint(file)
        network = zoo.filled(build, weights.read_file(file, digest), file.name, ref.rest)
        told = files.told(file, digest)
    channels, height, width = said["INPUT"]
    usual = tuple(map(str, said["LABELS"]))
    return Opened(
        module=network,
        preprocess=preprocessor(int(said["RESIZE"]), int(height), said["MEAN"], said["STD"]),
        input_shape=(int(channels), int(height), int(width)),
        title=ref.rest + (", untrained" if "untrained" in ref.options else ""),
        preprocessing=sentence(int(said["RESIZE"]), int(height), said["MEAN"], said["STD"]),
        weights=told,
        labels=zoo.named(ref, usual, classes),
        card={"library": "a Python file of this server", "recipe": ""},
    )


def signatures() -> Iterator[tuple[str, str, str]]:
    """Yield (architecture, root of the head, signature) of every file that can be built without memory."""
    from dashboard.networks import recognise

    for name, path in builders().items():
        try:
            module = _run(path)
            head = str(getattr(module, "HEAD", ""))
            yield f"own:{name}", *recognise.described(_builder(module), head)
        except Exception:  # noqa: S112 - another's file may fail in any way; it is then not proposed
            continue


def _builder(module: Any) -> Callable[[], Any]:
    return lambda: module.build(int(getattr(module, "CLASSES", _USUAL["CLASSES"])))


def preprocessor(
    resize: int, crop: int, mean: Iterable[float], std: Iterable[float]
) -> Callable[[np.ndarray], torch.Tensor]:
    """Return torchvision's usual preparation of pictures with these numbers."""
    from PIL import Image
    from torchvision.transforms._presets import ImageClassification

    preset = ImageClassification(
        crop_size=crop, resize_size=resize, mean=tuple(map(float, mean)), std=tuple(map(float, std))
    )

    def preprocess(picture: np.ndarray) -> torch.Tensor:
        return preset(Image.fromarray(picture))

    return preprocess


def sentence(resize: int, crop: int, mean: Iterable[float], std: Iterable[float]) -> str:
    """Say how pictures are prepared."""
    shown = [", ".join(f"{float(v):g}" for v in values) for values in (mean, std)]
    return (
        f"RGB, short side to {resize} pixels (bilinear), centre crop {crop} × {crop}, divided by 255, "
        f"minus {shown[0]}, divided by {shown[1]}."
    )


def _known(ref: Reference) -> Path:
    found = builders()
    if ref.rest not in found:
        raise unknown("network of this server", ref.rest, found or {"(none)"})
    return found[ref.rest]


def _run(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"homolog_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f'"{path.name}" is not a Python file.', "Ask the administrator.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        message = f'"{path.name}" of this server cannot be run ({type(error).__name__}).'
        raise InputError(message, "Ask the administrator to mend it.") from error
    if not callable(getattr(module, "build", None)):
        raise InputError(f'"{path.name}" of this server has no build(classes).', "Ask the administrator.")
    return module
