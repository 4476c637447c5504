"""The rails report: what a workflow may do here, and what in that contradicts itself or is merely risky.

Pure: `review` is told by `Surroundings` what only a look outside can know. A contradiction is what could
only ever fail, or leave a call without its guard; `surefoot check` refuses it. A warning is what the author
may well mean, and should have thought of.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..core.budget import Budget
from ..core.model import NANO, Bound, Message, Model, ModelRequest
from ..core.rule import Rule
from ..core.step import Review, Use
from ..core.tool import Effect, Tool
from ..core.wiring import Wired
from ..core.workflow import Definition
from ..errors import PriceUnknown
from ..rails.ledger import dollars
from ..rails.policy import narrowed, permitted

Level = Literal["contradiction", "warning"]

SMALLEST = ModelRequest("", (Message("user", "{}"),), max_tokens=1)
"""If not even this fits a budget, nothing does."""
USUAL = ModelRequest("", (Message("user", "x" * 4000),))
"""A page of data and the answer length that `run.ask` asks for unless told otherwise."""


@dataclass(frozen=True)
class Finding:
    """`about` is what it concerns, such as "tool refund"."""

    level: Level
    code: str
    about: str
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class OpenedModel:
    """`model` None where it cannot be opened; then `problem` and `remedy` say why and what to do."""

    name: str
    model: Model | None
    problem: str = ""
    remedy: str = ""
    key_missing: str = ""
    """The environment variable of the key that its provider needs and that is not set."""


@dataclass(frozen=True)
class Surroundings:
    """`grants` None: the deployment narrows nothing. `prompts_missing` is by "step:name" with the reason,
    `secrets` by name with whether it is set."""

    models: Sequence[OpenedModel] = ()
    grants: Sequence[str] | None = None
    people: Mapping[str, Sequence[str]] | None = None
    prompts_missing: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    workflow: str
    version: str
    grants: list[str]
    tools: list[dict[str, Any]]
    rules: list[dict[str, Any]]
    budget: dict[str, Any]
    models: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    prompts: list[dict[str, Any]]
    secrets: list[dict[str, Any]]
    findings: list[Finding]

    @property
    def contradictions(self) -> list[Finding]:
        return [one for one in self.findings if one.level == "contradiction"]

    @property
    def warnings(self) -> list[Finding]:
        return [one for one in self.findings if one.level == "warning"]

    def to_json(self) -> dict[str, Any]:
        found = {name: value for name, value in asdict(self).items() if name != "findings"}
        found["ok"] = not self.contradictions
        found["contradictions"] = [asdict(one) for one in self.contradictions]
        found["warnings"] = [asdict(one) for one in self.warnings]
        return found


def review(workflow: Definition, around: Surroundings) -> Report:
    granted = narrowed(workflow.grants, around.grants)
    return Report(
        workflow=workflow.name,
        version=workflow.version,
        grants=list(granted),
        tools=[tool_json(one, granted, workflow.rules) for one in workflow.tools.values()],
        rules=[_rule_json(rule, around.people) for rule in workflow.rules],
        budget=_budget_json(workflow.budget),
        models=[_model_json(one) for one in around.models],
        steps=[step_json(wired) for wired in workflow.plan.steps.values()],
        prompts=[
            {"prompt": name, "missing": around.prompts_missing.get(name, "")}
            for name in sorted(workflow.prompts)
        ],
        secrets=[{"name": name, "set": is_set} for name, is_set in around.secrets.items()],
        findings=[*findings(workflow, around)],
    )


# ── findings ─────────────────────────────────────────────────────────────────────────────────────


def findings(workflow: Definition, around: Surroundings) -> Iterator[Finding]:
    granted = narrowed(workflow.grants, around.grants)
    for tool in workflow.tools.values():
        yield from _of_tool(tool, workflow, granted, around.grants)
    yield from _of_grants(workflow, around.grants)
    for rule in workflow.rules:
        yield from _of_rule(rule)
        yield from _of_accept(rule, workflow)
    yield from _of_people(workflow, around.people)
    yield from _of_models(workflow, around.models)
    yield from _of_budget(workflow, around.models)
    for name, why in around.prompts_missing.items():
        step, _, prompt = name.partition(":")
        remedy = "A prompt that ends in .md is a UTF-8 file beside the module of its step."
        yield _no("prompt_missing", f"step {step}", f"its prompt {prompt} cannot be read: {why}", remedy)
    for name, is_set in around.secrets.items():
        if not is_set:
            what = "it is not set, so its value cannot be kept out of what is written"
            yield _risk("secret_not_set", f"secret {name}", what, f"Set {name} where runs are driven.")


def _no(code: str, about: str, what: str, remedy: str = "") -> Finding:
    return Finding("contradiction", code, about, what, remedy)


def _risk(code: str, about: str, what: str, remedy: str = "") -> Finding:
    return Finding("warning", code, about, what, remedy)


def _of_tool(
    tool: Tool[..., Any], workflow: Definition, granted: Sequence[str], deployment: Sequence[str] | None
) -> Iterator[Finding]:
    about = f"tool {tool.name}"
    if not permitted(tool, granted):
        if tool.permission in workflow.grants:
            remedy = "Leave it in --grants or SUREFOOT_GRANTS, or take the tool off the list."
            why = f"the deployment narrows the grants to {list(granted)}"
        else:
            remedy, why = (
                "Add it to grants=, or take the tool off the list.",
                f"the grants are {list(granted)}",
            )
        yield _no("permission_not_granted", about, f"it requires {tool.permission!r}, and {why}", remedy)
    if tool.effect is Effect.ONCE and tool.reconcile is None:
        yield _risk(
            "once_without_reconcile",
            about,
            "it must not be repeated and has no reconcile=, so after each doubt a person has to look",
            "Give it a reconcile= that asks the other side, or a key that the other side knows (KEYED).",
        )
    if not tool.is_async and tool.isolation is None:
        yield _risk(
            "thread_cannot_be_stopped",
            about,
            f"it is a plain def with a timeout of {tool.timeout:g} s, and a thread cannot be stopped",
            'Make it async, or give it isolation="process".',
        )
    if tool.effect is not Effect.READ and not any(
        rule.tool is tool and rule.kind != "accept" for rule in workflow.rules
    ):
        yield _risk(
            "effect_without_rule",
            about,
            f"it changes the world ({tool.effect.value}) and no rule is about it: every valid call is made",
            "Add approve(...) or forbid(...) with when=, if some calls should not pass unseen.",
        )
    if any(rule.tool is tool and rule.kind == "deny" and rule.when is None for rule in workflow.rules):
        yield _risk(
            "always_forbidden", about, "a rule forbids every call of it", "Drop the tool, or the rule."
        )


def _of_grants(workflow: Definition, deployment: Sequence[str] | None) -> Iterator[Finding]:
    needed = {tool.permission for tool in workflow.tools.values()}
    for grant in workflow.grants:
        if grant not in needed:
            yield _risk("grant_unused", f"grant {grant}", "no tool requires it", "Take it out of grants=.")
    for grant in deployment or ():
        if grant not in workflow.grants:
            what = "the deployment grants it and the workflow does not, so it has no effect"
            yield _risk("grant_unknown", f"grant {grant}", what, f"The workflow has {list(workflow.grants)}.")


def _of_rule(rule: Rule) -> Iterator[Finding]:
    if rule.kind != "ask":
        return
    if rule.within is None:
        what = "it has no within=, so a run may wait for a person for ever"
        yield _risk("approval_without_end", f"rule {rule.name}", what, "Say within=timedelta(...).")


def _of_accept(rule: Rule, workflow: Definition) -> Iterator[Finding]:
    if rule.kind != "accept":
        return
    about = f"rule {rule.name}"
    if rule.tool.effect is Effect.READ:
        yield _risk("accept_of_a_read", about, "nobody is asked about a READ tool anyway", "Drop the rule.")
    elif not any(tool.untrusted for tool in workflow.tools.values()):
        what = "no tool is declared untrusted=True, so there is nothing to accept"
        yield _risk("accept_without_untrusted", about, what, "Drop the rule, or declare the tool.")


def _of_people(workflow: Definition, people: Mapping[str, Sequence[str]] | None) -> Iterator[Finding]:
    groups = sorted(workflow.queues())
    if people is None:
        if groups:
            yield _risk(
                "people_not_said",
                f"groups {', '.join(groups)}",
                "nobody has said who belongs to them, so anyone may decide",
                "Say it in SUREFOOT_PEOPLE (leads=kim,ann), or in [tool.surefoot.people].",
            )
        return
    for group in groups:
        if not people.get(group):
            yield _no(
                "unknown_group",
                f"group {group}",
                f"the workflow asks it, and nobody belongs to it; known are {sorted(people)}",
                "Add it to SUREFOOT_PEOPLE or [tool.surefoot.people], or ask another group.",
            )


def _of_models(workflow: Definition, models: Sequence[OpenedModel]) -> Iterator[Finding]:
    asking = [wired.name for wired in workflow.plan.steps.values() if asks(wired)]
    if asking and not models:
        what = f"{', '.join(asking)} ask a model, and none is listed"
        yield _no(
            "no_models", f"step {asking[0]}", what, "Add models=[...] to the workflow, or give --model."
        )
    for one in models:
        if one.model is None:
            yield _no("model_unusable", f"model {one.name}", one.problem, one.remedy)
        elif one.key_missing:
            what = f"{one.key_missing} is not set, so its provider will refuse"
            yield _risk("key_not_set", f"model {one.name}", what, f"Set {one.key_missing}.")


def _of_budget(workflow: Definition, models: Sequence[OpenedModel]) -> Iterator[Finding]:
    budget = workflow.budget
    for wired in workflow.plan.steps.values():
        timeout = wired.step.timeout
        if timeout is not None and budget.seconds is not None and timeout > budget.seconds:
            what = f"its timeout is {timeout:g} s, and the run's budget ends after {budget.seconds:g} s"
            yield _risk("timeout_beyond_budget", f"step {wired.name}", what, "Shorten it, or raise seconds=.")
    if workflow.tools and budget.tool_calls == 0:
        yield _no(
            "no_tool_calls", "budget", "it allows no tool call, and tools are listed", "Raise tool_calls=."
        )
    if budget.seconds == 0:
        yield _no("no_time", "budget", "it allows no active time at all", "Raise seconds=.")
    if not any(asks(wired) for wired in workflow.plan.steps.values()):
        return
    if budget.model_calls == 0:
        yield _no("no_model_calls", "budget", "it allows no model call, and steps ask", "Raise model_calls=.")
    for one in models:
        if one.model is None:
            continue
        smallest, why = _bound(one.model, SMALLEST)
        if smallest is None:
            remedy = "Give a ceiling price in [tool.surefoot.prices], or update genai-prices."
            yield _risk("price_unknown", f"model {one.name}", f"{why}, so every ask is refused", remedy)
            continue
        usual, _ = _bound(one.model, USUAL)
        if over := _over(budget, smallest):
            what = f"not even the smallest ask of {one.name} fits: {over}"
            yield _no("budget_too_small", "budget", what, "Raise it, or list a cheaper model.")
        elif usual is not None and (over := _over(budget, usual)):
            what = f"an ask of {one.name} with a page of data and 1,024 tokens to answer does not fit: {over}"
            yield _risk("budget_tight", "budget", what, "Raise it, or give asks a smaller max_tokens=.")


def _bound(model: Model, request: ModelRequest) -> tuple[Bound | None, str]:
    try:
        return model.bound(request), ""
    except PriceUnknown as error:
        return None, f"{error.what} ({error.why})" if error.why else error.what


def _over(budget: Budget, bound: Bound) -> str:
    """Which cap a reservation would pass, with the sums."""
    tokens = bound.tokens_in + bound.tokens_out
    caps = (
        ("usd", budget.nanousd, bound.nanousd, dollars),
        ("day_usd", budget.day_nanousd, bound.nanousd, dollars),
        ("tokens", budget.tokens, tokens, str),
        ("day_tokens", budget.day_tokens, tokens, str),
    )
    for name, cap, wanted, show in caps:
        if cap is not None and wanted > cap:
            return f"it may take {show(wanted)}, and {name}= allows {show(cap)}"
    return ""


def asks(wired: Wired) -> bool:
    """Whether the step's own code says `run.ask`: what a function that it calls does, cannot be seen here."""
    return wired.run_as is not None and "ask" in _names_in(wired.step.function)


