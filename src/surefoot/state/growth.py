"""Growing journals: all appends and submits of one transaction, in as few statements as there are tables.

Order matters here. First everything that may be refused is weighed, in memory and in the order of arrival;
then the chains are computed; then one statement moves the heads of all runs, which is also the fence: a run
that this worker no longer holds is not changed by it, and then nothing of this transaction stands. Only then
the events and what goes with them are written.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import IntakeClosed, StaleLease, StoreError
from .chain import GENESIS, event_hash, head_message
from .queries import Shaped, load
from .store import Append, Lease, NewRun, Record, RunChange, Submitted
from .transaction import Pending, Transaction
from .weighing import Scales

_SQL = load("journal")
_EVENTS = Shaped(_SQL["append_events"], 8)
_MOVE = Shaped(_SQL["move_heads"], 8)
_CHANGE = Shaped(_SQL["change_runs"], 14)
_SUBMIT = Shaped(_SQL["submit_runs"], 19)


class Tail:
    """Where one run's chain will end after this transaction."""

    __slots__ = ("at", "change", "head", "lease", "pendings", "progress", "run", "seq")

    def __init__(self, lease: Lease, now: int) -> None:
        self.lease = lease
        self.run = lease.run.encode()
        self.seq = lease.seq
        self.head = lease.head
        self.at = now
        self.progress = False
        self.change: RunChange | None = None
        self.pendings: list[Pending] = []


