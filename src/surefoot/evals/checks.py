"""Checks: small pure functions from what was expected and what was played to lines of what is wrong.

Each explains itself in one line: what was expected, what came, where. All run, so that one trial tells
everything that is wrong with it. The world's check has a frame: what a scenario does not say may change, did
not.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry

from ..core.events import ApprovalRequested
from ..core.jsons import loads
from ..core.states import CallState
from .compare import apart, at_path, contained, cut, difference, differences, shown
from .results import Failure, Played
from .scenario import Expect, Scenario, WorldCheck
from .world import Change

Check = Callable[[Expect, Played], Iterator[Failure]]

MOST = 10
"""Failures of one check that are told one by one."""


def failures(scenario: Scenario, played: Played) -> list[Failure]:
    """Everything that is wrong; empty is a pass."""
    found: list[Failure] = []
    for check in CHECKS:
        found += check(scenario.expect, played)
    return found


# ── the run ──────────────────────────────────────────────────────────────────────────────────────


def status(expect: Expect, played: Played) -> Iterator[Failure]:
    if played.status != expect.status:
        why = ""
        if played.error:
            why = f" ({played.error.get('code')}: {played.error.get('what', '')})"
        elif open_items := played.state.open_items():
            why = f" (for: {', '.join(item.request.reason for item in open_items)})"
        yield Failure("status", expect.status, cut(played.status + why))
    if expect.degraded is not None and played.state.degraded != expect.degraded:
        yield Failure("degraded", shown(expect.degraded), shown(played.state.degraded))
    code = played.error.get("code") if played.error else None
    if expect.error is not None and code != expect.error:
        yield Failure("error", expect.error, "none" if code is None else cut(str(code)))


def output(expect: Expect, played: Played) -> Iterator[Failure]:
    wanted = expect.output
    if wanted is None:
        return
    if "equals" in wanted.model_fields_set and (found := difference(wanted.equals, played.output)):
        path, one, other = found
        yield Failure("output.equals", one, other, path)
    for path, one, other in contained(wanted.contains or {}, played.output):
        yield Failure("output.contains", one, other, path)
    if wanted.matches is not None:
        yield from _matches(wanted.matches, played.output)
    for path in wanted.absent:
        present, value = at_path(played.output, path)
        if present:
            yield Failure("output.absent", "nothing", shown(value), path)


def steps(expect: Expect, played: Played) -> Iterator[Failure]:
    for name, how in expect.steps.items():
        step = played.state.steps.get(name)
        found = "none"
        if step is not None:
            found = step.how if step.status == "finished" else step.status
        if found != how and not (how == "none" and found == "idle"):
            yield Failure("steps", how, found, name)


# ── calls ────────────────────────────────────────────────────────────────────────────────────────


def calls(expect: Expect, played: Played) -> Iterator[Failure]:
    wanted = expect.calls
    if wanted is None:
        return
    made = list(played.state.calls.values())
    counted = Counter(call.tool for call in made if call.status != "undone")
    for tool, number in wanted.count.items():
        if counted[tool] != number:
            yield Failure("calls.count", f"{number}", f"{counted[tool]}", tool)
    for tool in wanted.forbidden:
        for call in made:
            if call.tool == tool:
                yield Failure("calls.forbidden", "no call", _call(call), call.step)
    if wanted.only is not None:
        for call in made:
            if call.tool not in wanted.only:
                yield Failure(
                    "calls.only", f"only {', '.join(wanted.only) or 'nothing'}", _call(call), call.step
                )
    refused = Counter(event.tool for _, event in played.state.refusals)
    for tool, number in wanted.refused.items():
        if refused[tool] != number:
            yield Failure("calls.refused", f"{number}", f"{refused[tool]}", tool)
    yield from _order(wanted.order, made)
    for want in wanted.made:
        same = [call for call in made if call.tool == want.tool]
        fitting = [call for call in same if not any(contained(want.args, loads(call.args)))]
        expected = cut(f"{want.tool}({shown(want.args)}) {want.status}")
        if not fitting:
            yield Failure("calls.made", expected, cut("; ".join(map(_call, same)) or "no call of it"))
        elif not any(call.status == want.status for call in fitting):
            yield Failure("calls.made", expected, f"it is {fitting[0].status}", fitting[0].step)


def _order(wanted: list[str], made: list[CallState]) -> Iterator[Failure]:
    """By first calls: a refund before the look-up is wrong, also where another one follows it."""
    called = list(dict.fromkeys(call.tool for call in made))
    if [tool for tool in called if tool in wanted] != wanted:
        yield Failure("calls.order", " then ".join(wanted), cut(" then ".join(called) or "no call"))


def asked(expect: Expect, played: Played) -> Iterator[Failure]:
    wanted = expect.asked
    if wanted is None:
        return
    items = list(played.state.items.values())
    approvals = [item for item in items if item.kind == "approval"]
    if wanted.approvals is not None and len(approvals) != wanted.approvals:
        yield Failure("asked.approvals", f"{wanted.approvals}", f"{len(approvals)}")
    if wanted.reviews is not None and len(items) - len(approvals) != wanted.reviews:
        yield Failure("asked.reviews", f"{wanted.reviews}", f"{len(items) - len(approvals)}")
    requests = [item.request for item in items]
    about = {getattr(one, "tool", None) or one.step for one in requests}
    who = {one.by if isinstance(one, ApprovalRequested) else one.queue for one in requests}
    for check, names, found in (("asked.of", wanted.of, about), ("asked.who", wanted.who, who)):
        for name in names:
            if name not in found:
                yield Failure(check, name, ", ".join(sorted(filter(None, found))) or "nothing")
    reasons = [one.reason for one in requests]
    told = _plain("\n".join(reasons))
    for text in wanted.why:
        if _plain(text) not in told:
            yield Failure("asked.why", repr(text), shown(reasons))


# ── the world ────────────────────────────────────────────────────────────────────────────────────


def world(expect: Expect, played: Played) -> Iterator[Failure]:
    """With a world there is always a frame, also where the scenario says nothing of it."""
    if played.before is None or played.after is None:
        if expect.world is not None:
            yield Failure("world", "a world to look at", "none")
        return
    wanted = expect.world or WorldCheck()
    for table, number in wanted.added.items():
        came = [change for change in played.changes if change.table == table and change.kind == "added"]
        if len(came) != number:
            rows = "; ".join(_row(change) for change in came[:MOST])
            yield Failure("world.added", f"{number}", cut(f"{len(came)}: {rows}" if came else "0"), table)
    for table, named in wanted.changes.items():
        for key, values in named.items():
            yield from _row_is(played, table, key, values)
    yield from _few("world.frame", "no change", list(_frame(wanted, played)))


def _row_is(played: Played, table: str, key: str, values: dict[str, Any] | None) -> Iterator[Failure]:
    """The row has these values, and did not have them before."""
    where = f"{table}[{key}]"
    before, after = ((side or {}).get(table, {}).get(key) for side in (played.before, played.after))
    if values is None:
        if after is not None or before is None:
            yield Failure("world.changes", "the row to be gone", _state(before, after), where)
        return
    if after is None:
        yield Failure("world.changes", shown(values), "no such row", where)
        return
    if not values and not any((change.table, change.row) == (table, key) for change in played.changes):
        yield Failure("world.changes", "a change", "it is as it was", where)
    for path, value in values.items():
        there, found = at_path(after, path)
        was_there, was = at_path(before, path)
        if not there or difference(value, found) is not None:
            one, other = apart(value, found)
            yield Failure("world.changes", one, other if there else "nothing", f"{where}.{path}")
        elif was_there and difference(was, found) is None:
            yield Failure(
                "world.changes", f"a change to {shown(value)}", "it was so before", f"{where}.{path}"
            )


def _state(before: Any, after: Any) -> str:
    return "it is there" if after is not None else "it never was" if before is None else "it is gone"


def _frame(wanted: WorldCheck, played: Played) -> Iterator[tuple[str, str]]:
    """(where, what) of every change that nothing allows. A row that came is allowed where its table's new
    rows are counted, or where it is named; a row that changed, only in what is named of it."""
    for change in played.changes:
        named = wanted.changes.get(change.table, {})
        where = f"{change.table}[{change.row}]"
        if change.table in wanted.may_change:
            continue
        if change.kind != "changed":
            counted = change.kind == "added" and change.table in wanted.added
            if not counted and change.row not in named:
                yield where, f"{change.kind} {_row(change)}"
            continue
        prefix = f"{change.table}."
        free = [name.removeprefix(prefix) for name in wanted.may_change if name.startswith(prefix)]
        free += named.get(change.row) or {}
        for column, (before, after) in change.cells.items():
            for path, one, other in differences(before, after, column):
                if not any(_covers(name, path) for name in free):
                    yield f"{where}.{path}", f"{one} -> {other}"


def _covers(name: str, path: str) -> bool:
    """Whether a change at the path lies within what the name stands for, or the name within it."""
    return name == path or path.startswith(f"{name}.") or name.startswith(f"{path}.")


def _few(check: str, expected: str, found: Sequence[tuple[str, str]]) -> Iterator[Failure]:
    for where, got in found[:MOST]:
        yield Failure(check, expected, cut(got), where)
    if len(found) > MOST:
        yield Failure(check, expected, f"{len(found) - MOST} more of these")


# ── words and limits ─────────────────────────────────────────────────────────────────────────────


def said(expect: Expect, played: Played) -> Iterator[Failure]:
    """An effect that was not made has said nothing; but what must not be said must not be tried either."""
    if not expect.said and not expect.not_said:
        return
    effects = [call for call in played.state.calls.values() if call.is_effect]
    tried = _words([played.output, *(loads(call.args) for call in effects)])
    made = _words([played.output, *(loads(call.args) for call in effects if call.may_have_happened)])
    for text in expect.said:
        if _plain(text) not in made:
            yield Failure("said", cut(repr(text)), "it is neither in the output nor in an effect's arguments")
    for text in expect.not_said:
        if (place := tried.find(_plain(text))) >= 0:
            begin, end = max(place - 30, 0), place + len(text) + 30
            yield Failure("not_said", cut(f"not {text!r}"), cut(f"…{tried[begin:end]}…"))


def _words(values: Sequence[Any]) -> str:
    """All texts and numbers of these values, a line each."""
    found: list[str] = []
    left = list(reversed(values))
    while left:
        match left.pop():
            case dict() as value:
                left += [part for pair in reversed(value.items()) for part in reversed(pair)]
            case list() as value:
                left += reversed(value)
            case None | bool():
                continue
            case value:
                found.append(_plain(str(value)))
    return "\n".join(found)


def _plain(text: str) -> str:
    """As a reader sees it: no case, no line breaks, no invisible marks, one way to write each letter."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return " ".join(text.casefold().split())


