"""Old files are brought up, new ones are refused, and no journal ever written becomes unreadable."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from surefoot.errors import StoreUnavailable, StoreVersion
from surefoot.state import schema
from surefoot.state.audit import verify
from surefoot.state.conformance import Rig
from surefoot.state.conformance.rig import refused
from surefoot.state.forgetting import clean
from surefoot.state.opening import make_store
from surefoot.state.rows import RunFilter
from surefoot.state.sealing import Keyring

pytestmark = pytest.mark.anyio

DATA = Path(__file__).with_name("data")


def add_migration(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, sql: str) -> None:
    """As if a newer Surefoot were installed."""
    if not folder.exists():
        shutil.copytree(schema.FOLDER, folder)
        monkeypatch.setattr(schema, "FOLDER", folder)
    (folder / "migrations" / f"{number:04}_later.sql").write_text(sql)


async def test_an_older_file_is_upgraded_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    rig = Rig(f"sqlite:///{path}")
    lease = await rig.held(await rig.store())
    await rig.close()
    number = schema.newest() + 1
    add_migration(
        tmp_path / "sql",
        monkeypatch,
        number,
        "CREATE TABLE later (a TEXT);\nINSERT INTO later VALUES ('x;');",
    )
    store = await rig.store()
    assert schema.schema_version(path) == number
    assert len(await store.events(lease.run)) == 1
    await rig.close()
    assert schema.upgrade(path) == (number, number)


async def test_an_upgrade_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    before = schema.upgrade(path)[1]
    rig = Rig(f"sqlite:///{path}")
    sql = "CREATE TABLE later (a TEXT);\nINSERT INTO nowhere VALUES (1);"
    add_migration(tmp_path / "sql", monkeypatch, before + 1, sql)
    await refused(rig.store(), "store")
    assert schema.schema_version(path) == before
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'later'").fetchall() == []
    connection.close()


async def test_a_newer_file_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    schema.upgrade(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    error = await refused(Rig(f"sqlite:///{path}").store(), "store_version")
    assert isinstance(error, StoreVersion)
    assert error.data["schema"] == 99
    assert "upgrade" in error.remedy.lower()
    assert schema.schema_version(path) == 99


def test_keys_that_lay_in_clear_are_digests_after_an_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.executescript((DATA / "0001.sql").read_text("utf-8"))
    connection.execute("UPDATE runs SET key = 'kim@planted.example' WHERE row = 1")
    connection.commit()
    connection.close()
    ring = Keyring.load(DATA / "0001.keys.json")
    with pytest.raises(StoreUnavailable, match="cannot be upgraded"):
        schema.upgrade(path)
    assert b"kim@planted.example" in path.read_bytes(), "nothing was changed"
    assert schema.upgrade(path, lambda: ring) == (1, schema.newest())
    clean(path, 5)
    for file in tmp_path.iterdir():
        assert b"kim@planted.example" not in file.read_bytes(), file
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT workflow, key FROM runs WHERE row = 1").fetchone()
    connection.close()
    assert found == ("desk", ring.key_digest("desk", "kim@planted.example"))


def test_a_missing_file_has_no_schema(tmp_path: Path) -> None:
    assert schema.schema_version(tmp_path / "none.db") is None
    assert schema.upgrade(tmp_path / "new" / "state.db") == (0, schema.newest())


@pytest.mark.parametrize("dump", sorted(DATA.glob("*.sql")), ids=lambda path: path.stem)
async def test_a_store_of_every_schema_so_far_can_be_read_checked_and_worked_on(
    dump: Path, tmp_path: Path
) -> None:
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.executescript(dump.read_text("utf-8"))
    connection.close()
    keyring = Keyring.load(dump.with_suffix(".keys.json"))
    store, _ = make_store(
        f"sqlite:///{path}", now=lambda: 1_900_000_000_000_000, worker="now", keyring=keyring
    )
    await store.open()
    rows = await store.runs(RunFilter())
    assert {row.status for row in rows} == {"queued", "waiting", "succeeded"}
    for row in rows:
        assert row.data_key is not None
        assert await verify(store, keyring, row.id) == []
        for event in await store.events(row.id):
            if event.sealed is not None:
                key = keyring.unwrap(row.data_key)
                assert key.open(event.sealed, row.id.encode()) == b'"exactly this"'
    assert [item.id for item in await store.items()] == ["item-1"]
    assert len(await store.mail("run-waiting")) == 1
    claimed = {one.lease.run for one in await store.claim(10)}
    assert claimed == {"run-queued", "run-waiting"}
    await store.close()
