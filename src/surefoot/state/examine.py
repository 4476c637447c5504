"""The whole audit of a store, or of one run in it: chains, signatures, seals, and the rows beside them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .audit import Finding, check
from .crosscheck import Charge, Crosscheck, Journal, check_definitions
from .rows import DayRow, RunFilter, RunRow
from .sealing import Keyring
from .store import Store

PAGE = 200
_ALL = 1_000_000

UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, AssertionError, struct.error)
"""What reading raises where a value is not of the kind that was written there."""


@dataclass
class Examined:
    runs: int = 0
    events: int = 0
    findings: list[Finding] = field(default_factory=list)


class Examiner:
    """`now` is for what may be due in the future."""

    def __init__(self, store: Store, keyring: Keyring, now: Callable[[], int]) -> None:
        self._store = store
        self._keyring = keyring
        self._now = now
        self._spent: dict[tuple[str, str], Charge] = {}
        self._names: set[str] = set()
        self._parents: dict[str, str] = {}
        self._is_any_pruned = False
        self.found = Examined()

    async def one(self, run: str) -> Examined:
        row = None
        with self._reading(run):
            row = await self._store.run(run)
        if row is None:
            self.found.findings.append(Finding(run, "no_run", "there is no such run"))
        else:
            with self._reading(run):
                await self._look(row)
        return self.found

    async def everything(self) -> Examined:
        for line in await self._store.damage():
            self.found.findings.append(Finding("", "file", f"the database itself is damaged: {line}"))
        days = await self._store.days()
        before = None
        with self._reading(""):
            while page := await self._store.runs(RunFilter(before=before, limit=PAGE)):
                for row in page:
                    with self._reading(row.id):
                        await self._look(row)
                before = page[-1].id
        with self._reading(""):
            await self._beside(days)
        return self.found

    @contextmanager
    def _reading(self, run: str) -> Iterator[None]:
        """A value that cannot even be read is a finding too, and no reason to stop looking."""
        try:
            yield
        except UNREADABLE as error:
            what = f"a row {'of it ' if run else ''}cannot be read: {type(error).__name__}"
            self.found.findings.append(Finding(run, "index", what))

    async def _look(self, row: RunRow) -> None:
        store, found = self._store, self.found
        workers = {worker.id for worker in await store.workers()}
        # A run that is being driven changes between two reads: look again until it has not.
        while True:
            events = await store.events(row.id)
            items = await store.items(status=None, run=row.id, limit=_ALL)
            mail = await store.mail(row.id)
            again = await store.run(row.id)
            if again is None or (again.seq, again.mail) == (row.seq, row.mail):
                row = again or row
                break
            row = again
        found.runs += 1
        found.events += len(events)
        found.findings += check(row, events, self._keyring)
        self._names.add(row.id)
        self._is_any_pruned |= row.pruned
        workers |= {worker.id for worker in await store.workers()}
        crosscheck = Crosscheck(self._keyring, self._now())
        journal = crosscheck.run(row, events, items, mail, workers)
        found.findings += crosscheck.findings
        if journal is not None:
            self._remember(journal)

    def _remember(self, journal: Journal) -> None:
        submitted = journal.exact.submitted
        if submitted is not None and submitted.forked_from:
            self._parents[journal.row.id] = submitted.forked_from
        for day, (nanousd, tokens) in journal.spent.items():
            place = (journal.row.workflow, day)
            before = self._spent.get(place, (0, 0))
            self._spent[place] = before[0] + nanousd, before[1] + tokens

    async def _beside(self, before: Sequence[DayRow]) -> None:
        """What names runs, and must find them: strays, forks, the ledger of the days as it was `before`."""
        store, findings = self._store, self.found.findings
        for stray in await store.strays():
            what = f"{stray.table} {stray.id} names run number {stray.row}, which is not there"
            findings.append(Finding("", "stray", what))
        for run, parent in self._parents.items():
            if parent not in self._names:
                findings.append(Finding(run, "stray", f"it was forked from {parent}, which is not there"))
        days, then = (
            {(day.workflow, day.day): (day.nanousd, day.tokens) for day in rows}
            for rows in (await store.days(), before)
        )
        for place in sorted(days.keys() | self._spent.keys()):
            if then.get(place) != days.get(place):
                continue  # charged while we read: the next audit will see it at rest
            for charged, spent, unit in zip(
                days.get(place, (0, 0)),
                self._spent.get(place, (0, 0)),
                ("nano-dollars", "tokens"),
                strict=True,
            ):
                # Of pruned journals nobody knows any more what they have spent.
                if charged < spent or (charged > spent and not self._is_any_pruned):
                    what = (
                        f"{place[0]} was charged {charged} {unit} on {place[1]}, and its runs spent {spent}"
                    )
                    findings.append(Finding("", "ledger", what))
        findings += check_definitions(await store.definitions())
        ring = await store.ring()
        for key in (ring.current, self._keyring.current):
            if key in ring.retired or (key and key not in self._keyring.ids):
                what = f"the store's key {key} is not one of the ring's, or was retired"
                findings.append(Finding("", "ring", what))
