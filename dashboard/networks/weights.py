"""Weights read from a file and put into a network, strictly: all of them fit, or none is used.

Imports torch: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dashboard.errors import InputError, caution, listing
from dashboard.networks import download, files, formats

State = dict[str, torch.Tensor]

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "ema")
"""Keys under which training programs keep the state dict, in the order in which they are tried."""

PREFIXES = ("module.", "model.", "_orig_mod.")
"""What DataParallel, Lightning and torch.compile put before every name."""

_NOT_WEIGHTS = {"optimizer", "optimizer_states", "lr_schedulers", "callbacks", "loops", "hyper_parameters"}
"""Keys under which training programs keep other things than the weights."""

MAX_BYTES = 8 * 2**30

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Types of torch by the names that safetensors gives them; the keys are those of `formats.ITEM_BYTES`."""
_LAYERS_OF_UNWRAPPING = 3


class WeightsDoNotFit(InputError):
    """Weights that belong to another architecture.

    Parameters
    ----------
    problem, remedy : str
        As for every `InputError`; the problem names the counts.
    table : list of dict
        A row per difference: ``name``, ``problem`` (missing, unexpected or shape), ``expected``, ``found``.
    """

    def __init__(self, problem: str, remedy: str = "", table: list[dict[str, str]] | None = None) -> None:
        super().__init__(problem, remedy)
        self.table = table or []

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problem, self.remedy, self.table)


def read_file(file: Path, digest: str | None = None) -> State:
    """Read a state dict from a safetensors file or from a checked PyTorch checkpoint.

    Parameters
    ----------
    file : Path
        The weight file.
    digest : str, optional
        SHA-256 that the bytes must have; guards against a file that changes while it is used. They are
        compared beside the reading, see `files.verified`; every check of the format comes before the opening
        all the same.

    Returns
    -------
    dict of str to torch.Tensor
        As stored: wrappers and prefixes are still there only when they could not be told apart. Inside of
        `files.headers_alone` the tensors of a safetensors file have no memory.

    Raises
    ------
    InputError
        When the file is missing, damaged or of a kind that can run code.
    """
    found = files.header(file) if files.unread() else None
    if found is not None:
        files.compare(files.header_digest(*found), digest or "", file)
        return _shapes(*found, file.name)
    data = _bytes(file)
    wait = files.verified(data, digest, file) if digest is not None else lambda: None
    try:
        state = _opened(data, file.name)
    except InputError:
        wait()  # a file that was changed in between is called that, not damaged
        raise
    wait()
    return state


def _shapes(header: bytes, size: int, name: str) -> State:
    """Return tensors without memory, with the types and shapes that a checked header tells."""
    told = formats.check_safetensors(header, name, size)
    return {key: torch.empty(shape, dtype=_TYPES[kind], device="meta") for key, (kind, shape) in told.items()}


def _opened(data: bytes, name: str) -> State:
    if formats.recognise(data, name) == "safetensors":
        formats.check_safetensors(data, name)
        return _safetensors(data, name)
    formats.check_checkpoint(data, name)
    return unwrap(_checkpoint(data, name), name)


def read_tables(data: bytes, name: str) -> dict[str, State]:
    """Read every table of weights in a file, by the keys that lead to it (``""`` for the file itself).

    Parameters
    ----------
    data : bytes
        A safetensors file or a PyTorch checkpoint; it is checked before it is opened.
    name : str

    Raises
    ------
    InputError
        When the file is refused or damaged, or holds no table of weights.
    """
    if formats.recognise(data, name) == "safetensors":
        formats.check_safetensors(data, name)
        return {"": _safetensors(data, name)}
    formats.check_checkpoint(data, name)
    found: dict[str, State] = {}
    waiting: list[tuple[str, Any]] = [("", _checkpoint(data, name))]
    while waiting:
        path, content = waiting.pop(0)
        if not isinstance(content, dict) or path.count(".") >= _LAYERS_OF_UNWRAPPING:
            continue
        tensors = _only_tensors(content)
        if len(tensors) > 1 and any(t.dim() > 1 for t in tensors.values()):
            found[path] = tensors
        inner = [(k, v) for k, v in content.items() if isinstance(k, str) and isinstance(v, dict)]
        waiting.extend((f"{path}.{k}" if path else k, v) for k, v in inner if k not in _NOT_WEIGHTS)
    if not found:
        message = f'"{formats.clean(name)}" holds no table of weights.'
        raise formats.WeightsRefused(message, "Save the state dict as .safetensors and use that.")
    return found


