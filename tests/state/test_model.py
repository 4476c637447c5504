"""Whatever workers, people and the clock do, in any order: the store agrees with a model of its rules."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from surefoot.errors import SurefootError
from surefoot.state.audit import verify
from surefoot.state.conformance import Rig
from surefoot.state.rows import ENDED
from surefoot.state.store import Append, CloseItem, DayCharge, Lease, RunChange, Store

SECOND = 1_000_000
LEASE = 30 * SECOND
WORKERS = ("one", "two", "three")
# Charged to another workflow: a refused charge closes the intake of its own, of which the promises tell.
DAY, CAP = "2027-01-15", 100

_names = itertools.count()


@dataclass
class ModelRun:
    status: str = "queued"
    owner: str | None = None
    due: int | None = None
    epoch: int = 0
    claims: int = 0
    kinds: list[str] = field(default_factory=lambda: ["run.submitted"])
    mail: int = 0
    doubted: set[str] = field(default_factory=set)

    def free(self, now: int) -> None:
        self.owner = None
        self.due = now if self.status not in ENDED or self.mail else None


@dataclass
class ModelItem:
    run: str
    expires: int | None
    status: str = "open"


class StoreMachine(RuleBasedStateMachine):
    """Three workers come, act, fall silent, die and return; some hold leases that are not theirs any more."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.rig = Rig(f"memory:model-{next(_names)}")
        self.stores: dict[str, Store] = {}
        self.until: dict[str, int] = {}
        self.runs: dict[str, ModelRun] = {}
        self.keys: dict[str, str] = {}
        self.items: dict[str, ModelItem] = {}
        self.leases: list[tuple[str, Lease]] = []
        self.spent = 0
        self.watcher: Store = self.do(self.rig.store("watcher"))
        self.do(self.watcher.retire())
        for worker in WORKERS[:2]:
            self.start(worker)

    def do(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.loop.run_until_complete(wait())

    def refusal(self, awaitable: Any) -> str | None:
        try:
            self.do(awaitable)
        except SurefootError as error:
            return error.code
        return None

    def teardown(self) -> None:
        self.do(self.rig.close())
        self.loop.close()

    # ── the model's rules ──

    def free_runs_of(self, worker: str, *, doubt: bool) -> None:
        for run in self.runs.values():
            if run.owner == worker:
                run.free(self.rig.time)
                if doubt:
                    run.doubted.add(worker)

    def proved_dead(self, worker: str) -> None:
        self.free_runs_of(worker, doubt=False)
        self.until.pop(worker, None)
        for run in self.runs.values():
            run.doubted.discard(worker)

    def reap(self, by: str) -> None:
        for worker, until in list(self.until.items()):
            if worker == by:
                continue
            if worker not in self.stores:
                self.proved_dead(worker)
            elif until < self.rig.time:
                self.free_runs_of(worker, doubt=True)

    def holds(self, worker: str, lease: Lease) -> bool:
        run = self.runs[lease.run]
        return run.owner == worker and run.epoch == lease.epoch and worker in self.stores

    def living(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.stores)))

    def lease(self, data: st.DataObject) -> tuple[str, Lease]:
        """Mostly one that is good."""
        good = [(worker, lease) for worker, lease in self.leases if self.holds(worker, lease)]
        return data.draw(st.sampled_from([*good, *good, *self.leases[-3:]]))

    # ── what workers do ──

    @rule(worker=st.sampled_from(WORKERS))
    def come_back(self, worker: str) -> None:
        if worker not in self.stores:
            self.start(worker)

    def start(self, worker: str) -> None:
        self.proved_dead(worker)
        self.stores[worker] = self.do(self.rig.store(worker))
        self.until[worker] = self.rig.time + LEASE

    @precondition(lambda self: self.stores)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        worker = self.living(data)
        self.do(self.rig.kill(self.stores.pop(worker)))

    @precondition(lambda self: self.stores)
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        worker = self.living(data)
        store = self.stores.pop(worker)
        for run in self.runs.values():
            if run.owner == worker:
                run.claims = max(run.claims - 1, 0)
        self.proved_dead(worker)
        self.do(store.retire())
        self.do(self.rig.kill(store))

    @precondition(lambda self: self.stores)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        worker = self.living(data)
        self.do(self.stores[worker].heartbeat(self.rig.time + LEASE))
        self.until[worker] = self.rig.time + LEASE

    @rule(seconds=st.sampled_from([1, 10, 31]))
    def wait(self, seconds: int) -> None:
        self.rig.later(seconds)

    @precondition(lambda self: self.stores)
    @rule(data=st.data(), leased=st.booleans(), key=st.sampled_from([None, None, "a", "b"]))
    def submit(self, data: st.DataObject, leased: bool, key: str | None) -> None:
        worker = self.living(data)
        new = self.rig.new_run(lease=leased, key=key)
        submitted = self.do(self.stores[worker].submit(new))
        if key is not None and key in self.keys:
            assert (submitted.run, submitted.created) == (self.keys[key], False)
            return
        assert submitted.created
        run = self.runs[new.id] = ModelRun(due=None if leased else self.rig.time)
        if key is not None:
            self.keys[key] = new.id
        if leased:
            run.owner, run.epoch, run.claims = worker, 1, 1
            self.leases.append((worker, submitted.lease))

    @precondition(lambda self: self.stores)
    @rule(data=st.data(), limit=st.sampled_from([1, 3]))
    def claim(self, data: st.DataObject, limit: int) -> None:
        worker = self.living(data)
        self.reap(worker)
        due = {
            run.due
            for run in self.runs.values()
            if run.owner is None and run.due is not None and run.due <= self.rig.time
        }
        claimed = self.do(self.stores[worker].claim(limit))
        claimable = sum(
            1
            for run in self.runs.values()
            if run.owner is None and run.due is not None and run.due <= self.rig.time
        )
        assert len(claimed) == min(limit, claimable)
        for one in claimed:
            run = self.runs[one.lease.run]
            assert run.owner is None
            assert run.due is not None
            assert run.due <= self.rig.time
            assert run.due == min(due) or len(claimed) > 1
            run.owner, run.due = worker, None
            run.epoch += 1
            run.claims += 1
            assert (one.lease.epoch, one.claims) == (run.epoch, run.claims)
            assert one.lease.doubt == bool(run.doubted)
            self.leases.append((worker, one.lease))

    # ── what holders do, rightly or not ──

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(),
        kinds=st.lists(st.sampled_from(["run.claimed", "step.started", "step.finished"]), max_size=2),
        status=st.sampled_from([None, "running", "waiting", "succeeded"]),
        release=st.booleans(),
        due=st.sampled_from([None, 0, 20]),
        spend=st.sampled_from([0, 0, 40, -20]),
        close=st.booleans(),
        take=st.booleans(),
    )
    def append(
        self,
        data: st.DataObject,
        kinds: list[str],
        status: Any,
        release: bool,
        due: int | None,
        spend: int,
        close: bool,
        take: bool,
    ) -> None:
        worker, lease = self.lease(data)
        if worker not in self.stores:
            return
        run = self.runs[lease.run]
        at = None if due is None else self.rig.time + due * SECOND
        mine = [name for name, item in self.items.items() if item.run == lease.run]
        closing = mine[0] if close and mine else None
        taken = tuple(mail.id for mail in self.do(self.watcher.mail(lease.run))) if take else ()
        append = Append(
            lease,
            tuple(self.rig.record(kind) for kind in kinds),
            RunChange(status=status, release=release, due=at if release else None),
            closes=() if closing is None else (CloseItem(closing, "closed"),),
            taken=taken,
            charges=() if spend == 0 else (DayCharge("till", DAY, spend, 0, cap_nanousd=CAP),),
        )
        refusal = self.refusal(self.stores[worker].append(append))
        if closing is not None and self.items[closing].status == "decided":
            assert refusal in ("item_closed", "stale_lease")
            return
        if spend > 0 and self.spent + spend > CAP:
            assert refusal in ("budget_exceeded", "stale_lease")
            return
        if not self.holds(worker, lease):
            assert refusal == "stale_lease"
            return
        assert refusal is None
        self.spent += spend
        run.kinds += kinds
        run.mail -= len(taken)
        run.status = status or run.status
        if closing is not None and self.items[closing].status == "open":
            self.items[closing].status = "closed"
        if "step.finished" in kinds:
            run.claims = 0
        if release:
            run.owner = None
            run.due = self.rig.time if run.mail else at

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), expires=st.sampled_from([None, 15]))
    def open_item(self, data: st.DataObject, expires: int | None) -> None:
        worker, lease = self.lease(data)
        if not self.holds(worker, lease):
            return
        until = None if expires is None else self.rig.time + expires * SECOND
        item = self.rig.item(f"item-{len(self.items)}", expires=until)
        self.do(self.stores[worker].append(self.rig.append(lease, "approval.requested", opens=(item,))))
        self.runs[lease.run].kinds.append("approval.requested")
        self.runs[lease.run].claims = 0
        self.items[item.id] = ModelItem(lease.run, until)

    # ── what others say ──

    def told(self, run: ModelRun) -> None:
        run.mail += 1
        if run.owner is None:
            run.due = self.rig.time if run.due is None else min(run.due, self.rig.time)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def post(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.runs)))
        self.do(self.watcher.post(name, "cancel", "{}"))
        self.told(self.runs[name])

    @precondition(lambda self: self.items)
    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.items)))
        item = self.items[name]
        refusal = self.refusal(self.watcher.decide(name, "approve", "kim", "{}"))
        late = item.expires is not None and self.rig.time >= item.expires
        if item.status != "open" or late:
            assert refusal == "item_closed"
        else:
            assert refusal is None
            item.status = "decided"
            self.told(self.runs[item.run])

    # ── what must always hold ──

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        for name, run in self.runs.items():
            row = self.do(self.watcher.run(name))
            found = (row.status, row.owner, row.due, row.epoch, row.claims, row.mail, row.seq)
            said = (run.status, run.owner, run.due, run.epoch, run.claims, run.mail, len(run.kinds))
            assert found == said, name
        for name, item in self.items.items():
            assert self.do(self.watcher.item(name)).status == item.status
        assert self.do(self.watcher.day("till", DAY)).nanousd == self.spent

    @invariant()
    def journals_are_whole(self) -> None:
        journals = self.do(self.watcher.journals(self.runs))
        for name, run in self.runs.items():
            assert [event.kind for event in journals[name]] == run.kinds
            assert self.do(verify(self.watcher, self.rig.keyring, name)) == []


class TestStore(StoreMachine.TestCase):
    settings = settings(max_examples=100, stateful_step_count=40)


@pytest.mark.hunting
class TestStoreForLong(StoreMachine.TestCase):
    settings = settings(max_examples=1500, stateful_step_count=80)
