"""`surefoot webhooks`: who is told of what, what became of it, and telling it again."""

from __future__ import annotations

import asyncio
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from ..core.clock import iso
from ..core.jsons import dumps
from ..errors import UsageError
from ..orchestrator.clock import SystemClock
from ..service.endpoints import Endpoint, endpoints_of
from ..settings import Settings
from ..state.deliveries import TYPES, DeliveryRow
from .failures import DONE, FAILED
from .formats import ago, ours, store_words, until
from .opening import go, open_store
from .options import Given, command
from .output import Cell, Column, Style, one_line

if TYPE_CHECKING:
    from ..service.news import Outcome

STATUSES = ("waiting", "sent", "failed", "dropped")
STYLES: dict[str, Style] = {"sent": "good", "failed": "bad", "waiting": "warn", "dropped": "dim"}


@click.group("webhooks")
def webhooks() -> None:
    """Who is told of what happens, and what became of it.

    `surefoot serve` tells the endpoints that the settings name: webhooks, and the mailboxes of groups.

    \b
    Examples:
      surefoot webhooks list
      surefoot webhooks test
      surefoot webhooks deliveries --status failed
      surefoot webhooks replay 17
    """


@command("list", group=webhooks)
def list_endpoints(given: Given) -> None:
    """The endpoints that the settings name, and what each is told."""
    found = endpoints_of(given.settings)
    if given.output.json:
        for one in found:
            given.output.line(dumps(endpoint_json(one)))
        return
    if not found:
        given.output.say("Nobody is told: set SUREFOOT_WEBHOOKS, or SUREFOOT_MAIL and SUREFOOT_SMTP.")
        return
    columns = [Column("name"), Column("to"), Column("for"), Column("told of", wide=True)]
    given.output.table(
        columns, [[one.name, one.view, ", ".join(sorted(one.groups or ())), _types(one)] for one in found]
    )


def _types(endpoint: Endpoint) -> str:
    return "everything" if set(endpoint.types) == set(TYPES) else ", ".join(endpoint.types)


def endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    """`to` without what follows its host; `groups` null: items of all groups, and runs."""
    groups = None if endpoint.groups is None else sorted(endpoint.groups)
    return {"name": endpoint.name, "to": endpoint.view, "types": list(endpoint.types), "groups": groups}


@command("deliveries", group=webhooks)
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--before", type=int, metavar="ID", help="Only older ones than this: the next page.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many."
)
def deliveries(given: Given, status: Any, before: int | None, limit: int) -> None:
    """What was told to whom, newest first, and what came back.

    \b
    waiting   it is still to be sent, or is tried again
    sent      the receiver has taken it
    failed    it was given up after about a day, or the receiver wants none of it
    dropped   it was not for this endpoint, or the endpoint is named no more

    What has ended is kept for 30 days.
    """
    settings = given.settings
    names = {one.id: one.name for one in endpoints_of(settings)}

    async def read() -> list[DeliveryRow]:
        async with open_store(settings) as opened:
            return await opened.store.deliveries(status=status, before=before, limit=limit)

    rows, now = go(read()), SystemClock().now()
    if given.output.json:
        for row in rows:
            given.output.line(dumps(delivery_json(row, names)))
        return
    if not rows:
        given.output.say("Nothing was to be told.")
        return
    columns = [Column("id", right=True), Column("status"), Column("told"), Column("about"), Column("to")]
    columns += [Column("happened"), Column("tries", right=True), Column("answer", wide=True)]
    given.output.table(columns, [_cells(row, names, now) for row in rows])
    if len(rows) == limit:
        more = ["webhooks", "deliveries", "--before", str(rows[-1].id), *store_words(settings)]
        given.output.say(f"There may be more: {ours(*more)}", "dim")


def _cells(row: DeliveryRow, names: dict[str, str], now: int) -> list[Cell | str]:
    answer = one_line(row.answer, 80)
    if row.status == "waiting":
        answer = f"{answer}; again {until(row.due, now)}" if answer else "not sent yet"
    return [
        str(row.id),
        Cell(row.status, STYLES[row.status]),
        row.type,
        row.item or row.run,
        names.get(row.endpoint, row.endpoint),
        Cell(ago(row.at, now), "dim"),
        str(row.attempts),
        answer,
    ]


