"""Whether a store still holds all that an earlier export of it holds.

A copy of the database that is put back is whole in itself: every chain and every signature fits, because
they did then. Only what has left the house shows it: a run that is gone, a journal that is shorter than it
was, one that went on in another way, a run that was forgotten and is there again.
"""

from __future__ import annotations

from collections.abc import Iterable

from .audit import Finding
from .export import End
from .store import Store


async def compare(store: Store, ends: Iterable[End]) -> list[Finding]:
    """What was exported and is not so any more. A run that was pruned since has nothing left to compare."""
    findings = []
    for end in ends:
        row = await store.run(end.run)
        if row is None:
            findings.append(Finding(end.run, "no_run", "it was exported, and is not there any more"))
        elif end.forgotten and row.forgotten is None:
            findings.append(
                Finding(end.run, "changed", "it was forgotten when it was exported, and is not now")
            )
        elif end.pruned and not row.pruned:
            findings.append(Finding(end.run, "changed", "it was pruned when it was exported, and is not now"))
        elif row.seq < end.seq:
            what = f"the journal ends at event {row.seq}, and {end.seq} were exported"
            findings.append(Finding(end.run, "cut_off", what, row.seq))
        elif not row.pruned:
            hashes = [event.hash for event in await store.events(end.run) if event.seq == end.seq]
            if hashes != [end.head]:
                what = f"event {end.seq} is not the one that was exported"
                findings.append(Finding(end.run, "changed", what, end.seq))
    return findings
