"""A worker that cannot read a run's journal decides nothing about the run."""

import logging
from pathlib import Path

import pytest
from pydantic import BaseModel

from surefoot import Run, Runtime, Workflow, step
from surefoot.state.sealing import Keyring
from surefoot.testing import ManualClock

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    number: str = "1"


@step
async def waits(order: Order, run: Run) -> str:
    await run.sleep(100)
    return order.number


slow = Workflow("slow", input=Order, steps=[waits])


async def test_a_worker_with_the_wrong_keys_leaves_the_run_for_one_with_the_right_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, ring, store = ManualClock(), Keyring.generate(), f"sqlite:///{tmp_path}/x.db"
    async with Runtime(slow, store, clock=clock, keyring=ring) as runtime:
        run = (await runtime.start(Order())).id
        await clock.advance(1)

    with caplog.at_level(logging.ERROR):
        async with Runtime(slow, store, clock=clock, keyring=Keyring.generate()) as wrong:
            wrong.begin_driving()
            await clock.advance(100)
            row = await wrong.store.run(run)
    assert row is not None
    assert row.status == "waiting"
    assert "cannot go on" in caplog.text

    async with Runtime(slow, store, clock=clock, keyring=ring) as runtime:
        runtime.begin_driving()
        await clock.advance(61)
        assert (await runtime.result(run)).status == "succeeded"
