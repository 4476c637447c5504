"""Scenarios: one file each, YAML, with everything that a run of one needs and everything expected of it.

An unknown key is an error, and so is an expectation that nothing can satisfy: what looks checked must be
checked. The published JSON Schema (`surefoot eval --schema`) is made of these classes and the texts below
their fields.
"""

from __future__ import annotations

import ast
import inspect
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from ..errors import InvalidInput
from .yaml12 import load

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400)]
Count = Annotated[int, Field(ge=1)]
Some = Annotated[str, StringConstraints(pattern=r"\S")]
"""A text with something in it: every text holds the empty one."""
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
        if self.decide != "settle" and "result" in self.model_fields_set:
            raise ValueError("only settle takes a result")
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
    """`unavailable` is a 5xx, `rate_limited` a 429, `cut_off` a broken connection after the request, `silent`
    no answer until the request's time is over; `garbage` no JSON, `truncated` half an answer,
    `invalid_arguments` a call that fits no schema."""

    step: str
    does: Literal[
        "unavailable",
        "rate_limited",
        "cut_off",
        "silent",
        "refused",
        "garbage",
        "truncated",
        "invalid_arguments",
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


class Price(Part):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


class Kill(Part):
    """The runtime is dropped right before or right after its n-th durable commit; another one goes on."""

    kill: Literal["before", "after"]
    commit: Count


def _of_fault(found: Any) -> str:
    """Which kind is meant, by its own key, so that a misspelt one is told once and where it stands."""
    keys = found if isinstance(found, dict) else vars(found) if isinstance(found, BaseModel) else ()
    return "~kill" if "kill" in keys else "~model" if "step" in keys else "~tool"


Fault = Annotated[
    Annotated[ToolFault, Tag("~tool")] | Annotated[ModelFault, Tag("~model")] | Annotated[Kill, Tag("~kill")],
    Discriminator(_of_fault),
]


class Say(Part):
    """The model's final answer: a text, or an object as JSON."""

    say: Any


class Use(Part):
    """The model proposes these calls."""

    use: Annotated[list[tuple[str, dict[str, Any]]], Field(min_length=1)]


def _of_turn(found: Any) -> str:
    keys = found if isinstance(found, dict) else vars(found) if isinstance(found, BaseModel) else ()
    return "~use" if "use" in keys else "~say"


Turn = Annotated[Annotated[Say, Tag("~say")] | Annotated[Use, Tag("~use")], Discriminator(_of_turn)]


# ── what is expected ─────────────────────────────────────────────────────────────────────────────


class Output(Part):
    """`equals` the whole; `contains` these fields with these values, at any depth that they name; `matches` a
    JSON Schema; `absent` paths that must not be there."""

    equals: Any = None
    contains: dict[str, Any] | None = None
    """A key may be a path, such as `items.0.name`. What else is there does not matter."""
    matches: dict[str, Any] | None = None
    absent: list[Some] = []

    @model_validator(mode="after")
    def _complete(self) -> Output:
        if not ("equals" in self.model_fields_set or self.contains or self.matches or self.absent):
            raise ValueError("it holds no check")
        if self.matches and (complaint := _not_a_schema(self.matches)):
            raise ValueError(f"matches: {complaint}")
        return self


class CallCheck(Part):
    """One call that must have been made: its arguments contain these, it came to this."""

    tool: str
    args: dict[str, Any] = {}
    status: Literal["returned", "failed", "unknown", "undone", "given_up"] = "returned"


class Calls(Part):
    """`count` of calls that were made, by tool; `order` in which tools were first called (others may stand
    between); `made` calls with these arguments; `forbidden` tools that must not be called at all, `refused`
    how many calls of a tool were refused before they were made; `only` the tools that may be called."""

    count: dict[str, Annotated[int, Field(ge=0)]] = {}
    order: list[str] = []
    made: list[CallCheck] = []
    forbidden: list[str] = []
    refused: dict[str, Annotated[int, Field(ge=0)]] = {}
    only: list[str] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Calls:
        if self == Calls.model_construct():
            raise ValueError("it holds no check")
        if len(set(self.order)) != len(self.order):
            raise ValueError("order names a tool twice, and says when each was called first")
        return self


class Asked(Part):
    """Items that opened: how many approvals and reviews, and what they came to."""

    approvals: Annotated[int, Field(ge=0)] | None = None
    reviews: Annotated[int, Field(ge=0)] | None = None
    of: list[str] = []
    """Tools or steps that a person was asked about."""
    who: list[Some] = []
    """Groups and queues that were asked."""
    why: list[Some] = []
    """Texts that the reasons told to people must hold: which rule it was that asked."""

    @model_validator(mode="after")
    def _complete(self) -> Asked:
        if self == Asked.model_construct():
            raise ValueError("it holds no check")
        return self


class WorldCheck(Part):
    """What the run did to the world. What is not named here must be as it was before, in every table."""

    changes: dict[str, dict[str, dict[str, Any] | None]] = {}
    """By table, then by the row's key: the values that it came to have, by column, or by a path into one
    (`address.city`). `null`: the row went. A value that stood there before is no change, and fails."""
    added: dict[str, Annotated[int, Field(ge=0)]] = {}
    """By table, how many rows came: each effect once, counted on the other side."""
    may_change: list[Some] = []
    """Tables, or table.column, of which nothing is asked beyond what stands above."""


class Expect(Part):
    status: Status = "succeeded"
    degraded: bool | None = None
    """Whether a fallback was used."""
    error: str | None = None
    """The code of the run's error."""
    output: Output | None = None
    steps: dict[str, Literal["ok", "fallback", "by_hand", "failed", "none"]] = {}
    calls: Calls | None = None
    asked: Asked | None = None
    world: WorldCheck | None = None
    said: list[Some] = []
    """Texts that the run's output, or the arguments of an effect that was made, must hold; letters' case and
    line breaks do not count."""
    not_said: list[Some] = []
    """Texts that neither the output nor the arguments of any effect may hold, made or not."""
    usd: Annotated[float, Field(ge=0)] | None = None
    """At most."""
    tokens: Annotated[int, Field(ge=0)] | None = None
    """At most, in and out together."""
    model_calls: Annotated[int, Field(ge=0)] | None = None
    """At most."""
    seconds: Seconds | None = None
    """At most, of active time; waiting for people does not count."""
    rubric: str | None = None
    """Judged by a model, in the live lane only."""

    def says_anything(self) -> bool:
        return bool(self.model_fields_set - {"rubric"})


class Scenario(Part):
    id: Name
    """The file's name without its ending."""
    about: str = ""
    """What it shows, in a sentence."""
    tags: list[Name] = []
    """`--only TAG` runs those that have it."""
    must: bool = False
    """Safety: one failure is red, in every lane."""
    refusal: bool = False
    """Nothing shall happen here: a model that does nothing passes, too."""
    input: Any
    """The run's input, of the workflow's type."""
    now: datetime | None = None
    """When the run begins; with a time zone."""
    world: dict[str, Any] = {}
    """The world's first state, handed to the project's factory."""
    decisions: list[Decide] = []
    """What people say, in order. A question that none of them fits stays open."""
    faults: list[Fault] = []
    """What goes wrong."""
    price: Price | None = None
    """What every model costs here, in place of its own price: so that a free one can come to the end of a
    budget in dollars."""
    origin: Literal["written", "recorded", "production"] = "written"
    """Where the model's turns come from: an author, a model, a production run."""
    turns: dict[str, list[Turn]] = {}
    """By step, what the model answers, written by hand; `surefoot eval --record` pins them to their requests.
    Empty where a model was recorded."""
    expect: Expect
    """How it shall end: everything that is named here, and in the world nothing else."""

    @model_validator(mode="after")
    def _complete(self) -> Scenario:
        if self.now is not None and self.now.tzinfo is None:
            raise ValueError("now needs a time zone, such as 2026-01-15T09:00:00Z")
        if not self.expect.says_anything():
            raise ValueError("expect holds no check: say at least what status the run ends with")
        if self.turns and self.origin != "written":
            raise ValueError(f"turns are written by hand, and origin is {self.origin}")
        return self


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def read(path: Path) -> Scenario:
    """One scenario from a file of its own, named by its id. Raises InvalidInput."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read", why=str(error)) from error
    try:
        found = load(text)
    except ValueError as error:
        raise InvalidInput(f"{path} is no YAML that we read", why=str(error)) from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} holds no scenario", why="it is not a mapping of keys to values")
    try:
        scenario = Scenario.model_validate(found)
    except ValidationError as error:
        raise InvalidInput(
            f"{path} is no scenario",
            why="; ".join(_lines(error)),
            remedy="`surefoot eval --schema` prints the format; an editor can check against it.",
        ) from error
    if scenario.id != path.stem:
        raise InvalidInput(
            f"{path} holds the scenario {scenario.id!r}",
            why="a scenario is found by its file's name",
            remedy="Name the file by its id.",
        )
    return scenario


def _not_a_schema(schema: dict[str, Any]) -> str:
    """What is wrong with it, or "". Nothing is fetched when it is used, so it may refer to itself alone."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = ".".join(map(str, error.absolute_path))
        return f"{where or 'it'} is no JSON Schema: {error.message}"
    return "" if not _refers_elsewhere(schema) else "it refers to another document ($ref)"


def _refers_elsewhere(schema: Any) -> bool:
    match schema:
        case {"$ref": str(place)} if not place.startswith("#"):
            return True
        case dict():
            return any(map(_refers_elsewhere, schema.values()))
        case list():
            return any(map(_refers_elsewhere, schema))
        case _:
            return False


def _lines(error: ValidationError) -> list[str]:
    """One for each mistake, with the path as it stands in the file."""
    found = []
    for item in error.errors(include_input=False, include_context=False, include_url=False):
        path = [str(part) for part in item["loc"] if not str(part).startswith("~")]
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "there is no such key"
        found.append(f"{'.'.join(path) or 'the scenario'}: {message}")
    return found


# ── the format, for editors ──────────────────────────────────────────────────────────────────────


def json_schema() -> dict[str, Any]:
    """The format, with the texts that stand below the fields in this file as descriptions."""
    schema = Scenario.model_json_schema()
    for name, part in {"Scenario": schema, **schema["$defs"]}.items():
        part.pop("title", None)
        for field, described in part.get("properties", {}).items():
            described.pop("title", None)
            if text := field_texts().get(name, {}).get(field):
                described["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Scenario", **schema}


def field_texts() -> dict[str, dict[str, str]]:
    """By class and field: the text below it."""
    found: dict[str, dict[str, str]] = {}
    for part in ast.parse(inspect.getsource(sys.modules[__name__])).body:
        if not isinstance(part, ast.ClassDef):
            continue
        texts = found.setdefault(part.name, {})
        for line, below in zip(part.body, part.body[1:], strict=False):
            match line, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    texts[name] = " ".join(text.split())
                case _:
                    continue
    return found
