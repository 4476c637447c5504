"""`surefoot demo`: the reference desk's twelve tickets, worked through by a real model on this machine.

Nothing here is played back: the tickets go through the same Runtime as any other run. It has a store and a
shop of its own under .surefoot/demo, made anew each time, so the real ones are never touched.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from ..core.workflow import Definition
from ..orchestrator.results import Result
from ..orchestrator.runtime import Runtime
from ..orchestrator.trace import Trace, trace_of
from ..settings import Settings
from .failures import DONE, FAILED
from .formats import DEMO_STORE, STATUS_STYLES, duration, money, ours, store_words
from .new import reference_folder
from .opening import go, open_runtime
from .options import Given, command
from .output import Cell, Column, Output, one_line
from .progress import Place, follow, last_seq, telling
from .results import result_json, tell_error, tell_item

FOLDER = Path(DEMO_STORE.removeprefix("sqlite:///")).parent

WIDEST = 80
"""Characters of a ticket's decision; the inbox has the rest."""


@dataclass(frozen=True)
class Told:
    """One ticket and what became of it."""

    ticket: str
    result: Result
    trace: Trace


@command("demo")
@click.option(
    "--model", "models", multiple=True, metavar="MODEL", help="Ask this model: embedded, openai:NAME, ..."
)
@click.option("--keep", is_flag=True, help="Go on with the store of the last time instead of beginning anew.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def demo(given: Given, keep: bool, quiet: bool) -> int:
    """Watch twelve real tickets worked through by a real model.

    The support desk of an online shop reads each ticket with a language model, checks what it read by other
    means, and acts only where both agree; the rest, and every refund above 50 EUR, waits for a person.
    Everything lives in .surefoot/demo of this folder.
    """
    desk = _find_desk()
    os.environ.pop("SUPPORT_DESK_SMTP", None)  # the customers of the demo have no mailboxes
    if FOLDER.exists() and not keep:
        shutil.rmtree(FOLDER)
    # The desk's shop is found by this name; the demo's is not the one that a real run here would use.
    os.environ["SUPPORT_DESK_SHOP"] = str(FOLDER / "shop.db")
    settings = replace(given.settings, store=DEMO_STORE, sources={**given.settings.sources, "store": "demo"})
    show = Show(given.output, settings, desk.desk)
    told = go(show.work_through(desk.tickets(*desk.DEMO), quiet=quiet))
    if given.output.json:
        given.output.document({"store": DEMO_STORE, "tickets": [show.ticket_json(one) for one in told]})
    else:
        show.tell_table(told)
    show.tell_what_next(told)
    return FAILED if any(one.result.status in ("failed", "cancelled") for one in told) else DONE


def _find_desk() -> Any:
    """The package support_desk: in this folder, or the one that comes with surefoot. Raises TargetError."""
    here = Path.cwd()
    folder = here if (here / "support_desk" / "workflow.py").is_file() else reference_folder()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return import_module("support_desk")


class Show:
    def __init__(self, output: Output, settings: Settings, workflow: Definition) -> None:
        self._output = output
        self._settings = settings
        self._workflow = workflow

    async def work_through(self, tickets: list[tuple[str, Any]], *, quiet: bool) -> list[Told]:
        told: list[Told] = []
        async with open_runtime(self._workflow, self._settings) as runtime:
            names = ", ".join(model.name for model in runtime.deployment.models)
            self._output.say(f"{len(tickets)} tickets for {self._workflow.name}, read by {names}\n", "strong")
            with telling(self._output, quiet=quiet) as place:
                for name, ticket in tickets:
                    place.say([("", ""), (f"{name}: ", "strong"), (one_line(ticket.subject, 80), "")])
                    told.append(await self._one(runtime, name, ticket, place))
        return told

    async def _one(self, runtime: Runtime, name: str, ticket: Any, place: Place) -> Told:
        # One after the other: the embedded model answers one question at a time anyway.
        run = await runtime.start(ticket, key=name)
        seen = 0 if run.created else await last_seq(runtime, run.id)
        result = await follow(runtime.store, run.id, place, runtime.result(run.id), after=seen)
        trace = trace_of(await runtime.store.events(run.id))
        told = Told(name, result, trace)
        place.say([("  => ", ""), (self._decision(told), STATUS_STYLES.get(result.status, ""))])
        return told

    # ── afterwards ──

    def tell_table(self, told: list[Told]) -> None:
        columns = [
            *(Column("ticket"), Column("decision", wide=True), Column("path", wide=True)),
            *(Column("asks", right=True), Column("tokens", right=True)),
            *(Column("usd", right=True), Column("time", right=True)),
        ]
        rows = []
        for one in told:
            usage = one.result.usage
            rows.append(
                [
                    Cell(one.ticket, "strong"),
                    Cell(self._decision(one), STATUS_STYLES.get(one.result.status, "")),
                    Cell(path_of(one.trace), "dim"),
                    Cell(str(usage.model_calls)),
                    Cell(str(usage.tokens_in + usage.tokens_out)),
                    Cell(money(usage.usd)),
                    Cell(duration(usage.seconds * 1000)),
                ]
            )
        self._output.say()
        self._output.table(columns, rows)

    def _decision(self, one: Told) -> str:
        result = one.result
        if result.status == "succeeded":
            outcome = result.output.outcome
            amount = f" {outcome.amount} EUR" if outcome.amount is not None else ""
            about = outcome.reason or outcome.number or ""
            return one_line(f"{outcome.kind.replace('_', ' ')}{amount}: {about}", WIDEST)
        if result.waiting_for:
            item = result.waiting_for[0]
            what = f"{item.tool} of {item.args.get('amount')} EUR " if item.tool else ""
            return one_line(f"{what}waits for {item.by or 'a person'}: {item.reason}", WIDEST)
        return one_line(f"{result.status}: {result.error.what if result.error else ''}", WIDEST)

    def ticket_json(self, one: Told) -> dict[str, Any]:
        found = {"ticket": one.ticket, "decision": self._decision(one), "path": path_of(one.trace)}
        return {**found, **result_json(self._workflow, one.result)}

    def tell_what_next(self, told: list[Told]) -> None:
        say, words = self._output.say, store_words(self._settings)
        for one in told:
            if one.result.error is not None:
                tell_error(self._output, one.result.error)
        waiting = [one for one in told if one.result.waiting_for]
        items = [item for one in waiting for item in one.result.waiting_for]
        refunds = [item for item in items if item.kind == "approval"]
        total = sum(one.result.usage.seconds for one in told)
        cost = sum(one.result.usage.usd for one in told)
        acted = sum(one.result.status == "succeeded" for one in told)
        sums = f"{duration(total * 1000)}, {money(cost)}"
        say(f"\n{acted} answered, {len(waiting)} wait for a person; {sums}.\n")
        if refunds:
            tell_item(self._output, refunds[0], self._settings)
            say(f"Then let it go on, and see that the refund is made once:\n  {ours('demo', '--keep')}\n")
        if len(items) > len(refunds[:1]):
            say(f"What else waits, and why:\n  {ours('inbox', 'list', *words)}")
        if told:
            first = next((one for one in told if one.result.status == "succeeded"), told[0])
            say(f"What happened in a run, step by step:\n  {ours('runs', 'show', first.result.run, *words)}")
        say(f"Prove that no journal was changed:\n  {ours('audit', 'verify', *words)}")
        other = ours("demo", "--model", "openai:NAME")
        say(f"On another model (with OPENAI_API_KEY, or OPENAI_BASE_URL of your own server):\n  {other}")
        say(f"A project of your own, and how to see it in the browser:\n  {ours('new', 'my-desk')}")


def path_of(trace: Trace) -> str:
    """Which tools a run used, and where something else than the plain way was taken."""
    called = [
        span.name for span in trace.spans if span.kind == "call" and span.status in ("returned", "done")
    ]
    parts = []
    for name, group in groupby(called):
        times = len(list(group))
        parts.append(name if times == 1 else f"{times} x {name}")
    parts += [
        f"{step.name} by {step.status}" for step in trace.steps if step.status in ("fallback", "by_hand")
    ]
    return " > ".join(parts) or "-"
