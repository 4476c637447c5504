"""What a process of these tests does: `run` as `surefoot run --key` would, `work` as `surefoot work`.

Called in a process of its own (`processes`), with the environment of that process. The result goes to a file
as JSON, so that a test can tell a process that ended from one that died.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from surefoot import Approve, Edit, Runtime, SurefootError
from surefoot.core.error_view import view_of
from surefoot.core.jsons import loads
from surefoot.errors import ItemClosed
from surefoot.orchestrator.results import Result
from surefoot.state import commit, schema

EXIT = {"succeeded": 0, "failed": 1, "cancelled": 1, "waiting": 3}


def target(name: str) -> Any:
    module, _, found = name.partition(":")
    return getattr(importlib.import_module(module), found)


def shown(result: Result) -> dict[str, Any]:
    return {
        "run": result.run,
        "status": result.status,
        "degraded": result.degraded,
        "output": loads(to_json(result.output)),
        "error": None if result.error is None else view_of(result.error),
        "usd": result.usage.usd,
        "waiting_for": [waiting.to_json() for waiting in result.waiting_for],
    }


async def run(
    program: str, *, key: str, input: Any, decide: dict[str, Any] | None = None, **options: Any
) -> Any:
    """Goes on with the run of this key until it has ended or waits for a person. `decide`: say so to every
    approval, {"approve": {}} or {"edit": {...arguments}}."""
    async with Runtime(target(program), **options) as runtime:
        started = await runtime.start(input, key=key)
        while True:
            result = await runtime.result(started.id)
            approvals = [waiting for waiting in result.waiting_for if waiting.kind == "approval"]
            if decide is None or not approvals or result.status != "waiting":
                return shown(result)
            for waiting in approvals:
                decision = (
                    Edit({**waiting.args, **decide["edit"]}, by="kim")
                    if "edit" in decide
                    else Approve(by="kim")
                )
                try:
                    await runtime.decide(waiting.item, decision)
                except ItemClosed:
                    continue  # another process was quicker; the run goes on all the same


async def work(program: str, **options: Any) -> Any:
    async with Runtime(target(program), **options) as runtime:
        await runtime.until_idle()
        return {"counts": await runtime.store.counts()}


async def serve(program: str, *, inputs: dict[str, Any] | None = None, **options: Any) -> Any:
    """Drives whatever is due until it is told to stop; starts a run for each of `inputs` (by key) first."""
    async with Runtime(target(program), **options) as runtime:
        runtime.begin_driving()
        await asyncio.gather(*(runtime.start(value, key=key) for key, value in (inputs or {}).items()))
        assert runtime._driving is not None
        await asyncio.shield(runtime._driving)  # ends when the worker breaks


async def _until_told(act: Any) -> Any:
    """SIGTERM and SIGINT stop it in good order."""
    task = asyncio.ensure_future(act)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return {"status": "stopped"}


PATIENCE, FILE_SIZE = "CRASH_PATIENCE", "CRASH_FILE_SIZE"
"""Environment variables: how many seconds the store waits for another's lock; how many bytes a file may have,
as if the disk were full then."""


def _harden(environ: dict[str, str]) -> None:
    if patience := environ.get(PATIENCE):
        for module in (schema, commit):
            module.PATIENCE = float(patience)  # type: ignore[attr-defined]
    if size := environ.get(FILE_SIZE):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))


def main(
    command: str, answer: str, environ: dict[str, str], arguments: dict[str, Any], begin: float | None = None
) -> None:
    """The whole life of the process; what it has to say goes to the file `answer`. It begins at the time
    `begin`, to the microsecond, so that several can begin at the same moment."""
    os.environ.update(environ)
    _harden(environ)
    while begin is not None and time.time() < begin:
        pass
    log = os.open(f"{answer}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 70
    try:
        said = asyncio.run(_until_told(globals()[command](**arguments)))
        code = EXIT.get(said.get("status", ""), 0)
    except SurefootError as error:
        traceback.print_exc()
        said, code = {"error": view_of(error)}, 1
    except Exception:  # noqa: BLE001 - the test reads it
        traceback.print_exc()
        said = {"crash": traceback.format_exc()}
    sys.stdout.flush()
    sys.stderr.flush()
    part = Path(f"{answer}.part")
    part.write_text(json.dumps(said))
    part.rename(answer)
    sys.exit(code)
