"""Master keys are rotated under the feet of workers: nothing becomes unreadable, and the old key opens nothing."""

from __future__ import annotations

import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from surefoot.errors import KeyUnavailable, UsageError
from surefoot.state import rotation
from surefoot.state.audit import verify
from surefoot.state.conformance.rig import SECOND, START, refused
from surefoot.state.keysfile import read_ring
from surefoot.state.opening import make_store
from surefoot.state.rows import RunFilter
from surefoot.state.sealing import KEY_BYTES, Keyring
from surefoot.state.store import Append, Lease, NewRun, Record, RunChange, Store

pytestmark = pytest.mark.anyio


@dataclass
class House:
    """Processes on one store, each with a ring of its own that it has read by itself."""

    folder: Path
    time: int = START
    stores: list[Store] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "state.db"

    @property
    def keys(self) -> Path:
        return self.folder / "keys.json"

    def now(self) -> int:
        return self.time

    async def process(
        self, worker: str, ring: Keyring | None = None, *, beats: bool = True
    ) -> tuple[Store, Keyring]:
        store, used = make_store(f"sqlite:///{self.path}", now=self.now, worker=worker, keyring=ring)
        await store.open()
        self.stores.append(store)
        if beats:
            await store.heartbeat(self.time + 30 * SECOND)
        return store, used

    def new_run(self, name: str, ring: Keyring, **more: Any) -> NewRun:
        key = ring.new_run_key()
        sealed = key.seal(b'{"event":{},"private":{}}', name.encode())
        first = Record("run.submitted", 1, self.time, "{}", sealed)
        values: dict[str, Any] = {"key": f"key-{name}", "key_view": "[k]", "lease": True, "summary": "{}"}
        return NewRun(
            name, "desk", "1", "f", input_digest="d", data_key=key.wrapped, records=(first,), at=self.time,
            **(values | more),
        )  # fmt: skip

    async def held(self, store: Store, ring: Keyring, name: str, **more: Any) -> Lease:
        submitted = await store.submit(self.new_run(name, ring, **more))
        assert submitted.lease is not None
        return submitted.lease

    async def all_right(self, ring: Keyring) -> int:
        """Every run verifies, and opens under `ring`; how many."""
        store, _ = await self.process("auditor", ring, beats=False)
        rows = await store.runs(RunFilter(limit=10_000))
        for row in rows:
            assert await verify(store, ring, row.id) == []
            assert row.data_key is not None
            key = ring.unwrap(row.data_key)
            for event in await store.events(row.id):
                if event.sealed is not None:
                    key.open(event.sealed, row.id.encode())
        return len(rows)

    async def all_right_without_keys(self, ring: Keyring) -> int:
        """The same for runs that seal nothing."""
        store, _ = await self.process("auditor 2", ring, beats=False)
        rows = await store.runs(RunFilter(limit=10_000))
        for row in rows:
            assert await verify(store, ring, row.id) == []
        return len(rows)

    def under(self, column: str = "data_key") -> set[str]:
        connection = sqlite3.connect(self.path)
        found = connection.execute(f"SELECT DISTINCT lower(hex(substr({column}, 1, 4))) FROM runs").fetchall()
        connection.close()
        return {key for (key,) in found}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    for store in house.stores:
        await store.close()


def step(at: int) -> Record:
    return Record("step.finished", 1, at, "{}")


async def test_a_rotation_moves_every_run_and_the_old_key_then_opens_nothing(house: House) -> None:
    store, ring = await house.process("one", beats=False)
    for number in range(450):  # more than two batches
        await store.submit(house.new_run(f"run-{number}", ring, lease=False))
    old, old_key = ring.current, read_ring(house.keys).keys[0].key
    done = await rotation.rotate(store, ring, house.time)
    assert (done.is_new, done.runs, done.refused) == (True, 450, ())
    assert done.key == ring.current != old
    assert house.under() == house.under("signature") == {done.key}
    await rotation.retire(store, ring, old)
    assert [entry.key for entry in read_ring(house.keys).keys] != [old_key]
    assert old not in ring.ids
    assert await house.all_right(Keyring.load(house.keys)) == 450
    thief = Keyring([old_key])
    for row in await store.runs(RunFilter(limit=500)):
        with pytest.raises(KeyUnavailable, match="cannot be unwrapped"):
            thief.unwrap(row.data_key or b"")
        assert not thief.verify(b"anything", row.signature)
    if sys.platform != "win32":
        assert house.keys.stat().st_mode & 0o077 == 0


