"""A timeout really stops what can be stopped: a task, a process with all its children. A thread cannot:
then
the same call is not made again before it has ended."""

from __future__ import annotations

import base64
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.rig import Engine, Order, OtherSide, calls, code, kinds, result, until
from surefoot import Call, Done, Effect, Retry, Run, Tool, Workflow, step, tool
from tools import isolated_work as work_of

pytestmark = [
    pytest.mark.anyio,
    # Processes are the same on every store, and take a while to begin.
    pytest.mark.parametrize("store", ["memory"], indirect=True),
]


def calling(act: Tool[..., Any], **arguments: Any) -> Workflow:
    @step(retry=Retry(2, base=0))
    async def work(order: Order, run: Run) -> str:
        return str(await run.call(act, **arguments))

    return Workflow("calling", input=Order, steps=[work], tools=[act])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
async def test_a_process_is_killed_with_its_children_when_its_time_is_up(
    engine: Engine, tmp_path: Path
) -> None:
    notes = tmp_path / "pids"
    runtime, run = await engine.start(calling(work_of.family, notes=str(notes)))
    await until(notes.exists, "the process has begun", seconds=20)
    pids = [int(pid) for pid in notes.read_text().split()]
    assert not any(work_of.gone(pid) for pid in pids)
    await engine.clock.advance(60)
    done = await result(runtime, run, seconds=20)
    await until(lambda: all(work_of.gone(pid) for pid in pids), "both are dead")
    assert done.output == "family of work, attempt 2"
    assert "call.unknown" in await kinds(runtime, run)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
async def test_a_process_is_killed_when_the_run_is_lost(engine: Engine, tmp_path: Path) -> None:
    notes = tmp_path / "pids"
    runtime, _ = await engine.start(calling(work_of.family, notes=str(notes)))
    await until(notes.exists, "the process has begun", seconds=20)
    pids = [int(pid) for pid in notes.read_text().split()]
    await engine.crash(runtime)
    await until(lambda: all(work_of.gone(pid) for pid in pids), "both are dead")


@pytest.mark.parametrize(
    ("how", "status", "error"),
    [
        ("fine", "succeeded", ""),
        ("large", "succeeded", ""),
        ("not done", "failed", "not_done"),
        ("error", "failed", "call_unknown"),
        ("exit", "failed", "call_unknown"),
        ("killed", "failed", "call_unknown"),
        ("no pickle", "failed", "call_unknown"),
    ],
)
async def test_a_process_answers_fails_or_dies_like_any_tool(
    engine: Engine, how: str, status: str, error: str
) -> None:
    runtime, run = await engine.start(calling(work_of.odd, how=how))
    done = await result(runtime, run, seconds=20)
    assert done.status == status
    (call,) = await calls(runtime, run)
    if error:
        assert code(done) == error
    elif how == "fine":
        assert done.output == f"fine {call.key}"


async def test_a_process_gets_none_of_the_keys_that_are_for_surefoot_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = base64.b64encode(bytes(32)).decode()
    for name, value in (
        ("SUREFOOT_MASTER_KEY", master),
        ("SUREFOOT_WEBHOOK_SECRET", "whsec_" + master),
        ("SUREFOOT_SMTP", "smtp://shop:correct-horse@mail.example"),
        ("SUREFOOT_PERSON", "kim"),
    ):
        monkeypatch.setenv(name, value)
    runtime, run = await engine.start(calling(work_of.odd, how="environment"))
    assert (await result(runtime, run, seconds=20)).output == "SUREFOOT_PERSON"


async def test_a_step_of_plain_code_may_have_a_process_of_its_own(engine: Engine) -> None:
    workflow = Workflow("heavy", input=Order, steps=[work_of.heavy])
    runtime, run = await engine.start(workflow, Order(number=21))
    assert (await result(runtime, run, seconds=20)).output == 42


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
async def test_a_step_of_its_own_process_is_killed_when_its_time_is_up_and_tried_again(
    engine: Engine, tmp_path: Path
) -> None:
    notes = tmp_path / "pid"
    workflow = Workflow("stubborn", input=work_of.Noted, steps=[work_of.stubborn])
    runtime, run = await engine.start(workflow, work_of.Noted(notes=str(notes)))
    await until(notes.exists, "the process has begun", seconds=20)
    pid = int(notes.read_text())
    await engine.clock.advance(60)
    done = await result(runtime, run, seconds=20)
    assert (done.status, done.output) == ("succeeded", "second time")
    assert work_of.gone(pid)


class Threads:
    """A plain tool that stays in its thread until it is let go; counts how many are in it at once."""

    def __init__(self, other: OtherSide, effect: Effect, reconcile: Any = None) -> None:
        self.go_on = threading.Event()
        self.inside = self.most = 0

        @tool(effect=effect, timeout=10, reconcile=reconcile)
        def act(call: Call) -> str:
            self.inside += 1
            self.most = max(self.most, self.inside)
            told = other.act("act", call.key)
            if other.asked["act"] == 1:
                self.go_on.wait(20)
            self.inside -= 1
            return told

        self.tool: Tool[..., Any] = act


@pytest.fixture
def let_go() -> Any:
    """Threads that a failed test left behind."""
    left: list[Threads] = []
    yield left
    for threads in left:
        threads.go_on.set()


@pytest.mark.parametrize("effect", [Effect.READ, Effect.KEYED, Effect.IDEMPOTENT], ids=lambda e: e.value)
async def test_a_thread_that_outlives_its_timeout_is_waited_for_before_the_same_call_is_made_again(
    engine: Engine, other: OtherSide, effect: Effect, let_go: list[Threads]
) -> None:
    threads = Threads(other, effect)
    let_go.append(threads)
    runtime, run = await engine.start(calling(threads.tool))
    await until(lambda: other.asked["act"])
    await engine.clock.advance(10)
    assert runtime._worker is not None
    (drive,) = runtime._worker._drives.values()
    await until(lambda: drive.state.steps["work"].attempt == 2)
    await engine.clock.advance(5)
    assert (other.asked["act"], threads.inside) == (1, 1)
    threads.go_on.set()
    done = await result(runtime, run)
    assert (done.status, done.output) == ("succeeded", "act #2")
    assert (other.asked["act"], threads.most) == (2, 1)


async def test_nobody_asks_what_became_of_a_call_while_its_thread_is_still_at_it(
    engine: Engine, other: OtherSide, let_go: list[Threads]
) -> None:
    seen: list[int] = []

    async def reconcile(call: Call) -> Any:
        seen.append(threads.inside)
        return Done("found")

    threads = Threads(other, Effect.ONCE, reconcile)
    let_go.append(threads)
    runtime, run = await engine.start(calling(threads.tool))
    await until(lambda: other.asked["act"])
    await engine.clock.advance(15)
    assert not seen
    threads.go_on.set()
    assert (await result(runtime, run)).output == "found"
    assert seen == [0]
    assert other.asked["act"] == 1


async def test_another_call_does_not_wait_for_a_thread_that_was_given_up_on(
    engine: Engine, other: OtherSide, let_go: list[Threads]
) -> None:
    threads = Threads(other, Effect.KEYED)
    let_go.append(threads)
    runtime, first = await engine.start(calling(threads.tool))
    await until(lambda: other.asked["act"])
    second = await runtime.start(Order(number=2))
    assert (await result(runtime, second.id)).output == "act #2"
    threads.go_on.set()
    assert (await result(runtime, first)).status == "succeeded"
