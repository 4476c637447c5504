"""Store URLs, keys beside the file, and crash points from the environment."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from surefoot.errors import KeyUnavailable, UsageError
from surefoot.state.crash import CrashPoint
from surefoot.state.opening import make_store, place_of
from surefoot.state.store import NewRun, Record

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sqlite:///.surefoot/state.db", Path(".surefoot/state.db")),
        ("sqlite:////var/lib/state.db", Path("/var/lib/state.db")),
        ("sqlite:///with%20space.db", Path("with space.db")),
        ("memory:one", "one"),
    ],
)
def test_urls_name_a_place(url: str, place: object) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize(
    "url", ["", "x.db", "sqlite:", "sqlite:///", "sqlite://x.db", "sqlite:///a?b=c", "mysql://x"]
)
def test_other_urls_are_refused_with_an_example(url: str) -> None:
    with pytest.raises(UsageError, match="sqlite:///"):
        place_of(url)


def test_postgresql_is_named_as_not_there_yet() -> None:
    with pytest.raises(UsageError, match="PostgreSQL"):
        place_of("postgresql://localhost/surefoot")


def test_stores_in_memory_are_apart_unless_they_share_a_name() -> None:
    assert place_of("memory:") != place_of("memory:")


def now() -> int:
    return 1


async def test_keys_lie_beside_the_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    _, first = make_store(url, now=now, worker="a")
    _, second = make_store(url, now=now, worker="b")
    assert (tmp_path / "keys.json").exists()
    assert second.verify(b"x", first.sign(b"x"))


async def test_stores_of_one_name_in_memory_share_data_and_keys() -> None:
    one, first = make_store("memory:shared", now=now, worker="a")
    two, second = make_store("memory:shared", now=now, worker="b")
    assert first is second
    await one.open()
    await two.open()
    await one.heartbeat(10)
    assert [worker.id for worker in await two.workers()] == ["a"]
    await one.close()
    await two.close()


async def test_a_master_key_of_the_environment_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUREFOOT_MASTER_KEY", base64.b64encode(os.urandom(32)).decode())
    _, first = make_store(f"sqlite:///{tmp_path}/a/state.db", now=now, worker="a")
    _, second = make_store(f"sqlite:///{tmp_path}/b/state.db", now=now, worker="a")
    assert second.verify(b"x", first.sign(b"x"))
    assert list(tmp_path.rglob("keys.json")) == []


@pytest.mark.parametrize(
    ("environ", "commit", "moment"),
    [({"SUREFOOT_CRASH_AT": "3"}, 3, "after"), ({"SUREFOOT_CRASH_AT": "12.before"}, 12, "before")],
)
def test_a_crash_point_comes_from_the_environment(
    environ: Mapping[str, str], commit: int, moment: str
) -> None:
    point = CrashPoint.from_env({**environ, "SUREFOOT_TESTING": "1"})
    assert point is not None
    assert (point.commit, point.moment) == (commit, moment)
    with pytest.raises(UsageError, match="SUREFOOT_TESTING"):
        CrashPoint.from_env(environ)


def test_no_crash_point_is_the_rule() -> None:
    assert CrashPoint.from_env({}) is None
    assert CrashPoint.from_env({"SUREFOOT_CRASH_AT": "", "SUREFOOT_TESTING": "1"}) is None


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.after", "1.5", " 1"])
def test_a_crash_point_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="number of a commit"):
        CrashPoint.from_env({"SUREFOOT_CRASH_AT": text, "SUREFOOT_TESTING": "1"})


async def test_a_lost_key_ring_is_told_and_not_made_anew(tmp_path: Path) -> None:
    """A new ring would open none of the runs, and a worker would give them up one by one."""
    url = f"sqlite:///{tmp_path}/state.db"
    store, ring = make_store(url, now=now, worker="one")
    await store.open()
    key = ring.new_run_key()
    await store.submit(
        NewRun(
            "r1", "desk", "1", "f", None, "d", key.wrapped, (Record("run.submitted", 1, 1, "{}"),), "{}", 1
        )
    )
    await store.close()
    (tmp_path / "keys.json").unlink()
    with pytest.raises(KeyUnavailable, match=r"keys\.json is gone"):
        make_store(url, now=now, worker="two")
    assert not (tmp_path / "keys.json").exists()
    again, _ = make_store(url, now=now, worker="three", keyring=ring)
    await again.open()
    assert await again.run("r1") is not None
    await again.close()
