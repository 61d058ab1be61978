"""``upload:DIGEST``: weights that somebody brought, in an architecture that was recognised or chosen."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard import delimited, guarded, kept
from dashboard.errors import InputError, caution, listing, unknown
from dashboard.networks import formats
from dashboard.networks.network import Entry, InputKind, Opened
from dashboard.reference import Reference, parse

if TYPE_CHECKING:
    import torch

VERSION = 1
"""Raised whenever the same files and recipe give another network; part of the digest."""

HF = "hf"
"""What stands for the architecture of a Hugging Face folder."""

SOURCES = ("torchvision", "timm", "own")
LABEL_ENDINGS = ("json", "txt", "csv")
WEIGHT_ENDINGS = ("safetensors", "pt", "pth", "ckpt", "bin", "tar")
_MOST_LABEL_BYTES = 2**20
_MOST_CLASSES = 100_000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the files of a network do not say.

    Attributes
    ----------
    architecture : str
        Such as ``"torchvision:resnet18"``, or ``"hf"`` for a Hugging Face folder.
    key : str
        Where in a checkpoint the weights are, with dots: ``"state_dict"``.
    prefix : str
        What stands before every name: ``"module."``.
    classes : int
        Number of classes of the head; 0 for what the architecture has.
    labels : tuple of str
        Names of the classes; empty: those in the files, else ImageNet's where there are 1000.
    resize, crop : int
        Pixels of the short side and of the crop; 0 for what the architecture is published with.
    mean, std : tuple of float
        Per channel; empty for what the architecture is published with.
    title : str
    """

    architecture: str = ""
    key: str = ""
    prefix: str = ""
    classes: int = 0
    labels: tuple[str, ...] = ()
    resize: int = 0
    crop: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    title: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready facts: what differs from the defaults, with kind and version."""
        return kept.recipe_facts(self, "network", VERSION)


def from_dict(given: Any) -> Recipe:
    """Read what `Recipe.to_dict` gave.

    Raises
    ------
    InputError
        When it is no such recipe, or a value does not fit.
    """
    if not isinstance(given, Mapping) or given.get("kind") != "network" or given.get("version") != VERSION:
        raise InputError("This is not the recipe of a network.", "Use a file that the Add page exported.")
    hints = typing.get_type_hints(Recipe)
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("kind", "version"):
            continue
        if name not in hints:
            raise unknown("setting of a recipe", str(name)[:40], hints)
        values[name] = tuple(value) if isinstance(value, list) else value
    try:
        recipe = Recipe(**values)
        sound = (
            all(isinstance(getattr(recipe, n), str) for n in ("architecture", "key", "prefix", "title"))
            and all(type(n) is int and 0 <= n <= _MOST_CLASSES for n in (recipe.classes, recipe.resize))
            and type(recipe.crop) is int
            and 0 <= recipe.crop <= 4096
            and all(isinstance(label, str) for label in recipe.labels)
            and all(isinstance(v, int | float) for v in (*recipe.mean, *recipe.std))
            and len(recipe.mean) in (0, 3)
            and len(recipe.std) in (0, 3)
            and all(v > 0 for v in recipe.std)
        )
    except TypeError:
        sound = False
    if not sound:
        raise InputError("A setting of the recipe does not fit.", "Answer the questions again.")
    return recipe


# --- as a source of networks -----------------------------------------------------------------------


def facts(ref: Reference) -> dict[str, Any]:
    """Return what answers about the network depend on."""
    found, recipe = _opened(ref)
    versions = {name: version(name) for name in ("torch", "torchvision", "timm", "transformers")}
    base: dict[str, Any] = {}
    if recipe.architecture != HF:
        from dashboard.networks.schemes import SCHEMES

        twin = _twin(recipe)
        base = SCHEMES[twin.scheme].facts(twin)
    return {"brought": VERSION, "files": found.identity, "base": base, **versions}


def entries() -> Iterable[Entry]:
    """Return nothing: what somebody brought is listed in that person's session alone."""
    return ()


