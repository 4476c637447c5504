"""`surefoot budget`: what the days have cost, against their caps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ..core.budget import Budget
from ..core.model import NANO
from ..orchestrator.clock import SystemClock
from ..orchestrator.intake import IntakeView, views
from ..rails.ledger import MOST, day_of
from ..state.store import DayRow
from .formats import money
from .intake import STYLES, as_json
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
    first = (datetime.strptime(today, "%Y-%m-%d").replace(tzinfo=UTC) - timedelta(days=days - 1)).date()

    async def look() -> tuple[list[DayRow], list[IntakeView]]:
        async with open_store(given.settings) as opened:
            return await opened.store.days(), await views(opened.store, now, name)

    rows, intakes = go(look())
    rows = [row for row in rows if name in (None, row.workflow) and row.day >= first.isoformat()]
    rows.sort(key=lambda row: (row.workflow, row.day))
    if workflow is not None:
        rows = [with_caps(row, workflow.budget) if row.day == today else row for row in rows]
        if not any(row.day == today for row in rows):
            rows.append(with_caps(DayRow(workflow.name, today, 0, 0), workflow.budget))
    if given.output.json:
        document = {"today": today, "days": [_as_json(row) for row in rows]}
        given.output.document({**document, "intakes": [as_json(view) for view in intakes]})
        return
    show(given, rows, intakes, today)


def with_caps(row: DayRow, budget: Budget) -> DayRow:
    """Today's caps are those of the code; those of another day were what its last charge says."""
    return DayRow(
        row.workflow,
        row.day,
        row.nanousd,
        row.tokens,
        row.settled_nanousd,
        row.settled_tokens,
        budget.day_nanousd,
        budget.day_tokens,
        row.warned,
    )


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


def _as_json(row: DayRow) -> dict[str, Any]:
    return {
        "workflow": row.workflow,
        "day": row.day,
        "usd": {
            "spent": row.settled_nanousd / NANO,
            "held": (row.nanousd - row.settled_nanousd) / NANO,
            "cap": None if row.cap_nanousd is None else row.cap_nanousd / NANO,
        },
        "tokens": {
            "spent": row.settled_tokens,
            "held": row.tokens - row.settled_tokens,
            "cap": row.cap_tokens,
        },
        "warned": ["usd" if unit == "nanousd" else unit for unit in row.warned],
    }
