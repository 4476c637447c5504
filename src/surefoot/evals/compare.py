"""Comparing JSON values, and saying in one line how two of them differ.

A number equals the text that it is written as (5 and "5.00"), because money is text in one place and a number
in another; "0017" is no number, and true is not 1. Nothing here raises, whatever it is given: a value that
cannot be written as JSON is shown all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

SHOWN = 120
"""Letters of a value that are shown."""
DEEPEST = 100
"""Levels that are compared one by one; what lies below is compared as a whole."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,100})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_PLACE = re.compile(r"-?[0-9]{1,9}", re.ASCII)

Difference = tuple[str, str, str]
"""(path, wanted, got), the values as they are shown."""


def difference(wanted: Any, got: Any, path: str = "") -> Difference | None:
    """The first place where two values differ."""
    return next(differences(wanted, got, path), None)


def differences(wanted: Any, got: Any, path: str = "", depth: int = 0) -> Iterator[Difference]:
    match wanted, got:
        case (Mapping(), Mapping()) if depth < DEEPEST:
            for key in [*wanted, *(key for key in got if key not in wanted)]:
                inner = f"{path}.{key}".lstrip(".")
                if key not in got:
                    yield inner, shown(wanted[key]), "nothing"
                elif key not in wanted:
                    yield inner, "nothing", shown(got[key])
                else:
                    yield from differences(wanted[key], got[key], inner, depth + 1)
        case (list(), list()) if depth < DEEPEST:
            for number, (one, other) in enumerate(zip(wanted, got, strict=False)):
                yield from differences(one, other, f"{path}.{number}".lstrip("."), depth + 1)
            if len(wanted) != len(got):
                yield path, f"{len(wanted)} items", f"{len(got)} items"
        case _:
            if not _same(wanted, got):
                yield path, *apart(wanted, got)


def contained(wanted: Mapping[str, Any], got: Any, path: str = "") -> Iterator[Difference]:
    """What of `wanted` is not there; what else is there does not matter. A key may be a path (`a.b.0`)."""
    for key, value in wanted.items():
        where = f"{path}.{key}".lstrip(".")
        present, found = at_path(got, key)
        if not present:
            yield where, shown(value), "nothing"
        elif isinstance(value, Mapping) and isinstance(found, Mapping):
            yield from contained(value, found, where)
        elif differs := difference(value, found, where):
            yield differs


def at_path(value: Any, path: str) -> tuple[bool, Any]:
    """(whether it is there, what stands there). A key that has dots in it is found as it is, too; a list's
    places count from 0, and from -1 at its end."""
    parts = path.split(".")
    at = 0
    while at < len(parts):
        if isinstance(value, Mapping):
            ends = (end for end in range(len(parts), at, -1) if ".".join(parts[at:end]) in value)
            end = next(ends, 0)
            if not end:
                return False, None
            value, at = value[".".join(parts[at:end])], end
        elif isinstance(value, list) and _PLACE.fullmatch(parts[at]):
            place = int(parts[at])
            if not -len(value) <= place < len(value):
                return False, None
            value, at = value[place], at + 1
        else:
            return False, None
    return True, value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if type(one) is type(other) and isinstance(one, str | int):
        return bool(one == other)
    number = _number(one)
    if number is not None:
        return number == _number(other)
    try:
        return type(one) is type(other) and bool(one == other)
    except RecursionError:
        return False


def _number(value: Any) -> Decimal | None:
    if isinstance(value, int):
        return Decimal(value)
    text = repr(value) if isinstance(value, float) else value
    return Decimal(text) if isinstance(text, str) and _NUMBER.fullmatch(text) else None


def shown(value: Any) -> str:
    """As JSON, in one line, cut."""
    return cut(_text(value))


def apart(one: Any, other: Any) -> tuple[str, str]:
    """Both as they are shown; of two long texts the part where they begin to differ."""
    first, second = _text(one), _text(other)
    same = next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
        min(len(first), len(second)),
    )
    if same < SHOWN // 2:
        return cut(first), cut(second)
    begin = same - 30
    return cut(f"…{first[begin : begin + SHOWN]}"), cut(f"…{second[begin : begin + SHOWN]}")


def _text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):  # keys that are no texts, a value that holds itself
        return f"<a {type(value).__name__} that is no JSON>"


def cut(text: str) -> str:
    text = " ".join(text[: 4 * SHOWN].split())
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
