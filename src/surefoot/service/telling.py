"""Telling people and programs what happened: the outbox's way to webhooks and mailboxes.

Each endpoint has a lane of its own, which takes what is due, makes news of it, sends it, and settles it, so
one that is slow or dead holds up no other. What was taken and not settled, because the process died, falls
due again and is sent with the same id. What fails is tried again for about a day, and then is `failed`:
`surefoot webhooks replay` sends it once more.

Several processes may tell from one store: a delivery is taken by one of them. They must be told the same
endpoints, for each sets them in the store when it starts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from ..core.clock import Clock, after
from ..core.workflow import Definition
from ..errors import UsageError
from ..orchestrator.redacting import redactor
from ..rails.redaction import Secrets
from ..settings import Settings
from ..state.deliveries import DeliveryRow, DeliveryStatus
from ..state.store import Store
from .egress import Egress, Road
from .endpoints import Endpoint, endpoints_of
from .feed import Feed
from .mailing import MailSender, server_of
from .news import Outcome, Sender, news_of
from .service import Service
from .webhooks import Post, Signer, WebhookSender, secrets_of

log = logging.getLogger("surefoot.telling")

AT_ONCE = 8
"""Deliveries that one endpoint is sent side by side; a mailbox gets one at a time."""

HELD = 60.0
"""Seconds for which a delivery is taken: longer than any attempt lasts."""

FIRST, LONGEST, ATTEMPTS = 5.0, 6 * 3600.0, 11
"""Seconds from the first attempt to the second (each next wait is four times the last), the longest of these
waits, and after how many attempts it is given up: 25 hours in all."""

LONGEST_ASKED = 86_400.0
"""Seconds that a receiver may ask us to wait."""

GONE_FOR = 3600.0
"""Seconds for which an endpoint that is gone is sent nothing."""

BREATH = 5.0
"""Seconds after something broke."""

GRACE = 5.0
"""Seconds that attempts under way get at the end, at most; never more than a tenth of what a process has."""


def wait_after(attempts: int, chance: float) -> float:
    """Seconds until the next attempt: spread from half to one and a half, so that those that failed together
    do not come back together."""
    return min(FIRST * 4.0 ** (attempts - 1), LONGEST) * (0.5 + chance)


class Lane:
    """From the outbox to one endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        sender: Sender,
        store: Store,
        feed: Feed,
        clock: Clock,
        *,
        url: str | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._endpoint = endpoint
        self._sender = sender
        self._store = store
        self._feed = feed
        self._clock = clock
        self._url = url
        self._chance = chance
        self._at_once = AT_ONCE if endpoint.address is None else 1
        self._quiet_until = 0
        self._gone_until = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, or the feed has ended."""
        while not (stop.is_set() or self._feed.ended):
            seen = self._feed.count
            try:
                taken = await self._take()
                await asyncio.gather(*map(self._tell, taken))
                due = None if taken else await self._store.next_delivery(self._endpoint.id)
            except Exception:
                # The store may be back in a moment; and no mistake of ours may leave people untold for good.
                log.exception("%s is told nothing for the moment", self._endpoint.name)
                taken, due = [], None
                self._quiet_until = after(self._clock.now(), BREATH)
            if not taken:
                await self._rest(stop, seen, due)

    async def _take(self) -> list[DeliveryRow]:
        now = self._clock.now()
        if now < self._quiet_until:
            return []
        return await self._store.take_deliveries(self._endpoint.id, self._at_once, after(now, HELD))

    async def _rest(self, stop: asyncio.Event, seen: int, due: int | None) -> None:
        """Until the store has changed, or the next one falls due."""
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
        if self._clock.now() < self._quiet_until:
            waits.append(asyncio.create_task(self._clock.sleep_until(self._quiet_until)))
        else:
            waits.append(asyncio.create_task(self._feed.change(seen, 3600)))
            if due is not None:
                waits.append(asyncio.create_task(self._clock.sleep_until(due)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _tell(self, taken: DeliveryRow) -> None:
        now = self._clock.now()
        if now < self._gone_until:
            await self._store.settle_delivery(taken, "failed", "not sent: the endpoint said that it is gone")
            return
        if (why := await self._not_wanted(taken)) is not None:
            await self._store.settle_delivery(taken, "dropped", f"not sent: {why}")
            return
        outcome = await self._send(taken)
        status, due = self._judge(taken, outcome)
        if not await self._store.settle_delivery(taken, status, outcome.said, due=due):
            log.info("delivery %d to %s was taken over meanwhile", taken.id, self._endpoint.name)

    async def _not_wanted(self, taken: DeliveryRow) -> str | None:
        if self._endpoint.groups is None or taken.item is None:
            return None
        item = await self._store.item(taken.item)
        if item is None:
            return "its item is gone"
        if taken.type == "item.opened" and item.status != "open":
            return "it needs no decision any more"
        return None if self._endpoint.wants(item.queue) else "it is for another group"

    async def _send(self, taken: DeliveryRow) -> Outcome:
        news = await news_of(self._store, taken, self._url)
        try:
            return await self._sender.send(news)
        except Exception as error:
            # Whatever broke, it is one attempt that failed, and others must still be told.
            log.exception("delivery %d to %s broke", taken.id, self._endpoint.name)
            return Outcome("again", f"not sent: {type(error).__name__}")

    def _judge(self, taken: DeliveryRow, outcome: Outcome) -> tuple[DeliveryStatus, int]:
        name, now = self._endpoint.name, self._clock.now()
        if outcome.how == "sent":
            return "sent", 0
        if outcome.how == "gone":
            self._gone_until = after(now, GONE_FOR)
        if outcome.how != "again" or taken.attempts >= ATTEMPTS:
            log.error("delivery %d (%s) to %s is given up: %s", taken.id, taken.type, name, outcome.said)
            return "failed", 0
        wait = wait_after(taken.attempts, self._chance())
        if outcome.after is not None:
            asked = min(outcome.after, LONGEST_ASKED)
            wait = max(wait, asked)
            self._quiet_until = max(self._quiet_until, after(now, asked))
        log.warning("delivery %d to %s did not arrive: %s", taken.id, name, outcome.said)
        return "waiting", after(now, wait)


# ── all lanes of a process ──


@asynccontextmanager
async def telling(
    service: Service,
    settings: Settings,
    *,
    environment: Mapping[str, str] | None = None,
    post: Post | None = None,
    chance: Callable[[], float] = random.random,
) -> AsyncIterator[None]:
    """Tells the endpoints of the settings, and no others, for as long as it is open. Raises UsageError before
    anything is sent."""
    environment = os.environ if environment is None else environment
    endpoints = endpoints_of(settings)
    forget = redactor().add(Secrets(secrets_in(settings, environment)))
    stop, lanes = asyncio.Event(), []
    try:
        senders = senders_of(endpoints, settings, environment, service.clock, post)
        await _set(service.store, endpoints, service.clock.now())
        for group in unheard(endpoints, service.workflow):
            log.warning("nobody is told of what waits for %s: is SUREFOOT_MAIL to name it?", group)
        for endpoint, sender in zip(endpoints, senders, strict=True):
            lane = Lane(
                endpoint,
                sender,
                service.store,
                service.feed,
                service.clock,
                url=settings.url,
                chance=chance,
            )
            lanes.append(asyncio.create_task(lane.run(stop), name=f"telling {endpoint.name}"))
        yield
    finally:
        stop.set()
        if lanes:
            await asyncio.wait(lanes, timeout=min(GRACE, settings.drain / 10))
        for task in lanes:
            task.cancel()  # what it has taken falls due again
        for broke in await asyncio.gather(*lanes, return_exceptions=True):
            if isinstance(broke, Exception):
                log.error("telling broke", exc_info=broke)
        forget()


def unheard(endpoints: Sequence[Endpoint], workflow: Definition) -> list[str]:
    """Groups that the workflow asks, and that no endpoint is told for. None where nobody is told anyway."""
    heard = [one for one in endpoints if "item.opened" in one.types]
    groups = sorted(workflow.queues()) if endpoints else []
    return [group for group in groups if not any(one.wants(group) for one in heard)]


async def _set(store: Store, endpoints: Sequence[Endpoint], now: int) -> None:
    known = {row.id: (row.url, row.types) for row in await store.endpoints()}
    if known != {one.id: (one.view, one.types) for one in endpoints}:
        await store.set_endpoints([one.row(now) for one in endpoints])


def senders_of(
    endpoints: Sequence[Endpoint],
    settings: Settings,
    environment: Mapping[str, str],
    clock: Clock,
    post: Post | None = None,
) -> list[Sender]:
    """Raises UsageError for an endpoint to which nothing could ever be sent."""
    egress = Egress(settings.webhook_hosts)
    signer: Signer | None = None
    found: list[Sender] = []
    for endpoint in endpoints:
        if endpoint.address is not None:
            if settings.smtp is None:
                raise UsageError(
                    f"{endpoint.name} cannot get mail",
                    why="SUREFOOT_SMTP is not set",
                    remedy="Set it to the server that takes mail: smtp://user:password@mail.example:587.",
                )
            server = server_of(settings.smtp, settings.mail_from)
            found.append(MailSender(server, endpoint.address))
            continue
        egress.place(endpoint.url)
        signer = signer or Signer(secrets_of(environment))
        post = post or Road(egress).post
        found.append(WebhookSender(endpoint.url, signer, post, clock))
    return found


def secrets_in(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """By name, for the redactor: what signs, the mail server's password, and the parts of a webhook's URL
    that nobody could guess (with many services whoever knows them may post)."""
    found = {f"SUREFOOT_WEBHOOK_SECRET-{n}": one for n, one in enumerate(secrets_of(environment), 1)}
    with suppress(ValueError):
        if settings.smtp and (password := urlsplit(settings.smtp).password):
            found["SUREFOOT_SMTP-password"] = unquote(password)
    for name, webhook in settings.webhooks.items():
        parts = urlsplit(webhook.url)
        long = [one for one in (*parts.path.split("/"), parts.query) if len(one) >= 16]
        found |= {f"webhook-{name}-{n}": one for n, one in enumerate(long, 1)}
    return found
