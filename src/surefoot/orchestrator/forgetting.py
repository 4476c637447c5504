"""Forgetting a run: its exact values are gone for good, its journal of views stays and still verifies.

The store deletes the run's data key and what else is exact of it, with a `run.forgotten` event in the same
transaction, and then proves that no file holds the key any more. Both can be asked for again at any time:
what is done is not done twice, and a proof that was held up is made.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from ..core import events as e
from ..core.clock import Clock
from ..errors import KeyUnavailable, RunNotFinished
from ..rails.redaction import Secrets
from ..state.rows import RunRow
from ..state.sealing import Keyring
from ..state.store import Store
from .recorder import Sealer
from .redacting import redactor
from .rows import row_of

PATIENCE = 10.0
"""Seconds to wait for somebody who reads the store, and holds up the proof."""

_TRIES = 40


@dataclass(frozen=True)
class Forgotten:
    """`first` is False where the run was forgotten before; `proved` tells of how many runs it was proved now
    that their keys are in no file any more: also of those whose former proof was held up."""

    run: str
    at: int
    first: bool
    proved: int


async def forget(
    store: Store,
    keyring: Keyring,
    clock: Clock,
    run: str,
    *,
    by: str = "",
    reason: str = "",
    secrets: Secrets | None = None,
    patience: float = PATIENCE,
) -> Forgotten:
    """Raises RunNotFound, RunNotFinished (cancel it first), StoreUnavailable (deleted, not proved yet)."""
    row = await row_of(store, run)
    first = False
    if row.forgotten is None:
        event = e.RunForgotten(by, redactor().scrub(reason))
        _, record = (await _sealer(store, keyring, row, secrets)).record(event, clock.now())
        record = replace(record, sealed=None)  # what it says beside its view shall not be known either
        for left in range(_TRIES, -1, -1):
            try:
                first = await store.forget(run, record)
                break
            except RunNotFinished:
                # A worker may hold an ended run for a moment, to take mail that came too late.
                held = (await row_of(store, run)).owner is not None
                ended = (await row_of(store, run)).ended is not None
                if not (held and ended) or not left:
                    raise
                await clock.pause(0.05)
        row = await row_of(store, run)
    proved = await store.prove_forgotten(patience)
    return Forgotten(run, row.forgotten or 0, first, proved)


async def _sealer(store: Store, keyring: Keyring, row: RunRow, secrets: Secrets | None) -> Sealer:
    """One that knows the run's private values, for a reason may name one. A key that cannot be unwrapped does
    not keep a run from being forgotten: there is nothing left that could be opened."""
    sealer = Sealer(row.id, keyring.new_run_key(), secrets or Secrets({}))
    with suppress(KeyUnavailable):
        sealer = Sealer(row.id, keyring.unwrap(row.data_key or b""), secrets or Secrets({}))
        for one in await store.events(row.id):
            sealer.open(one)
    return sealer