def _names_in(function: Callable[..., Any]) -> set[str]:
    found: set[str] = set()
    queue = [getattr(inspect.unwrap(function), "__code__", None)]
    while queue:
        code = queue.pop()
        if code is not None:
            found.update(code.co_names)
            queue.extend(const for const in code.co_consts if inspect.iscode(const))
    return found


# ── what there is ────────────────────────────────────────────────────────────────────────────────


def tool_json(tool: Tool[..., Any], granted: Sequence[str], rules: Sequence[Rule]) -> dict[str, Any]:
    return {
        "tool": tool.name,
        "version": tool.version,
        "effect": tool.effect.value,
        "permission": tool.permission,
        "granted": permitted(tool, granted),
        "timeout": tool.timeout,
        "isolation": tool.isolation,
        "async": tool.is_async,
        "reconcile": tool.reconcile is not None,
        "untrusted": tool.untrusted,
        "rules": [rule.name for rule in rules if rule.tool is tool],
    }


def _rule_json(rule: Rule, people: Mapping[str, Sequence[str]] | None) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "kind": rule.kind,
        "tool": rule.tool.name,
        "conditional": rule.when is not None,
        "by": rule.by,
        "people": list(people.get(rule.by, ())) if people is not None and rule.by else None,
        "within_seconds": rule.within.total_seconds() if rule.within else None,
        "reason": rule.reason,
        "fields": list(rule.fields),
    }


