"""JSON on the way in is strict, and a digest's text is one per meaning: an approval binds to it, and a call
that was made before a crash is found again by it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, field_serializer

from surefoot.core.jsons import canonical, dumps, parse_strictly, text_for_model

# ── the way in ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a":1,"a":2}', "'a' stands twice"),
        ('{"a":{"b":1,"\\u0062":2}}', "'b' stands twice"),
        ('[{"a":1,"a":1}]', "'a' stands twice"),
        ("NaN", "NaN is not JSON"),
        ('{"a":-Infinity}', "-Infinity is not JSON"),
        ("1e999", "too large"),
        ('{"a":[-1e400]}', "too large"),
        ("1" * 5000, "digits"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
        ("{'a': 1}", "Expecting"),
        ('{"a":1} {"b":2}', "Extra data"),
        ("", "Expecting"),
    ],
)
def test_what_is_not_plain_json_is_refused_with_a_line_that_says_why(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_strictly(text)


def test_plain_json_is_taken_as_it_is() -> None:
    assert parse_strictly('{"a":[1,2.5,"x",null,true,1e10]}') == {"a": [1, 2.5, "x", None, True, 1e10]}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert parse_strictly(dumps(value)) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")], {"a": float("nan")}])
def test_nothing_is_written_that_is_not_json(value: Any) -> None:
    with pytest.raises(ValueError):
        dumps(value)


# ── one text per meaning ─────────────────────────────────────────────────────────────────────────


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Amount(BaseModel):
    value: Decimal
    tags: set[str] = set()


@dataclass
class Money:
    value: Decimal


@pytest.mark.parametrize(
    "alike",
    [
        [5, 5.0, Decimal(5), Decimal("5.00"), Decimal("0.5E1"), Level(3) + 2],
        [0, 0.0, -0.0, Decimal("-0.00"), Decimal("0E+50"), Decimal("0E-999999")],
        [0.1, Decimal("0.1"), Decimal("0.100"), Decimal("1E-1")],
        [10**23, 1e23, Decimal("1E+23")],
        [10**5000, Decimal("1E+5000"), Decimal(10**5000)],
        [{"a": 1, "b": [2.0]}, {"b": [Decimal("2.0")], "a": 1.0}],
        [[1, 2], (1, 2)],
        [{"c", "a", "b"}, frozenset("bca"), {"b", "c", "a"}],
        [{1: "a"}, {"1": "a"}, {1.0: "a"}, {Decimal("1.00"): "a"}],
        [{True: 1}, {"true": 1}],
        [Colour.RED, "red"],
        [Level.HIGH, 3],
        [Amount(value=Decimal("5.0"), tags={"y", "x"}), {"value": 5, "tags": ["x", "y"]}],
        [Money(Decimal("5.00")), Money(Decimal(5)), {"value": 5}],
        [[Money(Decimal("0.50"))], [{"value": 0.5}]],
    ],
)
def test_one_meaning_has_one_text(alike: list[Any]) -> None:
    assert len({canonical(value) for value in alike}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        (0, None),
        ("5", 5),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": 1}, [["a", 1]]),
        (Decimal("0.12345678901234567890123456789012345"), Decimal("0.12345678901234567890123456789012346")),
        (Decimal("1234567890123456789012345678901234.5"), Decimal("1234567890123456789012345678901234.25")),
        (10**400, 10**400 + 1),
        (-(10**500), 10**500),
        (Decimal("1E+999999"), {"$number": "1E999999"}),
        ({"$number": "1E999999"}, {"$$number": "1E999999"}),
    ],
)
def test_two_meanings_have_two_texts(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("text", ["1E+999999999", "1E-999999999", "-7E+999999999"])
def test_a_number_in_a_few_characters_is_not_written_out_into_gigabytes(text: str) -> None:
    assert len(canonical({"amount": Decimal(text)})) < 60


def test_nesting_beyond_all_reason_is_refused() -> None:
    deep: Any = []
    for _ in range(20_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        canonical(deep)


def test_the_text_of_a_set_is_the_same_in_every_process() -> None:
    """A resumed run must find its calls again, and each process orders a set in its own way."""
    program = """
