"""What is told: one delivery made into news, from the store's views at the moment in which it is sent.

A delivery holds no content, so news is never older than the store: an item that somebody has decided
meanwhile is told as decided. Nothing here opens a sealed value, and every text passes the process's redactor
once more. A run whose journal was pruned is told by its row; of an item that went with it, the id is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, Protocol

from ..core.clock import iso
from ..core.jsons import dumps
from ..orchestrator.redacting import redactor
from ..orchestrator.rows import row_of
from ..orchestrator.views import item_row_json, run_row_json
from ..state.deliveries import DeliveryRow
from ..state.store import Store

LARGEST = 64_000
"""Characters of an item; of a larger one the arguments are left out, and can be seen where its link leads."""

LONGEST = 4_000
"""Characters of one text."""

OURS = frozenset(
    "run item workflow version status kind step tool choices usage waiting_for "
    "created updated due opened expires decided forgotten".split()
)
"""Fields that hold our own names, numbers and times: nothing that needs a second look."""


@dataclass(frozen=True)
class News:
    """`id` stays the same however often it is sent; `at` is when it happened."""

    id: str
    type: str
    at: int
    data: Mapping[str, Any]

    @property
    def body(self) -> str:
        """JSON, in the form that Standard Webhooks asks for."""
        return dumps({"type": self.type, "timestamp": iso(self.at), "data": self.data})


@dataclass(frozen=True)
class Outcome:
    """How one attempt came out, and what was `said` to it in a few redacted words.

    `sent`: it was taken. `again`: not yet; the receiver may have asked for `after` seconds. `refused`: one
    more attempt would change nothing. `gone`: nothing more is wanted at this endpoint.
    """

    how: Literal["sent", "again", "refused", "gone"]
    said: str
    after: float | None = None


class Sender(Protocol):
    async def send(self, news: News) -> Outcome: ...


async def news_of(store: Store, delivery: DeliveryRow, url: str | None = None) -> News:
    """`url` is where people reach the console; without it there are no links. Raises RunNotFound."""
    run = await row_of(store, delivery.run)
    data = _shown(run_row_json(run)) | _link(url, "runs", run.id)
    if delivery.item is not None:
        row = await store.item(delivery.item)
        item = {"item": delivery.item} if row is None else _shown(item_row_json(row))
        if len(dumps(item)) > LARGEST:
            item |= {"args": None, "evidence": [], "cut": True}
        data["item"] = item | _link(url, "inbox", delivery.item)
    return News(message_id(delivery), delivery.type, delivery.at, data)


def _link(url: str | None, *path: str) -> dict[str, str]:
    return {"link": "/".join((url.rstrip("/"), *path))} if url else {}


def message_id(delivery: DeliveryRow) -> str:
    """Of what happened rather than of the row alone: stores number their rows alike, and a receiver that
    hears of two deployments must not take the one's news for the other's."""
    said = "|".join((delivery.endpoint, delivery.run, delivery.type, delivery.item or "", str(delivery.at)))
    return f"msg_{sha256(f'{said}|{delivery.id}'.encode()).hexdigest()[:32]}"


def trial(endpoint: str, at: int, url: str | None) -> News:
    """What `surefoot webhooks test` sends."""
    said = "A test: what Surefoot has to tell arrives here."
    data = {"said": said, "link": url} if url else {"said": said}
    name = sha256(f"{endpoint}|test|{at}".encode()).hexdigest()[:32]
    return News(f"msg_{name}", "test", at, data)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if name in OURS else _redacted(value) for name, value in row.items()}


def _redacted(value: Any) -> Any:
    """JSON of views, every text of it redacted as this process knows to."""
    match value:
        case str():
            text = redactor().withhold(value)  # before it is cut: half a card's number looks like none
            return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        case Mapping():
            return {redactor().withhold(str(key)): _redacted(one) for key, one in value.items()}
        case list() | tuple():
            return [_redacted(one) for one in value]
        case _:
            return value


def words(text: str, most: int = 120) -> str:
    """Of unknown origin, on one line: what a receiver answered, what a customer wrote."""
    text = redactor().withhold(" ".join("".join(one if one.isprintable() else " " for one in text).split()))
    return text if len(text) <= most else text[: most - 1] + "…"
