"""Two workflows may share a store: each process drives the runs of its own workflow, and no other's."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from surefoot import Call, Edit, Effect, Run, Runtime, Workflow, approve, step, tool

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


def paying(name: str, kind: type) -> Workflow:
    """Each has a tool called `pay`, with an amount of its own type."""

    @tool(effect=Effect.KEYED)
    async def pay(call: Call, amount: kind) -> str:  # type: ignore[valid-type]
        return f"{amount} paid"

    @step
    async def paid(order: Order, run: Run) -> str:
        return await run.call(pay, amount=kind(order.number))

    return Workflow(name, input=Order, steps=[paid], tools=[pay], rules=[approve(pay)])


async def test_a_decision_is_held_against_the_types_of_its_own_workflow_only(tmp_path: Path) -> None:
    store, numbers, texts = f"sqlite:///{tmp_path}/state.db", paying("numbers", int), paying("texts", str)
    async with Runtime(texts, store) as runtime:
        run = await runtime.start(Order(number=4))
        waiting = await runtime.result(run.id)
    async with Runtime(numbers, store, drive=False) as other:
        await other.decide(waiting.waiting_for[0].item, Edit({"amount": "four"}, by="kim"))
    async with Runtime(texts, store) as runtime:
        assert (await runtime.result(run.id)).output == "four paid"
