"""Transformers as Hugging Face publishes them: ``hf:FOLDER`` or ``hf:NAME[?revision=COMMIT]``.

Only architectures of the table `TYPES` are built, by the installed transformers, and only safetensors are
read: code that a folder brings along is never run. The files are checked here, before anything opens them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dashboard import settings
from dashboard.errors import InputError, listing, unknown
from dashboard.networks import files, formats, hub
from dashboard.networks.network import Entry, Opened
from dashboard.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

PREPROCESSING_VERSION = 2
"""Raised when the same files are read or preprocessed otherwise, so that stored answers are not mistaken."""

Kind = Literal["image", "text"]

TYPES: dict[str, Kind] = {
    "albert": "text",
    "bert": "text",
    "camembert": "text",
    "distilbert": "text",
    "electra": "text",
    "modernbert": "text",
    "mpnet": "text",
    "roberta": "text",
    "xlm-roberta": "text",
    "beit": "image",
    "convnext": "image",
    "convnextv2": "image",
    "deit": "image",
    "dinov2": "image",
    "mobilenet_v2": "image",
    "regnet": "image",
    "resnet": "image",
    "swin": "image",
    "swinv2": "image",
    "vit": "image",
}
"""What each model type reads; others are refused."""

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLED = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.bin")
_OTHERS = ("tf_model.h5", "flax_model.msgpack", "*.onnx", "*.gguf")
_MOST_JSON = 8 * 2**20
_MOST_TOKENIZER = 64 * 2**20
_SAVE_AGAIN = "Use a folder as save_pretrained of transformers writes it, with config.json and .safetensors."


@dataclass(frozen=True)
class Folder:
    """The files of a network after the checks.

    Attributes
    ----------
    name : str
        What the network is called.
    config, tokenizer_config, preprocessor : dict
        What the JSON files say; empty where there is none.
    weights : tuple of Path
        Every safetensors file; none for an untrained twin.
    tokenizer : Path or None
        ``tokenizer.json`` of a text network.
    longest : int or None
        Most tokens that a sentence encoder was trained on.
    brought : bool
        Whether somebody uploaded it: what its tokenizer does then runs under limits.
    """

    name: str
    config: dict[str, Any]
    tokenizer_config: dict[str, Any]
    preprocessor: dict[str, Any]
    weights: tuple[Path, ...]
    tokenizer: Path | None
    longest: int | None
    brought: bool = False

    @property
    def kind(self) -> Kind:
        """What the network reads."""
        return TYPES[self.config["model_type"]]

    @property
    def architecture(self) -> str:
        """Class that the weights were saved from, or ``""``."""
        named = self.config.get("architectures")
        return str(named[0]) if isinstance(named, list) and named else ""


def facts(ref: Reference) -> dict[str, Any]:
    """Return what answers about a network depend on: every file that is read, or the commit, and versions."""
    versions = {
        "transformers": version("transformers"),
        "tokenizers": version("tokenizers"),
        "torch": version("torch"),
        "preprocessing": PREPROCESSING_VERSION,
    }
    folder = local_folder(ref)
    if folder is None:
        pinned = hub.pin(ref.rest, ref.options.get("revision", ""))
        return {"name": pinned.name, "commit": pinned.commit, **versions}
    inspect(folder, folder.name, trained="untrained" not in ref.options)
    return {"files": {file.name: files.sha256(file) for file in _read(folder, ref)}, **versions}


def entries() -> Iterable[Entry]:
    """Return the folders of listed model types in the weights folders."""
    for root in settings.weights_roots():
        for config in sorted(root.glob("*/config.json")):
            folder = config.parent
            try:
                found = inspect(folder, folder.name)
            except InputError:
                continue
            title = f"{folder.name} ({found.config['model_type']}, weights from a folder)"
            yield Entry(str(Reference(f"hf:{folder.name}")), title, "hf", "file")


def reads(ref: Reference) -> Kind:
    """Return what the network is shown, from its settings; pictures where those were never fetched."""
    folder = local_folder(ref) or hub.pin(ref.rest, ref.options.get("revision", "")).folder
    config = _json(folder / "config.json", folder.name)
    return TYPES.get(str(config.get("model_type")), "image")


def open_network(ref: Reference, called: str = "", brought: bool = False) -> Opened:
    """Build the network and load its weights; fetch them first where the name is one of the Hub.

    A folder is called by its own name unless another is given; of one that somebody brought texts are encoded
    in a process with limits.
    """
    from dashboard.networks import hf_models

    trained = "untrained" not in ref.options
    folder, told = local_folder(ref), ""
    if folder is None:
        folder, told = _fetched(ref, trained)
        name = ref.rest.rpartition("/")[2]
    else:
        name = called or folder.name
    found = dataclasses.replace(inspect(folder, name, trained), brought=brought)
    if not trained:
        told = f"Untrained: random weights from seed {ref.integer('seed', 0)}."
    elif not told:
        told = f'Weights from the folder "{name}", SHA-256 {files.sha256(found.weights[0])[:12]}.'
    return hf_models.build(found, told, trained)


def local_folder(ref: Reference) -> Path | None:
    """Return the folder that a reference names, or None when it can only be a name of the Hub.

    Raises
    ------
    InputError
        When it is neither.
    """
    found = files.find(ref.rest) if ref.rest else None
    if found is not None and found.is_dir():
        if "revision" in ref.options:
            message = f'"{found.name}" is a folder here, which has no revision.'
            raise InputError(message, "Leave the revision out.")
        return found
    if found is None and hub.NAME.fullmatch(ref.rest):
        return None
    shown = formats.clean(Path(ref.rest).name)
    message = f'"{shown}" is a file, not a folder.' if found else f'There is no folder "{shown}".'
    raise InputError(message, "Write hf:FOLDER, or hf:NAME as on the Hugging Face Hub.")


def _fetched(ref: Reference, trained: bool) -> tuple[Path, str]:
    """Return the folder of a network of the Hub and the sentence about its weights."""
    pinned = hub.pin(ref.rest, ref.options.get("revision", ""))
    beside = [file for file in hub.BESIDE if file in pinned.files]
    folder = hub.fetch(pinned, beside)
    # Before hundreds of megabytes come: is it something that can be opened?
    inspect(folder, pinned.name, trained=False)
    if trained:
        hub.fetch(pinned, hub.weight_files(pinned))
    return folder, f"Published weights of {pinned.name} on the Hugging Face Hub, commit {pinned.commit[:12]}."


def _read(folder: Path, ref: Reference) -> list[Path]:
    """Return every file of a folder that is read."""
    beside = [folder / name for name in hub.BESIDE if (folder / name).is_file()]
    return beside + ([] if "untrained" in ref.options else weight_files(folder, folder.name))


# --- the checks ------------------------------------------------------------------------------------


def inspect(folder: Path, name: str, trained: bool = True) -> Folder:
    """Check the files of a folder, without opening the weights beyond their first bytes.

    Raises
    ------
    InputError
        When the folder is incomplete, of another kind, or asks for code of its own.
    """
    config = _json(folder / "config.json", name, needed=True)
    beside = {n: _json(folder / n, name) for n in ("tokenizer_config.json", "preprocessor_config.json")}
    if any(_asks_for_code(part) for part in (config, *beside.values())):
        message = f'"{formats.clean(name)}" asks for its own code, which is not run.'
        raise InputError(message, "Use a listed model type with .safetensors weights.")
    _check_type(config, name)
    weights = tuple(weight_files(folder, name)) if trained else ()
    tokenizer = folder / "tokenizer.json"
    if TYPES[config["model_type"]] == "text":
        _check_tokenizer(tokenizer, name)
    longest = _json(folder / "sentence_bert_config.json", name).get("max_seq_length")
    return Folder(
        name=name,
        config=config,
        tokenizer_config=beside["tokenizer_config.json"],
        preprocessor=beside["preprocessor_config.json"],
        weights=weights,
        tokenizer=tokenizer if tokenizer.is_file() else None,
        longest=longest if isinstance(longest, int) and longest > 1 else None,
    )


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return the safetensors files of a folder, all of them there and none a pointer.

    Raises
    ------
    InputError
        When there is none, or the download is not complete.
    """
    shown = formats.clean(name)
    index = _json(folder / INDEX, name)
    if index:
        found = _shards(folder, index, shown)
    else:
        one = folder / WEIGHTS
        found = [one] if one.is_file() else sorted(folder.glob("*.safetensors"))
        if len(found) > 1:
            message = f'"{shown}" holds {len(found)} weight files and no {INDEX} that joins them.'
            raise InputError(message, "Download the folder again, complete.")
    if not found:
        raise _no_weights(folder, shown)
    for file in found:
        _refuse_pointer(file)
    return found


