"""Promises about mail, decisions and the days' ledger."""

from __future__ import annotations

import asyncio

from ..store import CloseItem, DayCharge, RunChange, Store
from .rig import SECOND, Rig, claim_one, outcomes, refused

DAY = "2027-01-15"


async def _with_item(rig: Rig, store: Store, expires: int | None = None) -> str:
    """A waiting run that nobody holds, with `item-1` open."""
    lease = await rig.held(store)
    change = RunChange(status="waiting", release=True)
    opening = rig.append(lease, "approval.requested", opens=(rig.item(expires=expires),), change=change)
    await store.append(opening)
    return lease.run


async def an_item_opens_with_its_event(rig: Rig) -> None:
    store = await rig.store()
    run = await _with_item(rig, store, expires=rig.time + SECOND)
    (item,) = await store.items()
    assert (item.id, item.run, item.kind, item.queue, item.status) == (
        "item-1",
        run,
        "approval",
        "leads",
        "open",
    )
    assert (item.view, item.opened, item.expires) == ({"tool": "refund"}, rig.time, rig.time + SECOND)
    assert await store.items(run=run) == [item]
    assert await store.items(status="decided") == []
    assert await store.item("item-1") == item


async def a_decision_closes_the_item_and_wakes_the_run(rig: Rig) -> None:
    store = await rig.store()
    run = await _with_item(rig, store)
    rig.later(5)
    item = await store.decide("item-1", "approve", "kim", '{"a":1}', b"sealed")
    assert (item.status, item.decision, item.decided_by, item.decided) == (
        "decided",
        "approve",
        "kim",
        rig.time,
    )
    assert await store.items() == []
    (mail,) = await store.mail(run)
    assert (mail.run, mail.kind, mail.at, mail.body, mail.sealed) == (
        run,
        "decision",
        rig.time,
        '{"a":1}',
        b"sealed",
    )
    row = await store.run(run)
    assert row is not None
    assert (row.mail, row.due) == (1, rig.time)
    claimed = await claim_one(store)
    await store.append(rig.append(claimed.lease, "approval.decided", taken=(mail.id,)))
    assert await store.mail(run) == []


async def the_first_decision_wins(rig: Rig) -> None:
    store = await rig.store()
    run = await _with_item(rig, store)
    await store.decide("item-1", "deny", "kim", "{}")
    error = await refused(store.decide("item-1", "approve", "lou", "{}"), "item_closed")
    assert "kim" in error.why
    assert len(await store.mail(run)) == 1
    await refused(store.decide("item-2", "approve", "lou", "{}"), "item_not_found")


async def the_first_decision_wins_a_race(rig: Rig) -> None:
    stores = [await rig.store("one"), await rig.store("two")]
    for turn in range(5):
        lease = await rig.held(stores[0])
        item = rig.item(f"race-{turn}")
        await stores[0].append(rig.append(lease, "approval.requested", opens=(item,)))
        done = await outcomes(
            *(s.decide(item.id, f"{n}", f"{s.worker}-{n}", "{}") for n in range(3) for s in stores)
        )
        winners = [outcome for outcome in done if not isinstance(outcome, BaseException)]
        assert len(winners) == 1
        losers = {getattr(outcome, "code", None) for outcome in done if isinstance(outcome, BaseException)}
        assert losers == {"item_closed"}
        assert len(await stores[1].mail(lease.run)) == 1
        assert (await stores[1].item(item.id)) == winners[0]


async def a_late_decision_is_refused_by_the_clock(rig: Rig) -> None:
    store = await rig.store()
    run = await _with_item(rig, store, expires=rig.time + 10 * SECOND)
    rig.later(10)
    await refused(store.decide("item-1", "approve", "kim", "{}"), "item_closed")
    assert await store.mail(run) == []
    item = await store.item("item-1")
    assert item is not None
    assert item.status == "open", "the holder closes it, with its event"


