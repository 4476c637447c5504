"""Promises about what the service keeps: tokens and sessions, the outbox, and what is counted."""

from __future__ import annotations

from ..access import SessionRow, TokenRow
from ..deliveries import TYPES, DeliveryRow, EndpointRow
from ..rows import OpenItems, Queue
from ..store import Append, CloseItem, Lease, RunChange, Store
from .rig import SECOND, Rig, outcomes, refused


def _token(rig: Rig, name: str = "t1", **more: object) -> TokenRow:
    return TokenRow(name, "kim", ("runs:read", "inbox:decide"), "digest", "kim's", rig.time, **more)  # type: ignore[arg-type]


async def a_token_is_kept_and_revoked_for_good(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    token = _token(rig, expires=rig.time + SECOND)
    await one.add_token(token)
    assert await two.token("t1") == token
    assert await two.token("t2") is None
    assert token.holds(rig.time)
    assert not token.holds(rig.time + SECOND)
    at = rig.later(0.5)
    assert await outcomes(one.revoke_token("t1"), two.revoke_token("t1")) in ([True, False], [False, True])
    assert not await two.revoke_token("t2")
    (found,) = await one.tokens()
    assert found.revoked == at
    assert not found.holds(at)


async def a_session_ends_with_its_token(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    await one.add_token(_token(rig))
    await one.add_token(_token(rig, "t2"))
    for name, token in (("a", "t1"), ("b", "t1"), ("c", "t2")):
        await one.add_session(SessionRow(name, token, rig.time, rig.time + 60 * SECOND))
    await two.end_session("a")
    assert await one.session("a") is None
    assert await one.session("b") == SessionRow("b", "t1", rig.time, rig.time + 60 * SECOND)
    await two.revoke_token("t1")
    assert await one.session("b") is None
    assert await one.session("c") is not None
    rig.later(60)
    await one.add_session(SessionRow("d", "t2", rig.time, rig.time + SECOND))
    assert await one.session("c") is None, "what has expired is swept"


async def a_probe_writes_and_leaves_nothing(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    before = two.version()
    await one.probe()
    assert two.version() != before, "it was written, and others could see it"
    assert await one.session("probe") is None
    await one.submit(rig.new_run())
    await two.probe()
    assert (await one.queue()).depth == 1


async def the_use_of_a_token_is_written_down_at_most_once_a_minute(rig: Rig) -> None:
    store = await rig.store()
    await store.add_token(_token(rig))
    await store.add_session(SessionRow("s1", "t1", rig.time, rig.time + 600 * SECOND))
    first = rig.time
    for seconds, used in ((0, first), (59, first), (1, first + 60 * SECOND)):
        rig.later(seconds)
        token, session = await store.token("t1"), await store.session("s1")
        assert token is not None and session is not None
        await store.token_used(token)
        await store.session_used(session)
        token, session = await store.token("t1"), await store.session("s1")
        assert token is not None and session is not None
        assert (token.used, session.used) == (used, used)


async def _endpoints(rig: Rig, store: Store, *names: str, types: tuple[str, ...] = TYPES) -> None:
    rows = [EndpointRow(name, f"https://{name}.example/hook", types, rig.time) for name in names]
    await store.set_endpoints(rows)


async def _told(store: Store) -> list[tuple[str, str, str, str | None]]:
    found = await store.deliveries()
    return sorted((one.endpoint, one.type, one.run, one.item) for one in found)


async def what_happens_is_told_to_every_endpoint_that_wants_it(rig: Rig) -> None:
    store = await rig.store()
    await _endpoints(rig, store, "a")
    lease = await rig.held(store)
    await store.append(rig.append(lease, "approval.requested", opens=(rig.item(), rig.item("item-2"))))
    rows = [EndpointRow("a", "https://a.example", TYPES, rig.time)]
    rows += [EndpointRow("b", "https://b.example", ("item.decided", "run.failed"), rig.time)]
    await store.set_endpoints(rows)
    await store.decide("item-1", "approve", "kim", "{}")
    closing = (CloseItem("item-2", "expired"),)
    await store.append(rig.append(lease, "approval.expired", closes=closing))
    await store.append(rig.append(lease, "run.finished", change=RunChange(status="failed", release=True)))
    run = lease.run
    assert await _told(store) == [
        ("a", "item.decided", run, "item-1"),
        ("a", "item.expired", run, "item-2"),
        ("a", "item.opened", run, "item-1"),
        ("a", "item.opened", run, "item-2"),
        ("a", "run.failed", run, None),
        ("b", "item.decided", run, "item-1"),
        ("b", "run.failed", run, None),
    ]


async def nothing_is_told_of_what_was_refused_or_to_nobody(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.append(rig.append(lease, "approval.requested", opens=(rig.item(),)))
    assert await store.deliveries() == [], "nobody wanted to know"
    await _endpoints(rig, store, "a")
    await store.decide("item-1", "approve", "kim", "{}")
    await refused(store.decide("item-1", "deny", "ann", "{}"), "item_closed")
    stale = Lease(lease.run, lease.row, lease.epoch + 7, lease.seq, lease.head)
    change = RunChange(status="failed", release=True)
    await refused(store.append(Append(stale, (rig.record(),), change)), "stale_lease")
    assert await _told(store) == [("a", "item.decided", lease.run, "item-1")]


async def _one_delivery(rig: Rig, store: Store) -> DeliveryRow:
    await _endpoints(rig, store, "a")
    lease = await rig.held(store)
    await store.append(rig.append(lease, "run.finished", change=RunChange(status="failed", release=True)))
    (delivery,) = await store.deliveries()
    return delivery


async def a_delivery_is_taken_by_one_and_falls_due_again_when_that_one_dies(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    await _one_delivery(rig, one)
    until = rig.time + 30 * SECOND
    first, second = await outcomes(one.take_deliveries("a", 5, until), two.take_deliveries("a", 5, until))
    assert sorted((len(first), len(second))) == [0, 1]
    (lost,) = first or second
    assert lost.attempts == 1
    assert await one.next_delivery("a") == until
    rig.later(30)
    (taken,) = await two.take_deliveries("a", 5, rig.time + 30 * SECOND)
    assert (taken.id, taken.attempts) == (lost.id, 2)
    assert not await one.settle_delivery(lost, "sent", "200"), "it is in other hands by now"
    assert await two.settle_delivery(taken, "waiting", "503", due=rig.time + SECOND)
    assert await two.take_deliveries("a", 5, until) == []
    rig.later(1)
    (taken,) = await two.take_deliveries("a", 5, rig.time + 30 * SECOND)
    assert await two.settle_delivery(taken, "sent", "204")
    (ended,) = await one.deliveries(status="sent")
    assert await one.delivery_counts() == {"waiting": 0, "sent": 1, "failed": 0, "dropped": 0}
    assert (ended.attempts, ended.answer) == (3, "204")
    assert await one.next_delivery("a") is None


async def deliveries_to_one_endpoint_do_not_hide_those_to_another(rig: Rig) -> None:
    store = await rig.store()
    await _endpoints(rig, store, "a", "b")
    lease = await rig.held(store)
    await store.append(rig.append(lease, "run.finished", change=RunChange(status="failed", release=True)))
    (taken,) = await store.take_deliveries("a", 5, rig.time + SECOND)
    assert taken.endpoint == "a"
    assert await store.take_deliveries("a", 5, rig.time + SECOND) == []
    assert await store.next_delivery("a") == rig.time + SECOND
    due = await store.next_delivery("b")
    assert due is not None
    assert due <= rig.time
    (other,) = await store.take_deliveries("b", 5, rig.time + SECOND)
    assert (other.endpoint, other.attempts) == ("b", 1)


async def a_delivery_that_has_ended_is_sent_again_on_demand(rig: Rig) -> None:
    store = await rig.store()
    delivery = await _one_delivery(rig, store)
    assert not await store.replay_delivery(delivery.id), "it still waits"
    (taken,) = await store.take_deliveries("a", 1, rig.time + SECOND)
    await store.settle_delivery(taken, "failed", "410")
    assert await store.replay_delivery(delivery.id)
    assert not await store.replay_delivery(delivery.id + 1)
    (again,) = await store.take_deliveries("a", 1, rig.time + SECOND)
    assert (again.id, again.attempts) == (delivery.id, 1)


async def what_a_removed_endpoint_was_to_be_told_is_dropped(rig: Rig) -> None:
    store = await rig.store()
    delivery = await _one_delivery(rig, store)
    await _endpoints(rig, store, "b")
    assert await store.take_deliveries("a", 5, rig.time + SECOND) == []
    (dropped,) = await store.deliveries(status="dropped")
    assert dropped.id == delivery.id
    assert [one.id for one in await store.endpoints()] == ["b"]


async def the_queue_and_the_inbox_are_counted(rig: Rig) -> None:
    store = await rig.store()
    assert await store.queue() == Queue(0, None)
    first = rig.time
    await store.submit(rig.new_run())
    rig.later(1)
    await store.submit(rig.new_run(workflow="other"))
    assert await store.queue() == Queue(2, first)
    assert await store.queue("other") == Queue(1, rig.time)
    lease = await rig.held(store)
    items = (rig.item("i1"), rig.item("i2"), rig.item("i3", kind="review", queue="desk"))
    await store.append(rig.append(lease, "approval.requested", opens=items))
    assert await store.queue() == Queue(2, first), "what is held does not queue"
    assert await store.open_items() == [
        OpenItems("approval", "leads", 2, rig.time),
        OpenItems("review", "desk", 1, rig.time),
    ]
    await store.claim(2)
    assert await store.queue() == Queue(0, None)


async def a_commit_of_any_worker_changes_the_version_for_all(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    before = one.version(), two.version()
    assert (one.version(), two.version()) == before
    await one.submit(rig.new_run())
    assert one.version() != before[0]
    assert two.version() != before[1]