def _shards(folder: Path, index: Mapping[str, Any], shown: str) -> list[Path]:
    table = index.get("weight_map")
    names = sorted({str(v) for v in table.values()}) if isinstance(table, dict) else []
    if not names or any(Path(n).name != n or not n.endswith(".safetensors") for n in names):
        message = f'{INDEX} of "{shown}" does not name .safetensors files beside it.'
        raise InputError(message, _SAVE_AGAIN)
    missing = [n for n in names if not (folder / n).is_file()]
    if missing:
        lack = f"{len(missing)} of {len(names)} weight files ({listing(map(formats.clean, missing))})"
        message = f'"{shown}" is half a download: it lacks {lack}.'
        raise InputError(message, "Download the missing files into the folder.")
    return [folder / n for n in names]


def _no_weights(folder: Path, shown: str) -> InputError:
    if any(folder.rglob("*.safetensors.incomplete")) or any(folder.glob("*.safetensors.part")):
        return InputError(f'"{shown}" is half a download.', "Download it again.")
    pickled = next((file for pattern in _PICKLED for file in sorted(folder.glob(pattern))), None)
    if pickled is not None:
        message = (
            f'"{shown}" has its weights as {formats.clean(pickled.name)}, which can run code when opened.'
        )
        return InputError(
            message, "Save it with save_pretrained as .safetensors where it was made and use that."
        )
    other = next((file for pattern in _OTHERS for file in sorted(folder.glob(pattern))), None)
    have = f", only {formats.clean(other.name)}" if other is not None else ""
    return InputError(f'"{shown}" holds no .safetensors weights{have}.', _SAVE_AGAIN)


