"""Requests that the API must refuse, each with something in it that must not be told again.

They are wrong in every part that a request has: its path, its query, its headers, its body. None of them
would change anything, whatever the workflow's types take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from ..core.workflow import Definition
from ..errors import SurefootError
from ..state.rows import ItemRow


@dataclass(frozen=True)
class Refused:
    """`shown` is the address as a report may name it."""

    method: str
    address: str
    shown: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


def refused(said: str, workflow: Definition, items: Sequence[ItemRow]) -> Iterator[Refused]:
    yield from _by_address(said)
    yield from _by_headers(said)
    yield from _by_input(said, workflow)
    for item in items:
        yield from _by_decision(said, item)


def _by_address(said: str) -> Iterator[Refused]:
    inside = quote(said, safe="")
    ways = ["/v1/runs/{}", "/v1/runs/{}/events", "/v1/inbox/{}", "/v1/deliveries/{}", "/v1/{}", "/{}"]
    ways += [f"/v1/runs?{name}={{}}" for name in ("status", "cursor", "since", "limit")]
    for way in [*ways, "/v1/inbox?run={}"]:
        yield Refused("GET", way.format(inside), way.format("…"))
    yield Refused("GET", f"/v1/runs?{urlencode({said: 1})}", "/v1/runs?…")
    yield Refused("POST", f"/v1/deliveries/{inside}/replay", "/v1/deliveries/…/replay")


def _by_headers(said: str) -> Iterator[Refused]:
    given = dict.fromkeys(("authorization", "host", "x-request-id", "origin", "accept"), said)
    for name, text in {**given, "prefer": f"wait={said}"}.items():
        yield Refused("GET", "/v1/runs/none", f"/v1/runs/none ({name})", {name: text})
    yield Refused("GET", "/v1/runs", "/v1/runs (token)", {"authorization": f"Bearer {said}"})
    yield Refused("GET", "/v1/runs/none/events", "/v1/runs/none/events", {"last-event-id": said})
    too_long = {"idempotency-key": said * 9}
    yield Refused("POST", "/v1/runs", "/v1/runs (idempotency-key)", too_long, {"input": None})


def _by_input(said: str, workflow: Definition) -> Iterator[Refused]:
    for body in (said, {"inputs": said}, {said: said}, f'{{"input": "{said}'):
        yield Refused("POST", "/v1/runs", "/v1/runs", body=body)
    for given in (said, {"canary": said}, {said: said}, [said]):
        if not _fits(workflow, given):
            yield Refused("POST", "/v1/runs", "/v1/runs", body={"input": given})


def _fits(workflow: Definition, given: Any) -> bool:
    try:
        workflow.plan.input.load(json.dumps(given))
    except (ValueError, SurefootError):
        return False
    return True


def _by_decision(said: str, item: ItemRow) -> Iterator[Refused]:
    bodies: list[Any] = [said, {said: said}, {"choice": said}, {"choice": "approve", "by": said}]
    choices = item.view.get("choices", ())
    if "settle" not in choices:
        bodies.append({"choice": "settle", "result": said, "reason": said})
    if "edit" not in choices:
        bodies.append({"choice": "edit", "args": {said: said}, "reason": said})
    address = "/v1/inbox/{}/decision"
    for body in bodies:
        yield Refused("POST", address.format(item.id), address.format("{item}"), body=body)
