"""`surefoot intake`: whether new runs are taken up, and a person's word on it."""

from __future__ import annotations

from typing import Any

import click

from ..errors import UsageError
from ..orchestrator.clock import SystemClock
from ..orchestrator.intake import Intake, IntakeView, said, views
from ..orchestrator.views import change_json, intake_json
from ..state.intake import IntakeChange
from .formats import clock_time, count, until
from .opening import go, open_store
from .options import Given, command, target_argument
from .output import Cell, Column, Style, clean, one_line
from .target import load_target

STYLES: dict[str, Style] = {
    "open": "good",
    "trying": "warn",
    "paused": "warn",
    "tripped": "bad",
    "spent": "bad",
}

_MEANS = {
    "open": "new runs are taken up",
    "paused": "new runs wait in the queue",
    "refused": "new runs are refused",
    "tripped": "new runs wait: the providers keep failing",
    "trying": "new runs wait: one was let through, to see whether a provider answers",
    "spent": "new runs wait: the day's budget is gone",
}

_workflow = click.option(
    "--workflow", metavar="NAME", help="The workflow's name, where its code is not at hand."
)
_by = click.option("--by", default="", metavar="WHO", help="Who says so; kept.")
_reason = click.option("--reason", default="", metavar="TEXT", help="Why; its view is kept.")


@click.group("intake")
def intake() -> None:
    """Whether new runs are taken up; pause and resume that.

    Runs that were begun go on in any case: what is decided, due or under way is not held up.

    \b
    Examples:
      surefoot intake show
      surefoot intake pause --by kim --reason "the shop moves house"
      surefoot intake resume --by kim
    """


@command("show", group=intake)
@target_argument
@_workflow
@click.option(
    "--changes", type=click.IntRange(0, 500), default=10, show_default=True, help="So many of them."
)
def show(given: Given, target: str | None, workflow: str | None, changes: int) -> None:
    """How the intake stands, of every workflow or of one, and what was changed last.

    \b
    open      new runs are taken up
    paused    somebody has paused it: new runs wait in the queue
    refused   somebody has closed it: new runs are not accepted
    tripped   the breaker: the providers keep failing, so new runs wait
    trying    the breaker lets one run through, to see whether a provider answers again
    spent     the day's budget is gone: new runs wait for the next day (UTC)
    """
    name = _name(given, target, workflow, needed=False)
    now = SystemClock().now()

    async def look() -> tuple[list[IntakeView], list[IntakeChange]]:
        async with open_store(given.settings) as opened:
            return await views(opened.store, now, name), await opened.store.intake_changes(name, changes)

    found, history = go(look())
    output = given.output
    if output.json:
        shown = {
            "intakes": [intake_json(view) for view in found],
            "changes": [change_json(one) for one in history],
        }
        output.document(shown)
        return
    if not found:
        output.answer("open: nobody and nothing has ever closed it", "good")
    for view in found:
        output.answer(f"{clean(view.workflow)}: {view.state}", STYLES.get(view.state, "bad"))
        for line in _lines(view, now):
            output.answer(f"  {line}")
    if history:
        output.answer("")
        output.table(
            [Column("at"), Column("workflow"), Column("what", wide=True)],
            [[Cell(clock_time(one.at), "dim"), clean(one.workflow), one_line(said(one))] for one in history],
        )


@command("pause", group=intake)
@target_argument
@_workflow
@click.option("--refuse", is_flag=True, help="Accept no new runs at all; without it they queue.")
@_by
@_reason
def pause(given: Given, target: str | None, workflow: str | None, refuse: bool, by: str, reason: str) -> None:
    """Take up no new runs, on any worker, until somebody resumes.

    New runs are still accepted and wait in the queue, unless --refuse says otherwise. What was begun goes on.
    """
    _say(given, _name(given, target, workflow), "pause", {"by": by, "reason": reason, "refuse": refuse})


@command("resume", group=intake)
@target_argument
@_workflow
@_by
@_reason
def resume(given: Given, target: str | None, workflow: str | None, by: str, reason: str) -> None:
    """Take up new runs again: takes a pause back, and closes the breaker.

    A day whose budget is gone stays gone: raise the workflow's daily budget, or wait for the next day (UTC).
    """
    _say(given, _name(given, target, workflow), "resume", {"by": by, "reason": reason})


def _say(given: Given, name: str | None, word: str, what: dict[str, Any]) -> None:
    async def put() -> tuple[IntakeChange | None, IntakeView]:
        async with open_store(given.settings) as opened:
            door = Intake(opened.store, name or "", SystemClock())
            change = await (door.pause(**what) if word == "pause" else door.resume(**what))
            return change, await door.view()

    change, view = go(put())
    if given.output.json:
        given.output.document({**intake_json(view), "changed": change is not None})
        return
    already = "" if change is not None else " (as it was before)"
    told = f"{clean(view.workflow)}: {view.state}{already}: {_MEANS[view.state]}"
    given.output.answer(told, STYLES.get(view.state, "bad"))
    if view.waiting:
        given.output.say(f"{count(view.waiting, 'run')} to begin", "dim")


def _name(given: Given, target: str | None, workflow: str | None, *, needed: bool = True) -> str | None:
    """The workflow that is meant; None means all. Raises UsageError, TargetError."""
    if target is not None and workflow is not None:
        raise UsageError(
            "both a target and --workflow were given", why="each names a workflow", remedy="Give one of them."
        )
    if workflow is not None:
        return workflow
    return load_target(target, given.settings).name if target is not None or needed else None


def _lines(view: IntakeView, now: int) -> list[str]:
    row = view.row
    lines = [_MEANS[view.state]]
    if row.mode != "open":
        by = f" by {clean(row.mode_by)}" if row.mode_by else ""
        reason = f": {one_line(row.mode_reason)}" if row.mode_reason else ""
        lines.append(f"since {clock_time(row.mode_at)}{by}{reason}")
    if row.trial_run is not None:
        lines.append(f"let through: {row.trial_run}")
    if view.opens_at is not None:
        lines.append(f"goes on {until(view.opens_at, now)} at the latest, if nothing else holds it up")
    if view.waiting:
        lines.append(f"{count(view.waiting, 'run')} to begin")
    return lines
