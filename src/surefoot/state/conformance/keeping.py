"""Promises about what is kept and what is not: forgetting, telling without a lease, and rotating keys."""

from __future__ import annotations

import asyncio
import os

from ..audit import verify
from ..sealing import KEY_BYTES
from ..store import Append, Lease, RunChange, Store
from .rig import SECOND, Rig, claim_one, refused


async def _ended(rig: Rig, store: Store, **more: object) -> Lease:
    lease = await rig.held(store, **more)
    await store.append(rig.append(lease, "run.finished", change=RunChange(status="failed", release=True)))
    return lease


async def an_event_is_noted_where_nobody_holds_the_run(rig: Rig) -> None:
    store = await rig.store()
    lease = await _ended(rig, store)
    await store.post(lease.run, "reveal", "{}")
    await store.post(lease.run, "retry", "{}")
    (mine, other) = await store.mail(lease.run)
    assert await store.note(lease.run, rig.record("private.revealed"), [mine.id])
    assert await store.mail(lease.run) == [other]
    assert [event.kind for event in await store.events(lease.run)][-1] == "private.revealed"
    assert await verify(store, rig.keyring, lease.run) == []
    await refused(store.append(rig.append(lease, "step.finished")), "stale_lease")
    claimed = await claim_one(store)
    await store.append(rig.append(claimed.lease, "run.retried"))
    assert await verify(store, rig.keyring, lease.run) == []
    await refused(store.note("nobody", rig.record()), "run_not_found")


async def nothing_is_noted_in_a_run_that_somebody_holds(rig: Rig) -> None:
    one, two = await rig.store("one"), await rig.store("two")
    lease = await rig.held(one)
    assert not await two.note(lease.run, rig.record("private.revealed"))
    assert len(await two.events(lease.run)) == 1
    await one.append(rig.append(lease, "step.finished"))
    await rig.kill(one)
    assert await two.note(lease.run, rig.record("private.revealed")), "a dead worker holds nothing"
    row = await two.run(lease.run)
    assert row is not None
    assert row.due == rig.time, "and the run is to be taken up"


async def a_forgotten_run_keeps_its_journal_and_nothing_exact(rig: Rig) -> None:
    store = await rig.store()
    data_key = rig.keyring.new_run_key().wrapped
    lease = await _ended(rig, store, key="k", key_view="[k]", data_key=data_key)
    await store.post(lease.run, "retry", "{}", b"sealed")
    assert await store.forget(lease.run, rig.record("run.forgotten"))
    assert not await store.forget(lease.run, rig.record("run.forgotten"))
    await store.prove_forgotten(10)
    row = await store.run(lease.run)
    assert row is not None
    assert (row.status, row.seq, row.data_key, row.key, row.mail) == ("failed", 3, None, None, 0)
    assert (row.forgotten, row.input_digest) == (rig.time, "")
    assert await verify(store, rig.keyring, lease.run) == []
    found = await store.find_key("desk", "k")
    assert found is not None
    assert found.id == lease.run
    assert (await store.submit(rig.new_run(key="k", input_digest="other"))).same_input
    await refused(store.post(lease.run, "retry", "{}"), "key_unavailable")
    assert await store.claim(5) == []


async def what_has_not_ended_is_not_forgotten(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    await refused(store.forget(lease.run, rig.record("run.forgotten")), "run_not_finished")
    await rig.release(store, lease)
    await refused(store.forget(lease.run, rig.record("run.forgotten")), "run_not_finished")
    await refused(store.forget("nobody", rig.record("run.forgotten")), "run_not_found")
    assert len(await store.events(lease.run)) == 1


async def the_key_of_a_run_is_found_and_not_kept(rig: Rig) -> None:
    store = await rig.store()
    await store.submit(rig.new_run(key="kim@example.org", key_view="[email-1]"))
    row = await store.find_key("desk", "kim@example.org")
    assert row is not None
    assert row.key == "[email-1]"
    assert row.key_digest
    assert "kim" not in row.key_digest
    assert await store.find_key("shop", "kim@example.org") is None
    assert await store.find_key("desk", row.key_digest) is None
    other = await store.submit(rig.new_run(key="kim@example.org", workflow="shop"))
    assert other.created


async def keys_are_rotated_while_runs_grow(rig: Rig) -> None:
    store = await rig.store()
    old = rig.keyring.current
    leases = [await rig.held(store, data_key=rig.keyring.new_run_key().wrapped) for _ in range(250)]
    early = rig.new_run(data_key=rig.keyring.new_run_key().wrapped)
    rig.keyring.add(os.urandom(KEY_BYTES), "")
    generation = await store.announce_key()
    assert await store.announce_key() == generation, "said again it is no news"
    await refused(store.retire_key(old), "key_unavailable")
    changed, after = 0, 0
    while True:
        _, rekeyed = await asyncio.gather(
            store.append(rig.append(leases[after % 250], "step.finished")), store.rekey(after)
        )
        changed += rekeyed.changed
        if rekeyed.last is None:
            break
        after = rekeyed.last
    assert changed >= 250
    await store.submit(early)
    await store.append(Append(leases[0], (rig.record(),)))
    for lease in leases:
        row = await store.run(lease.run)
        assert row is not None
        assert row.data_key is not None
        rig.keyring.unwrap(row.data_key)
        assert (row.data_key[:4].hex(), row.signature[:4].hex()) == (rig.keyring.current,) * 2
    await store.heartbeat(rig.time + 30 * SECOND)
    assert {use.key for use in await store.key_uses()} == {rig.keyring.current}
    await store.retire_key(old)
    assert (await store.ring()).retired == (old,)
    await refused(store.retire_key(rig.keyring.current), "key_unavailable")
    rig.keyring.remove(old)
    await store.append(Append(leases[0], (rig.record(),)))
    assert await verify(store, rig.keyring, leases[0].run) == []


async def rows_without_their_run_are_named(rig: Rig) -> None:
    store = await rig.store()
    await rig.held(store)
    assert await store.strays() == []
    assert await store.days() == []
    assert await store.definitions() == []
