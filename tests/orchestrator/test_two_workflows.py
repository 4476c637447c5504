"""Two workflows may share a store: each process drives the runs of its own workflow, and no other's."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from surefoot import Runtime, Workflow, step

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    number: int


@step
def doubled(order: Order) -> int:
    return order.number * 2


@step
def named(order: Order) -> str:
    return f"order {order.number}"


one = Workflow("one", input=Order, steps=[doubled])
two = Workflow("two", input=Order, steps=[named])


async def test_a_worker_leaves_the_runs_of_another_workflow_alone(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/state.db"
    async with Runtime(one, store, drive=False) as runtime:
        first = await runtime.start(Order(number=4))
    async with Runtime(two, store) as runtime:
        second = await runtime.start(Order(number=5))
        assert (await runtime.result(second.id)).output == "order 5"
        await runtime.until_idle()
        row = await runtime.store.run(first.id)
        assert row is not None
        assert (row.status, row.seq) == ("queued", 1), "another workflow's worker has touched it"
    async with Runtime(one, store) as runtime:
        await runtime.until_idle()
        assert (await runtime.result(first.id)).output == 8
