"""How a provider's words are read: the wait that it asks for, and a line that shows no key."""

from __future__ import annotations

import pytest

from surefoot.errors import ModelError, ModelRefused, ModelUnavailable
from surefoot.models.providers import failures
from surefoot.testing import Fail, ScriptedModel

from .subjects import ask


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "some", "retry-after": "2"}, 2.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT"}, 20.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT", "date": "Thu, 01 Jan 1970 00:01:55 GMT"}, 5.0),
    ],
)
def test_the_wait_that_is_asked_for(headers: dict[str, str], seconds: float | None) -> None:
    assert failures.retry_after(headers, now=100.0) == seconds


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (None, ""),
        ("<html>", ""),
        ({"error": "plain"}, "plain"),
        ({"message": "bare"}, "bare"),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ({"error": {"message": 5}}, ""),
        ({"error": {"message": "your key my-own-key is bad"}}, "your key [key] is bad"),
        ({"error": {"message": "key sk-proj-ab***yz1234 is bad"}}, "key [key] is bad"),
        ({"error": {"message": "line\n\none\ttwo"}}, "line one two"),
        ({"error": {"message": "x" * 500}}, "x" * 199 + "…"),
    ],
)
def test_a_providers_message_is_one_short_line_without_a_key(body: object, line: str) -> None:
    assert failures.said(body, "my-own-key")[0] == line


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "like"),
    [
        ("unavailable", failures.from_status(503, {}, None, "m", None)),
        ("rate_limited", failures.from_status(429, {}, None, "m", None)),
        ("timeout", failures.timed_out("m")),
        ("cut_off", failures.cut_off("m")),
        ("refused", failures.from_status(400, {}, None, "m", None)),
    ],
)
async def test_a_scripted_failure_is_like_the_real_one(kind: str, like: ModelError) -> None:
    with pytest.raises((ModelUnavailable, ModelRefused)) as caught:
        await ScriptedModel({"triage": [Fail(kind)]}).request(ask())  # type: ignore[arg-type]
    assert type(caught.value) is type(like)
    assert caught.value.charged is like.charged
    assert caught.value.transient is like.transient
