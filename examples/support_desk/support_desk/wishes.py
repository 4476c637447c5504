"""How people say in so many words what they want, as patterns; and what belongs to the same wish.

A word such as "refund" hints at a wish; "please refund" asks for it. The second reader hesitates where a mail
hints at two wishes (`doubts`), and needs less from the letters where it plainly asks for one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .schemas import Intent

_HINTS: Mapping[Intent, re.Pattern[str]] = {
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
GOES_WITH: Mapping[Intent, frozenset[Intent]] = {
    "cancel": frozenset({"refund", "track"}),  # what was paid goes back; "tell me when it is cancelled"
    "return": frozenset({"refund"}),  # the money follows
    "exchange": frozenset({"return"}),  # the other one goes back
    "refund": frozenset({"track", "return"}),
    "address": frozenset({"track"}),
    "track": frozenset({"address"}),
    "other": frozenset(_HINTS),
}
"""Hints that belong to a wish all the same."""
_NO = re.compile(
    r"(?:\b(?:not|never|no|nothing|without|rather than|instead of(?: an?)?)|n't|\bdont)\b"
    r"(?: (?!but\b|please\b|only\b|just\b)[\w']+){0,3}? "
    r"(?:refund\w*|cancel\w*|money back|reimburs\w*|return\w*|exchange\w*)",
    re.IGNORECASE,
)

_NAMES: Mapping[Intent, str] = {
    "refund": r"(?:refund\w*|reimburs\w*|(?:money|cash) back)",
    "cancel": r"(?:cancel\w*|annul\w*)",
    "return": r"(?:return\w*|(?:send(?:ing)?|give)(?: (?:it|them|this|these|both|the \w+|sd\S*))? back)",
    "exchange": r"(?:exchang\w*|swap\w*)",
}
"""The words for a wish. They may also stand where nothing is wished: "I was told to ask for a refund"."""
_BEGIN = r"(?:^|[.!?,;:(]\s*)"
_ASKING = (
    r"(?:\b(?:please|pls|plz|kindly|mind)\b|\b(?:can|could|would|may|shall|should|will|do) (?:you|i|we)\b"
    r"|(?:'d|would) (?:like|love|prefer|appreciate|be \w+)\b|\b(?:i'm|i am|we're|we are)\b"
    rf"|(?:{_BEGIN}|\b(?:i|we|and|so|but) )(?:(?:hereby|herewith|just|only|now|really|therefore) )*"
    r"(?:want|wish|need|demand|request|expect|insist|ask|have to|must)\b"
    r"|\bpossible to\b|\bhow (?:do|can|may|could|would|to)\b|\b(?:can|could|should|must) be\b)"
    r"(?: (?!not\b|never\b)[\w'-]+){0,6}? "
)


def _asking_for(names: str) -> re.Pattern[str]:
    """Please cancel; cancel my order; cancellation, please."""
    order = (
        r"(?:(?: of)? (?:my|the|this|that|it|me|them|order|sd|everything|all|please|for|number|request)\b"
        r"|[,:?-]|\W*$)"
    )
    after = r"(?: [\w'-]+){0,4}?,? (?:please|pls|plz|possible|asap|now|immediately)\b"
    return re.compile(
        rf"{_ASKING}{names}|{_BEGIN}{names}{order}|\b{names}(?:{after}|\s*[?!])", re.IGNORECASE | re.MULTILINE
    )


_ASKED: Mapping[Intent, re.Pattern[str]] = {
    **{intent: _asking_for(names) for intent, names in _NAMES.items()},
    "track": re.compile(
        r"\bwhere(?: is|'s| are) (?:my|the) |\bwhen (?:will|can i expect|does|do)\b.{0,40}\b(?:arriv|deliver"
        r"|come)|\btracking (?:number|code|link)\b|\bstatus of\b|\bhow long until\b",
        re.IGNORECASE,
    ),
}


def named(intent: Intent, text: str) -> bool:
    """Whether a word for it stands in the text, asked for or not."""
    return intent in _NAMES and bool(re.search(rf"\b{_NAMES[intent]}", text, re.IGNORECASE))


def asked(intent: Intent, text: str) -> bool:
    return bool(_ASKED[intent].search(text))


def without_noes(text: str) -> str:
    """The text without what it says is not wanted."""
    return _NO.sub(" ", text)


def hinted(text: str) -> list[Intent]:
    """The wishes of which words stand in the text."""
    return [intent for intent, pattern in _HINTS.items() if pattern.search(text)]


def plain(text: str) -> Intent | None:
    """The one wish that the text asks for in so many words; None where there is none, or more than one."""
    said = without_noes(text.replace("\u2019", "'"))
    found: list[Intent] = [intent for intent in _ASKED if asked(intent, said)]
    return found[0] if len(found) == 1 else None
