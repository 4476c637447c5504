"""The second reader: reads the same ticket as the model, by means that have nothing in common with it.

A pattern finds the order numbers, and weights over letter groups and pairs of words (trained from our own
examples by `python -m training.train_second_reader`) tell what the customer wants. It cannot be talked into
anything, because it does not understand a word; so it is also wrong at times, and says "not sure" wherever
it has a reason to. The desk acts only where both readers say the same.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import doubts, wishes
from .schemas import Intent, SecondReading, Ticket
from .themes import themes

WEIGHTS = Path(__file__).parent / "second_reader_weights.json"
INTENTS: tuple[Intent, ...] = ("address", "cancel", "exchange", "other", "refund", "return", "track")
"""The order of the votes in the weights."""
SURE: Mapping[Intent, float] = {
    **dict.fromkeys(("refund", "address", "return", "exchange"), 0.75),
    "cancel": 0.65,
    "track": 0.6,  # leads to nothing but telling buyers where their own parcel is
    "other": 0.5,  # goes to a person anyway
}
"""Below this probability the reader is not sure. Chosen on the desk's tickets and `probes/tuning.json`, never
on the sets that measure."""
PLAINLY = 0.1
"""Enough where the mail asks for it in so many words, as `wishes.plain` finds them."""
FAMILIAR = 0.6
"""At least this share of a ticket's words stands in the examples; another language has next to none."""
LONGEST = 6_000
"""Characters that are read: whoever needs more for one wish is better read by a person."""

# ── order numbers ────────────────────────────────────────────────────────────────────────────────