async def test_what_the_old_key_had_wrapped_is_in_no_file_after_it_is_retired(house: House) -> None:
    store, ring = await house.process("one", beats=False)
    for number in range(300):
        await store.submit(house.new_run(f"run-{number}", ring, lease=False))
    wrapped = [row.data_key for row in await store.runs(RunFilter(limit=300))]
    old = ring.current
    await rotation.rotate(store, ring, house.time)
    await rotation.retire(store, ring, old)
    everything = b"".join(file.read_bytes() for file in house.folder.iterdir() if file.is_file())
    assert [one for one in wrapped if one is not None and one in everything] == []


async def test_a_worker_with_the_old_ring_goes_on_and_writes_nothing_under_it(house: House) -> None:
    worker, old_ring = await house.process("worker")
    lease = await house.held(worker, old_ring, "before")
    other, ring = await house.process("other", beats=False)
    old = ring.current
    await rotation.rotate(other, ring, house.time)
    assert old_ring.current == old, "it has not heard of it"
    made_before = house.new_run("made with the old key", old_ring)
    await worker.append(Append(lease, (step(house.time),)))
    assert old_ring.current == ring.current, "its first write told it"
    await worker.submit(made_before)
    await house.held(worker, old_ring, "after")
    assert house.under() == house.under("signature") == {ring.current}
    await worker.heartbeat(house.time + 30 * SECOND)
    await rotation.retire(other, ring, old)
    await worker.append(Append(lease, (step(house.time),)))
    assert await house.all_right(Keyring.load(house.keys)) == 3


async def test_a_worker_with_the_old_ring_only_submits_and_that_is_moved_too(house: House) -> None:
    worker, old_ring = await house.process("worker")
    other, ring = await house.process("other")
    new = house.new_run("late", old_ring)
    await rotation.rotate(other, ring, house.time)
    await worker.submit(new)
    assert house.under() == {ring.current}


async def test_a_process_that_meets_an_unknown_key_reads_the_ring_once(house: House) -> None:
    store, ring = await house.process("one")
    await house.held(store, ring, "run")
    reader = Keyring.load(house.keys)
    await rotation.rotate(store, ring, house.time)
    row = await store.run("run")
    assert row is not None
    assert reader.unwrap(row.data_key or b"").wrapped == row.data_key
    foreign = Keyring.generate().new_run_key().wrapped
    with pytest.raises(KeyUnavailable):
        reader.unwrap(foreign)
    house.keys.rename(house.folder / "away.json")
    with pytest.raises(KeyUnavailable, match="cannot be read"):
        reader.reload()


async def test_a_key_that_is_needed_is_not_retired(house: House) -> None:
    store, ring = await house.process("one")
    await house.held(store, ring, "run")
    old = ring.current
    error = await refused(rotation.retire(store, ring, old), "key_unavailable")
    assert "current" in error.what
    ring.add(os.urandom(KEY_BYTES), "")
    error = await refused(rotation.retire(store, ring, old), "key_unavailable")
    assert "1 runs hang on it" in error.why
    await rotation.rotate(store, ring, house.time)
    error = await refused(rotation.retire(store, ring, old), "key_unavailable")
    assert "one" in error.why, "this worker has not said since that it signs with the new one"
    await store.heartbeat(house.time + 30 * SECOND)
    await rotation.retire(store, ring, old)
    await rotation.retire(store, ring, old)  # again is no mistake
    with pytest.raises(UsageError):
        await rotation.retire(store, ring, "00000000")


async def test_inputs_and_keys_stay_comparable_when_the_oldest_key_is_gone(house: House) -> None:
    old = os.urandom(KEY_BYTES)
    first = {"version": 1, "keys": [base64.b64encode(old).decode()]}
    house.keys.write_text(json.dumps(first))
    store, ring = await house.process("one", beats=False)
    digest = ring.digest(b"input")
    await store.submit(house.new_run("run", ring, lease=False))
    key = ring.current
    await rotation.rotate(store, ring, house.time)
    await rotation.retire(store, ring, key)
    again = Keyring.load(house.keys)
    assert again.digest(b"input") == digest
    assert not (await store.submit(house.new_run("other", ring, key="key-run"))).created
    found = await store.find_key("desk", "key-run")
    assert found is not None
    assert found.id == "run"


