"""When the file cannot be used, everybody who waits is told what to do, and the store goes on once it can."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest

from surefoot.errors import StoreError, StoreUnavailable, SurefootError
from surefoot.state import commit, schema
from surefoot.state.audit import verify
from surefoot.state.conformance import Rig
from surefoot.state.conformance.rig import outcomes, refused
from surefoot.state.rows import RunFilter
from surefoot.state.sqlite import SqliteStore
from surefoot.state.store import Append, StoreOptions

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
async def rig(path: Path) -> AsyncIterator[Rig]:
    rig = Rig(f"sqlite:///{path}")
    yield rig
    await rig.close()


def writing(store: Any) -> sqlite3.Connection:
    """The connection that the store writes on: there is no other door to a full disk."""
    connection = store._connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


async def test_a_short_lock_of_another_process_is_waited_for(rig: Rig, path: Path) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(store.append(rig.append(lease, "step.finished")))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done, "the loop is free meanwhile"
    other.execute("COMMIT")
    other.close()
    await waiting
    assert len(await store.events(lease.run)) == 2


async def test_a_long_lock_fails_the_batch_and_not_the_store(
    rig: Rig, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "PATIENCE", 0.05)
    store = await rig.store()
    one, two = await rig.held(store), await rig.held(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = await outcomes(
        store.append(rig.append(one, "step.finished")), store.append(rig.append(two, "step.finished"))
    )
    assert [type(outcome) for outcome in done] == [StoreUnavailable, StoreUnavailable]
    assert done[0] is not done[1]
    assert "locked" in str(done[0])
    assert done[0].remedy
    other.execute("COMMIT")
    other.close()
    await store.append(rig.append(one, "step.finished"))
    assert [len(await store.events(lease.run)) for lease in (one, two)] == [2, 1]


async def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    connection = writing(store)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    big = rig.record(view='"' + "x" * 100_000 + '"')
    error = await refused(store.append(Append(lease, (big,))), "store_unavailable")
    assert "full" in error.why
    assert len(await store.events(lease.run)) == 1
    connection.execute("PRAGMA max_page_count = 1000000")
    await store.append(rig.append(lease, "step.finished"))
    assert await verify(store, rig.keyring, lease.run) == []


async def test_a_read_only_file_says_so(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    writing(store).execute("PRAGMA query_only = ON")
    error = await refused(store.append(rig.append(lease, "step.finished")), "store_unavailable")
    assert "read-only" in error.why
    assert "writable" in error.remedy
    assert len(await store.events(lease.run)) == 1, "reading goes on"
    writing(store).execute("PRAGMA query_only = OFF")
    await store.append(rig.append(lease, "step.finished"))


async def test_a_commit_that_fails_fails_everybody_in_it_once(rig: Rig) -> None:
    failing = False

    def crash(moment: Literal["before", "after"]) -> None:
        if failing and moment == "before":
            raise OSError("the disk is gone")

    options = StoreOptions(now=rig.now, keys=rig.keyring, worker="one", crash=crash)
    store = SqliteStore(Path(rig.url.removeprefix("sqlite:///")), options)
    await store.open()
    leases = [await rig.held(store) for _ in range(3)]
    failing = True
    done = await outcomes(*(store.append(rig.append(lease, "step.finished")) for lease in leases))
    assert [type(outcome) for outcome in done] == [OSError] * 3
    failing = False
    for lease in leases:
        await store.append(rig.append(lease, "step.finished"))
        assert [event.seq for event in await store.events(lease.run)] == [1, 2]
    await store.close()


async def test_a_damaged_file_is_named_as_such(path: Path, rig: Rig) -> None:
    path.write_bytes(b"this is no database, but a letter that somebody saved under its name" * 100)
    error = await refused(rig.store(), "store_unavailable")
    assert "not a database" in error.why
    assert str(path) in error.what


async def test_damage_found_while_working_is_named_as_such(rig: Rig, path: Path) -> None:
    store = await rig.store()
    await asyncio.gather(*(rig.held(store) for _ in range(200)))
    await rig.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    path.write_bytes(content)
    found: list[BaseException] = []
    try:
        again = await rig.store("two")
        await again.runs(RunFilter(limit=500))
        await again.claim(10)
    except SurefootError as error:
        found.append(error)
    assert [type(error) for error in found] == [StoreUnavailable]


async def test_another_programs_database_is_not_touched(path: Path, rig: Rig) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE customers (name TEXT)")
    other.commit()
    error = await refused(rig.store(), "store_unavailable")
    assert "another program" in error.why
    assert [name for (name,) in other.execute("SELECT name FROM sqlite_schema")] == ["customers"]
    other.close()


async def test_a_missing_folder_is_made_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "state.db"
    rig = Rig(f"sqlite:///{path}")
    await rig.store()
    if sys.platform != "win32":
        for file in (path, path.with_name("state.db-wal")):
            assert file.stat().st_mode & 0o077 == 0, "journals hold customers' words"
    await rig.close()


async def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    rig = Rig(f"sqlite:///{tmp_path}/file/state.db")
    error = await refused(rig.store(), "store_unavailable")
    assert error.remedy


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    rig = Rig(f"sqlite:///{path}")
    store = await rig.store()
    await rig.close()
    with pytest.raises(StoreError, match="not open"):
        await store.run("any")


async def test_closing_waits_for_what_is_queued(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    queued = [asyncio.ensure_future(store.append(rig.append(lease, "step.finished"))) for _ in range(20)]
    await asyncio.sleep(0)
    await rig.close()
    await asyncio.gather(*queued)
    again = await rig.store("two")
    assert len(await again.events(lease.run)) == 21


async def test_an_sqlite_that_is_too_old_says_so(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    error = await refused(rig.store(), "store_unavailable")
    assert "3.38 is needed" in error.why


def test_two_that_open_a_new_file_at_once_both_can(path: Path) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(4)

    def open_it() -> None:
        start.wait()
        try:
            schema.upgrade(path)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert schema.schema_version(path) == schema.newest()


async def test_a_burst_is_committed_in_few_transactions(rig: Rig) -> None:
    store = await rig.store()
    leases = await asyncio.gather(*(rig.held(store) for _ in range(100)))
    assert isinstance(store, SqliteStore)
    assert store._parts is not None
    committer = store._parts[2]
    before = committer.commits
    await asyncio.gather(
        *(store.append(rig.append(lease, "step.finished")) for lease in leases for _ in range(5))
    )
    assert committer.commits - before <= 2


async def test_a_slow_disk_does_not_hold_up_the_loop(rig: Rig) -> None:
    """Commits that take long are made in the other thread, also when there is only one."""
    options = StoreOptions(now=rig.now, keys=rig.keyring, worker="slow", crash=lambda _: time.sleep(0.01))
    store = SqliteStore(Path(rig.url.removeprefix("sqlite:///")), options)
    await store.open()
    lease = await rig.held(store)
    for _ in range(5):
        await store.append(rig.append(lease, "step.finished"))
    waiting = asyncio.ensure_future(store.append(rig.append(lease, "step.finished")))
    turns = 0
    while not waiting.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10
    await store.close()
