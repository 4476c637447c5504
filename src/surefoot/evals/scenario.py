"""Scenarios: one file each, YAML, with everything that a run of one needs and everything expected of it.

An unknown key is an error, and so is an expectation that nothing can satisfy: what looks checked must be
checked. The published JSON Schema (`surefoot eval --schema`) is made of these classes.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ..core.schema import lines_of
from ..errors import InvalidInput

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400)]
Count = Annotated[int, Field(ge=1)]
Status = Literal["succeeded", "failed", "cancelled", "waiting"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# ── what happens ─────────────────────────────────────────────────────────────────────────────────


class Decide(Part):
    """What a person says to the next open item, in the order in which items open. `tool` and `step` tell
    which item is meant; `after` seconds later than it opened; `again` tries the same decision once more."""

    decide: Literal["approve", "deny", "edit", "settle", "ignore"]
    tool: str | None = None
    step: str | None = None
    by: str = "tester"
    reason: str = ""
    args: dict[str, Any] | None = None
    """Of edit: the arguments instead."""
    result: Any = None
    """Of settle: the call's result, or the step's output."""
    after: Seconds | None = None
    again: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Decide:
        if (self.decide == "edit") != (self.args is not None):
            raise ValueError("edit needs args, and nothing else takes them")
        if self.decide == "ignore" and self.again:
            raise ValueError("to ignore again says nothing")
        return self


class ToolFault(Part):
    """`timeout` and `error` before the tool acts, `lost` after it has acted and before its answer arrives,
    `busy` a transient no of its own, `refuse` a definite one, `garbage` an answer that is not its type."""

    tool: str
    does: Literal["timeout", "error", "lost", "busy", "refuse", "garbage"]
    at: Count = 1
    """From its n-th call in this run on."""
    times: Count = 1


class ModelFault(Part):
    """`unavailable` is a 5xx, `rate_limited` a 429, `cut_off` a broken connection after the request;
    `garbage` no JSON, `truncated` half an answer, `invalid_arguments` a call that fits no schema."""

    step: str
    does: Literal[
        "unavailable", "rate_limited", "cut_off", "refused", "garbage", "truncated", "invalid_arguments"
    ]
    at: Count = 1
    times: Count = 1
    tool: str | None = None
    """Of invalid_arguments."""

    @model_validator(mode="after")
    def _complete(self) -> ModelFault:
        if (self.does == "invalid_arguments") != (self.tool is not None):
            raise ValueError("invalid_arguments needs a tool, and nothing else takes one")
        return self


class Kill(Part):
    """The runtime is dropped right before or right after its n-th durable commit; another one goes on."""

    kill: Literal["before", "after"]
    commit: Count


Fault = ToolFault | ModelFault | Kill


class Say(Part):
    """The model's final answer: a text, or an object as JSON."""

    say: Any


class Use(Part):
    """The model proposes these calls."""

    use: Annotated[list[tuple[str, dict[str, Any]]], Field(min_length=1)]


# ── what is expected ─────────────────────────────────────────────────────────────────────────────


class Output(Part):
    """`equals` the whole; `contains` these fields with these values, at any depth that they name; `matches` a
    JSON Schema; `absent` paths that must not be there."""

    equals: Any = None
    contains: dict[str, Any] | None = None
    matches: dict[str, Any] | None = None
    absent: list[str] = []


class CallCheck(Part):
    """One call that must have been made: its arguments contain these, it came to this."""

    tool: str
    args: dict[str, Any] = {}
    status: Literal["returned", "failed", "unknown", "undone", "given_up"] = "returned"


class Calls(Part):
    """`count` of calls that were made, by tool; `order` in which tools were first called (others may stand
    between); `made` calls with these arguments; `forbidden` tools that must not be called at all, `refused`
    how many calls of a tool were refused; `only` the tools that may be called."""

    count: dict[str, Annotated[int, Field(ge=0)]] = {}
    order: list[str] = []
    made: list[CallCheck] = []
    forbidden: list[str] = []
    refused: dict[str, Annotated[int, Field(ge=0)]] = {}
    only: list[str] | None = None