def _budget_json(budget: Budget) -> dict[str, Any]:
    """Dollars as the author wrote them."""
    return {
        "usd": None if budget.usd is None else str(budget.usd),
        "tokens": budget.tokens,
        "tool_calls": budget.tool_calls,
        "model_calls": budget.model_calls,
        "seconds": budget.seconds,
        "day_usd": None if budget.day_usd is None else str(budget.day_usd),
        "day_tokens": budget.day_tokens,
    }


def _model_json(one: OpenedModel) -> dict[str, Any]:
    usual = None if one.model is None else _bound(one.model, USUAL)[0]
    return {
        "model": one.name,
        "usable": one.model is not None,
        "priced": usual is not None,
        "usual_ask_usd": None if usual is None else usual.nanousd / NANO,
        "problem": one.problem,
    }


def step_json(wired: Wired) -> dict[str, Any]:
    step = wired.step
    return {
        "step": wired.name,
        "takes": {name: source or "<input>" for name, source in wired.sources.items()},
        "asks": asks(wired),
        "attempts": step.retry.attempts,
        "timeout": step.timeout,
        "isolation": step.isolation,
        "fallback": _fallback(step.fallback),
    }


def _fallback(fallback: Any) -> str | None:
    match fallback:
        case None:
            return None
        case Review(queue=queue):
            return f"review by {queue or 'anyone'}"
        case Use():
            return "a value"
        case _:
            return f"{getattr(fallback, '__name__', 'a function')}()"
