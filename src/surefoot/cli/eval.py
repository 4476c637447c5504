"""`surefoot eval`: the scenarios of a workflow, run and judged; the gate of a pull request."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..core.model import Model
from ..core.workflow import Definition, fingerprint_of
from ..errors import UsageError
from ..evals import baseline
from ..evals.beside import play_ahead
from ..evals.controls import controls, controls_ahead, with_controls
from ..evals.drift import CLASSES
from ..evals.gate import Verdict
from ..evals.live import live
from ..evals.progress import Progress
from ..evals.record import ci_of, must_not_be_ci, record
from ..evals.replay import replay
from ..evals.results import SuiteResult
from ..evals.scenario import json_schema
from ..evals.statistics import Counts
from ..evals.suite import Suite, load
from ..evals.trial import Broken, Stage
from ..models.providers import open_model
from ..models.recordings import Drift
from ..orchestrator.prompts import Prompts
from ..settings import Settings
from .eval_drift import accept_drift
from .eval_reports import (
    Heard,
    can_be_written,
    diff,
    keep,
    report_options,
    show,
    target_of,
    telling_of,
    write,
)
from .failures import DONE, FAILED, WRONG
from .opening import go, model_settings, warn_of_unknown
from .options import Given, command, deployment_options
from .output import Column, Output, Style, clean, one_line
from .target import load_object, load_target

MOST_PROCESSES = 4
EXIT: dict[Verdict, int] = {"green": DONE, "red": FAILED, "inconclusive": WRONG}


@command("eval")
@click.argument("words", nargs=-1, metavar="[TARGET | diff A B]")
@click.option("--only", multiple=True, metavar="NAME", help="Only scenarios of this id or tag.")
@click.option("--list", "listing", is_flag=True, help="List the scenarios and run none.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a scenario's file, for editors.")
@click.option("--record", "recording", is_flag=True, help="Record anew; refused in CI.")
@deployment_options
@click.option("--accept", is_flag=True, help="Make this run the baseline; needs --reason where one exists.")
@click.option("--live", "lane", flag_value="live", help="Ask the real models: trials until it is known.")
@click.option("--cap", "cap_usd", type=float, metavar="USD", help="With --live: the most that it may cost.")
@click.option("--judge", metavar="MODEL", help="With --live: who judges rubrics (default: the first model).")
@click.option("--resume", metavar="TOKEN", help="Go on with an eval that was cut off.")
@click.option("--controls/--no-controls", "control", default=True, help="Whether to try negative controls.")
@click.option(
    "--accept-drift",
    "drift",
    type=click.Choice(CLASSES),
    help="Let recorded answers stand for requests that differ in this alone; needs --reason, refused in CI.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why, kept with what was accepted.")
@click.option(
    "--keep/--no-keep",
    "kept",
    default=None,
    help="Whether to keep the report beside the store, for the console. [default: not in CI]",
)
@report_options
def eval(  # noqa: A001  the name of the command, in a module that evaluates nothing else
    given: Given,
    words: tuple[str, ...],
    only: tuple[str, ...],
    listing: bool,
    schema: bool,
    recording: bool,
    accept: bool,
    lane: str | None,
    cap_usd: float | None,
    judge: str | None,
    resume: str | None,
    control: bool,
    drift: Drift | None,
    reason: str,
    kept: bool | None,
    **reports: Path | None,
) -> int:
    """Run the scenarios and compare them with what was accepted.

    Offline: model turns come from recordings, and tools act on each scenario's own world. Exit code 0 green,
    1 red (a check failed, or an effect or a cost that nobody accepted), 2 inconclusive (a recording does not
    know what was asked, or nobody accepted the scenario yet).

    \b
    Examples:
      surefoot eval
      surefoot eval --only refunds
      surefoot eval --record --only refund-of-a-lamp
      surefoot eval --accept --reason "refunds need no photo any more"
      surefoot eval --accept-drift prompt --reason "a comma"
      surefoot eval --junit eval.xml --markdown eval.md --html eval.html
      surefoot eval diff before.json after.json
    """
    output, settings = given.output, given.settings
    if schema:
        output.document(json_schema())
        return DONE
    if words[:1] == ("diff",):  # a target always has a colon
        return diff(output, words[1:])
    files = can_be_written(reports)
    workflow = load_target(target_of(words), settings)
    warn_of_unknown(given, settings)
    suite = load(folder_of(settings), world_of(settings)).only(only)
    if listing:
        return _list(output, suite)
    opened = models_of(workflow, settings)
    stage = Stage(workflow, suite.world, opened, settings.grants, settings.people)
    if recording:
        must_not_be_ci()
        return go(_record(output, stage, suite))
    if drift is not None:
        if accept or lane or resume:
            raise UsageError(
                "--accept-drift is a step of its own",
                why="it pins recordings anew, and judges nothing",
                remedy="Leave --accept, --live and --resume out; run `surefoot eval` after it.",
            )
        return accept_drift(output, stage, suite, drift, reason)
    if accept and only:
        raise UsageError(
            "a part of the suite cannot become the baseline",
            why="--only leaves scenarios out",
            remedy="Run the whole suite with --accept.",
        )
    live_lane = lane == "live"
    about = {
        "lane": "live" if live_lane else "replay",
        "workflow": [workflow.name, workflow.version, *(model.name for model in opened)],
        "definition": fingerprint_of(workflow.describe(Prompts().digests(workflow)))[0],
        "scenarios": {one.id: baseline.digest(one) for one in suite.scenarios},
        "recordings": baseline.digest_of([one.to_text() for one in suite.recordings.values()]),
    }
    folder = Path(".surefoot") / "evals"
    progress = Progress.resume(folder, resume, about) if resume else Progress.begin(folder, about)
    output.say(f"eval {progress.token}: {len(suite.scenarios)} scenarios", "dim")
    judge_model = None if judge is None else open_model(judge, model_settings(settings))
    then = "negative controls" if control and not live_lane else ""
    with telling_of(output, len(suite.scenarios), then) as heard:
        if live_lane:
            result = go(_ask(heard, stage, suite, progress, cap_usd=cap_usd, judge_model=judge_model))
        else:
            result = _replay(heard, stage, suite, progress, whole=not only, control=control)
    if not result.resume:
        progress.end()
    if accept and live_lane:
        result = _accept_live(suite, result, ", ".join(model.name for model in opened))
    elif accept:
        result = _accept(suite, result, reason)
    show(output, result)
    write(files, result)
    if kept or (kept is None and ci_of() is None):
        keep(output, result, settings, target=target_of(words), token=progress.token, only=only)
    return EXIT[result.verdict]


# ── what a project has ───────────────────────────────────────────────────────────────────────────


def folder_of(settings: Settings) -> Path:
    return Path(settings.scenarios)


def world_of(settings: Settings) -> Any:
    return None if settings.world is None else load_object(settings.world)


def models_of(workflow: Definition, settings: Settings) -> list[Model]:
    """Opened, and not asked for anything yet."""
    specs = settings.models or workflow.models
    return [open_model(spec, model_settings(settings)) for spec in specs]


async def _ask(
    heard: Heard,
    stage: Stage,
    suite: Suite,
    progress: Progress,
    *,
    cap_usd: float | None,
    judge_model: Model | None,
) -> SuiteResult:
    return await live(
        stage,
        suite,
        progress,
        cap_usd=cap_usd,
        judge_model=judge_model,
        heard=heard,
    )


def _replay(
    heard: Heard, stage: Stage, suite: Suite, progress: Progress, *, whole: bool, control: bool
) -> SuiteResult:
    """On every core first; what did not come of that, here."""
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    began = time.monotonic()
    play_ahead(stage, suite, progress, processes)
    result = go(replay(stage, suite, progress, whole=whole, heard=heard))
    result = replace(result, took=time.monotonic() - began)
    if not control:
        return result
    passed = [one.id for one in result.scenarios if one.trials[0].outcome == "pass"]
    ahead = controls_ahead(stage, suite, passed, processes)
    return with_controls(result, go(controls(stage, suite, passed, ahead)))


# ── recording and accepting ──────────────────────────────────────────────────────────────────────


async def _record(output: Output, stage: Stage, suite: Suite) -> int:
    """Every scenario of the (part of the) suite, one after the other: a model is asked, and it costs."""
    wrong = 0
    for scenario in suite.scenarios:
        path = suite.recording_of(scenario.id)
        try:
            recording, trial = await record(stage, scenario, suite.recordings.get(scenario.id))
        except Broken as error:
            wrong += 1
            output.say(f"{scenario.id}: not recorded: {error}", "bad")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recording.to_text(), "utf-8")
        wrong += trial.outcome != "pass"
        said = "as expected" if trial.outcome == "pass" else "; ".join(map(str, trial.failures))
        style: Style = "" if trial.outcome == "pass" else "bad"
        output.say(f"{scenario.id}: {len(recording.turns)} turns recorded, {clean(said)}", style)
    if output.json:
        output.document({"recorded": len(suite.scenarios), "wrong": wrong})
    return FAILED if wrong else DONE


def _accept(suite: Suite, result: SuiteResult, reason: str) -> SuiteResult:
    """Writes the baseline where every scenario passed its checks. Raises UsageError."""
    lines = baseline.read(suite.baseline)
    by_id = {scenario.id: scenario for scenario in suite.scenarios}
    bad = [one.id for one in result.scenarios if any(trial.outcome != "pass" for trial in one.trials)]
    if bad:
        raise UsageError(
            f"this run cannot become the baseline: {', '.join(bad[:5])} did not pass",
            why=next(one.why for one in result.scenarios if one.id == bad[0]),
            remedy="Mend what fails, or record what is not known, and accept then.",
        )
    found = [
        baseline.line_of(by_id[one.id], one.trials[0], reason=reason, before=lines.get(one.id))
        for one in result.scenarios
    ]
    gone = [name for name in lines if name not in by_id]
    otherwise = [line.id for line in found if line.id in lines and line is not lines[line.id]]
    if (gone or otherwise) and not reason.strip():
        raise UsageError(
            f"{len(gone)} scenarios are gone and {len(otherwise)} are not what was accepted",
            why=", ".join([*gone, *otherwise][:8]),
            remedy='Say why: --accept --reason "...". It is kept in the baseline.',
        )
    baseline.write(suite.baseline, found)
    green = [replace(one, verdict="green", why="") for one in result.scenarios]
    notes = [*result.notes, f"{suite.baseline} holds {len(found)} scenarios"]
    return replace(result, verdict="green", reasons=[], scenarios=green, notes=notes)


def _accept_live(suite: Suite, result: SuiteResult, model: str) -> SuiteResult:
    """Adds the trials to the baseline's, where every scenario has its line. Raises UsageError."""
    lines = baseline.read(suite.baseline)
    missing = [one.id for one in result.scenarios if one.id not in lines]
    if missing or result.resume or result.verdict == "red":
        raise UsageError(
            "these trials cannot go into the baseline",
            why=f"{missing[0]} has no line there" if missing else "the run was cut short, or is red",
            remedy="Accept the replay lane first, and only whole runs that are not red.",
        )
    for one in result.scenarios:
        passed = sum(trial.outcome == "pass" for trial in one.trials)
        failed = sum(trial.outcome == "fail" for trial in one.trials)
        lines[one.id] = baseline.with_live(lines[one.id], model, Counts(passed, passed + failed))
    baseline.write(suite.baseline, lines.values())
    return replace(result, notes=[*result.notes, f"{suite.baseline} holds {len(lines)} scenarios"])


# ── telling ──────────────────────────────────────────────────────────────────────────────────────


def _list(output: Output, suite: Suite) -> int:
    if output.json:
        for one in suite.scenarios:
            shown = {"id": one.id, "about": one.about, "tags": list(one.tags), "must": one.must}
            output.document(shown | {"origin": one.origin})
        return DONE
    columns = [Column("scenario"), Column("origin"), Column("tags"), Column("about", wide=True)]
    rows = [[one.id, one.origin, ", ".join(one.tags), one_line(one.about)] for one in suite.scenarios]
    output.table(columns, rows)
    return DONE
