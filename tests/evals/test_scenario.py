"""Scenarios: what looks checked is checked; what is misspelt, doubled or empty is told with its place."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from surefoot.errors import InvalidInput
from surefoot.evals.scenario import Scenario, field_texts, json_schema, read

ROOT = Path(__file__).parents[2]
FULL: dict[str, Any] = {
    "id": "full",
    "about": "Everything once.",
    "tags": ["refunds"],
    "must": True,
    "input": {"text": "hello"},
    "now": "2026-01-15T09:00:00Z",
    "world": {"orders": {"A1": {"status": "paid"}}},
    "decisions": [
        {"decide": "edit", "tool": "refund", "args": {"amount": 4}, "after": 60},
        {"decide": "settle", "step": "pay", "result": "paid", "by": "kim", "again": True},
    ],
    "faults": [
        {"tool": "refund", "does": "lost", "at": 2},
        {"step": "read", "does": "invalid_arguments", "tool": "look", "times": 3},
        {"kill": "after", "commit": 3},
    ],
    "turns": {"read": [{"use": [["look", {"number": "0017"}]]}, {"say": {"intent": "refund"}}]},
    "expect": {
        "status": "failed",
        "degraded": False,
        "error": "budget_exceeded",
        "output": {"contains": {"a.b": 1}, "matches": {"type": "object"}, "absent": ["c"]},
        "steps": {"read": "ok"},
        "calls": {
            "count": {"refund": 1},
            "order": ["look", "refund"],
            "made": [{"tool": "refund", "args": {"amount": 4}, "status": "unknown"}],
            "forbidden": ["mail"],
            "refused": {"refund": 0},
            "only": ["look", "refund"],
        },
        "asked": {"approvals": 1, "reviews": 0, "of": ["refund"]},
        "world": {
            "changes": {"orders": {"A1": {"status": "refunded"}, "A2": None}},
            "added": {"refunds": 1},
            "may_change": ["mails", "orders.seen"],
        },
        "said": ["refund"],
        "not_said": ["sorry"],
        "usd": 0.1,
        "tokens": 1000,
        "model_calls": 3,
        "seconds": 30,
        "rubric": "It is kind.",
    },
}
SMALL: dict[str, Any] = {"id": "small", "input": {}, "expect": {"status": "succeeded"}}


def written(folder: Path, scenario: Any) -> Path:
    path = folder / f"{scenario['id'] if isinstance(scenario, dict) else 'text'}.yaml"
    path.write_text(scenario if isinstance(scenario, str) else yaml.safe_dump(scenario), "utf-8")
    return path


def why(folder: Path, scenario: Any) -> str:
    with pytest.raises(InvalidInput) as refused:
        read(written(folder, scenario))
    return refused.value.why


def test_a_scenario_with_everything_is_read(tmp_path: Path) -> None:
    scenario = read(written(tmp_path, FULL))
    assert scenario.expect.world is not None
    assert scenario.expect.world.changes["orders"]["A2"] is None
    assert [type(fault).__name__ for fault in scenario.faults] == ["ToolFault", "ModelFault", "Kill"]
    assert [type(turn).__name__ for turn in scenario.turns["read"]] == ["Use", "Say"]


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where a key of the format could be misspelt; what is inside these is the workflow's own."""
    own = {"input", "world", "args", "result", "say", "use", "turns", "count", "refused", "steps", "added"}
    found = []
    if isinstance(value, dict):
        if not (path and path[-1] in {"contains", "matches", "equals", "changes", *own}) or path == (
            "expect",
            "world",
        ):
            found.append(path)
            for key, inner in value.items():
                found += places(inner, (*path, key))
        elif path == ("turns",):
            for key, inner in value.items():
                found += places(inner, (*path, key))
    elif isinstance(value, list) and path[-1] != "use":
        for number, inner in enumerate(value):
            found += places(inner, (*path, number))
    return found


@pytest.mark.parametrize("place", places(FULL), ids=lambda path: ".".join(map(str, path)) or "top")
def test_a_misspelt_key_is_refused_with_its_path_once(tmp_path: Path, place: tuple[str | int, ...]) -> None:
    scenario = copy.deepcopy(FULL)
    target: Any = scenario
    for part in place:
        target = target[part]
    target["oops"] = 1
    assert why(tmp_path, scenario) == f"{'.'.join(map(str, (*place, 'oops')))}: there is no such key"
    assert not Draft202012Validator(json_schema()).is_valid(scenario)


def test_the_places_that_are_tried_are_all_kinds_of_parts() -> None:
    assert len(places(FULL)) == 14


