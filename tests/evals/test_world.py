"""What a world shows is looked at as JSON, and no change of it is overlooked because most of it is the same."""

from __future__ import annotations

import copy
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from surefoot.evals.world import as_json, changes

ROW: dict[str, Any] = {"eur": "5.00", "paid": True, "items": [1, 2]}


def test_the_snapshot_of_a_living_thing_is_a_copy() -> None:
    living = {"payments": {"1": copy.deepcopy(ROW)}}
    before = as_json(living)
    living["payments"]["1"]["items"].append(3)
    (change,) = changes(before, as_json(living))
    assert (change.row, dict(change.cells)) == ("1", {"items": ([1, 2], [1, 2, 3])})


@pytest.mark.parametrize(
    ("column", "value"),
    [("eur", "5.01"), ("eur", None), ("items", [2, 1]), ("note", ""), ("paid", False)],
)
def test_one_cell_that_differs_is_a_change(column: str, value: Any) -> None:
    before = {"payments": {str(n): dict(ROW) for n in range(50)}, "other": {"1": ROW}}
    after = copy.deepcopy(before)
    after["payments"]["49"][column] = value
    (change,) = changes(as_json(before), as_json(after))
    assert (change.table, change.row, list(change.cells)) == ("payments", "49", [column])


def test_values_that_are_no_json_are_shown_as_json() -> None:
    shown = as_json({"orders": {"1": {"placed": date(2026, 1, 2), "eur": Decimal("5.00"), "who": ("a",)}}})
    assert shown == {"orders": {"1": {"placed": "2026-01-02", "eur": "5.00", "who": ["a"]}}}


def test_true_is_not_shown_as_one() -> None:
    kinds = [as_json({"t": {"1": {"x": value}}})["t"]["1"]["x"] for value in (1, True, 1.0, "1")]
    assert [type(kind) for kind in kinds] == [int, bool, float, str]


def test_a_table_that_came_and_one_that_went_are_told() -> None:
    found = changes(as_json({"old": {"1": ROW}}), as_json({"new": {"1": ROW}}))
    assert [(one.table, one.kind) for one in found] == [("new", "added"), ("old", "removed")]
