"""A plain function in a child process, which a timeout can kill.

The child imports the function by module and name, so it must stand at the top of a module. What goes
over and comes back is pickled over pipes of our own. The child watches its standard input: when the
parent dies, so does it. It also ends by itself when its time is up.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..core.tool import Call, Tool
from ..errors import DefinitionError
from ..settings import SECRET_VARIABLES

_ENTRY = "from surefoot.tools.isolated import child; child()"
_MAIN = "__surefoot_main__"
"""What __main__ is imported as in a child: not under its own name, which would run the program again."""

_NOT_PASSED_ON = SECRET_VARIABLES | {"SUREFOOT_SMTP"}
"""What opens every run's seals, signs news, or logs in to the mail server is no tool's business."""


async def run_isolated(
    function: Callable[..., Any], call: Call | None, arguments: dict[str, Any], last: float | None = None
) -> Any:
    """The function's result or exception. Cancelling kills the child and its children; at the time `last` (of
    the monotonic clock, which all processes share) it kills itself, also where this process is stopped."""
    if "<locals>" in function.__qualname__:
        raise DefinitionError(
            f"{function.__name__!r} is isolated in a process and defined inside a function",
            why="its process has to find it by importing its module",
            remedy="Define it at the top of a module: the process imports it by name.",
        )
    bare = None if call is None else pickle.dumps(_without_resources(call))
    # The values apart: what they are of can be imported only once the child knows the path.
    values = pickle.dumps(arguments)
    message = pickle.dumps((sys.path, _module_of(function), function.__qualname__, bare, values, last))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _ENTRY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON},
        start_new_session=True,
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdin.write(struct.pack("!Q", len(message)) + message)
        await child.stdin.drain()
        answer = await child.stdout.read()
        await child.wait()
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
        child._transport.close()  # type: ignore[attr-defined]  # its pipes; there is no public way
    if not answer:
        if last is not None and time.monotonic() >= last:
            raise TimeoutError("it took longer than it was given")
        raise RuntimeError(
            f"the process of {function.__name__!r} ended with {child.returncode} and no answer"
        )
    ok, value = pickle.loads(answer)
    if ok:
        return value
    raise value


def _module_of(function: Callable[..., Any]) -> tuple[str, str | None]:
    """(module, file): the file tells the child where __main__ came from."""
    module = sys.modules.get(function.__module__)
    if module is not None and function.__module__ == "__main__":
        sys.modules.setdefault(_MAIN, module)  # what the child calls the module whose values it answers with
    return function.__module__, getattr(module, "__file__", None)


def _without_resources(call: Call) -> Call:
    return Call(
        call.tool, call.key, call.run, call.step, call.attempt, call.deadline, dict(call.arguments), ()
    )


def child() -> None:
    """The other end; runs in the child process."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the function prints must not mix with the answer
    size = struct.unpack("!Q", sys.stdin.buffer.read(8))[0]
    path, (module, file), name, call, values, last = pickle.loads(sys.stdin.buffer.read(size))
    sys.path[:] = path
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if last is not None:
        threading.Thread(target=_die_at, args=(last,), daemon=True).start()
    try:
        function = _find(module, file, name)
        arguments = pickle.loads(values)
        value = function(**arguments) if call is None else function(pickle.loads(call), **arguments)
        answer = pickle.dumps((True, value))
    except BaseException as error:  # noqa: BLE001  it goes to the parent, whatever it is, sys.exit() too
        answer = pickle.dumps((False, _portable(error)))
    answers.write(answer)
    answers.flush()
    os._exit(0)


def _die_with_parent() -> None:
    sys.stdin.buffer.read(1)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _die_at(last: float) -> None:
    # After the deadline others may settle the call, or make it again: nothing may act for it any more.
    while (left := last - time.monotonic()) > 0:
        time.sleep(left)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _find(module: str, file: str | None, name: str) -> Callable[..., Any]:
    import importlib
    import importlib.util

    if module == "__main__" and file:
        spec = importlib.util.spec_from_file_location(_MAIN, file)
        assert spec is not None and spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules["__main__"] = sys.modules[_MAIN] = loaded
        spec.loader.exec_module(loaded)
    else:
        loaded = importlib.import_module(module)
    found: Any = loaded
    for part in name.split("."):
        found = getattr(found, part)
    # The decorated name is the Tool or Step; the plain function is inside it.
    return found.function if isinstance(found, Tool) or hasattr(found, "function") else found  # type: ignore[no-any-return]


def _portable(error: BaseException) -> Exception:
    if not isinstance(error, Exception):
        return RuntimeError(f"it raised {type(error).__name__}: {error}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  an error that cannot be pickled is told in words
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
