"""A small text transformer that reads the beginning of a sentence and says whether its verb must be plural.

The task is subject-verb agreement across attractors, the standard test of whether a language network
follows structure or the nearest noun (Bock & Miller 1991 in people, Linzen, Dupoux & Goldberg 2016 in
networks): in "the keys to the old cabinet ..." the verb agrees with the far noun. Word counts and the rule
"go by the last noun" fail on it, so what the network does right it does by structure. The sentences come from
a grammar of our own, `dashboard.stimuli.sentences`.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dashboard.stimuli.sentences import CATEGORIES as LABELS
from dashboard.stimuli.sentences import Sentence, sentence, vocabulary
from models import _training as training
from models._transformer import Block

RECIPE = training.Recipe(epochs=8, batch=128, learning_rate=2e-3, weight_decay=0.05)
N_TRAINING, N_VALIDATION, N_HELD_OUT = 20_000, 1_000, 4_000
LENGTH, WIDTH, HEADS, BLOCKS = 28, 64, 4, 4
PAD, UNKNOWN, CLS = "[PAD]", "[UNK]", "[CLS]"

# Words to numbers -------------------------------------------------------------------------------------------


VOCABULARY = (PAD, UNKNOWN, CLS, *vocabulary())
_NUMBER = {word: number for number, word in enumerate(VOCABULARY)}


def words(text: str) -> list[str]:
    """Split a text into lower-case words and commas."""
    return re.findall(r"[a-z']+|,", text.lower())


def preprocess(text: str) -> Tensor:
    """Text as word numbers, CLS first and padded behind; (28,) int64. Words beyond the 27th are dropped."""
    numbers = [_NUMBER[CLS], *(_NUMBER.get(word, _NUMBER[UNKNOWN]) for word in words(text)[: LENGTH - 1])]
    return torch.tensor(numbers + [_NUMBER[PAD]] * (LENGTH - len(numbers)))


# The network ------------------------------------------------------------------------------------------------


class TinyText(nn.Module):
    """Word and place embeddings, four blocks of four heads; the CLS token is read out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), WIDTH)
        self.position = nn.Parameter(0.02 * torch.randn(1, LENGTH, WIDTH))
        self.dropout = nn.Dropout(0.1)
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS, expansion=2) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(LABELS))

    def forward(self, numbers: Tensor) -> Tensor:
        """Word numbers (n, t) with t up to 28 -> scores (n, 2). Padding is never attended to."""
        numbers = numbers.long()  # whoever probes the network may hand over floats
        keep = (numbers != _NUMBER[PAD])[:, None, None, :]
        tokens = self.dropout(self.embedding(numbers) + self.position[:, : numbers.shape[1]])
        for block in self.blocks:
            tokens = block(tokens, keep)
        return self.head(self.norm(tokens[:, 0]))


def build() -> nn.Module:
    """Return the untrained network."""
    return TinyText()


# The recipe -------------------------------------------------------------------------------------------------


def _step(sentences: list[Sentence]) -> training.Step:
    numbers = torch.stack([preprocess(s.text) for s in sentences])
    labels = torch.tensor([int(s.plural) for s in sentences])
    lengths = (numbers != _NUMBER[PAD]).sum(1)

    def step(network: nn.Module, indices: Tensor, random: torch.Generator | None) -> tuple[Tensor, float]:
        batch = numbers[indices, : int(lengths[indices].max())]
        if random is not None:
            # A few words are hidden, so that [UNK] means something.
            hidden = (torch.rand(batch.shape, generator=random) < 0.02) & (batch > _NUMBER[CLS])
            batch = batch.masked_fill(hidden, _NUMBER[UNKNOWN])
        scores = network(batch)
        found = scores.argmax(1) == labels[indices]
        return F.cross_entropy(scores, labels[indices]), float(found.float().mean())

    return step


def accuracies(network: nn.Module, sentences: list[Sentence]) -> dict[str, float]:
    """Share correct over all sentences, and over those whose last noun has the other number than the verb."""
    numbers = torch.stack([preprocess(s.text) for s in sentences])
    right = training.predictions(network, numbers) == torch.tensor([int(s.plural) for s in sentences])
    misleading = torch.tensor([s.plural != s.last_noun_plural for s in sentences])
    told = {
        "accuracy": right,
        "accuracy_misleading_last_noun": right[misleading],
        "last_noun_rule": ~misleading,
    }
    return {name: round(float(values.float().mean()), 4) for name, values in told.items()}


def train(seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    """Train from a seed; about 2 minutes on one core.

    Returns
    -------
    network, card
    """
    sizes = {training.TRAINING: N_TRAINING, training.VALIDATION: N_VALIDATION, training.HELD_OUT: N_HELD_OUT}
    with training.reproducible(seed) as minutes:
        network = build()
        sets = {which: [sentence(i, which + seed) for i in range(n)] for which, n in sizes.items()}
        validation = _step(sets[training.VALIDATION])
        history = training.fit(
            network,
            _step(sets[training.TRAINING]),
            N_TRAINING,
            lambda: training.over(network, validation, N_VALIDATION).means("validation"),
            RECIPE,
            seed,
        )
        known = {s.text for s in sets[training.TRAINING]}
        fresh = [s for s in sets[training.HELD_OUT] if s.text not in known]
        deeper = [sentence(i, training.HELD_OUT + seed + 1, most_phrases=5) for i in range(1000)]
        deeper = [s for s in deeper if s.kind == "phrases" and len(words(s.text)) > 16]
        metrics = accuracies(network, fresh)
        metrics["accuracy_longer_than_trained"] = accuracies(network, deeper)["accuracy"]
        card = _card(seed, history, metrics) | {"minutes": minutes()}
    return network, card


def _card(seed: int, history: list[dict[str, Any]], metrics: dict[str, float]) -> dict[str, Any]:
    return {
        "title": "Agreement transformer",
        "family": "text transformer with a CLS token",
        "task": "A sentence breaks off before its verb: must the verb be singular or plural?",
        "why": (
            "Agreement across attractors is the standard test of whether a language network follows "
            "structure or the nearest noun (Linzen, Dupoux & Goldberg 2016); word counts and the last noun "
            "fail on it."
        ),
        "output": "classes",
        "data": {
            "set": "beginnings of English sentences from Homolog's own grammar",
            "training": f"{N_TRAINING} sentences, seed {training.TRAINING + seed}",
            "validation": f"{N_VALIDATION} sentences, seed {training.VALIDATION + seed}",
            "held out": f"{N_HELD_OUT} sentences, seed {training.HELD_OUT + seed}, none seen in training",
        },
        "preprocessing": (
            f"lower-case words and commas, {len(VOCABULARY)} known, [CLS] first, at most {LENGTH - 1} words"
        ),
        "input": "text",
        "input_shape": [LENGTH],
        "labels": list(LABELS),
        "stimuli": "sentences",
        "vocabulary": list(VOCABULARY),
        "hyperparameters": RECIPE.told(dropout=0.1, variation="2 % of the words hidden"),
        "metric": "share correct",
        "history": history,
        "metrics": metrics,
        "licence": training.LICENCE,
    }