def read_verified(file: Path) -> State:
    """Read a checkpoint that `download.fetch` gave; older layouts are read, too.

    Its bytes are compared with the hash in its name first, because no check of the format stands before them.
    """
    data = _bytes(file)
    files.compare(hashlib.sha256(data).hexdigest(), download.published_hash(file.name), file)
    return unwrap(_checkpoint(data, file.name), file.name)


def put(state: State, module: nn.Module, name: str, architecture: str) -> None:
    """Load a state dict into a network, all or nothing, as float32.

    Parameters
    ----------
    state : dict of str to torch.Tensor
        Names to weights.
    module : nn.Module
        The network, which may be on the meta device; untouched when the weights do not fit.
    name : str
        What the weights are called in messages.
    architecture : str
        What the network is called in messages.

    Raises
    ------
    WeightsDoNotFit
        With a table of missing, unexpected and wrongly shaped names.
    """
    own = module.state_dict()
    state = _match_names(state, own, name)
    table = differences(state, own)
    if table:
        raise _misfit(table, own, name, architecture)
    state = as_float32(state, name)
    tell_not_finite(state, name)
    ordered = type(own)(state)
    # MNASNet and BatchNorm read a version here; names and shapes were just compared with today's.
    ordered._metadata = own._metadata  # type: ignore[attr-defined]
    module.load_state_dict(ordered, strict=True, assign=True)


