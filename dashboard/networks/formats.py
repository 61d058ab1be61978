"""What a weight file is, told from its bytes before anything opens it; files that can run code are refused.

Nothing here imports torch or un-pickles with a loader that can call what a file names. The limits: a
safetensors header of at most 10 MB with at most 20,000 tensors; a zip checkpoint with stored members only,
one ``data.pkl`` of at most 10 MB that names nothing but tensors, storages and ordered dicts, and no code.
"""

from __future__ import annotations

import collections
import io
import json
import math
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dashboard.errors import InputError

MAX_HEADER = 10 * 10**6
MAX_TENSORS = 20_000
MAX_NESTING = 20

ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Bytes per element of the safetensors types that are read."""

_STORAGES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
}
_REFUSED_OPCODES = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}

_FROM_MODULE = """\
import torch  # run this on the computer where the file was made
from safetensors.torch import save_file
state = torch.load("model.pt", weights_only=False)
state = state if isinstance(state, dict) else state.state_dict()
save_file({k: v.detach().clone().contiguous() for k, v in state.items()}, "model.safetensors")
"""
_FROM_PROGRAM = """\
import torch  # run this on the computer where the file was made
from safetensors.torch import save_file
state = torch.jit.load("model.pt").state_dict()  # for .pt2: torch.export.load("model.pt2").state_dict
save_file({k: v.detach().clone().contiguous() for k, v in state.items()}, "model.safetensors")
"""
_FROM_ARRAYS = """\
from safetensors.numpy import save_file  # run this on the computer where the file was made
# arrays: a dict of NumPy arrays named like the PyTorch layers;
# Keras kernels are (H, W, in, out) and PyTorch's are (out, in, H, W)
save_file(arrays, "model.safetensors")
"""


class WeightsRefused(InputError):
    """A weight file of a kind that is not opened.

    Parameters
    ----------
    problem, remedy : str
        As for every `InputError`.
    conversion : str, optional
        Lines of Python that make a safetensors file of it where it was made.
    """

    def __init__(self, problem: str, remedy: str = "", conversion: str = "") -> None:
        super().__init__(problem, remedy)
        self.conversion = conversion

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problem, self.remedy, self.conversion)


@dataclass(frozen=True)
class _Refusal:
    problem: str
    remedy: str
    conversion: str = ""


_AGAIN = "Download it again."
_SAVE_STATE = "Save the state dict as .safetensors where the file was made and use that."

REFUSALS: dict[str, _Refusal] = {
    "pickle": _Refusal("can run code when opened.", _SAVE_STATE, _FROM_MODULE),
    "program": _Refusal(
        "holds a program, not only weights.", "Export the weights as .safetensors.", _FROM_PROGRAM
    ),
    "keras": _Refusal(
        "is a Keras or TensorFlow model, which is not read.",
        "Convert the weights to .safetensors.",
        _FROM_ARRAYS,
    ),
    "hdf5": _Refusal(
        "is an HDF5 file, such as Keras writes, which is not read as weights.",
        "Convert the weights to .safetensors.",
        _FROM_ARRAYS,
    ),
    "onnx": _Refusal(
        "is an ONNX file, which is not read.", "Use .safetensors weights of a listed architecture."
    ),
    "numpy": _Refusal(
        "holds NumPy arrays, which are not read as weights.",
        "Save them as .safetensors, named like the layers of the network.",
        _FROM_ARRAYS,
    ),
    "packed": _Refusal(
        "is a compressed file or an archive, not weights.",
        "Unpack it, and use the .safetensors or .pt file inside.",
    ),
    "zip": _Refusal(
        "is a zip file without PyTorch weights.", "Use a .safetensors file or a saved state dict."
    ),
    "folder": _Refusal("is a folder, not a weight file.", "Name the .safetensors file inside it."),
    "empty": _Refusal("is empty (0 bytes).", _AGAIN),
    "web page": _Refusal("is a web page, not weights.", "Download the file itself, not the page about it."),
    "pointer": _Refusal(
        "is only a pointer to a file that Git LFS or git-annex keeps elsewhere.",
        "Fetch the real file with git lfs pull or git annex get.",
    ),
    "damaged": _Refusal("is not complete or is damaged.", _AGAIN),
    "unknown": _Refusal(
        "is not a weight file that is read here.", "Use a .safetensors file or a saved PyTorch state dict."
    ),
}
"""Every kind of file that is not opened, with what is said about it."""


def refuse(kind: str, name: str, detail: str = "") -> WeightsRefused:
    """Return the error for a file of a kind that is not opened.

    Parameters
    ----------
    kind : str
        A key of `REFUSALS`.
    name : str
        Base name of the file.
    detail : str, optional
        What was seen, put in brackets.
    """
    refusal = REFUSALS[kind]
    problem = refusal.problem
    if detail:
        problem = f"{problem.rstrip('.')} ({detail})."
    return WeightsRefused(f'"{clean(name)}" {problem}', refusal.remedy, refusal.conversion)


def clean(text: object, limit: int = 80) -> str:
    """Return text from a file without control characters and not longer than ``limit``."""
    shown = "".join(c if c.isprintable() else "?" for c in str(text))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def recognise(data: bytes, name: str) -> str:
    """Return ``"safetensors"`` or ``"checkpoint"``, or refuse the file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        Its base name; used in messages and, where the bytes say nothing, for its ending.

    Raises
    ------
    WeightsRefused
        For every other kind of file.
    """
    ending = name.lower().rpartition(".")[2]
    if not data:
        raise refuse("empty", name)
    # The length of the header comes first, in 8 bytes; real ones leave the upper four at 0.
    if data[4:9] == b"\0\0\0\0{":
        return "safetensors"
    if data.startswith(b"PK\x03\x04"):
        return "checkpoint"
    kind = looks_like(data, ending)
    if kind is not None:
        raise refuse(kind, name)
    raise refuse("damaged" if ending in ("safetensors", "pt", "pth") else "unknown", name)


def looks_like(data: bytes, ending: str) -> str | None:
    """Return the key of `REFUSALS` that the first bytes of a file or its ending fit, if one does."""
    return next((kind for kind, looks_so in _LOOKS if looks_so(data, ending)), None)


def _is_web_page(data: bytes, ending: str) -> bool:
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml"))


def _is_pointer(data: bytes, ending: str) -> bool:
    return data.startswith(b"version https://git-lfs") or (len(data) < 1024 and b"annex/objects/" in data)


def _is_packed(data: bytes, ending: str) -> bool:
    return data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"))


def _is_tar(data: bytes, ending: str) -> bool:
    return data[257:262] == b"ustar"


def _is_pickle(data: bytes, ending: str) -> bool:
    """Tell pickles: protocol 2 and later by their first bytes, earlier ones by reading opcodes."""
    if data[:1] == b"\x80" and len(data) > 1 and data[1] <= 5:
        return True
    if ending in ("pkl", "pickle", "joblib", "dill", "cloudpickle"):
        return True
    try:
        opcodes = [opcode for opcode, _, _ in _opcodes(data[:4096])]
    except ValueError:
        return data[:1] in b"c(" and b"\n" in data[:256] and ending in ("pt", "pth", "bin", "ckpt")
    # By chance tables read as opcodes, too ("stimulus,unit" above "ori 000.0"), but nothing is there to begin
    # with that the first one could take.
    return len(opcodes) > 1 and not opcodes[0].stack_before


def _is_onnx(data: bytes, ending: str) -> bool:
    # protobuf: field 1 (IR version, a small number), then field 2 (producer) or a later field as bytes
    return ending == "onnx" or (
        data[:1] == b"\x08" and 0 < data[1] < 32 and data[2:3] in (b"\x12", b"\x1a", b"\x3a")
    )


_LOOKS: tuple[tuple[str, Callable[[bytes, str], bool]], ...] = (
    ("web page", _is_web_page),
    ("pointer", _is_pointer),
    ("hdf5", lambda data, ending: data.startswith(b"\x89HDF")),
    ("numpy", lambda data, ending: data.startswith(b"\x93NUMPY")),
    ("keras", lambda data, ending: ending in ("keras", "pb", "tflite")),
    ("pickle", _is_tar),
    ("pickle", lambda data, ending: ending == "joblib"),
    ("packed", _is_packed),
    ("onnx", _is_onnx),
    ("pickle", _is_pickle),
)


# --- safetensors ----------------------------------------------------------------------------------


def check_safetensors(data: bytes, name: str, size: int | None = None) -> dict[str, tuple[str, list[int]]]:
    """Check the header of a safetensors file: sizes, no name twice, every byte of the file accounted for.

    Parameters
    ----------
    data : bytes
        The file, or all of it but the weights.
    name : str
    size : int, optional
        Bytes of the whole file when ``data`` is not all of it.

    Returns
    -------
    dict
        Type and shape of every tensor by its name.

    Raises
    ------
    WeightsRefused
        When the header is damaged, over the limits, or does not describe the file.
    """
    size = len(data) if size is None else size
    header = _header(data, name)
    start = 8 + int.from_bytes(data[:8], "little")
    spans = []
    for tensor, facts in header.items():
        if tensor == "__metadata__":
            continue
        spans.append(_span(tensor, facts, name))
    if len(spans) > MAX_TENSORS:
        raise refuse("damaged", name, f"it names {len(spans)} tensors")
    position = 0
    for low, high in sorted(spans):
        if low != position:
            raise refuse("damaged", name, "its tensors overlap or leave gaps")
        position = high
    if start + position != size:
        raise refuse("damaged", name, f"its header asks for {start + position} bytes and it has {size}")
    return {k: (facts["dtype"], facts["shape"]) for k, facts in header.items() if k != "__metadata__"}


def _header(data: bytes, name: str) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    if size > MAX_HEADER or size > len(data) - 8:
        raise refuse("damaged", name, "its header is longer than the file or than 10 MB")
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = collections.Counter(key for key, _ in pairs)
        twice.extend(key for key, count in counts.items() if count > 1)
        return dict(pairs)

    try:
        header = json.loads(data[8 : 8 + size].decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise refuse("damaged", name, "its header is not JSON") from error
    if twice:
        raise refuse("damaged", name, f"it names {clean(twice[0])} twice")
    if not isinstance(header, dict):
        raise refuse("damaged", name, "its header is not a table")
    return header


def _span(tensor: str, facts: Any, name: str) -> tuple[int, int]:
    """Return the first byte of a tensor and the one behind its last."""
    if not isinstance(facts, dict) or set(facts) != {"dtype", "shape", "data_offsets"}:
        raise refuse("damaged", name, f"its entry {clean(tensor)} is incomplete")
    shape, offsets = facts["shape"], facts["data_offsets"]
    whole = all(
        isinstance(v, list) and all(type(n) is int and 0 <= n < 2**48 for n in v) for v in (shape, offsets)
    )
    if not whole or len(offsets) != 2 or len(shape) > 64:
        raise refuse("damaged", name, f"its entry {clean(tensor)} is incomplete")
    if facts["dtype"] not in ITEM_BYTES:
        message = f'"{clean(name)}" stores {clean(tensor)} as {clean(facts["dtype"], 12)}, which is not read.'
        raise WeightsRefused(message, "Save the weights as float32 or float16.")
    low, high = offsets
    if high - low != math.prod(shape) * ITEM_BYTES[facts["dtype"]]:
        raise refuse("damaged", name, f"the shape of {clean(tensor)} does not fit its bytes")
    return low, high


# --- PyTorch zip checkpoints ----------------------------------------------------------------------


def check_checkpoint(data: bytes, name: str) -> None:
    """Check a ``.pt`` or ``.pth`` file without running anything that it names.

    Raises
    ------
    WeightsRefused
        When the file is not a zip of plain tensors: it holds code, names anything outside the allowed list,
        is compressed, damaged, nested too deeply, or claims more numbers than it has.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _members(archive, name)
            pickled = archive.read(_one_pickle(members, name))
            _check_opcodes(pickled, name)
            _check_structure(pickled, members, name)
            broken = archive.testzip()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # zipfile raises many kinds on damaged bytes: of decoding, seeking, unpacking
        raise refuse("damaged", name) from error
    if broken is not None:
        raise refuse("damaged", name, "its checksums do not match")


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """Return the members by path inside the archive, after looking at what kind of zip this is."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise refuse("damaged", name, "it has a member twice")
    _refuse_other_zips(names, name)
    for info in infos:
        parts = info.filename.replace("\\", "/").split("/")
        if (
            info.filename.startswith("/")
            or ".." in parts
            or (info.external_attr >> 16) & 0o170000 == 0o120000
        ):
            raise refuse("damaged", name, "it holds an unsafe member")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise refuse("damaged", name, "its members are compressed, which PyTorch never does")
    return {info.filename: info for info in infos}


def _refuse_other_zips(names: list[str], name: str) -> None:
    bases = {n.rpartition("/")[2] for n in names}
    if any("/code/" in f"/{n}" for n in names) or "constants.pkl" in bases:
        raise refuse("program", name)
    program = {"serialized_exported_program.json", "archive_format", "serialized_state_dict.pt", "model.so"}
    if bases & program or any(n.endswith((".so", ".py")) for n in names):
        raise refuse("program", name)
    if "model.weights.h5" in bases or "keras_metadata.pb" in bases or "saved_model.pb" in bases:
        raise refuse("keras", name)
    if names and all(n.endswith(".npy") for n in names):
        raise refuse("numpy", name)


def _one_pickle(members: dict[str, zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    pickles = [info for path, info in members.items() if path.rpartition("/")[2] == "data.pkl"]
    if not pickles:
        raise refuse("zip", name)
    if len(pickles) > 1 or any(
        path.endswith((".pkl", ".pickle")) for path in members if path != pickles[0].filename
    ):
        raise refuse("damaged", name, "it holds more than one pickle")
    if pickles[0].file_size > MAX_HEADER:
        raise refuse("damaged", name, "its table of contents is larger than 10 MB")
    return pickles[0]


def _opcodes(data: bytes) -> Iterator[tuple[Any, Any, int | None]]:
    try:
        yield from pickletools.genops(data)
    except (ValueError, KeyError, IndexError, EOFError, OverflowError, AttributeError, TypeError) as error:
        message = "not a pickle"
        raise ValueError(message) from error


def _check_opcodes(pickled: bytes, name: str) -> None:
    """Walk the pickle without running it; only tensors, storages and ordered dicts may be named."""
    try:
        for opcode, argument, position in _opcodes(pickled):
            if opcode.name in _REFUSED_OPCODES:
                raise refuse("pickle", name, f"it uses {opcode.name}")
            if opcode.name == "GLOBAL" and tuple(argument.split(" ", 1)) not in _ALLOWED:
                raise refuse("pickle", name, f"it names {clean(argument.replace(' ', '.'))}")
            last = position
    except ValueError as error:
        raise refuse("damaged", name) from error
    if last is None or last + 1 != len(pickled):
        raise refuse("damaged", name, "there is more behind its table of contents")


class _Sealed:
    """Refuses the BUILD opcode, which could otherwise change a stand-in behind the checks."""

    def __setstate__(self, state: Any) -> None:
        raise ValueError


@dataclass(frozen=True)
class _Storage(_Sealed):
    key: str
    item_bytes: int
    count: int


@dataclass(frozen=True)
class _Tensor(_Sealed):
    """What a tensor claims; stands for it while the structure is checked."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Ordered(dict):  # type: ignore[type-arg]
    """Stands for OrderedDict; takes any state (torch keeps ``_metadata`` there)."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _rebuild_tensor(
    storage: Any,
    offset: Any,
    shape: Any,
    stride: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    *rest: Any,
) -> _Tensor:
    numbers = (offset, *shape, *stride)
    if (
        not isinstance(storage, _Storage)
        or rest
        or not all(type(n) is int and 0 <= n < 2**48 for n in numbers)
    ):
        raise ValueError
    if not isinstance(shape, tuple) or not isinstance(stride, tuple) or len(shape) != len(stride):
        raise ValueError
    return _Tensor(storage, offset, shape, stride)


def _rebuild_parameter(tensor: Any, requires_grad: Any = False, hooks: Any = None) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        raise ValueError  # noqa: TRY004 - every fault of the file is a ValueError here
    return tensor


_ALLOWED: dict[tuple[str, ...], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("collections", "OrderedDict"): _Ordered,
    **{("torch", kind): size for kind, size in _STORAGES.items()},
}
"""What a checkpoint may name, and the harmless thing that stands for it during the check."""


class _Inspector(pickle.Unpickler):
    """Reads the structure of a checkpoint with stand-ins: no name in the file leads to real code."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[(module, name)]
        except KeyError:
            raise ValueError from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, item_bytes, key, _location, count = pid
        if (
            kind != "storage"
            or type(item_bytes) is not int
            or type(count) is not int
            or not 0 <= count < 2**48
        ):
            raise ValueError
        return _Storage(str(key), item_bytes, count)


