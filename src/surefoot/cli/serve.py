"""`surefoot serve`: the API, the console and a worker in one process."""

from __future__ import annotations

import getpass
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import click

from ..core.clock import MICROS, iso
from ..core.workflow import Definition
from ..errors import UsageError
from ..orchestrator.clock import SystemClock
from ..orchestrator.recorder import Hears
from ..service.access import Access, Principal
from ..service.feed import Feed
from ..service.service import Limits, Service
from ..service.stopping import Stopping
from ..settings import Settings
from .formats import ours, store_words
from .opening import go, must_have_service, open_runtime, warn_of_unknown
from .options import Given, command, deployment_options, target_argument
from .output import Output
from .target import load_target


@command("serve")
@target_argument
@click.option("--host", metavar="ADDRESS", help="Where to listen. [default: 127.0.0.1]")
@click.option("--port", type=int, metavar="N", help="Its port; 0 takes any that is free. [default: 8420]")
@click.option("--no-worker", is_flag=True, help="Only answer; `surefoot worker` drives the runs.")
@click.option("--concurrency", type=int, metavar="N", help="Runs held in memory at once.")
@deployment_options
def serve(given: Given, target: str | None, no_worker: bool) -> None:
    """Serve a workflow: its API, its console, and a worker that drives the runs.

    Ctrl-C or SIGTERM stops it in good order: new runs are refused, steps that are under way are let finish,
    everything else is given back and loses nothing. A second one ends it at once.

    As long as no token was made, it listens on this machine only, and whoever is here may do everything.

    \b
    Examples:
      surefoot serve support_desk:desk
      surefoot serve --port 0 --json
      surefoot tokens create --person kim --scope admin
      surefoot serve --host 0.0.0.0 --no-worker
    """
    settings = given.settings
    warn_of_unknown(given, settings)
    must_have_service()
    workflow = load_target(target, settings)
    log_requests()
    go(_serve(given.output, settings, workflow, target, drive=not no_worker))


async def _serve(
    output: Output, settings: Settings, workflow: Definition, target: str | None, *, drive: bool
) -> None:
    from .. import console
    from ..service import app as api
    from ..service import metrics, server
    from ..service.telling import telling

    if drive is False and settings.store.startswith("memory:"):
        raise UsageError(
            "nobody could drive these runs",
            why="a store in memory belongs to this process alone, and it is to have no worker",
            remedy="Leave out --no-worker, or give a --store that others reach.",
        )
    bound = server.bind(settings.host, settings.port)
    with bound, Stopping(settings.drain) as stopping:
        numbers = metrics.Metrics(workflow)
        async with open_service(settings, workflow, drive=drive, hears=numbers.heard) as service:
            local = await service.access.local()
            if local is not None and not server.is_loopback(settings.host):
                raise UsageError(
                    f"the service does not listen at {settings.host} yet",
                    why="no token was ever made, so whoever could reach it could do everything",
                    remedy=f"Make one first: {tokens_words(settings)}",
                )
            application = api.build(service)
            metrics.mount(application, service, numbers)
            console.mount(application, service, settings)
            url = server.url_of(bound)
            told = Told(output, settings, workflow.name, url, local, drive=drive, target=target)
            async with telling(service, settings):
                await server.serve(application, service, numbers, bound, stopping, told.tell)
    output.say("Stopped: nothing is under way any more.", "dim")


@asynccontextmanager
async def open_service(
    settings: Settings, workflow: Definition, *, drive: bool, hears: Hears | None = None
) -> AsyncIterator[Service]:
    async with open_runtime(workflow, settings, drive=drive, hears=hears) as runtime:
        clock = SystemClock()
        person = settings.person or user_of_machine()
        access = Access(runtime.store, runtime.deployment.keyring, clock, person=person)
        limits = Limits(
            queue=settings.max_queue, body=settings.max_body, drain=settings.drain, hosts=names_of(settings)
        )
        async with Feed(runtime.store, clock) as feed:
            yield Service(runtime, access, feed, clock, limits, settings.people)


def names_of(settings: Settings) -> tuple[str, ...]:
    """The names by which the service is reached: those that were named, and those that follow from others."""
    url = None if settings.url is None else urlsplit(settings.url).hostname
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return (*settings.hosts, host, *([url] if url else []))


def log_requests() -> None:
    """A line of JSON for each request, on stderr. Not by way of the handler for everything else, which looks
    anew for secrets in all that it writes: these lines have passed the redactor, and there are many."""
    handler = logging.StreamHandler(sys.__stderr__)
    handler.setFormatter(_Dated())
    requests = logging.getLogger("surefoot.access")
    requests.handlers = [handler]
    requests.propagate = False
    logging.getLogger("surefoot").setLevel(logging.INFO)


class _Dated(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = record.getMessage()
        at = iso(round(record.created * MICROS))
        return f'{{"at":"{at}",{said[1:]}' if said.startswith("{") else said


def user_of_machine() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "somebody"


def tokens_words(settings: Settings) -> str:
    return ours("tokens", "create", "--person", "NAME", "--scope", "admin", *store_words(settings))


class Told:
    """What is said once the service answers: where, as whom, and what next."""

    def __init__(
        self,
        output: Output,
        settings: Settings,
        workflow: str,
        url: str,
        local: Principal | None,
        *,
        drive: bool,
        target: str | None,
    ) -> None:
        self._output = output
        self._settings = settings
        self._local = local
        self._drive = drive
        self._target = target
        self._said: dict[str, Any] = {
            "url": url,
            "workflow": workflow,
            "person": None if local is None else local.person,
            "worker": drive,
            "pid": os.getpid(),
        }

    def tell(self) -> None:
        said, output = self._said, self._output
        output.say(f"{said['workflow']} listens at {said['url']}", "good")
        output.say(f"Open it in a browser; programs start runs with POST {said['url']}/v1/runs.")
        if self._local is not None:
            output.say(
                f"You are {self._local.person}: no token was made yet, so who is at this machine may do"
            )
            output.say(f"everything. For others, make tokens: {tokens_words(self._settings)}")
        else:
            output.say("Who asks needs a token; the console asks for one to log in.")
        if not self._drive:
            named = [] if self._target is None else [self._target]
            output.say("No worker is in this process. Runs are driven by")
            output.say(f"  {ours('worker', *named, *store_words(self._settings))}")
        output.say("Ctrl-C stops it in good order.", "dim")
        if output.json:
            output.document(said)
