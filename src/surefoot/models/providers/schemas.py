"""What each server can enforce of a JSON Schema.

A server that constrains decoding takes a subset of JSON Schema and refuses the rest, or, worse,
drops it in silence. `fit` says a schema in a server's subset: what it cannot say is left out, so the
result is never narrower than a server needs it to be, and never more than a hint to us: the road
validates every answer against the real schema. Returns None where leaving out is not enough (a free
map in a strict mode): the caller then sends the schema unenforced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...core.jsons import dumps, parse_strictly

Schema = dict[str, Any]

COMMON_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
WHOLE = 10**15
"""Where an integer without limits is cut off, so that digits cannot go on until the tokens end."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The keywords that a server enforces, by the type that they belong to.

    `required`: every property must be there (a nullable one may still be null). `maps`: objects with
    names that the schema does not know. `notes`: descriptions go along, and tell what was left out.
    `wraps`: the root must be an object with known members, so any other answer is put into one.
    `longest` bounds strings that have no bound of their own (characters); `most` arrays and maps.
    """

    string: frozenset[str] = frozenset()
    number: frozenset[str] = frozenset()
    array: frozenset[str] = frozenset()
    formats: frozenset[str] = COMMON_FORMATS
    required: bool = True
    maps: bool = False
    notes: bool = True
    wraps: bool = True
    longest: int | None = None
    most: int | None = None


STRICT = Dialect(string=frozenset({"pattern"}), number=NUMBERS, array=frozenset({"minItems", "maxItems"}))
"""OpenAI's strict mode, which other servers copy."""

MESSAGES = Dialect(formats=COMMON_FORMATS | {"uri"}, required=False)
"""Anthropic's structured outputs."""

GRAMMAR = Dialect(
    string=frozenset({"pattern", "minLength", "maxLength"}),
    number=NUMBERS,
    array=frozenset({"minItems", "maxItems"}),
    formats=frozenset({"date-time", "time", "date", "uuid", "ipv4"}),
    maps=True,
    notes=False,
    wraps=False,
    longest=800,
    most=8,
)
"""llguidance, the grammar engine beside the embedded model. What it cannot compile it drops in silence."""


