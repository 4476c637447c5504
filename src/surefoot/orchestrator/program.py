"""`Workflow`, as users write it: the definition, and `run_sync` for scripts."""

from __future__ import annotations

import asyncio
from typing import Any

from ..core.workflow import Definition
from .results import Result
from .runtime import Runtime


class Workflow(Definition):
    """name, input and steps are all it needs; the rest has safe defaults: no tools, no grants, no models, a
    modest budget.

    `steps`: the last one's output is the run's. `tools` is the allowlist, `grants` the permissions they may
    use, `rules` what turns a call into allow, ask or deny. `resources` are factories of async context
    managers. `models` are tried in order. `secrets` names environment variables whose values must never be
    written or shown. Every mistake in it is a DefinitionError, here.
    """

    def run_sync(self, input: Any, *, key: str | None = None, **options: Any) -> Result:
        """Runs to the end, or until a person is needed. `options` are those of Runtime."""

        async def go() -> Result:
            async with Runtime(self, **options) as runtime:
                started = await runtime.start(input, key=key)
                return await runtime.result(started.id)

        return asyncio.run(go())
