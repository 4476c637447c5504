"""One day's money in the hands of several processes, some of which are killed: never overshot, warned of
once, and what it refuses is in nobody's journal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surefoot.state.intake import IntakeRow, Turned
from surefoot.state.opening import make_store
from surefoot.state.rows import DayRow, StoredEvent
from surefoot.state.store import Store

from .spender import DAY, now

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

SOURCE = Path(__file__).parents[2] / "src"


class Spender:
    def __init__(self, url: str, worker: str, *numbers: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.spender", url, worker, *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE.parent / "tests"), str(SOURCE)])},
        )

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def given(self) -> int:
        """How many reservations it got, once it has ended."""
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return int(out)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def close(self) -> None:
        """Whatever became of the test, nothing of it goes on."""
        if self.process.poll() is None:
            self.kill()


@contextmanager
def spending(url: str, workers: list[str], *numbers: int) -> Iterator[list[Spender]]:
    """Processes that all begin at the same moment."""
    spenders = [Spender(url, worker, *numbers) for worker in workers]
    try:
        for spender in spenders:
            spender.ready()
        for spender in spenders:
            spender.go()
        yield spenders
    finally:
        for spender in spenders:
            spender.close()


def look(url: str, ask: Callable[[Store], Any]) -> Any:
    async def go() -> Any:
        store, _ = make_store(url, now=now, worker="judge")
        await store.open()
        try:
            return await ask(store)
        finally:
            await store.close()

    return asyncio.run(go())


def ended(url: str, runs: list[str]) -> tuple[DayRow, list[StoredEvent]]:
    async def ask(store: Store) -> tuple[DayRow, list[StoredEvent]]:
        journals = await store.journals(runs)
        return await store.day("desk", DAY), [event for events in journals.values() for event in events]

    found: tuple[DayRow, list[StoredEvent]] = look(url, ask)
    return found


def in_journals(events: list[StoredEvent]) -> int:
    return sum(json.loads(event.view).get("amount", 0) for event in events)


def test_processes_that_reserve_at_the_same_moment_use_the_day_up_exactly(tmp_path: Path) -> None:
    url, workers = f"sqlite:///{tmp_path}/state.db", [f"w{number}" for number in range(6)]
    with spending(url, workers, 6_000, 7, -1) as spenders:
        given = [spender.given() for spender in spenders]
    day, events = ended(url, [f"run-{worker}" for worker in workers])
    assert sum(given) == 6_000 // 7
    assert sum(1 for number in given if number) > 1, "or nobody has raced"
    assert day.nanousd == in_journals(events) == 6_000 // 7 * 7
    assert [event.kind for event in events].count("budget.warned") == 1
    assert day.warned == ("nanousd",)


def test_killed_processes_leave_what_they_had_reserved_held(tmp_path: Path) -> None:
    """Each reserves 50 and settles at 3; half of them are killed in the middle."""
    url, workers = f"sqlite:///{tmp_path}/state.db", [f"w{number}" for number in range(4)]
    cap = 4_000
    with spending(url, workers, cap, 50, 3) as spenders:
        until = time.monotonic() + 60
        for victim, share in ((spenders[0], cap // 4), (spenders[1], cap // 2)):
            while ended(url, [])[0].nanousd < share:
                assert time.monotonic() < until
            victim.kill()
        # SQLite's lock knows no turns: on a busy machine one of the two may get nothing, but not both.
        assert sum(spender.given() for spender in spenders[2:]) > 0
    day, events = ended(url, [f"run-{worker}" for worker in workers])
    assert day.nanousd == in_journals(events)
    assert cap - 50 < day.nanousd <= cap
    held = day.nanousd - day.settled_nanousd
    assert held in (0, 50, 100), "of each that was killed at most the one request that was under way"
    assert [event.kind for event in events].count("budget.warned") == 1


# ── real workers ──

SHOP = """
import time
from pathlib import Path
from pydantic import BaseModel
from surefoot import Budget, Retry, Run, Workflow, step
from surefoot.core.model import Price
from surefoot.testing import Fail, Say, ScriptedModel

class Order(BaseModel):
    number: int = 1

