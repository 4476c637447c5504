"""What is private is hidden in views, and nothing else: a customer may be called like a step, a field or a
digit of a price, and every view can still be read."""

import json
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel

from surefoot import Call, Effect, Private, Run, Runtime, Workflow, approve, step, tool
from surefoot.orchestrator.trace import run_json, trace_of
from surefoot.testing import Say, ScriptedModel

pytestmark = pytest.mark.anyio


class Customer(BaseModel):
    name: Annotated[str, Private("name")]
    code: Annotated[str, Private("code")]


@tool(effect=Effect.KEYED, permission="greet")
async def greet(call: Call, who: str) -> str:
    """Greets."""
    return f"hello {who}"


@step
async def greeted(customer: Customer, run: Run) -> str:
    return await run.call(greet, who=f"{customer.name} {customer.code}")


shop = Workflow(
    "shop",
    input=Customer,
    steps=[greeted],
    tools=[greet],
    grants=["greet"],
    rules=[approve(greet, by="leads", reason="greetings are for the leads")],
)


@pytest.mark.parametrize("name", ["step", "args", "greeted", "approve", "usage", "leads", "greet", "reason"])
@pytest.mark.parametrize("code", ["176", "000", "run", "600"])
async def test_a_private_value_hides_no_part_of_the_journal_s_own(
    tmp_path: Path, name: str, code: str
) -> None:
    async with Runtime(shop, f"sqlite:///{tmp_path}/state.db") as runtime:
        run = await runtime.start(Customer(name=name, code=code))
        await runtime.result(run.id)
        row = await runtime.store.run(run.id)
        assert row is not None
        trace = trace_of(await runtime.store.events(run.id))
        document = run_json(row, trace, {})
        assert [one["name"] for one in document["steps"]] == ["greeted"]
        assert document["input"] == {"name": "[name-1]", "code": "[code-1]"}
        assert row.summary["usage"].keys() == {
            *("usd", "tokens_in", "tokens_out", "model_calls", "tool_calls", "seconds"),
        }
        assert all(isinstance(value, int | float) for value in row.summary["usage"].values())
        (item,) = await runtime.store.items()
        assert item.view["choices"] == ["approve", "deny", "edit"]
        assert item.view["tool"] == "greet"
        assert item.view["args"] == {"who": "[name-1] [code-1]"}


async def test_a_private_value_in_a_run_s_key_is_hidden(tmp_path: Path) -> None:
    async with Runtime(shop, f"sqlite:///{tmp_path}/state.db", drive=False) as runtime:
        run = await runtime.start(Customer(name="Ann Berg", code="4711"), key="mail of Ann Berg")
        (submitted,) = await runtime.store.events(run.id)
        assert json.loads(submitted.view)["key"] == "mail of [name-1]"


async def test_a_prompt_s_beginning_is_redacted_before_it_is_cut(tmp_path: Path) -> None:
    digits = "4539148803436467"
    prompt = (
        f"Answer the customer whose card was refused, it is {digits}. Say what to do, and be kind to them."
    )

    @step
    async def said(customer: Customer, run: Run) -> str:
        return await run.ask(str, prompt, {})

    asking = Workflow(
        "asking", input=Customer, steps=[said], models=[ScriptedModel({"said": [Say("try another one")]})]
    )
    async with Runtime(asking, f"sqlite:///{tmp_path}/state.db") as runtime:
        run = await runtime.start(Customer(name="kim", code="176"))
        assert (await runtime.result(run.id)).output == "try another one"
        views = [event.view for event in await runtime.store.events(run.id)]
    assert any("Answer the customer" in view for view in views)
    assert not [view for view in views if digits[:4] in view]
