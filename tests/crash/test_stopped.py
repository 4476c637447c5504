"""A process that is stopped in the middle of an effect, believed dead, and wakes up."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from crash import judge, slow
from crash.judge import Read
from crash.processes import Living, Place, until
from marks import quick_or_slow
from surefoot import Approve, Runtime, Settle
from surefoot.core import events as e

LEASE = 0.6
QUICK = ("keyed_async", "keyed_plain", "once_async", "once_plain", "once_async_early", "blind_async")
NAMES = quick_or_slow(sorted(slow.flows), QUICK)


def _begin(place: Place, name: str) -> Living:
    """A process that drives a run until its tool is in the middle of it."""
    first = place.start("serve", program=f"crash.slow:{name}", inputs={"one": {"name": "one"}}, lease=LEASE)
    what = "done" if name.endswith("early") else "attempt"
    until(lambda: place.world.rows(what, name), "the tool is in the middle of it")
    return first


def _go(place: Place) -> None:
    place.world.say("flag", "go")


def _read(place: Place, name: str, key: str = "one") -> Read:
    return judge.read(place.store, slow.flows[name])[key]


def _other(place: Place, name: str, key: str = "one", **options: Any) -> Living:
    return place.start(
        "run", program=f"crash.slow:{name}", key=key, input={"name": key}, lease=LEASE, **options
    )


async def _decide(place: Place, name: str, item: str, decision: Any) -> None:
    async with Runtime(slow.flows[name], place.store, drive=False) as runtime:
        await runtime.decide(item, decision)


def _finish(place: Place, name: str, second: Living) -> None:
    """The second process ends the run; where nobody can look up what happened, a person has done it."""
    end = second.end()
    if name.startswith("blind"):
        assert end.code == 3, end
        (item,) = end.said["waiting_for"]
        assert item["kind"] == "unknown"
        happened = bool(place.world.rows("done", name))
        asyncio.run(_decide(place, name, item["item"], Settle("did one") if happened else Approve(by="kim")))
        end = _other(place, name).end()
    assert end.code == 0, end
    assert end.said["output"] == "did one, and told"


@pytest.mark.parametrize("name", NAMES)
def test_a_process_that_wakes_up_acts_no_more(name: str, place: Place) -> None:
    first = _begin(place, name)
    first.send(signal.SIGSTOP)
    second = _other(place, name)
    run = until(lambda: (r := _read(place, name)).row.epoch > 1 and r, "another process has taken the run up")
    intent = run.last(e.CallIntended)[0].event
    _go(place)
    _finish(place, name, second)

    before = place.world.rows()
    first.send(signal.SIGCONT)

    # It goes on to work for others: this run nobody else is there to drive.
    async def submit() -> str:
        async with Runtime(slow.flows[name], place.store, drive=False) as runtime:
            return (await runtime.start({"name": "two"}, key="two")).id

    asyncio.run(submit())
    until(lambda: _read(place, name, "two").state.is_ended, "the woken process has done another run")
    assert {row.pid for row in place.world.rows("attempt") if row.args == {"name": "two"}} == {first.pid}

    new = [row for row in place.world.rows() if row.n > before[-1].n and row.args != {"name": "two"}]
    late = [row.what for row in new if row.run == run.row.id]
    # Nothing stops a thread in the middle of a call; what it may do twice it is let do.
    assert late == (["done"] if name == "idempotent_plain" else [])
    run = _read(place, name)
    assert judge.broken(run, place.world, slow.flows[name]) == []
    if slow.flows[name].tools[name].effect.value == "once":
        again = [row for row in place.world.rows(name=name, run=run.row.id) if row.pid != first.pid]
        assert all(row.at >= intent.deadline for row in again), (
            "it was touched before its deadline had passed"
        )
    first.send(signal.SIGTERM)
    end = first.end()
    assert end.code == 0, end
    assert "Traceback" not in end.log, end.log


def test_what_stood_behind_a_held_up_call_acts_no_more(place: Place) -> None:
    """The loop had its turn lined up already when the process was stopped: it comes before any timer."""
    first = place.start("serve", program="crash.slow:held_up", inputs={"one": {"name": "one"}}, lease=LEASE)
    until(lambda: len(place.world.rows("attempt")) == 2, "both tools have begun")
    first.send(signal.SIGSTOP)
    second = place.start("run", program="crash.slow:held_up", key="one", input={"name": "one"}, lease=LEASE)
    until(lambda: judge.read(place.store, slow.held_up)["one"].row.epoch > 1, "another process has it")
    _go(place)
    end = second.end()
    assert end.said["output"] == ["did one", "did one"], end
    first.send(signal.SIGCONT)
    first.send(signal.SIGTERM)
    assert first.end().code == 0
    (run,) = judge.read(place.store, slow.held_up).values()
    assert judge.broken(run, place.world, slow.held_up) == []
    assert {row.pid for row in place.world.rows("done", "behind")} == {second.pid}


def test_a_call_in_a_process_of_its_own_dies_with_its_worker(place: Place) -> None:
    """Else it would act after the lock has proved that nobody does any more."""
    first = place.start("serve", program="crash.slow:isolated", inputs={"one": {"name": "one"}})
    until(lambda: place.world.rows("attempt"), "the tool has begun")
    first.send(signal.SIGKILL)
    first.end()
    second = place.start("run", program="crash.slow:isolated", key="one", input={"name": "one"})
    until(lambda: len(place.world.rows("attempt")) == 2, "another process makes the call")
    _go(place)
    assert second.end().said["output"] == "did one, and told"
    (run,) = judge.read(place.store, slow.isolated).values()
    assert judge.broken(run, place.world, slow.isolated) == []
    assert len(place.world.rows("done")) == 1


def test_a_call_in_a_process_of_its_own_ends_at_its_deadline_also_where_its_worker_is_stopped(
    place: Place,
) -> None:
    first = place.start("serve", program="crash.slow:isolated", inputs={"one": {"name": "one"}}, lease=LEASE)
    until(lambda: place.world.rows("attempt"), "the tool has begun")
    first.send(signal.SIGSTOP)
    second = place.start("run", program="crash.slow:isolated", key="one", input={"name": "one"}, lease=LEASE)
    until(lambda: len(place.world.rows("attempt")) == 2, "another process makes the call")
    _go(place)
    assert second.end().said["output"] == "did one, and told"
    first.send(signal.SIGCONT)
    first.send(signal.SIGTERM)
    assert first.end().code == 0
    (run,) = judge.read(place.store, slow.isolated).values()
    assert judge.broken(run, place.world, slow.isolated) == []
    assert len(place.world.rows("done")) == 1


def test_a_process_that_is_held_up_for_longer_than_its_lease_loses_no_run(place: Place) -> None:
    """Nobody else is there to take them."""
    names = [*(f"block-{n}" for n in range(3)), *(f"quick-{n}" for n in range(8))]

    async def submit() -> None:
        async with Runtime(slow.crowded, place.store, drive=False) as runtime:
            for name in names:
                await runtime.start({"name": name}, key=name)

    asyncio.run(submit())
    end = place.do("work", program="crash.slow:crowded", lease=0.3)
    assert end.code == 0, end
    runs = judge.read(place.store, slow.crowded)
    lines = [line for run in runs.values() for line in judge.broken(run, place.world, slow.crowded)]
    assert lines == []
    assert {key: run.row.status for key, run in runs.items()} == dict.fromkeys(names, "succeeded")
    assert len(place.world.rows("done", "quick")) == 80


def test_an_ask_of_a_stopped_process_is_held_as_spent_and_asked_anew(place: Place) -> None:
    first = place.start("serve", program="crash.slow:asking", inputs={"one": {"name": "one"}}, lease=LEASE)
    until(lambda: place.world.rows("asked"), "the model has been asked")
    first.send(signal.SIGSTOP)
    second = place.start("run", program="crash.slow:asking", key="one", input={"name": "one"}, lease=LEASE)
    until(lambda: len(place.world.rows("asked")) == 2, "another process asks")
    _go(place)
    assert second.end().said["output"] == "Hm."
    first.send(signal.SIGCONT)
    first.send(signal.SIGTERM)
    end = first.end()
    assert end.code == 0, end
    (run,) = judge.read(place.store, slow.asking).values()
    assert judge.broken(run, place.world, slow.asking) == []
    assert [ask.status for ask in run.state.asks.values()] == ["held", "answered"]
    assert run.day_nanousd == judge.cost(run)
