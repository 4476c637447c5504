"""`surefoot worker`: drives runs until it is told to stop."""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack

import click

from ..core.workflow import Definition
from ..errors import UsageError
from ..orchestrator.clock import SystemClock
from ..orchestrator.runtime import Runtime
from ..service.stopping import Stopping, drive
from ..settings import Settings
from .opening import go, must_have_service, open_runtime, warn_of_unknown
from .options import Given, command, deployment_options, target_argument
from .output import Output
from .target import load_target


@command("worker")
@target_argument
@click.option("--concurrency", type=int, metavar="N", help="Runs held in memory at once.")
@click.option("--metrics-port", type=int, metavar="N", help="Answer /metrics and /healthz at this port.")
@click.option(
    "--metrics-host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="And at this address."
)
@deployment_options
def worker(given: Given, target: str | None, metrics_port: int | None, metrics_host: str) -> None:
    """Drive runs until told to stop; several may work on one store.

    It takes up whatever is due: what `surefoot serve` was given, what got a decision, what another process
    left that died. Ctrl-C or SIGTERM stops it in good order: steps that are under way are let finish,
    everything else is given back and loses nothing. A second one ends it at once.

    \b
    Examples:
      surefoot worker support_desk:desk
      surefoot worker --store sqlite:////var/lib/desk/state.db --concurrency 20 --metrics-port 9420
    """
    settings = given.settings
    warn_of_unknown(given, settings)
    if settings.store.startswith("memory:"):
        raise UsageError(
            "a store in memory has no runs for a worker",
            why="it belongs to one process, and nobody else could put a run into it",
            remedy="Give the --store that `surefoot serve` has.",
        )
    workflow = load_target(target, settings)
    logging.getLogger("surefoot").setLevel(logging.INFO)
    numbers = None if metrics_port is None else (metrics_host, metrics_port)
    go(_work(given.output, settings, workflow, numbers))


async def _work(
    output: Output, settings: Settings, workflow: Definition, numbers: tuple[str, int] | None
) -> None:
    with Stopping(settings.drain) as stopping:
        async with AsyncExitStack() as stack:
            where = None
            if numbers is None:
                runtime = await stack.enter_async_context(open_runtime(workflow, settings))
            else:
                runtime, where = await _with_numbers(stack, settings, workflow, *numbers)
            output.say(f"Driving {workflow.name} in {settings.shown('store')}", "good")
            if where is not None:
                output.say(f"Numbers for Prometheus at {where}/metrics")
            output.say("Ctrl-C stops it in good order.", "dim")
            if output.json:
                said = {"workflow": workflow.name, "worker": runtime.store.worker, "pid": os.getpid()}
                output.document({**said, "metrics": where})
            await drive(runtime, stopping)
    output.say("Stopped: nothing is under way any more.", "dim")


async def _with_numbers(
    stack: AsyncExitStack, settings: Settings, workflow: Definition, host: str, port: int
) -> tuple[Runtime, str]:
    """The service's packages are asked for by this alone."""
    must_have_service()
    from ..service import metrics, server

    counted = metrics.Metrics(workflow)
    bound = stack.enter_context(server.bind(host, port))
    runtime = await stack.enter_async_context(open_runtime(workflow, settings, hears=counted.heard))
    app = metrics.alone(counted, runtime.store, SystemClock())
    await stack.enter_async_context(server.answering(app, bound))
    return runtime, server.url_of(bound)
