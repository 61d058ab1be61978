"""Which architecture do these weights belong to? Told from names and shapes alone, without drawing weights.

Every architecture of torchvision and timm has a signature: a hash over names and shapes of all weights but
those of its class head. The table of signatures is made once (``python -m dashboard.networks.recognise``, on
torch's meta device) and kept in ``assets``; a fit is proved by loading the weights strictly.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

Shapes = Mapping[str, tuple[int, ...]]

TABLE = Path(__file__).resolve().parents[2] / "assets" / "architectures.json"
FAMILIES = re.compile(
    r"resnet(18|34|50|101|152)d?|wide_resnet50_2|resnext50_32x4d|seresnet50|resnetv2_50|ecaresnet50d|"
    r"vit_(tiny|small|base|large)_patch(8|16|32)_(224|384)|vit_base_patch16_(siglip|clip)_224|"
    r"vit_(small|base|large)_patch14_(reg4_)?dinov2|deit3?_(tiny|small|base)_patch16_224|"
    r"beit_base_patch16_224|swinv?2?_(tiny|small|base)_(patch4_)?window(7|8)_(224|256)|"
    r"convnext(v2)?_(atto|femto|pico|nano|tiny|small|base)|(tf_)?efficientnet_(b[0-3]|lite0)|"
    r"tf_efficientnetv2_s|mobilenetv2_100|mobilenetv3_(small|large)_(050|100)|mixer_b16_224|"
    r"densenet121|regnety_(004|008|016|032)|vgg(11|16|19)(_bn)?|inception_v3|xception|"
    r"poolformer_s12|resmlp_12_224|maxvit_tiny_tf_224|ghostnet_100|mnasnet_100|hrnet_w18|rexnet_100"
)
"""Architectures of timm in the table, those that laboratories use; all of torchvision's are in it."""

_DEEPEST_PREFIX = 3
_LEAST_SHARE = 0.3
_HASH = 16
_COUNTER = "num_batches_tracked"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """An architecture whose weights have exactly these names and shapes, the class head aside.

    Attributes
    ----------
    architecture : str
        Reference such as ``"torchvision:resnet18"``.
    prefix : str
        What stands before every name in the file.
    classes : int
        Number of classes of the head in the file; 0 when the file has no head.
    renamed : Mapping of str to str
        Names of the head in the file (without the prefix) -> names that the architecture has.
    left_out : tuple of str
        Names in the file that do not belong to it, such as those of a loss.
    """

    architecture: str
    prefix: str
    classes: int
    renamed: Mapping[str, str]
    left_out: tuple[str, ...]


def fits(shapes: Shapes, more: Iterable[tuple[str, str, str]] = ()) -> list[Fit]:
    """Return every architecture that fits, torchvision first; the longest prefix counts.

    Parameters
    ----------
    shapes : mapping
        Name -> shape of every tensor in a file.
    more : iterable of (architecture, root of the head, signature)
        Architectures that are not in the table, such as an administrator's own.

    Returns
    -------
    list of Fit
    """
    known = [*table(), *more]
    roots = sorted({root for _, root, _ in known})
    by_signature: dict[tuple[str, str], list[str]] = {}
    for name, root, mark in known:
        by_signature.setdefault((root, mark), []).append(name)
    found: dict[str, Fit] = {}
    for prefix, part, left_out in parts(shapes):
        for root in roots:
            head, body = split(part, root)
            for name in by_signature.get((root, signature(body)), ()):
                fit = _fit(name, prefix, root, head, left_out)
                if fit is not None:
                    found.setdefault(name, fit)
    return sorted(
        found.values(), key=lambda f: (not f.architecture.startswith("torchvision"), f.architecture)
    )


def parts(shapes: Shapes) -> Iterator[tuple[str, dict[str, tuple[int, ...]], tuple[str, ...]]]:
    """Yield (prefix, weights without it, names left out): the whole, and what is under common prefixes."""
    waiting: list[tuple[str, dict[str, tuple[int, ...]]]] = [("", dict(shapes))]
    total = len(shapes)
    while waiting:
        prefix, part = waiting.pop(0)
        kept = {f"{prefix}{name}" for name in part}
        yield prefix, part, tuple(name for name in shapes if name not in kept)
        if prefix.count(".") >= _DEEPEST_PREFIX:
            continue
        firsts = Counter(name.partition(".")[0] for name in part if "." in name)
        for first, count in firsts.most_common():
            if count >= max(2, _LEAST_SHARE * total):
                inner = {n.partition(".")[2]: s for n, s in part.items() if n.partition(".")[0] == first}
                waiting.append((f"{prefix}{first}.", inner))


