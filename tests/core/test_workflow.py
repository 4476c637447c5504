"""A workflow lists all that it may do, and what does not go together is an error where it is built."""

from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from surefoot import Budget, Call, Effect, Retry, Review, Run, Tool, Workflow, approve, forbid, step, tool
from surefoot.core.budget import nano
from surefoot.errors import BadSignature, DefinitionError, DuplicateName, ToolNotListed


@tool(effect=Effect.KEYED, permission="refunds:write")
async def refund(call: Call, number: str, amount: int = 5) -> str:
    """Return money."""
    return number


@tool(effect=Effect.READ)
async def find(number: str) -> str:
    """Look it up."""
    return number


class Shown:
    refund = "no tool"


shelf = ModuleType("shelf")
shelf.find = find  # type: ignore[attr-defined]


@step
async def quiet(number: str, run: Run) -> str:
    return Shown().refund  # an attribute that is called like the tool


@step
async def paying(number: str, run: Run) -> str:
    return await run.call(refund, number=number)


@step
async def asking(number: str, run: Run) -> str:
    tools = [find]
    return await run.ask(str, "Find it.", tools=tools)


@step
async def asking_inside(number: str, run: Run) -> str:
    async def again() -> str:
        return await run.call(find, number=number)

    return await again()


@step
async def from_a_module(number: str, run: Run) -> Any:
    return await run.call(shelf.find, number=number)


def build(**given: Any) -> Workflow:
    return Workflow(**{"name": "desk", "input": str, "steps": [quiet], **given})


def wrong(kind: type[DefinitionError], **given: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as raised:
        build(**given)
    assert type(raised.value) is kind
    assert raised.value.remedy
    return raised.value


def test_name_input_and_steps_are_enough_and_the_rest_is_safe() -> None:
    workflow = build()
    assert workflow.tools == {}
    assert workflow.grants == ()
    assert workflow.models == ()
    assert workflow.budget == Budget()
    assert workflow.budget.usd is not None
    assert workflow.budget.seconds is not None


# ── tools ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "name"),
    [(paying, "refund"), (asking, "find"), (asking_inside, "find"), (from_a_module, "find")],
)
def test_a_step_that_names_a_tool_which_is_not_listed(body: Any, name: str) -> None:
    error = wrong(ToolNotListed, steps=[body])
    assert f"step {body.name!r} uses the tool {name!r}, which 'desk' does not list" in error.what
    assert "tools=" in error.remedy
    build(steps=[body], tools=[refund, find])


def test_a_step_inside_a_function_that_names_a_tool_around_it() -> None:
    @tool(effect=Effect.READ)
    async def local(number: str) -> str:
        return number

    @step
    async def using(number: str, run: Run) -> str:
        return await run.call(local, number=number)

    assert "'local'" in wrong(ToolNotListed, steps=[using]).what


def test_another_tool_of_the_same_name_is_not_the_listed_one() -> None:
    @tool(effect=Effect.READ, name="refund")
    async def other(number: str) -> str:
        return number

    assert "'refund'" in wrong(ToolNotListed, steps=[paying], tools=[other]).what


def test_an_attribute_that_is_called_like_a_tool_is_none() -> None:
    build(steps=[quiet])


def test_two_tools_of_one_name() -> None:
    @tool(effect=Effect.READ, name="refund")
    async def other(number: str) -> str:
        return number

    assert "'desk' has two tools named 'refund'" in wrong(DuplicateName, tools=[refund, other]).what
    wrong(DuplicateName, tools=[refund, refund])


def test_a_function_that_is_no_tool() -> None:
    async def plain(number: str) -> str:
        return number

    error = wrong(DefinitionError, tools=[plain])
    assert "'desk' lists" in error.what
    assert "plain" in error.what
    assert "@tool" in error.remedy


# ── rules ────────────────────────────────────────────────────────────────────────────────────────


def test_a_rule_about_a_tool_that_is_not_listed() -> None:
    error = wrong(ToolNotListed, tools=[find], rules=[approve(refund)])
    assert "a rule of 'desk' is about 'refund', which is not among its tools" in error.what
    assert "find" in error.why


def test_a_rule_about_another_tool_of_the_same_name() -> None:
    @tool(effect=Effect.READ, name="refund")
    async def other(number: str) -> str:
        return number

    assert "'refund'" in wrong(ToolNotListed, tools=[refund], rules=[forbid(other)]).what


@pytest.mark.parametrize("rule", ["approve refunds", refund, lambda number, amount: True])
def test_a_rule_that_is_none(rule: Any) -> None:
    assert "among its rules" in wrong(DefinitionError, tools=[refund], rules=[rule]).what


def test_a_rule_about_a_plain_function() -> None:
    async def plain(number: str) -> str:
        return number

    assert "plain" in wrong(DefinitionError, rules=[approve(plain)]).what  # type: ignore[arg-type]


