"""Promises about the intake: who is let in, what closes it, and the warnings of a day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..intake import IntakeChange, IntakeRow, Mode, Sign, Turned, end_of
from ..store import Append, DayCharge, DayWarning, Lease, RunChange, Store
from .rig import SECOND, Rig, claim_one, refused

TODAY = "2027-01-15"
"""The day on which a rig's clock starts, at 08:00 UTC."""

PAUSE = 30 * SECOND


def _set(**values: Any) -> Callable[[IntakeRow, int], Turned]:
    return lambda row, now: Turned(replace(row, **values))


def _say(mode: Mode, reason: str = "") -> Callable[[IntakeRow, int], Turned]:
    def turn(row: IntakeRow, now: int) -> Turned:
        return Turned(replace(row, mode=mode), "resumed" if mode == "open" else mode, "kim", reason)

    return turn


async def _queue(store: Store, rig: Rig, number: int, **values: Any) -> list[str]:
    """So many new runs that nobody has taken up."""
    return [(await store.submit(rig.new_run(**values))).run for _ in range(number)]


async def _claimed(store: Store, workflow: str | None = "desk") -> list[str]:
    return [one.lease.run for one in await store.claim(10, workflow=workflow)]


# ── a person's word ──


async def no_new_run_is_claimed_while_the_intake_is_paused(rig: Rig) -> None:
    store, other = await rig.store("one"), await rig.store("two")
    runs = await _queue(store, rig, 3)
    await store.turn_intake("desk", _say("paused"))
    for worker in (store, other):
        for workflow in ("desk", None):
            assert await _claimed(worker, workflow) == []
    assert await store.waiting_to_begin("desk") == {"desk": 3}
    await other.turn_intake("desk", _say("open"))
    assert sorted(await _claimed(store)) == runs
    assert await store.waiting_to_begin() == {}


async def another_workflows_pause_holds_nobody_up(rig: Rig) -> None:
    store = await rig.store()
    (other,) = await _queue(store, rig, 1, workflow="other")
    await _queue(store, rig, 1)
    await store.turn_intake("desk", _say("paused"))
    assert await _claimed(store, None) == [other]
    assert await _claimed(store, None) == []


async def what_was_begun_goes_on_while_the_intake_is_paused(rig: Rig) -> None:
    """Parked and due, given back in the middle, decided, and what a dead worker left."""
    store, dying = await rig.store("one"), await rig.store("two")
    parked, back = await rig.held(store), await rig.held(store)
    left = (await rig.held(dying)).run
    decided = await rig.held(store)
    await store.append(rig.append(decided, "approval.requested", opens=(rig.item(),)))
    await rig.release(store, decided)
    await store.turn_intake("desk", _say("paused"))
    await rig.release(store, parked, due=rig.time)
    await rig.release(store, back, due=rig.time, status="queued")
    await rig.kill(dying)
    await store.decide("item-1", "approve", "kim", "{}")
    assert sorted(await _claimed(store)) == sorted([parked.run, back.run, left, decided.run])


async def a_run_that_is_submitted_while_the_intake_is_paused_is_not_born_held(rig: Rig) -> None:
    store = await rig.store()
    await store.turn_intake("desk", _say("paused"))
    paused = await store.submit(rig.new_run(lease=True))
    assert (paused.created, paused.lease) == (True, None)
    row = await store.run(paused.run)
    assert row is not None
    assert (row.status, row.owner, row.due, row.epoch) == ("queued", None, rig.time, 0)
    assert (await store.submit(rig.new_run(lease=True, workflow="other"))).lease is not None
    await store.turn_intake("desk", _say("open"))
    assert (await claim_one(store)).lease.run == paused.run


async def an_intake_that_refuses_accepts_no_run_but_finds_those_it_has(rig: Rig) -> None:
    store = await rig.store()
    known = await store.submit(rig.new_run(key="known"))
    await store.turn_intake("desk", _say("refused"))
    await refused(store.submit(rig.new_run()), "intake_closed")
    await refused(store.submit(rig.new_run(key="new")), "intake_closed")
    again, other = await asyncio.gather(
        store.submit(rig.new_run(key="known")), store.submit(rig.new_run(workflow="other"))
    )
    assert (again.run, again.created, again.same_input) == (known.run, False, True)
    assert other.created
    assert await store.find_key("desk", "new") is None
    await store.turn_intake("desk", _say("open"))
    assert (await store.submit(rig.new_run(key="new"))).created


async def the_next_thing_due_is_none_of_a_closed_intake(rig: Rig) -> None:
    """Or a worker would look for it again and again."""
    store = await rig.store()
    await _queue(store, rig, 1)
    later = rig.time + 100 * SECOND
    await rig.release(store, await rig.held(store), due=later)
    assert await store.next_due("desk") == rig.time
    await store.turn_intake("desk", _say("paused"))
    assert await store.next_due("desk") == later
    assert await store.next_due() == later
    soon = rig.time + 50 * SECOND
    await store.turn_intake("desk", _set(mode="open", trial_at=soon, trial_pause=PAUSE))
    assert await store.next_due("desk") == soon


