"""What a model may write as a tool's arguments, what a step's code may pass, and what the journal keeps of
both: nothing that a replay could not read again, and nothing that a rule could not see."""

import dataclasses
import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from surefoot import Effect, InvalidArguments, Tool, tool
from surefoot.core.schema import Shape
from surefoot.errors import BadSignature


class Line(BaseModel):
    sku: str
    count: int = 1


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


@dataclasses.dataclass
class Point:
    x: int


class Kind(Enum):
    CARD = "card"


@tool(effect=Effect.READ)
async def order(
    number: int,
    amount: Decimal = Decimal(0),
    ratio: float = 0.0,
    urgent: bool = False,
    lines: list[Line] = [],  # noqa: B006  (pydantic copies it)
    when: date | None = None,
    kind: Kind = Kind.CARD,
    colour: Literal["red", "blue"] = "red",
    point: Point | None = None,
    tags: frozenset[str] = frozenset(),
    extra: Any = None,
) -> str:
    """Everything that a signature can hold."""
    return ""


@tool(effect=Effect.READ)
async def note(who: Open, labels: dict[str, int]) -> str:
    """Its objects say that they take any key."""
    return ""


BRACKETS = "[" * 50_000 + "]" * 50_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "Expecting value"),
        ("", "number: Field required"),
        ("[1]", "object"),
        ("null", "object"),
        ('{"number":1,"number":2}', "'number' stands twice"),
        ('{"number":1,"lines":[{"sku":"a","sku":"b"}]}', "'sku' stands twice"),
        ('{"number":1,"nmuber":2}', "nmuber: Extra inputs are not permitted"),
        ('{"number":1,"lines":[{"sku":"a","price":1}]}', "lines.0.price: Extra inputs are not permitted"),
        ('{"number":1,"point":{"x":1,"y":2}}', "point.y"),
        ('{"number":"1"}', "number: Input should be a valid integer"),
        ('{"number":1.0}', "number: Input should be a valid integer"),
        ('{"number":true}', "number: Input should be a valid integer"),
        ('{"number":null}', "number: Input should be a valid integer"),
        ('{"number":1,"urgent":1}', "urgent: Input should be a valid boolean"),
        ('{"number":1,"urgent":"yes"}', "urgent: Input should be a valid boolean"),
        ('{"number":1,"ratio":"0.5"}', "ratio: Input should be a valid number"),
        ('{"number":1,"ratio":NaN}', "NaN is not JSON"),
        ('{"number":1,"ratio":1e999}', "too large"),
        ('{"number":1,"amount":"NaN"}', "amount: Input should be a finite number"),
        ('{"number":1,"amount":"Infinity"}', "amount: Input should be a finite number"),
        ('{"number":1,"amount":"1,50"}', "amount: Input should be a valid decimal"),
        ('{"number":1,"colour":"green"}', "colour: Input should be 'red' or 'blue'"),
        ('{"number":1,"kind":"cash"}', "kind: Input should be 'card'"),
        ('{"number":1,"when":"tomorrow"}', "when: "),
        ('{"number":' + "1" * 5000 + "}", "digits"),
        ('{"number":1,"extra":' + BRACKETS + "}", "nested too deeply"),
        ('{"number":1,"extra":"\\ud800"}', "Invalid JSON"),
    ],
)
def test_a_models_arguments_are_refused_when_they_do_not_fit_to_the_letter(text: str, says: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        order.parameters.from_text(text)
    assert says in refused.value.why
    assert refused.value.remedy
    assert "order" in str(refused.value)


def test_a_refusal_does_not_repeat_what_was_given() -> None:
    with pytest.raises(InvalidArguments) as refused:
        order.parameters.from_text('{"number":"kim@example.org","lines":["kim@example.org"]}')
    assert "kim@example.org" not in str(refused.value)


def test_a_models_arguments_arrive_as_the_types_of_the_signature() -> None:
    given_text = """{"number": 5, "amount": "12.50", "ratio": 1, "lines": [{"sku": "a", "count": 2}],
        "when": "2026-01-31", "kind": "card", "colour": "blue", "point": {"x": 3}, "tags": ["b", "a"]}"""
    arguments = order.parameters.from_text(given_text)
    assert arguments["amount"] == Decimal("12.50")
    assert arguments["lines"] == [Line(sku="a", count=2)]
    assert arguments["when"] == date(2026, 1, 31)
    assert arguments["kind"] is Kind.CARD
    assert arguments["point"] == Point(3)
    assert arguments["tags"] == {"a", "b"}
    assert arguments["urgent"] is False


def test_an_amount_may_be_written_as_a_number_too() -> None:
    assert order.parameters.from_text('{"number":1,"amount":12.5}')["amount"] == Decimal("12.5")


def test_an_object_that_says_so_takes_any_key() -> None:
    arguments = note.parameters.from_text('{"who":{"name":"kim","team":"leads"},"labels":{"a":1}}')
    assert arguments["who"].model_dump() == {"name": "kim", "team": "leads"}
    with pytest.raises(InvalidArguments):
        note.parameters.from_text('{"who":{"name":"kim"},"labels":{},"more":1}')


def test_a_steps_code_may_pass_values_of_python() -> None:
    arguments = order.parameters.from_python(
        {"number": "5", "amount": 12, "lines": [{"sku": "a"}, Line(sku="b")], "when": date(2026, 1, 31)}
    )
    assert arguments["number"] == 5
    assert arguments["amount"] == Decimal(12)
    assert arguments["lines"] == [Line(sku="a"), Line(sku="b")]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"number": None}, {"number": 1, "who": 1}, {"number": 1.5}, {"number": 1, "colour": "green"}],
)
def test_what_a_steps_code_passes_is_checked_as_well(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments):
        order.parameters.from_python(wrong)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_rule_ever_sees_a_number_that_is_neither_above_nor_below_its_limit(number: float) -> None:
    for arguments in ({"number": 1, "ratio": number}, {"number": 1, "amount": Decimal(number)}):
        with pytest.raises(InvalidArguments):
            order.parameters.from_python(arguments)


