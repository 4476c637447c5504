"""`surefoot inbox`: what waits for a person, and the decision. The workflow is not needed for either; where
it is named (or found in pyproject.toml), what a person gives is checked at once against its types."""

from __future__ import annotations

import click

from ..core.jsons import dumps
from ..core.rule import Approve, Decision, Deny, Edit, Settle
from ..errors import TargetError, UsageError
from ..orchestrator import saying
from ..orchestrator.clock import SystemClock
from ..orchestrator.revealing import Revealed
from ..orchestrator.views import item_row_json
from ..settings import Settings
from ..state.rows import ItemRow, RunRow
from .formats import (
    STATUS_STYLES,
    ago,
    call_text,
    clock_time,
    ours,
    parse_json,
    store_words,
    until,
    work_words,
)
from .opening import go, open_store
from .options import Given, command
from .output import Cell, Column, clean, one_line
from .results import decide_commands
from .reveal import as_lines, must_fit, reveal_one, reveal_options
from .target import load_target


@click.group("inbox")
def inbox() -> None:
    """What waits for a person, and decide it.

    \b
    Examples:
      surefoot inbox list
      surefoot inbox show ITEM
      surefoot inbox decide ITEM approve --by kim
      surefoot inbox decide ITEM edit --args '{"amount": "20"}' --by kim
    """


@command("list", group=inbox)
@click.option("--all", "everything", is_flag=True, help="Also what was decided, has expired or was closed.")
@click.option("--run", metavar="RUN", help="Only items of this run.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="At most so many."
)
def list_items(given: Given, everything: bool, run: str | None, limit: int) -> None:
    """Open approvals and reviews, longest waiting first."""

    async def read() -> list[ItemRow]:
        async with open_store(given.settings) as opened:
            if run is not None:
                await opened.run(run)
            return await opened.store.items(status=None if everything else "open", run=run, limit=limit)

    rows, now = go(read()), SystemClock().now()
    if given.output.json:
        for row in rows:
            given.output.line(dumps(item_row_json(row)))
        return
    if not rows:
        given.output.say("Nothing waits for a person.")
        return
    columns = [Column("item"), Column("kind"), Column("status"), Column("for"), Column("what", wide=True)]
    columns += [Column("waits"), Column("expires"), Column("why", wide=True)]
    given.output.table(columns, [_cells(row, now) for row in rows])
    details = ours("inbox", "show", rows[0].id, *store_words(given.settings))
    given.output.say(f"Details, and the commands that decide: {details}", "dim")


def _cells(row: ItemRow, now: int) -> list[Cell]:
    return [
        Cell(row.id),
        Cell(row.kind),
        Cell(row.status, STATUS_STYLES.get(row.status, "")),
        Cell(one_line(row.queue or "anyone", 20)),
        Cell(_what(row)),
        Cell(ago(row.opened, now), "dim"),
        Cell(until(row.expires, now) if row.expires else "", "dim"),
        Cell(one_line(str(row.view.get("reason", "")), 80)),
    ]


def _what(row: ItemRow, most: int = 60) -> str:
    if row.view.get("tool"):
        return call_text(row.view["tool"], row.view.get("args"), most)
    return f"step {row.view['step']}" if row.view.get("step") else "the run"


@command("show", group=inbox)
@click.argument("item")
@reveal_options
def show(given: Given, item: str, reveal: bool, by: str, reason: str) -> None:
    """One item: what is asked, by which rule, until when, and the commands that decide it.

    With --reveal the exact arguments, for whoever may decide it: who has seen them is in the journal first.
    """
    must_fit(reveal=reveal, by=by, reason=reason)
    settings = given.settings
    revealed: Revealed | None = None

    async def read() -> tuple[ItemRow, RunRow]:
        nonlocal revealed
        async with open_store(settings) as opened:
            row = await opened.item(item)
            if reveal:
                revealed = await reveal_one(opened, settings, item, by=by, reason=reason)
            return row, await opened.run(row.run)

    row, run = go(read())
    output = given.output
    exact = None if revealed is None or revealed.item is None else revealed.item.to_json()
    if output.json:
        output.document(item_row_json(row) if exact is None else item_row_json(row) | {"revealed": exact})
        return
    now = SystemClock().now()
    output.answer(
        f"{row.id}  {row.kind}, {row.status}  (run {row.run} of {row.view.get('workflow')}, {run.status})"
    )
    output.answer(f"{_what(row, 2000)}", "strong")
    lines = {
        "why": row.view.get("reason"),
        "rule": row.view.get("rule"),
        "for": row.queue or "anyone",
        "waits": f"since {clock_time(row.opened)}",
        "expires": f"{clock_time(row.expires)} ({until(row.expires, now)})" if row.expires else None,
        "key": row.view.get("key"),
        "error": (row.view.get("error") or {}).get("what"),
        "remedy": (row.view.get("error") or {}).get("remedy"),
        "decided": f"{row.decision} by {row.decided_by}, {clock_time(row.decided)}" if row.decided else None,
    }
    for name, text in lines.items():
        if text:
            output.answer(f"  {name + ':':<9} {clean(str(text))}")
    if exact is not None:
        output.answer(f"  exact values, shown to {clean(by)}:")
        for line in as_lines({"args": exact["args"], "reason": exact["reason"]}):
            output.answer(f"    {clean(line)}")
    for found in row.view.get("evidence") or ():
        # Others' words: shown as one line each, whatever they hold.
        said = one_line(str(found.get("text", "")), 200)
        output.answer(f"  {found.get('field')}: {said!r} may be the words of {found.get('source')}")
    if row.status == "open":
        output.answer("")
        is_call = bool(row.view.get("tool"))
        for line in decide_commands(row.id, row.view.get("choices", []), settings, is_call=is_call):
            output.answer(f"  {line}")


