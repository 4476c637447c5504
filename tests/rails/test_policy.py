"""May this call be made? The strictest rule wins, a guard that fails denies, and grants only ever narrow."""

import asyncio
import warnings
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import Effect, Rule, Tool, approve, forbid, tool
from surefoot.core.jsons import Raw
from surefoot.core.states import CallState
from surefoot.rails.policy import PLAN_CHANGED, Allow, Ask, Refuse, check, narrowed, permitted


@tool(effect=Effect.KEYED, permission="refunds:write")
async def refund(number: str, amount: Decimal) -> str:
    return number


@tool(effect=Effect.READ, permission="orders:read")
async def find(number: str) -> str:
    return number


@tool(effect=Effect.READ)
async def weather() -> str:
    return ""


ARGUMENTS = {"number": "17", "amount": Decimal(80)}


def always(number: str, amount: Decimal) -> bool:
    return True


def never(number: str, amount: Decimal) -> bool:
    return False


def broken(number: str, amount: Decimal) -> bool:
    raise KeyError(number)


# ── rules ────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_rule_about_the_tool_it_may_be_used() -> None:
    assert check(refund, ARGUMENTS, []) == Allow()
    assert check(refund, ARGUMENTS, [approve(find), forbid(find)]) == Allow()
    assert check(refund, ARGUMENTS, [approve(refund, when=never), forbid(refund, when=never)]) == Allow()


def test_a_rule_asks_with_what_a_person_needs_to_know() -> None:
    rule = approve(
        refund,
        when=lambda number, amount: amount > 50,
        by="leads",
        within=timedelta(days=1),
        reason="much money",
    )
    assert check(refund, ARGUMENTS, [rule]) == Ask(
        "much money", "ask refund by leads", "leads", timedelta(days=1)
    )
    assert check(refund, {**ARGUMENTS, "amount": Decimal(50)}, [rule]) == Allow()


def test_a_rule_without_a_predicate_always_holds() -> None:
    assert isinstance(check(refund, ARGUMENTS, [approve(refund)]), Ask)
    assert check(refund, ARGUMENTS, [forbid(refund, reason="not today")]) == Refuse(
        "not today", "deny refund"
    )


@pytest.mark.parametrize("kind", [approve, forbid])
def test_a_guard_that_fails_denies_and_does_not_tell_what_it_saw(kind: Callable[..., Rule]) -> None:
    verdict = check(refund, ARGUMENTS, [kind(refund, when=broken)])
    assert isinstance(verdict, Refuse)
    assert "failed with KeyError" in verdict.reason
    assert "17" not in verdict.reason


@pytest.mark.parametrize("failure", [SystemExit, GeneratorExit, asyncio.CancelledError, RecursionError])
def test_a_guard_denies_in_whatever_manner_it_fails(failure: type[BaseException]) -> None:
    def gives_up(number: str, amount: Decimal) -> bool:
        raise failure

    verdict = check(refund, ARGUMENTS, [approve(refund, when=gives_up)])
    assert verdict == Refuse(f"the rule 'ask refund' failed with {failure.__name__}", "ask refund")


async def later(number: str, amount: Decimal) -> bool:
    return False


class Unsure:
    def __bool__(self) -> bool:
        raise ValueError("neither")


@pytest.mark.parametrize("kind", [approve, forbid])
@pytest.mark.parametrize(
    "answer",
    [None, 0, 1, "", "no", [], Unsure(), NotImplemented, Decimal(1)],
    ids=lambda value: type(value).__name__,
)
def test_an_answer_that_is_neither_true_nor_false_denies(kind: Callable[..., Rule], answer: Any) -> None:
    verdict = check(refund, ARGUMENTS, [kind(refund, when=lambda number, amount: answer)])
    assert isinstance(verdict, Refuse)
    assert f"said {type(answer).__name__} instead of True or False" in verdict.reason


def test_a_predicate_that_would_have_to_be_awaited_denies_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(check(refund, ARGUMENTS, [approve(refund, when=later)]), Refuse)  # type: ignore[arg-type]