def nested(levels: int) -> Any:
    found: Any = []
    for _ in range(levels):
        found = [found]
    return found


UNREADABLE: dict[str, Any] = {
    "deep": nested(250),
    "deeper": nested(20_000),
    "huge": 10**5000,
    "half a character": "\ud800",
    "opaque": object(),
}
"""What can be held in memory and not be read again from JSON."""


def str_of(value: Any) -> str:
    return next((name for name, one in UNREADABLE.items() if one is value), "not a number")


@pytest.mark.parametrize("extra", [*UNREADABLE.values(), math.nan, [math.inf, None]], ids=str_of)
def test_arguments_that_the_journal_could_not_give_back_are_refused(extra: Any) -> None:
    with pytest.raises(InvalidArguments):
        order.parameters.dump(order.parameters.from_python({"number": 1, "extra": extra}))


def test_huge_numbers_that_can_be_read_again_are_numbers() -> None:
    for number in (10**4000, -(10**4000)):
        arguments = order.parameters.from_text(f'{{"number":{number}}}')
        assert order.parameters.load(order.parameters.dump(arguments))["number"] == number


@given(
    st.fixed_dictionaries(
        {"number": st.integers(-(10**30), 10**30)},
        optional={
            "amount": st.decimals(allow_nan=False, allow_infinity=False),
            "ratio": st.floats(allow_nan=False, allow_infinity=False),
            "lines": st.lists(st.builds(Line, sku=st.text(st.characters(exclude_categories=["Cs"])))),
            "when": st.dates() | st.none(),
            "point": st.builds(Point, st.integers(-5, 5)) | st.none(),
            "tags": st.frozensets(st.sampled_from("abc")),
            "extra": st.none()
            | st.booleans()
            | st.lists(st.integers(-9, 9))
            | st.dictionaries(st.just("k"), st.just(1)),
        },
    )
)
def test_arguments_come_back_from_the_journal_as_they_went_in(given_arguments: dict[str, Any]) -> None:
    arguments = order.parameters.from_python(given_arguments)
    assert order.parameters.load(order.parameters.dump(arguments)) == arguments


