"""`surefoot scenario`: scenarios that are made of something else than a person's hands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.workflow import Definition
from ..errors import UsageError
from ..evals import baseline
from ..evals.from_run import Made, from_run, journal_of
from ..evals.record import must_not_be_ci
from ..evals.scenario import read
from ..evals.suite import BASELINE, RECORDINGS
from ..evals.trial import Stage
from ..orchestrator.starting import secret_values
from ..rails.redaction import Secrets
from ..settings import Settings
from .eval import folder_of, models_of
from .formats import count
from .opening import go, open_store, warn_of_unknown
from .options import Given, command, deployment_options
from .target import load_target


@click.group("scenario")
def scenario() -> None:
    """Make scenarios for `surefoot eval`.

    \b
    Examples:
      surefoot scenario from-run RUN
      surefoot scenario from-run RUN --id refund-of-a-broken-lamp
    """


@command("from-run", group=scenario)
@click.argument("run")
@click.argument("target", required=False, metavar="[TARGET]")
@click.option("--id", "name", metavar="NAME", help="The scenario's name. [default: from-RUN]")
@click.option(
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where to write it. [default: the project's scenarios]",
)
@deployment_options
def from_run_(given: Given, run: str, target: str | None, name: str | None, folder: Path | None) -> None:
    """Make a scenario of a production run, with its recording.

    The run is played again offline, with what models answered, what tools gave back and what people
    decided taken from its journal, and private values replaced by others of their kind. Refused are runs
    that have not ended, were pruned or forgotten, whose journal does not verify, or that do not come out
    the same. Read what was written before you commit it: only what is declared private, or looks like it,
    is replaced.
    """
    output, settings = given.output, given.settings
    must_not_be_ci()
    workflow = load_target(target, settings)
    warn_of_unknown(given, settings)
    name = name or f"from-{run.lower()}"
    folder = folder or folder_of(settings)
    path, recorded = folder / f"{name}.yaml", folder / RECORDINGS / f"{name}.json"
    if taken := [str(one) for one in (path, recorded) if one.exists()]:
        raise UsageError(
            f"there is a scenario {name!r} already",
            why=f"{taken[0]} exists, and nothing is written over",
            remedy="Give another name: --id NAME.",
        )
    made = go(_make(workflow, settings, run, name))
    recorded.parent.mkdir(parents=True, exist_ok=True)
    recorded.write_text(made.recording.to_text(), "utf-8")
    path.write_text(made.text, "utf-8")
    try:
        if read(path) != made.scenario:
            raise AssertionError(f"{path} does not read as what was written")
    except BaseException:
        path.unlink()
        recorded.unlink()
        raise
    lines = baseline.read(folder / BASELINE)
    lines[name] = baseline.line_of(made.scenario, made.trial, reason="made of a production run", before=None)
    baseline.write(folder / BASELINE, lines.values())
    if output.json:
        output.document(
            {
                "scenario": name,
                "file": str(path),
                "recording": str(recorded),
                "turns": len(made.recording.turns),
                "tools": len(made.recording.tools),
                "notes": list(made.notes),
            }
        )
        return
    for note in made.notes:
        output.say(note, "warn")
    output.say("Read it before you commit it: only what is declared private, or looks like it, was replaced.")
    told = f"{count(len(made.recording.turns), 'turn')}, {count(len(made.recording.tools), 'tool answer')}"
    output.answer(f"{path}: {told}; it replays green", "good")


async def _make(workflow: Definition, settings: Settings, run: str, name: str) -> Made:
    secrets = Secrets(secret_values(workflow))
    async with open_store(settings) as opened:
        journal = await journal_of(opened.store, opened.keyring, run, secrets)
    models: Any = models_of(workflow, settings)
    stage = Stage(workflow, None, models, settings.grants, settings.people)
    return await from_run(stage, journal, name=name)
