"""Two processes that want the same run at the same moment."""

from __future__ import annotations

import time
from typing import Any

import pytest

from crash import judge
from crash.processes import Place
from crash.program import ORDER, flow

COMMAND: dict[str, Any] = {
    "program": "crash.program:flow",
    "key": "order-77",
    "input": ORDER,
    "decide": {"edit": {"amount": 60}},
    "park_after": 0.01,
}


def race(place: Place, many: int, **command: Any) -> list[dict[str, Any]]:
    """What each of so many processes says that begin at the same moment."""
    begin = time.time() + 0.05 * many
    living = [place.start("run", begin=begin, **command) for _ in range(many)]
    ends = [one.end() for one in living]
    assert [end.code for end in ends] == [0] * many, ends
    return [end.said for end in ends]


@pytest.mark.parametrize("round_", range(6))
def test_two_processes_with_one_key_make_one_run_and_both_tell_its_end(round_: int, place: Place) -> None:
    """Also the store, its schema and its keys are made by whoever is first."""
    said = race(place, 2, **COMMAND)
    assert said[0] == said[1]
    (run,) = judge.read(place.store, flow).values()
    assert judge.broken(run, place.world, flow) == []
    attempts = [row.name for row in place.world.rows("attempt") if row.name in ("ship", "post", "pay")]
    assert sorted(attempts) == ["pay", "post", "ship"]


def test_a_crowd_with_one_key_makes_one_run(place: Place) -> None:
    said = race(place, 6, **COMMAND)
    assert all(one == said[0] for one in said)
    (run,) = judge.read(place.store, flow).values()
    assert judge.broken(run, place.world, flow) == []


def test_the_same_key_with_another_input_is_refused_and_touches_nothing(place: Place) -> None:
    begin = time.time() + 0.1
    one = place.start("run", begin=begin, **COMMAND)
    other = place.start("run", begin=begin, **{**COMMAND, "input": {**ORDER, "amount": 70}})
    ends = sorted([one.end(), other.end()], key=lambda end: end.code)
    assert [end.code for end in ends] == [0, 1]
    assert ends[1].said["error"]["code"] == "key_conflict"
    (run,) = judge.read(place.store, flow).values()
    assert judge.broken(run, place.world, flow) == []


@pytest.mark.parametrize("point", ["2", "9", "16.before", "23", "30.before"])
def test_of_two_processes_one_is_killed_and_the_other_goes_on(point: str, place: Place) -> None:
    """It waits for the other's run, and finds out by itself that nobody drives it any more."""
    begin = time.time() + 0.1
    dying = place.start("run", begin=begin, crash_at=point, lease=1.0, **COMMAND)
    other = place.start("run", begin=begin, lease=1.0, **COMMAND)
    dying.end()
    end = other.end()
    (run,) = judge.read(place.store, flow).values()
    assert judge.broken(run, place.world, flow) == []
    if end.code == 3:
        assert [item["kind"] for item in end.said["waiting_for"]] == ["unknown"]
    else:
        assert end.code == 0, end
        assert run.row.status == "succeeded"
