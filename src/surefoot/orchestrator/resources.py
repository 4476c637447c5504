"""Resources: what tools need from outside, opened with the runtime and closed with it.

A factory that takes `permission` is opened once for each permission that a tool of the workflow
declares, so that it can hand out something narrower (a read-only shop). Any other is opened once.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from ..core.tool import Tool
from ..core.workflow import Definition, Resource


class OpenResources:
    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._shared: list[Any] = []
        self._narrow: dict[str | None, list[Any]] = {}
        self._for: dict[str, tuple[Any, ...]] = {}

    async def open(self, workflow: Definition, factories: Sequence[Resource]) -> None:
        permissions = list(dict.fromkeys(tool.permission for tool in workflow.tools.values()))
        for factory in factories:
            if _takes_permission(factory):
                for permission in permissions:
                    opened = await self._stack.enter_async_context(factory(permission=permission))
                    self._narrow.setdefault(permission, []).append(opened)
            else:
                self._shared.append(await self._stack.enter_async_context(factory()))
        for tool in workflow.tools.values():
            self._for[tool.name] = (*self._narrow.get(tool.permission, ()), *self._shared)

    def of(self, tool: Tool[..., Any]) -> tuple[Any, ...]:
        return self._for.get(tool.name, ())

    async def close(self) -> None:
        await self._stack.aclose()


def _takes_permission(factory: Resource) -> bool:
    return "permission" in inspect.signature(factory).parameters
