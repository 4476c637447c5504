"""`surefoot forget`: a run's exact values are gone for good, and that is proved."""

from __future__ import annotations

import click

from ..core.clock import iso
from ..orchestrator import forgetting
from ..orchestrator.clock import SystemClock
from ..orchestrator.forgetting import Forgotten
from .formats import clock_time
from .opening import go, open_store
from .options import Given, command


@command("forget")
@click.argument("run")
@click.option("--by", default="", metavar="WHO", help="Who says so; kept in the journal.")
@click.option("--reason", default="", metavar="TEXT", help="Why; its view is kept in the journal.")
@click.option(
    "--patience",
    type=click.FloatRange(0, 3600),
    default=forgetting.PATIENCE,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for whoever reads the store and holds up the proof.",
)
def forget(given: Given, run: str, by: str, reason: str, patience: float) -> None:
    """Delete the data key of an ended run, and prove that it is gone.

    Nothing exact of the run can be read from then on, by anybody: not its input, not its output, not what its
    tools were given. Its views, times and costs stay, and its journal still verifies. Its idempotency key
    still finds it, so the work is not done again. What is in backups is not touched.

    This cannot be undone. Exit code 1 where the proof was held up: it is deleted then, and the same command
    makes the proof.
    """

    async def delete() -> Forgotten:
        async with open_store(given.settings) as opened:
            return await forgetting.forget(
                opened.store,
                opened.keyring,
                SystemClock(),
                run,
                by=by,
                reason=reason,
                patience=patience,
            )

    done = go(delete())
    if given.output.json:
        given.output.document(
            {"run": run, "forgotten": iso(done.at), "first": done.first, "proved": done.proved}
        )
        return
    when = "" if done.first else f" ({clock_time(done.at)})"
    given.output.answer(f"{run} is forgotten{when}: its key is in no file of the store.", "good")
