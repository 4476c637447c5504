"""Where a run's time went: each kind told apart, in place, and long waits drawn short."""

from __future__ import annotations

import itertools

import pytest

from surefoot.console.axis import Scale
from surefoot.console.waterfall import Waterfall, waterfall
from surefoot.orchestrator.trace import trace_of

from .conftest import Site

pytestmark = pytest.mark.anyio

SECOND = 1_000_000


async def drawn(site: Site, run: str, *, to_scale: bool = False) -> Waterfall:
    row = await site.service.store.run(run)
    assert row is not None
    stored = await site.service.store.events(run)
    return waterfall(row, trace_of(stored), stored, site.clock.now(), to_scale=to_scale)


async def test_waiting_for_people_and_for_timers_is_told_apart_from_work(site: Site) -> None:
    item = await site.item()
    await site.clock.advance(3600)
    await site.ask.post(f"/inbox/{item.id}/decision", data={"choice": "approve"})
    await site.settle(item.run)
    sums = {kind: took for kind, _, took in (await drawn(site, item.run)).sums}
    assert sums["people"] == "60 min" or sums["people"] == "1 h"
    sleeping = await site.start("sleep")
    for _ in range(100):
        if (await site.service.store.run(sleeping)).status == "waiting":  # type: ignore[union-attr]
            break
        await site.clock.pause(0.01)
    await site.clock.advance(1800)
    kinds = {bar.kind for line in (await drawn(site, sleeping)).lines for bar in line.bars}
    assert "timer" in kinds and "people" not in kinds


async def test_each_step_stands_with_its_asks_and_calls_under_it(site: Site) -> None:
    lines = (await drawn(site, await site.start())).lines
    assert [line.kind for line in lines if line.kind != "queue"] == [
        "step", "ask", "call", "ask", "step", "step", "call", "step",
    ]  # fmt: skip
    assert all(0 <= bar.x <= 100 and 0 <= bar.x + bar.width <= 100.01 for line in lines for bar in line.bars)


def test_a_long_wait_is_drawn_short_and_time_never_runs_backwards() -> None:
    day = 86_400 * SECOND
    scale = Scale(0, day + 10 * SECOND, [(4 * SECOND, day + 4 * SECOND)])
    (gap,) = scale.breaks()
    assert gap.text == "24 h"
    assert gap.width < 20
    places = [scale.x(at) for at in range(0, day + 10 * SECOND, SECOND * 600)]
    assert places == sorted(places)
    assert scale.x(0) == 0 and scale.x(day + 10 * SECOND) == 100
    assert scale.x(4 * SECOND) > 30  # four of ten seconds of work


def test_to_scale_nothing_is_shortened() -> None:
    scale = Scale(0, 100 * SECOND, [])
    assert list(scale.breaks()) == []
    assert scale.x(25 * SECOND) == 25


def test_labels_of_the_axis_do_not_overlap() -> None:
    idle = [(n * 100 * SECOND, n * 100 * SECOND + 99 * SECOND) for n in range(20)]
    ticks = list(Scale(0, 2000 * SECOND, idle).ticks())
    assert all(b.x - a.x >= 9 for a, b in itertools.pairwise(ticks))