def split(shapes: Shapes, root: str) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Return the weights of the head, those under ``root``, and all others."""
    head = {n: s for n, s in shapes.items() if root and (n == root or n.startswith(f"{root}."))}
    return head, {n: s for n, s in shapes.items() if n not in head}


def signature(shapes: Shapes) -> str:
    """Return a hash over names and shapes; counters of batches, which old files lack, do not count."""
    listed = sorted((n, list(s)) for n, s in shapes.items() if not n.endswith(_COUNTER))
    return hashlib.sha256(json.dumps(listed, separators=(",", ":")).encode()).hexdigest()[:_HASH]


def _fit(name: str, prefix: str, root: str, head: Shapes, left_out: tuple[str, ...]) -> Fit | None:
    """Return the fit when the head is one layer, even inside a Sequential with a Dropout, or is missing."""
    if not head:
        return Fit(name, prefix, 0, {}, left_out) if not root else None
    weights = [n for n in head if n.endswith("weight")]
    if len(weights) != 1 or len(head[weights[0]]) not in (2, 4) or len(head) > 2:
        return None
    own = {n: f"{root}.{n.rpartition('.')[2]}" for n in head}
    renamed = {n: new for n, new in own.items() if n != new}
    return Fit(name, prefix, int(head[weights[0]][0]), renamed, left_out)


@contextlib.contextmanager
def _nothing_drawn() -> Iterator[None]:
    """Draw no weights inside the block: memory that nobody writes to costs nothing."""
    from torch.nn import init

    before = {name: getattr(init, name) for name in dir(init) if name.endswith("_") and name[0] != "_"}
    try:
        for name in before:
            setattr(init, name, lambda tensor, *args, **options: tensor)
        yield
    finally:
        for name, function in before.items():
            setattr(init, name, function)


# --- the table -------------------------------------------------------------------------------------


@cache
def table() -> tuple[tuple[str, str, str], ...]:
    """Return (architecture, root of the head, signature) of every known architecture."""
    try:
        found = json.loads(TABLE.read_text("utf-8"))["architectures"]
        return tuple((str(name), str(root), str(mark)) for name, (root, mark) in found.items())
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("no table of architectures: %s", type(error).__name__)
        return ()


def described(build: Callable[[], nn.Module], head: str) -> tuple[str, str]:
    """Return the root of the head and the signature of an architecture, built without memory."""
    return head, signature(split(_shapes(build), head)[1])


def _shapes(build: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an architecture: without memory, or where a builder computes without weights."""
    import torch

    try:
        with torch.device("meta"):
            module = build()
    except (NotImplementedError, RuntimeError):
        with _nothing_drawn():
            module = build()
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def make_table() -> dict[str, Any]:
    """Build every architecture on the meta device and return the table; takes minutes."""
    from importlib.metadata import version

    found: dict[str, tuple[str, str]] = {}
    for name, build, head in (*_of_torchvision(), *_of_timm()):
        try:
            found[name] = described(build, head())
        except Exception as error:  # a builder that computes cannot do without memory; it is left out
            log.warning("%s: %r", name, error)
    versions = {library: version(library) for library in ("torchvision", "timm")}
    return {"versions": versions, "architectures": dict(sorted(found.items()))}


def _of_torchvision() -> Iterator[tuple[str, Callable[[], Any], Callable[[], str]]]:
    from dashboard.networks import zoo

    for name in zoo.builders():
        build = zoo._builder(name, zoo._published(name, "DEFAULT"), 1000)
        yield f"torchvision:{name}", build, partial(_head_of_torchvision, name)


def _head_of_torchvision(name: str) -> str:
    """Return the module whose weights change with the number of classes."""
    from dashboard.networks import zoo

    entry = zoo._published(name, "DEFAULT")
    shapes = [_shapes(zoo._builder(name, entry, classes)) for classes in (1000, 7)]
    changed = [n for n in shapes[0] if shapes[0][n] != shapes[1][n]]
    return changed[-1].rpartition(".")[0] if changed else ""


def _of_timm() -> Iterator[tuple[str, Callable[[], Any], Callable[[], str]]]:
    import timm

    from dashboard.networks import timm_zoo

    for name in filter(FAMILIES.fullmatch, timm_zoo.builders()):
        settings = timm.models.get_pretrained_cfg(name)
        head = settings.classifier if settings is not None else None
        if isinstance(head, str) and head:
            yield f"timm:{name}", partial(timm.create_model, name, pretrained=False), partial(str, head)


if __name__ == "__main__":
    TABLE.write_text(json.dumps(make_table(), separators=(",", ":")).replace("],", "],\n") + "\n", "utf-8")
