"""Promises about growing and reading journals."""

from __future__ import annotations

import asyncio

from ..audit import verify
from ..rows import RunFilter
from ..store import Append, Record, RunChange
from .rig import Rig, outcomes, refused


async def an_append_that_returned_is_seen_by_everybody(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    lease = await rig.held(one)
    await one.append(rig.append(lease, "step.started", "step.finished"))
    for store in (one, two):
        events = await store.events(lease.run)
        assert [event.kind for event in events] == ["run.submitted", "step.started", "step.finished"]
        assert [event.seq for event in events] == [1, 2, 3]


async def every_event_comes_back_as_it_was_given(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    given = [
        Record("step.finished", 3, rig.time + 1, '{"text":"é ✓ \\u0000"}'),
        Record("call.returned", 1, rig.time + 2, "{}", b""),
        Record("a.kind.nobody.knows.yet", 1, rig.time + 3, "[1,2]", bytes(range(256))),
    ]
    await store.append(Append(lease, tuple(given)))
    events = await store.events(lease.run, after=1)
    assert [Record(e.kind, e.version, e.at, e.view, e.sealed) for e in events] == given
    assert await verify(store, rig.keyring, lease.run) == []


async def appends_keep_the_order_in_which_they_were_made(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await asyncio.gather(*(store.append(rig.append(lease, f"kind.{n}")) for n in range(50)))
    await asyncio.gather(*(store.append(rig.append(lease, f"kind.{n}")) for n in range(50, 60)))
    events = await store.events(lease.run, after=1)
    assert [event.kind for event in events] == [f"kind.{n}" for n in range(60)]
    assert lease.seq == 61
    assert lease.head == events[-1].hash
    assert await verify(store, rig.keyring, lease.run) == []


async def many_runs_share_a_transaction_and_keep_apart(rig: Rig) -> None:
    store = await rig.store()
    leases = await asyncio.gather(*(rig.held(store) for _ in range(700)))

    async def work(number: int) -> None:
        for turn in range(3):
            kinds = [f"kind.{number % 5}"] * (1 + (number + turn) % 3)
            await store.append(rig.append(leases[number], *kinds))

    await asyncio.gather(*(work(number) for number in range(700)))
    journals = await store.journals(lease.run for lease in leases)
    for number, lease in enumerate(leases):
        events = journals[lease.run]
        assert [event.seq for event in events] == list(range(1, 8))
        assert {event.kind for event in events[1:]} == {f"kind.{number % 5}"}
    assert await verify(store, rig.keyring, leases[123].run) == []


async def a_run_and_its_events_change_together(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    change = RunChange(status="running", summary='{"steps":2}', version="2", fingerprint="f2")
    rig.later(5)
    await store.append(rig.append(lease, "step.finished", change=change))
    row = await store.run(lease.run)
    assert row is not None
    assert (row.status, row.summary, row.version, row.fingerprint) == ("running", {"steps": 2}, "2", "f2")
    assert (row.seq, row.head, row.updated) == (2, lease.head, rig.time)
    await store.append(rig.append(lease, "step.finished", change=RunChange(status="waiting")))
    row = await store.run(lease.run)
    assert row is not None
    assert (row.status, row.summary) == ("waiting", {"steps": 2}), "what a change leaves open stays"


async def changes_of_one_transaction_add_up(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await asyncio.gather(
        store.append(
            rig.append(lease, "step.finished", change=RunChange(status="running", summary='{"n":1}'))
        ),
        store.append(rig.append(lease, "step.finished")),
        store.append(rig.append(lease, "run.finished", change=RunChange(status="succeeded", release=True))),
    )
    row = await store.run(lease.run)
    assert row is not None
    assert (row.status, row.summary, row.owner, row.seq) == ("succeeded", {"n": 1}, None, 4)


async def a_part_of_a_journal_can_be_read(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.append(rig.append(lease, *["step.finished"] * 9))
    assert [event.seq for event in await store.events(lease.run, after=3, limit=2)] == [4, 5]
    assert [event.seq for event in await store.events(lease.run, after=8)] == [9, 10]
    assert await store.events("no such run") == []
    assert await store.journals(["no such run"]) == {"no such run": []}


async def what_cannot_be_written_fails_alone(rig: Rig) -> None:
    store = await rig.store()
    good, bad, other = [await rig.held(store) for _ in range(3)]
    impossible = rig.record(at=2**70)
    done = await outcomes(
        store.append(rig.append(good, "step.finished")),
        store.append(Append(bad, (impossible,))),
        store.append(rig.append(other, "step.finished")),
    )
    assert done[0] is None
    assert isinstance(done[1], Exception)
    assert done[2] is None
    assert [len(await store.events(lease.run)) for lease in (good, bad, other)] == [2, 1, 2]
    await store.append(rig.append(bad, "step.finished"))
    assert await verify(store, rig.keyring, bad.run) == []


async def a_cancelled_waiter_does_not_undo_its_append(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    waiter = asyncio.ensure_future(store.append(rig.append(lease, "step.finished")))
    waiter.cancel()
    await store.append(rig.append(lease, "step.failed"))
    assert [event.kind for event in await store.events(lease.run, after=1)] == [
        "step.finished",
        "step.failed",
    ]


# ── submitting ──


async def a_key_names_one_run_of_its_workflow(rig: Rig) -> None:
    store = await rig.store()
    first = await store.submit(rig.new_run(key="order-17"))
    again = await store.submit(rig.new_run(key="order-17"))
    other_input = await store.submit(rig.new_run(key="order-17", input_digest="d2", lease=True))
    elsewhere = await store.submit(rig.new_run(key="order-17", workflow="shop"))
    assert (first.created, first.same_input) == (True, True)
    assert (again.run, again.created, again.same_input, again.lease) == (first.run, False, True, None)
    assert (other_input.run, other_input.created, other_input.same_input) == (first.run, False, False)
    assert other_input.lease is None
    assert elsewhere.created
    found = await store.find_key("desk", "order-17")
    assert found is not None
    assert found.id == first.run
    assert await store.find_key("desk", "order-18") is None


async def runs_without_a_key_are_all_made(rig: Rig) -> None:
    store = await rig.store()
    submitted = await asyncio.gather(*(store.submit(rig.new_run()) for _ in range(20)))
    assert all(one.created for one in submitted)


async def a_key_is_used_once_in_a_race(rig: Rig) -> None:
    stores = [await rig.store("one"), await rig.store("two")]
    for turn in range(5):
        submitted = await asyncio.gather(
            *(store.submit(rig.new_run(key=f"key-{turn}")) for store in stores for _ in range(4))
        )
        assert sum(one.created for one in submitted) == 1
        assert len({one.run for one in submitted}) == 1
        assert len(await stores[0].events(submitted[0].run)) == 1


async def an_id_that_exists_is_refused_alone(rig: Rig) -> None:
    store = await rig.store()
    await store.submit(rig.new_run(id="twice"))
    done = await outcomes(store.submit(rig.new_run(id="twice")), store.submit(rig.new_run()))
    assert getattr(done[0], "code", None) == "store"
    assert done[1].created
    assert len(await store.events("twice")) == 1


async def a_submitted_run_starts_queued(rig: Rig) -> None:
    store = await rig.store()
    submitted = await store.submit(
        rig.new_run(key="k", key_view="[k]", summary='{"a":1}', data_key=b"\x00key")
    )
    row = await store.run(submitted.run)
    assert row is not None
    assert (row.status, row.key, row.summary, row.data_key) == ("queued", "[k]", {"a": 1}, b"\x00key")
    assert (row.created, row.due, row.owner, row.epoch, row.claims) == (rig.time, rig.time, None, 0, 0)
    assert await verify(store, rig.keyring, submitted.run) == []


# ── lists ──


async def lists_are_newest_first_in_pages(rig: Rig) -> None:
    store = await rig.store()
    runs = [(await store.submit(rig.new_run())).run for _ in range(7)]
    newest = runs[::-1]
    first = await store.runs(RunFilter(limit=3))
    assert [row.id for row in first] == newest[:3]
    second = await store.runs(RunFilter(limit=3, before=first[-1].id))
    assert [row.id for row in second] == newest[3:6]


async def lists_are_filtered(rig: Rig) -> None:
    store = await rig.store()
    early = await rig.held(store)
    await rig.release(store, early)
    since = rig.later(10)
    late = await rig.held(store, workflow="shop")
    await rig.release(store, late, status="failed")
    queued = await store.submit(rig.new_run())

    async def ids(wanted: RunFilter) -> list[str]:
        return [row.id for row in await store.runs(wanted)]

    assert await ids(RunFilter(status=("waiting",))) == [early.run]
    assert await ids(RunFilter(status=("waiting", "queued"))) == [queued.run, early.run]
    assert await ids(RunFilter(workflow="shop")) == [late.run]
    assert await ids(RunFilter(since=since)) == [queued.run, late.run]
    assert await ids(RunFilter(status=("waiting", "failed"), limit=1)) == [late.run]
    counts = await store.counts()
    assert counts == {"queued": 1, "running": 0, "waiting": 1, "succeeded": 0, "failed": 1, "cancelled": 0}


async def what_does_not_exist_is_none(rig: Rig) -> None:
    store = await rig.store()
    assert await store.run("nobody") is None
    assert await store.item("nothing") is None
    assert await store.definition("none") is None
    await refused(store.extend_claims("nobody"), "run_not_found")


async def a_definition_is_kept_once(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await store.append(rig.append(lease, "step.started", definition=("f1", '{"a":1}')))
    await store.append(rig.append(lease, "step.started", definition=("f1", '{"a":2}')))
    assert await store.definition("f1") == '{"a":1}'