# ── tools that came with a schema ────────────────────────────────────────────────────────────────


def raw(input_schema: dict[str, Any], output_schema: dict[str, Any] | None = None) -> Tool[..., Any]:
    return Tool.from_schema(
        "lookup",
        "Look it up.",
        input_schema,
        lambda call, arguments: 1,
        effect=Effect.READ,
        output_schema=output_schema,
    )


OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {"count": {"type": "integer", "minimum": 1}, "data": {}, "tree": {"$ref": "#/$defs/tree"}},
    "required": ["count"],
    "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "Expecting value"),
        ("", "required"),
        ("[1]", "type 'object'"),
        ('{"count":1,"count":2}', "'count' stands twice"),
        ('{"count":1,"other":2}', "additionalProperties False"),
        ('{"count":"1"}', "count: does not satisfy type 'integer'"),
        ('{"count":true}', "count: does not satisfy type 'integer'"),
        ('{"count":0}', "count: does not satisfy minimum 1"),
        ('{"count":1,"data":NaN}', "NaN is not JSON"),
        ('{"count":1,"data":1e999}', "too large"),
        ('{"count":1,"data":' + BRACKETS + "}", "nested too deeply"),
        ('{"count":1,"tree":' + "[" * 900 + "]" * 900 + "}", "nested too deeply"),
        ('{"count":1,"data":"\\ud800"}', "surrogates"),
        ('{"count":' + "1" * 5000 + "}", "digits"),
    ],
)
def test_arguments_for_a_tool_with_a_schema_are_as_strict(text: str, says: str) -> None:
    parameters = raw(OBJECT).parameters
    with pytest.raises(InvalidArguments) as refused:
        parameters.dump(parameters.from_text(text))
    assert says in refused.value.why
    assert "lookup" in str(refused.value)


@pytest.mark.parametrize(
    "data", [UNREADABLE["deeper"], math.nan, [math.inf, None], *list(UNREADABLE.values())[2:]], ids=str_of
)
def test_a_tool_with_a_schema_takes_nothing_that_the_journal_could_not_give_back(data: Any) -> None:
    parameters = raw(OBJECT).parameters
    with pytest.raises(InvalidArguments):
        parameters.dump(parameters.from_python({"count": 1, "data": data}))


def test_a_refusal_by_schema_does_not_repeat_what_was_given() -> None:
    with pytest.raises(InvalidArguments) as refused:
        raw(OBJECT).parameters.from_text('{"count":"kim@example.org"}')
    assert "kim@example.org" not in str(refused.value)


def test_arguments_by_schema_come_back_as_they_went_in() -> None:
    parameters = raw(OBJECT).parameters
    arguments = parameters.from_text('{"count":2,"data":{"a":[1.5,null,"x"]},"tree":[[],[[]]]}')
    assert parameters.load(parameters.dump(arguments)) == arguments


def test_keys_that_a_part_of_the_schema_names_are_known() -> None:
    composed = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "allOf": [{"properties": {"b": {"type": "integer"}}}],
    }
    parameters = raw(composed).parameters
    assert parameters.from_text('{"a":1,"b":2}') == {"a": 1, "b": 2}
    with pytest.raises(InvalidArguments):
        parameters.from_text('{"a":1,"b":2,"c":3}')