@command("decide", group=inbox)
@click.argument("item")
@click.argument("choice", type=click.Choice(["approve", "deny", "edit", "settle"]))
@click.argument("target", required=False, metavar="[TARGET]")
@click.option("--by", required=True, metavar="WHO", help="Who decides; kept in the journal.")
@click.option("--reason", default="", metavar="TEXT", help="Why; a denial's reason is what the step sees.")
@click.option("--args", metavar="JSON", help="Of edit: the arguments to use instead.")
@click.option("--result", metavar="JSON", help="Of settle: what the call gave, or the step's output.")
def decide(
    given: Given,
    item: str,
    choice: str,
    target: str | None,
    by: str,
    reason: str,
    args: str | None,
    result: str | None,
) -> None:
    """Decide an item. The first decision wins; a late one is refused.

    \b
    approve  make the call as it was proposed; of a review: try again
    deny     refuse the call; of a review: let it fail; of an unknown call: give it up
    edit     make the call with --args instead, after every check has passed again
    settle   it did happen, with this --result; of a review: this is the step's output

    The run goes on at the next `surefoot work` or `run`, or at once where a process drives it.
    """
    settings = given.settings
    decision = _decision(choice, by, reason, args, result)
    try:
        workflow = load_target(target, settings) if target or settings.workflow else None
    except TargetError:
        if target:
            raise
        workflow = None  # [tool.surefoot] names one for other uses; a decision needs none

    async def say() -> tuple[ItemRow, RunRow]:
        async with open_store(settings) as opened:
            known = await opened.item(item)
            own = workflow if workflow and workflow.name == known.view.get("workflow") else None
            decided = await saying.decide(
                opened.store, opened.keyring, item, decision, people=settings.people, workflow=own
            )
            return decided, await opened.run(decided.run)

    row, run = go(say())
    if given.output.json:
        given.output.document(item_row_json(row))
    else:
        given.output.answer(f"{row.id}: {choice} by {by}")
    _tell_what_follows(given, settings, run, target)


def _decision(choice: str, by: str, reason: str, args: str | None, result: str | None) -> Decision:
    """Raises UsageError where --args or --result is missing, or is given to what has no use for it."""
    if not by.strip():
        raise UsageError(
            "nobody decides",
            why="a decision is kept with the name of who took it",
            remedy="Say who you are: --by NAME.",
        )
    for name, text, wanted in (("--args", args, choice == "edit"), ("--result", result, choice == "settle")):
        if wanted and text is None:
            raise UsageError(
                f"{choice} needs {name}",
                why=f"`{choice}` says what is to hold from now on, and that is missing",
                remedy=f"Give {name} as JSON, or choose something else.",
            )
        if not wanted and text is not None:
            raise UsageError(
                f"{choice} has no use for {name}",
                why=f"`{choice}` is not said with it",
                remedy="Leave it out, or choose another decision.",
            )
    if choice == "approve":
        return Approve(by, reason)
    if choice == "deny":
        return Deny(by, reason)
    if choice == "settle":
        return Settle(parse_json(result or "", "--result"), by, reason)
    edited = parse_json(args or "", "--args")
    if not isinstance(edited, dict):
        raise UsageError(
            "--args is no JSON object",
            why="a call's arguments have names",
            remedy="Give every argument by its name.",
        )
    return Edit(edited, by, reason)


def _tell_what_follows(given: Given, settings: Settings, run: RunRow, target: str | None) -> None:
    if run.owner is not None:
        given.output.say(f"{run.id} goes on at once: a process drives it.")
    else:
        again = work_words(target, settings)
        given.output.say(f"{run.id} goes on at the next\n  {again}")
