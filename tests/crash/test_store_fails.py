"""A worker whose store fails: nothing is done without an intent, the error is clear, nothing is lost."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator

import pytest

from crash import judge, many, poison
from crash.driver import FILE_SIZE, PATIENCE
from crash.processes import Living, Place, until

PROGRAM = "crash.poison:flow"
LONG = {"long": {"name": "long", "does": "long"}}


@contextlib.contextmanager
def locked(place: Place) -> Iterator[None]:
    """As a database browser does it that keeps a transaction open."""
    connection = sqlite3.connect(place.folder / "state.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def _entered(place: Place, patience: float) -> Living:
    """A process in the middle of a step that acts as soon as the flag "go" is there."""
    process = place.start("serve", program=PROGRAM, inputs=LONG, environ={PATIENCE: str(patience)})
    until(lambda: place.world.rows("enter"), "the step is under way")
    return process


def _ends_well(place: Place) -> None:
    assert place.do("work", program=PROGRAM).code == 0
    (run,) = judge.read(place.store, poison.flow).values()
    assert run.row.status == "succeeded"
    assert judge.broken(run, place.world, poison.flow) == []
    assert len(place.world.rows("done")) == 1


def test_a_store_that_is_locked_for_too_long_stops_the_act_and_says_why(place: Place) -> None:
    process = _entered(place, patience=0.3)
    with locked(place):
        place.world.say("flag", "go")
        end = process.end()
    assert end.code == 1, end
    error = end.said["error"]
    assert error["code"] == "store_unavailable"
    assert "locked" in error["why"]
    assert error["remedy"]
    assert place.world.rows("attempt") == [], "it acted without an intent on disk"
    _ends_well(place)


def test_a_store_that_is_locked_for_a_while_is_waited_for(place: Place) -> None:
    process = _entered(place, patience=20)
    with locked(place):
        place.world.say("flag", "go")
        time.sleep(0.3)  # the lock is the other's: what is to be shown is that nothing happens meanwhile
        assert place.world.rows("attempt") == []
    until(lambda: judge.read(place.store, poison.flow)["long"].state.is_ended, "the run goes on")
    process.send(15)
    assert process.end().code == 0
    _ends_well(place)


@pytest.mark.parametrize("kilobytes", [80, 150, 300])
def test_a_disk_that_is_full_stops_everything_and_loses_nothing(kilobytes: int, place: Place) -> None:
    inputs = {f"job-{number}": {"number": number} for number in range(100)}
    process = place.start(
        "serve",
        program="crash.many:flow",
        inputs=inputs,
        concurrency=20,
        environ={FILE_SIZE: str(kilobytes * 1024)},
    )
    end = process.end()
    assert end.code == 1, end
    assert end.said["error"]["code"] == "store_unavailable"
    assert end.said["error"]["remedy"]

    # There is room again: whatever was submitted ends, and what was not can be submitted again.
    process = place.start("serve", program="crash.many:flow", inputs=inputs, concurrency=20)
    until(
        lambda: sum(run.state.is_ended for run in judge.read(place.store, many.flow).values()) == 100,
        "all have ended",
    )
    process.send(15)
    assert process.end().code == 0
    runs = judge.read(place.store, many.flow)
    lines = [line for run in runs.values() for line in judge.broken(run, place.world, many.flow)]
    assert lines == []
    for name in ("charge", "send"):
        numbers = [row.args["number"] for row in place.world.rows("done", name)]
        assert sorted(numbers) == list(range(100))


def test_a_store_that_cannot_be_made_is_a_clear_error(place: Place) -> None:
    (place.folder / "file").write_text("no folder")
    store = f"sqlite:///{place.folder}/file/state.db"
    end = place.do("run", program=PROGRAM, store=store, key="a", input=LONG["long"])
    assert end.code == 1
    assert end.said["error"]["code"] == "store_unavailable"
    assert place.world.rows() == []
