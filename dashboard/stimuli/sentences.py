"""Beginnings of English sentences from a grammar of our own: must the verb that follows be plural?

Subject-verb agreement across attractors (Bock & Miller 1991): in "the keys to the old cabinet ..." the verb
agrees with the far noun. The grammar writes phrases with prepositions, subject and object relative clauses,
coordination, quantifiers, opening clauses, complements, and nouns that look alike in both numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard.reference import Reference
from dashboard.stimuli import texts
from dashboard.stimuli.sets import Stimuli, digest_of

VERSION = 1
"""Raised whenever a sentence changes; part of the digest."""

MOST = 20_000
"""Most sentences in a set."""

CATEGORIES = ("singular verb", "plural verb")


# As a source of stimuli -------------------------------------------------------------------------------------


def load_sentences(reference: Reference) -> Stimuli:
    """Load ``sentences?n=240&seed=0``; the category is the number that the verb must have.

    Raises
    ------
    InputError
        When an option is unknown or out of range.
    """
    n, seed = _read(reference)
    written = [sentence(i, seed) for i in range(n)]
    found = tuple(one.text for one in written)
    return Stimuli(
        reference=str(reference),
        title="Sentences",
        description=f"{n} beginnings of sentences that break off before their verb, from a grammar of ours.",
        names=texts.names(found),
        categories=tuple(CATEGORIES[one.plural] for one in written),
        columns={
            "construction": np.array([one.kind for one in written], dtype=object),
            "words": np.array([len(one.text.replace(",", "").split()) for one in written]),
            "misleading_last_noun": np.array([one.plural != one.last_noun_plural for one in written]),
        },
        digest=identify_sentences(reference),
        generated=True,
        draw=lambda i: texts.tile(found[i]),
        texts=found,
    )


def identify_sentences(reference: Reference) -> str:
    """Return the digest that `load_sentences` gives, without writing."""
    return digest_of("sentences", VERSION, *_read(reference))


def _read(reference: Reference) -> tuple[int, int]:
    reference.check_options(("n", "seed"))
    return reference.integer("n", 240, low=1, high=MOST), reference.integer("seed", 0)


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


def vocabulary() -> tuple[str, ...]:
    """Return all words of the grammar, and the comma, in alphabetical order."""
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
    return tuple(sorted(words))