def reads(ref: Reference) -> InputKind:
    """Return what the network is shown."""
    found, recipe = _opened(ref)
    if recipe.architecture != HF:
        return "image"
    from dashboard.networks import hf

    return hf.reads(_folder(found))


def open_network(ref: Reference) -> Opened:
    """Build the architecture of the recipe and load the weights strictly."""
    found, recipe = _opened(ref)
    trained = "untrained" not in ref.options
    if recipe.architecture == HF:
        from dashboard.networks import hf

        _tried(found)
        inner = _folder(found)
        options = {} if trained else {"untrained": "", "seed": ref.options.get("seed", "0")}
        opened = hf.open_network(Reference(inner.name, options), called=found.title, brought=True)
        return dataclasses.replace(opened, title=_title(found, ref))
    from dashboard.networks import weights
    from dashboard.networks.schemes import SCHEMES
    from dashboard.networks.seeding import seeded

    twin = _twin(recipe, ref.options.get("seed", "0"))
    with seeded(twin.integer("seed", 0)):
        opened = SCHEMES[twin.scheme].open(twin)
    told = opened.weights
    if trained:
        shown = listing(_weight_names(found))
        weights.put(_state(found, recipe), opened.module, shown, recipe.architecture.partition(":")[2])
        told = f"Weights from {shown}, SHA-256 {found.files[0].sha256[:12]}."
    return _prepared(dataclasses.replace(opened, weights=told, title=_title(found, ref)), found, recipe)


def _title(found: kept.Kept, ref: Reference) -> str:
    return found.title + (", untrained" if "untrained" in ref.options else "")


def _opened(ref: Reference) -> tuple[kept.Kept, Recipe]:
    found = kept.opened(ref.name)
    if not found.recipe:
        message = f"Nobody has said yet what network {found.title} is."
        raise InputError(message, "Answer the questions on the Add page.")
    recipe = from_dict(found.recipe)
    base = parse(recipe.architecture or "?")
    if recipe.architecture != HF and (base.scheme not in SOURCES or base.options):
        raise unknown("architecture", recipe.architecture[:60], [f"{s}:NAME" for s in SOURCES])
    return found, recipe


def _twin(recipe: Recipe, seed: str = "0") -> Reference:
    """Return the untrained reference of the architecture, with as many classes as the weights have."""
    options = {"untrained": "", "seed": seed}
    if recipe.classes:
        options["classes"] = str(recipe.classes)
    return Reference(recipe.architecture, options)


def _prepared(opened: Opened, found: kept.Kept, recipe: Recipe) -> Opened:
    """Return the network with the class names and the preparation of pictures that the recipe says."""
    from dashboard.networks import own

    changes: dict[str, Any] = {}
    labels = recipe.labels or _labels_of(found)
    if labels and len(labels) == len(opened.labels):
        changes["labels"] = tuple(formats.clean(label, 200) for label in labels)
    elif labels:
        told = f"{len(labels)} class names were given for {len(opened.labels)} classes and are not used."
        caution("labels-do-not-fit", told)
    if recipe.crop or recipe.mean or recipe.std or recipe.resize:
        crop = recipe.crop or opened.input_shape[-1]
        resize = recipe.resize or round(crop * 256 / 224)
        numbers = recipe.mean or own._USUAL["MEAN"], recipe.std or own._USUAL["STD"]
        changes["preprocess"] = own.preprocessor(resize, crop, *numbers)
        changes["preprocessing"] = own.sentence(resize, crop, *numbers)
        changes["input_shape"] = (opened.input_shape[0], crop, crop)
    return dataclasses.replace(opened, **changes)


# --- the files -------------------------------------------------------------------------------------


