"""Promises about who holds a run, and about what happens when the holder is gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ..store import DayCharge, RunChange
from .rig import SECOND, Rig, claim_one, outcomes, refused


async def a_run_is_held_by_one_worker(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    held = await rig.held(one)
    free = await two.submit(rig.new_run())
    assert [claimed.lease.run for claimed in await two.claim(10)] == [free.run]
    assert await one.claim(10) == []
    assert await two.claim(10, run=held.run) == []
    row = await one.run(held.run)
    assert row is not None
    assert row.owner == "one"


async def a_race_for_a_run_has_one_winner(rig: Rig) -> None:
    stores = [await rig.store("one"), await rig.store("two")]
    for _ in range(10):
        submitted = await stores[0].submit(rig.new_run())
        won = await asyncio.gather(*(store.claim(5) for store in stores for _ in range(2)))
        assert [claimed.lease.run for part in won for claimed in part] == [submitted.run]


async def claims_are_oldest_due_first_and_limited(rig: Rig) -> None:
    store = await rig.store()
    runs = []
    for age in (3, 5, 1, 4, 2):
        runs.append((await store.submit(rig.new_run(at=rig.time - age * SECOND))).run)
    runs = [runs[1], runs[3], runs[0], runs[4], runs[2]]
    assert await store.next_due() == rig.time - 5 * SECOND
    first = await store.claim(3)
    assert {claimed.lease.run for claimed in first} == set(runs[:3])
    assert {claimed.lease.run for claimed in await store.claim(3)} == set(runs[3:])
    assert await store.next_due() is None


async def a_claim_for_one_workflow_takes_no_run_of_another(rig: Rig) -> None:
    store = await rig.store()
    older = (await store.submit(rig.new_run(workflow="mail", at=rig.time - 2 * SECOND))).run
    newer = (await store.submit(rig.new_run(workflow="desk", at=rig.time - SECOND))).run
    assert await store.next_due("desk") == rig.time - SECOND
    assert await store.claim(10, workflow="shop") == []
    assert await store.next_due("shop") is None
    assert [claimed.lease.run for claimed in await store.claim(10, workflow="desk")] == [newer]
    assert [claimed.lease.run for claimed in await store.claim(10)] == [older]


async def a_claim_brings_what_the_holder_needs(rig: Rig) -> None:
    store = await rig.store()
    new = rig.new_run(data_key=b"\x01wrapped", workflow="w", version="7", fingerprint="f7")
    await store.submit(new)
    claimed = await claim_one(store)
    row = await store.run(new.id)
    assert row is not None
    assert (claimed.data_key, claimed.workflow, claimed.version, claimed.fingerprint) == (
        b"\x01wrapped",
        "w",
        "7",
        "f7",
    )
    assert (claimed.lease.epoch, claimed.lease.seq, claimed.lease.head) == (1, 1, row.head)
    assert not claimed.lease.doubt
    await store.append(rig.append(claimed.lease, "run.claimed"))
    assert (await store.events(new.id))[-1].kind == "run.claimed"


async def a_timer_makes_a_run_due(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    due = rig.time + 60 * SECOND
    await rig.release(store, lease, due)
    assert await store.next_due() == due
    rig.later(59)
    assert await store.claim(10) == []
    rig.later(1)
    assert (await claim_one(store)).lease.run == lease.run


async def a_released_run_without_a_time_waits_for_mail(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await rig.release(store, lease)
    rig.later(10_000)
    assert await store.claim(10) == []
    assert await store.next_due() is None
    await store.post(lease.run, "cancel", "{}")
    assert (await claim_one(store)).lease.run == lease.run


async def mail_that_came_before_the_release_is_not_lost(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.post(lease.run, "cancel", "{}")
    await rig.release(store, lease, due=rig.time + 3600 * SECOND)
    assert (await claim_one(store)).lease.run == lease.run


async def an_ended_run_is_claimed_only_for_its_mail(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.append(rig.append(lease, "run.finished", change=RunChange(status="failed", release=True)))
    assert await store.claim(10) == []
    await store.post(lease.run, "retry", "{}")
    assert (await claim_one(store)).lease.run == lease.run


async def one_given_run_can_be_claimed(rig: Rig) -> None:
    store = await rig.store()
    first, second = await store.submit(rig.new_run()), await store.submit(rig.new_run())
    assert (await claim_one(store, second.run)).lease.run == second.run
    assert await store.claim(1, run="nobody") == []
    waiting = await rig.held(store)
    await rig.release(store, waiting, due=rig.time + SECOND)
    assert await store.claim(1, run=waiting.run) == [], "it is not due"
    assert (await claim_one(store)).lease.run == first.run


async def claims_count_until_there_is_progress(rig: Rig) -> None:
    store = await rig.store()
    await store.submit(rig.new_run())
    for count in (1, 2):
        claimed = await claim_one(store)
        assert claimed.claims == count
        # An intent or a reservation is none: whoever is killed by the act would write it again, for ever.
        await store.append(rig.append(claimed.lease, "run.claimed", "step.started", "call.intended"))
        await store.append(rig.append(claimed.lease, "ask.reserved"))
        await rig.release(store, claimed.lease, due=rig.time)
    claimed = await claim_one(store)
    assert claimed.claims == 3
    await store.append(rig.append(claimed.lease, "call.returned"))
    await rig.release(store, claimed.lease, due=rig.time)
    claimed = await claim_one(store)
    assert claimed.claims == 1
    await rig.release(store, claimed.lease, due=rig.time)
    await store.extend_claims(claimed.lease.run)
    assert (await claim_one(store)).claims == 1


async def a_claim_that_was_given_back_in_good_order_does_not_count(rig: Rig) -> None:
    store = await rig.store()
    await store.submit(rig.new_run())
    for _ in range(3):
        claimed = await claim_one(store)
        assert claimed.claims == 1
        await rig.release(store, claimed.lease, due=rig.time, status="queued")


async def a_run_that_was_claimed_too_often_is_taken_by_its_id_alone(rig: Rig) -> None:
    store = await rig.store()
    suspect = (await store.submit(rig.new_run())).run
    for _ in range(2):
        await rig.release(store, (await claim_one(store)).lease, due=rig.time)
    other = (await store.submit(rig.new_run())).run
    later = (await store.submit(rig.new_run(at=rig.time + SECOND))).run
    assert await store.suspects(2) == [suspect]
    assert await store.suspects(2, workflow="shop") == []
    assert await store.suspects(1) == []
    assert [one.lease.run for one in await store.claim(10, most=2)] == [other]
    claimed = await claim_one(store, suspect)
    assert claimed.claims == 3
    assert await store.suspects(2) == []
    # Tried, and still nothing: whoever claims it now sees that, and does not drive it.
    await rig.release(store, claimed.lease, due=rig.time)
    rig.later(1)
    assert {one.lease.run for one in await store.claim(10, most=2)} == {suspect, later}


# ── fencing ──


async def a_stale_holder_is_refused_and_only_he(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    lost = await rig.held(one)
    rig.later(31)
    await two.heartbeat(rig.time + 30 * SECOND)
    claimed = await claim_one(two)
    assert claimed.lease.run == lost.run
    kept = await rig.held(one)
    charge = DayCharge("desk", "2027-01-15", 5, 5)
    done = await outcomes(
        one.append(rig.append(kept, "step.finished")),
        one.append(rig.append(lost, "step.finished", opens=(rig.item(),), charges=(charge,))),
        one.append(rig.append(lost, "step.finished", change=RunChange(status="failed"))),
        one.append(rig.append(kept, "step.finished", change=RunChange(status="running"))),
    )
    assert [getattr(outcome, "code", None) for outcome in done] == [None, "stale_lease", "stale_lease", None]
    assert len(await one.events(lost.run)) == 1
    assert len(await one.events(kept.run)) == 3
    assert await one.item("item-1") is None
    assert (await one.day("desk", "2027-01-15")).nanousd == 0
    await two.append(rig.append(claimed.lease, "step.finished"))


async def a_released_lease_appends_no_more(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    release = rig.append(lease, "timer.set", change=RunChange(status="waiting", release=True))
    done = await outcomes(store.append(release), store.append(rig.append(lease, "step.finished")))
    assert [getattr(outcome, "code", None) for outcome in done] == [None, "stale_lease"]
    await refused(store.append(rig.append(lease, "step.finished")), "stale_lease")
    assert len(await store.events(lease.run)) == 2


async def an_older_lease_of_the_same_worker_is_stale(rig: Rig) -> None:
    store = await rig.store()
    old = await rig.held(store)
    await rig.release(store, old, due=rig.time)
    new = (await claim_one(store)).lease
    await refused(store.append(rig.append(old, "step.finished")), "stale_lease")
    for first, second in ((old, new), (new, old)):
        done = await outcomes(
            store.append(rig.append(first, "step.finished")),
            store.append(rig.append(second, "step.finished")),
        )
        codes = {getattr(outcome, "code", None) for outcome in done}
        assert codes == {None, "stale_lease"}
    assert len(await store.events(new.run)) == 3


async def a_lease_that_missed_an_append_is_stale(rig: Rig) -> None:
    """The chain can only grow at its end, whoever believes to know where that is."""
    store = await rig.store()
    lease = await rig.held(store)
    copy = replace(lease)
    await store.append(rig.append(lease, "step.finished"))
    await refused(store.append(rig.append(copy, "step.failed")), "stale_lease")
    await store.append(rig.append(lease, "step.finished"))


async def mail_does_not_send_a_run_to_the_end_of_the_queue(rig: Rig) -> None:
    store = await rig.store()
    submitted = await store.submit(rig.new_run())
    rig.later(5)
    await store.submit(rig.new_run())
    rig.later(5)
    await store.post(submitted.run, "cancel", "{}")
    assert (await claim_one(store)).lease.run == submitted.run


# ── life and death ──


async def the_runs_of_a_dead_worker_go_on_at_once(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    lease = await rig.held(one)
    assert await two.claim(10) == []
    await rig.kill(one)
    claimed = await claim_one(two)
    assert claimed.lease.run == lease.run
    assert claimed.lease.epoch == lease.epoch + 1
    assert not claimed.lease.doubt, "the lock has proved the death"
    assert claimed.claims == 2
    assert [worker.id for worker in await two.workers()] == ["two"]


async def a_silent_worker_is_believed_dead_when_its_lease_lapses(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    lease = await rig.held(one)
    rig.later(20)
    await two.heartbeat(rig.time + 60 * SECOND)
    rig.later(9)
    assert await two.claim(10) == []
    rig.later(2)
    claimed = await claim_one(two)
    assert claimed.lease.run == lease.run
    assert claimed.lease.doubt
    await refused(one.append(rig.append(lease, "step.finished")), "stale_lease")


async def a_heartbeat_keeps_the_runs(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    lease = await rig.held(one)
    for _ in range(4):
        rig.later(20)
        await one.heartbeat(rig.time + 30 * SECOND)
        await two.heartbeat(rig.time + 30 * SECOND)
        assert await two.claim(10) == []
    await one.append(rig.append(lease, "step.finished"))
    assert {worker.id: worker.runs for worker in await one.workers()} == {"one": 1, "two": 0}


async def doubt_lasts_until_the_death_is_proved(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    await rig.held(one)
    rig.later(31)
    await two.heartbeat(rig.time + 30 * SECOND)
    believed = await claim_one(two)
    assert believed.lease.doubt
    await rig.release(two, believed.lease, due=rig.time)
    again = await claim_one(two)
    assert again.lease.doubt, "the first worker may still be acting"
    await rig.release(two, again.lease, due=rig.time)
    await rig.kill(one)
    assert not (await claim_one(two)).lease.doubt


async def retiring_gives_everything_back_uncounted(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    await one.submit(rig.new_run())
    claimed = await claim_one(one)
    ended = await rig.held(one)
    await one.append(rig.append(ended, "run.finished", change=RunChange(status="succeeded")))
    await one.retire()
    assert [worker.id for worker in await two.workers()] == ["two"]
    await refused(one.append(rig.append(claimed.lease, "step.finished")), "stale_lease")
    again = await claim_one(two)
    assert (again.lease.run, again.claims, again.lease.doubt) == (claimed.lease.run, 1, False)
    assert await two.claim(10) == [], "an ended run is not due"


async def a_new_life_of_a_worker_frees_what_the_old_one_held(rig: Rig) -> None:
    first = await rig.store("one")
    await rig.store("two")
    lease = await rig.held(first)
    await rig.kill(first)
    second = await rig.store("one")
    await refused(second.append(rig.append(lease, "step.finished")), "stale_lease")
    claimed = await claim_one(second)
    assert claimed.lease.run == lease.run
    assert not claimed.lease.doubt


async def an_id_belongs_to_one_living_worker(rig: Rig) -> None:
    await rig.store("one")
    await refused(rig.store("one"), "store_unavailable")


async def a_waiting_run_whose_holder_dies_is_looked_at(rig: Rig) -> None:
    """Its holder may have kept a short timer in memory only."""
    one, two = await rig.store("one"), await rig.store("two")
    lease = await rig.held(one)
    await one.append(rig.append(lease, "timer.set", change=RunChange(status="waiting")))
    await rig.kill(one)
    assert (await claim_one(two)).lease.run == lease.run