class Growth:
    """The journal part of one transaction: made, written, and after the commit settled."""

    def __init__(self, transaction: Transaction, batch: list[Pending]) -> None:
        self._transaction = transaction
        self._appends = [pending for pending in batch if type(pending.what) is Append]
        self._submits = [pending for pending in batch if type(pending.what) is NewRun]
        self._tails: dict[int, Tail] = {}
        self._events: list[Any] = []

    @property
    def wrote(self) -> bool:
        return bool(self._tails or self._events)

    def write(self) -> set[Pending]:
        """Returns those that are stale, with their error set: the transaction must then be begun anew."""
        if self._appends:
            stale = self._write_appends()
            if stale:
                return stale
        if self._submits:
            self._write_submits()
        if self._events:
            _EVENTS.execute(self._transaction.connection, self._events)
        return set()

    def settle(self) -> None:
        """After the commit: moves the leases on to where their chains end now."""
        for tail in self._tails.values():
            for pending in tail.pendings:
                lease = pending.append.lease
                lease.seq, lease.head = tail.seq, tail.head

    # ── appends ──

    def _write_appends(self) -> set[Pending]:
        transaction = self._transaction
        now = transaction.now
        tails = self._tails
        scales = Scales(transaction, self._appends)
        for pending in self._appends:
            append = pending.append
            lease = append.lease
            tail = tails.get(lease.row)
            if tail is None:
                tail = Tail(lease, now)
            elif lease.epoch > tail.lease.epoch:
                return self._stale(tail.pendings)
            elif lease.epoch < tail.lease.epoch or (tail.change is not None and tail.change.release):
                pending.error = _stale_error(lease)
                continue
            records = append.records
            if (
                append.closes
                or append.opens
                or append.charges
                or append.taken
                or append.definition
                or append.signs
            ):
                pending.error = scales.weigh(append)
                if pending.error is not None:
                    continue
                records += scales.told
                pending.outcome = scales.grown
            tails[lease.row] = tail
            tail.pendings.append(pending)
            if records:
                self._extend(tail, lease.row, records)
            if append.change is not None:
                tail.change = append.change if tail.change is None else _merged(tail.change, append.change)
        scales.take_mail()
        stale = self._move_heads()
        if stale:
            return stale
        scales.write()
        return set()

    def _extend(self, tail: Tail, row: int, records: tuple[Record, ...]) -> None:
        """Chains the records on: the lines that run most often in the whole store."""
        seq, head, run, kind_of = tail.seq, tail.head, tail.run, self._transaction.kind
        events = self._events
        for record in records:
            seq += 1
            code, kind, progress = kind_of(record.kind)
            at, version, view, sealed = record.at, record.version, record.view, record.sealed
            head = event_hash(head, run, seq, at, kind, version, view.encode(), sealed)
            events += (row, seq, at, code, version, view, sealed, head)
            if progress:
                tail.progress = True
        tail.seq, tail.head, tail.at = seq, head, records[-1].at

    def _move_heads(self) -> set[Pending]:
        transaction = self._transaction
        sign, generation = transaction.options.keys.sign, transaction.options.keys.generation
        moved: list[Any] = []
        changed: list[Any] = []
        changes = 0
        for row, tail in self._tails.items():
            lease = tail.lease
            signature = sign(head_message(lease.run, tail.seq, tail.head))
            change = tail.change
            if change is None:
                moved += (row, lease.epoch, lease.seq, tail.seq, tail.head, signature, tail.at, tail.progress)
            else:
                changes += 1
                changed += (
                    row,
                    lease.epoch,
                    lease.seq,
                    tail.seq,
                    tail.head,
                    signature,
                    tail.at,
                    tail.progress,
                )
                changed += (change.status, change.summary, change.version, change.fingerprint)
                changed += (change.release, change.due)
        worker = transaction.options.worker
        connection = transaction.connection
        if moved and _MOVE.execute(connection, moved, worker, generation) != len(self._tails) - changes:
            return self._find_stale()
        if changed and _CHANGE.execute(connection, changed, worker, generation) != changes:
            return self._find_stale()
        return set()

    def _find_stale(self) -> set[Pending]:
        transaction = self._transaction
        transaction.connection.execute("ROLLBACK")
        transaction.connection.execute("BEGIN")
        transaction.check_ring()
        places = [[row, tail.lease.epoch, tail.lease.seq] for row, tail in self._tails.items()]
        asked = (transaction.options.worker, json.dumps(places))
        held = {row for (row,) in transaction.connection.execute(_SQL["fence"], asked).fetchall()}
        stale = [p for row, tail in self._tails.items() if row not in held for p in tail.pendings]
        if not stale:
            raise StoreError(
                "the fence refused a transaction in which every lease is held",
                why="this is a bug",
                remedy="Report it; the runs go on when they are driven again (`surefoot work`).",
            )
        return self._stale(stale)

    def _stale(self, pendings: list[Pending]) -> set[Pending]:
        for pending in pendings:
            pending.error = _stale_error(pending.append.lease)
        return set(pendings)

    # ── submits ──

    def _write_submits(self) -> None:
        transaction = self._transaction
        connection, options = transaction.connection, transaction.options
        keys = options.keys
        last, closed = connection.execute(_SQL["last_row"], (transaction.now,)).fetchone()
        modes: dict[str, str] = dict(json.loads(closed))
        if "refused" in modes.values():
            self._turn_away(modes)
        if not self._submits:
            return
        runs: list[Any] = []
        tails: list[Tail] = []
        grown = self._events
        events: list[list[Any]] = []
        for row, pending in enumerate(self._submits, last + 1):
            new = pending.new_run
            held = new.lease and new.workflow not in modes
            tail = Tail(Lease(new.id, row, 1 if held else 0, 0, GENESIS), new.at)
            self._events = []
            if new.records:
                self._extend(tail, row, new.records)
            events.append(self._events)
            tails.append(tail)
            tail.lease.seq, tail.lease.head = tail.seq, tail.head
            signature = keys.sign(head_message(new.id, tail.seq, tail.head))
            key = None if new.key is None else keys.key_digest(new.workflow, new.key)
            runs += (row, new.id, new.workflow, new.version, new.fingerprint, key, new.input_digest)
            runs += (
                new.at,
                tail.at,
                options.worker if held else None,
                tail.lease.epoch,
                tail.lease.epoch,
            )
            # Made before this transaction began: the ring may have moved on since.
            data_key = keys.rewrap(new.data_key) or new.data_key
            runs += (None if held else new.at, tail.seq, tail.head, signature, new.summary, data_key)
            runs.append(new.key_view)
        self._events = grown
        inserted = _SUBMIT.execute(connection, runs, keys.generation) == len(tails)
        if not inserted:
            transaction.check_ring()
        rows = (
            set()
            if inserted
            else {row for (row,) in connection.execute(_SQL["submitted"], (last,)).fetchall()}
        )
        for pending, tail, records in zip(self._submits, tails, events, strict=True):
            new = pending.new_run
            if inserted or tail.lease.row in rows:
                grown += records
                lease = tail.lease if new.lease and new.workflow not in modes else None
                pending.outcome = Submitted(new.id, created=True, same_input=True, lease=lease)
            else:
                self._not_created(pending, new)

    def _turn_away(self, modes: dict[str, str]) -> None:
        """A person has closed the intake for good: only a run that exists is found again by its key."""
        let_in = []
        for pending in self._submits:
            new = pending.new_run
            if modes.get(new.workflow) != "refused":
                let_in.append(pending)
            elif self._find_key(new) is None:
                pending.error = IntakeClosed(
                    f"{new.workflow} takes no new runs",
                    why="somebody has closed its intake",
                    remedy="Start it later; `surefoot intake show` tells who closed it and why.",
                    workflow=new.workflow,
                )
            else:
                self._not_created(pending, new)
        self._submits = let_in

    def _find_key(self, new: NewRun) -> Any:
        if new.key is None:
            return None
        asked = (new.workflow, self._transaction.options.keys.key_digest(new.workflow, new.key))
        return self._transaction.connection.execute(_SQL["same_key"], asked).fetchone()

    def _not_created(self, pending: Pending, new: NewRun) -> None:
        found = self._find_key(new)
        if found is None:
            pending.error = StoreError(
                f"the run {new.id} exists already",
                why="its id was given out twice",
                remedy="Start it again: it gets another id.",
            )
        else:
            run, digest, forgotten = found
            # What the input of a forgotten run was, nobody knows any more: its key stands for it.
            same = bool(forgotten) or digest == new.input_digest
            pending.outcome = Submitted(run, created=False, same_input=same, lease=None)


def _stale_error(lease: Lease) -> StaleLease:
    return StaleLease(
        f"the lease on run {lease.run} is not ours any more",
        why="another worker holds the run, or it was given back",
        remedy="Nothing was written; whoever holds the run goes on with it.",
        run=lease.run,
        epoch=lease.epoch,
    )


def _merged(first: RunChange, then: RunChange) -> RunChange:
    """Two changes of one transaction as one: what the later one leaves open stays as the first one said."""
    return RunChange(
        status=then.status or first.status,
        summary=then.summary if then.summary is not None else first.summary,
        version=then.version if then.version is not None else first.version,
        fingerprint=then.fingerprint if then.fingerprint is not None else first.fingerprint,
        release=then.release or first.release,
        due=then.due if then.release else (then.due if then.due is not None else first.due),
    )
