"""`surefoot prune`: gives back the room of runs that ended long ago."""

from __future__ import annotations

import click

from ..orchestrator.clock import SystemClock
from ..state.rows import Pruned
from .formats import Duration, count
from .opening import go, open_store
from .options import Given, command


@command("prune")
@click.option(
    "--older-than",
    type=Duration(),
    required=True,
    metavar="TIME",
    help="Ended longer ago than this: 30d, 2w.",
)
def prune(given: Given, older_than: int) -> None:
    """Delete the journals of runs that ended long ago.

    A run's row and key stay, so a repeated key still finds how its run ended. What waits or runs is never
    touched. This cannot be undone: `surefoot runs export` keeps a copy of what may be shown.
    """

    async def cut() -> Pruned:
        async with open_store(given.settings) as opened:
            return await opened.store.prune(SystemClock().now() - older_than)

    pruned = go(cut())
    if given.output.json:
        given.output.document({"runs": pruned.runs, "events": pruned.events})
    else:
        what = f"{count(pruned.runs, 'run')} ({count(pruned.events, 'event')})"
        given.output.answer(f"Deleted the journals of {what}.")