def differences(state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> list[dict[str, str]]:
    """Return a row per name that is missing, unexpected or of another shape."""
    rows = []
    for key, tensor in own.items():
        if key not in state:
            rows.append(_row(key, "missing", shape_text(tensor), ""))
        elif state[key].shape != tensor.shape:
            rows.append(_row(key, "shape", shape_text(tensor), shape_text(state[key])))
    rows.extend(_row(key, "unexpected", "", shape_text(state[key])) for key in state if key not in own)
    return rows


def shape_text(tensor: torch.Tensor) -> str:
    """Return a shape as people write it: ``64 × 3 × 7 × 7``."""
    return " × ".join(map(str, tensor.shape)) or "1 number"


def unwrap(content: Any, name: str) -> State:
    """Return the tensors of a checkpoint from under ``state_dict``, ``model``, …; tell what was taken.

    Raises
    ------
    InputError
        When there is no table of tensors in it.
    """
    taken = []
    for _ in range(_LAYERS_OF_UNWRAPPING):
        key = next(
            (k for k in WRAPPERS if isinstance(content, dict) and isinstance(content.get(k), dict)), None
        )
        if key is None:
            break
        content = content[key]
        taken.append(key)
    tensors = _only_tensors(content)
    if not tensors:
        message = f'"{formats.clean(name)}" holds no table of weights.'
        raise formats.WeightsRefused(message, "Save the state dict as .safetensors and use that.")
    if taken:
        caution("weights-unwrapped", f'The weights were taken from "{".".join(taken)}" inside "{name}".')
    return tensors


def as_float32(state: State, name: str) -> State:
    """Return the weights as float32 (counters stay whole numbers); tell when they were stored otherwise."""
    kinds = Counter(str(t.dtype).removeprefix("torch.") for t in state.values() if t.is_floating_point())
    others = sorted(kind for kind in kinds if kind != "float32")
    if others:
        caution(
            f"{others[0]}-weights",
            f'The weights in "{name}" are stored as {" and ".join(others)} and computed with as float32.',
        )
    return {k: t.float() if t.is_floating_point() else t for k, t in state.items()}


# --- reading ---------------------------------------------------------------------------------------


def _bytes(file: Path) -> bytes:
    if file.is_dir():
        raise formats.refuse("folder", file.name)
    try:
        if file.stat().st_size > MAX_BYTES:
            message = f'The weight file "{file.name}" is larger than 8 GiB.'
            raise InputError(message, "Use a smaller network.")
        return file.read_bytes()
    except FileNotFoundError as error:
        message = f'There is no weight file "{file.name}".'
        raise InputError(message, "Check the path.") from error
    except OSError as error:
        raise files.unreadable(file, error) from error


def _safetensors(data: bytes, name: str) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise formats.refuse("damaged", name) from error


def _checkpoint(data: bytes, name: str) -> Any:
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's own message says how to switch the check off: never pass it on
        raise formats.refuse("damaged", name) from error
    for tensor in _only_tensors(content).values():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or not _inside(tensor):
            raise formats.refuse("damaged", name, "a tensor claims more numbers than the file has")
    return content


def _inside(tensor: torch.Tensor) -> bool:
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _only_tensors(content: Any) -> State:
    """Return the tensors of a table; what else training programs keep beside them is left out."""
    if not isinstance(content, dict):
        return {}
    return {
        key: value.detach().contiguous()
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }


# --- fitting ---------------------------------------------------------------------------------------


def _row(name: str, problem: str, expected: str, found: str) -> dict[str, str]:
    return {"name": formats.clean(name), "problem": problem, "expected": expected, "found": found}


def _match_names(state: State, own: Mapping[str, torch.Tensor], name: str) -> State:
    """Take common prefixes off when more names fit without them, and mend two old ways of naming."""
    tried = [("", state)]
    while (prefix := _common_prefix(tried[-1][1])) is not None:
        removed, longer = tried[-1]
        tried.append((removed + prefix, {key.removeprefix(prefix): t for key, t in longer.items()}))
    removed, state = max(tried, key=lambda pair: len(own.keys() & pair[1].keys()))
    if removed:
        caution("weights-prefix", f'"{removed}" was taken off the names of the weights in "{name}".')
    state = {_today(key, own): tensor for key, tensor in state.items()}
    counters = {
        k: torch.zeros_like(t, device="cpu") for k, t in own.items() if k.endswith("num_batches_tracked")
    }
    return {**{k: t for k, t in counters.items() if k not in state}, **state}


def _common_prefix(state: State) -> str | None:
    """Return a prefix that every name has."""
    return next((p for p in PREFIXES if state and all(key.startswith(p) for key in state)), None)


def _today(key: str, own: Mapping[str, torch.Tensor]) -> str:
    """Return today's name of a weight; torchvision's DenseNet files still say ``norm.1`` for ``norm1``."""
    if key in own:
        return key
    newer = re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", key)
    return newer if newer in own else key


def _misfit(
    table: list[dict[str, str]], own: Mapping[str, torch.Tensor], name: str, architecture: str
) -> WeightsDoNotFit:
    head = _head_classes(table, own)
    if head is not None:
        found, expected = head
        problem = f'"{name}" has a class head of {found} classes, where {architecture} has {expected} here.'
        remedy = f"Add classes={found} to the reference of the network to open it with that head."
        return WeightsDoNotFit(problem, remedy, table)
    counts = Counter(row["problem"] for row in table)
    parts = [
        f"{counts['missing']} missing",
        f"{counts['unexpected']} unexpected",
        f"{counts['shape']} of another shape",
    ]
    names = listing(row["name"] for row in table)
    problem = f'"{name}" does not fit {architecture}: {", ".join(parts)} ({names}).'
    return WeightsDoNotFit(problem, "Choose the architecture that the weights were trained with.", table)


def _head_classes(table: list[dict[str, str]], own: Mapping[str, torch.Tensor]) -> tuple[int, int] | None:
    """Return found and expected number of classes when nothing but the number of outputs differs."""
    layers = {row["name"].rpartition(".")[0] for row in table}
    if {row["problem"] for row in table} != {"shape"}:
        return None
    pairs = [(row["found"].split(" × "), row["expected"].split(" × ")) for row in table]
    if any(found[1:] != expected[1:] for found, expected in pairs):
        return None
    heads = {(found[0], expected[0]) for found, expected in pairs}
    last = [key.rpartition(".")[0] for key in own if own[key].dim() >= 2][-1:]
    if len(heads) != 1 or not layers.issuperset(last):  # auxiliary heads may differ as well
        return None
    found, expected = heads.pop()
    return int(found), int(expected)


def tell_not_finite(state: State, name: str) -> None:
    """Say how many weights are NaN or infinite, and where; nothing of weights that are not read."""
    if any(t.is_meta for t in state.values()):
        return
    # A NaN or an infinity makes the sum one: a finite sum clears a tensor in a fraction of the time.
    suspects = {k: t for k, t in state.items() if t.is_floating_point() and not t.sum().isfinite()}
    bad = {k: n for k, t in suspects.items() if (n := int((~t.isfinite()).sum()))}
    if bad:
        total = sum(t.numel() for t in state.values())
        caution(
            "weights-not-finite",
            f'{sum(bad.values()):,} of {total:,} weights in "{name}" are NaN or infinite, '
            f"in {listing(map(formats.clean, bad))}.",
        )
