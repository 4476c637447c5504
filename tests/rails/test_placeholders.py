"""A placeholder that comes back is its run's own value, or is refused; what only looks like one is text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InvalidArguments
from surefoot.rails.placeholders import holds_any, resolve, resolve_json
from surefoot.rails.redaction import Private


def known() -> Private:
    private = Private()
    private.learn({"ann@example.org": "email", "bob@example.org": "email", "Anna Ohm": "Full name"})
    return private


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        ("[email-1]", "ann@example.org"),
        ("to [email-1] and [email-2]", "to ann@example.org and bob@example.org"),
        ("[email-1][email-1]", "ann@example.organn@example.org"),
        ("Dear [Full name-1],", "Dear Anna Ohm,"),
        ({"to": ["[email-2]"]}, {"to": ["bob@example.org"]}),
        ({"[email-1]": None}, {"ann@example.org": None}),
        ([{"a": ({"b": "[email-1]"},)}], [{"a": ({"b": "ann@example.org"},)}]),
        (("[email-1]", 1), ("ann@example.org", 1)),
        ("[[email-1]]", "[ann@example.org]"),
    ],
)
def test_what_the_run_knows_is_resolved_wherever_it_stands(value: Any, exact: Any) -> None:
    assert resolve(value, known()) == exact


@pytest.mark.parametrize(
    "value",
    [
        "[email-3]",
        "[email-9999]",
        "[Full name-2]",
        "[card-1]",
        "[iban-7]",
        "[secret:SHOP_API_KEY]",
        "key=[secret:X]",
        {"a": ["[secret:X]"]},
        {"[secret:X]": 1},
        {"[email-3]": 1},
        {"[email-1]": 1, "ann@example.org": 2},
    ],
)
def test_what_stands_for_nothing_here_or_for_a_secret_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArguments) as refused:
        resolve(value, known())
    assert "ann@example.org" not in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        "[1]",
        "[note-1]",
        "[email]",
        "[email-0]",
        "[email-01]",
        "[email-1",
        "email-1]",
        "[ email-1]",
        "[Email-1]",
        "[email-1 ]",
        "[email-\u0661]",
        "a[i-1]",
        "see [rfc-822]",
        "[]",
        5,
        None,
        True,
        [],
        {},
        "(email-1)",
    ],
)
def test_what_only_looks_like_one_is_left_as_it_is(value: Any) -> None:
    assert resolve(value, known()) is value


def test_an_object_without_any_is_the_very_same_one() -> None:
    value = {"a": [1, "x", {"b": ("y",)}]}
    assert resolve(value, known()) is value


def test_in_text_that_should_be_json_the_value_is_escaped_as_json_asks() -> None:
    private = Private()
    private.learn({'a"b\\c@example.org': "email"})
    assert resolve_json('{"to":"[email-1]"}', private) == '{"to":"a\\"b\\\\c@example.org"}'
    assert resolve_json('{"to":"[email-1]"', private) == '{"to":"[email-1]"'  # for its reader to refuse
    assert resolve_json('{"list":[1-1]}', private) == '{"list":[1-1]}'


@given(
    st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_without_brackets_nothing_ever_changes(value: Any) -> None:
    text = str(value)
    if not holds_any(text):
        assert resolve(value, known()) is value or "[" in text