def limits(expect: Expect, played: Played) -> Iterator[Failure]:
    usage = played.state.usage.to_json()
    tokens = usage["tokens_in"] + usage["tokens_out"]
    used = {
        "usd": float(usage["usd"]),
        "tokens": tokens,
        "model_calls": usage["model_calls"],
        "seconds": float(usage["seconds"]),
    }
    for name, value in used.items():
        most = getattr(expect, name)
        if most is not None and value > most:
            yield Failure(name, f"at most {most:g}", f"{value:g}")


CHECKS: tuple[Check, ...] = (status, output, steps, calls, asked, world, said, limits)


# ── for the checks above ─────────────────────────────────────────────────────────────────────────


def _matches(schema: dict[str, Any], value: Any) -> Iterator[Failure]:
    validator = Draft202012Validator(dict(schema), registry=Registry())  # nothing is fetched
    for error in sorted(validator.iter_errors(value), key=lambda one: list(map(str, one.absolute_path)))[:3]:
        where = ".".join(map(str, error.absolute_path))
        wanted = cut(f"{error.validator}: {shown(error.validator_value)}")
        yield Failure("output.matches", wanted, shown(error.instance), where)


def _call(call: CallState) -> str:
    return cut(f"{call.tool}({call.args}) {call.status}")


def _row(change: Change) -> str:
    side = 1 if change.kind == "added" else 0
    return shown({name: pair[side] for name, pair in change.cells.items()})
