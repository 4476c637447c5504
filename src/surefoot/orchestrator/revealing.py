"""Showing a run's exact values to a person: only on request, and in the journal before they are seen.

Views are what everybody sees. Whoever needs the exact values says who they are and why; that becomes a
`private.revealed` event, and only when it is on disk the values are opened. Only the holder of a run's lease
appends to its journal: where nobody holds it, the store does it in one transaction; else the request goes
into the run's mailbox, and is waited for. Nothing is shown where it could not be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from ..core import events as e
from ..core.clock import Clock
from ..core.fold import RunState
from ..core.jsons import dumps, loads
from ..errors import (
    ItemNotFound,
    KeyUnavailable,
    NotAllowedToDecide,
    RunNotFound,
    StoreUnavailable,
    UsageError,
)
from ..rails import policy
from ..rails.redaction import Secrets
from ..state.rows import ItemRow, RunRow, StoredEvent
from ..state.sealing import Keyring
from ..state.store import Store
from .recorder import Sealer
from .redacting import redactor
from .results import Waiting, waiting_for
from .rows import row_of

GROUP = "reveal"
"""Of the deployment's people: who may see exact values."""

EVERYTHING = "everything"

PATIENCE = 30.0
"""Seconds that the run's holder has to write it down."""

_PAUSE = 0.05


@dataclass(frozen=True)
class Revealed:
    """`events` are the whole journal with exact texts where the views stood; `item` is what was asked for, if
    that was one item."""

    run: str
    events: tuple[StoredEvent, ...]
    item: Waiting | None = None

    @property
    def state(self) -> RunState:
        state = RunState()
        for one in self.events:
            state.apply(e.Entry(one.seq, one.at, e.decode(one.kind, one.version, one.view)))
        return state


async def reveal(
    store: Store,
    keyring: Keyring,
    clock: Clock,
    run: str,
    *,
    by: str,
    reason: str = "",
    people: Mapping[str, Sequence[str]] | None = None,
    secrets: Secrets | None = None,
    patience: float = PATIENCE,
) -> Revealed:
    """All exact values of a run. Raises RunNotFound, KeyUnavailable (forgotten), NotAllowedToDecide,
    UsageError, StoreUnavailable (its holder does not answer)."""
    _must_say_who(by)
    _may_reveal(by, people)
    row, reason = await readable(store, run), redactor().scrub(reason)
    return await _reveal(store, keyring, clock, row, (by, EVERYTHING, reason), secrets, patience)


async def reveal_item(
    store: Store,
    keyring: Keyring,
    clock: Clock,
    item: str,
    *,
    by: str,
    reason: str = "",
    people: Mapping[str, Sequence[str]] | None = None,
    secrets: Secrets | None = None,
    patience: float = PATIENCE,
) -> Revealed:
    """What one inbox item is about, to somebody who may decide it, or who may see everything. Raises as
    `reveal`, and ItemNotFound."""
    _must_say_who(by)
    found = await store.item(item)
    if found is None:
        raise _no_item(item)
    _may_look(found, by, people)
    row, reason = await readable(store, found.run), redactor().scrub(reason)
    revealed = await _reveal(
        store, keyring, clock, row, (by, f"item {item}", reason), secrets, patience, wanted=item
    )
    if revealed.item is None:
        raise _no_item(item)
    return revealed


async def readable(store: Store, run: str) -> RunRow:
    """Its row, where its exact values can still be had. Raises RunNotFound, KeyUnavailable."""
    row = await row_of(store, run)
    must_not_be_forgotten(row)
    if row.pruned or row.data_key is None:
        raise RunNotFound(
            f"the journal of {run} was deleted",
            why=f"it is old, and has {row.status}",
            remedy="What is left of it is in `surefoot runs show`.",
        )
    return row


def must_not_be_forgotten(row: RunRow) -> None:
    """Raises KeyUnavailable."""
    if row.forgotten is not None:
        error = KeyUnavailable(
            f"the run {row.id} was forgotten",
            why="its data key was deleted on purpose, and its exact values with it",
            remedy="`surefoot runs show` has what is left: its views, times and costs.",
        )
        error.status = 410  # for good: no later attempt will find them
        raise error