async def a_decided_item_cannot_expire(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.append(rig.append(lease, "approval.requested", opens=(rig.item(), rig.item("item-2"))))
    await store.decide("item-1", "approve", "kim", "{}")
    expiry = rig.append(lease, "approval.expired", closes=(CloseItem("item-1", "expired"),))
    await refused(store.append(expiry), "item_closed")
    assert len(await store.events(lease.run)) == 2, "nothing of it was written"
    await store.append(rig.append(lease, "approval.expired", closes=(CloseItem("item-2", "expired"),)))
    item = await store.item("item-2")
    assert item is not None
    assert item.status == "expired"
    await refused(store.decide("item-2", "approve", "kim", "{}"), "item_closed")
    unknown = rig.append(lease, "approval.expired", closes=(CloseItem("item-3", "closed"),))
    await refused(store.append(unknown), "item_not_found")


async def an_item_of_another_run_is_not_closed(rig: Rig) -> None:
    store = await rig.store()
    await _with_item(rig, store)
    lease = await rig.held(store)
    closing = rig.append(lease, "run.finished", closes=(CloseItem("item-1", "closed"),))
    await refused(store.append(closing), "item_not_found")
    again = rig.append(lease, "approval.requested", opens=(rig.item(),))
    await refused(store.append(again), "store")


async def mail_is_kept_in_order_until_it_is_taken(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await asyncio.gather(*(store.post(lease.run, "cancel", f'{{"n":{n}}}') for n in range(3)))
    mails = await store.mail(lease.run)
    assert [mail.body for mail in mails] == ['{"n":0}', '{"n":1}', '{"n":2}']
    await store.append(rig.append(lease, "step.failed", taken=tuple(mail.id for mail in mails)))
    await store.post(lease.run, "cancel", "{}")
    (new,) = await store.mail(lease.run)
    assert new.id > mails[-1].id, "an id is never used again"


async def mail_for_a_held_run_pokes_its_holder(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    poked: list[str] = []
    one.on_poke(poked.extend)
    lease, other = await rig.held(one), await rig.held(one)
    assert await one.pending_mail() == []
    await one.post(lease.run, "cancel", "{}")
    assert poked == [lease.run]
    one.changed()
    await two.post(other.run, "cancel", "{}")
    assert one.changed(), "another process's mail shows as a change"
    assert set(await one.pending_mail()) == {lease.run, other.run}
    assert await two.pending_mail() == []
    row = await one.run(lease.run)
    assert row is not None
    assert row.due is None, "a held run does not fall due"


async def mail_for_nobody_is_refused(rig: Rig) -> None:
    store = await rig.store()
    await refused(store.post("nobody", "cancel", "{}"), "run_not_found")


async def changes_are_seen_and_quiet_is_quiet(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    one.changed()
    assert not one.changed()
    await one.submit(rig.new_run())
    assert one.changed()
    assert not one.changed()
    await two.submit(rig.new_run())
    assert one.changed()
    assert not one.changed()


# ── the days' ledger ──


async def a_day_is_never_charged_over_its_cap(rig: Rig) -> None:
    stores = [await rig.store("one"), await rig.store("two")]
    leases = [(store, await rig.held(store)) for store in stores for _ in range(10)]
    charge = DayCharge("desk", DAY, 30, 1, cap_nanousd=100)
    done = await outcomes(
        *(store.append(rig.append(lease, "ask.reserved", charges=(charge,))) for store, lease in leases)
    )
    codes = [getattr(outcome, "code", None) for outcome in done]
    assert codes.count(None) == 3
    assert codes.count("budget_exceeded") == 17
    day = await stores[1].day("desk", DAY)
    assert (day.nanousd, day.tokens) == (90, 3)
    written = [len(await store.events(lease.run)) for store, lease in leases]
    assert written == [2 if code is None else 1 for code in codes]


async def what_is_given_back_can_be_spent_again(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)

    def charge(nanousd: int, tokens: int) -> DayCharge:
        return DayCharge("desk", DAY, nanousd, tokens, cap_nanousd=100, cap_tokens=10)

    await store.append(rig.append(lease, "ask.reserved", charges=(charge(80, 8),)))
    error = await refused(
        store.append(rig.append(lease, "ask.reserved", charges=(charge(0, 3),))), "budget_exceeded"
    )
    assert error.data["unit"] == "tokens"
    await store.append(rig.append(lease, "ask.answered", charges=(charge(-50, -5),)))
    await store.append(rig.append(lease, "ask.reserved", charges=(charge(70, 7),)))
    assert (await store.day("desk", DAY)).nanousd == 100
    assert (await store.day("desk", "2027-01-16")).nanousd == 0
    assert (await store.day("shop", DAY)).nanousd == 0
    both = (charge(-10, 0), charge(11, 0))
    await refused(store.append(rig.append(lease, "ask.reserved", charges=both)), "budget_exceeded")
    assert (await store.day("desk", DAY)).nanousd == 100, "nothing of a refused append counts"


async def the_inbox_is_read_page_by_page(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    items = tuple(rig.item(f"item-{number}") for number in range(5))
    await store.append(rig.append(lease, "approval.requested", opens=items))
    first = [item.id for item in await store.items(limit=2)]
    assert first == ["item-0", "item-1"], "also of those that were opened at the same time"
    await store.decide("item-1", "approve", "kim", "{}")
    await store.decide("item-2", "approve", "kim", "{}")
    assert [item.id for item in await store.items(after="item-1", limit=2)] == ["item-3", "item-4"]
    assert [item.id for item in await store.items(status=None, after="item-1", limit=2)] == [
        "item-2",
        "item-3",
    ]
    assert await store.items(after="item-4") == []
