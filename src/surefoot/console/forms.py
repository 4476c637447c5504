"""Forms made of a JSON Schema, what was typed into them, and what an edit changes.

A field of a plain type gets a field of its own; whatever is nested, or of several types, is typed as JSON.
What was typed is kept as it was typed, so that a form with a mistake in it comes back whole. A field that
nobody touched gives back the very value that it was made of, also where a page cannot show it exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..errors import BadRequest
from ..service.bodies import parsed
from .words import visible

PREFIX = "field."
WHOLE = "json"
"""The name of the one field where a schema has none of its own."""
MOST_FIELDS = 40
SHORT = 200
_NOT_GIVEN = object()

FieldKind = Literal["text", "long", "number", "choice", "json"]


@dataclass(frozen=True)
class Field:
    """`name` is the form's, `key` the schema's; `text` is what stands in it; `hints` say what is allowed."""

    name: str
    key: str
    kind: FieldKind
    is_required: bool = False
    is_nullable: bool = False
    text: str = ""
    options: tuple[tuple[str, str], ...] = ()
    about: str = ""
    hints: tuple[str, ...] = ()
    most: int | None = None
    error: str = ""
    was: Any = _NOT_GIVEN

    @property
    def rows(self) -> int:
        """Lines of a field that has room for several."""
        least = 4 if self.key == WHOLE or (self.most or 0) > SHORT else 1
        return min(max(self.text.count("\n") + 1, len(self.text) // 70 + 1, least), 14)


@dataclass(frozen=True)
class Form:
    """`fields` are in the schema's order; `errors` belong to none of them."""

    fields: tuple[Field, ...]
    is_whole: bool
    errors: tuple[str, ...] = ()

    def with_errors(self, lines: Sequence[str]) -> Form:
        """Lines such as `amount: must be a number`, each beside its field where there is one."""
        beside: dict[str, list[str]] = {}
        keys, others = {one.key for one in self.fields}, []
        for line in lines:
            where, _, what = line.partition(": ")
            key = where.partition(".")[0]
            if self.is_whole or key not in keys:
                others.append(line)
            else:
                beside.setdefault(key, []).append(line if "." in where else what)
        fields = tuple(
            replace(one, error="; ".join([*filter(None, [one.error]), *beside.get(one.key, [])]))
            for one in self.fields
        )
        return replace(self, fields=fields, errors=(*self.errors, *others))

    @property
    def is_wrong(self) -> bool:
        return bool(self.errors) or any(one.error for one in self.fields)


@dataclass
class Typed:
    """What a form came back with: the form as it was filled in, and the value, where it can be read."""

    form: Form
    value: Any = None


# ── making one ──


def form_of(schema: Mapping[str, Any] | None, value: Any = _NOT_GIVEN, *, whole: bool = False) -> Form:
    """Filled with `value`. `schema` None, or one that is no plain object: the whole of it as JSON."""
    properties = _properties(schema) if schema is not None and not whole else None
    if properties is None:
        return Form((_whole(value),), is_whole=True)
    known = value if isinstance(value, Mapping) else {}
    if value is not _NOT_GIVEN and (not isinstance(value, Mapping) or not known.keys() <= properties.keys()):
        return Form((_whole(value),), is_whole=True)
    root = schema or {}
    required = set(_resolved(root, root).get("required", ()))
    return Form(
        tuple(
            _field(
                key,
                _resolved(one, root),
                root,
                known.get(key, _NOT_GIVEN),
                is_required=key in required,
            )
            for key, one in properties.items()
        ),
        is_whole=False,
    )


def _whole(value: Any) -> Field:
    return Field(PREFIX + WHOLE, WHOLE, "json", is_required=True, text=_json_text(value), was=value)


