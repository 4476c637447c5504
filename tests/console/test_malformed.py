"""No request, however malformed, breaks a page."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest

from .conftest import OTHERS, PAGES, Site

pytestmark = pytest.mark.anyio

ODD = [
    "",
    "\x00",
    "\ud800".encode("utf-16", "surrogatepass").decode("latin-1"),
    "9" * 40,
    "-1",
    "../..",
    "%",
    "é",
    "x" * 3000,
    '{"a":1',
    "[]",
    "null",
]
ESCAPES = [
    '{"subject": "\\ud800", "text": "\\u0000"}',
    '{"subject": "a", "text": "b", "amount": 1e400}',
    '{"subject": "a", "text": "b", "amount": 1e308}',
    '{"subject": "a", "text": "b", "amount": "NaN"}',
    '{"subject": "a", "text": "b", "lines": ' + "[" * 3000 + "]" * 3000 + "}",
    "[" * 100_000,
    "9" * 6000,
    '"\\ud800"',
    "true",
]


async def test_odd_addresses_and_parameters(site: Site) -> None:
    item = await site.item()
    for odd in ODD:
        one = quote(odd, safe="")
        names = (
            "status",
            "since",
            "before",
            "q",
            "every",
            "days",
            "example",
            "how",
            "whose",
            "closed",
            "a",
            "b",
            "next",
        )
        paths = [
            f"{path.partition('?')[0]}?{urlencode(dict.fromkeys(names, odd))}"
            for path in (*PAGES, *OTHERS, "/login")
        ]
        paths += [f"/runs/{item.run}?{name}={one}" for name in ("at", "page", "after", "scale")]
        paths += [
            f"/runs/{one}",
            f"/inbox/{one}",
            f"/evals/{one}",
            f"/static/{one}",
            f"/live/runs/{one}",
            f"/{one}",
        ]
        for path in paths:
            answer = await site.ask.get(path)
            assert answer.status_code < 500, (path[:200], answer.text)
            assert "Traceback" not in answer.text


async def test_odd_forms(site: Site) -> None:
    item, review = await site.item(), await site.item("review", amount="3")
    unknown = await site.item("unknown")
    for odd in [*ODD, *ESCAPES]:
        every = dict.fromkeys(("reason", "step", "token", "do", "theme", "next", "key", "once"), odd)
        forms: list[tuple[str, dict[str, str]]] = [
            ("/new", {"field.json": odd}),
            (
                "/new",
                {
                    **{
                        f"field.{name}": odd
                        for name in ("subject", "text", "amount", "lines", "count", "mode")
                    },
                    "key": odd,
                },
            ),
            ("/login", {"token": odd, "next": odd}),
            ("/theme", every),
            ("/settings/tokens/revoke", every),
            (f"/runs/{item.run}/fork", every),
            (f"/runs/{quote(odd[:500], safe='')}/cancel", every),
            (f"/inbox/{item.id}/preview", {"field.json": odd, "args": odd}),
            (f"/inbox/{item.id}/preview", {"field.amount": odd, "field.subject": odd, "reason": odd}),
            (f"/inbox/{item.id}/decision", {"choice": odd}),
            (f"/inbox/{item.id}/decision", {"choice": "edit", "args": odd, "field.amount": odd}),
            (f"/inbox/{review.id}/decision", {"choice": "settle", "field.json": odd}),
            (f"/inbox/{unknown.id}/decision", {"choice": "settle", "field.json": odd}),
        ]
        for path, fields in forms:
            answer = await site.ask.post(path, data=fields)
            assert answer.status_code < 500, (path[:200], list(fields)[:3], odd[:80], answer.text[-3000:])
            assert "Traceback" not in answer.text
