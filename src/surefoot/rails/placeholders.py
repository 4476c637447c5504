"""Placeholders on their way back: `[email-1]` in a call's arguments is that run's first e-mail address.

People see placeholders and write them into edited arguments; a model may repeat one from an old text. Each is
resolved for its own run, or refused: it must never reach a tool as if it were a value. What stands for a
secret is always refused, because nobody gets a secret back.
"""

from __future__ import annotations

import re
from typing import Any

from ..core.jsons import dumps, parse_strictly
from ..errors import InvalidArguments
from .redaction import Private

_PLACEHOLDER = re.compile(r"\[(?:secret:[^\[\]\s]{1,100}|[^\[\]\n]{1,60}-[1-9][0-9]{0,5})\]")
"""A kind is whatever an author called it."""


def resolve(value: Any, private: Private) -> Any:
    """Python data with exact values where placeholders stand; the very same object where none does. Raises
    InvalidArguments."""
    match value:
        case str():
            return _in_text(value, private) if "[" in value else value
        case dict():
            pairs = [(resolve(key, private), resolve(item, private)) for key, item in value.items()]
            if all(a is key and b is value[key] for (a, b), key in zip(pairs, value, strict=True)):
                return value
            found = dict(pairs)
            if len(found) < len(pairs):
                raise InvalidArguments(
                    "the arguments hold one key twice",
                    why="a placeholder stands for a value that is given beside it",
                    remedy="Give each key once.",
                )
            return found
        case list():
            items = [resolve(item, private) for item in value]
            return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
        case tuple() if type(value) is tuple:
            parts = tuple(resolve(item, private) for item in value)
            return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
        case _:
            return value


def resolve_json(text: str, private: Private) -> str:
    """The same for what should be JSON text; what is none is for its reader to refuse."""
    if not holds_any(text):
        return text
    try:
        value = parse_strictly(text)
    except ValueError:
        return text
    resolved = resolve(value, private)
    return text if resolved is value else dumps(resolved)


def holds_any(text: str) -> bool:
    """Whether anything in this JSON text may be a placeholder."""
    return _PLACEHOLDER.search(text) is not None


def _in_text(text: str, private: Private) -> str:
    def exact(found: re.Match[str]) -> str:
        name = found[0]
        value = private.exact(name)
        if value is not None:
            return value
        kind = name[1:-1].rpartition("-")[0]
        if name.startswith("[secret:") or private.uses(kind):
            raise InvalidArguments(
                f"the arguments hold {name}",
                why="a secret is given to nobody"
                if name.startswith("[secret:")
                else "this run knows no such value",
                remedy="Give the value itself, or a placeholder that this run shows.",
            )
        return name  # somebody's own words in brackets

    resolved = _PLACEHOLDER.sub(exact, text)
    return text if resolved == text else resolved