def delivery_json(row: DeliveryRow, names: dict[str, str]) -> dict[str, Any]:
    """`to` is the endpoint's name, or its id where the settings name it no more."""
    return {
        "delivery": row.id,
        "status": row.status,
        "type": row.type,
        "run": row.run,
        "item": row.item,
        "to": names.get(row.endpoint, row.endpoint),
        "at": iso(row.at),
        "attempts": row.attempts,
        "due": iso(row.due) if row.status == "waiting" else None,
        "answer": row.answer,
    }


@command("replay", group=webhooks)
@click.argument("delivery", type=int, metavar="ID")
def replay(given: Given, delivery: int) -> None:
    """Tell it once more, under the same id: a receiver that has it already can know.

    What is told is how things are by now. `surefoot serve` sends it, at once where it runs.
    """

    async def put() -> DeliveryRow:
        async with open_store(given.settings) as opened:
            row = await _delivery(opened.store, delivery)
            if row.endpoint not in [one.id for one in await opened.store.endpoints()]:
                raise UsageError(
                    f"delivery {delivery} can be sent nowhere",
                    why="the settings with which the service was started last do not name its endpoint",
                    remedy="Name it again, and restart `surefoot serve`.",
                )
            if not await opened.store.replay_delivery(delivery):
                raise UsageError(
                    f"delivery {delivery} still waits",
                    why="it is sent without anybody's doing",
                    remedy="`surefoot webhooks deliveries` tells when it is tried next.",
                )
            return await _delivery(opened.store, delivery)

    row = go(put())
    names = {one.id: one.name for one in endpoints_of(given.settings)}
    if given.output.json:
        given.output.document(delivery_json(row, names))
    else:
        given.output.answer(f"{row.id}: {row.type} is sent to {names.get(row.endpoint, row.endpoint)} again")


async def _delivery(store: Any, delivery: int) -> DeliveryRow:
    """Raises UsageError."""
    for row in await store.deliveries(before=delivery + 1, limit=1):
        if row.id == delivery:
            found: DeliveryRow = row
            return found
    raise UsageError(
        f"there is no delivery {delivery}",
        why="it never was, or it ended more than 30 days ago",
        remedy="See `surefoot webhooks deliveries`.",
    )


@command("test", group=webhooks)
@click.argument("name", required=False, metavar="[NAME]")
def test(given: Given, name: str | None) -> int:
    """Send a test to every endpoint, or to one, and see what comes back.

    It is signed and sent as everything else is, once, from this process; its type is `test`. Exit code 1
    where one of them did not take it.
    """
    settings = given.settings
    found = [one for one in endpoints_of(settings) if name in (None, one.name)]
    if not found:
        raise UsageError(
            "nobody is told" if name is None else f"no endpoint is called {name!r}",
            why="the settings name none" if name is None else "the settings do not name it",
            remedy="See `surefoot webhooks list`, and SUREFOOT_WEBHOOKS.",
        )
    if find_spec("httpx2") is None or find_spec("standardwebhooks") is None:
        raise UsageError(
            "the service is not installed",
            why="sending needs packages that the commands do without",
            remedy="pip install 'surefoot[service]'",
        )
    outcomes = go(_send(found, settings))
    output = given.output
    for endpoint, outcome in zip(found, outcomes, strict=True):
        taken = outcome.how == "sent"
        if output.json:
            said = {"name": endpoint.name, "taken": taken, "answer": outcome.said}
            output.line(dumps(said))
        else:
            word = "has taken it" if taken else "has not taken it"
            output.answer(f"{endpoint.name} {word}: {outcome.said}", "good" if taken else "bad")
    return DONE if all(one.how == "sent" for one in outcomes) else FAILED


async def _send(endpoints: list[Endpoint], settings: Settings) -> list[Outcome]:
    from ..orchestrator.redacting import redactor
    from ..rails.redaction import Secrets
    from ..service.news import trial
    from ..service.telling import secrets_in, senders_of

    clock = SystemClock()
    redactor().add(Secrets(secrets_in(settings, os.environ)))
    senders = senders_of(endpoints, settings, os.environ, clock)
    news = [trial(one.id, clock.now(), settings.url) for one in endpoints]
    return await asyncio.gather(*(sender.send(one) for sender, one in zip(senders, news, strict=True)))
