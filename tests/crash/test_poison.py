"""A run that kills whoever drives it: it ends in review, and its neighbours end well."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from crash import judge, poison
from crash.processes import Dead, Place, until
from surefoot import Approve, Deny, Runtime, Settle

PROGRAM = "crash.poison:flow"
MOST_RESTARTS = 25


def _submit(place: Place, *jobs: tuple[str, str]) -> None:
    async def submit() -> None:
        async with Runtime(poison.flow, place.store, drive=False) as runtime:
            for name, does in jobs:
                await runtime.start({"name": name, "does": does}, key=name)

    asyncio.run(submit())


def _restarted_until_it_ends(place: Place) -> tuple[int, Dead]:
    """What a supervisor does. (How often the process was killed, how the last one ended.)"""
    for kills in range(MOST_RESTARTS):
        end = place.do("work", program=PROGRAM)
        if not end.killed:
            return kills, end
    raise AssertionError(f"it was killed {MOST_RESTARTS} times, and would be for ever")


def _stand(place: Place) -> dict[str, tuple[str, str]]:
    """(status, what its open item is about) of each run."""
    found = {}
    for key, run in judge.read(place.store, poison.flow).items():
        assert judge.broken(run, place.world, poison.flow) == [], key
        items = run.state.open_items()
        found[key] = (run.row.status, items[0].request.about if items else "")  # type: ignore[union-attr]
    return found


SET_ASIDE = ("waiting", "poisoned")
DONE = ("succeeded", "")


@pytest.mark.parametrize("does", ["dies_in_step", "dies_in_tool", "dies_late"])
def test_a_run_that_kills_its_process_is_set_aside(does: str, place: Place) -> None:
    neighbours = [(f"good-{n}", "quick") for n in range(5)]
    _submit(place, *neighbours, ("bad", does))
    kills, end = _restarted_until_it_ends(place)
    assert end.code == 0, end
    assert kills <= 5
    assert _stand(place) == {"bad": SET_ASIDE} | {name: DONE for name, _ in neighbours}


@pytest.mark.parametrize("does", ["dies_in_step", "dies_in_tool"])
def test_neighbours_that_never_come_to_anything_beside_it_are_not_taken_for_it(
    does: str, place: Place
) -> None:
    neighbours = [(f"slow-{n}", "slow") for n in range(4)]
    _submit(place, *neighbours[:2], ("bad", does), *neighbours[2:])
    _kills, end = _restarted_until_it_ends(place)
    assert end.code == 0, end
    assert _stand(place) == {"bad": SET_ASIDE} | {name: DONE for name, _ in neighbours}


def test_several_of_them_are_set_aside_one_by_one(place: Place) -> None:
    bad = [(f"bad-{n}", does) for n, does in enumerate(["dies_in_step", "dies_in_tool", "dies_in_step"])]
    neighbours = [(f"slow-{n}", "slow") for n in range(3)]
    _submit(place, *bad, *neighbours)
    _kills, end = _restarted_until_it_ends(place)
    assert end.code == 0, end
    assert _stand(place) == {name: SET_ASIDE for name, _ in bad} | {name: DONE for name, _ in neighbours}


def test_a_person_may_fail_it(place: Place) -> None:
    _submit(place, ("bad", "dies_in_step"))
    _restarted_until_it_ends(place)
    (run,) = judge.read(place.store, poison.flow).values()
    (item,) = run.state.open_items()

    async def deny() -> None:
        async with Runtime(poison.flow, place.store, drive=False) as runtime:
            await runtime.decide(item.id, Deny(by="kim", reason="it kills us"))

    asyncio.run(deny())
    assert place.do("work", program=PROGRAM).code == 0
    (run,) = judge.read(place.store, poison.flow).values()
    assert run.row.status == "failed"
    assert run.state.error is not None
    assert run.state.error["code"] == "poisoned"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_call_that_can_be_looked_up_happens_once_wherever_it_is_cut_off(moment: str, place: Place) -> None:
    _submit(place, ("one", f"once {moment}"))
    assert place.do("work", program=PROGRAM).killed
    assert place.do("work", program=PROGRAM).code == 0
    assert _stand(place) == {"one": DONE}
    assert len(place.world.rows("done", "once")) == 1
    assert len(place.world.rows("attempt", "once")) == (2 if moment == "before" else 1)


@pytest.mark.parametrize(
    ("moment", "decision"), [("before", Approve(by="kim")), ("after", Settle("it did", by="kim"))]
)
def test_a_call_that_nobody_can_look_up_waits_for_a_person(moment: str, decision: Any, place: Place) -> None:
    _submit(place, ("one", f"blind {moment}"))
    assert place.do("work", program=PROGRAM).killed
    for _ in range(2):  # not by the next process, and not by the one after it
        assert place.do("work", program=PROGRAM).code == 0
        assert _stand(place) == {"one": ("waiting", "unknown")}
    assert len(place.world.rows("attempt", "blind")) == 1
    (run,) = judge.read(place.store, poison.flow).values()
    (item,) = run.state.open_items()

    async def decide() -> None:
        async with Runtime(poison.flow, place.store, drive=False) as runtime:
            await runtime.decide(item.id, decision)

    asyncio.run(decide())
    assert place.do("work", program=PROGRAM).code == 0
    assert _stand(place) == {"one": DONE}
    assert len(place.world.rows("done", "blind")) == 1


def _stopped_in_the_middle(place: Place, number: int, **options: Any) -> None:
    entered = len(place.world.rows("enter"))
    process = place.start("serve", program=PROGRAM, **options)
    until(lambda: len(place.world.rows("enter")) > entered, "the step is under way")
    process.send(number)
    process.end()


def test_a_process_that_is_stopped_in_good_order_is_no_sign_of_poison(place: Place) -> None:
    """A step may take longer than the time between two deployments."""
    _submit(place, ("patient", "long"))
    for _ in range(8):
        _stopped_in_the_middle(place, signal.SIGTERM)
    place.world.say("flag", "go")
    assert place.do("work", program=PROGRAM).code == 0
    assert _stand(place) == {"patient": DONE}
