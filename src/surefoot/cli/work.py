"""`surefoot work`: drives what is due, also what a dead process left, and exits."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from ..core.fold import RunState
from ..orchestrator.clock import SystemClock
from ..settings import Settings
from .failures import DONE, FAILED, WAITING
from .formats import iso, money, ours, store_words, until
from .opening import go, open_runtime, warn_of_unknown
from .options import Given, command, deployment_options, target_argument
from .output import Output, Style
from .progress import Place, telling
from .target import load_target


@command("work")
@target_argument
@click.option("--until-idle", is_flag=True, help="Exit when nothing is due any more; so it does anyway.")
@click.option("--concurrency", type=int, metavar="N", help="Runs held in memory at once.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@deployment_options
def work(given: Given, target: str | None, until_idle: bool, quiet: bool) -> int:
    """Drive every run that is due, then exit.

    Due are runs that were submitted, that got a decision, whose timer has passed, and what a process left
    that died.

    \b
    Exit codes: 0 all done, 1 a run failed, 2 used wrongly, 3 a run waits for a person.
    """
    settings = given.settings
    warn_of_unknown(given, settings)
    workflow = load_target(target, settings)
    tally = Tally()

    async def drive() -> None:
        with telling(given.output, quiet=quiet) as place:
            async with open_runtime(workflow, settings, on_left=tally.hook(place)) as runtime:
                try:
                    await runtime.until_idle()
                    tally.next_due = await runtime.store.next_due(workflow.name)
                except asyncio.CancelledError:
                    place.say([("Stopping: what is under way is let finish, all else is given back.", "")])
                    raise

    go(drive())
    answer(given.output, settings, tally)
    return tally.exit_code


class Tally:
    """What became of the runs that this process has driven, by how it left each the last time."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.next_due: int | None = None

    def hook(self, place: Place) -> Any:
        def left(run: str, state: RunState) -> None:
            status = state.status if state.is_ended else "waiting" if state.waits else "queued"
            waiting_for = [item.id for item in state.open_items()]
            self.runs[run] = {
                "run": run,
                "status": status,
                "degraded": state.degraded,
                "waiting_for": waiting_for,
            }
            cost = f", {money(state.usage.usd)}" if state.usage.nanousd else ""
            for_whom = f" for {', '.join(waiting_for)}" if waiting_for else ""
            style: Style = "good" if status == "succeeded" else "bad" if status == "failed" else "warn"
            place.say([(f"{run} ", ""), (f"{status}{for_whom}{cost}", style)])

        return left

    def count(self, status: str) -> int:
        return sum(1 for run in self.runs.values() if run["status"] == status)

    @property
    def waits_for_people(self) -> bool:
        return any(run["waiting_for"] for run in self.runs.values())

    @property
    def exit_code(self) -> int:
        if self.count("failed"):
            return FAILED
        return WAITING if self.waits_for_people else DONE


def answer(output: Output, settings: Settings, tally: Tally) -> None:
    counts = {name: tally.count(name) for name in ("succeeded", "failed", "cancelled", "waiting")}
    if output.json:
        document = {"driven": len(tally.runs), **counts, "next_due": iso(tally.next_due)}
        output.document({**document, "runs": list(tally.runs.values())})
    elif tally.runs:
        said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        output.answer(f"{len(tally.runs)} runs driven: {said}" if said else f"{len(tally.runs)} runs driven")
    else:
        output.answer("Nothing is due.")
    if tally.next_due is not None:
        output.say(f"The next run falls due {until(tally.next_due, SystemClock().now())}.", "dim")
    if tally.waits_for_people:
        output.say(f"See {ours('inbox', 'list', *store_words(settings))}", "dim")
