"""Answers, as the API's document has them.

They are not made through these, but of the store's rows by the modules that also print them
(surefoot.orchestrator.views and trace); a test holds the ones against the others.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..state.rows import ItemKind, ItemStatus, Status


class Answered(BaseModel):
    """Later versions may tell more."""

    model_config = ConfigDict(extra="allow")


Time = Annotated[str, Field(description="UTC, to the microsecond.", examples=["2026-11-30T08:15:30.000000Z"])]


class Problem(Answered):
    """RFC 9457. `code` is stable; `errors` names each place that does not fit."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "docs/reference/errors.md#run_not_found",
                    "title": "There is no such run",
                    "status": 404,
                    "detail": "there is no run 'r0' in the store: the id is misspelt",
                    "code": "run_not_found",
                    "what": "there is no run 'r0' in the store",
                    "why": "the id is misspelt",
                    "remedy": "See `surefoot runs list`.",
                    "docs": "docs/reference/errors.md#run_not_found",
                    "request_id": "5f0c1d6a2b7e4c39",
                }
            ]
        },
    )
    type: str
    title: str
    status: int
    detail: str
    code: str
    what: str
    why: str
    remedy: str
    docs: str
    errors: list[str] | None = None
    request_id: str


class ErrorView(Answered):
    code: str
    what: str
    why: str
    remedy: str
    docs: str


class Usage(Answered):
    usd: float
    tokens_in: int
    tokens_out: int
    model_calls: int
    tool_calls: int
    seconds: float


class RunLine(Answered):
    """A run as lists show it. `waiting_for` are ids of inbox items, `events` how many its journal has."""

    id: str
    run: str
    workflow: str
    version: str
    key: str | None
    status: Status
    degraded: bool
    created: Time
    updated: Time
    due: Time | None
    events: int
    pruned: bool
    forgotten: Time | None
    error: ErrorView | None
    usage: dict[str, Any] | None
    waiting_for: list[str]


class ForkedRun(RunLine):
    forked_from: str


class StepView(Answered):
    name: str
    status: Literal["idle", "running", "waiting", "failed", "finished"]
    how: str
    attempts: int
    ms: float | None
    output: Any
    error: dict[str, Any] | None


class CallView(Answered):
    call: str
    step: str
    tool: str
    effect: str
    args: Any
    status: str
    key: str
    ms: float | None
    attempt: int
    result: Any
    error: dict[str, Any] | None
    approval: str | None


class AskView(Answered):
    ask: str
    step: str
    attempt: int
    prompt: str
    turn: int
    status: str
    model: str
    model_version: str
    tokens: int
    tokens_in: int | None
    tokens_out: int | None
    cached: int | None
    usd: float
    ms: float | None
    finish: str | None
    text: str | None


class RunItem(Answered):
    item: str
    kind: ItemKind
    step: str | None
    status: str
    reason: str
    tool: str | None
    args: Any
    by: str | None
    expires: Time | None


class RunView(RunLine):
    """A run and what happened in it. `exact`: its output and open items are exact, for it was started with
    this very token; all else, and all for others, are redacted views."""

    input: Any
    output: Any
    forked_from: str | None
    steps: list[StepView]
    calls: list[CallView]
    asks: list[AskView]
    calls_refused: int
    refusals: list[dict[str, Any]]
    items: list[RunItem]
    exact: bool


class EventView(Answered):
    """`view` is the event, redacted."""

    run: str
    seq: int
    at: Time
    kind: str
    version: int
    view: dict[str, Any]


class ExactRun(Answered):
    run: str
    input: Any
    key: str | None
    outputs: dict[str, Any]
    calls: list[dict[str, Any]]


class ForgottenRun(Answered):
    """`first` is false where it was forgotten before."""

    run: str
    forgotten: Time
    first: bool
    proved: int


class Item(Answered):
    """`args`, `reason` and `evidence` are redacted views. `choices` are what a decision may be."""

    item: str
    run: str
    kind: ItemKind
    status: ItemStatus
    for_: str = Field(alias="for")
    workflow: str | None
    step: str | None
    tool: str | None
    args: Any
    reason: str | None
    rule: str | None
    evidence: list[dict[str, Any]]
    choices: list[str]
    error: dict[str, Any] | None
    opened: Time
    expires: Time | None
    decided: Time | None
    by: str | None
    decision: str | None


