"""Promises about what a store keeps, and for how long."""

from __future__ import annotations

import asyncio

from ..audit import verify
from ..store import RunChange
from .rig import Rig, claim_one


async def pruning_deletes_old_journals_and_keeps_how_they_ended(rig: Rig) -> None:
    store = await rig.store()
    old = await rig.held(store, key="old")
    finished = RunChange(status="succeeded", summary='{"output":1}', release=True)
    await store.append(rig.append(old, "approval.requested", opens=(rig.item(),)))
    await store.append(rig.append(old, "run.finished", change=finished))
    going = await rig.held(store)
    border = rig.later(100)
    young = await rig.held(store)
    await store.append(rig.append(young, "run.finished", change=finished))
    pruned = await store.prune(border)
    assert (pruned.runs, pruned.events) == (1, 3)
    assert await store.events(old.run) == []
    row = await store.find_key("desk", "old")
    assert row is not None
    assert (row.status, row.summary, row.pruned, row.seq) == ("succeeded", {"output": 1}, True, 3)
    assert await store.items(status=None) == []
    assert len(await store.events(young.run)) == 2
    assert len(await store.events(going.run)) == 1
    for run in (old.run, young.run, going.run):
        assert await verify(store, rig.keyring, run) == []
    assert (await store.prune(border)).runs == 0
    assert not (await store.submit(rig.new_run(key="old"))).created


async def a_run_that_somebody_wants_to_try_again_is_not_pruned(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.append(rig.append(lease, "run.finished", change=RunChange(status="failed", release=True)))
    await store.post(lease.run, "retry", "{}")
    assert (await store.prune(rig.later(100))).runs == 0
    claimed = await claim_one(store)
    taken = tuple(mail.id for mail in await store.mail(lease.run))
    running = RunChange(status="running")
    await store.append(rig.append(claimed.lease, "run.retried", change=running, taken=taken))
    await rig.release(store, claimed.lease)
    assert (await store.prune(rig.later(100))).runs == 0, "it has not ended any more"


async def what_was_written_is_there_after_all_have_left(rig: Rig) -> None:
    first = await rig.store("one")
    second = await rig.store("two")
    lease = await rig.held(first, key="k")
    await first.append(rig.append(lease, "step.finished"))
    await first.retire()
    await rig.kill(first)
    third = await rig.store("three")
    assert len(await third.events(lease.run)) == 2
    assert (await claim_one(third)).lease.run == lease.run
    await rig.kill(second)


async def many_old_runs_are_pruned_in_parts(rig: Rig) -> None:
    store = await rig.store()
    leases = await asyncio.gather(*(rig.held(store) for _ in range(230)))
    change = RunChange(status="failed", release=True)
    ends = [rig.append(lease, "run.finished", change=change) for lease in leases]
    await asyncio.gather(*map(store.append, ends))
    pruned = await store.prune(rig.later(1))
    assert (pruned.runs, pruned.events) == (230, 460)
