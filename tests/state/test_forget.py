"""Forgetting: what is deleted is in no file any more, what stays still verifies, and nothing is done by halves."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot.errors import KeyUnavailable, StoreUnavailable
from surefoot.state import forgetting
from surefoot.state.audit import verify
from surefoot.state.conformance import Rig
from surefoot.state.conformance.rig import refused
from surefoot.state.sealing import Keyring
from surefoot.state.store import Lease, Record, RunChange, Store

pytestmark = pytest.mark.anyio

PLANTED = b"kim@planted.example"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(f"sqlite:///{tmp_path}/state.db")
    yield rig
    await rig.close()


def file_of(rig: Rig) -> Path:
    return Path(rig.url.removeprefix("sqlite:///"))


def told(rig: Rig) -> Record:
    return Record("run.forgotten", 1, rig.time, '{"by":"kim"}')


async def ended(rig: Rig, store: Store, name: str, *, key: str | None = None) -> bytes:
    """A run that has ended, with sealed events and a summary that grew; returns its wrapped key."""
    data_key = rig.keyring.new_run_key()
    lease: Lease = await rig.held(
        store, id=name, data_key=data_key.wrapped, key=key, key_view="[email-1]" if key else None
    )
    for turn in range(3):
        sealed = data_key.seal(PLANTED + b" and more of it" * turn, name.encode())
        change = RunChange(status="running", summary='{"note":"' + "x" * 200 * turn + '"}')
        await store.append(rig.append(lease, "step.started", change=change))
        await store.append(type(rig.append(lease))(lease, (rig.record("call.returned", sealed=sealed),)))
    await store.append(rig.append(lease, "run.finished", change=RunChange(status="succeeded", release=True)))
    return data_key.wrapped


def everything(rig: Rig) -> bytes:
    files = [file for file in file_of(rig).parent.iterdir() if file.is_file()]
    return b"".join(file.read_bytes() for file in files)


def pieces(wrapped: bytes) -> list[bytes]:
    """A value may lie across the end of a page: then at least one of these is whole."""
    return [wrapped[start : start + 15] for start in range(0, 60, 15)]


async def test_a_forgotten_key_is_in_no_file_while_others_work(rig: Rig) -> None:
    store, other = await rig.store(), await rig.store("other")
    keys = [await ended(rig, store, f"run-a{number}") for number in range(40)]
    held = await rig.held(other)
    for wrapped in keys:
        assert wrapped in everything(rig)
    for number in range(0, 40, 3):
        assert await store.forget(f"run-a{number}", told(rig))
    await other.append(rig.append(held, "step.finished"))
    assert await store.prove_forgotten(5) == 14
    found = everything(rig)
    for number, wrapped in enumerate(keys):
        left = [piece for piece in pieces(wrapped) if piece in found]
        assert bool(left) == (number % 3 != 0), number
    assert PLANTED not in found
    for number in range(40):
        assert await verify(store, rig.keyring, f"run-a{number}") == []
    await other.append(rig.append(held, "step.finished"))


async def test_what_is_exact_goes_and_how_it_ended_stays(rig: Rig) -> None:
    store = await rig.store()
    await ended(rig, store, "run-a", key="kim@planted.example-1")
    await store.post("run-a", "retry", '{"by":""}', b"sealed")
    claimed = await store.claim(1, run="run-a")
    error = await refused(store.forget("run-a", told(rig)), "run_not_finished")
    assert "held" in error.what
    await rig.release(store, claimed[0].lease, status="succeeded")
    assert await store.forget("run-a", told(rig))
    row = await store.run("run-a")
    assert row is not None
    assert (row.data_key, row.input_digest, row.key, row.due, row.mail) == (None, "", None, None, 0)
    assert (row.status, row.forgotten, row.seq) == ("succeeded", rig.time, 9)
    assert (await store.events("run-a"))[-1].kind == "run.forgotten"
    assert await store.claim(5) == []
    with pytest.raises(KeyUnavailable, match="gone"):
        rig.keyring.unwrap(row.data_key or b"")
    await refused(store.post("run-a", "retry", "{}"), "key_unavailable")
    await refused(store.note("run-a", told(rig)), "key_unavailable")
    again = await store.submit(rig.new_run(key="kim@planted.example-1", input_digest="other"))
    assert (again.run, again.created, again.same_input) == ("run-a", False, True), (
        "the work is not done again"
    )
    assert not await store.forget("run-a", told(rig)), "again is no mistake"
    assert (await store.run("run-a")) == row


async def test_a_run_that_has_not_ended_is_not_forgotten(rig: Rig) -> None:
    store = await rig.store()
    lease = await rig.held(store)
    error = await refused(store.forget(lease.run, told(rig)), "run_not_finished")
    assert "cancel" in error.remedy
    await rig.release(store, lease)
    await refused(store.forget(lease.run, told(rig)), "run_not_finished")
    await refused(store.forget("nobody", told(rig)), "run_not_found")


async def test_a_pruned_run_can_be_forgotten_and_a_forgotten_one_pruned(rig: Rig) -> None:
    store = await rig.store()
    keys = [await ended(rig, store, "run-a"), await ended(rig, store, "run-b")]
    await store.forget("run-b", told(rig))
    await store.prune(rig.later(100))
    assert await store.forget("run-a", told(rig))
    await store.prove_forgotten(5)
    for run in ("run-a", "run-b"):
        row = await store.run(run)
        assert row is not None
        assert row.pruned
        assert row.forgotten
        assert await verify(store, rig.keyring, run) == []
    assert not any(piece in everything(rig) for wrapped in keys for piece in pieces(wrapped))
    connection = sqlite3.connect(file_of(rig))
    connection.execute("UPDATE runs SET forgotten = NULL WHERE id = 'run-a'")
    connection.commit()
    connection.close()
    assert [one.problem for one in await verify(store, rig.keyring, "run-a")] == ["signature"]


async def test_a_reader_holds_up_the_proof_and_the_same_command_makes_it_later(rig: Rig) -> None:
    store = await rig.store()
    wrapped = await ended(rig, store, "run-a")
    reader = sqlite3.connect(file_of(rig))
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    assert await store.forget("run-a", told(rig))
    with pytest.raises(StoreUnavailable, match="write-ahead log") as caught:
        await store.prove_forgotten(0.3)
    assert "run the same command again" in caught.value.remedy
    assert any(piece in everything(rig) for piece in pieces(wrapped)), "the reader's snapshot has it still"
    reader.close()
    assert await store.prove_forgotten(5) == 1
    assert not any(piece in everything(rig) for piece in pieces(wrapped))
    assert await store.prove_forgotten(5) == 0


async def test_a_store_that_leaves_deleted_bytes_is_rebuilt(rig: Rig) -> None:
    """As an older Surefoot has left it: without secure_delete."""
    store = await rig.store()
    wrapped = await ended(rig, store, "run-a")
    await rig.close()
    path = file_of(rig)
    careless = sqlite3.connect(path)
    careless.execute("PRAGMA secure_delete = OFF")
    careless.execute("CREATE TABLE copies AS SELECT data_key FROM runs")
    careless.execute("DROP TABLE copies")
    careless.commit()
    careless.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    careless.close()
    assert path.read_bytes().count(wrapped) == 2
    store = await rig.store()
    await store.forget("run-a", told(rig))
    await store.prove_forgotten(5)
    assert not any(piece in everything(rig) for piece in pieces(wrapped))


async def test_a_copy_beside_the_database_is_found(rig: Rig) -> None:
    store = await rig.store()
    await ended(rig, store, "run-a")
    forgetting.cut_log(file_of(rig), 5)
    copy = file_of(rig).with_name("state.db.bak")
    copy.write_bytes(file_of(rig).read_bytes())
    await store.forget("run-a", told(rig))
    with pytest.raises(StoreUnavailable, match=r"state\.db\.bak"):
        await store.prove_forgotten(5)
    copy.unlink()
    assert await store.prove_forgotten(5) == 1


CHILD = """
import asyncio, os, sys
from surefoot.state.crash import CrashPoint
from surefoot.state.opening import make_store
from surefoot.state.sealing import Keyring
from surefoot.state.store import Record

