"""A text that fits a regular expression, for the expressions that people write into types: codes, numbers,
names of a few letters. No cleverness: what looks around, or back, is left out, and whoever asks checks the
result.
"""

from __future__ import annotations

import random
import re
import string
from importlib import import_module
from typing import Any

_parser: Any = import_module("re._parser")
_MOST = 8
"""Repetitions of what may be repeated without end."""

_CLASSES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_WORD": string.ascii_lowercase,
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": string.ascii_lowercase,
    "CATEGORY_NOT_WORD": "-",
    "CATEGORY_NOT_SPACE": string.ascii_lowercase,
}


def fitting(pattern: str, chance: random.Random) -> str | None:
    """None where none was found."""
    try:
        text = _text(_parser.parse(pattern), chance)
        return text if re.search(pattern, text) else None
    except (re.error, ValueError, IndexError, OverflowError):
        return None


def _text(parsed: Any, chance: random.Random) -> str:
    return "".join(_one(str(operator), value, chance) for operator, value in parsed)


def _one(operator: str, value: Any, chance: random.Random) -> str:
    match operator:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return "x" if value != ord("x") else "y"
        case "ANY":
            return chance.choice(string.ascii_lowercase)
        case "IN":
            return chance.choice(_letters(value))
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, inner = value
            # As often as allowed, within reason: an optional part is worth having.
            times = max(least, min(int(most), least + _MOST) if least == 0 and int(most) == 1 else least or 1)
            return "".join(_text(inner, chance) for _ in range(times))
        case "SUBPATTERN":
            return _text(value[-1], chance)
        case "ATOMIC_GROUP":
            return _text(value, chance)
        case "BRANCH":
            return _text(value[1][0], chance)
        case _:
            return ""  # beginnings, ends, boundaries; what looks around


def _letters(parts: Any) -> str:
    found, without = "", False
    for operator, value in parts:
        match str(operator):
            case "NEGATE":
                without = True
            case "LITERAL":
                found += chr(value)
            case "RANGE":
                found += "".join(map(chr, range(value[0], min(value[1], value[0] + 200) + 1)))
            case "CATEGORY":
                found += _CLASSES.get(str(value), "")
            case _:
                continue
    if without:
        return "".join(one for one in string.ascii_lowercase + string.digits if one not in found)
    return found
