"""A small text transformer that reads the beginning of a sentence and says whether its verb must be plural.

The task is subject-verb agreement across attractors, the standard test of whether a language network
follows structure or the nearest noun (Bock & Miller 1991 in people, Linzen, Dupoux & Goldberg 2016 in
networks): in "the keys to the old cabinet ..." the verb agrees with the far noun. Word counts and the rule
"go by the last noun" fail on it, so what the network does right it does by structure. The sentences come from
a grammar of our own: phrases with prepositions, subject and object relative clauses, coordination,
quantifiers, opening clauses, complements, and nouns that look alike in both numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import _training as training
from models._transformer import Block

LABELS = ("singular verb", "plural verb")
RECIPE = training.Recipe(epochs=8, batch=128, learning_rate=2e-3, weight_decay=0.05)
N_TRAINING, N_VALIDATION, N_HELD_OUT = 20_000, 1_000, 4_000
LENGTH, WIDTH, HEADS, BLOCKS = 28, 64, 4, 4
PAD, UNKNOWN, CLS = "[PAD]", "[UNK]", "[CLS]"

# The grammar ------------------------------------------------------------------------------------------------


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_REGULAR = _listed(
    "boy girl teacher student doctor nurse farmer singer writer painter pilot driver lawyer judge neighbour "
    "friend stranger sailor gardener cook dog cat horse bird cow duck rabbit key cabinet book letter picture "
    "table chair window door house garden car boat train bridge river road tree flower cup plate lamp basket "
    "machine computer network neuron experiment report answer question idea song museum village island"
)
_IRREGULAR = {
    "child": "children", "man": "men", "woman": "women", "mouse": "mice", "goose": "geese", "foot": "feet",
    "knife": "knives", "shelf": "shelves", "city": "cities", "story": "stories", "box": "boxes",
    "bus": "buses", "witness": "witnesses", "baby": "babies",
    "hypothesis": "hypotheses", "analysis": "analyses",
}  # fmt: skip
_ALIKE = ("sheep", "deer", "fish", "species", "series", "aircraft")
_ADJECTIVES = _listed(
    "old new young small big red green happy tired strange famous quiet loud broken heavy bright dark clever"
)
_PREPOSITIONS = _listed("near behind beside above below with without from to of for under")
_ADVERBS = ("often", "never", "always", "still", "rarely", "usually")
_VERBS = _listed("see like help know follow admire remember find paint carry watch trust")
_SAYING = ("say", "think", "believe", "hope", "claim", "know")
_OPENERS = ("although", "because", "when", "while", "after", "before")
_PAST = _listed("arrived left slept fell laughed vanished waited returned")


def _plural(noun: str) -> str:
    return _IRREGULAR.get(noun, noun if noun in _ALIKE else noun + "s")


_NOUNS = (*_REGULAR, *_IRREGULAR, *_ALIKE)
_DETERMINERS = (
    ("the", "the", "the", "this", "that", "a", "every"),
    ("the", "the", "the", "these", "those", "some", "many"),
)


@dataclass(frozen=True)
class Sentence:
    """The beginning of a sentence.

    Attributes
    ----------
    text : str
        Words up to the verb.
    plural : bool
        Whether the verb must be plural.
    last_noun_plural : bool
        What the rule "go by the last noun" would say.
    kind : str
        The construction of the subject.
    """

    text: str
    plural: bool
    last_noun_plural: bool
    kind: str


class _Writer:
    """Writes phrases from a stream of random numbers, and notes the number of the last noun written."""

    def __init__(self, random: np.random.Generator, most_phrases: int) -> None:
        self.random = random
        self.most_phrases = most_phrases
        self.last_plural = False

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def one(self, words: tuple[str, ...] | list[str]) -> str:
        return words[int(self.random.random() * len(words))]

    def noun(self, plural: bool) -> list[str]:
        """Determiner, sometimes an adjective, noun; the ambiguous noun gets a telling determiner."""
        self.last_plural = plural
        noun = self.one(_NOUNS)
        shown = ("these", "those") if plural else ("this", "that")
        determiner = self.one(shown) if noun in _ALIKE else self.one(_DETERMINERS[plural])
        rest = [self.one(_ADJECTIVES)] if self.chance(0.3) else []
        rest.append(_plural(noun) if plural else noun)
        return ["an" if determiner == "a" and rest[0][0] in "aeiou" else determiner, *rest]

    def verb(self, plural: bool) -> str:
        verb = self.one(_VERBS)
        return verb if plural else _third(verb)

    def simple(self, plural: bool) -> list[str]:
        return self.noun(plural)

    def phrases(self, plural: bool) -> list[str]:
        words = self.noun(plural)
        for _ in range(1 + int(self.random.random() * self.most_phrases)):
            words += [self.one(_PREPOSITIONS), *self.noun(self.chance(0.5))]
        return words

    def subject_relative(self, plural: bool) -> list[str]:
        return [*self.noun(plural), "that", self.verb(plural), *self.noun(self.chance(0.5))]

    def past_relative(self, plural: bool) -> list[str]:
        return [*self.noun(plural), "that", "saw", *self.noun(self.chance(0.5))]

    def object_relative(self, plural: bool) -> list[str]:
        head, inner = self.noun(plural), self.chance(0.5)
        link = ["that"] if self.chance(0.6) else []
        verb = self.verb(inner) if self.chance(0.5) else "saw"
        return [*head, *link, *self.noun(inner), verb]

    def phrase_in_relative(self, plural: bool) -> list[str]:
        head, inner = self.noun(plural), self.chance(0.5)
        far = [self.one(_PREPOSITIONS), *self.noun(self.chance(0.5))]
        return [*head, "that", *self.noun(inner), *far, self.verb(inner)]

    def both(self, plural: bool) -> list[str]:
        """Two nouns joined, which is plural; asked for a singular, one noun between the two."""
        head = [] if plural else [*self.noun(False), "between"]
        return [*head, *self.noun(self.chance(0.5)), "and", *self.noun(self.chance(0.5))]

    def quantified(self, plural: bool) -> list[str]:
        opener = (
            self.one(["several", "many", "some", "few"]) if plural else self.one(["one", "each", "every one"])
        )
        return [*opener.split(), "of", self.one(["the", "these", "those"]), _plural(self.counted())]

    def counted(self) -> str:
        self.last_plural = True
        return self.one(_NOUNS)


_KINDS = {
    "simple": _Writer.simple,
    "phrases": _Writer.phrases,
    "subject relative": _Writer.subject_relative,
    "relative in the past": _Writer.past_relative,
    "object relative": _Writer.object_relative,
    "phrase in a relative": _Writer.phrase_in_relative,
    "coordination": _Writer.both,
    "quantifier": _Writer.quantified,
}
_SHARES = np.cumsum([0.08, 0.24, 0.1, 0.1, 0.18, 0.1, 0.12, 0.08])


def _third(verb: str) -> str:
    """The verb with a singular subject."""
    if verb.endswith(("ch", "sh", "s")):
        return verb + "es"
    return verb[:-1] + "ies" if verb.endswith("ry") else verb + "s"


def _opening(writer: _Writer) -> list[str]:
    """What may stand before the subject: nothing, a clause in the past, or somebody who says it."""
    drawn = writer.random.random()
    if drawn < 0.6:
        return []
    before = writer.noun(writer.chance(0.5))
    if drawn < 0.8:
        return [writer.one(_OPENERS), *before, writer.one(_PAST), ","]
    plural = writer.last_plural
    saying = writer.one(_SAYING)
    return [*before, saying if plural else _third(saying), "that"]


def sentence(i: int, seed: int, most_phrases: int = 3) -> Sentence:
    """Write sentence ``i`` of a seed.

    Parameters
    ----------
    i, seed : int
        Each pair has its own stream of random numbers.
    most_phrases : int
        Longest chain of phrases with prepositions.
    """
    writer = _Writer(np.random.Generator(np.random.Philox(key=np.array([seed, i], np.uint64))), most_phrases)
    plural = writer.chance(0.5)
    kind = list(_KINDS)[int(np.searchsorted(_SHARES, writer.random.random()))]
    words = [*_opening(writer), *_KINDS[kind](writer, plural)]
    if writer.chance(0.25):
        words.append(writer.one(_ADVERBS))
    return Sentence(" ".join(words), plural, writer.last_plural, kind)


# Words to numbers -------------------------------------------------------------------------------------------


def _vocabulary() -> tuple[str, ...]:
    """All words of the grammar, in alphabetical order behind the three marks."""
    verbs = [*_VERBS, *_SAYING]
    words = {
        *_NOUNS,
        *map(_plural, _NOUNS),
        *_ADJECTIVES,
        *_PREPOSITIONS,
        *_ADVERBS,
        *_OPENERS,
        *_PAST,
        *verbs,
    }
    words |= {_third(verb) for verb in verbs} | {word for row in _DETERMINERS for word in row}
    words |= {"that", "saw", "and", "an", "between", "of", ",", "several", "few", "one", "each"}
    return (PAD, UNKNOWN, CLS, *sorted(words))


VOCABULARY = _vocabulary()
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
        "vocabulary": list(VOCABULARY),
        "hyperparameters": RECIPE.told(dropout=0.1, variation="2 % of the words hidden"),
        "metric": "share correct",
        "history": history,
        "metrics": metrics,
        "licence": training.LICENCE,
    }
