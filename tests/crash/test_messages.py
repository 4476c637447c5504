"""What a person said is not lost, wherever the process dies that takes it into the journal."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from crash import judge, messages
from crash.forks import Server
from crash.processes import Place
from marks import quick_or_slow
from surefoot import Approve, Deny, Edit, Runtime, Settle

PROGRAM = "crash.messages:flow"


def _decision(decision: Any) -> Callable[[Runtime, str], Awaitable[Any]]:
    async def decide(runtime: Runtime, run: str) -> None:
        (item,) = (await runtime.look(run)).waiting_for
        await runtime.decide(item.item, decision)

    return decide


async def _cancel(runtime: Runtime, run: str) -> None:
    await runtime.cancel(run, by="kim", reason="changed my mind")


async def _retry(runtime: Runtime, run: str) -> None:
    await runtime.retry(run, by="kim", reason="mended")


async def _retry_twice(runtime: Runtime, run: str) -> None:
    await asyncio.gather(_retry(runtime, run), _retry(runtime, run))


async def _decide_and_cancel(runtime: Runtime, run: str) -> None:
    await _decision(Approve(by="kim"))(runtime, run)
    await _cancel(runtime, run)


SAID: dict[str, tuple[str, Callable[[Runtime, str], Awaitable[Any]], str, int]] = {
    # what is said: mode of the run, how it is said, the run's end, how many effects there are then
    "approve": ("approval", _decision(Approve(by="kim")), "succeeded", 3),
    "edit": ("approval", _decision(Edit({"amount": 60}, by="kim")), "succeeded", 3),
    "deny": ("approval", _decision(Deny(by="kim", reason="no")), "succeeded", 2),
    "cancel": ("approval", _cancel, "cancelled", 1),
    "approve, then cancel": ("approval", _decide_and_cancel, "cancelled", 1),
    "it did happen": ("unknown", _decision(Settle("posted", by="kim")), "succeeded", 2),
    "it did not, do it": ("unknown", _decision(Approve(by="kim")), "succeeded", 3),
    "give it up": ("unknown", _decision(Deny(by="kim")), "failed", 1),
    "cancel what is unknown": ("unknown", _cancel, "cancelled", 1),
    "retry": ("failing", _retry, "succeeded", 3),
    "retry twice": ("failing", _retry_twice, "succeeded", 3),
}


def _until_it_waits(place: Place, mode: str) -> None:
    end = place.do("run", program=PROGRAM, key="one", input={"mode": mode})
    assert end.code == (1 if mode == "failing" else 3), end
    place.world.say("flag", "mended")


def _say(place: Place, mode: str, say: Callable[[Runtime, str], Awaitable[Any]]) -> None:
    async def go() -> None:
        async with Runtime(messages.flow, place.store, drive=False) as runtime:
            await say(runtime, (await runtime.start({"mode": mode}, key="one")).id)

    asyncio.run(go())


QUICK = ("approve", "it did not, do it", "cancel what is unknown", "retry")


@pytest.mark.parametrize("what", quick_or_slow(SAID, QUICK))
def test_what_was_said_has_its_effect_wherever_a_process_dies(
    what: str, tmp_path: Path, server: Server
) -> None:
    mode, say, status, effects = SAID[what]
    with Place(tmp_path / "before", server) as before:
        _until_it_waits(before, mode)
        _say(before, mode, say)
    deaths = 0
    for n in range(1, 30):
        killed = False
        for point in (f"{n}.before", f"{n}"):
            shutil.copytree(before.folder, tmp_path / point)
            with Place(tmp_path / point, server) as place:
                killed |= place.do("work", crash_at=point, program=PROGRAM).killed
                _ends(place, status, effects)
        deaths += killed
        if not killed:
            break
    assert deaths >= 2


def _ends(place: Place, status: str, effects: int) -> None:
    (cut,) = judge.read(place.store, messages.flow).values()
    end = place.do("work", program=PROGRAM)
    assert end.code == 0, end
    (run,) = judge.read(place.store, messages.flow).values()
    assert judge.broken(run, place.world, messages.flow) == []
    if judge.in_window(cut, "post"):
        # It was to be done at last, and this very doing was cut off: nobody knows again.
        assert [item.kind for item in run.state.open_items()] == ["unknown"]
        return
    assert run.row.status == status, (run.row, run.state.open_items())
    assert len(place.world.rows("done")) == effects
    assert run.row.mail == 0
