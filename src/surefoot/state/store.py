"""The Store: where journals, leases, timers and the inbox live, and the rules every store obeys.

Reading order: `NewRun` and `Append` are the only two ways in which a journal grows; `Lease` is the
right to append; `Mail` is how everybody who holds no lease says something to a run.

Rules (the conformance suite in `surefoot.state.conformance` holds every store to them):

* An append is refused, alone, when its lease's epoch is not the run's (`StaleLease`). Others of the
  same transaction are not touched.
* The store assigns sequence and hash inside its transaction, signs the run's new head, and changes
  the index rows (run, inbox, ledger, mailbox) in that same transaction.
* What `await` returns from is on disk.
* The first decision on an open item wins, by that transaction's clock; later ones get `ItemClosed`.

Times are microseconds since the epoch, UTC (`at`, `due`, `until`). Money is nano-dollars.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from .access import AccessStore
from .deliveries import DeliveryStore
from .intake import IntakeChange, IntakeRow, Sign, Turn
from .rows import (
    DayRow,
    ItemKind,
    ItemRow,
    ItemStatus,
    KeyUse,
    Mail,
    OpenItems,
    Pruned,
    Queue,
    Rekeyed,
    RingRow,
    RunFilter,
    RunRow,
    Status,
    StoredEvent,
    Stray,
    WorkerRow,
)
from .sealing import Keyring


@dataclass(frozen=True, slots=True)
class Record:
    """An event on its way in: `view` is redacted canonical JSON; `sealed` the exact JSON, encrypted,
    or None where the view is exact."""

    kind: str
    version: int
    at: int
    view: str
    sealed: bytes | None = None


@dataclass(slots=True)
class Lease:
    """The right to append to one run, until the run's epoch is raised by another claim.

    `seq` and `head` are the store's own note of where the chain ends: it moves them on at each append.
    `doubt` tells that the holder before was only believed dead (its lease lapsed, its lock was not free).
    """

    run: str
    row: int
    epoch: int
    seq: int
    head: bytes
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class NewRun:
    """`key` is unique per workflow; `input_digest` tells whether the same key came with the same input.

    With `lease=True` the run is born held by this store's worker, which saves the claim. The store keeps a
    keyed digest of `key`, and `key_view`, its redacted view, for lists.
    """

    id: str
    workflow: str
    version: str
    fingerprint: str
    key: str | None
    input_digest: str
    data_key: bytes
    records: tuple[Record, ...]
    summary: str
    at: int
    lease: bool = False
    key_view: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """`created` is False where the key existed; `same_input` tells whether its input was the same."""

    run: str
    created: bool
    same_input: bool
    lease: Lease | None


@dataclass(frozen=True, slots=True)
class NewItem:
    """An inbox item: `view` is redacted JSON for lists; `expires` None means never."""

    id: str
    kind: ItemKind
    queue: str
    view: str
    opened: int
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class CloseItem:
    """`expired` and `closed` close an item that nobody decided; refused with ItemClosed if somebody did."""

    id: str
    status: Literal["expired", "closed"]


@dataclass(frozen=True, slots=True)
class DayCharge:
    """Money and tokens added to (or, negative, given back to) one day of a workflow's shared ledger.

    Refused with BudgetExceeded where a positive charge would pass a cap (None: no cap): then the intake of
    the workflow closes until the day is over, or what did not fit does. `settled` is what is known to be
    spent of it.
    """

    workflow: str
    day: str
    nanousd: int
    tokens: int
    cap_nanousd: int | None = None
    cap_tokens: int | None = None
    settled_nanousd: int = 0
    settled_tokens: int = 0
    warnings: tuple[DayWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class DayWarning:
    """`record` joins the append whose charge is the first of its day to bring the unit's total to `line`."""

    unit: Literal["nanousd", "tokens"]
    line: int
    record: Record


@dataclass(frozen=True, slots=True)
class Grown:
    """What came of an append beside its own records: units of whose day it gave the warning, and changes of
    the intake."""

    warned: tuple[str, ...] = ()
    changes: tuple[IntakeChange, ...] = ()


