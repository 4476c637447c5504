"""`Prefer: wait=N` (RFC 7240): an answer that waits for a run to end, or to ask a person."""

from __future__ import annotations

import re

from starlette.requests import Request

from ..core.clock import MICROS
from ..orchestrator.rows import row_of, waits_for_person
from ..state.rows import ENDED, RunRow
from .service import Service

_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=[,;]|$)', re.IGNORECASE)
LOOK_AFTER_CLIENT = 2.0
"""Seconds until it is seen that nobody waits any more."""
SHARE = 0.1
"""Who has waited for long waits a little longer: a tenth at most. So many who wait do not look at every
change."""


def wanted(prefer: str | None, most: float) -> float | None:
    """Seconds, as many as are allowed. A preference that is not understood is none, as the RFC has it."""
    found = None if prefer is None else _WAIT.search(prefer)
    return None if found is None else min(float(found[1]), most)


def is_settled(row: RunRow, now: int) -> bool:
    return not row.mail and (row.status in ENDED or waits_for_person(row, now))


async def until_settled(service: Service, request: Request, run: str, within: float) -> RunRow:
    """The run's row when it has ended or waits for a person, or as it is after so many seconds. Raises
    RunNotFound."""
    feed, began = service.feed, service.clock.now()
    while True:
        seen = feed.count
        row, now = await row_of(service.store, run), service.clock.now()
        waited = (now - began) / MICROS
        left = within - waited
        if is_settled(row, now) or left <= 0 or feed.ended or await request.is_disconnected():
            return row
        await service.clock.pause(min(waited * SHARE, left))
        await feed.change(seen, min(left, LOOK_AFTER_CLIENT))