async def test_a_tampered_run_is_not_signed_anew(house: House) -> None:
    store, ring = await house.process("one", beats=False)
    await store.submit(house.new_run("good", ring, lease=False))
    await store.submit(house.new_run("bad", ring, lease=False))
    connection = sqlite3.connect(house.path)
    connection.execute("UPDATE runs SET head = zeroblob(32) WHERE id = 'bad'")
    connection.commit()
    connection.close()
    old = ring.current
    done = await rotation.rotate(store, ring, house.time)
    assert (done.runs, done.refused) == (1, ("bad",))
    assert await verify(store, ring, "bad") != []
    error = await refused(rotation.retire(store, ring, old), "key_unavailable")
    assert "1 runs" in error.why


# ── SUREFOOT_MASTER_KEY ──


def from_variable(text: str) -> Keyring:
    ring = Keyring.from_env({"SUREFOOT_MASTER_KEY": text})
    assert ring is not None
    return ring


async def test_a_ring_from_the_environment_is_rotated_by_its_value(house: House) -> None:
    first = base64.b64encode(os.urandom(KEY_BYTES)).decode()
    worker, old_ring = await house.process("worker", from_variable(first))
    lease = await house.held(worker, old_ring, "run")
    command, ring = await house.process("command", from_variable(first), beats=False)
    told = await rotation.rotate(command, ring, house.time)
    assert told.variable is not None
    assert told.runs == 0
    assert house.under() == {ring.current}, "nothing has changed yet"
    assert told.variable.split(",")[1] == first
    # with the new value, while a worker still has the old one
    command, ring = await house.process("command 2", from_variable(told.variable), beats=False)
    error = await refused(rotation.rotate(command, ring, house.time), "key_unavailable")
    assert "worker" in error.why
    assert house.under() == {old_ring.current}
    assert ring.digest(b"a") == old_ring.digest(b"a")
    # the worker ends, another begins with the new value
    await worker.append(Append(lease, (), RunChange(status="queued", release=True, due=house.time)))
    await worker.retire()
    await house.process("new worker", from_variable(told.variable))
    done = await rotation.rotate(command, ring, house.time)
    assert (done.is_new, done.runs, done.key) == (False, 1, ring.current)
    left = await rotation.retire(command, ring, old_ring.current)
    assert left is not None
    assert first not in left
    final = from_variable(left)
    assert final.digest(b"a") == old_ring.digest(b"a")
    assert await house.all_right(final) == 1
    # who comes late with the old value may not write any more, and says why
    late, late_ring = await house.process("late", from_variable(first), beats=False)
    error = await refused(late.submit(house.new_run("x", late_ring, lease=False)), "key_unavailable")
    assert "retired" in error.what
    assert await house.all_right(final) == 1


# ── killed ──

CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from surefoot.state import keysfile, rotation
from surefoot.state.crash import CrashPoint
from surefoot.state.opening import make_store

url, file_step, retired = sys.argv[1], int(sys.argv[2]), sys.argv[3]
seen = 0

def counted(act):
    def acting(*given, **more):
        global seen
        seen += 1
        if seen == file_step:
            os.kill(os.getpid(), signal.SIGKILL)
        result = act(*given, **more)
        seen += 1
        if seen == file_step:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return acting

class Watched:
    def __getattr__(self, name):
        found = getattr(os, name)
        return counted(found) if name in ("open", "fsync", "replace") else found

keysfile.os = Watched()

async def main():
    store, ring = make_store(url, now=lambda: 1_800_000_000_000_000, worker="child",
                             crash=CrashPoint.from_env(os.environ))
    await store.open()
    if retired != "-":
        await rotation.retire(store, ring, retired)
    else:
        await rotation.rotate(store, ring, 1_800_000_000_000_000)
    await store.close()