def _check_structure(pickled: bytes, members: dict[str, zipfile.ZipInfo], name: str) -> None:
    """Check sizes and nesting of what the checkpoint claims to hold, before memory is taken for it."""
    try:
        content = _Inspector(io.BytesIO(pickled)).load()
    except Exception as error:  # a hostile pickle can raise anything; none of it says more than this
        raise refuse("damaged", name) from error
    sizes = {"/".join(path.rsplit("/", 2)[-2:]): info.file_size for path, info in members.items()}
    tensors = 0
    for tensor in _tensors(content, name):
        tensors += 1
        storage = tensor.storage
        if sizes.get(f"data/{storage.key}") != storage.count * storage.item_bytes:
            raise refuse("damaged", name, "a tensor claims more numbers than the file has")
        _check_extent(tensor, name)
    if tensors > MAX_TENSORS:
        raise refuse("damaged", name, f"it holds {tensors} tensors")


def _check_extent(tensor: _Tensor, name: str) -> None:
    """Check that a tensor stays inside its storage and shows no number more than once."""
    count = math.prod(tensor.shape)
    last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride, strict=True)) if count else -1
    if tensor.offset + last + 1 > tensor.storage.count or count > tensor.storage.count:
        raise refuse("damaged", name, "a tensor claims more numbers than the file has")


def _tensors(content: Any, name: str) -> Iterator[_Tensor]:
    """Walk nested dicts, lists and tuples with a stack; refuse more than 20 levels (or a loop)."""
    stack = [(content, 0)]
    seen: set[tuple[int, int]] = set()
    while stack:
        item, level = stack.pop()
        if level > MAX_NESTING:
            raise refuse("damaged", name, f"it is nested more than {MAX_NESTING} levels deep")
        if isinstance(item, _Tensor):
            yield item
        elif isinstance(item, dict | list | tuple) and (id(item), level) not in seen:
            seen.add((id(item), level))
            children = [*item.keys(), *item.values()] if isinstance(item, dict) else item
            stack.extend((child, level + 1) for child in children)