def _properties(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """None where its fields do not say all of it."""
    schema = _resolved(schema, schema)
    found = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(found, dict) or not 0 < len(found) <= MOST_FIELDS:
        return None
    return None if any(name in schema for name in ("allOf", "anyOf", "oneOf", "if")) else found


def _resolved(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """Behind its $ref, which is one within the schema itself."""
    for _ in range(20):
        if not isinstance(schema, Mapping):
            return {}
        ref = schema.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#/"):
            return dict(schema)
        found: Any = root
        for part in ref[2:].split("/"):
            found = (
                found.get(part.replace("~1", "/").replace("~0", "~"), {})
                if isinstance(found, Mapping)
                else {}
            )
        schema = {**found, **{name: item for name, item in schema.items() if name != "$ref"}}
    return {}


def _field(
    key: str, schema: dict[str, Any], root: Mapping[str, Any], value: Any, *, is_required: bool
) -> Field:
    options = [_resolved(one, root) for one in schema.get("anyOf", ())]
    is_nullable = any(one.get("type") == "null" for one in options)
    options = [one for one in options if one.get("type") != "null"]
    said = {**schema, **options[0]} if len(options) == 1 else schema
    kind, choices = _kind(said, options)
    default = schema.get("default", _NOT_GIVEN)
    shown = value if value is not _NOT_GIVEN else default
    if kind in ("text", "long", "number") and not _is_plain(shown, kind):
        kind = "json"
    if kind == "text" and isinstance(shown, str) and "\n" in shown:
        kind = "long"
    if kind == "choice" and shown is not _NOT_GIVEN and json.dumps(shown) not in [one for one, _ in choices]:
        kind = "text" if isinstance(shown, str) else "json"
    text = json.dumps(shown) if kind == "choice" and shown is not _NOT_GIVEN else _text(shown, kind)
    return Field(
        PREFIX + key,
        key,
        kind,
        is_required,
        is_nullable,
        text,
        tuple(choices),
        str(schema.get("description", "")),
        tuple(_hints(said, kind)),
        said.get("maxLength") if kind in ("text", "long") else None,
        was=value,
    )


def _kind(
    schema: Mapping[str, Any], options: Sequence[Mapping[str, Any]]
) -> tuple[FieldKind, list[tuple[str, str]]]:
    if isinstance(values := schema.get("enum"), list):
        return "choice", [
            (json.dumps(one), one if isinstance(one, str) else json.dumps(one)) for one in values
        ]
    if "const" in schema:
        return "choice", [(json.dumps(schema["const"]), str(schema["const"]))]
    kinds = {one.get("type") for one in options}
    if len(options) == 2 and kinds == {"number", "string"}:
        return "text", []  # a decimal: its digits count as they are written
    match schema.get("type"):
        case "boolean":
            return "choice", [("true", "yes"), ("false", "no")]
        case "integer" | "number":
            return "number", []
        case "string":
            most = schema.get("maxLength")
            is_short = isinstance(most, int) and most <= SHORT
            return ("text" if is_short or "pattern" in schema or "format" in schema else "long"), []
        case _:
            return "json", []


def _is_plain(value: Any, kind: FieldKind) -> bool:
    """Whether a field of this kind can show it, and a person can change it, without loss."""
    if value is _NOT_GIVEN or value is None:
        return True
    if isinstance(value, str):
        return visible(value) == value and "\r" not in value
    return kind == "number" and isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any, kind: FieldKind) -> str:
    if value is _NOT_GIVEN:
        return ""
    if kind == "json":
        return _json_text(value)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _json_text(value: Any) -> str:
    """What cannot be seen is written as JSON's own escapes, which mean the same."""
    if value is _NOT_GIVEN:
        return ""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if visible(text) == text else json.dumps(value, indent=2)


def _hints(schema: Mapping[str, Any], kind: FieldKind) -> list[str]:
    found = []
    named = {
        "format": "as {}",
        "minLength": "{} letters or more",
        "maxLength": "{} letters at most",
        "minimum": "{} or more",
        "exclusiveMinimum": "more than {}",
        "maximum": "{} at most",
        "exclusiveMaximum": "less than {}",
        "minItems": "{} or more of them",
        "maxItems": "{} of them at most",
    }
    for name, said in named.items():
        value = schema.get(name)
        if isinstance(value, str) or (isinstance(value, int | float) and (name, value) != ("minLength", 1)):
            found.append(said.format(value if isinstance(value, str) else f"{value:,}"))
    if kind == "json":
        found.append("as JSON")
    return found


# ── reading it back ──


def typed(form: Form, posted: Mapping[str, str]) -> Typed:
    """What was typed into `form`. Fields that were not sent stand as they are."""
    value: dict[str, Any] = {}
    fields = []
    for one in form.fields:
        text = posted.get(one.name, one.text)
        read = _read(one, text)
        fields.append(replace(one, text=text, error=read.error))
        if read.value is not _NOT_GIVEN:
            value[one.key] = read.value
    filled = replace(form, fields=tuple(fields))
    return Typed(filled, value.get(WHOLE) if form.is_whole else value)


@dataclass(frozen=True)
class _Read:
    value: Any = field(default=_NOT_GIVEN)
    error: str = ""


def _read(one: Field, text: str) -> _Read:
    if text == one.text and one.was is not _NOT_GIVEN:
        return _Read(one.was)
    if not text.strip() and one.kind != "long" and not (one.kind == "text" and one.is_required):
        return _empty(one)
    if one.kind in ("text", "long"):
        return _Read(text) if text or one.is_required else _empty(one)
    try:
        value = parsed(text.encode())
    except BadRequest as error:
        return _Read(error=f"this is no {'number' if one.kind == 'number' else 'JSON'}: {error.why}")
    if one.kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        return _Read(error="this is no number")
    return _Read(value)


def _empty(one: Field) -> _Read:
    if one.is_nullable:
        return _Read(None)
    return _Read(error="this is needed") if one.is_required else _Read()


# ── what an edit changes ──


@dataclass(frozen=True)
class Change:
    """`before` and `after` as JSON; None where there was, or is, nothing."""

    path: str
    before: str | None
    after: str | None


def changes(before: Any, after: Any, path: str = "") -> list[Change]:
    """Value by value, in the order of the first; empty where they are the same."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            one
            for key in keys
            for one in changes(before.get(key, _NOT_GIVEN), after.get(key, _NOT_GIVEN), _below(path, key))
        ]
    both_lists = isinstance(before, list) and isinstance(after, list)
    if both_lists and len(before) == len(after):
        return [
            one
            for n, (old, new) in enumerate(zip(before, after, strict=True))
            for one in changes(old, new, _below(path, n))
        ]
    if before is after or (type(before) is type(after) and before == after):
        return []
    return [Change(path or "all of it", _side(before), _side(after))]


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _side(value: Any) -> str | None:
    return None if value is _NOT_GIVEN else json.dumps(value, ensure_ascii=False, indent=2)
