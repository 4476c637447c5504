"""The second reader: reads the same ticket as the model, by means that have nothing in common with it.

A pattern finds the order numbers, and weights over letter groups (trained from the examples beside this
file by `python -m support_desk.second_reader_training`) tell what the customer wants. It cannot be talked
into anything, because it does not understand a word; so it is also wrong at times, and says "not sure"
wherever it has a reason to. The desk acts only where both readers say the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .schemas import Intent, SecondReading, Ticket

WEIGHTS = Path(__file__).parent / "second_reader_weights.json"
INTENTS: tuple[Intent, ...] = ("cancel", "other", "refund", "track")  # the order of the votes in the weights
SURE = 0.85
"""Below this probability the reader is not sure. Every wrong reading of the held-out tickets lies below."""
FAMILIAR = 0.55
"""At least this share of a ticket's words stands in the examples; another language has next to none."""

_NUMBER = re.compile(
    r"\bSD[- ]?(\d+)\b|(?:\border|\bnumber|\bno\.?)\s*#?\s*(\d{4})\b|#\s?(\d{4})\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|#")
_QUOTED = re.compile(
    r"^(?:>.*|On .{5,80} wrote:\s*[\s\S]*|-+ ?Original message ?-+[\s\S]*)$", re.MULTILINE | re.IGNORECASE
)

# What a sentence about each act sounds like. Two of them in one ticket are two wishes, or a condition.
_CUES: Mapping[Intent, re.Pattern[str]] = {
    "refund": re.compile(r"\b(?:refund\w*|reimburs\w*|money back|(?:my|the) money)\b", re.IGNORECASE),
    "cancel": re.compile(r"\b(?:cancel\w*|annul|(?:do not|don't) (?:send|ship))\b", re.IGNORECASE),
    "track": re.compile(
        r"\b(?:where (?:is|are|has)|where's|wheres|when will|tracking|status)\b", re.IGNORECASE
    ),
}
_DOUBTS: Mapping[str, re.Pattern[str]] = {
    "it speaks to the software, not to the shop": re.compile(
        r"\b(?:ignore|disregard|forget) (?:\w+ ){0,3}(?:instructions?|rules?|prompts?|polic\w+)\b"
        r"|\b(?:you are|act as) (?:now |an? )?(?:\w+ )?(?:ai|assistant|bot|model|mode|administrator)\b"
        r"|\bsystem (?:prompt|message|note)\b|\b(?:developer|admin|maintenance|debug) mode\b"
        r"|^\s*(?:system|assistant|user)\s*:|<\|?\w+\|?>|\bpre-?approved\b|\bintent\b|\bjson\b",
        re.IGNORECASE | re.MULTILINE,
    ),
    "it says what is not wanted": re.compile(
        r"(?:\b(?:not|never|no|without)|n't)(?: \w+){0,4}? (?:refund|cancel|money back|reimburs)",
        re.IGNORECASE,
    ),
    "it speaks of somebody else's order": re.compile(
        r"\b(?:my|a|our) (?:friend|neighbou?r|colleague|sister|brother|mother|father|boss)(?:'s)?"
        r" (?:\w+ )?(?:got|get|had|has|was|received|asked)\b",
        re.IGNORECASE,
    ),
    "it makes a condition": re.compile(r"\b(?:either|otherwise|or else|unless|instead of)\b", re.IGNORECASE),
}  # fmt: skip


def read(ticket: Ticket) -> SecondReading:
    """The order numbers of a ticket and its intent, or None with the doubt. Pure, and well under 5 ms."""
    text = f"{ticket.subject}.\n{own_words(ticket.text)}"
    numbers = tuple(dict.fromkeys(_numbers(text)))
    intent, doubt = _intent(text)
    return SecondReading(intent=None if doubt else intent, numbers=numbers, doubt=doubt)


def own_words(text: str) -> str:
    """A mail without the older mails quoted in it: what others wrote is not this customer's wish."""
    return _QUOTED.sub("", text)


def _numbers(text: str) -> Iterable[str]:
    for match in _NUMBER.finditer(text):
        digits = match[1] or match[2] or match[3]
        if len(digits) == 4:
            yield f"SD-{digits}"


def _intent(text: str) -> tuple[Intent, str]:
    model = weights()
    intent, probability = model.classify(text)
    if model.familiar(text) < FAMILIAR:
        return intent, "the wording is not familiar"
    for doubt, pattern in _DOUBTS.items():
        if pattern.search(text):
            return intent, doubt
    for other, cue in _CUES.items():
        if other != intent and cue.search(text):
            return intent, f"it sounds like '{intent}' and like '{other}'"
    if probability < SURE:
        return intent, f"'{intent}' is only {probability:.0%} likely"
    return intent, ""


# ── letter groups and their weights ──────────────────────────────────────────────────────────────


def words(text: str) -> list[str]:
    """Words in lower case, every order number as one `#`."""
    plain = text.lower().replace("’", "'")
    return _WORD.findall(re.sub(r"\bsd[- ]?\d+|\d+", "#", plain))


def groups(text: str) -> set[str]:
    """All runs of three to five letters inside the words, their ends marked with `_`."""
    found: set[str] = set()
    for word in words(text):
        marked = f"_{word}_"
        for size in (3, 4, 5):
            found.update(marked[at : at + size] for at in range(len(marked) - size + 1))
    return found


@dataclass(frozen=True, slots=True)
class Weights:
    """A linear model over letter groups. `rarity` weighs a group, `votes` are one number per intent."""

    rarity: Mapping[str, float]
    votes: Mapping[str, tuple[float, ...]]
    vocabulary: frozenset[str]

    def classify(self, text: str) -> tuple[Intent, float]:
        """The likeliest intent and its probability."""
        scores = [0.0] * len(INTENTS)
        for group, value in vector(groups(text), self.rarity).items():
            for position, vote in enumerate(self.votes[group]):
                scores[position] += vote * value
        likelihoods = softmax(scores)
        best = max(range(len(INTENTS)), key=likelihoods.__getitem__)
        return INTENTS[best], likelihoods[best]

    def familiar(self, text: str) -> float:
        """The share of a text's words that stand in the examples, 0 to 1."""
        found = words(text)
        return sum(word in self.vocabulary for word in found) / len(found) if found else 0.0


def vector(found: set[str], rarity: Mapping[str, float]) -> dict[str, float]:
    """The known groups of a text by rarity, scaled to length one; sorted, so that sums never differ."""
    known = {group: rarity[group] for group in sorted(found) if group in rarity}
    length = math.sqrt(sum(value * value for value in known.values())) or 1.0
    return {group: value / length for group, value in known.items()}


def softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    grown = [math.exp(score - top) for score in scores]
    total = sum(grown)
    return [value / total for value in grown]


@cache
def weights() -> Weights:
    raw = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return Weights(
        rarity={group: row[0] for group, row in raw["groups"].items()},
        votes={group: tuple(row[1:]) for group, row in raw["groups"].items()},
        vocabulary=frozenset(raw["vocabulary"].split()),
    )
