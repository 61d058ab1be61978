"""Where the tokens of attention maps lie: special tokens, grids, pooled keys, shifted windows, texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attention_networks import PAIRS, pictures, tokens, wrapped

from dashboard.networks import attention
from dashboard.networks import attention_layout as layouts
from dashboard.networks.attention import Keep

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def tidy():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def of_timm(name: str, size: int, **options):
    import timm

    return wrapped(timm.create_model(name, num_classes=3, **options), (3, size, size))


@pytest.mark.parametrize(
    ("name", "options", "special"),
    [
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 1}, ("CLS",)),
        ("deit_tiny_distilled_patch16_224", {"img_size": 64, "depth": 1}, ("CLS", "distillation")),
        (
            "vit_small_patch16_dinov3",
            {"img_size": 64, "depth": 1},
            ("CLS", "register 1", "register 2", "register 3", "register 4"),
        ),
        (
            "vit_tiny_patch16_224",
            {"img_size": 64, "depth": 1, "class_token": False, "global_pool": "avg"},
            (),
        ),
    ],
)
def test_special_tokens_stand_before_the_grid(name, options, special):
    network = of_timm(name, 64, **options)
    (found,) = attention.survey(network).maps
    layout = layouts.layout(network, found)
    assert (layout.kind, layout.why, layout.size) == ("picture", "", (64, 64))
    assert layout.queries.special == layout.keys.special == special
    assert layout.keys.grid == (4, 4)
    p = len(special)
    assert layout.keys.cells.tolist() == [[-1] * p + list(range(16))]
    assert np.isnan(layout.keys.boxes[0, :p]).all()
    np.testing.assert_array_equal(layout.keys.boxes[0, p + 6], [16, 32, 32, 48])
    np.testing.assert_array_equal(layout.keys.centres[0, p + 6], [24, 40])
    assert layout.queries.at(20, 47.9) == (0, p + 6)
    assert layout.queries.at(64, 0) is None
    placed = layout.keys.place(np.arange(p + 16.0)[None])
    np.testing.assert_array_equal(placed, p + np.arange(16.0).reshape(4, 4))


def test_a_picture_that_is_not_square():
    network = wrapped(of_timm("vit_tiny_patch16_224", 64, img_size=(32, 96), depth=1).module, (3, 32, 96))
    layout = layouts.layout(network, "blocks.0.attn")
    assert layout.keys.grid == (2, 6)
    np.testing.assert_array_equal(layout.keys.boxes[0, 1 + 7], [16, 16, 32, 32])


def test_pooled_keys_have_a_coarser_grid():
    network = of_timm("pvt_v2_b0", 64)
    found = attention.survey(network).maps[0]
    layout = layouts.layout(network, found)
    assert (found.queries, found.keys) == (256, 4)
    assert (layout.queries.grid, layout.keys.grid) == ((16, 16), (2, 2))
    np.testing.assert_array_equal(layout.keys.boxes[0, 3], [32, 32, 64, 64])


def test_one_query_for_the_class():
    network = of_timm("xcit_nano_12_p16_224", 224, depth=1)
    layout = layouts.layout(network, "cls_attn_blocks.0.attn")
    assert (layout.queries.special, layout.queries.grid) == (("CLS",), None)
    assert (layout.keys.special, layout.keys.grid) == (("CLS",), (14, 14))


def test_tokens_in_another_order_are_not_placed():
    network = of_timm("hiera_tiny_224", 224)
    for found in attention.survey(network).maps[:2]:
        layout = layouts.layout(network, found)
        assert layout.kind == "none"
        assert "reorders its tokens" in layout.why


def test_texts_have_an_order_and_no_place():
    from transformers import BertConfig, BertModel

    from dashboard.networks.hf_models import Plain

    config = BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    network = wrapped(Plain(BertModel(config), "text"), (2, 9), PAIRS)
    layout = layouts.layout(network, attention.survey(network).maps[0])
    assert (layout.kind, layout.keys.grid, layout.keys.cells.shape) == ("text", None, (1, 9))
    with attention.reading(network, Keep(), CPU) as read:
        assert read(tokens(30, [4]))[0][0].keys == 4


def test_special_tokens_of_texts():
    words = ["[CLS]", "un", "##known", "[SEP]", "[PAD]", "<s>", "</s>", "[UNK]", "<unk>", "[sic]", "<|eot|>"]
    expected = [True, False, False, True, True, True, True, False, False, False, True]
    assert layouts.is_special(words).tolist() == expected


# Windows -------------------------------------------------------------------------------------------------


def swin_by_hand(n_side: int, window: int, shift: int) -> np.ndarray:
    """Return the places of the tokens of shifted windows, by arithmetic on rows and columns."""
    padded = -(-n_side // window) * window
    cells = []
    for top in range(0, padded, window):
        for left in range(0, padded, window):
            rows = [(top + i + shift) % padded for i in range(window)]
            columns = [(left + j + shift) % padded for j in range(window)]
            cells.append([r * n_side + c if r < n_side and c < n_side else -1 for r in rows for c in columns])
    return np.array(cells)


def torchvision_swin(size: int):
    from torchvision.models.swin_transformer import SwinTransformer

    return wrapped(SwinTransformer([4, 4], 12, [2], [2], [4, 4], num_classes=3), (3, size, size))


@pytest.mark.parametrize(("size", "n_side"), [(32, 8), (40, 10)])
def test_shifted_windows_of_torchvision(size, n_side):
    network = torchvision_swin(size)
    for block, shift in ((0, 0), (1, 2)):
        layout = layouts.layout(network, f"features.1.{block}.attn")
        assert layout.kind == "picture"
        assert layout.queries.grid == (n_side, n_side)
        np.testing.assert_array_equal(layout.queries.cells, swin_by_hand(n_side, 4, shift))
        values = np.where(layout.keys.cells >= 0, layout.keys.cells, 999.0)
        placed = layout.keys.place(values)
        np.testing.assert_array_equal(placed, np.arange(n_side**2.0).reshape(n_side, n_side))


def test_shifted_windows_of_other_libraries():
    from transformers import SwinConfig, SwinModel

    from dashboard.networks.hf_models import Plain

    config = SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[2], num_heads=[2], window_size=4)
    published = wrapped(Plain(SwinModel(config), "image"), (3, 32, 32))
    timm = of_timm(
        "swin_tiny_patch4_window7_224",
        32,
        img_size=32,
        window_size=4,
        embed_dim=8,
        depths=(2,),
        num_heads=[2],
    )
    for network in (published, timm):
        maps = attention.survey(network).maps
        assert [found.windows for found in maps] == [4, 4]
        for found, shift in zip(maps, (0, 2), strict=True):
            layout = layouts.layout(network, found)
            np.testing.assert_array_equal(layout.queries.cells, swin_by_hand(8, 4, shift))


def test_maps_of_swin_t_against_double_precision_in_picture_coordinates():
    """Weights of whole maps from queries, keys, bias and shift in double precision, token by token."""
    from torchvision.models import swin_t

    module = swin_t().eval()
    network = wrapped(module, (3, 224, 224))
    batch = pictures(1, 3, 224, 224)
    blocks = {1: 2, 3: 2, 5: 6, 7: 2}
    names = [f"features.{stage}.{block}.attn" for stage, n in blocks.items() for block in range(n)]
    given: dict[str, torch.Tensor] = {}
    handles = [
        module.get_submodule(name).register_forward_pre_hook(
            lambda _part, args, name=name: given.__setitem__(name, args[0].clone())
        )
        for name in names
    ]
    with torch.no_grad():
        own = module(batch)
    for handle in handles:
        handle.remove()
    with attention.reading(network, Keep(), CPU) as read:
        records, output = read(batch)
    assert [record.layer for record in records] == names
    torch.testing.assert_close(output, own, atol=1e-6, rtol=0)
    for record in (records[1], records[3], records[5], records[11]):
        part = module.get_submodule(record.layer)
        x = given[record.layer].double().flatten(0, 2)
        packed = x @ part.qkv.weight.double().T + part.qkv.bias.double()
        query, key, _ = packed.view(len(x), 3, record.heads, -1).permute(1, 2, 0, 3)
        cells = torch.from_numpy(layouts.layout(network, record).queries.cells)
        scores = query[:, cells] @ key[:, cells].transpose(-2, -1) * query.shape[-1] ** -0.5
        scores = scores + part.get_relative_position_bias().double().transpose(0, 1)
        side = layouts.layout(network, record).queries.grid[0]
        row, column = cells // side, cells % side
        down, across = (axis[:, :, None] - axis[:, None] for axis in (row, column))
        far = down.abs().maximum(across.abs()) >= 7  # brought together by the roll alone
        expected = scores.masked_fill(far, -100).softmax(-1).transpose(0, 1)
        np.testing.assert_allclose(record.weights, expected.numpy(), atol=2e-5)
