"""JSON as we mean it: strict on the way in, one canonical form for digests.

The journal keeps values as JSON text (`Raw`): the text is what is hashed, sealed and replayed, so
it is made once and passed on as it is.
"""

from __future__ import annotations

import dataclasses
import json
import math
from decimal import Decimal
from typing import Any, NewType

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json, to_jsonable_python

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


def text_for_model(value: Any) -> str:
    """JSON of data or a result for a model to read: the same text for the same value in every process, also
    where it holds sets. A replayed question is found again by its text."""
    return to_json(_like(_ANY.dump_python(value, warnings=False), to_jsonable_python(value))).decode()


def _like(value: Any, shown: Any) -> Any:
    """`shown`, which is `value` as JSON, with each list that stands for a set in order."""
    match value:
        case dict() if isinstance(shown, dict) and len(shown) == len(value):
            return dict(zip(shown, map(_like, value.values(), shown.values()), strict=True))
        case list() | tuple() if isinstance(shown, list) and len(shown) == len(value):
            return list(map(_like, value, shown))
        case set() | frozenset() if isinstance(shown, list):
            return sorted(shown, key=_dump_sorted)
        case _:
            return shown


_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def parse_strictly(text: str) -> Any:
    """JSON without duplicate keys, NaN or infinities. Raises ValueError with a line for the model."""
    try:
        return json.loads(
            text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    # 1e999 is JSON and no number that can be calculated with: it would become an infinity.
    if math.isinf(found := float(digits)):
        raise ValueError(f"the number {digits[:40]} is too large")
    return found


def canonical(value: Any) -> str:
    """One text per meaning: keys sorted, 5, 5.0 and Decimal("5.00") alike, the order of a set of no
    account. For digests only. Raises ValueError for what cannot be written as JSON."""
    try:
        return _dump_sorted(_normal(value))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _normal(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if value.bit_length() <= _MOST_BITS else _decimal(Decimal(value))
        case float():
            return _number(value)
        case Decimal():
            return _decimal(value)
        case dict():
            return _object({_key(key): _normal(item) for key, item in value.items()})
        case list() | tuple():
            return [_normal(item) for item in value]
        case set() | frozenset():
            # Its own order changes from process to process, and a digest must not.
            return sorted((_normal(item) for item in value), key=_dump_sorted)
        case BaseModel():
            return _normal(value.model_dump(mode="python"))
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _normal({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
        case _:
            return _normal(to_jsonable_python(value))


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    normal = _normal(key)
    return normal if isinstance(normal, str) else _dump_sorted(normal)


def _object(found: dict[str, Any]) -> dict[str, Any]:
    """Escaped where it looks like one of our own numbers, so that no two meanings share a text."""
    if len(found) == 1 and (key := next(iter(found))).startswith("$") and key.lstrip("$") == "number":
        return {f"${key}": found[key]}
    return found


_MOST_DIGITS = 400
"""Of a number that is written out: more than the largest float has, and nothing that takes long."""
_MOST_BITS = 1300
"""Fewer than 400 digits."""


def _number(value: float) -> Any:
    if not math.isfinite(value):
        return {"$number": str(value)}
    if not value.is_integer():
        return value
    # A large float is the number that it is written as, like a small one: 1e23 is 10 ** 23.
    return int(value) if abs(value) < 2**53 else int(Decimal(repr(value)))


def _decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return {"$number": str(value)}
    # By its digits, since arithmetic would round to the context's precision, and 1E+999999999 (which a
    # model may write in eleven characters) must not be written out.
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).lstrip("0")
    bare = text.rstrip("0")
    exponent += len(text) - len(bare)
    if not bare:
        return 0
    if exponent >= 0 and len(bare) + exponent <= _MOST_DIGITS:
        return int(value)
    as_float = float(value)
    # A float where it says the same number, so that 0.1 and Decimal("0.10") have one digest.
    if math.isfinite(as_float) and Decimal(repr(as_float)) == value:
        return _number(as_float)
    return {"$number": f"{'-' if sign else ''}{bare}E{exponent}"}
