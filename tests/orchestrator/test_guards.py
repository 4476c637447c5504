"""A guard that fails itself, denies: whichever it is on the road to a tool, and however it fails."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from surefoot import Approve, Call, Denied, Effect, Rule, Run, Workflow, approve, forbid, step, tool
from surefoot.core.schema import Parameters, Shape
from surefoot.orchestrator.recorder import Recorder, Sealer
from surefoot.orchestrator.trace import run_json, trace_of
from surefoot.rails import ledger, policy
from surefoot.rails.provenance import Provenance, Texts
from surefoot.rails.redaction import Secrets
from surefoot.testing import Say, ScriptedModel, UseTools
from surefoot.tools import leave
from surefoot.tools.gateway import Gateway
from surefoot.tools.leave import Leaves

from .rig import Engine, Order, OtherSide, result

pytestmark = pytest.mark.anyio

GUARDS: dict[str, tuple[Any, str]] = {
    "is it listed": (Gateway, "_listed"),
    "is the proposal valid": (Gateway, "_proposal"),
    "is it permitted": (Gateway, "_permitted"),
    "permission": (policy, "permitted"),
    "what leave is there": (Leaves, "leave"),
    "what else was done": (Leaves, "_unclaimed"),
    "what the rules say": (policy, "check"),
    "whose words are these": (leave, "carried"),
    "what others wrote": (Provenance, "untrusted"),
    "where it stands": (Texts, "source_of_part"),
    "is there budget": (Gateway, "_within_budget"),
    "room in the ledger": (ledger, "room_for_call"),
    "its key": (Gateway, "_key_of"),
    "its resources": (Gateway, "_call_of"),
    "placeholders": (Recorder, "resolve"),
    "digest": (Recorder, "digest"),
    "journal's form": (Recorder, "raw"),
    "private values": (Sealer, "raw"),
    "validation": (Parameters, "from_python"),
    "writing arguments down": (Parameters, "dump"),
    "known secrets": (Secrets, "scrub_json"),
}
SILENT = {"known secrets"}
"""Without it nothing may be written, so not even that the call was refused."""

FAILURES = [RuntimeError("broken guard"), ValueError("no value"), AssertionError(), KeyError("amount")]


class Broken:
    """Makes one function fail while a step's body calls a tool."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: Exception) -> None:
        self._patch, self._owner, self._name, self._error = monkeypatch, owner, name, error
        self.met = 0

    def __enter__(self) -> None:
        error = self._error

        def fails(*args: Any, **kwargs: Any) -> Any:
            self.met += 1
            raise error

        self._patch.setattr(self._owner, self._name, fails)

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


def bank(other: OtherSide, broken: Broken | None, *rules: Rule, **options: Any) -> Workflow:
    @tool(effect=Effect.READ, untrusted=True)
    def page() -> str:
        """What others wrote."""
        return "nothing of note"

    @tool(effect=Effect.KEYED, permission="pay")
    async def pay(call: Call, to: str, amount: Decimal) -> str:
        """Pays."""
        return other.act(f"pay {to} {amount}", call.key)

    @step
    async def work(order: Order, run: Run) -> str:
        await run.call(page)
        if broken is None:
            return await run.call(pay, to="kim", amount=Decimal(5))
        with broken:
            try:
                return await run.call(pay, to="kim", amount=Decimal(5))
            except Denied as no:
                return f"denied: {no.why}"

    settings: dict[str, Any] = {"steps": [work], "tools": [page, pay], "grants": ["pay"]}
    rules = tuple(Rule(**{**vars(rule), "tool": pay}) for rule in rules)
    return Workflow("bank", input=Order, rules=rules, **(settings | options))


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("guard", GUARDS)
async def test_a_guard_made_to_raise_denies_and_the_refusal_is_journaled_and_counted(
    engine: Engine, other: OtherSide, monkeypatch: pytest.MonkeyPatch, guard: str, error: Exception
) -> None:
    broken = Broken(monkeypatch, *GUARDS[guard], error)
    with pytest.MonkeyPatch.context() as patch:
        broken._patch = patch
        runtime, run = await engine.start(bank(other, broken))
        found = await result(runtime, run)
    assert broken.met, "the guard was not on the road at all"
    assert not other.asked
    state = await runtime.state(run)
    assert not [call for call in state.calls.values() if call.is_effect]
    if guard in SILENT:
        assert found.status == "failed"
        return
    assert (found.status, found.output) == (
        "succeeded",
        f"denied: a guard failed with {type(error).__name__}",
    )
    assert [event.tool for _, event in state.refusals] == ["pay"]
    row = await runtime.store.run(run)
    assert row is not None
    assert row.summary["calls_refused"] == 1