class ExactItem(Answered):
    item: str
    kind: ItemKind
    step: str | None
    reason: str
    by: str
    choices: list[str]
    tool: str | None
    args: Any
    expires: Time | None


class Intake(Answered):
    """`state`: open; paused or refused (a person's word); tripped, trying (the breaker); spent (the day)."""

    workflow: str
    state: Literal["open", "paused", "refused", "tripped", "trying", "spent"]
    mode: Literal["open", "paused", "refused"]
    by: str
    reason: str
    since: Time | None
    trial_run: str | None
    opens_at: Time | None
    to_begin: int


class ChangedIntake(Intake):
    changed: bool


class IntakeChange(Answered):
    at: Time
    workflow: str
    what: str
    by: str
    reason: str


class Intakes(Answered):
    intakes: list[Intake]
    changes: list[IntakeChange]


class Spent(Answered):
    spent: float
    held: float
    cap: float | None


class Day(Answered):
    workflow: str
    day: str
    usd: Spent
    tokens: Spent
    warned: list[str]


class Days(Answered):
    today: str
    days: list[Day]
    intakes: list[Intake]


class Worker(Answered):
    """`until`: it lives at least so long, unless its process is known to have ended."""

    worker: str
    host: str
    pid: int
    started: Time
    until: Time
    alive: bool
    runs: int


class Workers(Answered):
    data: list[Worker]


class StepDefinition(Answered):
    step: str
    needs: list[str]
    output_schema: dict[str, Any]


class ToolDefinition(Answered):
    tool: str
    effect: str
    permission: str | None
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]


class WorkflowView(Answered):
    name: str
    version: str
    description: str
    fingerprint: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    examples: list[Any]
    steps: list[StepDefinition]
    tools: list[ToolDefinition]


class Delivery(Answered):
    id: int
    endpoint: str
    type: str
    run: str
    item: str | None
    at: Time
    status: Literal["waiting", "sent", "failed", "dropped"]
    attempts: int
    due: Time
    answer: str


class Replayed(Answered):
    id: int
    status: Literal["waiting"]


class Health(Answered):
    status: Literal["ok"]


class RunPage(Answered):
    data: list[RunLine]
    next: str | None


class EventPage(Answered):
    data: list[EventView]
    next: int | None


class ItemPage(Answered):
    data: list[Item]
    next: str | None


class DeliveryPage(Answered):
    data: list[Delivery]
    next: str | None


EXAMPLES: dict[str, Any] = {
    "RunLine": {
        "id": "r1m8q5m42shx9hps40",
        "run": "r1m8q5m42shx9hps40",
        "workflow": "support-desk",
        "version": "1",
        "key": "mail-17",
        "status": "waiting",
        "degraded": False,
        "created": "2026-11-30T08:15:30.089993Z",
        "updated": "2026-11-30T08:15:31.124418Z",
        "due": "2026-12-01T08:15:31.112916Z",
        "events": 24,
        "pruned": False,
        "forgotten": None,
        "error": None,
        "usage": {"usd": 0.0041, "tokens_in": 1810, "tokens_out": 212, "model_calls": 2},
        "waiting_for": ["r1m8q5m42shx9hps40-1"],
    },
    "EventView": {
        "run": "r1m8q5m42shx9hps40",
        "seq": 7,
        "at": "2026-11-30T08:15:30.512004Z",
        "kind": "step.finished",
        "version": 1,
        "view": {"step": "order", "output": {"number": "SD-1001", "email": "[email-1]"}},
    },
    "Item": {
        "id": "r1m8q5m42shx9hps40-1",
        "item": "r1m8q5m42shx9hps40-1",
        "run": "r1m8q5m42shx9hps40",
        "kind": "approval",
        "status": "open",
        "for": "leads",
        "workflow": "support-desk",
        "step": "action",
        "tool": "refund",
        "args": {"number": "SD-1001", "amount": "80.00"},
        "reason": "amount 80 > 50",
        "rule": "ask refund",
        "evidence": [],
        "choices": ["approve", "deny", "edit"],
        "error": None,
        "opened": "2026-11-30T08:15:31.112916Z",
        "expires": "2026-12-01T08:15:31.112916Z",
        "decided": None,
        "by": None,
        "decision": None,
    },
}
"""By the name of the model. Not in its configuration, which those below it would inherit."""