asyncio.run(main())
print(seen)
"""


def child(house: House, *, file_step: int = 0, crash_at: str = "", retired: str = "-") -> tuple[int, str]:
    environ = {**os.environ}
    if crash_at:
        environ |= {"SUREFOOT_TESTING": "1", "SUREFOOT_CRASH_AT": crash_at}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, f"sqlite:///{house.path}", str(file_step), retired],
        env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout


async def _filled(house: House, count: int) -> Keyring:
    store, ring = await house.process("filler", beats=False)
    for number in range(count):
        await store.submit(house.new_run(f"run-{number}", ring, lease=False))
    await store.close()
    house.stores.remove(store)
    return ring


async def _finish(house: House, old: str, count: int) -> None:
    """Whatever came before, the same two commands make everything good."""
    await house.all_right(Keyring.load(house.keys))
    store, ring = await house.process("finisher", beats=False)
    await rotation.rotate(store, ring, house.time)
    assert len(ring.ids) <= 2, "a rotation that was cut off is gone on with, not begun anew"
    await rotation.retire(store, ring, old)
    final = Keyring.load(house.keys)
    assert old not in final.ids
    assert house.under() == house.under("signature") == {final.current}
    assert await house.all_right(final) == count
    assert not (house.folder / "keys.json.tmp").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("moment", ["1.before", "1", "2.before", "2", "3.before", "3", "4.before"])
async def test_a_rotation_killed_at_any_commit_is_gone_on_with(house: House, moment: str) -> None:
    ring = await _filled(house, 450)  # announced, and three batches
    code, _ = child(house, crash_at=moment)
    assert code == -signal.SIGKILL
    await _finish(house, ring.current, 450)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("moment", range(1, 11))
async def test_a_rotation_killed_between_steps_of_the_ring_file_loses_no_key(
    house: House, moment: int
) -> None:
    ring = await _filled(house, 3)
    code, steps = child(house, file_step=moment)
    # open, fsync, replace, open and fsync of the folder, each before and after: ten moments
    assert code == -signal.SIGKILL, f"only {steps} moments"
    await _finish(house, ring.current, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("place", ["1.before", "1", *(f"file {n}" for n in range(1, 11))])
async def test_retiring_killed_anywhere_loses_no_key(house: House, place: str) -> None:
    ring = await _filled(house, 3)
    store, new = await house.process("one", beats=False)
    await rotation.rotate(store, new, house.time)
    if place.startswith("file"):
        code, _ = child(house, file_step=int(place[5:]), retired=ring.current)
    else:
        code, _ = child(house, crash_at=place, retired=ring.current)
    assert code == -signal.SIGKILL
    assert await house.all_right(Keyring.load(house.keys)) == 3
    again, ring_again = await house.process("again", beats=False)
    await rotation.retire(again, ring_again, ring.current)
    assert ring.current not in Keyring.load(house.keys).ids
    assert await house.all_right(Keyring.load(house.keys)) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
async def test_processes_under_load_follow_two_rotations_and_a_retirement(house: House) -> None:
    """Two processes that know nothing but the ring they began with, and append as fast as they can."""
    Keyring.load_or_create(house.keys)
    house.time = time.time_ns() // 1000
    program = str(Path(__file__).with_name("child.py"))
    children = [
        subprocess.Popen(
            [sys.executable, program, f"sqlite:///{house.path}", name, "120"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    try:
        for child in children:
            assert child.stdin is not None
            assert child.stdout is not None
            assert json.loads(child.stdout.readline()) == "ready"
            child.stdin.write("load 20\n")
            child.stdin.flush()
        told: list[Any] = []
        for child in children:
            assert child.stdout is not None
            told.append(json.loads(child.stdout.readline()))
        store, ring = await house.process("auditor", beats=False)
        first = ring.current
        second = (await rotation.rotate(store, ring, house.time)).key
        third = (await rotation.rotate(store, ring, house.time)).key
        assert len({first, second, third}) == 3
        assert house.under("signature") == {third}, "nothing is written under an older one meanwhile"
        for child in children:
            assert child.stdout is not None
            run, seq = "", 0
            for _ in range(200):
                run, seq = json.loads(child.stdout.readline())
            told.append([run, seq])
            assert child.poll() is None
        assert house.under("signature") == {third}
    finally:
        for child in children:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                assert stream is not None
                stream.close()
    house.time = time.time_ns() // 1000 + 121 * SECOND  # their leases have lapsed
    for key in (first, second):
        await rotation.retire(store, ring, key)
    final = Keyring.load(house.keys)
    assert final.ids == [third]
    assert await house.all_right_without_keys(final) == 40
    for run, seq in told:
        row = await store.run(run)
        assert row is not None
        assert row.seq >= seq, "what was said to be on disk is there"
