"""What was reserved for an ask that was cut off is held as spent: dying cannot make money."""

from __future__ import annotations

from pathlib import Path

from crash import judge, many
from crash.forks import Server
from crash.processes import Place
from surefoot.core import events as e

CAP = 20_000_000
"""Nano-dollars."""


def test_a_budget_for_one_ask_is_never_spent_twice(tmp_path: Path, server: Server) -> None:
    ends = set()
    for n in range(1, 20):
        killed = False
        for point in (f"{n}.before", f"{n}"):
            with Place(tmp_path / point, server) as place:
                command = {"program": "crash.many:tight", "key": "one", "input": {"number": 1}}
                killed |= place.do("run", crash_at=point, **command).killed
                cut = judge.read(place.store, many.tight).get("one")
                end = place.do("run", **command)
                run = judge.read(place.store, many.tight)["one"]
                assert judge.broken(run, place.world, many.tight) == [], point
                assert judge.cost(run) <= CAP
                assert run.day_nanousd == judge.cost(run)
                ends.add(end.code)
                if cut is not None and any(ask.status == "reserved" for ask in cut.state.asks.values()):
                    assert end.said["error"]["code"] == "budget_exceeded", point
                    assert len(run.last(e.AskReserved)) == 1
                    assert [ask.status for ask in run.state.asks.values()] == ["held"]
                else:
                    assert end.said["output"] == "Hm.", (point, end)
        if not killed:
            break
    assert ends == {0, 1}
