"""`surefoot check` and `surefoot tools`: the rails report refuses contradictions, and warns of risks."""

from typing import Any

import pytest

from .conftest import Shell

HEAD = """
from datetime import timedelta
from surefoot import *
from surefoot.testing import Say, ScriptedModel
from surefoot.core.model import Price

@tool(effect=Effect.READ, permission="a:read")
async def look(n: int) -> int:
    "Look."
    return n

@tool(effect=Effect.ONCE, permission="a:write")
async def act(n: int) -> int:
    "Act."
    return n

@tool(effect=Effect.READ, permission="a:read")
def slow(n: int) -> int:
    "Slow."
    return n

@step
async def first(n: int, run: Run) -> int:
    return n

@step
async def asking(n: int, run: Run) -> int:
    return await run.ask(int, "How many?", {"n": n})

@step
async def reading(n: int, run: Run) -> int:
    return await run.ask(int, "prompts/gone.md", {"n": n})

@step(fallback=Review("desk"), timeout=100)
async def reviewed(n: int, run: Run) -> int:
    return n

free = ScriptedModel({"asking": [Say(1)]})
dear = ScriptedModel({"asking": [Say(1)]}, name="dear", price=Price(1_000_000, 5_000_000))
"""


def findings(shell: Shell, definition: str, *words: str) -> tuple[int, dict[str, Any]]:
    shell.write("program.py", f"{HEAD}\nw = Workflow('w', input=int, {definition})\n")
    said = shell.here("check", "program:w", "--json", *words)
    assert "Traceback" not in said.err
    return said.code, said.json


CONTRADICTIONS = {
    "permission_not_granted": "steps=[first], tools=[look]",
    "no_models": "steps=[asking]",
    "model_unusable": "steps=[asking], models=['openai']",
    "prompt_missing": "steps=[reading], models=[free]",
    "no_tool_calls": "steps=[first], tools=[look], grants=['a:read'], budget=Budget(tool_calls=0)",
    "no_time": "steps=[first], budget=Budget(seconds=0)",
    "no_model_calls": "steps=[asking], models=[free], budget=Budget(model_calls=0)",
    "budget_too_small": "steps=[asking], models=[dear], budget=Budget(usd='0.01')",
    "tool_not_listed": "steps=[first], rules=[approve(act)]",
    "duplicate_name": "steps=[first, first]",
}
WARNINGS = {
    "once_without_reconcile": "steps=[first], tools=[act], grants=['a:write']",
    "effect_without_rule": "steps=[first], tools=[act], grants=['a:write']",
    "thread_cannot_be_stopped": "steps=[first], tools=[slow], grants=['a:read']",
    "approval_without_end": "steps=[first], tools=[act], grants=['a:write'], rules=[approve(act)]",
    "always_forbidden": "steps=[first], tools=[act], grants=['a:write'], rules=[forbid(act)]",
    "people_not_said": "steps=[reviewed]",
    "grant_unused": "steps=[first], grants=['a:read']",
    "secret_not_set": "steps=[first], secrets=['NO_SUCH_SECRET']",
    "price_unknown": "steps=[asking], models=['openai:no-such-model-at-all']",
    "key_not_set": "steps=[asking], models=['openai:gpt-4o']",
    "budget_tight": "steps=[asking], models=[dear], budget=Budget(usd='1')",
    "timeout_beyond_budget": "steps=[reviewed], budget=Budget(seconds=10)",
}


@pytest.mark.parametrize("code", CONTRADICTIONS)
def test_a_contradiction_is_refused(shell: Shell, code: str) -> None:
    exit_code, report = findings(shell, CONTRADICTIONS[code])
    assert exit_code == 1
    assert report["ok"] is False
    assert code in [one["code"] for one in report["contradictions"]], report


@pytest.mark.parametrize("code", WARNINGS)
def test_a_risk_is_a_warning_and_no_refusal(shell: Shell, code: str) -> None:
    exit_code, report = findings(shell, WARNINGS[code])
    assert report["contradictions"] == []
    assert (exit_code, report["ok"]) == (0, True)
    assert code in [one["code"] for one in report["warnings"]], report


def test_what_is_in_order_has_no_finding(shell: Shell) -> None:
    definition = "steps=[asking], tools=[look], grants=['a:read'], models=[free]"
    assert findings(shell, definition)[1]["warnings"] == []


def test_a_deployment_s_grants_people_and_models_count(shell: Shell) -> None:
    definition = "steps=[reviewed, asking], tools=[look], grants=['a:read'], models=[free]"
    shell.setenv("SUREFOOT_PEOPLE", "leads=kim")
    shell.setenv("SUREFOOT_GRANTS", "b:read")
    code, report = findings(shell, definition, "--model", "openai:gpt-4o")
    assert code == 1
    assert [one["code"] for one in report["contradictions"]] == ["permission_not_granted", "unknown_group"]
    assert {one["code"] for one in report["warnings"]} >= {"grant_unknown", "key_not_set"}
    assert [one["model"] for one in report["models"]] == ["openai:gpt-4o"]


def test_the_report_names_every_tool_rule_step_and_limit(shell: Shell) -> None:
    said = shell.here("check", "till:till", "--json")
    assert said.code == 0
    report = said.json
    assert [one["tool"] for one in report["tools"]] == ["stock", "pay"]
    assert report["tools"][1]["granted"] is True
    assert report["tools"][1]["rules"] == ["ask pay by leads"]
    assert report["rules"][0]["within_seconds"] == 86_400
    assert report["budget"]["usd"] == "0.10"
    assert [(one["step"], one["asks"]) for one in report["steps"]] == [
        ("reading", True),
        ("checked", False),
        ("paid", False),
    ]
    out = shell.here("check", "till:till").out
    for word in ("stock", "money:pay", "ask pay by leads", "review by desk", "usd 0.10", "In order"):
        assert word in out


def test_tools_are_listed_with_their_schemas(shell: Shell) -> None:
    stock, pay = shell.here("tools", "list", "till:till", "--json").lines
    assert (stock["tool"], stock["effect"], stock["permission"]) == ("stock", "read", "stock:read")
    assert pay["description"] == "Pay for an item."
    assert set(pay["input_schema"]["required"]) == {"item", "amount"}
    assert pay["output_schema"] == {"type": "string"}
    assert "money:pay" in shell.here("tools", "list", "till:till").out
