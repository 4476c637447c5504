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

_PLACEHOLDER = re.compile(r"\[(?:secret:[^\]\s]{1,100}|[a-z][a-z0-9-]{0,40}-[1-9][0-9]{0,5})\]")


def resolve(value: Any, private: Private) -> Any:
    """Python data with exact values where placeholders stand; the very same object where none does. Raises
    InvalidArguments."""
    match value:
        case str():
            return _in_text(value, private) if "[" in value else value
        case dict():
            found = {resolve(key, private): resolve(item, private) for key, item in value.items()}
            return found if any(found[key] is not value.get(key) for key in found) else value
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
    if not _PLACEHOLDER.search(text):
        return text
    try:
        value = parse_strictly(text)
    except ValueError:
        return text
    resolved = resolve(value, private)
    return text if resolved is value else dumps(resolved)


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

    return _PLACEHOLDER.sub(exact, text)