_NUMBER = re.compile(
    r"""
    \bS\.?\ ?D\.? \s* (?:(?:order|number|no|nr)\b\.?)? [\s\-\u2010-\u2015_./:\#(]{0,4}
      (\d\d[\ -]\d\d | \d+) \b                                  # SD-1042, sd1042, S.D. #1042, SD-10 42
    | \b(?:order|bestellung|pedido|commande) [\s-]* (?:number|num|no|nr|id|ref|reference)? (?:\s* is)?
      [.:\#("\s]{0,4} (\d{4}) \b
    | \b(?:number|no|nr|ref|reference)\.? :? \s* \#? \s* (\d{4}) \b (?!\s*(?:EUR|euros?|€|pieces|times))
    | (?<![\w\#]) \# \s? (\d{4}) \b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ANOTHER = re.compile(r"(?:\s*(?:,|&|/|\+|\band\b|\bor\b|\bnot\b))+ ?(?:also )?\#?(\d{4})\b", re.IGNORECASE)
"""What follows a number and is a second one: SD-1042 and 1043."""
_NEARLY = re.compile(r"\bSD\W{0,3}(?=[\dIOl]*\d)[\dIOl]+", re.IGNORECASE)
"""What was meant as an order number, whatever it is."""


def own_words(text: str) -> str:
    """A mail without what a mail program adds: older mails quoted in it, which are not this customer's wish,
    and what is left of HTML."""
    if "<" in text:
        text = _BREAK.sub("\n", text)
        text = _TAG.sub("", text)
    if "&" in text:
        text = html.unescape(text).replace("\u00a0", " ")
    text = _QUOTED.sub("", text)
    return _FOOTER.sub("", text)


_BREAK = re.compile(r"<(?:br|/?p|/?div|/tr|/li)\b[^<>]{0,200}>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][a-z0-9]{0,9}\b[^<>|]{0,300}>", re.IGNORECASE)
_QUOTED = re.compile(
    r"^[ \t]*>.*$"  # a quoted line
    r"|^On [^\n]{5,200}(?:\n[^\n]{0,80})? wrote:\s*$[\s\S]*"  # and what mail programs write above the rest
    r"|^(?:Am|Le|El|Op) [^\n]{5,100}(?:schrieb|écrit|escribió|schreef)[^\n]*:\s*$[\s\S]*"
    r"|^(?:[-_]{2,} ?(?:Original|Forwarded|Weitergeleitete|Ursprüngliche)|Begin forwarded)[^\n]{0,40}[\s\S]*"
    r"|^\*?(?:From|Von|De):\*? [^\n]{0,200}\n+"
    r"\*?(?:Sent|Date|Subject|Gesendet|Datum|Betreff|Envoyé|To|An):\*? [\s\S]*",
    re.MULTILINE | re.IGNORECASE,
)
_FOOTER = re.compile(
    r"^(?:Sent from my [^\n]{0,40}|Get Outlook for [^\n]{0,20}|-- ?\n[\s\S]*)", re.MULTILINE | re.IGNORECASE
)


def numbers_in(text: str) -> tuple[str, ...]:
    """The different order numbers of a text, in their written order, as `SD-1042`."""
    return tuple(dict.fromkeys(_numbers(text)))


def _numbers(text: str) -> Iterable[str]:
    for match in _NUMBER.finditer(text):
        digits = re.sub(r"\D", "", next(group for group in match.groups() if group))
        if len(digits) == 4:
            yield f"SD-{digits}"
            if another := _ANOTHER.match(text, match.end()):
                yield f"SD-{another[1]}"


def unread_number(text: str) -> str:
    """What looks like an order number and is none: SD-104, SD-IO42. "" where there is no such thing."""
    rest = _NUMBER.sub(lambda found: "" if len(re.sub(r"\D", "", found[0])) == 4 else found[0], text)
    found = _NEARLY.search(rest)
    return found[0] if found else ""


# ── what the customer wants ──────────────────────────────────────────────────────────────────────


def read(ticket: Ticket) -> SecondReading:
    """The order numbers of a ticket and its intent, or None with the doubt. Pure; a millisecond or two."""
    text = f"{ticket.subject}.\n{own_words(ticket.text)}"
    intent, doubt = _intent(text)
    return SecondReading(intent=None if doubt else intent, numbers=numbers_in(text), doubt=doubt)


def _intent(text: str) -> tuple[Intent, str]:
    model = weights()
    if len(text) > LONGEST:
        return "other", "it is too long for a mail with one wish"
    intent, probability = model.classify(text)
    asked = wishes.plain(text)
    if asked and (likely := model.likelihoods(text)[INTENTS.index(asked)]) >= PLAINLY:
        intent, probability = asked, max(likely, SURE[asked])
    if model.familiar(text) < FAMILIAR:
        return intent, "the wording is not familiar"
    if number := unread_number(text):
        return intent, f"'{number}' is no order number"
    if doubt := doubts.doubt(intent, text):
        return intent, doubt
    if probability < SURE[intent]:
        return intent, f"'{intent}' is only {probability:.0%} likely"
    return intent, ""


# ── letter groups and their weights ──────────────────────────────────────────────────────────────

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|#")


def words(text: str) -> list[str]:
    """Words in lower case, every number as one `#`."""
    plain = text.lower().replace("\u2019", "'")
    return _WORD.findall(re.sub(r"\bsd\W?\s?#?\d+|\d[\d.,]*", "#", plain))


def features(text: str) -> set[str]:
    """The words of a text, all runs of three to five letters in them (ends marked with `_`), and all pairs of
    neighbouring words (`send back`); and what it speaks of (`@money`)."""
    found = themes(text)
    last = ""
    for word in words(text):
        found.update(groups(word))
        if last:
            found.add(f"{last} {word}")
        last = word
    return found


def groups(word: str) -> Iterator[str]:
    marked = f"_{word}_"
    yield marked
    for size in (3, 4, 5):
        for at in range(len(marked) - size + 1):
            yield marked[at : at + size]


@dataclass(frozen=True, slots=True)
class Weights:
    """A linear model: one vote per intent for every known feature, scaled by how many of a text are known."""

    votes: Mapping[str, tuple[int, ...]]
    bias: tuple[float, ...]
    scale: float
    """Of a vote: they are stored as whole numbers."""
    vocabulary: frozenset[str]

    def classify(self, text: str) -> tuple[Intent, float]:
        """The likeliest intent and its probability."""
        likelihoods = self.likelihoods(text)
        best = max(range(len(INTENTS)), key=likelihoods.__getitem__)
        return INTENTS[best], likelihoods[best]

    def likelihoods(self, text: str) -> list[float]:
        """In the order of INTENTS. Whole numbers are summed, so that no order of summing matters."""
        rows = [row for found in features(text) if (row := self.votes.get(found)) is not None]
        sums = [sum(column) for column in zip(*rows, strict=True)] if rows else [0] * len(INTENTS)
        factor = self.scale / math.sqrt(len(rows) or 1)
        return softmax([bias + factor * total for bias, total in zip(self.bias, sums, strict=True)])

    def familiar(self, text: str) -> float:
        """The share of a text's words that stand in the examples, 0 to 1."""
        found = words(text)
        return sum(word in self.vocabulary for word in found) / len(found) if found else 0.0


def softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    grown = [math.exp(score - top) for score in scores]
    total = sum(grown)
    return [value / total for value in grown]


@cache
def weights() -> Weights:
    raw = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return Weights(
        votes={found: tuple(map(int, row.split())) for found, row in raw["votes"].items()},
        bias=tuple(raw["bias"]),
        scale=raw["scale"],
        vocabulary=frozenset(raw["vocabulary"].split()),
    )
