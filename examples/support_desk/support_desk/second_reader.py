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
FAMILIAR = 0.6
"""At least this share of a ticket's words stands in the examples; another language has next to none."""
LONGEST = 6_000
"""Characters that are read: whoever needs more for one wish is better read by a person."""

# ── order numbers ────────────────────────────────────────────────────────────────────────────────

_NUMBER = re.compile(
    r"""
    \bSD \s* (?:[-\u2010-\u2015_./:\#]\s*)? (\d+) \b            # SD-1042, sd 1042, SD1042, SD #1042
    | \b(?:order|bestellung|pedido|commande) (?:\s* (?:number|num|no|nr|id))? (?:\s* is)?
      [.:\#]* \s* \#? \s* (\d{4}) \b
    | \b(?:number|no|nr)\.? :? \s* \#? \s* (\d{4}) \b (?!\s*(?:EUR|euros?|€|pieces|times))
    | (?<![\w\#]) \# \s? (\d{4}) \b
    """,
    re.IGNORECASE | re.VERBOSE,
)


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
    r"|^On [^\n]{5,80}(?:\n[^\n]{0,60})? wrote:\s*$[\s\S]*"  # and what mail programs write above the rest
    r"|^(?:Am|Le|El|Op) [^\n]{5,100}(?:schrieb|écrit|escribió|schreef)[^\n]*:\s*$[\s\S]*"
    r"|^[-_]{2,} ?(?:Original|Forwarded|Weitergeleitete|Ursprüngliche)[^\n]{0,40}[\s\S]*"
    r"|^(?:From|Von|De): [^\n]{0,200}\n+(?:Sent|Date|Gesendet|Datum|Envoyé|To|An): [\s\S]*",
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
        digits = match[1] or match[2] or match[3] or match[4]
        if len(digits) == 4:
            yield f"SD-{digits}"


# ── what the customer wants ──────────────────────────────────────────────────────────────────────