def _must_say_who(by: str) -> None:
    if not by.strip():
        raise UsageError(
            "nobody asks for exact values",
            why="the journal keeps who has seen them",
            remedy="Say who you are: --by NAME.",
        )


def _may_reveal(by: str, people: Mapping[str, Sequence[str]] | None) -> None:
    if not policy.may_decide(GROUP, by, people):
        raise NotAllowedToDecide(
            f"{by} may not see exact values",
            why=f"the deployment's people has them not in the group {GROUP!r}",
            remedy=f"Let somebody of that group look, or add them: SUREFOOT_PEOPLE='{GROUP}={by};...'.",
        )


def _may_look(item: ItemRow, by: str, people: Mapping[str, Sequence[str]] | None) -> None:
    """Whoever may decide an open item must see what it is about; a closed one is like any other past."""
    if item.status == "open" and policy.may_decide(item.queue, by, people):
        return
    _may_reveal(by, people)


def _no_item(item: str) -> ItemNotFound:
    return ItemNotFound(
        f"there is no item {item!r} in the inbox",
        why="its id may be misspelt, or its run's journal was deleted",
        remedy="See `surefoot inbox list`.",
    )


# ── in the journal first ──


async def _reveal(
    store: Store,
    keyring: Keyring,
    clock: Clock,
    row: RunRow,
    told: tuple[str, str, str],
    secrets: Secrets | None,
    patience: float,
    wanted: str | None = None,
) -> Revealed:
    sealer = Sealer(row.id, keyring.unwrap(row.data_key or b""), secrets or Secrets({}))
    await _journal(store, clock, row, sealer, told, patience)
    # Opened only now: what is above has come back from the disk.
    exact, state, item = [], RunState(), None
    for one in await store.events(row.id):
        entry = sealer.open(one)
        exact.append(replace(one, view=entry.event.encode(), sealed=None))
        state.apply(entry)
        if wanted in state.items and item is None:
            item = next((each for each in waiting_for(state) if each.item == wanted), None)
    return Revealed(row.id, tuple(exact), item)


async def _journal(
    store: Store, clock: Clock, row: RunRow, sealer: Sealer, told: tuple[str, str, str], patience: float
) -> None:
    """Returns once the event is on disk."""
    to, what, reason = told
    seen = row.seq
    for one in await store.events(row.id):
        sealer.open(one)  # so that its private values are known, should a reason name one
        seen = one.seq
    _, record = sealer.record(e.PrivateRevealed(to, what, reason), clock.now())
    if await store.note(row.id, record):
        return
    ticket = uuid4().hex
    body = dumps({"by": to, "what": what, "reason": reason})
    sealed = sealer.key.seal(body.encode(), f"{row.id}|mail".encode())
    await store.post(row.id, "reveal", dumps({"ticket": ticket}), sealed)
    waited = 0.0
    while True:
        mine = [one.id for one in await store.mail(row.id) if _ticket(one.body) == ticket]
        if not mine:
            break  # deleted in the transaction that wrote the event
        if await store.note(row.id, record, mine):
            return  # its holder has let go of it meanwhile
        if waited > patience:
            raise StoreUnavailable(
                f"nothing of {row.id} is shown, for it could not be written down that it was",
                why=f"the worker that holds the run has not taken the message for {patience:g} s",
                remedy="Try again when the run's step under way has ended; `surefoot doctor` shows workers.",
            )
        await clock.pause(_PAUSE)
        waited += _PAUSE
    for one in await store.events(row.id, after=seen):
        event = sealer.open(one).event
        if isinstance(event, e.PrivateRevealed) and (event.to, event.what) == (to, what):
            return
    raise StoreUnavailable(
        f"nothing of {row.id} is shown, for it was not written down that it was",
        why="the worker that holds the run is of an older Surefoot, which does not know of revealing",
        remedy="Upgrade the workers.",
    )


def _ticket(body: str) -> Any:
    found = loads(body)
    return found.get("ticket") if isinstance(found, dict) else None
