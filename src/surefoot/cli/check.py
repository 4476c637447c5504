"""`surefoot check`: the rails report. It opens the models to see whether they can be, and asks nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..core.model import Model
from ..core.workflow import Definition
from ..errors import DefinitionError, SurefootError, TargetError
from ..models.providers import VARIABLES, open_model
from ..orchestrator.report import Finding, OpenedModel, Report, Surroundings, review
from ..settings import Settings
from .failures import DONE, FAILED
from .formats import count, duration, money
from .opening import model_settings, warn_of_unknown
from .options import Given, command, deployment_options, target_argument
from .output import Cell, Column, Output, clean, one_line
from .target import load_target


@command("check")
@target_argument
@deployment_options
def check(given: Given, target: str | None) -> int:
    """The rails report: every tool, rule and limit.

    Refuses what contradicts itself (exit 1), and warns of what is merely risky.
    """
    settings, output = given.settings, given.output
    warn_of_unknown(given, settings)
    try:
        workflow = load_target(target, settings)
    except TargetError:
        raise
    except DefinitionError as error:
        return _refuse(output, error)
    report = review(workflow, look_around(workflow, settings))
    if output.json:
        output.document(report.to_json())
    else:
        tell(output, report)
    return FAILED if report.contradictions else DONE


def _refuse(output: Output, error: SurefootError) -> int:
    """A workflow that cannot even be built is the plainest contradiction."""
    finding = {"level": "contradiction", "code": error.code, "about": "the definition", "what": error.what}
    if output.json:
        found = {**finding, "why": error.why, "remedy": error.remedy}
        output.document({"workflow": None, "ok": False, "contradictions": [found], "warnings": []})
    else:
        _tell_finding(
            output, Finding("contradiction", error.code, "", f"{error.what} ({error.why})", error.remedy)
        )
        output.answer("Refused: the workflow cannot be built.", "bad")
    return FAILED


def look_around(workflow: Definition, settings: Settings) -> Surroundings:
    known = model_settings(settings)
    specs = workflow.models if settings.models is None else settings.models
    return Surroundings(
        models=[_open(spec, known) for spec in specs],
        grants=settings.grants,
        people=settings.people,
        prompts_missing=_missing_prompts(workflow),
        secrets={name: bool(os.environ.get(name)) for name in workflow.secrets},
    )


def _open(spec: str | Model, known: dict[str, Any]) -> OpenedModel:
    name = spec if isinstance(spec, str) else spec.name
    try:
        model = open_model(spec, known)
    except DefinitionError as error:
        return OpenedModel(
            name, None, f"{error.what}: {error.why}" if error.why else error.what, error.remedy
        )
    key, url = VARIABLES.get(name.partition(":")[0], ("", ""))
    is_missing = bool(key) and isinstance(spec, str) and not os.environ.get(key) and not os.environ.get(url)
    return OpenedModel(name, model, key_missing=key if is_missing else "")


def _missing_prompts(workflow: Definition) -> dict[str, str]:
    missing = {}
    for name, path in workflow.prompts.items():
        try:
            Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            missing[name] = getattr(error, "strerror", None) or "it is no UTF-8 text"
    return missing


# ── for people ───────────────────────────────────────────────────────────────────────────────────


def tell(output: Output, report: Report) -> None:
    output.answer(
        f"{report.workflow} {report.version}   grants: {', '.join(report.grants) or 'none'}", "strong"
    )
    _section(output, "tools", [tool_row(one) for one in report.tools], TOOL_COLUMNS)
    _section(output, "rules", [_rule_row(one) for one in report.rules], RULE_COLUMNS)
    _section(output, "steps", [_step_row(one) for one in report.steps], STEP_COLUMNS)
    _section(output, "models", [_model_row(one) for one in report.models], MODEL_COLUMNS)
    caps = ", ".join(f"{name} {value}" for name, value in report.budget.items() if value is not None)
    output.answer(f"\nbudget: {caps or 'none'}")
    if report.prompts:
        output.answer(
            f"prompts: {', '.join(_marked(one['prompt'], one['missing']) for one in report.prompts)}"
        )
    if report.secrets:
        unset = {True: "", False: "not set"}
        output.answer(
            f"secrets: {', '.join(_marked(one['name'], unset[one['set']]) for one in report.secrets)}"
        )
    if report.findings:
        output.answer("")
    for finding in [*report.contradictions, *report.warnings]:
        _tell_finding(output, finding)
    no, risks = len(report.contradictions), len(report.warnings)
    output.answer("")
    if no:
        output.answer(f"Refused: {count(no, 'contradiction')}, {count(risks, 'warning')}.", "bad")
    else:
        output.answer(f"In order; {count(risks, 'warning')}.", "good")


TOOL_COLUMNS = [
    *(Column("tool"), Column("effect"), Column("requires"), Column("granted"), Column("timeout", right=True)),
    *(Column("how"), Column("reconcile"), Column("rules", wide=True)),
]
RULE_COLUMNS = [
    Column("rule"),
    Column("when"),
    Column("by"),
    Column("within", right=True),
    Column("why", wide=True),
]
STEP_COLUMNS = [
    *(Column("step"), Column("takes", wide=True), Column("asks"), Column("attempts", right=True)),
    *(Column("timeout", right=True), Column("fallback")),
]
MODEL_COLUMNS = [Column("model"), Column("usable"), Column("priced"), Column("an ask, at most", right=True)]


def _section(output: Output, title: str, rows: list[list[Cell]], columns: list[Column]) -> None:
    output.answer("")
    if rows:
        output.table(columns, rows)
    else:
        output.answer(f"no {title}", "dim")


def tool_row(one: dict[str, Any]) -> list[Cell]:
    how = one["isolation"] or ("async" if one["async"] else "thread")
    return [
        Cell(one["tool"], "strong"),
        Cell(one["effect"]),
        Cell(one["permission"] or "-"),
        Cell("yes", "good") if one["granted"] else Cell("NO", "bad"),
        Cell(f"{one['timeout']:g} s"),
        Cell(how),
        Cell("yes" if one["reconcile"] else "-"),
        Cell(", ".join(one["rules"]) or "-"),
    ]


def _rule_row(one: dict[str, Any]) -> list[Cell]:
    who = one["by"] or "anyone"
    if one["people"] is not None:
        who += f" ({', '.join(one['people']) or 'nobody'})"
    within = one["within_seconds"]
    return [
        Cell(one["rule"], "strong"),
        Cell("its condition holds" if one["conditional"] else "always"),
        Cell(who if one["kind"] == "ask" else "-"),
        Cell(duration(within * 1000) if within else "-"),
        Cell(one_line(one["reason"], 60)),
    ]


def _step_row(one: dict[str, Any]) -> list[Cell]:
    return [
        Cell(one["step"], "strong"),
        Cell(", ".join(source for source in one["takes"].values())),
        Cell("yes" if one["asks"] else "-"),
        Cell(str(one["attempts"])),
        Cell(f"{one['timeout']:g} s" if one["timeout"] else "-"),
        Cell(one["fallback"] or "-"),
    ]


def _model_row(one: dict[str, Any]) -> list[Cell]:
    cost = one["usual_ask_usd"]
    return [
        Cell(one["model"], "strong"),
        Cell("yes", "good") if one["usable"] else Cell("NO", "bad"),
        Cell("yes" if one["priced"] else "no"),
        Cell("" if cost is None else money(cost)),
    ]


def _marked(name: str, problem: str) -> str:
    return f"{name} ({problem})" if problem else name


def _tell_finding(output: Output, finding: Finding) -> None:
    word, style = ("contradiction", "bad") if finding.level == "contradiction" else ("warning", "warn")
    about = f"{finding.about}: " if finding.about else ""
    output.answer(f"{word}: {clean(about + finding.what)}  [{finding.code}]", style)  # type: ignore[arg-type]
    if finding.remedy:
        output.answer(f"  do: {clean(finding.remedy)}")
