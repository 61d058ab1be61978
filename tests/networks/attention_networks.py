"""Small transformers of every family, and how their own attention is asked for."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import torch
from torch import nn

from dashboard.networks.network import Network, TextInput


def wrapped(module: nn.Module, input_shape: tuple[int, ...], text: TextInput | None = None) -> Network:
    """Return a network of any module; its table of layers is not needed here."""
    return Network(
        reference="test",
        title="test network",
        module=module.eval().requires_grad_(False),
        preprocess=lambda stimulus: stimulus,
        labels=(),
        layers=(),
        digest="",
        card=MappingProxyType({}),
        preprocessing="",
        weights="",
        input_shape=input_shape,
        text=text,
    )


def sharpen(module: nn.Module, factor: float, *names: str) -> None:
    """Multiply the weights of projections, so that maps are peaked."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if any(word in name for word in names):
                parameter.mul_(factor)


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tokens(vocabulary: int, lengths: list[int]) -> torch.Tensor:
    """Return numbers and mask, (n, 2, longest), of random texts padded behind."""
    random = torch.Generator().manual_seed(0)
    batch = torch.zeros((len(lengths), 2, max(lengths)), dtype=torch.int64)
    for row, length in zip(batch, lengths, strict=True):
        row[0, :length] = torch.randint(1, vocabulary, (length,), generator=random)
        row[1, :length] = 1
    return batch


PAIRS = TextInput(pad=torch.stack, mask=lambda batch: batch[:, 1] > 0)


def check_rows(records, keep: torch.Tensor | None = None) -> None:
    """Rows sum to one within 1e-5, and padded keys get exactly nothing."""
    assert records
    for record in records:
        np.testing.assert_allclose(record.weights.astype(np.float64).sum(-1), 1, atol=1e-5)
        if keep is not None:
            padded = ~keep.numpy()
            assert padded.any()
            assert (np.moveaxis(record.weights, -1, 1)[padded] == 0).all()


def closest(records, expected) -> float:
    """Return the largest difference of whole maps from expected ones, layer by layer."""
    assert len(records) == len(expected)
    return max(
        float(np.abs(record.weights - np.asarray(theirs, np.float64)).max())
        for record, theirs in zip(records, expected, strict=True)
    )
