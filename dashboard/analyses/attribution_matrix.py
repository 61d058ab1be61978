"""Every attribution method on every kind of network: a correct map, or the sentence that refuses it.

``python -m dashboard.analyses.attribution_matrix`` writes the table. Small inputs and random weights where
the architecture allows; imports torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn

from dashboard import networks
from dashboard.analyses.attribution import why_not_explained
from dashboard.methods.attribution import METHODS, Method, segments
from dashboard.methods.attribution.base import Explained, Settings
from dashboard.networks import capture
from dashboard.networks.seeding import seeded

FILE = Path(__file__).resolve().parents[1] / "methods" / "attribution" / "README.md"
SIDE = 64
TOLERANCE = 0.02
"""Largest error of the sum of a map, as a share of |change of the score| + a thousandth of |f(x)|."""

UNEVEN = frozenset({"expected-gradients"})
"""Additive in the mean only: the sum of a few samples proves nothing."""


GREY = 0.5
"""Baseline of networks that norm by layer. LayerNorm undoes the scale of what it is given: on the straight
line from a picture of zeros, without learned shifts, 99.8 % of the score of ConvNeXt-T changes within a
ten-thousandth of the way, which the steps of integrated gradients miss."""


def _torchvision(name: str, baseline: float = 0.0, **options: object) -> Callable[[], Explained]:
    def build() -> Explained:
        import torchvision

        network = getattr(torchvision.models, name)(**options)
        if name.startswith("vit"):  # its head starts at zero: every map would be zero
            nn.init.normal_(network.heads.head.weight, std=0.02)
        return _picture(network, 3, SIDE, baseline)

    return build


class _Logits(nn.Module):
    """A text network of transformers that is given token numbers and gives logits."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(input_ids=tokens).logits
        return found


def _bert() -> Explained:
    import transformers

    config = transformers.BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    network = _Logits(transformers.BertForSequenceClassification(config))
    tokens = torch.tensor([[1, 7, 12, 30, 8, 2]])
    return Explained(
        module=network.eval().requires_grad_(False),
        inputs=tokens,
        baselines=torch.tensor([[1, 3, 3, 3, 3, 2]]),
        score=lambda outputs: outputs[:, 0],
        kind="text",
        embedding="inner.bert.embeddings.word_embeddings",
        special=(True, False, False, False, False, True),
    )


def _bundled(name: str) -> Callable[[], Explained]:
    def build() -> Explained:
        network = networks.load(f"bundled:{name}")
        channels, side = network.input_shape[0], network.input_shape[-1]
        return _picture(capture.private(network.module, torch.device("cpu")), channels, side)

    return build


def _logistic() -> Explained:
    """A logistic regression of the 64 pixels of a digit: linear up to its logits."""
    return _picture(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 1, 8)


def _picture(network: nn.Module, channels: int, side: int, baseline: float = 0.0) -> Explained:
    return Explained(
        module=network.eval().requires_grad_(False),
        inputs=torch.randn(1, channels, side, side),
        baselines=torch.full((1, channels, side, side), baseline),
        score=lambda outputs: outputs.flatten(2).mean(2)[:, 0] if outputs.dim() == 4 else outputs[:, 0],
    )


NETWORKS: dict[str, Callable[[], Explained]] = {
    "ResNet-18": _torchvision("resnet18"),
    "MobileNet-V2": _torchvision("mobilenet_v2"),
    "ConvNeXt-T": _torchvision("convnext_tiny", GREY),
    "ViT-B/16": _torchvision("vit_b_16", GREY, image_size=SIDE),
    "Swin-T": _torchvision("swin_t", GREY),
    "HF BERT": _bert,
    "LSTM": _bundled("digits_lstm"),
    "Digits MLP": _bundled("digits_mlp"),
    "Digits logistic": _logistic,
    "U-Net": _bundled("objects_unet"),
}


def cell(explained: Explained, entry: Method) -> str:
    """Return ``"map"`` for a correct map, the sentence that refuses the method, or ``"WRONG: …"``."""
    half = max(1, min(32, explained.inputs.shape[-1] // 2))
    given = Settings(steps=20, samples=16, window=half, stride=half, segments=_four(explained), batch=16)
    refusal = why_not_explained(entry, explained, given)
    if refusal:
        return refusal
    found = entry.run(explained, given)
    values = found.values.double()
    shape = tuple(explained.inputs.shape[1:])
    if tuple(values.shape) not in (shape, shape[-2:]):
        return f"WRONG: shape {tuple(values.shape)}"
    if not bool(values.isfinite().all()):
        return "WRONG: values that are no numbers"
    if found.total is not None and entry.name not in UNEVEN:
        size = abs(found.total) + 1e-3 * abs(explained.levels()[0])
        off = abs(float(values.sum()) - found.total) / max(size, 1e-9)
        if off > TOLERANCE:
            return f"WRONG: sum off by {100 * off:.1f} %"
    return "map" if bool(values.any()) else "WRONG: zero everywhere"


def _four(explained: Explained) -> torch.Tensor | None:
    if explained.kind != "image":
        return None
    height, width = explained.inputs.shape[-2:]
    return segments.grid(height, width, 2, 2)


def row(name: str, methods: Iterable[str] = METHODS) -> dict[str, str]:
    """Return the cell of every method (or of some) for one network; the same every time."""
    with seeded(0):
        explained = NETWORKS[name]()
    return {method: cell(explained, METHODS[method]) for method in methods}


def markdown(cells: dict[str, dict[str, str]]) -> str:
    """Write the table: ● for a correct map, a number for the sentence below that refuses it."""
    sentences = list(dict.fromkeys(c for found in cells.values() for c in found.values() if c != "map"))
    lines = [
        "# Which attribution method works on which network",
        "",
        "Written by `python -m dashboard.analyses.attribution_matrix`; a test holds it true. ● is a map of "
        f"the stimulus's shape, finite, not zero and, where the method promises it, off its sum by at most "
        f"{100 * TOLERANCE:g} %. A number is the sentence that the app shows instead. The baseline is zero; "
        f"of ConvNeXt-T, ViT-B/16 and Swin-T it is a flat {GREY:g}: LayerNorm undoes the scale of what it is "
        "given, so that from a picture of zeros nearly the whole score may change within a ten-thousandth of "
        "the way, which the steps of integrated gradients miss.",
        "",
        "| Method | " + " | ".join(cells) + " |",
        "|---" * (len(cells) + 1) + "|",
    ]
    for name, entry in METHODS.items():
        marks = [
            "●" if found[name] == "map" else str(sentences.index(found[name]) + 1) for found in cells.values()
        ]
        lines.append(f"| {entry.label} | {' | '.join(marks)} |")
    lines += ["", *(f"{k}. {sentence}" for k, sentence in enumerate(sentences, 1)), ""]
    return "\n".join(lines)


def main() -> None:
    """Compute the whole matrix and write it beside the methods."""
    cells = {}
    for name in NETWORKS:
        cells[name] = row(name)
        sys.stdout.write(f"{name}: {sum(c == 'map' for c in cells[name].values())} maps\n")
        sys.stdout.flush()
    FILE.write_text(markdown(cells), encoding="utf-8")


if __name__ == "__main__":
    main()
