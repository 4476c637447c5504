"""Whether a journal is what was written: chain, sequence, and the signature of its head.

What this shows: a changed byte, a removed, added or swapped event, a cut-off end, the journal of another run
in its place. Whether the rows beside the journals say what the journals say is `crosscheck`'s. What neither
can show: a whole database put back to an earlier state, and a run that nothing names any more; `against`
compares with an earlier export for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .chain import GENESIS, event_hash, first_hash, head_message
from .rows import RunRow, StoredEvent
from .sealing import Keyring
from .store import Store

Problem = Literal[
    "no_run",
    "gap",
    "changed",
    "cut_off",
    "signature",
    "kind",
    "start",
    "pruned_leftover",
    "key",
    "sealed",
    "index",
    "item",
    "mail",
    "stray",
    "ledger",
    "definition",
    "ring",
    "file",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written. `seq` is where, where that makes sense."""

    run: str
    problem: Problem
    what: str
    seq: int | None = None


async def verify(store: Store, keyring: Keyring, run: str) -> list[Finding]:
    """Empty where the journal of `run` is whole; a pruned one is whole when it is signed as pruned."""
    row = await store.run(run)
    if row is None:
        return [Finding(run, "no_run", "there is no such run")]
    return check(row, await store.events(run), keyring)


def check(row: RunRow, events: Sequence[StoredEvent], keyring: Keyring) -> list[Finding]:
    """The same over what was read already."""
    findings: list[Finding] = []
    forgotten = row.forgotten is not None
    message = head_message(row.id, row.seq, row.head, pruned=row.pruned, forgotten=forgotten)
    if not keyring.verify(message, row.signature):
        what = "the signature of the journal's end does not fit: run, length or last hash were changed"
        findings.append(Finding(row.id, "signature", what))
    if row.pruned:
        if events:
            findings.append(
                Finding(row.id, "pruned_leftover", "events are left of a journal that was pruned")
            )
        return findings
    findings += _check_chain(row.id, events)
    last = events[-1] if events else None
    if last is None or last.seq < row.seq:
        found = 0 if last is None else last.seq
        what = f"the journal ends at event {found}, and {row.seq} were written"
        findings.append(Finding(row.id, "cut_off", what, found))
    elif last.seq > row.seq or last.hash != row.head:
        what = "the last event is not the one that the run's head names"
        findings.append(Finding(row.id, "changed", what, last.seq))
    return findings


def _check_chain(run: str, events: Sequence[StoredEvent]) -> list[Finding]:
    findings: list[Finding] = []
    before = GENESIS
    expected = 1
    name = run.encode()
    for event in events:
        if event.seq != expected:
            missing = f"{expected}" if event.seq == expected + 1 else f"{expected} to {event.seq - 1}"
            findings.append(Finding(run, "gap", f"event {missing} is missing", expected))
        else:
            kind, view = event.kind.encode(), event.view.encode()
            given = (before, name, event.seq, event.at, kind, event.version, view)
            is_whole = event_hash(*given, event.sealed) == event.hash
            if not is_whole and event.sealed is not None:
                is_whole = first_hash(*given, event.sealed) == event.hash
            if not is_whole:
                what = f"event {event.seq} ({event.kind}) is not as it was written"
                findings.append(Finding(run, "changed", what, event.seq))
        if event.kind.startswith("unknown."):
            what = f"event {event.seq} has a kind that the store does not know"
            findings.append(Finding(run, "kind", what, event.seq))
        if event.seq == 1 and event.kind != "run.submitted":
            findings.append(Finding(run, "start", f"the first event is {event.kind}, not run.submitted", 1))
        # from the stored hash on, so that one changed event is one finding
        before = event.hash
        expected = event.seq + 1
    return findings