def look(reference: str) -> dict[str, Any]:
    """Tell what is in the files of an upload: tables of weights, architectures that fit, class names.

    Returns
    -------
    dict
        ``tables`` (key, tensors, numbers, stored), ``fits`` (architecture, key, prefix, classes, left_out),
        ``labels`` and ``recipe``, the proposal.

    Raises
    ------
    InputError
        When a file is refused or damaged.
    """
    from dashboard.networks import own, recognise

    found = kept.opened(reference)
    if any(file.name == "config.json" for file in found.files):
        return _look_at_folder(found)
    tables = _tables(found)
    more = list(own.signatures())
    rows, fits = [], []
    for key, state in tables.items():
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        numbers = sum(t.numel() for t in state.values())
        stored = sorted({str(t.dtype).removeprefix("torch.") for t in state.values()})
        rows.append({"key": key, "tensors": len(state), "numbers": numbers, "stored": ", ".join(stored)})
        for fit in recognise.fits(shapes, more):
            fits.append({**dataclasses.asdict(fit), "key": key, "renamed": dict(fit.renamed)})
    labels = _labels_of(found)
    proposal = _proposal(fits, tables)
    return {"tables": rows, "fits": fits, "labels": len(labels), "recipe": proposal.to_dict()}


def _proposal(fits: list[dict[str, Any]], tables: Mapping[str, Any]) -> Recipe:
    headed = [fit for fit in fits if fit["classes"]] or fits
    if not headed:
        return Recipe(key=next(iter(tables)))
    best = headed[0]
    # A head of 1000 is what the architecture has anyway, so its usual class names stay.
    return Recipe(
        architecture=best["architecture"],
        key=best["key"],
        prefix=best["prefix"],
        classes=0 if best["classes"] == 1000 else best["classes"],
    )


def _tables(found: kept.Kept) -> dict[str, dict[str, torch.Tensor]]:
    """Return the tables of weights of all weight files together, by key; shards are joined."""
    from dashboard.networks import weights

    _tried(found)
    tables: dict[str, dict[str, torch.Tensor]] = {}
    names = _weight_names(found)
    if not names:
        raise formats.refuse("unknown", found.files[0].name)
    for file in found.files:
        if file.name not in names:
            continue
        for key, state in weights.read_tables(file.read(), file.name).items():
            twice = sorted(tables.get(key, {}).keys() & state.keys())
            if twice:
                message = f'"{file.name}" and another file both hold {formats.clean(twice[0])}.'
                raise InputError(message, "Give one network at a time, with each of its parts once.")
            tables.setdefault(key, {}).update(state)
    return tables


def _tried(found: kept.Kept) -> None:
    """Let the walk through the files end in a process with limits before this one begins it.

    What the tables of contents of hostile files could make endless (pickles, zip directories, JSON,
    tokenizers) is in that walk; reading the weights after it only copies as many bytes as the file has.
    """
    given = [(file.path, file.name, file.sha256) for file in found.files]
    guarded.tried("dashboard.networks.uploaded:walk", given, name=found.files[0].name)


def walk(given: list[list[str]], start: int) -> int | None:
    """Walk through one file of an upload, all of it but the weights; return the place of the next.

    Raises
    ------
    InputError
        When it is refused or damaged.
    """
    path, name = given[start]
    data = Path(path).read_bytes()
    ending = name.lower().rpartition(".")[2]
    if name == "tokenizer.json":
        from tokenizers import Tokenizer

        Tokenizer.from_str(data.decode("utf-8", "replace")).encode(
            "A few words, to see whether it ends: 1 2 3."
        )
    elif ending == "json":
        json.loads(data)
    elif ending not in LABEL_ENDINGS:
        if formats.recognise(data, name) == "safetensors":
            formats.check_safetensors(data, name)
        else:
            formats.check_checkpoint(data, name)
    return start + 1 if start + 1 < len(given) else None


def _weight_names(found: kept.Kept) -> list[str]:
    return [f.name for f in found.files if f.name.lower().rpartition(".")[2] not in LABEL_ENDINGS]