def _check_type(config: Mapping[str, Any], name: str) -> None:
    found = config.get("model_type")
    if "architecture" in config and found is None:
        message = f'"{formats.clean(name)}" is a folder of timm.'
        raise InputError(message, "Write timm:NAME?weights=PATH with its model.safetensors.")
    if not isinstance(found, str) or found not in TYPES:
        raise unknown("listed model type", formats.clean(found, 40), TYPES)
    if "quantization_config" in config:
        message = f'"{formats.clean(name)}" holds quantised weights, which are not read.'
        raise InputError(message, "Use the same network in float32 or float16.")


def _check_tokenizer(file: Path, name: str) -> None:
    if not file.is_file():
        message = f'"{formats.clean(name)}" has no tokenizer.json, without which no text can be read.'
        raise InputError(
            message, "Save its tokenizer with save_pretrained of transformers, or download it again."
        )
    _refuse_pointer(file)
    if file.stat().st_size > _MOST_TOKENIZER:
        message = f'tokenizer.json of "{formats.clean(name)}" is larger than {_MOST_TOKENIZER >> 20} MB.'
        raise InputError(message)


def _refuse_pointer(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            start = stream.read(64)
    except OSError as error:
        raise files.unreadable(file, error) from error
    if not start:
        raise formats.refuse("empty", file.name)
    if start.startswith(b"version https://git-lfs"):
        raise formats.refuse("pointer", file.name)


def _json(file: Path, name: str, needed: bool = False) -> dict[str, Any]:
    """Return what a JSON file holds, or an empty dict when it is not there."""
    if not file.is_file():
        if needed:
            raise InputError(f'"{formats.clean(name)}" has no {file.name}.', _SAVE_AGAIN)
        return {}
    _refuse_pointer(file)
    try:
        if file.stat().st_size > _MOST_JSON:
            raise ValueError
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        message = f'{file.name} of "{formats.clean(name)}" is not complete or is damaged.'
        raise InputError(message, "Download it again.") from error
    if not isinstance(content, dict):
        message = f'{file.name} of "{formats.clean(name)}" is not a table of settings.'
        raise InputError(message, "Download it again.")
    return content


def _asks_for_code(config: Any) -> bool:
    return any(key in ("auto_map", "custom_pipelines") for key in _keys(config))


def _keys(content: Any) -> Iterator[str]:
    """Yield every key of nested tables; a stack, because depth is the sender's choice."""
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