MISTAKES: dict[str, tuple[Any, str]] = {
    "no check at all": (SMALL | {"expect": {}}, "expect holds no check"),
    "a rubric alone": (SMALL | {"expect": {"rubric": "kind"}}, "expect holds no check"),
    "no input": ({"id": "small", "expect": {"status": "failed"}}, "input: Field required"),
    "an empty output": (SMALL | {"expect": {"output": {}}}, "expect.output: it holds no check"),
    "empty calls": (SMALL | {"expect": {"calls": {}}}, "expect.calls: it holds no check"),
    "empty asked": (SMALL | {"expect": {"asked": {"of": []}}}, "expect.asked: it holds no check"),
    "an empty text": (SMALL | {"expect": {"said": [" "]}}, "expect.said.0: "),
    "a schema that is none": (
        SMALL | {"expect": {"output": {"matches": {"type": "objekt"}}}},
        "is no JSON Schema",
    ),
    "a schema from elsewhere": (
        SMALL | {"expect": {"output": {"matches": {"properties": {"a": {"$ref": "http://x/y"}}}}}},
        "refers to another document",
    ),
    "a tool twice in order": (
        SMALL | {"expect": {"calls": {"order": ["a", "b", "a"]}}},
        "names a tool twice",
    ),
    "a row that is no row": (
        SMALL | {"expect": {"world": {"changes": {"orders": {"A1": "paid"}}}}},
        "expect.world.changes.orders.A1: ",
    ),
    "an edit without arguments": (
        SMALL | {"decisions": [{"decide": "edit"}]},
        "decisions.0: edit needs args",
    ),
    "a result of an approval": (
        SMALL | {"decisions": [{"decide": "approve", "result": 1}]},
        "decisions.0: only settle takes a result",
    ),
    "a fault nobody knows": (SMALL | {"faults": [{"tool": "pay", "does": "explode"}]}, "faults.0.does: "),
    "arguments of no tool": (
        SMALL | {"faults": [{"step": "read", "does": "invalid_arguments"}]},
        "faults.0: invalid_arguments needs a tool",
    ),
    "a kill before the first commit": (
        SMALL | {"faults": [{"kill": "before", "commit": 0}]},
        "faults.0.commit: ",
    ),
    "a time without a zone": (SMALL | {"now": "2026-01-15T09:00:00"}, "now needs a time zone"),
    "turns of a recorded one": (
        SMALL | {"origin": "recorded", "turns": {"read": [{"say": 1}]}},
        "turns are written by hand",
    ),
    "a name with a path in it": ({**SMALL, "id": "small"} | {"tags": ["../x"]}, "tags.0: "),
    "a cost below nothing": (SMALL | {"expect": {"usd": -1}}, "expect.usd: "),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, name: str) -> None:
    scenario, said = MISTAKES[name]
    told = why(tmp_path, scenario)
    assert said in told
    assert "Value error" not in told
    assert "~" not in told


# ── YAML ─────────────────────────────────────────────────────────────────────────────────────────

HEAD = "id: text\nexpect: {status: succeeded}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-15", "2026-01-15"),
        ("2026-01-15T09:00:00Z", "2026-01-15T09:00:00Z"),
        ("no", "no"),
        ("12:30", "12:30"),
        ("0017", "0017"),
        ("1_000", "1_000"),
        ("true", True),
        ("17", 17),
        ("-1.50", -1.5),
        ("~", None),
        ("'17'", "17"),
    ],
)
def test_a_value_is_what_was_written(tmp_path: Path, text: str, value: Any) -> None:
    found = read(written(tmp_path, f"{HEAD}input: {{a: {text}}}\n")).input["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("input: 1\ninput: 2", "the key 'input' stands twice"),
        ("input: {a: {b: 1, b: 2}}", "the key 'b' stands twice"),
        ("input: {17: paid}", "'17' is no text, and keys are: put it in quotes"),
        ("input: {[a]: 1}", "a key is no text"),
        ("input: !!binary aGVsbG8=", "input: a bytes is nothing that JSON has"),
        ("input: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("input: 1e999", "input: a float is nothing that JSON has"),
        ("input: &all [*all]", "nested too deeply"),
        ("input: [" + "[" * 5000, ""),
        ("input: {", "while parsing"),
        ("input: 1\n---\nid: two", "single document"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in why(tmp_path, f"{HEAD}{text}\n")


def test_a_file_that_is_no_text_or_holds_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path / "text.yaml")
    (tmp_path / "other.yaml").write_text("\ufeff" + yaml.safe_dump(SMALL), "utf-8")
    with pytest.raises(InvalidInput, match="holds the scenario 'small'"):
        read(tmp_path / "other.yaml")
    assert "not a mapping" in why(tmp_path, "- 1\n")


# ── the published format ─────────────────────────────────────────────────────────────────────────


def test_the_schema_takes_every_scenario_that_we_have() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid(FULL)
    assert validator.is_valid(SMALL)
    for path in sorted((ROOT / "examples").rglob("scenarios/*.yaml")):
        errors = [
            error.message
            for error in validator.iter_errors(json.loads(read(path).model_dump_json(exclude_unset=True)))
        ]
        assert errors == [], path


@pytest.mark.parametrize(
    "name",
    [
        "no input",
        "an empty text",
        "a row that is no row",
        "a fault nobody knows",
        "a kill before the first commit",
        "a name with a path in it",
        "a cost below nothing",
    ],
)
def test_the_schema_refuses_mistakes_of_form(name: str) -> None:
    assert not Draft202012Validator(json_schema()).is_valid(MISTAKES[name][0])


def test_the_published_schema_is_that_of_the_code() -> None:
    published = ROOT / "docs" / "reference" / "scenario.schema.json"
    assert json.loads(published.read_text("utf-8")) == json_schema(), "run scripts/reference.py"


def test_the_scenario_that_the_page_shows_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reference" / "scenarios.md").read_text("utf-8")
    shown = page.partition("```yaml\n")[2].partition("```")[0]
    assert shown.startswith("# yaml-language-server: $schema=")
    path = tmp_path / "refund-of-a-lamp.yaml"
    path.write_text(shown)
    assert read(path).expect.world is not None


def test_what_stands_below_a_field_is_its_description() -> None:
    texts = field_texts()
    assert texts["Kill"] == {}
    described = json_schema()["$defs"]["Expect"]["properties"]
    assert described["error"]["description"] == texts["Expect"]["error"] == "The code of the run's error."
    assert "title" not in described["error"]


def test_a_scenario_survives_being_written_down() -> None:
    scenario = Scenario.model_validate(FULL)
    assert Scenario.model_validate(scenario.model_dump(mode="json", exclude_unset=True)) == scenario
    assert Scenario.model_validate(scenario) == scenario