def _state(found: kept.Kept, recipe: Recipe) -> dict[str, torch.Tensor]:
    """Return the weights that the recipe means, named as in the architecture."""
    from dashboard.networks import own, recognise

    tables = _tables(found)
    if recipe.key not in tables:
        raise unknown("table of weights", recipe.key, [key or "(the file itself)" for key in tables])
    state = tables[recipe.key]
    picked = {n.removeprefix(recipe.prefix): t for n, t in state.items() if n.startswith(recipe.prefix)}
    left = [n for n in state if not n.startswith(recipe.prefix)]
    if left:
        shown = listing(formats.clean(n) for n in left)
        caution("weights-left-out", f"{len(left)} tensors of the file do not belong to the network: {shown}.")
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for fit in recognise.fits(shapes, list(own.signatures())):
        if (fit.architecture, fit.prefix) == (recipe.architecture, recipe.prefix):
            return {fit.renamed.get(name, name): tensor for name, tensor in picked.items()}
    return picked


def _labels_of(found: kept.Kept) -> tuple[str, ...]:
    """Return the class names in a JSON, text or CSV file beside the weights, if there is one."""
    for file in found.files:
        if file.name.lower().rpartition(".")[2] in LABEL_ENDINGS and file.name != "config.json":
            labels = read_labels(file.read(), file.name)
            if labels:
                return labels
    return ()


def read_labels(data: bytes, name: str) -> tuple[str, ...]:
    """Return class names from a JSON list or table (number -> name), from CSV, or from lines of text.

    Raises
    ------
    InputError
        When the file is none of these.
    """
    shown, remedy = formats.clean(name), "Give a JSON list, or a name per line."
    wrong = InputError(f'"{shown}" is not a list of class names.', remedy)
    ending = name.lower().rpartition(".")[2]
    if len(data) > _MOST_LABEL_BYTES:
        raise wrong
    if ending == "json":
        try:
            return _json_labels(json.loads(data.decode("utf-8-sig")), wrong)
        except (ValueError, RecursionError) as error:
            raise wrong from error
    text, _ = delimited.decoded(data, shown, remedy)
    if ending != "csv":
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    table = delimited.table(text, shown)
    rows = [list(table.header), *table.rows]
    if len(table.header) > 1:
        # number, name: in the order of the numbers, a header left out
        numbered = {int(row[0]): row[-1].strip() for row in rows if row[0].strip().isdecimal()}
        return tuple(numbered[i] for i in sorted(numbered))
    return tuple(row[0].strip() for row in rows)


def _json_labels(content: Any, wrong: InputError) -> tuple[str, ...]:
    if isinstance(content, dict) and all(str(key).isdigit() for key in content):
        content = [content[key] for key in sorted(content, key=int)]
    elif isinstance(content, dict) and all(isinstance(v, int) for v in content.values()):
        content = sorted(content, key=content.__getitem__)
    if isinstance(content, list) and content and isinstance(content[0], list):
        content = [row[-1] for row in content if row]  # ImageNet's usual [wnid, name]
    if not isinstance(content, list) or not all(isinstance(label, str) for label in content):
        raise wrong
    return tuple(content)


# --- Hugging Face folders --------------------------------------------------------------------------


def _look_at_folder(found: kept.Kept) -> dict[str, Any]:
    from dashboard.networks import hf

    _tried(found)
    folder = hf.local_folder(_folder(found))
    assert folder is not None  # noqa: S101 - it was just made
    inspected = hf.inspect(folder, found.files[0].name)
    kind = str(inspected.config["model_type"])
    rows = [{"key": file.name, "tensors": 0, "numbers": 0, "stored": ""} for file in inspected.weights]
    fit = {"architecture": HF, "key": "", "prefix": "", "classes": 0, "renamed": {}, "left_out": []}
    return {
        "tables": rows,
        "fits": [fit],
        "labels": 0,
        "hf": kind,
        "recipe": Recipe(architecture=HF).to_dict(),
    }


def _folder(found: kept.Kept) -> Reference:
    """Return a reference to a folder with the files under the names that transformers expects."""
    from dashboard.networks import hub

    folder = found.folder / "hf"
    folder.mkdir(exist_ok=True)
    for file in found.files:
        known = file.name in hub.BESIDE or file.name.endswith(".safetensors") or file.name == "vocab.txt"
        target = folder / file.name
        if known and target.parent == folder and not target.exists():
            target.write_bytes(file.read())
    return Reference(f"hf:{folder}")