from pydantic import BaseModel
from surefoot.core.jsons import canonical, text_for_model
class Tagged(BaseModel):
    tags: set[str]
tagged = {"tagged": [Tagged(tags=set("abcdefgh"))]}
print(canonical(tagged))
print(text_for_model(tagged))
"""
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {2 * '{"tagged":[{"tags":["a","b","c","d","e","f","g","h"]}]}\n'}


class Odd(BaseModel):
    when: date
    amount: Decimal
    tags: frozenset[tuple[int, str]]
    by_kind: dict[Colour, set[int]]
    money: Money
    shown: str

    @field_serializer("shown", when_used="json")
    def hide(self, value: str) -> str:
        return "*" * len(value)


def test_what_a_model_reads_is_what_pydantic_writes_but_for_the_order_of_sets() -> None:
    odd = Odd(
        when=date(2026, 1, 31),
        amount=Decimal("1.50"),
        tags=frozenset({(2, "b"), (1, "a")}),
        by_kind={Colour.RED: {30, 4}},
        money=Money(Decimal(5)),
        shown="abc",
    )
    assert json.loads(text_for_model({"odd": odd, "none": None, "text": "ü"})) == {
        "odd": {
            "when": "2026-01-31",
            "amount": "1.50",
            "tags": [[1, "a"], [2, "b"]],
            "by_kind": {"red": [30, 4]},
            "money": {"value": "5"},
            "shown": "***",
        },
        "none": None,
        "text": "ü",
    }


@given(JSON)
def test_what_a_model_reads_of_plain_json_is_that_json(value: Any) -> None:
    assert json.loads(text_for_model(value)) == value


NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, 2.5, 1e23, -0.0]),
    st.decimals(-3, 3, places=1),
    st.sampled_from([Decimal("1E+23"), Decimal("2.50"), Decimal("0.1"), 0.1, 10**23]),
)
SMALL = st.recursive(
    st.none() | st.booleans() | st.sampled_from(["", "1", "a"]) | NUMBERS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "1", "$number", "$$number"]), inner, max_size=2)
    ),
    max_leaves=4,
)
"""A small world, so that two values drawn by themselves often mean the same."""


def meaning(value: Any) -> Any:
    """The same for two values if, and only if, they say the same; written without looking at `canonical`."""
    match value:
        case bool() | None | str():
            return (type(value).__name__, value)
        case int() | float() | Decimal():
            return ("number", Decimal(repr(value)) if isinstance(value, float) else Decimal(value))
        case list():
            return ("list", tuple(meaning(item) for item in value))
        case dict():
            return ("object", frozenset((key, meaning(item)) for key, item in value.items()))


@given(SMALL, SMALL)
def test_equal_meaning_is_equal_text_and_nothing_else_is(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (meaning(one) == meaning(other))


EXACTLY = Context(prec=1000)


def respelled(value: Any, draw: Any) -> Any:
    """The same value, its objects in another order and its numbers written in another way."""
    match value:
        case bool() | None | str():
            return value
        case int() | float() | Decimal():
            exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
            ways: list[Any] = [value, exact, exact.scaleb(3, EXACTLY).scaleb(-3, EXACTLY)]
            if exact == exact.to_integral_value():
                ways.append(int(exact))
            return draw(st.sampled_from(ways))
        case list():
            return [respelled(item, draw) for item in value]
        case dict():
            keys = draw(st.permutations(sorted(value)))
            return {key: respelled(value[key], draw) for key in keys}


@given(JSON, st.data())
def test_neither_the_order_of_keys_nor_the_spelling_of_numbers_changes_the_text(
    value: Any, data: st.DataObject
) -> None:
    assert canonical(respelled(value, data.draw)) == canonical(value)


@given(JSON)
def test_the_text_is_json_and_stays_as_it_is(value: Any) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text or "$number" in text
