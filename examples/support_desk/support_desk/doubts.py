"""Reasons to leave a mail to a person, whatever its letters look like: the second reader's caution.

The readers learned what a wish sounds like. These patterns know what only looks like one: a question, a
condition, a wish for later, a thank-you for what was done, two wishes, a no. They are wide on purpose, and
none of them leads to an act: all that they can do is to put a mail in front of a person, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from . import wishes
from .schemas import Intent

ALL: frozenset[Intent] = frozenset({"address", "cancel", "exchange", "other", "refund", "return", "track"})
ACTS = ALL - {"track", "other"}
"""What changes something in the shop; for a wrong answer to "where is it?" less is at stake."""


class Reason(NamedTuple):
    says: str
    """The reason, for the colleague who takes over: it ..."""
    pattern: re.Pattern[str]
    matters: Collection[Intent]
    """The wishes that it casts doubt on."""


def _reason(says: str, pattern: str, matters: Collection[Intent] = ALL) -> Reason:
    return Reason(says, re.compile(pattern, re.IGNORECASE | re.MULTILINE), matters)


_DONE = r"(?:refund|cancel|return|exchang|swap|chang|credit)\w*"
_SOMETHING_ELSE = (
    r"(?:newsletter|subscription|membership|account|mail(?:s|ing)|e-?mail|reminder|message|return|exchange|refund"
    r"|request|complaint|cancellation|gift[- ]?wrap\w*|insurance|express|appointment|claim)s?"
)

REASONS = (
    _reason(
        "it speaks to the software, not to the shop",
        r"\b(?:ignore|disregard|forget) (?:\w+ ){0,3}(?:instructions?|rules?|prompts?|polic\w+)\b"
        r"|\b(?:you are|act as) (?:now |an? )?(?:\w+ )?(?:ai|assistant|bot|model|mode|administrator)\b"
        r"|\b(?:ai|bot|language model|automated|assistant)s?\b.{0,40}"
        r"\b(?:agent|read|must|approve|refund|mark|output|note)"
        r"|\b(?:note|message|instructions?) (?:to|for) (?:the )?"
        r"(?:ai|bots?|assistant|language model|software)\b"
        r"|\bsystem (?:prompt|message|note)\b|\b(?:developer|admin|maintenance|debug) mode\b"
        r"|^\s*\W?(?:system|assistant|user)\W?\s*:|<\|?\w+\|?>|\bpre-?approved\b|\bintent\b|\bjson\b|\boverride\b"
        r"|\bwithout (?:any )?(?:approval|asking)\b|\border_number\b",
    ),
    _reason(
        "it speaks of somebody else's order",
        r"\b(?:my|a|our) (?:friend|neighbou?r|colleague)(?:'s)?"
        r" (?:\w+ )?(?:got|get|had|has|was|received|asked)\b"
        r"|\bfriends? of (?:mine|ours)\b",
    ),
    _reason(
        "it makes a condition",
        r"\b(?:either|otherwise|or else|unless)\b"
        r"|\bif (?:that|this|it)(?:'s| is)(?:n't| not) possible\b|\bif (?:not|you can'?t|you cannot)\b"
        r"|\bor (?:else |if |a |an |the |my |just )?(?:\w+ )?"
        r"(?:refund|cancel|exchange|money back|voucher|credit)"
        r"|\b(?:refund|exchange|return|cancel|money back) or\b",
    ),
    _reason(
        "it makes a condition",
        # "if it has not left yet" is none: that is the shop's own condition for it.
        r"\bif (?:it|they|he|she|the \w+|my \w+|sd\W?\d+)"
        r"(?:'s|'re| (?:is|are|has|have|was|were|does|do|did|can|ca|will|wo))? ?(?:n't|not)\b"
        r"(?! (?:yet )?(?:been )?(?:sent|ship|left|dispatch|gone|posted|packed|on its)"
        r"| (?:too|much|a|possible|already)\b)",
        ACTS,
    ),
    _reason("it makes a condition", r"\bif so\b", ACTS - {"exchange"}),
    _reason(
        "it asks what would be",
        r"\bbefore (?:i|we) (?:buy|order)\b|\b(?:have not|haven't) (?:ordered|bought)\b"
        r"|\bsuppose\b|\bin theory\b",
    ),
    _reason(
        "it asks, or is not decided",
        r"\b(?:not (?:\w+ )?(?:sure|certain)|thinking|don't know|wondering)(?: yet)?(?: about)?"
        r" (?:if|whether) (?:(?:i|we) (?:should|want|will|need|like|ought)|to)\b"
        r"|\bundecided\b|(?:\bnot|n't) (?:yet )?decided\b|\b(?:may|might) (?:still )?want to\b"
        r"|\bhow long (?:do|can|may|would) (?:i|we)\b|\b(?:until|till|by) when\b|\bwhat (?:would )?happens?\b"
        r"|\bwhat if\b|\bif (?:i|we) (?:were|was|decided?|wanted|returned|cancell?ed|exchanged)\b"
        r"|\bin case (?:i|we|they|he|she|it (?:does|is|turns)|my \w+|the \w+ (?:does|is))\b|\bhypothetical\w*"
        r"|\bwould (?:i|we) (?:get|lose|be)\b|\bwould you (?:keep|charge|deduct)\b"
        r"|\b(?:just|only) (?:asking|curious)\b"
        r"|\b(?:which|what) address\b|\bi hope it\b"
        r"|(?<!where )(?<!how )\b(?:should|ought|shall) (?:i|we|my|it)\b",
        ACTS,
    ),
    _reason(
        "it takes something back",
        r"\b(?:ignore|forget|disregard) (?:my|the|all|what|about (?:my|the))"
        r" (?:last|previous|mails?|earlier|question|refund|return|exchange|cancellation)\b"
        r"|\bnever ?mind\b|\bafter all\b(?=.{0,40}\b(?:keep|want|need)\b)|\bno longer need to\b"
        r"|\b(?:i|we)(?:'ve| have)? (?:asked|told|wrote|said).{0,60}\b(?:refund|cancel|return)",
    ),
    _reason(
        "it says that something is kept",
        r"\b(?:i|we)(?:'ll| will|'d| would|'m| am|'ve| have)?"
        r"(?: (?:rather|like to|going to|want to|decided to|now))? keep (?:it|them|the|my|this|these)\b",
        ACTS - {"address"},
    ),
    _reason(
        "it is about a request made before",
        r"\bwhere(?:'s| is) (?:my|the) (?:refund|money)\b"
        r"|\b(?:sent|returned|posted) (?:it|them|the \w+|sd) (?:\w+ )?back\b"
        r"|\bmy (?:refund|return|cancellation)\b.{0,30}\b(?:has|have|was|been|confirmed|still)\b",
    ),
    _reason(
        "it is about a request made before",
        rf"\bthank(?:s| you)\b[^.!?\n]{{0,12}} for (?:\w+ ){{0,3}}?{_DONE}"
        r"|\b(?:confirm|check|see|know|tell me) (?:that|if|whether)\b[^.!?\n]{0,40}"
        rf"\b(?:was|were|is|been) {_DONE}"
        r"|\bas (?:i|we) (?:have )?(?:already )?(?:asked|requested|said|wrote|told)\b",
        ACTS,
    ),
    _reason(
        "it speaks of something that was promised before",
        r"\b(?:you|your colleague|your manager|someone|she|he|they)(?:'ve| have| had)? (?:\w+ )?"
        r"(?:agreed|promised|granted|approved|assured|confirmed that)\b|\bas (?:agreed|promised|discussed)\b",
        ALL - {"track"},
    ),
    _reason(
        "it wants the parcel at another time",
        r"(?:\bnot|n't|\bdont)\b[^.!?;\n]{0,25}\b(?:send|ship|dispatch|deliver|post)\b[^.!?;\n]{0,40}\b(?:before|until|till|yet"
        r"|later|today|tomorrow|(?:this|next) week|on (?:the|mon|tues|wednes|thurs|fri|satur|sun))",
        {"cancel", "address"},
    ),
    _reason(
        "it wants the parcel at another time",
        r"\bpostpone\w*|\bput off\b|\blater date\b|\bhold (?:it|them|back|off|my|the|this|sd)\b|\bpause\b"
        r"|\bwait (?:with|for (?:me|my (?:call|answer|mail|word|next)))\b",
        {"cancel", "address", "track"},
    ),
    _reason(
        "it speaks of something that has come",
        r"\b(?:has|have|just|already)\b[^.!?\n]{0,25}\b(?:arrived|come|came|delivered|brought|carried)\b",
        {"cancel"},
    ),
    _reason(
        "it may want something else cancelled than the order",
        rf"\b(?:cancel|stop|annul|undo|withdraw)\w*(?: (?!and\b|then\b|order\b|it\b|sd\b)[\w'-]+){{1,5}}? "
        rf"{_SOMETHING_ELSE}\b",
        {"cancel"},
    ),
)  # fmt: skip
"""In this order; the first that fits is told."""

_FAULT = re.compile(
    r"(?<!not )(?<!nothing )(?<!never )(?<!isn't )\b(?:broke\w*|crack\w*|smash\w*|shatter\w*|defect\w*|faulty"
    r"|damag\w*|soak\w*|swoll?en|ruin\w*|spoil\w*|wet|rotten|scratch\w*|stain\w*|dent(?:s|ed)?|burn\w*"
    r"|leak\w*|torn|(?:doesn't|does not|stopped) work\w*|dead|chipped|mould\w*)",
    re.IGNORECASE,
)


def doubt(intent: Intent, text: str) -> str:
    """Why a person should look before anything follows from `intent`; "" where nothing speaks against it."""
    plain = text.replace("\u2019", "'")
    for reason in REASONS:
        if intent in reason.matters and reason.pattern.search(plain):
            return reason.says
    affirmed = wishes.without_noes(plain)
    said, wished = wishes.hinted(plain), wishes.hinted(affirmed)
    was_named, is_named = wishes.named(intent, plain), wishes.named(intent, affirmed)
    if (intent in said and intent not in wished) or (was_named and not is_named):
        return f"it says that '{intent}' is not wanted"
    for other in wished:
        if other != intent and other not in wishes.GOES_WITH[intent]:
            return f"it sounds like '{intent}' and like '{other}'"
    if is_named and not wishes.asked(intent, affirmed):
        return f"it speaks of '{intent}', and does not ask for it"
    if intent == "return" and _FAULT.search(plain):
        return "it speaks of a fault, which is no reason to send back but to give money back"
    return ""
