"""Forms of a JSON Schema: which field a type gets, what comes back of it, and what an edit changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.console.forms import changes, form_of, typed

SCHEMA: dict[str, Any] = {
    "type": "object",
    "$defs": {
        "Kind": {"enum": ["a", "b"]},
        "Deep": {"type": "object", "properties": {"x": {"type": "integer"}}},
    },
    "properties": {
        "short": {"type": "string", "maxLength": 20},
        "long": {"type": "string", "description": "All of it."},
        "count": {"type": "integer", "minimum": 0},
        "share": {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^[0-9.]+$"}]},
        "kind": {"$ref": "#/$defs/Kind"},
        "yes": {"type": "boolean", "default": False},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "deep": {"$ref": "#/$defs/Deep"},
        "many": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["short", "count"],
}
VALUE: dict[str, Any] = {
    "short": "s", "long": "one\ntwo", "count": 3, "share": "1.50", "kind": "b",
    "yes": True, "maybe": None, "deep": {"x": 1}, "many": ["a", "b"],
}  # fmt: skip


def kinds(schema: dict[str, Any] = SCHEMA, **more: Any) -> dict[str, str]:
    return {one.key: one.kind for one in form_of(schema, **more).fields}


def test_plain_types_get_fields_of_their_own_and_nested_ones_are_typed_as_json() -> None:
    assert kinds() == {
        "short": "text", "long": "long", "count": "number", "share": "text", "kind": "choice",
        "yes": "choice", "maybe": "number", "deep": "json", "many": "json",
    }  # fmt: skip


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}, "oneOf": []},
        {"type": "object", "properties": {f"f{n}": {} for n in range(99)}},
        {},
    ],
)
def test_what_is_no_plain_object_is_typed_as_json_as_a_whole(schema: dict[str, Any]) -> None:
    form = form_of(schema, {"a": 1})
    assert form.is_whole
    assert typed(form, {"field.json": '{"a": 2}'}).value == {"a": 2}


def test_a_form_that_nobody_touched_gives_back_the_very_value() -> None:
    form = form_of(SCHEMA, VALUE)
    sent = {one.name: one.text for one in form.fields}
    assert typed(form, sent).value == VALUE


@given(st.text(), st.text(), st.integers(), st.lists(st.text()))
def test_no_text_is_changed_by_being_shown_in_a_form(
    short: str, long: str, count: int, many: list[str]
) -> None:
    """A browser sends line ends as it likes; what cannot be seen is shown as JSON's escapes."""
    value = {"short": short, "long": long, "count": count, "many": many}
    form = form_of(SCHEMA, value)
    # Whoever edits one field sends the others as they stand, with the line ends that a form has.
    sent = {one.name: one.text.replace("\r\n", "\n") for one in form.fields}
    again = typed(form, {**sent, "field.count": json.dumps(count + 1)}).value
    assert again["count"] == count + 1
    assert again["long"].replace("\r\n", "\n") == long.replace("\r\n", "\n")
    assert again["many"] == many


def test_what_was_typed_is_read_by_its_type() -> None:
    sent = {
        "field.short": "x", "field.long": "", "field.count": "7", "field.share": "0.10", "field.kind": '"a"',
        "field.yes": "true", "field.maybe": "", "field.deep": '{"x": 2}', "field.many": "[]",
    }  # fmt: skip
    assert typed(form_of(SCHEMA), sent).value == {
        "short": "x", "count": 7, "share": "0.10", "kind": "a", "yes": True, "maybe": None,
        "deep": {"x": 2}, "many": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("count", "many"),
        ("count", ""),
        ("count", "true"),
        ("count", "1e999"),
        ("deep", "{"),
        ("deep", '{"a":1,"a":2}'),
    ],
)
def test_what_cannot_be_read_is_told_beside_its_field_and_stays_as_typed(field: str, text: str) -> None:
    read = typed(form_of(SCHEMA), {"field.short": "x", "field.count": "1", f"field.{field}": text})
    (wrong,) = [one for one in read.form.fields if one.error]
    assert (wrong.key, wrong.text) == (field, text)


def test_errors_of_a_check_find_their_field() -> None:
    form = form_of(SCHEMA).with_errors(
        ["count: too small", "deep.x: no", "nobody: what", "all of it is wrong"]
    )
    assert {one.key: one.error for one in form.fields if one.error} == {
        "count": "too small",
        "deep": "deep.x: no",
    }
    assert form.errors == ("nobody: what", "all of it is wrong")


def test_a_diff_names_each_value_that_changed() -> None:
    before = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "e": 1, "same": None}
    after = {"a": 1.5, "b": {"c": [1, 3], "d": "x"}, "f": True, "same": None}
    assert [(one.path, one.before, one.after) for one in changes(before, after)] == [
        ("a", "1", "1.5"), ("b.c.1", "2", "3"), ("e", "1", None), ("f", None, "true"),
    ]  # fmt: skip
    assert changes(before, before) == []
    assert len(changes([1], [1, 2])) == 1
    assert len(changes({"a": 1}, {"a": True})) == 1
