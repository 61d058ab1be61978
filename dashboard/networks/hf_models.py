"""Networks of Hugging Face built from checked files: architecture from the config, weights from safetensors.

Imports torch and transformers: for workers and notebooks, not for the Streamlit process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn

from dashboard.errors import InputError, caution, listing
from dashboard.networks import files, formats, tokenizing, weights
from dashboard.networks.hf import Folder
from dashboard.networks.network import Opened, TextInput

MOST_TOKENS = 512
"""Longest text; shapes and operations in the table of layers are those of the longest."""

_OFFSET = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Model types that number their places from behind the padding token."""

_NOT_FROM_FILES = ("attn_implementation", "experts_implementation", "torch_dtype", "dtype", "device_map")
"""Settings of how to compute, some of which fetch code; a file does not decide them."""


class Plain(nn.Module):
    """A network of transformers that takes one tensor and gives one.

    Its parts keep the names that they have in transformers, because the tables of parts are shared.

    Parameters
    ----------
    inner : nn.Module
        The network.
    kind : {"image", "text"}
        What it reads: pictures (n, channels, height, width), or tokens (n, 2, n_tokens) whose first row holds
        their numbers and whose second row is 1 for tokens of the text and 0 for padding.
    """

    def __init__(self, inner: nn.Module, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._inner = (inner,)  # a tuple, so that it is not registered as a part with a name of its own
        self._modules, self._parameters, self._buffers = inner._modules, inner._parameters, inner._buffers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return class scores, (n, n_labels), else the tokens or maps of the last layer."""
        (inner,) = self._inner
        if self.kind == "image":
            answer = inner(pixel_values=x)
        else:
            numbers, keep = x.long().unbind(1)
            # Without values a mask cannot be looked at, and shapes do not depend on it.
            answer = inner(input_ids=numbers, attention_mask=None if x.is_meta else keep)
        return answer.logits if "logits" in answer else answer.last_hidden_state


def build(folder: Folder, told: str, trained: bool) -> Opened:
    """Return a network of checked files, ready but for its layers.

    Raises
    ------
    InputError
        When the settings do not make a network, or the weights do not fit it.
    """
    with _quiet():
        config, cls = _architecture(folder)
        inner = _filled(folder, config, cls) if trained else _fresh(folder, config, cls)
        labels = _labels(config, inner)
        card = {
            "library": f"transformers {version('transformers')}",
            "architecture": type(inner).__name__,
            "model_type": folder.config["model_type"],
        }
        common: dict[str, Any] = {
            "module": Plain(inner, folder.kind),
            "title": formats.clean(folder.name) + ("" if trained else ", untrained"),
            "weights": told,
            "labels": labels,
            "card": card,
        }
        return _text(folder, config, common) if folder.kind == "text" else _image(folder, config, common)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the bars and remarks of transformers off the terminal."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


# --- architecture and weights ----------------------------------------------------------------------


def _architecture(folder: Folder) -> tuple[Any, Any]:
    """Return the settings of a network and the class of transformers that they belong to."""
    import transformers

    given = {k: v for k, v in folder.config.items() if k not in _NOT_FROM_FILES and not k.startswith("_")}
    tables = {
        "ForSequenceClassification": transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
        "ForImageClassification": transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    }
    table = next((t for word, t in tables.items() if word in folder.architecture), transformers.MODEL_MAPPING)
    try:
        config = transformers.CONFIG_MAPPING[folder.config["model_type"]].from_dict(given)
        return config, table[type(config)]
    except Exception as error:  # settings of the wrong kind raise whatever they meet first
        raise _bad_settings(folder) from error


def _bad_settings(folder: Folder) -> InputError:
    kind = folder.config["model_type"]
    message = f'config.json of "{formats.clean(folder.name)}" does not describe a network of type {kind}.'
    return InputError(message, "Download it again.")


def _attention(cls: Any) -> str:
    return "sdpa" if getattr(cls, "_supports_sdpa", False) else "eager"


def _fresh(folder: Folder, config: Any, cls: Any) -> nn.Module:
    try:
        return cls._from_config(config, attn_implementation=_attention(cls), dtype=torch.float32)
    except Exception as error:
        raise _bad_settings(folder) from error


def _filled(folder: Folder, config: Any, cls: Any) -> nn.Module:
    """Return the network with its weights; what the file has for other tasks is left out and told."""
    state: weights.State = {}
    for file in folder.weights:
        state.update(weights.read_file(file, files.sha256(file)))
    state = weights.as_float32(state, folder.name)
    weights.tell_not_finite(state, folder.name)
    module, told = _load(folder, config, cls, state, {})
    missing = sorted(told["missing_keys"])
    if missing and all(key.startswith("pooler.") for key in missing):
        # Saved from a network for another task, which has no summary: leave ours out, too.
        module, told = _load(folder, config, cls, state, {"add_pooling_layer": False})
        missing = sorted(told["missing_keys"])
    _refuse_misfit(folder, missing, told, cls)
    left = sorted(told["unexpected_keys"])
    if left:
        caution(
            "weights-left-out",
            f'{len(left)} of {len(state)} weights of "{folder.name}" are for another task and not used: '
            f"{listing(map(formats.clean, left))}.",
        )
    return module


def _load(
    folder: Folder, config: Any, cls: Any, state: weights.State, options: dict[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    try:
        # With no name and all tensors given, transformers reads no file and opens no address.
        return cls.from_pretrained(
            None,
            config=config,
            state_dict=dict(state),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            attn_implementation=_attention(cls),
            dtype=torch.float32,
            **options,
        )
    except Exception as error:
        raise _bad_settings(folder) from error


def _refuse_misfit(folder: Folder, missing: list[str], told: dict[str, Any], cls: Any) -> None:
    shapes = sorted(told["mismatched_keys"])
    if not missing and not shapes:
        return
    names = [formats.clean(key[0] if isinstance(key, tuple) else key) for key in (*missing, *shapes)]
    table = [
        {"name": name, "problem": "missing", "expected": "", "found": ""} for name in names[: len(missing)]
    ]
    table += [
        {"name": name, "problem": "shape", "expected": "", "found": ""} for name in names[len(missing) :]
    ]
    problem = (
        f'The weights of "{formats.clean(folder.name)}" do not fit {cls.__name__}: {len(missing)} missing, '
        f"{len(shapes)} of another shape ({listing(names)})."
    )
    remedy = "Download config.json and the weights again, from one place."
    raise weights.WeightsDoNotFit(problem, remedy, table)


def _labels(config: Any, inner: nn.Module) -> tuple[str, ...]:
    """Return the names of the classes, for networks that end in classes."""
    if "Classification" not in type(inner).__name__:
        return ()
    names = getattr(config, "id2label", None) or {}
    return tuple(formats.clean(names.get(i, f"class {i}"), 200) for i in range(config.num_labels))


# --- texts -----------------------------------------------------------------------------------------


def _text(folder: Folder, config: Any, common: dict[str, Any]) -> Opened:
    tokenizer, padding = _tokenizer(folder, config)
    longest = _longest(folder, config, padding)
    tokenizer.enable_truncation(longest)
    encode = tokenizing.plain(tokenizer)
    if folder.brought and folder.tokenizer is not None:
        encode = tokenizing.guarded_encoder(folder.tokenizer, longest, formats.clean(folder.name))

    def preprocess(text: str) -> torch.Tensor:
        found = encode(text)
        if found.cut:
            caution("text-cut", f"Texts of more than {longest} tokens are cut there.")
        return torch.tensor([found.ids, [1] * len(found.ids)])

    def pad(texts: list[torch.Tensor]) -> torch.Tensor:
        length = max(tokens.shape[1] for tokens in texts)
        batch = torch.zeros((len(texts), 2, length), dtype=torch.int64)
        batch[:, 0] = padding
        for row, tokens in zip(batch, texts, strict=True):
            row[:, : tokens.shape[1]] = tokens
        return batch

    return Opened(
        preprocess=preprocess,
        input_shape=(2, longest),
        preprocessing=(
            f"Split into tokens by its own tokenizer ({type(tokenizer.model).__name__}, "
            f"{tokenizer.get_vocab_size():,} known), at most {longest} with the special ones."
        ),
        text=TextInput(
            pad,
            mask=lambda batch: batch[:, 1] > 0,
            words=lambda text: encode(text).tokens,
            dropped=lambda text: encode(text).dropped,
        ),
        **common,
    )


def _tokenizer(folder: Folder, config: Any) -> tuple[Any, int]:
    """Return the tokenizer, without cutting or padding of its own, and the number of the padding token."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder.tokenizer))
    except Exception as error:  # the library raises plain Exception
        message = f'tokenizer.json of "{formats.clean(folder.name)}" is not complete or is damaged.'
        raise InputError(message, "Download it again.") from error
    if tokenizer.get_vocab_size() > config.vocab_size:
        message = f'The tokenizer of "{formats.clean(folder.name)}" knows more tokens than the network.'
        raise InputError(message, "Download tokenizer.json and config.json again, from one place.")
    tokenizer.no_padding()
    named = folder.tokenizer_config.get("pad_token")
    named = named.get("content") if isinstance(named, dict) else named
    number = tokenizer.token_to_id(named) if isinstance(named, str) else None
    if number is None:
        number = getattr(config, "pad_token_id", None) or 0
    return tokenizer, int(number)


def _longest(folder: Folder, config: Any, padding: int) -> int:
    """Return how many tokens the network reads at most."""
    places = getattr(config, "max_position_embeddings", MOST_TOKENS)
    if folder.config["model_type"] in _OFFSET:
        places -= padding + 1
    said = folder.tokenizer_config.get("model_max_length")
    limits = [MOST_TOKENS, places, folder.longest or MOST_TOKENS]
    if isinstance(said, int | float) and 2 <= said < 1e6:
        limits.append(int(said))
    if min(limits) < 2:
        raise _bad_settings(folder)
    return min(limits)


# --- pictures --------------------------------------------------------------------------------------


def _image(folder: Folder, config: Any, common: dict[str, Any]) -> Opened:
    processor = _processor(folder, config)
    preprocess = _through(processor)
    try:
        shape = tuple(preprocess(np.full((224, 224, 3), 128, dtype=np.uint8)).shape)
    except Exception as error:
        message = f'preprocessor_config.json of "{formats.clean(folder.name)}" cannot prepare a picture.'
        raise InputError(message, "Download it again.") from error
    return Opened(
        preprocess=preprocess, input_shape=shape, preprocessing=_sentence(processor, shape), **common
    )


def _processor(folder: Folder, config: Any) -> Any:
    """Return the network's own preparation of pictures, computed with Pillow.

    Without ``preprocessor_config.json`` it is the usual one of the type, at the size that config.json tells.
    """
    import transformers
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    kind = folder.config["model_type"]
    cls = getattr(transformers, IMAGE_PROCESSOR_MAPPING_NAMES[kind]["pil"])
    if not folder.preprocessor:
        caution(
            "usual-preprocessing",
            f'"{folder.name}" has no preprocessor_config.json, so pictures are prepared as usual for {kind}.',
        )
    known = {k: v for k, v in folder.preprocessor.items() if not k.endswith("_type") and k != "use_fast"}
    try:
        return cls.from_dict(known or _sizes(cls, config))
    except Exception as error:
        message = f'preprocessor_config.json of "{formats.clean(folder.name)}" is not understood.'
        raise InputError(message, "Download it again.") from error


def _sizes(cls: Any, config: Any) -> dict[str, Any]:
    """Return the sizes of the usual preparation, set to those of the pictures that the network takes."""
    told = getattr(config, "image_size", None)
    height, width = told if isinstance(told, list | tuple) and len(told) == 2 else (told, told)
    if not isinstance(height, int) or not isinstance(width, int):
        return {}
    usual, sides = cls(), {"height": height, "width": width, "shortest_edge": min(height, width)}
    found = {}
    for name in ("size", "crop_size"):
        keys = [k for k in ("height", "width", "shortest_edge") if (getattr(usual, name, None) or {}).get(k)]
        if keys:
            found[name] = {key: sides[key] for key in keys}
    return found


def _through(processor: Any) -> Callable[[np.ndarray], torch.Tensor]:
    from PIL import Image

    def preprocess(picture: np.ndarray) -> torch.Tensor:
        ready = processor(images=Image.fromarray(picture), return_tensors="np")["pixel_values"][0]
        return torch.from_numpy(np.ascontiguousarray(ready, dtype=np.float32))

    return preprocess


def _sentence(processor: Any, shape: tuple[int, ...]) -> str:
    def numbers(values: Any) -> str:
        return ", ".join(f"{v:g}" for v in values)

    parts = [f"RGB, prepared by {type(processor).__name__.removesuffix('Pil')} to {shape[-2]} × {shape[-1]}"]
    if getattr(processor, "do_rescale", False):
        parts.append(f"times {processor.rescale_factor:.6g}")
    if getattr(processor, "do_normalize", False):
        parts.append(f"minus {numbers(processor.image_mean)}, divided by {numbers(processor.image_std)}")
    return ", ".join(parts) + "."
