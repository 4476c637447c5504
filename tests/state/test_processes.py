"""What happens when the process that holds a run is killed, stopped, or dies at a commit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.state.audit import verify
from surefoot.state.opening import make_store
from surefoot.state.rows import RunFilter
from surefoot.state.sealing import Keyring
from surefoot.state.store import Store

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")]

SECOND = 1_000_000


class Child:
    def __init__(self, url: str, worker: str = "child", lease: float = 30, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("child.py")), url, worker, str(lease)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environ},
        )

    def read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def ask(self, command: str) -> Any:
        """Its answer, or None where it died over it."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.read()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue  # it died with a command unread


class Place:
    """A store's file, children that work on it, and a worker in this process whose clock can be ahead."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/state.db"
        self.keyring = Keyring.load_or_create(folder / "keys.json")
        self.ahead = 0
        self.children: list[Child] = []

    def child(self, worker: str = "child", lease: float = 30, **environ: str) -> Child:
        child = Child(self.url, worker, lease, **environ)
        self.children.append(child)
        assert child.read() == "ready"
        return child

    def now(self) -> int:
        return time.time_ns() // 1000 + self.ahead

    async def store(self) -> Store:
        store, _ = make_store(self.url, now=self.now, worker="here")
        await store.open()
        await store.heartbeat(self.now() + 3600 * SECOND)
        return store


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for child in place.children:
        child.close()


async def test_what_a_killed_worker_held_goes_on_at_once_and_without_doubt(place: Place) -> None:
    child = place.child()
    runs = child.ask("hold 3")
    store = await place.store()
    assert await store.claim(10) == []
    child.kill()
    claimed = await store.claim(10)
    assert sorted(one.lease.run for one in claimed) == runs
    assert not any(one.lease.doubt for one in claimed)
    assert [worker.id for worker in await store.workers()] == ["here"]
    await store.close()


async def test_a_child_that_outlives_a_killed_worker_does_not_speak_for_it(place: Place) -> None:
    child = place.child()
    child.ask("hold 1")
    assert child.ask("fork") == "ok"
    store = await place.store()
    child.kill()
    (claimed,) = await store.claim(10)
    assert not claimed.lease.doubt
    await store.close()


async def test_a_stopped_worker_keeps_its_runs_until_its_lease_lapses_and_wakes_up_to_stale_ones(
    place: Place,
) -> None:
    child = place.child(lease=1000)
    (run,) = child.ask("hold 1")
    assert child.ask(f"append {run}") == "ok"
    store = await place.store()
    os.kill(child.process.pid, signal.SIGSTOP)
    place.ahead = 900 * SECOND
    assert await store.claim(10) == []
    place.ahead = 1100 * SECOND
    (claimed,) = await store.claim(10)
    assert claimed.lease.run == run
    assert claimed.lease.doubt, "it may wake up in the middle of a call"
    os.kill(child.process.pid, signal.SIGCONT)
    assert child.ask(f"append {run}") == "stale_lease"
    assert child.ask("beat 30") == "ok"
    assert len(child.ask("hold 1")) == 2, "it goes on with other runs"
    assert [len(await store.events(run))] == [2]
    await store.close()


async def test_two_processes_share_the_due_runs(place: Place) -> None:
    one, two = place.child("one"), place.child("two")
    store = await place.store()
    holder = place.child("holder")
    runs = holder.ask("hold 10")
    holder.kill()
    taken = one.ask("claim 4") + two.ask("claim 100")
    assert sorted(run for run, _ in taken) == runs
    await store.close()


@pytest.mark.parametrize("moment", ["after", "before"])
@pytest.mark.parametrize("commit", [1, 2, 4])
async def test_a_crash_point_kills_right_before_or_right_after_its_commit(
    place: Place, commit: int, moment: str
) -> None:
    at = f"{commit}.before" if moment == "before" else f"{commit}"
    child = place.child(SUREFOOT_CRASH_AT=at, SUREFOOT_TESTING="1")
    told = []
    for command in ("hold 1", "beat 30", "append child-0", "beat 30", "append child-0", "append child-0"):
        if child.ask(command) is None:
            break
        told.append(command)
    assert child.process.wait() == -signal.SIGKILL
    returned = [command for command in told if command != "beat 30"]
    assert len(returned) == commit - 1, "nobody was told of the commit that killed"
    store = await place.store()
    events = await store.events("child-0")
    assert len(events) == (commit if moment == "after" else commit - 1)
    if events:
        assert await verify(store, place.keyring, "child-0") == []
        assert len(await store.claim(5)) == 1
    await store.close()


async def test_nothing_that_was_acknowledged_is_lost_to_a_kill_under_load(place: Place) -> None:
    child = place.child()
    assert child.process.stdin is not None
    child.process.stdin.write("load 40\n")
    child.process.stdin.flush()
    acknowledged: dict[str, int] = {}
    for _ in range(600):
        name, seq = child.read()
        acknowledged[name] = seq
    child.kill()
    assert child.process.stdout is not None
    for line in child.process.stdout:
        if line.endswith("\n"):
            name, seq = json.loads(line)
            acknowledged[name] = seq
    store = await place.store()
    for row in await store.runs(RunFilter(limit=100)):
        assert row.seq >= acknowledged.get(row.id, 1)
        assert await verify(store, place.keyring, row.id) == []
    assert len(await store.claim(100)) == 40
    await store.close()


async def test_two_processes_under_load_keep_every_journal_whole(place: Place) -> None:
    children = [place.child("one"), place.child("two")]
    for child in children:
        assert child.process.stdin is not None
        child.process.stdin.write("load 20\n")
        child.process.stdin.flush()
    for child in children:
        for _ in range(400):
            assert child.read() is not None
    for child in children:
        child.kill()
    store = await place.store()
    rows = await store.runs(RunFilter(limit=100))
    assert len(rows) == 40
    for row in rows:
        assert await verify(store, place.keyring, row.id) == []
    await store.close()