RULES = st.lists(
    st.builds(
        lambda kind, when, by: kind(refund, when=when) if kind is forbid else kind(refund, when=when, by=by),
        st.sampled_from([approve, forbid]),
        st.sampled_from([None, always, never, broken, lambda number, amount: None]),
        st.sampled_from(["", "leads", "desk"]),
    ),
    max_size=6,
)


@given(RULES)
def test_the_strictest_rule_wins_in_whatever_order_they_stand(rules: list[Rule]) -> None:
    verdict = check(refund, ARGUMENTS, rules)
    fails = [one for one in rules if one.when not in (None, always, never)]
    holds = [one for one in rules if one.when in (None, always)]
    if fails or any(one.kind == "deny" for one in holds):
        assert isinstance(verdict, Refuse)
    elif holds:
        assert isinstance(verdict, Ask)
        assert verdict.rule in {one.name for one in holds}
    else:
        assert verdict == Allow()
    assert type(check(refund, ARGUMENTS, rules[::-1])) is type(verdict)


@given(RULES, st.integers(0, 6))
def test_one_more_rule_never_allows_more(rules: list[Rule], cut: int) -> None:
    strictness = [Allow, Ask, Refuse]
    fewer = rules[:cut]
    assert strictness.index(type(check(refund, ARGUMENTS, fewer))) <= strictness.index(
        type(check(refund, ARGUMENTS, rules))
    )


@given(RULES)
def test_deciding_twice_is_the_same(rules: list[Rule]) -> None:
    assert check(refund, ARGUMENTS, rules) == check(refund, ARGUMENTS, rules)


# ── effects that were made before ────────────────────────────────────────────────────────────────


def made(name: str = "refund") -> CallState:
    return CallState("c1", "action", 1, name, "1", "keyed", Raw("{}"), "d", 0, "k", 0)


def test_another_effect_than_the_one_already_made_is_asked_about() -> None:
    verdict = check(refund, ARGUMENTS, [], [made("cancel_order")])
    assert isinstance(verdict, Ask)
    assert verdict.rule == PLAN_CHANGED
    assert "cancel_order" in verdict.reason


def test_reading_is_free_after_an_effect_and_a_refusal_stays_one() -> None:
    assert check(find, {"number": "17"}, [], [made()]) == Allow()
    assert isinstance(check(refund, ARGUMENTS, [forbid(refund)], [made()]), Refuse)
    verdict = check(refund, ARGUMENTS, [approve(refund, by="leads")], [made()])
    assert isinstance(verdict, Ask)
    assert verdict.by == "leads"


# ── grants ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("one", "grants", "allowed"),
    [
        (refund, ["refunds:write"], True),
        (refund, ["refunds:read", "orders:read"], False),
        (refund, [], False),
        (weather, [], True),
    ],
)
def test_a_tool_needs_its_permission_and_nothing_else(
    one: Tool[..., Any], grants: list[str], allowed: bool
) -> None:
    assert permitted(one, grants) is allowed


GRANTS = st.lists(st.sampled_from(["orders:read", "orders:write", "refunds:write", "mail:send"]), max_size=5)
NARROWER = st.none() | GRANTS | GRANTS.map(frozenset) | GRANTS.map(tuple)


@given(GRANTS, st.lists(NARROWER, max_size=4))
def test_grants_can_only_be_narrowed(allowed: list[str], narrower: list[Any]) -> None:
    left = narrowed(allowed, *narrower)
    assert set(left) == set(allowed).intersection(*(set(one) for one in narrower if one is not None))
    assert set(narrowed(left, *narrower)) == set(left)
    for one in (refund, find, weather):
        assert permitted(one, allowed) or not permitted(one, left)


@given(GRANTS)
def test_saying_nothing_narrows_nothing_and_saying_none_of_them_leaves_nothing(allowed: list[str]) -> None:
    assert narrowed(allowed, None, None) == tuple(allowed)
    assert narrowed(allowed, ()) == ()
