"""No approval is used twice, whatever happens in whatever order.

A run pays twice, on purpose with the same arguments, and each payment needs a person. Hypothesis draws what
happens meanwhile: two deciders at once, edits, denials, the same message twice, crashes, a second worker, time
that runs out, cancelling, retrying, forking. On the other side no more is ever paid than was agreed to.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from surefoot import Approve, Call, Deny, Edit, Effect, Run, Workflow, approve, step, tool
from surefoot.core import events as e
from surefoot.errors import ItemClosed, SurefootError, WrongDecision
from surefoot.orchestrator import saying
from surefoot.state.rows import ENDED

from .rig import LOOK, Engine, JumpClock, Order, busy

ACTIONS = [
    "approve", "approve", "approve", "edit", "deny", "two deciders", "approve and crash", "duplicate mail",
    "old mail again", "crash", "second worker", "late", "cancel", "retry", "fork", "look",
]  # fmt: skip


class Scene:
    def __init__(self, effect: Effect) -> None:
        self.paid: Counter[tuple[str, int]] = Counter()
        """(run, amount)."""
        self.agreed: Counter[tuple[str, int]] = Counter()
        self.keys: set[str] = set()
        self.sent: list[tuple[str, str, str, bytes | None]] = []
        self.runs: list[str] = []
        self.clock = JumpClock()
        self.engine = Engine(f"memory:interleaved-{id(self)}", self.clock)
        scene = self

        @tool(effect=effect)
        async def pay(call: Call, amount: int) -> int:
            """Pays."""
            if call.key not in scene.keys:  # the other side knows its keys
                scene.keys.add(call.key)
                scene.paid[call.run, amount] += 1
            return amount

        @step
        async def work(order: Order, run: Run) -> int:
            return await run.call(pay, amount=80) + await run.call(pay, amount=80)

        rules = [approve(pay, within=timedelta(hours=1))]
        self.workflow = Workflow("twice", input=Order, steps=[work], tools=[pay], rules=rules)

    async def open(self) -> Any:
        runtime = await self.engine.open(self.workflow)
        runtime.begin_driving()
        return runtime

    async def settle(self) -> None:
        """Until nothing moves by itself."""
        still = 0
        while still < 3:
            await self.clock.advance(LOOK)
            moving = any(busy(runtime) for runtime in self.engine.runtimes)
            still = 0 if moving else still + 1

    async def act(self, action: str, choice: int) -> None:
        engine = self.engine
        store = engine.keeper
        run = self.runs[choice % len(self.runs)]
        items = list(await store.items(status="open", run=run, limit=10))
        match action:
            case "approve" | "edit" | "deny" | "two deciders" | "approve and crash" if items:
                item = items[choice % len(items)].id
                if action == "two deciders":
                    await asyncio.gather(
                        self._say(item, Approve(by="a")), self._say(item, Edit({"amount": 60}, by="b"))
                    )
                else:
                    said = {"edit": Edit({"amount": 60}, by="kim"), "deny": Deny(by="kim")}.get(
                        action, Approve(by="kim")
                    )
                    await self._say(item, said)
                if action == "approve and crash" and engine.runtimes:
                    for _ in range(choice % 7):
                        await asyncio.sleep(0)
                    await engine.crash(engine.runtimes[0])
                    await self.open()
            case "duplicate mail":
                for mail in await store.mail(run):
                    await store.post(run, mail.kind, mail.body, mail.sealed)
            case "old mail again" if self.sent:
                await store.post(*self.sent[choice % len(self.sent)])
            case "crash" if engine.runtimes:
                await engine.crash(engine.runtimes[choice % len(engine.runtimes)])
                if not engine.runtimes:
                    await self.open()
            case "second worker" if len(engine.runtimes) < 2:
                await self.open()
            case "late":
                await self.clock.advance(3601)
            case "cancel":
                await self._try(saying.cancel(store, engine.ring, run))
            case "retry":
                await self._try(saying.retry(store, engine.ring, run))
            case "fork" if len(self.runs) < 3:
                self.runs.append((await engine.runtimes[0].fork(run, start_from="work")).id)
            case _:
                pass

    async def _say(self, item: str, decision: Any) -> None:
        store = self.engine.keeper
        row = await store.item(item)
        assert row is not None
        amount = decision.args["amount"] if isinstance(decision, Edit) else row.view["args"]["amount"]
        try:
            await saying.decide(store, self.engine.ring, item, decision, workflow=self.workflow)
        except ItemClosed:
            return
        except WrongDecision:
            assert row.kind == "unknown", row.kind  # a call that died half-way: there is nothing to edit
            return
        if not isinstance(decision, Deny):
            self.agreed[row.run, amount] += 1
        for mail in await store.mail(row.run):
            self.sent.append((row.run, mail.kind, mail.body, mail.sealed))

    async def _try(self, said: Any) -> None:
        try:
            await said
        except SurefootError:
            pass  # too late, or too early

    def check(self, when: str) -> None:
        over = self.paid - self.agreed
        assert not over, f"{over} paid without leave, after {when}"

    async def check_journals(self) -> None:
        for run in self.runs:
            state = await self.engine.runtimes[0].state(run)
            used = Counter(call.approval for call in state.calls.values())
            assert None not in used, "a payment without an approval"
            assert max(used.values(), default=0) <= 1
            for call in state.calls.values():
                item = state.items[call.approval or ""]
                assert isinstance(item.request, e.ApprovalRequested)
                assert call.args == (item.args if item.status == "edited" else item.request.args)
            row = await self.engine.keeper.run(run)
            assert row is not None
            assert row.status in ENDED or row.status == "waiting", row.status


async def _play(effect: Effect, actions: list[tuple[str, int]]) -> Scene:
    scene = Scene(effect)
    await scene.engine.keeper.open()
    try:
        runtime = await scene.open()
        scene.runs.append((await runtime.start(Order())).id)
        await scene.settle()
        for action, choice in actions:
            await scene.act(action, choice)
            scene.check(action)
            if choice % 3:
                await scene.settle()
                scene.check(f"{action}, settled")
        await scene.settle()
        scene.check("all")
        await scene.check_journals()
    finally:
        await scene.engine.end()
    return scene


HAPPENINGS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 20)), max_size=10)


@example(Effect.KEYED, [("cancel", 1), ("retry", 1)])
@example(Effect.ONCE, [("approve", 1), ("late", 1), ("retry", 1)])
@given(st.sampled_from([Effect.KEYED, Effect.IDEMPOTENT, Effect.ONCE]), HAPPENINGS)
def test_no_more_is_done_than_was_agreed_to(effect: Effect, actions: list[tuple[str, int]]) -> None:
    asyncio.run(_play(effect, actions))


def test_what_is_agreed_to_twice_is_done_twice() -> None:
    scene = asyncio.run(
        _play(Effect.KEYED, [("approve", 1), ("approve and crash", 5), ("old mail again", 1)])
    )
    assert sum(scene.paid.values()) == 2
