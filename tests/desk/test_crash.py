"""The desk killed at every durable commit of a run that moves money and sends a mail, and taken up again."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from surefoot.testing import crash_at

pytestmark = pytest.mark.slow
DESK = Path(__file__).parents[2] / "examples" / "support_desk"
PROGRAM = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
from support_desk import desk, second_reader, tickets
from support_desk.schemas import SecondReading
from surefoot import Runtime
from surefoot.testing import Say, ScriptedModel

second_reader.read = lambda ticket: SecondReading(intent="refund", numbers=("SD-1171",))
model = ScriptedModel({
    "triage": [Say({"intent": "refund", "order_number": "SD-1171"})],
    "reply": [Say({"text": "Hello, we have refunded 20.00 EUR for your order SD-1171."})],
})

async def main():
    ticket = dict(tickets())["02-towels"]
    async with Runtime(desk, sys.argv[2], models=[model]) as runtime:
        run = await runtime.start(ticket, key=ticket.id)
        result = await runtime.result(run.id)
        print(json.dumps({"status": result.status, "degraded": result.degraded}))

asyncio.run(main())
"""


def desk_run(folder: Path, *, crash: str = "") -> "subprocess.CompletedProcess[str]":
    with crash_at(crash or "1") as environment:
        if not crash:
            del environment["SUREFOOT_CRASH_AT"]
        environment["SUPPORT_DESK_SHOP"] = str(folder / "shop.db")
        arguments = [sys.executable, "-c", PROGRAM, str(DESK), f"sqlite:///{folder / 'state.db'}"]
        return subprocess.run(
            arguments, env=environment, capture_output=True, text=True, timeout=60, check=False
        )


def count(folder: Path, table: str) -> int:
    """Two refunds were in the books before."""
    with closing(sqlite3.connect(folder / "shop.db")) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("when", ["", ".before"])
def test_a_desk_killed_at_any_commit_refunds_once_and_writes_once(tmp_path: Path, when: str) -> None:
    killed = 0
    for point in range(1, 200):
        folder = tmp_path / str(point)
        folder.mkdir()
        first = desk_run(folder, crash=f"{point}{when}")
        if first.returncode == 0:
            break
        assert first.returncode == -signal.SIGKILL, first.stderr
        killed += 1
        again = desk_run(folder)
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout) == {"status": "succeeded", "degraded": False}, (
            f"killed at {point}{when}"
        )
        assert (count(folder, "refunds"), count(folder, "outbox")) == (3, 1), f"killed at {point}{when}"
    assert killed >= 8
