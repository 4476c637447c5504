"""`surefoot runs`: list runs, look into one, and say something to one. All of it from the store: whoever may
read the store needs neither the workflow nor its keys for a view; only `fork` asks for the workflow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import click

from ..core.clock import iso
from ..core.jsons import dumps, loads
from ..orchestrator import saying
from ..orchestrator.clock import SystemClock
from ..orchestrator.revealing import Revealed
from ..orchestrator.trace import Trace, run_json, trace_of
from ..orchestrator.views import event_json, exact_values, run_row_json
from ..state.rows import RunFilter, RunRow, StoredEvent
from .failures import scrub
from .formats import STATUS_STYLES, Duration, ago, clock_time, money, ours, store_words, work_words
from .opening import Opened, go, open_runtime, open_store
from .options import Given, command, deployment_options
from .output import Cell, Column, clean, one_line
from .reveal import as_lines, must_fit, reveal_options, reveal_run
from .target import load_target
from .waterfall import tell_trace

PAGE = 500
STATUSES = ("queued", "running", "waiting", "succeeded", "failed", "cancelled")


@click.group("runs")
def runs() -> None:
    """List runs, look into one, cancel it, retry it, fork it.

    \b
    Examples:
      surefoot runs list --status failed --since 1d
      surefoot runs show RUN
      surefoot runs events RUN --json | jq .kind
    """


@command("list", group=runs)
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Only these; may be given often.")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option("--since", type=Duration(), metavar="TIME", help="Only runs made in this time: 90s, 12h, 30d.")
@click.option("--before", metavar="RUN", help="Only runs older than this one: the next page.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many."
)
def list_runs(
    given: Given,
    status: tuple[Any, ...],
    workflow: str | None,
    since: int | None,
    before: str | None,
    limit: int,
) -> None:
    """Runs, newest first."""
    now = SystemClock().now()
    wanted = RunFilter(status, workflow, None if since is None else now - since, before, limit)

    async def read() -> list[RunRow]:
        async with open_store(given.settings) as opened:
            if before is not None:
                await opened.run(before)
            return await opened.store.runs(wanted)

    rows = go(read())
    if given.output.json:
        for row in rows:
            given.output.line(dumps(run_row_json(row)))
        return
    columns = [Column("run"), Column("workflow"), Column("status"), Column("made"), Column("usd", right=True)]
    columns += [Column("key"), Column("note", wide=True)]
    shown = [
        [
            Cell(row.id),
            Cell(row.workflow),
            Cell(row.status, STATUS_STYLES.get(row.status, "")),
            Cell(ago(row.created, now), "dim"),
            Cell(money(row.summary.get("usage", {}).get("usd", 0))),
            Cell(one_line(row.key or "", 30)),
            Cell(_note(row)),
        ]
        for row in rows
    ]
    if shown:
        given.output.table(columns, shown)
    else:
        given.output.say("No runs.")
    if len(rows) == limit:
        more = ["runs", "list", "--before", rows[-1].id, *store_words(given.settings)]
        given.output.say(f"There may be more: {ours(*more)}", "dim")


def _note(row: RunRow) -> str:
    if error := row.summary.get("error"):
        return one_line(str(error.get("what", "")), 80)
    if row.status == "waiting" and (items := row.summary.get("waiting_for")):
        return f"waits for {', '.join(items)}"
    if row.status == "waiting":
        return f"sleeps until {clock_time(row.due)}"
    return "degraded" if row.summary.get("degraded") else ""


# ── one run ──────────────────────────────────────────────────────────────────────────────────────


@command("show", group=runs)
@click.argument("run")
@reveal_options
def show(given: Given, run: str, reveal: bool, by: str, reason: str) -> None:
    """What happened in a run: steps, asks, calls and waits, with times, tokens and money.

    With --debug also the traceback of each step that failed. With --reveal exact values instead of redacted
    views, the input and every output among them: who has seen them, and why, is in the journal first.
    """
    must_fit(reveal=reveal, by=by, reason=reason)
    revealed: Revealed | None = None

    async def read() -> tuple[RunRow, Trace, dict[str, Any], bool]:
        nonlocal revealed
        async with open_store(given.settings) as opened:
            await opened.run(run)
            if reveal:
                revealed = await reveal_run(opened, given.settings, run, by=by, reason=reason)
            row = await opened.run(run)
            definition = await opened.store.definition(row.fingerprint)
            trace = trace_of(await opened.store.events(run) if revealed is None else revealed.events)
            return row, trace, loads(definition) if definition else {}, row.owner is not None

    row, trace, definition, is_held = go(read())
    document = run_json(row, trace, definition)
    if given.output.json:
        more: dict[str, Any] = {
            "created": iso(row.created),
            "updated": iso(row.updated),
            "due": iso(row.due),
            "pruned": row.pruned,
            "forgotten": iso(row.forgotten),
        }
        if revealed is not None:
            more["revealed"] = exact_values(revealed)
        if given.debug:
            ways = [{"step": step, "traceback": scrub(way)} for step, way in trace.details]
            more["tracebacks"] = ways
        given.output.document(document | more)
        return
    tell_trace(given.output, row, trace, document, given.settings, is_held=is_held, debug=given.debug)
    if row.forgotten is not None:
        given.output.answer(
            f"Forgotten {clock_time(row.forgotten)}: its exact values are gone, for everybody."
        )
    if revealed is not None:
        given.output.answer(f"Exact values, shown to {clean(by)}:", "strong")
        for line in as_lines(exact_values(revealed)):
            given.output.answer(f"  {clean(line)}")


@command("events", group=runs)
@click.argument("run")
@click.option("--after", type=int, default=0, metavar="SEQ", help="Only events after this one.")
@reveal_options
def events(given: Given, run: str, after: int, reveal: bool, by: str, reason: str) -> None:
    """A run's journal: every event's redacted view, in order.

    With --reveal as they are, without redaction: who has seen them, and why, is in the journal first.
    """
    must_fit(reveal=reveal, by=by, reason=reason)

    async def read() -> None:
        async with open_store(given.settings) as opened:
            await opened.run(run)
            found = _events(opened, run, after)
            if reveal:
                revealed = await reveal_run(opened, given.settings, run, by=by, reason=reason)
                found = _these_events(revealed.events, after)
            async for event in found:
                if given.output.json:
                    given.output.line(event_json(event))
                else:
                    place = f"{event.seq:>5}  {clock_time(event.at)}  {event.kind:<20}"
                    given.output.answer(f"{place} {clean(event.view)}")

    go(read())


@command("export", group=runs)
@click.argument("run", required=False, metavar="[RUN]")
def export(given: Given, run: str | None) -> None:
    """Journals as JSON lines, of one run or of all: redacted events, each with the hash that chains it.

    Always JSON. The exact values that lie sealed in the store stay there.
    """

    async def read() -> None:
        async with open_store(given.settings) as opened:
            chosen = [await opened.run(run)] if run else None
            async for row in _every_run(opened) if chosen is None else _these(chosen):
                async for event in _events(opened, row.id, 0):
                    given.output.line(event_json(event, with_hash=True))

    go(read())


async def _events(opened: Opened, run: str, after: int) -> AsyncIterator[StoredEvent]:
    while page := await opened.store.events(run, after, PAGE):
        for event in page:
            yield event
        after = page[-1].seq


async def _these_events(events: Iterable[StoredEvent], after: int) -> AsyncIterator[StoredEvent]:
    for event in events:
        if event.seq > after:
            yield event


async def _every_run(opened: Opened) -> AsyncIterator[RunRow]:
    before = None
    while page := await opened.store.runs(RunFilter(before=before, limit=PAGE)):
        for row in page:
            yield row
        before = page[-1].id


async def _these(rows: list[RunRow]) -> AsyncIterator[RunRow]:
    for row in rows:
        yield row


# ── saying something to a run ────────────────────────────────────────────────────────────────────


def _who(function: Any) -> Any:
    by = click.option("--by", default="", metavar="WHO", help="Who says so; kept in the journal.")
    reason = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the journal.")
    return by(reason(function))


@command("cancel", group=runs)
@click.argument("run")
@_who
def cancel(given: Given, run: str, by: str, reason: str) -> None:
    """Cancel a run: what is under way is let finish, nothing new is started."""
    _tell(given, run, "cancel", by, reason)


@command("retry", group=runs)
@click.argument("run")
@_who
def retry(given: Given, run: str, by: str, reason: str) -> None:
    """Take a failed or cancelled run up again: what has finished stays, failed steps get new attempts."""
    _tell(given, run, "retry", by, reason)


def _tell(given: Given, run: str, what: str, by: str, reason: str) -> None:
    settings = given.settings

    async def tell() -> RunRow:
        async with open_store(settings) as opened:
            row = await opened.run(run)
            say = saying.cancel if what == "cancel" else saying.retry
            await say(opened.store, opened.keyring, run, by=by, reason=reason)
            return row

    row = go(tell())
    if given.output.json:
        given.output.document({"run": run, "asked": what, "status": row.status})
    if row.owner is not None:
        given.output.say(f"{run}: the process that drives it is told to {what} it.")
    else:
        again = work_words(None, settings)
        given.output.say(f"{run}: it is to {what} at the next\n  {again}")


@command("fork", group=runs)
@click.argument("run")
@click.argument("target", required=False, metavar="[TARGET]")
@click.option("--from", "start_from", required=True, metavar="STEP", help="The first step to do anew.")
@click.option("--key", help="A key for the new run.")
@deployment_options
def fork(given: Given, run: str, target: str | None, start_from: str, key: str | None) -> None:
    """A new run with the same input: what does not need STEP is taken over, the rest is done anew."""
    settings = given.settings
    workflow = load_target(target, settings)

    async def start() -> str:
        async with open_store(settings) as opened:
            await opened.run(run)
        async with open_runtime(workflow, settings, drive=False) as runtime:
            return (await runtime.fork(run, start_from=start_from, key=key)).id

    new = go(start())
    if given.output.json:
        given.output.document({"run": new, "forked_from": run, "status": "queued"})
    else:
        given.output.answer(new)
    again = work_words(target, settings)
    given.output.say(f"{new} begins anew at {start_from!r}, and is driven by\n  {again}")
