"""Segments of pictures, texts and tables."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dashboard.errors import InputError
from dashboard.methods.attribution import segments
from dashboard.methods.attribution.base import Explained


def explained(shape, **more):
    kind = more.pop("kind", "image")
    inputs = torch.zeros((1, *shape), dtype=torch.int64 if kind == "text" else torch.float32)
    return Explained(nn.Flatten(), inputs, inputs, lambda out: out[:, 0].float(), kind, **more)


def test_grid_cells_are_equal_and_in_reading_order():
    labels = segments.grid(6, 4, 3, 2)
    assert labels.tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2 + [[4, 4, 5, 5]] * 2


def test_uneven_grid_covers_everything():
    labels = segments.grid(7, 5, 3, 2)
    sizes = torch.bincount(labels.flatten())
    assert len(sizes) == 6
    assert sizes.min() >= 4
    assert sizes.max() <= 9


def test_grid_refuses_more_cells_than_pixels():
    with pytest.raises(InputError, match="4 × 4 pixels has no 5 × 2 cells"):
        segments.grid(4, 4, 5, 2)


def test_patches_join_to_blocks():
    labels = segments.patches(12, 12, (3, 3), block=2)
    assert segments.count(labels) == 4
    assert (labels[:8, :8] == 0).all()
    assert (labels[8:, :8] == 2).all()
    assert (segments.patches(12, 12, (3, 3)) == segments.grid(12, 12, 3, 3)).all()


def test_slic_follows_an_edge():
    picture = torch.zeros(3, 32, 32)
    picture[:, :, 13:] = 1.0
    labels = segments.slic(picture, 8)
    left, right = set(labels[:, :13].flatten().tolist()), set(labels[:, 13:].flatten().tolist())
    assert not left & right
    assert left | right == set(range(segments.count(labels)))
    assert labels.dtype == torch.int64


def test_special_tokens_stay():
    assert segments.tokens([True, False, False, True]).tolist() == [-1, 0, 1, -1]


def test_compact_closes_gaps():
    assert segments.compact(torch.tensor([7, -3, 2, 7])).tolist() == [1, -1, 0, 1]


def test_defaults():
    assert segments.count(segments.default(explained((3, 224, 224)))) == 64
    assert (segments.default(explained((1, 8, 8))) == segments.grid(8, 8, 8, 8)).all()
    vit = explained((3, 224, 224), grid=(14, 14))
    assert segments.count(segments.default(vit, 200)) == 196
    assert segments.count(segments.default(vit)) == 49
    assert segments.default(explained((5,), kind="table")).tolist() == [0, 1, 2, 3, 4]
    text = explained((4,), kind="text", special=(True, False, False, True))
    assert segments.default(text).tolist() == [-1, 0, 1, -1]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (torch.zeros(4, 5), "segments have shape 4 × 5, and the stimulus has 4 × 4"),
        (torch.full((4, 4), 2), "not numbered from 0 to 2"),
        (torch.full((4, 4), -2), "not numbered"),
        (torch.full((4, 4), -1), "no part that could be switched off"),
    ],
)
def test_labels_are_checked(labels, sentence):
    with pytest.raises(InputError, match=sentence):
        segments.of(explained((3, 4, 4)), labels)


def test_a_special_token_is_refused():
    text = explained((3,), kind="text", special=(True, False, True))
    with pytest.raises(InputError, match="hold a special token"):
        segments.of(text, torch.tensor([0, 1, 2]))
    with pytest.raises(InputError, match="no part that could be switched"):
        segments.of(explained((2,), kind="text", special=(True, True)), None)
