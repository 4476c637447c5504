"""Plain functions that tests run in a process of their own: it imports them by name from here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from surefoot import Call, Effect, NotDone, Retry, step, tool


@tool(effect=Effect.KEYED, isolation="process", timeout=60)
def family(call: Call, notes: str) -> str:
    """Has a child of its own, notes both, and stays for ever: at its first call only."""
    path = Path(notes)
    if path.exists():
        return f"{call.tool} of {call.step}, attempt {call.attempt}"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    path.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    path.with_suffix(".new").rename(path)
    time.sleep(600)
    return "never"


@tool(effect=Effect.KEYED, isolation="process")
def odd(call: Call, how: str) -> str:
    print("what is printed does not mix with the answer")
    match how:
        case "not done":
            raise NotDone("the card has expired", why="since May")
        case "error":
            raise LookupError("no such thing")
        case "exit":
            sys.exit(3)
        case "killed":
            os.kill(os.getpid(), 9)
        case "no pickle":
            return (x for x in "abc")  # type: ignore[return-value]
        case "environment":
            return ",".join(sorted(name for name in os.environ if name.startswith("SUREFOOT_")))
        case "large":
            return "x" * 200_000
        case _:
            return f"{how} {call.key}"


@step(isolation="process", timeout=60, retry=Retry(2, base=0))
def stubborn(order: Any) -> str:
    """Notes itself and stays for ever, the first time."""
    path = Path(order.notes)
    if path.exists():
        return "second time"
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    while True:
        time.sleep(600)


class Noted(BaseModel):
    notes: str


@step(isolation="process")
def heavy(order: Any) -> int:
    return int(order.number * 2)


def gone(pid: int) -> bool:
    """Ended; also one that nobody has buried yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