async def what_was_said_of_the_intake_is_kept_with_time_person_and_reason(rig: Rig) -> None:
    store = await rig.store()
    first = rig.time
    await store.turn_intake("desk", _say("paused", "moving house"))
    rig.later(5)
    row, change = await store.turn_intake("desk", _say("open"))
    assert row.mode == "open"
    assert change == IntakeChange("desk", rig.time, "resumed", "kim")
    await store.turn_intake("other", _set())
    assert await store.intake_changes("desk") == [
        change,
        IntakeChange("desk", first, "paused", "kim", "moving house"),
    ]
    assert await store.intake_changes(limit=1) == [change]
    assert [row.workflow for row in await store.intakes()] == ["desk", "other"]
    assert await store.intakes("nobody") == []
    again = await rig.store("two")
    await rig.kill(store)
    assert (await again.intakes("desk"))[0].mode == "open"


# ── the breaker's trial ──


async def an_open_breaker_lets_one_run_through_when_its_time_has_come(rig: Rig) -> None:
    store, other = await rig.store("one"), await rig.store("two")
    runs = await _queue(store, rig, 3)
    await store.turn_intake("desk", _set(trial_at=rig.time + PAUSE, trial_pause=PAUSE))
    assert await _claimed(store) == []
    rig.later(30)
    for worker in (store, other):  # alive all the while, whichever of them gets the trial
        await worker.heartbeat(rig.time + 60 * SECOND)
    found = await asyncio.gather(store.claim(10, workflow="desk"), other.claim(10, workflow="desk"))
    tried = [one for part in found for one in part]
    assert [(one.lease.run, one.trial) for one in tried] == [(runs[0], True)], "one, whoever asks"
    (row,) = await store.intakes("desk")
    assert (row.trial_run, row.trial_at) == (runs[0], rig.time + PAUSE)
    assert [change.what for change in await store.intake_changes()] == ["trial"]
    rig.later(29)
    assert await _claimed(store) == []


async def a_trial_that_says_nothing_gives_way_when_its_time_is_over_or_it_has_left(rig: Rig) -> None:
    store = await rig.store()
    runs = await _queue(store, rig, 4)
    await store.turn_intake("desk", _set(trial_at=rig.time, trial_pause=PAUSE))
    await claim_one(store)
    rig.later(30)
    second = await claim_one(store)
    assert second.lease.run == runs[1], "it may hang"
    assert await _claimed(store) == []
    await rig.release(store, second.lease)
    third = await claim_one(store)
    assert third.lease.run == runs[2], "it has parked"
    await store.append(
        rig.append(third.lease, "run.finished", change=RunChange(status="succeeded", release=True))
    )
    assert (await claim_one(store)).lease.run == runs[3], "it has ended"


async def a_trial_whose_worker_dies_goes_on_as_the_trial(rig: Rig) -> None:
    store, dying = await rig.store("one"), await rig.store("two")
    runs = await _queue(store, rig, 3)
    await store.turn_intake("desk", _set(trial_at=rig.time, trial_pause=PAUSE))
    assert (await claim_one(dying)).lease.run == runs[0]
    await rig.kill(dying)
    assert await _claimed(store) == [runs[0]], "it goes on, and no second one with it"
    assert await _claimed(store) == []


async def a_trial_waits_for_a_person_who_has_paused_the_intake(rig: Rig) -> None:
    store = await rig.store()
    await _queue(store, rig, 1)
    await store.turn_intake("desk", _set(trial_at=rig.time, trial_pause=PAUSE, mode="paused"))
    assert await _claimed(store) == []
    await store.turn_intake("desk", _set(mode="open"))
    assert len(await _claimed(store)) == 1


async def a_sign_counts_with_the_append_that_brings_it_and_only_then(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)

    def turn(row: IntakeRow, now: int) -> Turned:
        return Turned(replace(row, breaker=f"{row.breaker}+", trial_at=now), "opened", reason="503")

    signs = (Sign("desk", turn), Sign("desk", turn))
    too_much = (DayCharge("desk", TODAY, 5, 0, cap_nanousd=4),)
    await refused(
        store.append(rig.append(lease, "ask.failed", signs=signs, charges=too_much)), "budget_exceeded"
    )
    assert (await store.intakes("desk"))[0].trial_at is None
    grown = await store.append(rig.append(lease, "ask.failed", signs=signs))
    assert grown is not None
    assert [change.what for change in grown.changes] == ["opened", "opened"]
    (row,) = await store.intakes("desk")
    assert (row.breaker, row.trial_at) == ("{}++", rig.time), "each saw what the one before had left"
    assert (
        await store.append(rig.append(lease, "ask.answered", signs=(Sign("desk", lambda row, now: None),)))
        is None
    )