async def main():
    ring = Keyring([bytes.fromhex(sys.argv[2])])
    store, _ = make_store(sys.argv[1], now=lambda: 1_800_000_000_000_000, worker="child", keyring=ring,
                          crash=CrashPoint.from_env(os.environ))
    await store.open()
    await store.forget("run-a", Record("run.forgotten", 1, 1_800_000_000_000_000, "{}"))
    await store.prove_forgotten(5)
    await store.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("moment", ["1.before", "1", "2.before", "2"])
async def test_killed_at_any_commit_it_is_done_by_the_next_try(rig: Rig, moment: str) -> None:
    key = os.urandom(32)
    rig.keyring = Keyring([key])
    store = await rig.store()
    wrapped = await ended(rig, store, "run-a")
    await rig.close()
    environ = {**os.environ, "SUREFOOT_TESTING": "1", "SUREFOOT_CRASH_AT": moment}
    command = [sys.executable, "-c", CHILD, rig.url, key.hex()]
    died = subprocess.run(command, env=environ, capture_output=True, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    store = await rig.store()
    row = await store.run("run-a")
    assert row is not None
    assert (row.forgotten is None) == (row.data_key is not None) == (moment == "1.before")
    assert await verify(store, rig.keyring, "run-a") == []
    assert await store.forget("run-a", told(rig)) == (moment == "1.before")
    await store.prove_forgotten(5)
    assert not any(piece in everything(rig) for piece in pieces(wrapped))
    assert await verify(store, rig.keyring, "run-a") == []
