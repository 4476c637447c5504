"""`surefoot budget`: what the days have cost, against their caps."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..core.model import NANO
from ..orchestrator.clock import SystemClock
from ..orchestrator.intake import IntakeView, views
from ..orchestrator.views import day_json, intake_json, last_days
from ..rails.ledger import MOST, day_of
from ..state.rows import DayRow
from .formats import money
from .intake import STYLES
from .opening import go, open_store
from .options import Given, command, target_argument
from .output import Cell, Column, Style, clean
from .target import load_target


@command("budget")
@target_argument
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=7,
    show_default=True,
    metavar="N",
    help="Today and before.",
)
def budget(given: Given, target: str | None, days: int) -> None:
    """What the last days have cost, against the daily caps.

    And whether new runs are taken up. Spent is what providers have said they charge. Held is reserved at this
    moment, or was reserved for a request of which nobody knows what it cost: it counts as spent. Days are
    UTC, and a request counts on the day on which it was begun. Without a target every workflow of the store
    is shown, with the caps of its last charge.
    """
    workflow = None if target is None else load_target(target, given.settings)
    name = None if workflow is None else workflow.name
    now = SystemClock().now()
    today = day_of(now)

    async def look() -> tuple[list[DayRow], list[IntakeView]]:
        async with open_store(given.settings) as opened:
            return await opened.store.days(), await views(opened.store, now, name)

    rows, intakes = go(look())
    rows = last_days(rows, now, days, workflow=name, budget=workflow.budget if workflow else None)
    if given.output.json:
        document = {"today": today, "days": [day_json(row) for row in rows]}
        given.output.document({**document, "intakes": [intake_json(view) for view in intakes]})
        return
    show(given, rows, intakes, today)


def show(given: Given, rows: Sequence[DayRow], intakes: Sequence[IntakeView], today: str) -> None:
    output = given.output
    if rows:
        columns = [Column("day"), Column("workflow", wide=True)]
        columns += [
            Column(name, right=True) for name in ("spent", "held", "cap", "used", "tokens", "held", "cap")
        ]
        output.table([*columns, Column("used", right=True)], [_cells(row, today) for row in rows])
    else:
        output.answer("No model was asked on these days.")
    for view in intakes:
        output.answer(f"intake of {clean(view.workflow)}: {view.state}", STYLES.get(view.state, "bad"))


def _cells(row: DayRow, today: str) -> list[Cell | str]:
    held, held_tokens = row.nanousd - row.settled_nanousd, row.tokens - row.settled_tokens
    return [
        Cell("today" if row.day == today else row.day, "" if row.day == today else "dim"),
        clean(row.workflow),
        money(row.settled_nanousd / NANO),
        money(held / NANO) if held else "",
        "" if row.cap_nanousd is None else money(row.cap_nanousd / NANO),
        _share(row, "nanousd", row.nanousd, row.cap_nanousd),
        f"{row.settled_tokens:,}",
        f"{held_tokens:,}" if held_tokens else "",
        "" if row.cap_tokens is None else f"{row.cap_tokens:,}",
        _share(row, "tokens", row.tokens, row.cap_tokens),
    ]


def _share(row: DayRow, unit: str, total: int, cap: int | None) -> Cell:
    if not cap:
        return Cell("")
    share = total * 100 // cap
    style: Style = "bad" if share >= 100 else "warn" if share >= MOST or unit in row.warned else ""
    warned = "  warned" if unit in row.warned else ""
    return Cell(f"{share} %{warned}", style)