async def later(number: str, amount: int) -> bool:
    return True


@pytest.mark.parametrize(
    "when",
    [
        lambda amount: amount > 50,
        lambda number, amount, more: True,
        lambda number, sum: True,  # noqa: A006
        lambda: True,
        lambda number, amount, /: True,
        later,
        "amount > 50",
    ],
)
def test_a_predicate_that_could_only_ever_fail_is_found_before_it_refuses_every_call(when: Any) -> None:
    error = wrong(BadSignature, tools=[refund], rules=[approve(refund, when=when, by="leads")])
    assert "'ask refund by leads'" in error.what
    assert "'desk'" in error.what


@pytest.mark.parametrize(
    "when",
    [
        None,
        lambda number, amount: amount > 50,
        lambda *, amount, number: True,
        lambda **arguments: True,
        lambda amount, **others: True,
        lambda number, amount, limit=50: amount > limit,
    ],
)
def test_a_predicate_takes_the_tools_arguments_by_name(when: Callable[..., bool] | None) -> None:
    build(tools=[refund], rules=[approve(refund, when=when), forbid(refund, when=when)])


def test_a_predicate_about_a_tool_from_elsewhere_is_asked_about_what_each_call_gives() -> None:
    lookup = Tool.from_schema("lookup", "", {"type": "object"}, lambda call, arguments: 1, effect=Effect.READ)
    build(tools=[lookup], rules=[approve(lookup, when=lambda count=0, **rest: count > 5)])


# ── lists, names, budgets, retries ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ["steps", "tools", "grants", "rules", "models", "secrets"])
@pytest.mark.parametrize("given", ["orders:read", 5, None])
def test_a_list_that_is_none(what: str, given: Any) -> None:
    error = wrong(DefinitionError, **{what: given})
    assert f"'desk' has {what}={given!r}" in error.what


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65])
def test_a_name_that_is_none(name: str) -> None:
    assert repr(name) in wrong(DefinitionError, name=name).what


@pytest.mark.parametrize(
    "caps",
    [
        {"usd": "-0.01"},
        {"usd": "a lot"},
        {"usd": float("nan")},
        {"usd": "1e30"},
        {"day_usd": "Infinity"},
        {"tokens": -1},
        {"tool_calls": -1},
        {"model_calls": -5},
        {"seconds": -0.1},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"day_tokens": -1},
    ],
)
def test_a_cap_that_is_none(caps: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as raised:
        Budget(**caps)
    assert raised.value.remedy


def test_money_is_counted_in_whole_nano_dollars_rounded_up() -> None:
    assert nano("0.20") == 200_000_000
    assert nano(0.1) == 100_000_000
    assert nano("0.0000000001") == 1
    assert nano(0) == 0
    assert Budget(usd=None).nanousd is None


@pytest.mark.parametrize("within", [timedelta(0), timedelta(days=-1)])
def test_a_time_to_decide_that_is_over_before_it_begins(within: timedelta) -> None:
    with pytest.raises(DefinitionError) as raised:
        approve(refund, within=within)
    assert raised.value.remedy


@pytest.mark.parametrize(
    "given",
    [{"attempts": 0}, {"base": -1}, {"most": -1}, {"base": float("nan")}, {"most": float("inf")}],
)
def test_a_retry_that_makes_no_sense(given: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        Retry(**given)


def test_a_wait_grows_up_to_its_limit_and_is_never_shorter_than_was_asked_for() -> None:
    retry = Retry(attempts=9, base=0.5, most=60)
    assert [retry.delay(n, 1.0) for n in (1, 2, 3, 8, 9, 500)] == [0.5, 1.0, 2.0, 60, 60, 60]
    assert retry.delay(5, 0.0) == 0
    assert retry.delay(1, 0.5, asked=30) == 30


# ── what a run records of its definition ─────────────────────────────────────────────────────────


def test_the_queues_that_people_are_asked_in() -> None:
    @step(fallback=Review("desk"))
    async def unsure(number: str) -> str:
        return number

    workflow = build(
        steps=[unsure],
        tools=[refund],
        rules=[
            approve(refund, by="leads", within=timedelta(days=1)),
            forbid(refund, when=lambda number, amount: False),
        ],
    )
    assert workflow.queues() == {"desk", "leads"}


def test_the_description_changes_with_what_a_run_depends_on() -> None:
    def described(**given: Any) -> Any:
        return build(**given).describe({})

    @step
    async def other(number: str) -> int:
        return 1

    assert described() == described()
    assert described() != described(version="2")
    assert described() != described(tools=[refund])
    assert described() != described(steps=[other])
    assert described() != build().describe({"quiet:prompt.md": "digest"})