@step(retry=Retry(1))
async def think(order: Order, run: Run) -> str:
    return await run.ask(str, "Think.", {"order": order}, max_tokens=100)

async def wait(request):
    if Path("hang").exists():
        time.sleep(600)

CENT = Price(0.0, 10_000_000.0)
priced = ScriptedModel({"think": [Say("x" * 400)]}, price=CENT)

def of(usd):
    budget = Budget(usd=None, tokens=None, day_usd=usd)
    return Workflow("shop", version="1", input=Order, steps=[think], models=[priced], budget=budget)

poor, rich = of("10"), of("1000")
failing = ScriptedModel({"think": [Fail() if Path("down").exists() else Say("x")]}, delay=wait)
flaky = Workflow("flaky", version="1", input=Order, steps=[think], models=[failing])
"""


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}/.surefoot/state.db"
        (path / "shop.py").write_text(SHOP)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "surefoot", *words],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def do(self, *words: str, stdin: str | None = None) -> Any:
        out, _ = self.start(*words, "--json").communicate(stdin, timeout=120)
        return json.loads(out)

    def queue(self, target: str, runs: int) -> None:
        """Into the store, with nobody to drive them."""
        script = (
            "import asyncio, shop\n"
            "from surefoot import Runtime\n"
            "async def main():\n"
            f"    async with Runtime(shop.{target}, '{self.url}', drive=False) as runtime:\n"
            f"        for number in range({runs}):\n"
            "            await runtime.start({'number': number})\n"
            "asyncio.run(main())\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(self.path)])}
        subprocess.run([sys.executable, "-c", script], cwd=self.path, env=environment, check=True, timeout=60)

    def next_trial(self, seconds: int) -> None:
        def turn(row: IntakeRow, at: int) -> Turned:
            assert row.trial_at is not None
            return Turned(replace(row, trial_at=at + seconds * 1_000_000))

        look(self.url, lambda store: store.turn_intake("flaky", turn))

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = look(self.url, lambda store: store.counts())
        return {status: number for status, number in found.items() if number}


def test_workers_that_share_a_day_leave_the_rest_queued_and_go_on_when_the_cap_is_raised(
    tmp_path: Path,
) -> None:
    """Ten dollars, a dollar for each of forty runs: exactly ten succeed, whoever drives them; at most as many
    as were in the workers' hands are refused; all others wait."""
    folder = Folder(tmp_path)
    folder.queue("poor", 40)
    workers = [folder.start("work", "shop:poor", "--concurrency", "2", "--quiet") for _ in range(3)]
    for worker in workers:
        worker.communicate(timeout=120)
    counts = folder.counts()
    assert counts["succeeded"] == 10
    assert 1 <= counts["failed"] <= 6
    assert counts["queued"] == 40 - counts["succeeded"] - counts["failed"]
    shown = folder.do("budget")
    (day,) = shown["days"]
    assert day["usd"] == {"spent": 10.0, "held": 0.0, "cap": 10.0}
    assert day["warned"] == ["usd"]
    assert [one["state"] for one in shown["intakes"]] == ["spent"]
    driven = folder.do("work", "shop:rich", "--quiet")
    assert driven["succeeded"] == driven["driven"] == counts["queued"]


def test_a_worker_killed_with_the_trial_in_its_hands_leaves_it_to_the_next_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "down").touch()
    folder.queue("flaky", 8)
    driven = folder.do("work", "shop:flaky", "--concurrency", "1", "--quiet")
    assert (driven["failed"], folder.counts()["queued"]) == (5, 3)
    (tmp_path / "down").unlink()
    folder.next_trial(3600)
    assert folder.do("work", "shop:flaky", "--quiet")["driven"] == 0, "the pause outlives its process"
    folder.next_trial(0)
    (tmp_path / "hang").touch()
    worker = folder.start("work", "shop:flaky", "--quiet")
    until = time.monotonic() + 60
    while not any(row.trial_run for row in look(folder.url, lambda store: store.intakes("flaky"))):
        assert time.monotonic() < until
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    (tmp_path / "hang").unlink()
    driven = folder.do("work", "shop:flaky", "--quiet")
    assert (driven["driven"], driven["succeeded"]) == (3, 3)
