"""`surefoot work`: drives what is due, also what a dead process left, and exits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import click

from ..core.clock import iso
from ..core.fold import RunState
from ..orchestrator.clock import SystemClock
from ..orchestrator.runtime import Runtime
from ..settings import Settings
from ..state.rows import RunFilter
from .failures import DONE, FAILED, WAITING
from .formats import STATUS_STYLES, count, money, ours, store_words, until
from .opening import go, open_runtime, warn_of_unknown
from .options import Given, command, deployment_options, target_argument
from .output import Output
from .progress import LOOK_EVERY, Part, Place, Story, telling
from .target import load_target

MOST = 6
"""Runs that are told of step by step; of more at once, only how each ended."""


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
        async with open_runtime(workflow, settings, on_left=tally.note) as runtime:
            with telling(given.output, quiet=quiet) as place:
                watch = Watch(runtime, tally, place)
                watching = asyncio.create_task(watch.go_on())
                try:
                    await runtime.until_idle()
                except asyncio.CancelledError:
                    place.say([("Stopping: what is under way is let finish, all else is given back.", "")])
                    raise
                finally:
                    watching.cancel()
                    with suppress(asyncio.CancelledError):
                        await watching
                await watch.look()
            tally.next_due = await runtime.store.next_due(workflow.name)

    go(drive())
    answer(given.output, settings, tally)
    return tally.exit_code


class Tally:
    """What became of the runs that this process has driven, by how it left each the last time."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.left: list[tuple[str, list[Part]]] = []
        """Runs that were left and not told of yet, with how."""
        self.next_due: int | None = None

    def note(self, run: str, state: RunState) -> None:
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
        self.left.append(
            (run, [(f"{run} ", ""), (f"{status}{for_whom}{cost}", STATUS_STYLES.get(status, ""))])
        )

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


class Watch:
    """Tells of the runs that this process drives: few in every step, many by their ends."""

    def __init__(self, runtime: Runtime, tally: Tally, place: Place) -> None:
        self._runtime = runtime
        self._tally = tally
        self._place = place
        self._followed: dict[str, tuple[Story, int]] = {}

    async def go_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        wanted = RunFilter(("running",), self._runtime.workflow.name, limit=MOST + 1)
        rows = await self._runtime.store.runs(wanted)
        active = [row.id for row in rows if row.owner == self._runtime.store.worker]
        left, self._tally.left = self._tally.left, []
        if len(active) + len(left) <= MOST:
            for run in dict.fromkeys([*(run for run, _ in left), *active]):
                await self._tell(run)
        for run, parts in left:
            self._followed.pop(run, None)
            self._place.say(parts)
        stories = [self._followed[run][0].under_way for run in active if run in self._followed]
        self._place.now(f"{len(active)} runs" if len(active) > MOST else " · ".join(filter(None, stories)))

    async def _tell(self, run: str) -> None:
        if run not in self._followed:
            self._followed[run] = await self._begin(run)
        story, after = self._followed[run]
        for event in await self._runtime.store.events(run, after):
            after = event.seq
            for parts in story.lines(event):
                self._place.say(parts)
        self._followed[run] = (story, after)

    async def _begin(self, run: str) -> tuple[Story, int]:
        """From where this process took the run up; what was before is known and not told again."""
        events = await self._runtime.store.events(run)
        claims = [event.seq for event in events if event.kind == "run.claimed"]
        start = claims[-1] if claims else 0
        story = Story()
        story.read(events[:start])
        self._place.say([(f"{run} goes on" if len(claims) > 1 else f"{run} begins", "")])
        return story, start


def answer(output: Output, settings: Settings, tally: Tally) -> None:
    counts = {name: tally.count(name) for name in ("succeeded", "failed", "cancelled", "waiting")}
    if output.json:
        document = {"driven": len(tally.runs), **counts, "next_due": iso(tally.next_due)}
        output.document({**document, "runs": list(tally.runs.values())})
    elif tally.runs:
        said = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
        driven = f"{count(len(tally.runs), 'run')} driven"
        output.answer(f"{driven}: {said}" if said else driven)
    else:
        output.answer("Nothing is due.")
    if tally.next_due is not None:
        output.say(f"The next run falls due {until(tally.next_due, SystemClock().now())}.", "dim")
    if tally.waits_for_people:
        output.say(f"See {ours('inbox', 'list', *store_words(settings))}", "dim")
