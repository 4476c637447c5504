"""`surefoot worker`: drives runs until it is told to stop."""

from __future__ import annotations

import logging
import os

import click

from ..core.workflow import Definition
from ..errors import UsageError
from ..service.stopping import Stopping, drive
from ..settings import Settings
from .opening import go, open_runtime, warn_of_unknown
from .options import Given, command, deployment_options, target_argument
from .output import Output
from .target import load_target


@command("worker")
@target_argument
@click.option("--concurrency", type=int, metavar="N", help="Runs held in memory at once.")
@deployment_options
def worker(given: Given, target: str | None) -> None:
    """Drive runs until told to stop; several may work on one store.

    It takes up whatever is due: what `surefoot serve` was given, what got a decision, what another process
    left that died. Ctrl-C or SIGTERM stops it in good order: steps that are under way are let finish,
    everything else is given back and loses nothing. A second one ends it at once.

    \b
    Examples:
      surefoot worker support_desk:desk
      surefoot worker --store sqlite:////var/lib/desk/state.db --concurrency 20
    """
    settings = given.settings
    warn_of_unknown(given, settings)
    if settings.store.startswith("memory:"):
        raise UsageError(
            "a store in memory has no runs for a worker",
            why="it belongs to one process, and nobody else could put a run into it",
            remedy="Give the --store that `surefoot serve` has.",
        )
    go(_work(given.output, settings, load_target(target, settings)))


async def _work(output: Output, settings: Settings, workflow: Definition) -> None:
    logging.getLogger("surefoot").setLevel(logging.INFO)
    with Stopping(settings.drain) as stopping:
        async with open_runtime(workflow, settings) as runtime:
            output.say(f"Driving {workflow.name} in {settings.shown('store')}", "good")
            output.say("Ctrl-C stops it in good order.", "dim")
            if output.json:
                said = {"workflow": workflow.name, "worker": runtime.store.worker, "pid": os.getpid()}
                output.document(said)
            await drive(runtime, stopping)
    output.say("Stopped: nothing is under way any more.", "dim")
