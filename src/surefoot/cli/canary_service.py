"""The canary at the service: a caller who started none of the runs asks for all that the API, the console and
the news show of them.

The routes are the application's own, walked one by one, so a new one is looked at without anybody thinking of
it: what stands in its path is filled with the newest run and its items, and a route that nobody can fill is
an error. Beside that, requests are made that the API must refuse, each quoting what is planted: nothing of it
may stand in the problem, or in the log of requests. What a page of the console gives back to the very person
who typed it is no leak, and not asked for.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote, urlencode

from ..core.clock import Clock
from ..core.events import Event
from ..core.fold import RunState
from ..core.workflow import Definition
from ..orchestrator.canary import Canary
from ..orchestrator.runtime import Runtime
from ..orchestrator.trace import trace_of
from ..service.access import Access
from ..service.feed import Feed
from ..service.service import Service
from ..settings import Settings
from ..state.deliveries import TYPES, EndpointRow
from ..state.rows import ENDED, ItemRow, RunFilter, RunRow
from .canary_refused import refused

API, CONSOLE, NEWS = "answers of the API", "pages of the console", "pieces of news"

HTML, JSON, STREAM = "text/html", "application/json", "text/event-stream"

SILENCE = 0.05
"""Seconds without a word after which nobody listens any longer to a stream that has begun to tell."""

BEGUN = 3
"""Messages: its head, how often to come back, and a first event."""

PATIENCE = 100
"""Times `SILENCE` for which it may be silent before."""

MORE: Mapping[str, tuple[str, ...]] = {
    "/v1/runs": ("limit=1", "status=waiting&status=failed"),
    "/v1/inbox": ("status=all",),
    "/runs": ("every=1", "status=failed"),
    "/inbox": ("whose=all", "whose=all&closed=1"),
    "/new": ("how=json",),
    "/cost": ("days=90",),
}
"""What a route shows beside its first page."""

URL = "https://desk.example"
"""Where news says that people look."""


@dataclass
class Caller:
    """Fits `Canary(visitor=...)`. `reader` may look and decide, `operator` may do what admins may."""

    workflow: Definition
    settings: Settings
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        from ..service.metrics import Metrics

        self._metrics = Metrics(self.workflow)
        self._tokens: list[str] = []
        self._quotes: list[str] = []
        self._quoted: set[str] = set()

    def heard(self, event: Event, state: RunState) -> None:
        self._metrics.heard(event, state)

    async def visit(self, canary: Canary, runtime: Runtime, clock: Clock) -> None:
        from .. import console
        from ..service import app as api
        from ..service import metrics

        access = Access(runtime.store, runtime.deployment.keyring, clock, person="canary")
        if not self._tokens:
            self._quotes = canary.quotes("a request")
            for scopes in (["runs:read", "inbox:decide"], ["admin"]):
                self._tokens.append((await access.make_token("canary", scopes))[0])
            endpoint = EndpointRow("canary", f"{URL}/…", TYPES, clock.now())
            await runtime.store.set_endpoints([endpoint])
        async with Feed(runtime.store, clock) as feed:
            service = Service(runtime, access, feed, clock)
            app = api.build(service)
            metrics.mount(app, service, self._metrics)
            of_api = len(app.router.routes)
            console.mount(app, service, replace(self.settings, store=canary.url))
            tour = Tour(app, await Shown.of(runtime), self._tokens)
            await tour.walk("the API", app.router.routes[:of_api])
            await tour.walk("the console", app.router.routes[of_api:])
            await self._quote(tour, canary)
        await tour.hear_news(runtime)
        self.counts += tour.counts
        for place, texts in tour.seen.items():
            canary.look(place, "\n".join(texts))
        canary.report.asked = dict(self.counts)

    async def _quote(self, tour: Tour, canary: Canary) -> None:
        """Once for each kind of item, and before there is any."""
        kinds: set[str] = {item.kind for item in tour.shown.items if item.status == "open"} or {"none"}
        if not kinds <= self._quoted:
            self._quoted |= kinds
            await tour.quote(self._quotes, self.workflow)
        await tour.take_key(canary)


@dataclass(frozen=True)
class Shown:
    """The newest run and what belongs to it."""

    run: RunRow | None = None
    items: Sequence[ItemRow] = ()
    spans: Sequence[str] = ()

    @staticmethod
    async def of(runtime: Runtime) -> Shown:
        rows = await runtime.store.runs(RunFilter(limit=1))
        if not rows:
            return Shown()
        run = rows[0]
        spans = trace_of(await runtime.store.events(run.id)).spans
        items = await runtime.store.items(status=None, run=run.id)
        return Shown(run, items, [span.id for span in spans])

    def addresses(self, path: str) -> Iterator[str]:
        """Of a route: its path with the run or its items in it, each with what may follow."""
        from ..console.pages import assets

        known = {
            "{run}": [] if self.run is None else [self.run.id],
            "{item}": [item.id for item in self.items],
            "{name}": list(assets()) if path.startswith("/static/") else ["none"],
        }
        filled = [path]
        for name, values in known.items():
            if name in path:
                filled = [one.replace(name, quote(value)) for one in filled for value in values]
        for one in filled:
            yield one
            yield from (f"{one}?{query}" for query in MORE.get(path, ()))
        if path == "/runs/{run}" and self.run is not None:
            yield from (f"{filled[0]}?{urlencode({'at': at})}" for at in (*self.spans, "no such item"))
        if path == "/runs" and self.run is not None and self.run.key:
            yield f"/runs?{urlencode({'q': self.run.key})}"


class Tour:
    """One visit. `seen` is what was shown by place; nothing of it was looked at yet."""

    def __init__(self, app: Any, shown: Shown, tokens: Sequence[str]) -> None:
        self._app = app
        self.shown = shown
        self._reader, self._operator = ({"authorization": f"Bearer {token}"} for token in tokens)
        self.counts: Counter[str] = Counter()
        self.seen: dict[str, list[str]] = defaultdict(list)

    async def walk(self, who: str, routes: Sequence[Any]) -> None:
        what = API if who == "the API" else CONSOLE
        for path in paths_of(routes):
            for address in self.shown.addresses(path):
                assert "{" not in address, f"the canary does not know what to put into {path}"
                accepts = (JSON, STREAM) if path.endswith("/events") else (HTML if what == CONSOLE else JSON,)
                for accept in accepts:
                    await self._get(f"{who}: GET {path}", address, accept, what)

    async def _get(self, place: str, address: str, accept: str, what: str) -> None:
        """Also as an operator where the reader is refused."""
        for who in (self._reader, self._operator):
            answer = await ask(self._app, "GET", address, {**who, "accept": accept})
            self._saw(place, what, answer)
            if answer.status != 403:
                break

    def _saw(self, place: str, what: str, answer: Answer) -> None:
        self.counts[what] += 1
        self.seen[place].append(answer.text)

    async def quote(self, quotes: Sequence[str], workflow: Definition) -> None:
        """Requests that are refused. None of them changes anything."""
        for said in quotes:
            for one in refused(said, workflow, self.shown.items):
                # From an address of their own: guessing at tokens slows down whoever sits there.
                headers = {**self._operator, **one.headers}
                answer = await ask(self._app, one.method, one.address, headers, one.body, GUESSER)
                self._saw(f"the API: what it refuses of {one.method} {one.shown}", API, answer)

    async def take_key(self, canary: Canary) -> None:
        """The key of a run that has ended, with another input."""
        shape, run = canary.workflow.plan.input, self.shown.run
        if run is None or run.status not in ENDED:
            return
        body = {"input": json.loads(shape.dump(canary.input(1)))}
        headers = {**self._operator, "idempotency-key": canary.keys[run.id]}
        answer = await ask(self._app, "POST", "/v1/runs", headers, body, GUESSER)
        self._saw("the API: a key that is taken", API, answer)

    async def hear_news(self, runtime: Runtime) -> None:
        """What webhooks and mails carry of this run, as they would at this moment."""
        from ..service.mailing import mail_of
        from ..service.news import news_of

        run = "" if self.shown.run is None else self.shown.run.id
        for delivery in await runtime.store.deliveries(limit=500):
            if delivery.run != run:
                continue
            news = await news_of(runtime.store, delivery, URL)
            mail = mail_of(news, "leads@desk.example", "desk@desk.example")
            self.seen["news by webhook"].append(news.body)
            self.seen["news by mail"] += [mail.as_string(), mail.get_content()]
            self.counts[NEWS] += 2


GUESSER = "127.0.0.2"


def paths_of(routes: Sequence[Any]) -> Iterator[str]:
    """Of all GET routes, also of routers in routers."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from paths_of(inner.routes)
        elif "GET" in (route.methods or ()):
            yield route.path


@dataclass(frozen=True)
class Answer:
    """`text` is all that was sent: headers and body."""

    status: int
    text: str


async def ask(
    app: Any,
    method: str,
    address: str,
    headers: Mapping[str, str],
    body: Any = None,
    client: str = "127.0.0.1",
) -> Answer:
    """One request to an ASGI application. A stream is left once it is silent. `body` is sent as JSON, a text
    as it is."""
    path, _, query = address.partition("?")
    given = {"host": "localhost", "content-type": JSON, **headers}
    sent = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), text.encode("latin-1")) for name, text in given.items()],
        "client": (client, 50_000),
        "server": ("localhost", 80),
    }
    told: list[MutableMapping[str, Any]] = []
    asked = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": sent, "more_body": False}
        for _ in range(PATIENCE):
            heard = len(told)
            await asyncio.sleep(SILENCE)
            if BEGUN <= heard == len(told):
                break
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(message)

    await app(scope, receive, send)
    head = [f"{name.decode()}: {text.decode('latin-1')}" for name, text in told[0].get("headers", ())]
    body_sent = b"".join(message.get("body", b"") for message in told[1:])
    return Answer(told[0]["status"], "\n".join([*head, body_sent.decode(errors="replace")]))