class Asked(Part):
    """Items that opened: how many approvals and reviews, and what they came to."""

    approvals: Annotated[int, Field(ge=0)] | None = None
    reviews: Annotated[int, Field(ge=0)] | None = None
    of: list[str] = []
    """Tools or steps that a person was asked about."""


class WorldCheck(Part):
    """`changes`: by table, then row: `added` how many rows, or rows by their key with the values that they
    must have; `null` is a row that went. What is not named here, and not in `may_change`, must be as it
    was."""

    changes: dict[str, dict[str, Any]] = {}
    added: dict[str, Annotated[int, Field(ge=0)]] = {}
    """By table, how many rows came: each effect once, counted on the other side."""
    may_change: list[str] = []
    """Tables, or table.column, of which nothing is asked."""


class Expect(Part):
    status: Status = "succeeded"
    degraded: bool | None = None
    error: str | None = None
    """The code of the run's error."""
    output: Output | None = None
    steps: dict[str, Literal["ok", "fallback", "by_hand", "failed", "none"]] = {}
    calls: Calls | None = None
    asked: Asked | None = None
    world: WorldCheck | None = None
    said: list[str] = []
    """Texts that the run's output or an effect's arguments must hold, whatever their case."""
    not_said: list[str] = []
    usd: Annotated[float, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=0)] | None = None
    model_calls: Annotated[int, Field(ge=0)] | None = None
    seconds: Seconds | None = None
    rubric: str | None = None
    """Judged by a model, in the live lane only."""

    def says_anything(self) -> bool:
        return bool(self.model_fields_set - {"rubric"})


class Scenario(Part):
    id: Name
    about: str = ""
    tags: list[Name] = []
    must: bool = False
    """Safety: one failure is red, in every lane."""
    refusal: bool = False
    """Nothing shall happen here: a model that does nothing passes, too."""
    input: Any
    now: datetime | None = None
    """When the run begins; with a time zone."""
    world: dict[str, Any] = {}
    decisions: list[Decide] = []
    faults: list[Fault] = []
    origin: Literal["written", "recorded", "production"] = "written"
    turns: dict[str, list[Say | Use]] = {}
    """By step, what the model answers, written by hand; `surefoot eval --record` pins them to their requests.
    Empty where a model was recorded."""
    expect: Expect

    @model_validator(mode="after")
    def _complete(self) -> Scenario:
        if self.now is not None and self.now.tzinfo is None:
            raise ValueError("now needs a time zone, such as 2026-01-15T09:00:00Z")
        if not self.expect.says_anything():
            raise ValueError("expect holds no check: say at least what status the run ends with")
        if self.turns and self.origin != "written":
            raise ValueError(f"turns are written by hand, and origin is {self.origin}")
        return self


def read(path: Path) -> Scenario:
    """One scenario from a file of its own, named by its id. Raises InvalidInput."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read", why=str(error)) from error
    try:
        found = yaml.load(text, Loader=_Strict)  # noqa: S506  a SafeLoader that refuses doubled keys
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path} is no YAML", why=" ".join(str(error).split())) from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} holds no scenario", why="it is not a mapping of keys to values")
    try:
        scenario = Scenario.model_validate(found)
    except ValidationError as error:
        raise InvalidInput(
            f"{path} is no scenario",
            why="; ".join(lines_of(error)),
            remedy="`surefoot eval --schema` prints the format; an editor can check against it.",
        ) from error
    if scenario.id != path.stem:
        raise InvalidInput(
            f"{path} holds the scenario {scenario.id!r}",
            why="a scenario is found by its file's name",
            remedy="Name the file by its id.",
        )
    return scenario


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Strict(_Loader):  # type: ignore[misc]
    """A key that stands twice is an error, and dates stay the texts that were written."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} stands twice", key.start_mark
                )
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


_Strict.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def json_schema() -> dict[str, Any]:
    """The format, for editors."""
    schema = Scenario.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
