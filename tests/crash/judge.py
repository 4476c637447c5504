"""What must hold of a run however often its processes died: read from its journal and from the other side,
and reckoned here once more, not with the engine's own sums.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from surefoot.core import events as e
from surefoot.core.fold import RunState
from surefoot.core.jsons import loads
from surefoot.core.workflow import Definition
from surefoot.orchestrator.clock import SystemClock
from surefoot.orchestrator.recorder import Sealer
from surefoot.rails.ledger import day_of
from surefoot.rails.redaction import Secrets
from surefoot.state import audit
from surefoot.state.opening import make_store
from surefoot.state.rows import ItemRow, RunFilter, RunRow

from .world import Row, World


@dataclass(frozen=True)
class Read:
    """A run as it lies on the disk: its row, its events in the clear, and the fold of them."""

    row: RunRow
    entries: list[e.Entry]
    state: RunState
    items: list[ItemRow]
    findings: list[audit.Finding]
    day_nanousd: int

    def last(self, kind: type[Any]) -> list[Any]:
        return [entry for entry in self.entries if isinstance(entry.event, kind)]


def read(url: str, flow: Definition) -> dict[str, Read]:
    """Every run of a store by its key (its id, where it has none)."""
    return asyncio.run(_read(url, flow))


async def _read(url: str, flow: Definition) -> dict[str, Read]:
    store, ring = make_store(url, now=SystemClock().now, worker="judge")
    await store.open()
    found: dict[str, Read] = {}
    try:
        rows = await store.runs(RunFilter(limit=100_000))
        for row in rows:
            assert row.data_key is not None
            sealer = Sealer(row.id, ring.unwrap(row.data_key), Secrets({}))
            entries = [sealer.open(stored) for stored in await store.events(row.id)]
            state = RunState(flow.plan).apply_all(entries)
            day = await store.day(row.workflow, day_of(row.created))
            items = await store.items(status=None, run=row.id)
            findings = await audit.verify(store, ring, row.id)
            found[row.key or row.id] = Read(row, entries, state, items, findings, day.nanousd)
    finally:
        await store.close()
    return found


def broken(run: Read, world: World, flow: Definition) -> list[str]:
    """The promises that this run breaks, each as a line; whatever its status is."""
    rows = [row for row in world.rows() if row.run in (run.row.id, None)]
    lines = [f"the audit finds {finding}" for finding in run.findings]
    lines += _steps_again(run, rows)
    lines += _calls_again(run, rows, flow)
    lines += _doubled(rows, flow)
    lines += _money(run)
    lines += _asks(run, rows)
    lines += _loose_ends(run)
    return lines


def _steps_again(run: Read, rows: list[Row]) -> list[str]:
    lines = []
    finished: dict[str, int] = {}
    for entry in run.last(e.StepFinished):
        if entry.event.step in finished:
            lines.append(f"step {entry.event.step} has finished twice")
        finished.setdefault(entry.event.step, entry.at)
    for row in rows:
        if row.what == "enter" and row.at > finished.get(row.name, row.at):
            lines.append(f"step {row.name} was entered again after its end was in the journal")
    return lines


def _calls_again(run: Read, rows: list[Row], flow: Definition) -> list[str]:
    """No effect without a durable intent before it, and none after its outcome is known."""
    lines = []
    intended: dict[str, int] = {}
    ended: dict[str, int] = {}
    keys: dict[str, str] = {}
    for entry in run.entries:
        match entry.event:
            case e.CallIntended(call=call, key=key):
                keys[call] = key
                intended.setdefault(key, entry.at)
            case e.CallReturned(call=call) | e.CallSettled(call=call, outcome="done"):
                if keys[call] in ended:
                    lines.append(f"call {call} has returned twice")
                ended.setdefault(keys[call], entry.at)
    for row in rows:
        if row.what != "attempt" or flow.tools[row.name].effect.value == "read":
            continue
        assert row.key is not None
        if row.key not in intended or row.at < intended[row.key]:
            lines.append(f"{row.name} was used and no intent was in the journal before")
        if row.at > ended.get(row.key, row.at):
            lines.append(f"{row.name} was used again after its outcome was in the journal")
    return lines


def _doubled(rows: list[Row], flow: Definition) -> list[str]:
    """What may happen once has happened once at most, and a keyed effect came under one key."""
    lines = []
    done = Counter((row.name, json.dumps(row.args)) for row in rows if row.what == "done")
    for (name, args), times in done.items():
        if flow.tools[name].effect.value in ("once", "keyed") and times > 1:
            lines.append(f"{name} {args} happened {times} times")
    return lines


def cost(run: Read, until: int | None = None) -> int:
    """Nano-dollars spent, reserved or held after the first `until` events."""
    costs: dict[str, int] = {}
    bound: dict[str, int] = {}
    for entry in run.entries[:until]:
        match entry.event:
            case e.AskReserved(ask=ask, nanousd=nanousd):
                costs[ask] = bound[ask] = nanousd
            case e.AskAnswered(ask=ask, nanousd=nanousd, held=False):
                costs[ask] = nanousd
            case e.AskFailed(ask=ask, charged=False):
                costs[ask] = 0
    return sum(costs.values())


def _money(run: Read) -> list[str]:
    lines = []
    submitted = run.entries[0].event
    assert isinstance(submitted, e.RunSubmitted)
    cap = submitted.budget["nanousd"]
    for until in range(1, len(run.entries) + 1):
        if cap is not None and cost(run, until) > cap:
            lines.append(
                f"after event {until} {cost(run, until)} of {cap} nano-dollars were spent or reserved"
            )
    state = run.state
    if state.usage.nanousd + state.reserved_nanousd != cost(run):
        lines.append(f"the fold says that {state.usage.nanousd} was spent, and {cost(run)} was")
    if run.state.is_ended and any(ask.status == "reserved" for ask in state.asks.values()):
        lines.append("an ask is reserved still")
    return lines


def _asks(run: Read, rows: list[Row]) -> list[str]:
    """No request without a reservation, and no answer asked for twice."""
    lines = []
    reserved = Counter((x.event.step, x.event.turn) for x in run.last(e.AskReserved))
    asked = Counter((row.name, row.args) for row in rows if row.what == "asked")
    for place, times in asked.items():
        if times > reserved[place]:
            lines.append(f"ask {place} was sent {times} times and reserved {reserved[place]} times")
    where = {
        x.event.ask: (x.event.step, x.event.attempt, x.event.digest, x.event.occurrence)
        for x in run.last(e.AskReserved)
    }
    for place, times in Counter(where[x.event.ask] for x in run.last(e.AskAnswered)).items():
        if times > 1:
            lines.append(f"ask {place} was answered {times} times")
    return lines


def _loose_ends(run: Read) -> list[str]:
    lines = []
    if run.row.status != run.state.status and run.row.status in ("succeeded", "failed", "cancelled"):
        lines.append(f"its row says {run.row.status}, its journal {run.state.status}")
    if not run.state.is_ended:
        return lines
    if not isinstance(run.entries[-1].event, e.RunFinished):
        lines.append(f"something follows its end: {run.entries[-1]}")
    if run.row.status != run.state.status:
        lines.append(f"its row says {run.row.status}, its journal {run.state.status}")
    if run.row.owner is not None:
        lines.append("it has ended, and somebody holds it")
    if run.row.mail:
        lines.append(f"it has ended, and {run.row.mail} messages wait for it")
    if any(item.status == "open" for item in run.items) or run.state.open_items():
        lines.append("it has ended, and an item is open")
    return lines


def outcome(run: Read, world: World) -> dict[str, Any]:
    """What may not depend on where a process died: no ids, no times, no number of attempts."""
    state = run.state
    effects = [call for call in state.calls.values() if call.is_effect]
    return {
        "status": run.row.status,
        "degraded": state.degraded,
        "error": (state.error or {}).get("code"),
        "steps": {
            name: (step.status, step.how, loads(step.output)) for name, step in sorted(state.steps.items())
        },
        "calls": sorted(
            f"{call.step} {call.tool} {_sorted(call.args)} {call.status} {call.result}" for call in effects
        ),
        "world": sorted(
            {
                f"{row.name} {json.dumps(row.args, sort_keys=True)}"
                for row in world.rows("done", run=run.row.id)
            }
        ),
    }


def _sorted(args: str) -> str:
    return json.dumps(loads(args), sort_keys=True)


def in_window(run: Read, tool: str) -> bool:
    """Whether the journal ends between the intent and the outcome of a call of this tool."""
    return any(call.tool == tool and call.status == "intended" for call in run.state.calls.values())
