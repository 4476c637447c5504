"""What tools need from outside is opened with the runtime, narrowed by permission, and replaced in tests."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from pydantic import BaseModel

from surefoot import Call, Effect, Run, Runtime, Workflow, step, tool

pytestmark = pytest.mark.anyio


class Shelf:
    def __init__(self, name: str, permission: str | None = None) -> None:
        self.name = name
        self.permission = permission


class Wish(BaseModel):
    text: str = ""


OPENED: list[str] = []


@asynccontextmanager
async def open_shelf(permission: str | None = None) -> AsyncGenerator[Shelf]:
    OPENED.append(f"open {permission}")
    yield Shelf("real", permission)
    OPENED.append(f"close {permission}")


@tool(effect=Effect.READ, permission="shelf:read")
async def look(call: Call) -> str:
    """Look."""
    shelf = call.use(Shelf)
    return f"{shelf.name} for {shelf.permission}"


@tool(effect=Effect.KEYED, permission="shelf:write")
async def put(call: Call) -> str:
    """Put."""
    shelf = call.use(Shelf)
    return f"{shelf.name} for {shelf.permission}"


@step
async def both(wish: Wish, run: Run) -> list[str]:
    return [await run.call(look), await run.call(put)]


shop = Workflow(
    "shop",
    input=Wish,
    steps=[both],
    tools=[look, put],
    grants=["shelf:read", "shelf:write"],
    resources=[open_shelf],
)


async def test_a_resource_is_opened_once_for_each_permission_and_closed_with_the_runtime() -> None:
    OPENED.clear()
    async with Runtime(shop, store="memory:") as runtime:
        for _ in range(2):
            started = await runtime.start(Wish())
            result = await runtime.result(started.id)
            assert result.output == ["real for shelf:read", "real for shelf:write"]
        assert OPENED == ["open shelf:read", "open shelf:write"]
    assert OPENED[2:] == ["close shelf:write", "close shelf:read"]


async def test_a_test_puts_its_own_world_in_the_place_of_a_resource() -> None:
    OPENED.clear()

    @asynccontextmanager
    async def open_other() -> AsyncGenerator[Shelf]:
        yield Shelf("the scenario's")

    async with Runtime(shop, store="memory:", resources=[open_other]) as runtime:
        started = await runtime.start(Wish())
        result = await runtime.result(started.id)
    assert result.output == ["the scenario's for None", "the scenario's for None"]
    assert OPENED == []


async def test_a_resource_that_cannot_be_opened_leaves_nothing_open() -> None:
    OPENED.clear()

    @asynccontextmanager
    async def broken() -> AsyncGenerator[str]:
        raise OSError("no such shelf")
        yield ""

    with pytest.raises(OSError, match="no such shelf"):
        async with Runtime(shop, store="memory:", resources=[open_shelf, broken]):
            pass
    assert OPENED[2:] == ["close shelf:write", "close shelf:read"]