class _CannotSay(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Fitted:
    """`wrapped`: the server wants an object at the root, so the answer stands under the key `answer`."""

    schema: Schema
    wrapped: bool = False

    def unwrap(self, text: str) -> str:
        """The answer's own text. Text that is not as asked for stays as it is, for the road to refuse."""
        if not self.wrapped:
            return text
        try:
            value = parse_strictly(text)
        except ValueError:
            return text
        return dumps(value["answer"]) if isinstance(value, dict) and set(value) == {"answer"} else text


def fit(schema: Schema, dialect: Dialect, *, room: int | None = None) -> Fitted | None:
    """`schema` in `dialect`, an object at its root. `room`: characters that the whole answer may have."""
    if dialect.longest is not None and room is not None:
        strings = max(1, sum(1 for _ in _unbounded(schema)))
        dialect = replace(dialect, longest=max(16, min(dialect.longest, room // strings)))
    try:
        root = dict(schema)
        definitions = root.pop("$defs", {})
        if isinstance(name := root.get("$ref"), str):
            root = {**definitions[name.removeprefix("#/$defs/")], **root}
            del root["$ref"]
        fitted = _fit(root, dialect)
        wrapped = dialect.wraps and "properties" not in fitted
        if wrapped:
            fitted = _object({"answer": fitted})
        used = {name: _fit(node, dialect) for name, node in definitions.items()}
        return Fitted({**fitted, "$defs": used} if used else fitted, wrapped)
    except (_CannotSay, KeyError):
        return None


def one_of(choices: list[Schema]) -> Schema:
    """A root that is any of `choices`, each with definitions of its own, merged without a clash."""
    definitions: Schema = {}
    branches = []
    for position, choice in enumerate(choices):
        prefix = f"c{position}_"
        text = dumps(choice).replace('"#/$defs/', f'"#/$defs/{prefix}')
        renamed = json.loads(text)
        for name, node in renamed.pop("$defs", {}).items():
            definitions[prefix + name] = node
        branches.append(renamed)
    root: Schema = branches[0] if len(branches) == 1 else {"anyOf": branches}
    return {**root, "$defs": definitions} if definitions else root


def _fit(node: Any, dialect: Dialect) -> Schema:
    if node is True or node is None:
        node = {}
    if not isinstance(node, dict):
        raise _CannotSay
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    if "allOf" in node:
        if len(node["allOf"]) != 1:
            raise _CannotSay
        rest = {key: value for key, value in node.items() if key != "allOf"}
        return _fit({**node["allOf"][0], **rest}, dialect)
    if (choices := node.get("anyOf") or node.get("oneOf")) is not None:
        return _noted(node, {"anyOf": _choices(choices, dialect)}, dialect)
    if isinstance(node.get("type"), list):
        return _fit({"anyOf": [{**node, "type": kind} for kind in node["type"]]}, dialect)
    if "const" in node or "enum" in node:
        values = node["enum"] if "enum" in node else [node["const"]]
        kinds = {_kind(value) for value in values}
        kept: Schema = {"type": kinds.pop()} if len(kinds) == 1 else {}
        return _noted(node, {**kept, "enum": values}, dialect)
    return _noted(node, _typed(node, dialect), dialect)


def _typed(node: Schema, dialect: Dialect) -> Schema:
    kind = node.get("type") or ("object" if "properties" in node else "array" if "items" in node else None)
    match kind:
        case "object":
            return _members(node, dialect)
        case "array":
            return _items(node, dialect)
        case "string":
            return _string(node, dialect)
        case "integer" | "number":
            kept = {key: node[key] for key in node if key in dialect.number}
            if kind == "integer" and dialect.most is not None:
                if not kept.keys() & {"minimum", "exclusiveMinimum"}:
                    kept["minimum"] = -WHOLE
                if not kept.keys() & {"maximum", "exclusiveMaximum"}:
                    kept["maximum"] = WHOLE
            return {"type": kind, **kept}
        case "boolean" | "null":
            return {"type": kind}
        case _:
            if not dialect.maps:
                raise _CannotSay  # "any JSON": no strict mode can say it
            scalars = ("string", "number", "boolean", "null")
            return {"anyOf": [_typed({"type": scalar}, dialect) for scalar in scalars]}


def _string(node: Schema, dialect: Dialect) -> Schema:
    kept = {key: node[key] for key in node if key in dialect.string}
    if "pattern" in kept and _looks_around(kept["pattern"]):
        del kept["pattern"]
    if node.get("format") in dialect.formats:
        # A format and a length together are more than most engines can say.
        kept = {"format": node["format"]}
    elif dialect.longest is not None and "pattern" not in kept:
        kept["maxLength"] = min(
            kept.get("maxLength", dialect.longest), max(dialect.longest, kept.get("minLength", 0))
        )
    return {"type": "string", **kept}


def _items(node: Schema, dialect: Dialect) -> Schema:
    kept = {key: node[key] for key in node if key in dialect.array}
    if "prefixItems" in node:
        if not dialect.maps:
            raise _CannotSay
        front = [_fit(item, dialect) for item in node["prefixItems"]]
        return {
            "type": "array",
            "prefixItems": front,
            "items": False,
            "minItems": len(front),
            "maxItems": len(front),
        }
    if dialect.most is not None:
        kept.setdefault("maxItems", max(dialect.most, kept.get("minItems", 0)))
    elif "minItems" not in dialect.array and node.get("minItems") in (0, 1):
        kept["minItems"] = node["minItems"]  # the one bound that every server takes
    return {"type": "array", "items": _fit(node.get("items"), dialect), **kept}


def _members(node: Schema, dialect: Dialect) -> Schema:
    members = node.get("properties") or {}
    if not members and node.get("additionalProperties") is not False:
        if not dialect.maps:
            raise _CannotSay
        values = _fit(node.get("additionalProperties"), dialect)
        return {"type": "object", "additionalProperties": values, "maxProperties": dialect.most or 8}
    fitted = _object({name: _fit(member, dialect) for name, member in members.items()})
    if not dialect.required:
        fitted["required"] = [name for name in node.get("required", ()) if name in members]
    return fitted


def _object(members: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def _choices(choices: list[Any], dialect: Dialect) -> list[Schema]:
    fitted = []
    numeric = any(
        isinstance(choice, dict) and choice.get("type") in ("number", "integer") for choice in choices
    )
    for choice in choices:
        if numeric and isinstance(choice, dict) and choice.get("type") == "string" and "pattern" in choice:
            continue  # a Decimal: number, or the same as text; one way to write it is enough
        fitted.append(_fit(choice, dialect))
    return fitted


_STRUCTURE = frozenset(
    "type properties required additionalProperties items prefixItems anyOf oneOf allOf enum const $ref $defs "
    "title description default examples deprecated readOnly writeOnly discriminator $schema $id "
    "$comment".split()
)


def _noted(node: Schema, fitted: Schema, dialect: Dialect) -> Schema:
    if not dialect.notes:
        return fitted
    dropped = {key: value for key, value in node.items() if key not in _STRUCTURE and key not in fitted}
    note = ", ".join(f"{key}: {dumps(value)}" for key, value in dropped.items())
    text = " ".join(part for part in (node.get("description"), f"({note})" if note else "") if part)
    return {**fitted, "description": text} if text else fitted


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case _:
            raise _CannotSay


def _looks_around(pattern: Any) -> bool:
    """Whether a pattern needs more than a regular language: look-around, or a reference back."""
    text = str(pattern)
    return any(mark in text for mark in ("(?=", "(?!", "(?<", "(?P=")) or any(
        f"\\{n}" in text for n in range(1, 10)
    )


def _unbounded(node: Any) -> Iterator[None]:
    if isinstance(node, dict):
        if node.get("type") == "string" and not node.keys() & {
            "maxLength",
            "enum",
            "const",
            "format",
            "pattern",
        }:
            yield None
        for value in node.values():
            yield from _unbounded(value)
    elif isinstance(node, list):
        for value in node:
            yield from _unbounded(value)
