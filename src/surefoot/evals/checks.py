"""Checks: small pure functions from what was expected and what was played to lines of what is wrong.

Each explains itself in one line: what was expected, what came, where. All run, so that one trial tells
everything that is wrong with it. The world's check has a frame: what a scenario does not say may change, did
not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from jsonschema import Draft202012Validator

from ..core.jsons import dumps, loads
from ..core.states import CallState
from .results import Failure, Played
from .scenario import Expect, Scenario, WorldCheck
from .world import Change

Check = Callable[[Expect, Played], Iterator[Failure]]

SHOWN = 120


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
        yield Failure("status", expect.status, _cut(played.status + why))
    if expect.degraded is not None and played.state.degraded != expect.degraded:
        yield Failure("degraded", _said(expect.degraded), _said(played.state.degraded))
    code = played.error.get("code") if played.error else None
    if expect.error is not None and code != expect.error:
        yield Failure("error", expect.error, _said(code))


def output(expect: Expect, played: Played) -> Iterator[Failure]:
    wanted = expect.output
    if wanted is None:
        return
    if "equals" in wanted.model_fields_set and (found := difference(wanted.equals, played.output)):
        path, one, other = found
        yield Failure("output.equals", one, other, path)
    for failure in _contained(wanted.contains or {}, played.output, ""):
        yield Failure("output.contains", failure.expected, failure.got, failure.where)
    if wanted.matches is not None:
        yield from _matches(wanted.matches, played.output)
    for path in wanted.absent:
        present, value = at_path(played.output, path)
        if present:
            yield Failure("output.absent", "nothing", _said(value), path)


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
    counted = Counter(call.tool for call in made if call.status not in ("undone",))
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
        fitting = [call for call in same if not list(_contained(want.args, loads(call.args), ""))]
        expected = f"{want.tool}({dumps(want.args)}) {want.status}"
        if not fitting:
            yield Failure("calls.made", _cut(expected), _cut("; ".join(map(_call, same)) or "no call of it"))
        elif not any(call.status == want.status for call in fitting):
            yield Failure("calls.made", _cut(expected), _cut(f"it is {fitting[0].status}"), fitting[0].step)


def _order(wanted: list[str], made: list[CallState]) -> Iterator[Failure]:
    left = list(wanted)
    for call in made:
        if left and call.tool == left[0]:
            left.pop(0)
    if left:
        called = [call.tool for call in made]
        yield Failure("calls.order", " then ".join(wanted), _cut(" then ".join(called) or "no call"))


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
    about = {getattr(item.request, "tool", None) or item.step for item in items}
    for name in wanted.of:
        if name not in about:
            found = ", ".join(sorted(filter(None, about))) or "nothing"
            yield Failure("asked.of", name, found)


# ── the world ────────────────────────────────────────────────────────────────────────────────────


def world(expect: Expect, played: Played) -> Iterator[Failure]:
    """With a world there is always a frame, also where the scenario says nothing of it."""
    if played.before is None or played.after is None:
        return
    wanted = expect.world or WorldCheck()
    left = [change for change in played.changes if not _may_change(change, wanted)]
    for table, number in wanted.added.items():
        came = [change for change in left if change.table == table and change.kind == "added"]
        if len(came) != number:
            shown = "; ".join(_row(change) for change in came)
            yield Failure("world.added", f"{number}", _cut(f"{len(came)}: {shown}" if came else "0"), table)
        left = [change for change in left if change not in came]
    for table, rows in wanted.changes.items():
        for key, values in rows.items():
            mine = [change for change in left if (change.table, change.row) == (table, key)]
            left = [change for change in left if change not in mine]
            yield from _row_is(played, table, key, values, mine, _free_columns(wanted, table))
    for change in left:
        yield Failure("world.frame", "no change", _cut(str(change)), f"{change.table}[{change.row}]")


def _row_is(
    played: Played, table: str, key: str, values: Any, mine: list[Change], free: set[str]
) -> Iterator[Failure]:
    where = f"{table}[{key}]"
    row = (played.after or {}).get(table, {}).get(key)
    if values is None:
        if row is not None or not mine:
            yield Failure(
                "world.changes", "the row to be gone", "it is there" if row else "it never was", where
            )
        return
    if row is None:
        yield Failure("world.changes", _said(values), "no such row", where)
        return
    for name, value in values.items():
        if difference(value, row.get(name)) is not None:
            yield Failure("world.changes", _said(value), _said(row.get(name)), f"{where}.{name}")
        elif not any(name in change.cells for change in mine):
            yield Failure(
                "world.changes", f"a change to {_said(value)}", "it was so before", f"{where}.{name}"
            )
    for change in mine:
        if change.kind == "changed":
            for name, (before, after) in change.cells.items():
                if name not in values and name not in free:
                    said = f"{_said(before)} -> {_said(after)}"
                    yield Failure("world.frame", "no change", said, f"{where}.{name}")


def _may_change(change: Change, wanted: WorldCheck) -> bool:
    if change.table in wanted.may_change:
        return True
    return change.kind == "changed" and set(change.cells) <= _free_columns(wanted, change.table)


def _free_columns(wanted: WorldCheck, table: str) -> set[str]:
    return {name.partition(".")[2] for name in wanted.may_change if name.startswith(f"{table}.")}


# ── words and limits ─────────────────────────────────────────────────────────────────────────────


def said(expect: Expect, played: Played) -> Iterator[Failure]:
    if not expect.said and not expect.not_said:
        return
    texts = [dumps(played.output)]
    texts += [call.args for call in played.state.calls.values() if call.is_effect]
    whole = "\n".join(texts).casefold()
    for text in expect.said:
        if _quoted(text) not in whole:
            yield Failure("said", repr(text), "it is neither in the output nor in an effect's arguments")
    for text in expect.not_said:
        if (place := whole.find(_quoted(text))) >= 0:
            yield Failure("not_said", f"not {text!r}", _cut(f"…{whole[max(place - 30, 0) : place + 60]}…"))


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


# ── comparing values ─────────────────────────────────────────────────────────────────────────────


def difference(wanted: Any, got: Any, path: str = "") -> tuple[str, str, str] | None:
    """(path, wanted, got) of the first place where two JSON values differ. A number equals the text that it
    is written as ("5.00" and 5): money is text in one place and a number in another."""
    match wanted, got:
        case dict(), dict():
            for key in [*wanted, *(key for key in got if key not in wanted)]:
                inner = f"{path}.{key}".lstrip(".")
                if key not in got:
                    return inner, _said(wanted[key]), "nothing"
                if key not in wanted:
                    return inner, "nothing", _said(got[key])
                if found := difference(wanted[key], got[key], inner):
                    return found
            return None
        case list(), list():
            for number, (one, other) in enumerate(zip(wanted, got, strict=False)):
                if found := difference(one, other, f"{path}.{number}".lstrip(".")):
                    return found
            if len(wanted) != len(got):
                return path, f"{len(wanted)} items", f"{len(got)} items"
            return None
        case _:
            return None if _same(wanted, got) else (path, _said(wanted), _said(got))


def _contained(wanted: Mapping[str, Any], got: Any, path: str) -> Iterator[Failure]:
    """`wanted` names what must be there; what else is there does not matter. A key may be a path
    (`a.b.0`)."""
    for key, value in wanted.items():
        where = f"{path}.{key}".lstrip(".")
        present, found = at_path(got, key)
        if not present:
            yield Failure("", _said(value), "nothing", where)
        elif isinstance(value, Mapping) and isinstance(found, Mapping):
            yield from _contained(value, found, where)
        elif differs := difference(value, found):
            inner, one, other = differs
            yield Failure("", one, other, f"{where}.{inner}".rstrip("."))


def at_path(value: Any, path: str) -> tuple[bool, Any]:
    """(whether it is there, what stands there). A key that has dots in it is found as it is, too."""
    if isinstance(value, Mapping) and path in value:
        return True, value[path]
    head, dot, rest = path.partition(".")
    if isinstance(value, Mapping) and head in value:
        inner = value[head]
    elif isinstance(value, list) and head.lstrip("-").isdigit() and -len(value) <= int(head) < len(value):
        inner = value[int(head)]
    else:
        return False, None
    return at_path(inner, rest) if dot else (True, inner)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    return _number(one) is not None and _number(one) == _number(other)


def _number(value: Any) -> Any:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _matches(schema: Mapping[str, Any], value: Any) -> Iterator[Failure]:
    validator = Draft202012Validator(dict(schema))
    for error in sorted(validator.iter_errors(value), key=lambda one: list(map(str, one.absolute_path)))[:3]:
        where = ".".join(map(str, error.absolute_path))
        yield Failure(
            "output.matches",
            _cut(f"{error.validator}: {error.validator_value}"),
            _said(error.instance),
            where,
        )


def _quoted(text: str) -> str:
    return dumps(text)[1:-1].casefold()


def _call(call: CallState) -> str:
    return _cut(f"{call.tool}({call.args}) {call.status}")


def _row(change: Change) -> str:
    return dumps({name: after for name, (_, after) in change.cells.items()})


def _said(value: Any) -> str:
    return _cut(dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
