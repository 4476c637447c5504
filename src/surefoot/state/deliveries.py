"""The outbox: what is to be told to whom, from the transaction in which it happened until it was told.

Deliveries are written by triggers of the database (sql/migrations/0004_service.sql), so that nothing that
changes a run or an item can forget them; where no endpoint is set up, they write nothing. A dispatcher takes
what is due for a while, sends it, and settles it. One that dies in between leaves it to be sent again: a
receiver may be told twice, with the same id, and is never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

DeliveryType = Literal[
    "item.opened",
    "item.decided",
    "item.expired",
    "item.closed",
    "run.succeeded",
    "run.failed",
    "run.cancelled",
]
TYPES: tuple[str, ...] = get_args(DeliveryType)
DeliveryStatus = Literal["waiting", "sent", "failed", "dropped"]


@dataclass(frozen=True, slots=True)
class EndpointRow:
    id: str
    url: str
    types: tuple[str, ...]
    created: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """`at` is when it happened; `due` when it is tried again; `answer` what came back the last time."""

    id: int
    endpoint: str
    type: str
    run: str
    item: str | None
    at: int
    status: DeliveryStatus
    attempts: int
    due: int
    answer: str


class DeliveryStore(Protocol):
    async def endpoints(self) -> list[EndpointRow]: ...

    async def set_endpoints(self, endpoints: Sequence[EndpointRow]) -> None:
        """These and no others, from now on; what the others were still to be told is dropped."""
        ...

    async def take_deliveries(self, endpoint: str, limit: int, until: int) -> list[DeliveryRow]:
        """Deliveries to one endpoint that are due, oldest first, for this caller alone until then. One
        that is dead hides no other."""
        ...

    async def settle_delivery(
        self, taken: DeliveryRow, status: DeliveryStatus, answer: str, *, due: int = 0
    ) -> bool:
        """How the attempt came out. With `waiting` it is tried again at `due`. False where the time for which
        it was taken has passed, and somebody else has taken it."""
        ...

    async def replay_delivery(self, delivery: int) -> bool:
        """To be sent again, now. False where there is none of that number, or it still waits."""
        ...

    async def deliveries(
        self, *, status: DeliveryStatus | None = None, before: int | None = None, limit: int = 50
    ) -> list[DeliveryRow]:
        """Newest first."""
        ...

    async def delivery_counts(self) -> dict[DeliveryStatus, int]:
        """How many there are of each status; those that ended long ago are not kept."""
        ...

    async def next_delivery(self, endpoint: str) -> int | None:
        """When the next one to this endpoint falls due (may be past)."""
        ...
