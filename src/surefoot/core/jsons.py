"""JSON as we mean it: strict on the way in, one canonical form for digests.

The journal keeps values as JSON text (`Raw`): the text is what is hashed, sealed and replayed, so
it is made once and passed on as it is.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any, NewType

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

Raw = NewType("Raw", str)
"""Text that is already JSON."""

NULL = Raw("null")

_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_quoted = json.encoder.encode_basestring
_dump_sorted = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True
).encode
loads = json.loads


def dumps(value: Any) -> str:
    """Compact JSON. Raises ValueError for NaN and infinities, TypeError for what is not JSON."""
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is int:  # most fields of an event: not worth making an encoder for
        return repr(value)
    if kind is float and math.isfinite(value):
        return repr(value)
    return _dump(value)


def parse_strictly(text: str) -> Any:
    """JSON without duplicate keys, NaN or infinities. Raises ValueError with a line for the model."""
    return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def canonical(value: Any) -> str:
    """One text per meaning: keys sorted, 5, 5.0 and Decimal("5.00") alike. For digests only."""
    return _dump_sorted(_normal(value))


def _normal(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            return value
        case float():
            return _number(value)
        case Decimal():
            return _decimal(value)
        case dict():
            return {str(key): _normal(item) for key, item in value.items()}
        case list() | tuple():
            return [_normal(item) for item in value]
        case BaseModel():
            return _normal(value.model_dump(mode="python"))
        case _:
            return _normal(to_jsonable_python(value))


def _number(value: float) -> Any:
    if not math.isfinite(value):
        return {"$number": str(value)}
    return int(value) if value.is_integer() else value


def _decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return {"$number": str(value)}
    if value == value.to_integral_value():
        return int(value)
    as_float = float(value)
    # A float where it says the same number, so that 0.1 and Decimal("0.10") have one digest.
    return as_float if Decimal(repr(as_float)) == value else {"$number": format(value.normalize(), "f")}
