"""What a server can enforce of a schema: as much as it takes, and what it answers then is valid."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter

from surefoot.models.providers.schemas import GRAMMAR, MESSAGES, STRICT, Dialect, Schema, fit, one_of
from wire import anthropic_format, openai_format
from wire.refusals import check_strict, example

DIALECTS = [
    pytest.param(STRICT, id="strict"),
    pytest.param(MESSAGES, id="messages"),
    pytest.param(GRAMMAR, id="grammar"),
]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    article: str = Field(max_length=20, description="As the catalogue has it.")
    count: int = Field(ge=1, le=9)
    price: Decimal = Field(ge=0)


class Refund(BaseModel):
    kind: Literal["refund"]
    number: str
    on: date | None = None


class Cancel(BaseModel):
    kind: Literal["cancel"]
    lines: list[Line] = Field(min_length=1, max_length=3)
    colour: Colour = Colour.RED


class Node(BaseModel):
    name: str
    children: list[Node] = Field(default_factory=list, max_length=2)


Decision = Annotated[Refund | Cancel, Field(discriminator="kind")]
TYPES: list[Any] = [
    Line,
    Refund,
    Cancel,
    Node,
    Decision,
    list[Line],
    int,
    str | None,
    Colour,
    tuple[Line, ...],
]


def schema_of(kind: Any) -> Schema:
    return TypeAdapter(kind).json_schema()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_what_a_type_needs_fits_and_an_answer_to_it_is_valid(dialect: Dialect, kind: Any) -> None:
    fitted = fit(schema_of(kind), dialect)
    assert fitted is not None
    text = json.dumps(example(fitted.schema))
    TypeAdapter(kind).validate_json(fitted.unwrap(text))


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_strict_server_takes_it(kind: Any) -> None:
    strict, messages = fit(schema_of(kind), STRICT), fit(schema_of(kind), MESSAGES)
    assert strict is not None
    assert messages is not None
    check_strict(strict.schema, all_required=True, keywords=openai_format.KEYWORDS)
    check_strict(messages.schema, all_required=False, keywords=anthropic_format.KEYWORDS)


@pytest.mark.parametrize("dialect", [STRICT, MESSAGES])
@pytest.mark.parametrize("kind", [dict[str, int], Any, dict[str, Any], tuple[int, str]], ids=str)
def test_what_a_strict_mode_cannot_say_is_not_said(dialect: Dialect, kind: Any) -> None:
    assert fit(schema_of(kind), dialect) is None


def test_a_grammar_bounds_every_string_array_and_integer() -> None:
    class Free(BaseModel):
        text: str
        more: list[str]
        number: int

    fitted = fit(schema_of(Free), GRAMMAR, room=100)
    assert fitted is not None
    members = fitted.schema["properties"]
    assert members["text"]["maxLength"] == 50
    assert members["more"]["maxItems"] == 8
    assert members["more"]["items"]["maxLength"] == 50
    assert members["number"].keys() >= {"minimum", "maximum"}


def test_what_is_left_out_is_told_in_the_description() -> None:
    fitted = fit(schema_of(Line), STRICT)
    assert fitted is not None
    assert fitted.schema["properties"]["article"]["description"] == "As the catalogue has it. (maxLength: 20)"


def test_a_pattern_that_looks_around_is_left_out() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "^(?!x).*$"}},
        "required": ["a"],
    }
    fitted = fit(schema, GRAMMAR)
    assert fitted is not None
    assert "pattern" not in fitted.schema["properties"]["a"]


def test_an_answer_in_a_wrapper_is_taken_out_of_it_and_anything_else_is_left() -> None:
    fitted = fit(schema_of(list[int]), STRICT)
    assert fitted is not None
    assert fitted.wrapped
    assert fitted.unwrap('{"answer": [1, 2]}') == "[1,2]"
    for other in ("[1]", '{"answer": 1, "more": 2}', '{"answer": 1, "answer": 2}', "no JSON"):
        assert fitted.unwrap(other) == other


def test_definitions_of_the_same_name_do_not_clash() -> None:
    one: Schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}
    other: Schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}}
    merged = Draft202012Validator(one_of([one, other]))
    assert merged.is_valid("x")
    assert merged.is_valid(1)
    assert not merged.is_valid(None)


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "integer", "minimum": 3, "maximum": 9},
        {"type": "number", "exclusiveMinimum": 2},
        {"type": "string", "format": "date"},
        {"enum": ["a", 1, None]},
        {"const": "x"},
        {"type": ["string", "null"]},
    ]
)


def branches(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    names = st.sampled_from(["a", "b", "answer", "type", "$ref", "enum"])
    objects = st.dictionaries(names, inner, min_size=1, max_size=3).map(
        lambda members: {"type": "object", "properties": members, "required": sorted(members)[:1]}
    )
    return st.one_of(
        objects,
        inner.map(lambda item: {"type": "array", "items": item, "minItems": 1, "maxItems": 2}),
        st.lists(inner, min_size=1, max_size=3).map(lambda choices: {"anyOf": choices}),
        inner.map(lambda only: {"allOf": [only]}),
    )


@pytest.mark.parametrize("dialect", [STRICT, GRAMMAR])  # the third knows no bounds of numbers
@given(schema=st.recursive(LEAVES, branches, max_leaves=6))
def test_an_answer_to_the_fitted_schema_is_an_answer_to_the_real_one(
    dialect: Dialect, schema: Schema
) -> None:
    fitted = fit(schema, dialect)
    assert fitted is not None
    value = json.loads(fitted.unwrap(json.dumps(example(fitted.schema))))
    Draft202012Validator(schema).validate(value)