async def signs_of_workers_at_the_same_moment_are_all_counted(rig: Rig) -> None:
    stores = [await rig.store(f"w{number}") for number in range(3)]
    leases = [await rig.held(store) for store in stores]

    def turn(row: IntakeRow, now: int) -> Turned:
        return Turned(replace(row, breaker=row.breaker + "x"))

    await asyncio.gather(
        *(
            store.append(rig.append(lease, "ask.failed", signs=(Sign("desk", turn),)))
            for store, lease in zip(stores, leases, strict=True)
            for _ in range(5)
        )
    )
    assert (await stores[0].intakes("desk"))[0].breaker == "{}" + 15 * "x"


# ── the day ──


def _charge(rig: Rig, lease: Lease, nanousd: int, cap: int | None = 100, **more: Any) -> Append:
    charge = DayCharge("desk", more.pop("day", TODAY), nanousd, 0, cap, **more)
    return rig.append(lease, "ask.reserved" if nanousd > 0 else "ask.answered", charges=(charge,))


async def a_charge_that_the_day_refuses_closes_the_intake_until_the_day_is_over(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.append(_charge(rig, lease, 70))
    await _queue(store, rig, 2)
    error = await refused(store.append(_charge(rig, lease, 31)), "budget_exceeded")
    assert error.data["change"].what == "day_gone"
    assert await _claimed(store) == []
    (row,) = await store.intakes("desk")
    assert (row.day_until, row.day_unit, row.day_asked) == (end_of(TODAY), "nanousd", 31)
    assert await store.next_due("desk") == end_of(TODAY)
    error = await refused(store.append(_charge(rig, lease, 40)), "budget_exceeded")
    assert error.data["change"] is None, "it is told once"
    rig.time = end_of(TODAY) - 1
    assert await _claimed(store) == []
    rig.time = end_of(TODAY)
    assert len(await _claimed(store)) == 2
    assert [change.what for change in await store.intake_changes()] == ["day_back", "day_gone"]


async def a_day_that_has_room_again_opens_the_intake_again(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.append(_charge(rig, lease, 80))
    await refused(store.append(_charge(rig, lease, 30)), "budget_exceeded")
    await refused(store.append(_charge(rig, lease, 25)), "budget_exceeded")
    await _queue(store, rig, 1)
    assert await store.append(_charge(rig, lease, -9)) is None
    assert await _claimed(store) == [], "71 and 30 are more than 100"
    grown = await store.append(_charge(rig, lease, -1))
    assert grown is not None
    assert [change.what for change in grown.changes] == ["day_back"]
    assert len(await _claimed(store)) == 1


async def what_is_settled_of_a_day_is_told_apart_from_what_is_held(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.append(_charge(rig, lease, 50))
    await store.append(_charge(rig, lease, -20, settled_nanousd=30, settled_tokens=7))
    await store.append(_charge(rig, lease, 15, cap=200))
    day = await store.day("desk", TODAY)
    assert (day.nanousd, day.settled_nanousd, day.settled_tokens, day.cap_nanousd) == (45, 30, 7, 200)
    assert await store.days() == [day]


async def a_day_warns_once_in_the_journal_of_the_run_that_got_there(rig: Rig) -> None:
    stores = [await rig.store(f"w{number}") for number in range(3)]
    leases = [await rig.held(store) for store in stores]

    def warning(line: int = 80) -> tuple[DayWarning, ...]:
        return (DayWarning("nanousd", line, rig.record("budget.warned", '{"unit":"nanousd"}')),)

    async def spend(store: Store, lease: Lease, amount: int, **more: Any) -> tuple[str, ...]:
        grown = await store.append(_charge(rig, lease, amount, warnings=warning(), **more))
        return () if grown is None else grown.warned

    both = list(zip(stores, leases, strict=True))
    assert await spend(stores[0], leases[0], 50) == ()
    told = await asyncio.gather(*(spend(store, lease, 15) for store, lease in both))
    assert sorted(told) == [(), (), ("nanousd",)]
    await stores[0].append(_charge(rig, leases[0], -40))
    assert await spend(stores[1], leases[1], 40) == (), "once a day, however often it is crossed"
    kinds = [event.kind for lease in leases for event in await stores[0].events(lease.run)]
    assert kinds.count("budget.warned") == 1
    assert (await stores[0].day("desk", TODAY)).warned == ("nanousd",)
    assert await spend(stores[2], leases[2], 90, day="2027-01-16") == ("nanousd",), "another day"


async def a_refused_charge_warns_nobody(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    line = (DayWarning("nanousd", 80, rig.record("budget.warned")),)
    await refused(store.append(_charge(rig, lease, 101, warnings=line)), "budget_exceeded")
    assert (await store.day("desk", TODAY)).warned == ()
    assert [event.kind for event in await store.events(lease.run)] == ["run.submitted"]
    grown = await store.append(_charge(rig, lease, 80, warnings=line))
    assert grown is not None
    assert grown.warned == ("nanousd",)
