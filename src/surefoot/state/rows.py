"""What a store gives to whoever reads: rows of runs, items, workers, days and keys, and events as they lie
there.

Times are microseconds since the epoch, UTC. Money is nano-dollars.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
ItemKind = Literal["approval", "review", "unknown"]
ItemStatus = Literal["open", "decided", "expired", "closed"]

ENDED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it lies in the store; `hash` chains it to the one before."""

    run: str
    seq: int
    at: int
    kind: str
    version: int
    view: str
    sealed: bytes | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """`kind` is decision, cancel, retry, reveal or restored; `body` is exact JSON, sealed like an event where
    it holds private values."""

    id: int
    run: str
    kind: str
    at: int
    body: str
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class RunRow:
    id: str
    workflow: str
    version: str
    fingerprint: str
    key: str | None
    """Its redacted view."""
    status: Status
    created: int
    updated: int
    due: int | None
    owner: str | None
    epoch: int
    claims: int
    seq: int
    head: bytes
    signature: bytes
    summary: dict[str, Any]
    data_key: bytes | None
    mail: int
    """How many messages wait in its mailbox."""
    pruned: bool = False
    """Whether its journal was deleted because it is old; the row tells how it ended."""
    forgotten: int | None = None
    """When its data key was deleted: the exact values are gone, the views stay."""
    key_digest: str | None = None
    input_digest: str = ""
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class ItemRow:
    id: str
    run: str
    kind: ItemKind
    queue: str
    status: ItemStatus
    view: dict[str, Any]
    opened: int
    expires: int | None
    decided: int | None
    decided_by: str | None
    decision: str | None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    id: str
    host: str
    pid: int
    started: int
    until: int
    runs: int
    master: str | None = None
    """The id of the master key that it signs with."""


@dataclass(frozen=True, slots=True)
class DayRow:
    workflow: str
    day: str
    nanousd: int
    tokens: int
    settled_nanousd: int = 0
    settled_tokens: int = 0
    cap_nanousd: int | None = None
    cap_tokens: int | None = None
    """The caps of the last charge."""
    warned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFilter:
    status: tuple[Status, ...] = ()
    workflow: str | None = None
    since: int | None = None
    before: str | None = None
    """Cursor: the id of the last run of the page before (newest first)."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Queue:
    """Runs that nobody has taken up yet; `oldest` is when the oldest of them was made."""

    depth: int
    oldest: int | None


@dataclass(frozen=True, slots=True)
class OpenItems:
    """Open items of one kind for one group; `oldest` is when the oldest of them was opened."""

    kind: ItemKind
    queue: str
    count: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Pruned:
    runs: int
    events: int


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What hangs on one master key, by its id in hex: data keys wrapped and heads signed under it, and living
    workers that sign with it."""

    key: str
    runs: int
    workers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RingRow:
    """What a store knows of its key ring. `current` is empty until keys are rotated for the first time."""

    generation: int
    current: str
    retired: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """One batch: `last` is where the next one begins, None at the end; `refused` are runs that were left as
    they are, because their signature or their data key is not as it was written."""

    last: int | None
    changed: int
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stray:
    """A row that names a run that is not there: `row` is the run's number, `id` is the row's own."""

    table: str
    id: str
    row: int
