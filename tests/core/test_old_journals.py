"""Journals that earlier versions wrote still fold to the state that they folded to then.

`tests/data/journals/NAME.jsonl` holds a journal, an event a line, and `NAME.state.json` what it said when it
was recorded. Neither file is ever changed: whoever changes an event raises its version, teaches `decode` the
old one, and adds a journal of the new one with `record`. A state may come to say more than was recorded, and
never less.
"""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from surefoot.core import events as e
from surefoot.core.fold import RunState
from surefoot.core.wiring import Plan

from .simulator import PLAN

FOLDER = Path(__file__).parent.parent / "data" / "journals"
PLANS: dict[str, Plan | None] = {"simulated": PLAN}
NAMES = sorted(path.name.removesuffix(".jsonl") for path in FOLDER.glob("*.jsonl"))
PARTS = ["steps", "calls", "asks", "items", "timers"]
FACTS = [
    "status",
    "error",
    "degraded",
    "created",
    "ended",
    "claims",
    "epoch",
    "fingerprint",
    "workflow_version",
]


def read(name: str) -> list[e.Entry]:
    lines = [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]
    return [
        e.Entry(one["seq"], one["at"], e.decode(one["kind"], one["version"], json.dumps(one["event"])))
        for one in lines
    ]


def fold(entries: Iterable[e.Entry]) -> RunState:
    entries = list(entries)
    submitted = entries[0].event
    assert isinstance(submitted, e.RunSubmitted)
    return RunState(PLANS.get(submitted.workflow)).apply_all(entries)


def said(state: RunState) -> dict[str, Any]:
    """What a state says, as JSON."""
    found = {fact: getattr(state, fact) for fact in FACTS}
    for part in PARTS:
        found[part] = {name: dataclasses.asdict(one) for name, one in getattr(state, part).items()}
    for step in found["steps"].values():
        del step["woken"], step["blocked"]  # how it is known when to enter a body is nobody else's business
    found["usage"] = state.usage.to_json()
    found["reserved"] = [state.reserved_nanousd, state.reserved_tokens]
    found["active"] = state.active_micros(state.at)
    found["waits"] = sorted(state.waits)
    found["ready"] = list(state.ready)
    found["refusals"] = len(state.refusals)
    found["values"] = sorted(state.values.values())
    return json.loads(json.dumps(found, default=sorted))  # type: ignore[no-any-return]


def record(name: str, entries: Iterable[e.Entry]) -> None:
    """For whoever adds a journal; no test calls it."""
    entries = list(entries)
    lines = [
        {"seq": one.seq, "at": one.at, "kind": one.event.KIND, "version": one.event.VERSION}
        | {"event": json.loads(one.event.encode())}
        for one in entries
    ]
    (FOLDER / f"{name}.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    )
    (FOLDER / f"{name}.state.json").write_text(
        json.dumps(said(fold(entries)), indent=1, ensure_ascii=False) + "\n"
    )


def less(recorded: Any, now: Any, path: str = "") -> list[str]:
    """Where the state of today does not say what was recorded."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        return [
            line for key, value in recorded.items() for line in less(value, now.get(key), f"{path}.{key}")
        ]
    return [] if recorded == now else [f"{path}: {recorded!r} was recorded, and now it is {now!r}"]


@pytest.mark.parametrize("name", NAMES)
def test_an_old_journal_says_what_it_said_when_it_was_written(name: str) -> None:
    recorded = json.loads((FOLDER / f"{name}.state.json").read_text())
    assert less(recorded, said(fold(read(name)))) == []


@pytest.mark.parametrize("name", NAMES)
def test_any_prefix_of_an_old_journal_folds(name: str) -> None:
    entries = read(name)
    for length in range(1, len(entries) + 1):
        assert fold(entries[:length]).seq == length


def test_every_kind_of_event_of_every_version_stands_in_some_old_journal() -> None:
    found = set()
    for name in NAMES:
        for line in (FOLDER / f"{name}.jsonl").read_text().splitlines():
            one = json.loads(line)
            found.add((one["kind"], one["version"]))
    wanted = {(kind, version) for kind, cls in e.EVENTS.items() for version in range(1, cls.VERSION + 1)}
    assert wanted <= found