async def test_where_the_guards_hold_the_same_call_is_made(engine: Engine, other: OtherSide) -> None:
    found = await engine.run(bank(other, None))
    assert (found.status, dict(other.asked)) == ("succeeded", {"pay kim 5": 1})


def _rule(make: Callable[..., Rule], when: Any) -> Rule:
    @tool(effect=Effect.READ)
    def any_tool(to: str, amount: Decimal) -> str:
        return ""

    return make(any_tool, when=when)


async def _later(to: str, amount: Decimal) -> bool:
    return False


def _not_awaited(to: str, amount: Decimal) -> Any:
    return _later(to, amount)


def _raises(to: str, amount: Decimal) -> bool:
    raise LookupError("the list of payees is down")


@pytest.mark.parametrize("make", [approve, forbid])
@pytest.mark.parametrize(
    "when",
    [_raises, _not_awaited, lambda to, amount: None, lambda to, amount: 0],
    ids=["raises", "async", "none", "zero"],
)
async def test_a_rule_that_fails_denies(
    engine: Engine, other: OtherSide, make: Callable[..., Rule], when: Any
) -> None:
    found = await engine.run(bank(other, None, _rule(make, when)))
    assert found.status == "failed"
    assert found.error is not None
    assert found.error.code == "denied"
    assert not other.asked


@pytest.mark.parametrize("owner", [(policy, "may_decide"), (policy, "check"), (Leaves, "_by_person")])
async def test_a_guard_that_fails_when_an_approval_is_used_denies(
    engine: Engine, other: OtherSide, monkeypatch: pytest.MonkeyPatch, owner: tuple[Any, str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        broken = Broken(patch, *owner, RuntimeError("down"))
        used = False

        class OnlyLater(Broken):
            def __enter__(self) -> None:
                if used:
                    super().__enter__()

        broken.__class__ = OnlyLater
        runtime, run = await engine.start(bank(other, broken, _rule(approve, None)), people={"": []})
        (item,) = (await result(runtime, run)).waiting_for
        used = True
        await runtime.decide(item.item, Approve(by="kim"))
        found = await result(runtime, run)
    assert found.output == "denied: a guard failed with RuntimeError"
    assert broken.met
    assert not other.asked


async def test_in_a_models_conversation_a_broken_provenance_denies_and_the_model_is_told(
    engine: Engine, other: OtherSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tool(effect=Effect.READ, untrusted=True)
    def page() -> str:
        """What others wrote."""
        return "nothing of note"

    @tool(effect=Effect.KEYED)
    async def pay(call: Call, to: str) -> str:
        """Pays."""
        return other.act(f"pay {to}", call.key)

    @step
    async def work(order: Order, run: Run) -> str:
        return await run.ask(str, "Pay kim.", {"to": "kim"}, tools=[page, pay])

    monkeypatch.setattr(leave, "carried", lambda *_: 1 / 0)
    model = ScriptedModel(
        {"work": [UseTools([("page", {})]), UseTools([("pay", {"to": "kim"})]), Say("well")]}
    )
    found = await engine.run(Workflow("w", input=Order, steps=[work], tools=[page, pay], models=[model]))
    assert found.status == "succeeded"
    assert not other.asked
    assert "a guard failed" in model.requests[-1].messages[-1].text


async def test_an_answer_that_cannot_even_be_looked_at_did_happen_and_is_refused(
    engine: Engine, other: OtherSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        load = Shape.load

        def fails(self: Any, text: str) -> Any:
            if "pay" in text:
                raise TypeError("broken validator")
            return load(self, text)

        patch.setattr(Shape, "load", fails)
        runtime, run = await engine.start(bank(other, None))
        found = await result(runtime, run)
    assert found.status != "succeeded"
    assert found.error is None or found.error.code == "invalid_result"
    assert dict(other.asked) == {"pay kim 5": 1}


async def test_refused_calls_are_counted_where_runs_are_shown(engine: Engine, other: OtherSide) -> None:
    runtime, run = await engine.start(bank(other, None, _rule(forbid, None)))
    await result(runtime, run)
    row = await runtime.store.run(run)
    assert row is not None
    shown = run_json(row, trace_of(await runtime.store.events(run)), {})
    assert shown["calls_refused"] == row.summary["calls_refused"] == 1
    assert not other.asked