@dataclass(frozen=True, slots=True)
class RunChange:
    """New values of the run's row; None leaves a column. `release` gives the lease back with this append.

    A released run is claimable from `due` on (None: not before mail arrives).
    """

    status: Status | None = None
    summary: str | None = None
    version: str | None = None
    fingerprint: str | None = None
    release: bool = False
    due: int | None = None


@dataclass(frozen=True, slots=True)
class Append:
    lease: Lease
    records: tuple[Record, ...]
    change: RunChange | None = None
    opens: tuple[NewItem, ...] = ()
    closes: tuple[CloseItem, ...] = ()
    taken: tuple[int, ...] = ()
    """Mail ids that these events carry into the journal: deleted in the same transaction."""
    charges: tuple[DayCharge, ...] = ()
    definition: tuple[str, str] | None = None
    """(fingerprint, JSON) of a workflow's definition, kept once."""
    signs: tuple[Sign, ...] = ()


@dataclass(frozen=True, slots=True)
class Claimed:
    """`claims` counts the claims since the run last made progress, this one included."""

    lease: Lease
    claims: int
    data_key: bytes
    fingerprint: str
    version: str
    workflow: str
    trial: bool = False
    """By it the breaker learns whether the providers answer again."""


class Store(AccessStore, DeliveryStore, Protocol):
    """One process's door to the truth. Opened with a worker id of its own by `open_store`."""

    worker: str

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def probe(self) -> None:
        """Raises StoreUnavailable where it cannot be read or written, StoreVersion where another Surefoot has
        changed its schema since it was opened."""
        ...

    # ── growing a journal ──
    async def submit(self, new: NewRun) -> Submitted: ...

    def append(self, append: Append) -> Awaitable[Grown | None]:
        """Takes its place in the order at once; the awaitable is done when the commit is on disk.

        Raises StaleLease, ItemClosed (a `closes` lost), BudgetExceeded (a charge over its cap): then
        nothing of this append was written.
        """
        ...

    # ── leases ──
    async def claim(
        self, limit: int, *, run: str | None = None, workflow: str | None = None, most: int | None = None
    ) -> list[Claimed]:
        """Takes due runs that nobody holds, oldest due first; first frees those of dead workers.

        With `workflow` only runs of that name: a worker knows how to drive no others. With `most` no run
        that was claimed so often without progress (`suspects`): claim it by its id, and drive it alone.
        Of a workflow whose intake is closed only runs that were claimed before, and perhaps one trial.
        """
        ...

    async def suspects(self, most: int, *, workflow: str | None = None) -> list[str]:
        """Due runs that nobody holds and that were claimed `most` times without progress."""
        ...

    async def heartbeat(self, until: int) -> None:
        """Says that this worker lives until then. Its first call registers the worker."""
        ...

    async def retire(self) -> None:
        """Releases what is still held (due at once) and removes this worker's row."""
        ...

    async def extend_claims(self, run: str) -> None:
        """Forgets the claims counted so far: a person said to try again."""
        ...

    # ── saying something to a run ──
    async def post(self, run: str, kind: str, body: str, sealed: bytes | None = None) -> None: ...

    async def decide(
        self, item: str, decision: str, by: str, body: str, sealed: bytes | None = None
    ) -> ItemRow:
        """Closes the open item and posts the mail, in one transaction. Raises ItemNotFound, ItemClosed."""
        ...

    def on_poke(self, callback: Callable[[Sequence[str]], None]) -> None:
        """Called in the event loop's thread with runs of this process that got mail in this process."""
        ...

    def changed(self) -> bool:
        """Whether anything was committed since the last call, by any process. Cheap (microseconds)."""
        ...

    def version(self) -> tuple[int, int]:
        """Another value after each commit of any process: for whoever watches beside the caller of
        `changed`."""
        ...

    # ── reading ──
    async def mail(self, run: str) -> list[Mail]: ...

    async def pending_mail(self) -> list[str]:
        """Runs held by this worker that have mail."""
        ...

    async def next_due(self, workflow: str | None = None) -> int | None:
        """When the next unheld run (of this workflow) falls due (may be past)."""
        ...

    async def journals(self, runs: Iterable[str]) -> dict[str, list[StoredEvent]]: ...

    async def events(self, run: str, after: int = 0, limit: int | None = None) -> list[StoredEvent]: ...

    async def run(self, run: str) -> RunRow | None: ...

    async def find_key(self, workflow: str, key: str) -> RunRow | None: ...

    async def runs(self, wanted: RunFilter) -> list[RunRow]: ...

    async def item(self, item: str) -> ItemRow | None: ...

    async def items(
        self,
        *,
        status: ItemStatus | None = "open",
        run: str | None = None,
        after: str | None = None,
        limit: int = 200,
    ) -> list[ItemRow]:
        """Longest waiting first; those after the item `after`, whatever has become of it."""
        ...

    async def workers(self) -> list[WorkerRow]: ...

    async def day(self, workflow: str, day: str) -> DayRow: ...

    async def definition(self, fingerprint: str) -> str | None: ...

    async def counts(self) -> dict[Status, int]: ...

    async def queue(self, workflow: str | None = None) -> Queue: ...

    async def open_items(self) -> list[OpenItems]: ...

    # ── intake (see intake.py) ──
    async def turn_intake(self, workflow: str, turn: Turn) -> tuple[IntakeRow, IntakeChange | None]: ...

    async def intakes(self, workflow: str | None = None) -> list[IntakeRow]:
        """Of workflows whose intake was ever anything but open."""
        ...

    async def intake_changes(self, workflow: str | None = None, limit: int = 20) -> list[IntakeChange]:
        """Newest first."""
        ...

    async def waiting_to_begin(self, workflow: str | None = None) -> dict[str, int]:
        """How many runs of each workflow were never taken up."""
        ...

    # ── upkeep ──
    async def prune(self, before: int) -> Pruned:
        """Deletes the journals of runs that ended before then; their row and key stay, so that a
        repeated key still finds how its run ended."""
        ...

    # ── forgetting and telling ──
    async def note(self, run: str, record: Record, taken: Sequence[int] = ()) -> bool:
        """Appends one event to the journal of a run that nobody holds, as a claim, an append and a release in
        one transaction would, and takes the mail of these ids. False where somebody holds it."""
        ...

    async def forget(self, run: str, record: Record) -> bool:
        """Deletes the data key, the mail, the input's digest and the view of the key of an ended run, and
        appends `record`; its keyed digest stays, so that a repeated key does not run the work again. False
        where it was forgotten before. Raises RunNotFound, RunNotFinished (not ended, or held)."""
        ...

    async def prove_forgotten(self, patience: float) -> int:
        """Sees that no file of the store holds any deleted key any more: returns how many runs it has proved
        this of. Raises StoreUnavailable where readers hold it up for longer than `patience` seconds."""
        ...

    # ── keys ──
    async def ring(self) -> RingRow: ...

    async def announce_key(self) -> int:
        """Tells every process that the ring has moved on to this one's current key. Returns the
        generation."""
        ...

    async def rekey(self, after: int) -> Rekeyed:
        """One batch of runs, from number `after` on: data keys wrapped, and heads signed, under the current
        key. What is not as it was signed is left alone: signing it anew would hide that."""
        ...

    async def retire_key(self, key: str) -> None:
        """Nobody signs with it from now on. Raises KeyUnavailable while anything hangs on it."""
        ...

    async def key_uses(self) -> list[KeyUse]: ...

    # ── for the audit ──
    async def strays(self) -> list[Stray]: ...

    async def damage(self) -> list[str]:
        """What the database itself finds wrong with its pages and indexes; reads all of it."""
        ...

    async def days(self) -> list[DayRow]: ...

    async def definitions(self) -> list[tuple[str, str]]:
        """(fingerprint, definition)."""
        ...


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What a store is handed: it reads no clock, no environment and no key file by itself."""

    now: Callable[[], int]
    keys: Keyring
    worker: str
    crash: Callable[[Literal["before", "after"]], None] | None = None
    """Called around every durable commit (heartbeats excepted); kills the process at a crash point."""
    extra: dict[str, Any] = field(default_factory=dict)
