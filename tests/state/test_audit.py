"""Whoever changes a journal behind the store's back is found out."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from surefoot.state.audit import Finding, verify
from surefoot.state.chain import event_hash
from surefoot.state.conformance import Rig
from surefoot.state.sealing import Keyring
from surefoot.state.store import Append

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(f"sqlite:///{tmp_path}/state.db")
    yield rig
    await rig.close()


async def two_runs(rig: Rig) -> None:
    """`run-1` and `run-2`, each with four events, closed."""
    store = await rig.store()
    for _ in range(2):
        lease = await rig.held(store)
        await store.append(rig.append(lease, "step.started", "step.finished"))
        await store.append(Append(lease, (rig.record("call.returned", sealed=b"sealed"),)))
    await rig.close()


async def findings_after(
    rig: Rig, change: Callable[[sqlite3.Connection], None], run: str = "run-1"
) -> list[Finding]:
    await two_runs(rig)
    connection = sqlite3.connect(rig.url.removeprefix("sqlite:///"))
    change(connection)
    connection.commit()
    connection.close()
    store = await rig.store("auditor")
    other = "run-2" if run == "run-1" else "run-1"
    assert await verify(store, rig.keyring, other) == [], "only the changed run is named"
    return await verify(store, rig.keyring, run)


@pytest.mark.parametrize(
    "assignment",
    [
        "view = replace(view, 'a', 'b')",
        "at = at + 1",
        "kind = 8",
        "version = 2",
        "sealed = x'00'",
        "sealed = x''",
        "hash = zeroblob(32)",
    ],
)
async def test_any_changed_column_is_found(rig: Rig, assignment: str) -> None:
    found = await findings_after(
        rig, lambda c: c.execute(f"UPDATE events SET {assignment} WHERE run = 1 AND seq = 3") and None
    )
    assert ("changed", 3) in [(finding.problem, finding.seq) for finding in found]


async def test_an_opened_seal_is_found(rig: Rig) -> None:
    found = await findings_after(
        rig, lambda c: c.execute("UPDATE events SET sealed = NULL WHERE run = 1 AND seq = 4") and None
    )
    assert [(finding.problem, finding.seq) for finding in found] == [("changed", 4)]


async def test_a_removed_event_is_found(rig: Rig) -> None:
    found = await findings_after(
        rig, lambda c: c.execute("DELETE FROM events WHERE run = 1 AND seq = 2") and None
    )
    assert [(finding.problem, finding.seq) for finding in found] == [("gap", 2)]


async def test_a_cut_off_end_is_found(rig: Rig) -> None:
    found = await findings_after(
        rig, lambda c: c.execute("DELETE FROM events WHERE run = 1 AND seq > 2") and None
    )
    assert [(finding.problem, finding.seq) for finding in found] == [("cut_off", 2)]


async def test_a_cut_off_end_with_the_row_set_to_match_is_found(rig: Rig) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM events WHERE run = 1 AND seq > 2")
        connection.execute(
            "UPDATE runs SET seq = 2, head = (SELECT hash FROM events WHERE run = 1 AND seq = 2) "
            "WHERE row = 1"
        )

    assert [finding.problem for finding in await findings_after(rig, change)] == ["signature"]


async def test_a_forged_chain_is_found(rig: Rig) -> None:
    """Somebody who knows how it is hashed rewrites the last event and its hash, and the head."""

    def change(connection: sqlite3.Connection) -> None:
        (before,) = connection.execute("SELECT hash FROM events WHERE run = 1 AND seq = 3").fetchone()
        (at,) = connection.execute("SELECT at FROM events WHERE run = 1 AND seq = 4").fetchone()
        forged = event_hash(before, b"run-1", 4, at, b"call.returned", 1, b'{"step":"z"}', b"sealed")
        connection.execute(
            'UPDATE events SET view = \'{"step":"z"}\', hash = ? WHERE run = 1 AND seq = 4', (forged,)
        )
        connection.execute("UPDATE runs SET head = ? WHERE row = 1", (forged,))

    assert [finding.problem for finding in await findings_after(rig, change)] == ["signature"]


async def test_an_added_event_is_found(rig: Rig) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO events SELECT run, 5, at, kind, version, view, sealed, hash FROM events "
            "WHERE run = 1 AND seq = 4"
        )

    problems = [finding.problem for finding in await findings_after(rig, change)]
    assert set(problems) == {"changed"}


async def test_another_runs_journal_in_its_place_is_found(rig: Rig) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM events WHERE run = 1")
        connection.execute(
            "INSERT INTO events SELECT 1, seq, at, kind, version, view, sealed, hash FROM events "
            "WHERE run = 2"
        )
        connection.execute(
            "UPDATE runs SET (seq, head, signature) = (SELECT seq, head, signature FROM runs WHERE row = 2) "
            "WHERE row = 1"
        )

    problems = {finding.problem for finding in await findings_after(rig, change)}
    assert problems == {"signature", "changed"}


async def test_calling_a_journal_pruned_does_not_hide_that_it_is_gone(rig: Rig) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM events WHERE run = 1")
        connection.execute("UPDATE runs SET pruned = 1 WHERE row = 1")

    assert [finding.problem for finding in await findings_after(rig, change)] == ["signature"]


async def test_renamed_kinds_are_found(rig: Rig) -> None:
    await two_runs(rig)
    connection = sqlite3.connect(rig.url.removeprefix("sqlite:///"))
    connection.execute("UPDATE kinds SET name = 'step.skipped' WHERE name = 'step.finished'")
    connection.commit()
    connection.close()
    store = await rig.store("auditor")
    assert [finding.seq for finding in await verify(store, rig.keyring, "run-1")] == [3]


async def test_a_missing_run_and_a_missing_key_are_named(rig: Rig) -> None:
    await two_runs(rig)
    store = await rig.store("auditor")
    assert [finding.problem for finding in await verify(store, rig.keyring, "nobody")] == ["no_run"]
    assert [finding.problem for finding in await verify(store, Keyring.generate(), "run-1")] == ["signature"]
