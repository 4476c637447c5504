"""How a run stands, as JSON programs rely on and as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.clock import iso
from ..core.jsons import loads
from ..core.workflow import Definition
from ..errors import SurefootError
from ..orchestrator.results import Result, Waiting
from ..settings import Settings
from .failures import DONE, FAILED, WAITING, lines_of_error, scrub, view
from .formats import call_text, clock_time, duration, money, ours, store_words, work_words
from .output import Output, one_line


def error_json(error: SurefootError | None) -> dict[str, Any] | None:
    """A run's error as its starter sees it: an error is a view, also for whom outputs are exact."""
    if error is None:
        return None
    return {name: scrub(text) for name, text in view(error).items()}


def result_json(workflow: Definition, result: Result) -> dict[str, Any]:
    """`waiting_for` are the ids of inbox items, `items` what they are about, with exact arguments."""
    return {
        "run": result.run,
        "status": result.status,
        "degraded": result.degraded,
        "output": output_json(workflow, result),
        "error": error_json(result.error),
        "usage": result.usage.to_json(),
        "waiting_for": [one.item for one in result.waiting_for],
        "items": [{**one.to_json(), "expires": iso(one.expires)} for one in result.waiting_for],
    }


def output_json(workflow: Definition, result: Result) -> Any:
    if result.status != "succeeded":
        return None
    plan = workflow.plan
    return loads(plan.steps[plan.last].output.dump(result.output))


def exit_code_of(status: str) -> int:
    """Of a run that this process leaves in this status."""
    return {"succeeded": DONE, "waiting": WAITING}.get(status, FAILED)


def tell_result(output: Output, result: Result, settings: Settings, target: str | None) -> None:
    """On stderr: how the run stands, and what to do next."""
    usage = result.usage
    sums = (
        f"{usage.model_calls} model calls, {usage.tokens_in} + {usage.tokens_out} tokens, "
        f"{money(usage.usd)}, {usage.tool_calls} tool calls, {duration(usage.seconds * 1000)}"
    )
    match result.status:
        case "succeeded" if result.degraded:
            output.say(
                f"{result.run} succeeded, degraded: a fallback or a person gave a step's output ({sums})",
                "warn",
            )
        case "succeeded":
            output.say(f"{result.run} succeeded ({sums})", "good")
        case "waiting":
            output.say(f"{result.run} waits for a person ({sums})", "warn")
        case "queued":
            output.say(f"{result.run} is queued")
        case status:
            output.say(f"{result.run} {'has ' if status != 'running' else 'is '}{status} ({sums})", "bad")
    if result.error is not None:
        tell_error(output, result.error)
    if result.waiting_for:
        for item in result.waiting_for:
            tell_item(output, item, settings)
        output.say(f"After a decision the run goes on with\n  {work_words(target, settings)}")
    elif result.status != "queued":
        output.say(f"Look into it: {ours('runs', 'show', result.run, *store_words(settings))}", "dim")


def tell_error(output: Output, error: SurefootError) -> None:
    first, *more = lines_of_error(error_json(error) or {})
    output.say(f"  {first}", "bad")
    for line in more:
        output.say(line)


def tell_item(output: Output, item: Waiting, settings: Settings) -> None:
    what = call_text(item.tool, item.args, 200) if item.tool else item.kind
    who = f", for {one_line(item.by)}" if item.by else ""
    until = f", until {clock_time(item.expires)}" if item.expires else ""
    output.say(f"{what} waits{who}{until}: {one_line(item.reason)}", "strong")
    for line in decide_commands(item.item, item.choices, settings, is_call=item.tool is not None):
        output.say(f"  {line}")


_NEEDS = {"edit": ["--args", "JSON"], "settle": ["--result", "JSON"]}


def decide_commands(item: str, choices: Sequence[str], settings: Settings, *, is_call: bool) -> list[str]:
    """One command for each choice, with what it means behind it."""
    means = {
        "approve": "do it" if is_call else "try again",
        "deny": "refuse it" if is_call else "let it fail",
        "edit": "do it with other arguments",
        "settle": "it did happen, with this result" if is_call else "give the step's output",
    }
    lines = []
    for choice in choices:
        what = [
            "inbox",
            "decide",
            item,
            choice,
            *_NEEDS.get(choice, ()),
            "--by",
            "YOU",
            *store_words(settings),
        ]
        lines.append((ours(*what), means.get(choice, "")))
    width = max(len(line) for line, _ in lines) if lines else 0
    return [f"{line:<{width}}  # {meaning}" for line, meaning in lines]
