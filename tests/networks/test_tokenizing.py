"""Texts of a brought tokenizer are encoded under limits, and to the same tokens."""

from __future__ import annotations

import gc

import pytest

from dashboard import guarded, kept, networks
from dashboard.errors import InputError
from dashboard.networks import tokenizing

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "a", "cat", "dog", "sat", "ran", "x"]
BRANCHING = r"((((x+x+)+x+)+x+)+x+)+y"
"""Would try every way to cut a row of x into pieces; the library gives up and ends its process."""

SLOW = r"x+[^x]"
"""Reads a row of x to its end from every place in it; the library does not give up."""


def tokenizer_file(folder, pattern=None):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, "[UNK]"))
    steps = [pre_tokenizers.Whitespace()]
    if pattern is not None:
        steps.append(pre_tokenizers.Split(Regex(pattern), "isolated"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.fixture
def started(monkeypatch):
    """Every process of `guarded` that begins."""
    found, real = [], guarded._start
    monkeypatch.setattr(guarded, "_start", lambda: found.append(real()) or found[-1])
    return found


def test_guarded_tokens_are_those_of_this_process(tmp_path, started):
    from tokenizers import Tokenizer

    file = tokenizer_file(tmp_path)
    here = Tokenizer.from_file(str(file))
    here.enable_truncation(5)
    there = tokenizing.guarded_encoder(file, 5, "mine")
    for text in ("the cat sat", "", "the cat sat a dog ran", "Ünbekannt\n\x00 cat"):
        assert there(text) == tokenizing.plain(here)(text)
    assert there("the cat sat a dog ran").dropped == 3
    assert there("the cat").ids == (2, 4, 6, 3)
    assert len(started) == 1
    del there
    gc.collect()
    assert started[0].poll() is not None


@pytest.mark.parametrize("pattern", [SLOW, BRANCHING])
def test_a_text_without_end_costs_its_limit_and_the_next_one_goes_on(tmp_path, started, monkeypatch, pattern):
    encode = tokenizing.guarded_encoder(tokenizer_file(tmp_path, pattern), 512, "mine")
    assert encode("the cat").ids == (2, 4, 6, 3)
    monkeypatch.setenv("HOMOLOG_READ_SECONDS", "1")
    with pytest.raises(InputError) as caught:
        encode("x" * 500_000)
    assert str(caught.value) == (
        'The tokenizer of "mine" did not finish a text within 1 seconds and the memory that it may have, or '
        "broke off. Use another tokenizer.json, or shorter texts."
    )
    assert started[0].poll() is not None  # nothing goes on behind the sentence
    monkeypatch.setenv("HOMOLOG_READ_SECONDS", "60")
    assert encode("a dog").ids == (2, 5, 7, 3)
    assert len(started) == 2


def test_a_brought_text_network_answers_through_it(tmp_path, started, monkeypatch):
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=600,
    )  # fmt: skip
    folder = tmp_path / "tiny"
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer_file(folder, SLOW)
    given = [
        (name, (folder / name).read_bytes())
        for name in ("config.json", "model.safetensors", "tokenizer.json")
    ]
    recipe = {"kind": "network", "version": 1, "architecture": "hf"}
    network = networks.load(kept.keep(given, "s", recipe).reference)
    ours = networks.load(f"hf:{folder}")
    before = len(started)
    assert torch.equal(network.prepare(["the cat"]), ours.prepare(["the cat"]))
    assert network.text.words("the cat") == ours.text.words("the cat") == ("[CLS]", "the", "cat", "[SEP]")
    assert len(started) == before + 1
    monkeypatch.setenv("HOMOLOG_READ_SECONDS", "1")
    with pytest.raises(InputError, match="did not finish a text within 1 seconds"):
        network.prepare(["x" * 500_000])
    networks._loaded.clear()
