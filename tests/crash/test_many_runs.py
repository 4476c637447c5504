"""Two hundred runs are under way when their process is killed."""

from __future__ import annotations

import random
import signal
import time

import pytest

from crash import judge, many
from crash.processes import Place, until

RUNS = 200
INPUTS = {f"job-{number}": {"number": number} for number in range(RUNS)}
PROGRAM = "crash.many:flow"


def _happened(place: Place) -> int:
    return len(place.world.rows("done"))


def _all_ended_well(place: Place) -> None:
    runs = judge.read(place.store, many.flow)
    assert sorted(runs) == sorted(INPUTS), "a run was lost"
    lines = [
        f"{key}: {line}" for key, run in runs.items() for line in judge.broken(run, place.world, many.flow)
    ]
    assert lines == []
    assert {run.row.status for run in runs.values()} == {"succeeded"}
    for name in ("charge", "send"):
        numbers = [row.args["number"] for row in place.world.rows("done", name)]
        assert sorted(numbers) == list(range(RUNS)), f"{name} did not happen once for each"
    day = next(iter(runs.values())).day_nanousd
    assert day == sum(judge.cost(run) for run in runs.values())


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_killed_in_the_middle_of_200_runs_loses_and_doubles_nothing(kills: int, place: Place) -> None:
    process = place.start("serve", program=PROGRAM, inputs=INPUTS, concurrency=50)
    until(lambda: len(judge.read(place.store, many.flow)) == RUNS, "all are submitted")
    for kill in range(1, kills + 1):
        enough = 3 * RUNS * kill // (kills + 1)
        until(lambda enough=enough: _happened(place) >= enough, "some of the work is done")
        process.send(signal.SIGKILL)
        assert process.end().killed
        done = _happened(place)
        started = time.perf_counter()
        process = place.start("work", program=PROGRAM, concurrency=50)
    end = process.end()
    seconds = time.perf_counter() - started
    assert end.code == 0, end
    print(f"\n{RUNS} runs, killed with {done} of {3 * RUNS} effects done: the rest took {seconds:.2f} s")
    _all_ended_well(place)


@pytest.mark.slow
@pytest.mark.hunting
def test_killed_again_and_again_at_any_moment(place: Place) -> None:
    """No crash point chosen, just the moment, until everything is done in spite of it."""
    chance = random.Random(7)
    place.start("serve", program=PROGRAM, inputs=INPUTS, concurrency=50)
    until(lambda: len(judge.read(place.store, many.flow)) == RUNS, "all are submitted")
    for living in place._living:
        living.send(signal.SIGKILL)
        living.end()
    for _ in range(60):
        process = place.start("work", program=PROGRAM, concurrency=50)
        time.sleep(chance.uniform(0.05, 0.6))
        if not process.alive:
            break
        process.send(signal.SIGKILL)
        process.end()
    assert place.do("work", program=PROGRAM, concurrency=50).code == 0
    _all_ended_well(place)