def test_a_schema_that_wants_other_keys_gets_them() -> None:
    assert raw({"type": "object", "additionalProperties": {"type": "integer"}}).parameters.from_text(
        '{"x":1}'
    ) == {"x": 1}


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (
            lambda: raw({"type": "object", "properties": {"a": {"type": "strin"}}}),
            "input schema is no JSON Schema",
        ),
        (lambda: raw({"type": "array"}), "of type 'array'"),
        (lambda: raw({}), "of type None"),
        (lambda: raw({"type": "object"}, {"type": "strin"}), "output schema is no JSON Schema"),
        (lambda: raw({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}), "'#/$defs/a'"),
        (
            lambda: raw({"type": "object", "properties": {"a": {"$ref": "https://evil.example/a"}}}),
            "evil.example",
        ),
        (lambda: raw({"type": "object"}, {"$ref": "file:///etc/passwd"}), "file:///etc/passwd"),
    ],
)
def test_a_schema_that_cannot_be_used_is_an_error_where_the_tool_is_made(
    build: Callable[[], object], says: str
) -> None:
    with pytest.raises(BadSignature) as wrong:
        build()
    assert says in str(wrong.value)
    assert "lookup" in str(wrong.value)


# ── results and outputs ──────────────────────────────────────────────────────────────────────────


def test_a_result_is_validated_against_the_output_schema() -> None:
    output = raw(
        {"type": "object"}, {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    )
    assert output.output.load(output.output.dump({"id": 5})) == {"id": 5}
    with pytest.raises(ValueError, match="id: does not satisfy type 'integer'"):
        output.output.load(output.output.dump({"id": "5"}))
    with pytest.raises(ValueError, match="required"):
        output.output.load(output.output.dump({}))


def test_without_an_output_schema_any_json_is_a_result() -> None:
    output = raw({"type": "object"}).output
    for value in (None, 5, "x", [1, {"a": None}]):
        assert output.load(output.dump(value)) == value


@pytest.mark.parametrize(
    "annotation", [Any, float, float | None, dict[str, Any], list[float | None], Point, Line]
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_json_cannot_say_does_not_become_a_null(annotation: Any, value: float) -> None:
    holder: dict[Any, Any] = {
        dict[str, Any]: {"a": value},
        list[float | None]: [None, value],
        Point: Point(x=value),  # type: ignore[arg-type]  # a step may well give what it should not
        Line: Line.model_construct(sku="a", count=value),
    }
    for shape in (Shape(annotation, "step 'x'"), raw({"type": "object"}).output):
        with pytest.raises(ValueError):
            shape.load(shape.dump(holder.get(annotation, value)))


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_an_output_that_the_journal_could_not_give_back_is_a_value_error(value: Any) -> None:
    for shape in (Shape(Any, "step 'x'"), raw({"type": "object"}).output):
        with pytest.raises(ValueError):
            shape.load(shape.dump(value))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (None, None),
        (int | None, None),
        (Decimal, Decimal("1.50")),
        (tuple[int, str], (1, "a")),
        (Line | Point, Point(3)),
        (dict[int, Line], {1: Line(sku="a")}),
        (Annotated[int, Field(gt=0)], 5),
    ],
)
def test_an_output_comes_back_as_it_went_in(annotation: Any, value: Any) -> None:
    shape = Shape(annotation, "step 'x'")
    assert shape.load(shape.dump(value)) == value


@tool(effect=Effect.READ)
async def each(act: Callable[[int], int]) -> int:
    return 1


def test_a_type_that_json_schema_cannot_say_is_an_error_of_ours_too() -> None:
    for owner in (Shape(Callable[[int], int], "step 'find'"), each.parameters):
        with pytest.raises(BadSignature, match=r"step 'find'|tool 'each'"):
            owner.json_schema  # noqa: B018


class Unfinished(BaseModel):
    missing: "Nowhere"  # type: ignore[name-defined]  # noqa: F821  (that is the mistake)


@pytest.mark.parametrize("annotation", [object, Unfinished, list[Unfinished]])
def test_a_type_that_cannot_be_kept_as_json_is_an_error_at_once(annotation: Any) -> None:
    if annotation is object:
        annotation = type("Opaque", (), {})
    with pytest.raises(BadSignature, match="cannot be kept as JSON") as wrong:
        Shape(annotation, "step 'find'")
    assert "step 'find'" in str(wrong.value)
    assert wrong.value.remedy