# What a sentence about each wish sounds like. One that stands there, and is not the wish that was read, is a
# second wish or a condition.
_CUES: Mapping[Intent, re.Pattern[str]] = {
    "refund": re.compile(r"\b(?:refund\w*|reimburs\w*|money back)\b", re.IGNORECASE),
    "cancel": re.compile(r"\b(?:cancel\w*|annul\w*|(?:do not|don't|dont) (?:send|ship)\b)", re.IGNORECASE),
    "track": re.compile(
        r"\b(?:where (?:is|are) (?:my|the|it)|where's (?:my|the)|when will|status of)\b", re.IGNORECASE
    ),
    "address": re.compile(
        r"\b(?:(?:new|change of|change the|delivery|shipping|correct) address|deliver (?:it )?to)\b",
        re.IGNORECASE,
    ),
    "return": re.compile(
        r"\b(?:returns? label|send (?:it|them|the \w+) back|(?:to|i'd) return)\b", re.IGNORECASE
    ),
    "exchange": re.compile(r"\b(?:exchange\w*|swap\w*)\b", re.IGNORECASE),
}  # fmt: skip
_GOES_WITH: Mapping[Intent, frozenset[str]] = {
    "cancel": frozenset({"refund", "track"}),  # what was paid goes back; "tell me when it is cancelled"
    "return": frozenset({"refund"}),  # the money follows
    "exchange": frozenset({"return"}),  # the other one goes back
    "refund": frozenset({"track", "return"}),
    "address": frozenset({"track"}),
    "track": frozenset({"address"}),
    "other": frozenset({"refund", "cancel", "track", "address", "return", "exchange"}),
}
"""Cues that belong to a wish all the same."""
_NOT = re.compile(
    r"(?:\b(?:not|never|no|without|rather than|instead of(?: an?)?)|n't|\bdont)\b"
    r"(?: (?!but\b|please\b|only\b|just\b)[\w']+){0,3}? "
    r"(?:refund\w*|cancel\w*|money back|reimburs\w*|return\w*|exchange\w*)",
    re.IGNORECASE,
)
_DOUBTS: Mapping[str, re.Pattern[str]] = {
    "it speaks to the software, not to the shop": re.compile(
        r"\b(?:ignore|disregard|forget) (?:\w+ ){0,3}(?:instructions?|rules?|prompts?|polic\w+)\b"
        r"|\b(?:you are|act as) (?:now |an? )?(?:\w+ )?(?:ai|assistant|bot|model|mode|administrator)\b"
        r"|\b(?:ai|bot|language model|automated|assistant)s?\b.{0,40}"
        r"\b(?:agent|read|must|approve|refund|mark|output|note)"
        r"|\b(?:note|message|instructions?) (?:to|for) (?:the )?"
        r"(?:ai|bots?|assistant|language model|software)\b"
        r"|\bsystem (?:prompt|message|note)\b|\b(?:developer|admin|maintenance|debug) mode\b"
        r"|^\s*\W?(?:system|assistant|user)\W?\s*:|<\|?\w+\|?>|\bpre-?approved\b|\bintent\b|\bjson\b|\boverride\b"
        r"|\bwithout (?:any )?(?:approval|asking)\b|\border_number\b",
        re.IGNORECASE | re.MULTILINE,
    ),
    "it speaks of somebody else's order": re.compile(
        r"\b(?:my|a|our) (?:friend|neighbou?r|colleague)(?:'s)?"
        r" (?:\w+ )?(?:got|get|had|has|was|received|asked)\b",
        re.IGNORECASE,
    ),
    "it makes a condition": re.compile(
        r"\b(?:either|otherwise|or else|unless)\b"
        r"|\bif (?:that|this|it)(?:'s| is)(?:n't| not) possible\b|\bif (?:not|you can'?t|you cannot)\b"
        r"|\bor (?:else |if |a |an |the |my |just )?(?:\w+ )?"
        r"(?:refund|cancel|exchange|money back|voucher|credit)"
        r"|\b(?:refund|exchange|return|cancel|money back) or\b",
        re.IGNORECASE,
    ),
    "it asks what would be": re.compile(
        r"\bbefore (?:i|we) (?:buy|order)\b|\b(?:have not|haven't) (?:ordered|bought)\b"
        r"|\bsuppose\b|\bin theory\b",
        re.IGNORECASE,
    ),
    "it takes something back": re.compile(
        r"\b(?:ignore|forget|disregard) (?:my|the|all|what|about my)"
        r" (?:last|previous|mails?|earlier|question)\b"
        r"|\bnever ?mind\b|\bafter all\b(?=.{0,40}\b(?:keep|want|need)\b)|\bno longer need to\b"
        r"|\b(?:i|we)(?:'ve| have)? (?:asked|told|wrote|said).{0,60}\b(?:refund|cancel|return)",
        re.IGNORECASE,
    ),
    "it is about a request made before": re.compile(
        r"\bwhere(?:'s| is) (?:my|the) (?:refund|money)\b"
        r"|\b(?:sent|returned|posted) (?:it|them|the \w+|sd) (?:\w+ )?back\b"
        r"|\bmy (?:refund|return|cancellation)\b.{0,30}\b(?:has|have|was|been|confirmed|still)\b",
        re.IGNORECASE,
    ),
}  # fmt: skip


_PROMISED = re.compile(
    r"\b(?:you|your colleague|your manager|someone|she|he|they)(?:'ve| have| had)? (?:\w+ )?"
    r"(?:agreed|promised|granted|approved|assured|confirmed that)\b|\bas (?:agreed|promised|discussed)\b",
    re.IGNORECASE,
)
_FAULT = re.compile(
    r"(?<!not )(?<!nothing )(?<!never )(?<!isn't )\b(?:broke\w*|crack\w*|smash\w*|shatter\w*|defect\w*|faulty"
    r"|damag\w*|soak\w*|swoll?en|ruin\w*|spoil\w*|wet|rotten|scratch\w*|stain\w*|dent(?:s|ed)?|burn\w*"
    r"|leak\w*|torn|(?:doesn't|does not|stopped) work\w*|dead|chipped|mould\w*)",
    re.IGNORECASE,
)


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
    if model.familiar(text) < FAMILIAR:
        return intent, "the wording is not familiar"
    plain = text.replace("\u2019", "'")
    for doubt, pattern in _DOUBTS.items():
        if pattern.search(plain):
            return intent, doubt
    if intent != "track" and _PROMISED.search(plain):
        return intent, "it speaks of something that was promised before"
    said = _NOT.sub(" ", plain)
    for other, cue in _CUES.items():
        if other == intent:
            if cue.search(plain) and not cue.search(said):
                return intent, f"it says that '{intent}' is not wanted"
        elif other not in _GOES_WITH[intent] and cue.search(said):
            return intent, f"it sounds like '{intent}' and like '{other}'"
    if intent == "return" and _FAULT.search(plain):
        return intent, "it speaks of a fault, which is no reason to send back but to give money back"
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
