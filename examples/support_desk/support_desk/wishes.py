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

_ASKING = (
    r"\b(?:please|pls|plz|kindly|(?:can|could|would|may) (?:you|i|we)|(?:i|we)(?:'d| would) (?:like|love)"
    r"|(?:i|we) (?:want|wish|need|demand|request|expect|ask))\b(?: (?!not\b|never\b)[\w']+){0,4}? "
)


def _asking(for_what: str) -> re.Pattern[str]:
    return re.compile(_ASKING + for_what, re.IGNORECASE)


_PLAIN: Mapping[Intent, re.Pattern[str]] = {
    "refund": _asking(r"(?:refund\w*|reimburse\w*|money back)\b"),
    "cancel": _asking(r"cancel\w*"),
    "return": _asking(r"(?:return|send (?:it|them|the \w+|both) back)\b"),
    "exchange": _asking(r"(?:exchange|swap)\b"),
    "track": re.compile(
        r"\bwhere(?: is|'s| are) (?:my|the) |\bwhen (?:will|can i expect|does|do)\b.{0,40}\b(?:arriv|deliver"
        r"|come)|\btracking (?:number|code|link)\b|\bstatus of\b|\bhow long until\b",
        re.IGNORECASE,
    ),
}


def without_noes(text: str) -> str:
    """The text without what it says is not wanted."""
    return _NO.sub(" ", text)


def hinted(text: str) -> list[Intent]:
    """The wishes of which words stand in the text."""
    return [intent for intent, pattern in _HINTS.items() if pattern.search(text)]


def plain(text: str) -> Intent | None:
    """The one wish that the text asks for in so many words; None where there is none, or more than one."""
    said = without_noes(text.replace("\u2019", "'"))
    found: list[Intent] = [intent for intent, pattern in _PLAIN.items() if pattern.search(said)]
    return found[0] if len(found) == 1 else None
