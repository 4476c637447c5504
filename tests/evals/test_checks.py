"""Checks: each sees what it is for, passes what is right, and says in one line what was expected, got and where."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import events as e
from surefoot.core.fold import RunState
from surefoot.core.jsons import Raw
from surefoot.core.states import CallState, ItemState, StepState
from surefoot.evals import checks
from surefoot.evals.checks import failures
from surefoot.evals.compare import SHOWN, at_path, difference, differences
from surefoot.evals.replay import scored
from surefoot.evals.results import Played
from surefoot.evals.scenario import Expect, Scenario
from surefoot.evals.world import changes


@dataclass
class Case:
    """What was played, as little of it as a check needs."""

    status: str = "succeeded"
    output: Any = "done"
    error: Any = None
    before: Any = None
    after: Any = None
    calls: list[CallState] = field(default_factory=list)

    def state(self) -> RunState:
        state = RunState()
        state.calls = {call.id: call for call in self.calls}
        return state

    def against(self, state: RunState | None = None, **expected: Any) -> list[str]:
        wanted = Expect.model_validate({"status": self.status} | expected)
        moved = [] if self.before is None else changes(self.before, self.after)
        played = Played(
            self.status,
            self.output,
            self.error,
            state or self.state(),
            self.before,
            self.after,
            moved,
            ("{}",),
        )
        found = failures(Scenario(id="one", input={}, expect=wanted), played)
        lines = [str(one) for one in found]
        assert all("\n" not in line and len(line) < 3 * SHOWN + 100 for line in lines), lines
        return lines


def call(tool: str, status: Any = "returned", effect: str = "keyed", **args: Any) -> CallState:
    name = f"{tool}-{status}-{args}"
    return CallState(name, "act", 1, tool, "1", effect, Raw(json.dumps(args)), "d", 0, "k", 0, status=status)


# ── the run ──────────────────────────────────────────────────────────────────────────────────────


def test_a_status_that_differs_says_what_went_wrong() -> None:
    case = Case("failed", None, {"code": "budget_exceeded", "what": "no money\nleft"})
    assert case.against(status="failed", error="budget_exceeded") == []
    assert case.against(status="succeeded") == [
        "status: expected succeeded, got failed (budget_exceeded: no money left)"
    ]
    assert case.against(error="tool_denied") == ["error: expected tool_denied, got budget_exceeded"]
    assert Case().against(error="tool_denied") == ["error: expected tool_denied, got none"]
    assert Case().against(degraded=True) == ["degraded: expected true, got false"]
    assert Case().against(degraded=False) == []


@pytest.mark.parametrize(
    ("wanted", "got", "line"),
    [
        ({"equals": {"a": 1, "b": [2, {"c": "3"}]}}, {"a": 1.0, "b": ["2", {"c": 3}]}, None),
        ({"equals": None}, None, None),
        ({"equals": None}, "x", 'output.equals: expected null, got "x"'),
        ({"equals": {"a": {"b": 1}}}, {"a": {"b": 2}}, "output.equals at a.b: expected 1, got 2"),
        ({"equals": {"a": 1}}, {"a": 1, "b": 2}, "output.equals at b: expected nothing, got 2"),
        ({"equals": [1]}, [1, 2], "output.equals: expected 1 items, got 2 items"),
        ({"equals": True}, 1, "output.equals: expected true, got 1"),
        ({"equals": "0017"}, 17, 'output.equals: expected "0017", got 17'),
        ({"contains": {"a.0.b": 5}}, {"a": [{"b": "5.00", "x": 1}], "y": 2}, None),
        ({"contains": {"a": {"b": 5}}}, {"a": {"b": 6}}, "output.contains at a.b: expected 5, got 6"),
        ({"contains": {"a": 5}}, "text", "output.contains at a: expected 5, got nothing"),
        ({"contains": {"a": {"b": 1}}}, {"a": None}, 'output.contains at a: expected {"b":1}, got null'),
        ({"matches": {"type": "object", "required": ["a"]}}, {"a": 1}, None),
        (
            {"matches": {"properties": {"a": {"maximum": 3}}}},
            {"a": 4},
            "output.matches at a: expected maximum: 3, got 4",
        ),
        ({"absent": ["a.b"]}, {"a": {"c": 1}}, None),
        ({"absent": ["a.b"]}, {"a": {"b": None}}, "output.absent at a.b: expected nothing, got null"),
    ],
)
def test_output(wanted: Any, got: Any, line: str | None) -> None:
    assert Case(output=got).against(output=wanted) == ([] if line is None else [line])


def test_of_two_long_texts_the_place_where_they_differ_is_shown() -> None:
    (line,) = Case(output="a" * 5000 + "x").against(output={"equals": "a" * 5000 + "y"})
    assert 'y"' in line
    assert 'x"' in line
    assert len(line) < 300


def test_huge_and_strange_values_are_cut_and_break_nothing() -> None:
    (line,) = Case(output={"a": "ü" * 10_000_000}).against(output={"equals": {"a": 1}})
    assert len(line) < 300
    assert Case(output=float("nan")).against(output={"equals": 1}) == ["output.equals: expected 1, got NaN"]
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert Case(output=deep).against(output={"equals": 1})
    assert Case(output=deep).against(output={"equals": [[1]]})


def test_how_steps_ended() -> None:
    state = RunState()
    state.steps = {
        "read": StepState("read", status="finished", how="fallback"),
        "pay": StepState("pay", status="failed"),
        "later": StepState("later"),
    }
    case = Case()
    right = {"read": "fallback", "pay": "failed", "later": "none", "unknown": "none"}
    assert case.against(state, steps=right) == []
    assert case.against(state, steps={"read": "ok"}) == ["steps at read: expected ok, got fallback"]
    assert case.against(state, steps={"later": "ok"}) == ["steps at later: expected ok, got idle"]


# ── calls ────────────────────────────────────────────────────────────────────────────────────────


FOUND, REFUND = call("find", effect="read", number="A1"), call("refund", number="A1", amount="5.00")


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"count": {"find": 1, "refund": 1, "mail": 0}}, None),
        ({"count": {"refund": 2}}, "calls.count at refund: expected 2, got 1"),
        ({"forbidden": ["mail"]}, None),
        (
            {"forbidden": ["refund"]},
            'calls.forbidden at act: expected no call, got refund({"number": "A1", "amount": "5.00"}) returned',
        ),
        ({"only": ["find", "refund"]}, None),
        (
            {"only": ["refund"]},
            'calls.only at act: expected only refund, got find({"number": "A1"}) returned',
        ),
        ({"order": ["find", "refund"]}, None),
        ({"order": ["refund", "find"]}, "calls.order: expected refund then find, got find then refund"),
        ({"order": ["find", "mail"]}, "calls.order: expected find then mail, got find then refund"),
        ({"made": [{"tool": "refund", "args": {"amount": 5}}]}, None),
        (
            {"made": [{"tool": "refund", "args": {"amount": 6}}]},
            'calls.made: expected refund({"amount":6}) returned, got refund({"number": "A1", "amount": "5.00"}) returned',
        ),
        ({"made": [{"tool": "mail"}]}, "calls.made: expected mail({}) returned, got no call of it"),
        (
            {"made": [{"tool": "refund", "status": "unknown"}]},
            "calls.made at act: expected refund({}) unknown, got it is returned",
        ),
        ({"refused": {"refund": 1}}, "calls.refused at refund: expected 1, got 0"),
    ],
)
def test_calls(wanted: Any, line: str | None) -> None:
    assert Case(calls=[FOUND, REFUND]).against(calls=wanted) == ([] if line is None else [line])


def test_a_refund_before_the_look_up_is_out_of_order_also_where_another_one_follows() -> None:
    case = Case(calls=[REFUND, FOUND, call("refund", amount="6")])
    assert case.against(calls={"order": ["find", "refund"]})


def test_a_tool_that_is_called_again_later_is_still_in_order() -> None:
    case = Case(calls=[FOUND, REFUND, call("find", number="A2"), call("refund", amount="6")])
    assert case.against(calls={"order": ["find", "refund"]}) == []


def test_a_call_that_was_not_made_is_not_counted_and_is_forbidden_all_the_same() -> None:
    case = Case(calls=[call("refund", "undone"), call("refund", amount="6")])
    assert case.against(calls={"count": {"refund": 1}}) == []
    assert len(case.against(calls={"forbidden": ["refund"]})) == 2


def test_what_was_refused_is_counted_apart() -> None:
    state = RunState()
    refused = e.CallRefused("act", 1, "mail", {"code": "tool_denied", "what": "no"})
    state.refusals = [(0, refused)]
    assert Case().against(state, calls={"refused": {"mail": 1}, "count": {"mail": 0}}) == []
    assert Case().against(state, calls={"refused": {"mail": 2}}) == [
        "calls.refused at mail: expected 2, got 1"
    ]


# ── people ───────────────────────────────────────────────────────────────────────────────────────


def test_what_people_were_asked() -> None:
    state = RunState()
    request = e.ApprovalRequested("i", "act", 1, "refund", "1", Raw("{}"), "d", "it is much", by="leads")
    state.items = {"i": ItemState("i", "approval", request, 0)}
    right = {"approvals": 1, "reviews": 0, "of": ["refund"], "who": ["leads"]}
    assert Case().against(state, asked=right) == []
    assert Case().against(state, asked={"approvals": 0, "reviews": 1, "of": ["mail"]}) == [
        "asked.approvals: expected 0, got 1",
        "asked.reviews: expected 1, got 0",
        "asked.of: expected mail, got refund",
    ]


def test_who_was_asked() -> None:
    state = RunState()
    review = e.ReviewOpened("i", "too long", ["settle"], queue="desk", step="triage")
    state.items = {"i": ItemState("i", "review", review, 0)}
    assert Case().against(state, asked={"who": ["desk"]}) == []
    assert Case().against(state, asked={"who": ["leads"]}) == ["asked.who: expected leads, got desk"]


def test_why_they_were_asked() -> None:
    state = RunState()
    review = e.ReviewOpened("i", "The mail is\ntoo long.", ["settle"], queue="desk", step="triage")
    state.items = {"i": ItemState("i", "review", review, 0)}
    assert Case().against(state, asked={"why": ["is TOO long"]}) == []
    (said,) = Case().against(state, asked={"why": ["too short"]})
    assert said == """asked.why: expected 'too short', got ["The mail is\\ntoo long."]"""


# ── the world ────────────────────────────────────────────────────────────────────────────────────

ORDER = {"status": "paid", "total": "5.00", "to": {"city": "Ulm", "zip": "89073"}}


def world_of(refunds: int = 0, **order: Any) -> Any:
    return {
        "orders": {"A1": ORDER | order, "A2": ORDER},
        "refunds": {f"r{n}": {"amount": 5} for n in range(refunds)},
    }


def judged(after: Any, **wanted: Any) -> list[str]:
    return Case(before=world_of(), after=after).against(**({"world": wanted} if wanted else {}))


def test_the_frame_holds_also_where_a_scenario_says_nothing_of_the_world() -> None:
    assert judged(world_of()) == []
    assert judged(world_of(1)) == ['world.frame at refunds[r0]: expected no change, got added {"amount":5}']
    assert judged(world_of(status="open")) == [
        'world.frame at orders[A1].status: expected no change, got "paid" -> "open"'
    ]
    gone = {"orders": {"A1": ORDER}, "refunds": {}}
    (line,) = judged(gone)
    assert line.startswith("world.frame at orders[A2]: expected no change, got removed")
    (line,) = judged(world_of() | {"new": {"1": {}}})
    assert line.startswith("world.frame at new[1]")


def test_rows_that_came_are_counted() -> None:
    assert judged(world_of(1), added={"refunds": 1}) == []
    assert judged(world_of(2), added={"refunds": 1}) == [
        'world.added at refunds: expected 1, got 2: {"amount":5}; {"amount":5}'
    ]
    assert judged(world_of(), added={"refunds": 1}) == ["world.added at refunds: expected 1, got 0"]
    assert judged(world_of(1), added={"refunds": 1}, may_change=["refunds"]) == []
    assert judged(world_of(2), added={"refunds": 1}, may_change=["refunds"]) != []


def test_a_row_that_came_may_be_counted_and_looked_at() -> None:
    right = {"added": {"refunds": 1}, "changes": {"refunds": {"r0": {"amount": "5.00"}}}}
    assert judged(world_of(1), **right) == []
    wrong = right | {"changes": {"refunds": {"r0": {"amount": 6}}}}
    assert judged(world_of(1), **wrong) == ["world.changes at refunds[r0].amount: expected 6, got 5"]


def test_one_row_that_is_named_and_another_that_came_or_went_are_told_apart() -> None:
    named = {"changes": {"refunds": {"r0": {"amount": 5}}}}
    assert judged(world_of(2), **named) == [
        'world.frame at refunds[r1]: expected no change, got added {"amount":5}'
    ]
    before, after = world_of(1), {**world_of(), "refunds": {"r7": {"amount": 5}}}
    case = Case(before=before, after=after)
    assert case.against(world={"added": {"refunds": 1}}) == [
        'world.frame at refunds[r0]: expected no change, got removed {"amount":5}'
    ]


def test_a_name_covers_its_own_column_and_none_that_begins_like_it() -> None:
    (line,) = judged(world_of(total="6.00"), may_change=["orders.to"])
    assert line.startswith("world.frame at orders[A1].total")
    assert judged(world_of(to={"city": "Bonn", "zip": "1"}), may_change=["orders.to"]) == []
    assert judged(world_of(to=None), changes={"orders": {"A1": {"to": None}}}) == []
    assert judged(world_of(to={"city": "Bonn", "zip": "89073"}), may_change=["orders.to.city"]) == []


def test_a_row_that_changed_has_these_values_and_no_other_changed() -> None:
    wanted = {"changes": {"orders": {"A1": {"status": "refunded"}}}}
    assert judged(world_of(status="refunded"), **wanted) == []
    assert judged(world_of(), **wanted) == [
        'world.changes at orders[A1].status: expected "refunded", got "paid"'
    ]
    assert judged(world_of(status="refunded", total="6.00"), **wanted) == [
        'world.frame at orders[A1].total: expected no change, got "5.00" -> "6.00"'
    ]
    assert judged(world_of(), changes={"orders": {"A1": {"status": "paid"}}}) == [
        'world.changes at orders[A1].status: expected a change to "paid", got it was so before'
    ]
    assert judged(world_of(), changes={"orders": {"A9": {"status": "paid"}}}) == [
        'world.changes at orders[A9]: expected {"status":"paid"}, got no such row'
    ]
    assert judged(world_of(), changes={"orders": {"A1": {}}}) == [
        "world.changes at orders[A1]: expected a change, got it is as it was"
    ]


def test_values_by_their_path_and_the_rest_of_the_column_stays() -> None:
    wanted = {"changes": {"orders": {"A1": {"to.city": "Bonn"}}}}
    assert judged(world_of(to={"city": "Bonn", "zip": "89073"}), **wanted) == []
    assert judged(world_of(to={"city": "Bonn", "zip": "1"}), **wanted) == [
        'world.frame at orders[A1].to.zip: expected no change, got "89073" -> "1"'
    ]


def test_a_row_that_went() -> None:
    gone = {"orders": {"A1": ORDER}, "refunds": {}}
    assert judged(gone, changes={"orders": {"A2": None}}) == []
    assert judged(world_of(), changes={"orders": {"A2": None}}) == [
        "world.changes at orders[A2]: expected the row to be gone, got it is there"
    ]
    assert judged(world_of(), changes={"orders": {"A9": None}}) == [
        "world.changes at orders[A9]: expected the row to be gone, got it never was"
    ]


def test_what_may_change() -> None:
    moved = world_of(3, status="open", total="7.00")
    assert judged(moved, may_change=["refunds", "orders.status", "orders.total"]) == []
    assert judged(moved, may_change=["refunds", "orders.status"]) == [
        'world.frame at orders[A1].total: expected no change, got "5.00" -> "7.00"'
    ]
    named = {"changes": {"orders": {"A1": {"status": "open"}}}, "may_change": ["orders", "refunds"]}
    assert judged(moved, **named) == []


def test_many_changes_are_told_in_few_lines() -> None:
    lines = judged(world_of(5000))
    assert len(lines) == checks.MOST + 1
    assert "4990 more" in lines[-1]


def test_an_expectation_of_a_world_that_is_not_there_fails() -> None:
    assert Case().against(world={"added": {"refunds": 0}}) == ["world: expected a world to look at, got none"]


# ── words and limits ─────────────────────────────────────────────────────────────────────────────


def test_said_is_looked_for_as_a_reader_would() -> None:
    mail = call("mail", text="Dear Kim,\n  we send\xa0you 5 €: Grüße")
    case = Case(output={"reply": "It is DONE"}, calls=[mail])
    assert case.against(said=["it is done", "we send you 5 €", "GRU\u0308ẞE"]) == []
    assert case.against(said=["we are sorry"]) == [
        "said: expected 'we are sorry', got it is neither in the output nor in an effect's arguments"
    ]
    (line,) = case.against(not_said=["SEND YOU"])
    assert (
        line == "not_said: expected not 'SEND YOU', got … it is done text dear kim, we send you 5 €: grüsse…"
    )
    assert Case(output="pass\u200bword").against(not_said=["password"])


def test_an_effect_that_was_not_made_has_said_nothing_but_must_not_be_tried_either() -> None:
    case = Case(calls=[call("mail", "undone", text="hello")])
    assert case.against(said=["hello"])
    assert case.against(not_said=["hello"])


def test_limits() -> None:
    state = RunState()
    state.usage = replace(state.usage, tokens_in=60, tokens_out=50, nanousd=20_000_000, model_calls=3)
    case = Case()
    assert case.against(state, tokens=110, usd=0.02, model_calls=3, seconds=1) == []
    assert case.against(state, tokens=109, usd=0.01, model_calls=0) == [
        "usd: expected at most 0.01, got 0.02",
        "tokens: expected at most 109, got 110",
        "model_calls: expected at most 0, got 3",
    ]


# ── and around them ──────────────────────────────────────────────────────────────────────────────


def test_a_check_that_breaks_makes_a_trial_unscored_and_neither_a_pass_nor_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(expect: Expect, played: Played) -> Any:
        raise KeyError("a bug of ours")

    monkeypatch.setattr(checks, "CHECKS", (*checks.CHECKS, broken))
    played = Played("failed", None, None, RunState(), None, None, [], ("{}",))
    scenario = Scenario(id="one", input={}, expect=Expect(status="succeeded"))
    trial = scored(scenario, played, None, took=0)
    assert (trial.outcome, trial.problem) == ("unscored", "a check broke: KeyError: 'a bug of ours'")


TEXTS = st.text(max_size=4) | st.sampled_from(
    ["1", "1.0", "0017", "NaN", "sNaN", "-0", "1e5", "Infinity", "٣"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_whether_two_values_differ_does_not_depend_on_which_comes_first(one: Any, other: Any) -> None:
    assert (difference(one, other) is None) == (difference(other, one) is None)
    assert {path for path, _, _ in differences(one, other)} == {
        path for path, _, _ in differences(other, one)
    }


@given(VALUES)
def test_a_value_does_not_differ_from_what_json_makes_of_it(one: Any) -> None:
    if "NaN" not in (text := json.dumps(one)):
        assert difference(one, json.loads(text)) is None


PATHS = st.text("ab01-.²٣", max_size=8) | st.text() | st.just("9" * 5000)


@given(VALUES | st.dictionaries(PATHS, VALUES), PATHS)
def test_no_path_breaks_looking(value: Any, path: str) -> None:
    there, found = at_path(value, path)
    assert there or found is None
    if isinstance(value, dict) and path in value:
        assert there
        assert found is value[path]


def test_paths_into_keys_with_dots_and_from_a_lists_end() -> None:
    value = {"a.b": {"c": [1, 2]}, "--1": 3}
    assert at_path(value, "a.b.c.-1") == (True, 2)
    assert at_path(value, "a.b.c.--1") == (False, None)
    assert at_path(value, "a.b.c.2") == at_path(value, "a.b.c.-3") == (False, None)
    assert at_path(value, "a.b.c.²") == (False, None)
    assert at_path(value, "--1") == (True, 3)
    assert at_path({"a": None}, "a") == (True, None)
