"""`surefoot run`: one run, from its input to its result, or to the person it waits for."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from ..core.jsons import dumps, parse_strictly
from ..core.schema import lines_of
from ..core.workflow import Definition
from ..errors import InvalidInput, RunNotFound, UsageError
from ..orchestrator.results import Result
from ..orchestrator.runtime import Runtime, Started
from ..orchestrator.trace import trace_of
from ..settings import Settings
from .failures import DONE, scrub
from .formats import ours, store_words, work_words
from .opening import go, open_runtime, warn_of_unknown
from .options import Given, command, deployment_options, target_argument
from .output import Output, clean
from .progress import Place, follow, last_seq, telling
from .results import exit_code_of, result_json, tell_result
from .target import load_target


@command("run")
@target_argument
@click.option("--input", "source", metavar="FILE|-", help="The input as JSON: a file, or - for stdin.")
@click.option("--key", help="Makes the run recognisable: the same key is the same run.")
@click.option("--no-wait", is_flag=True, help="Only put the run into the store; `surefoot work` drives it.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@deployment_options
def run(
    given: Given, target: str | None, source: str | None, key: str | None, no_wait: bool, quiet: bool
) -> int:
    """Run a workflow for one input, or go on with that run.

    Prints progress to stderr and the result to stdout. A key that exists goes on with its run, or shows how
    it ended; then --input may be left out.

    \b
    Exit codes: 0 succeeded, 1 failed or cancelled, 2 used wrongly, 3 waits for a person.
    \b
    Examples:
      surefoot run support_desk:desk --input ticket.json
      cat ticket.json | surefoot run support_desk:desk --input - --json
      surefoot run --input ticket.json --key ticket-17 --model openai:NAME
    """
    settings = given.settings
    warn_of_unknown(given, settings)
    if source is None and key is None:
        raise UsageError(
            "there is no input",
            why="neither --input nor --key was given",
            remedy="Give --input FILE (or - for stdin), or the --key of a run that exists.",
        )
    if settings.store.startswith("memory:"):
        given.output.warn("a store in memory ends with this command: what waits then is lost")
    workflow = load_target(target, settings)
    value = None if source is None else (read_input(workflow, source),)
    visit = Visit(given.output, settings, workflow, target, key, debug=given.debug)
    return go(visit.submit(value) if no_wait else visit.drive(value, quiet=quiet))


def read_input(workflow: Definition, source: str) -> Any:
    """A valid input of the workflow. Raises InvalidInput, UsageError."""
    name = "stdin" if source == "-" else source
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise UsageError(
            f"the input {name} cannot be read", why=str(error.strerror or error), remedy="Check the path."
        ) from error
    try:
        text = content.decode("utf-8-sig")
        parse_strictly(text)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is no UTF-8 text", why=str(error), remedy="Save it as UTF-8.") from None
    except ValueError as error:
        raise InvalidInput(f"{name} is no JSON", why=str(error), remedy="Mend it there.") from None
    except RecursionError:
        raise InvalidInput(
            f"{name} is nested too deeply to be an input",
            why="lists or objects stand in each other a thousand deep or more",
            remedy="Send it flatter.",
        ) from None
    try:
        return workflow.plan.input.load(text)
    except ValidationError as error:
        lines = lines_of(error)
        raise InvalidInput(
            f"{name} does not fit the input of {workflow.name}",
            why="; ".join(lines),
            remedy=f"It takes {dumps(workflow.plan.input.json_schema)}"[:600],
            errors=lines,
        ) from None


class Visit:
    """One command's dealings with one run."""

    def __init__(
        self,
        output: Output,
        settings: Settings,
        workflow: Definition,
        target: str | None,
        key: str | None,
        *,
        debug: bool = False,
    ) -> None:
        self._debug = debug
        self._output = output
        self._settings = settings
        self._workflow = workflow
        self._target = target
        self._key = key

    async def submit(self, value: tuple[Any] | None) -> int:
        async with open_runtime(self._workflow, self._settings, drive=False) as runtime:
            started = await self._start(runtime, value)
            result = await runtime.look(started.id)
        self._answer(result)
        if result.status == "queued":
            self._output.say(f"It is driven by\n  {work_words(self._target, self._settings)}")
        return DONE

    async def drive(self, value: tuple[Any] | None, *, quiet: bool) -> int:
        async with open_runtime(self._workflow, self._settings) as runtime:
            started = await self._start(runtime, value)
            try:
                with telling(self._output, quiet=quiet) as place:
                    seen = 0 if started.created else await last_seq(runtime, started.id)
                    await self._say_who_drives(runtime, started, place)
                    result = await follow(
                        runtime.store, started.id, place, runtime.result(started.id), after=seen
                    )
            except asyncio.CancelledError:
                self._output.say(f"Stopping: {started.id} is given back, and loses nothing. Go on with")
                self._output.say(f"  {work_words(self._target, self._settings)}")
                raise
            stored = await runtime.store.events(started.id) if self._debug else []
        for step, way in trace_of(stored).details:
            self._output.say(f"{step}:\n{clean(scrub(way))}", "dim")
        self._answer(result)
        return exit_code_of(result.status)

    async def _start(self, runtime: Runtime, value: tuple[Any] | None) -> Started:
        if value is not None:
            return await runtime.start(value[0], key=self._key)
        row = await runtime.store.find_key(self._workflow.name, self._key or "")
        if row is None:
            raise RunNotFound(
                f"no run of {self._workflow.name} has the key {self._key!r}",
                why="no run was started with it in this store",
                remedy="Give its --input too, and it is started.",
            )
        return Started(row.id, created=False)

    async def _say_who_drives(self, runtime: Runtime, started: Started, place: Place) -> None:
        if started.created:
            place.say([(f"{started.id} started", "")])
        row = await runtime.store.run(started.id)
        if row is not None and row.epoch == 0 and row.owner is None:
            await self._say_why_it_waits(runtime, started.id)
        if started.created or row is None or row.status in ("succeeded", "failed", "cancelled"):
            return
        place.say([(f"{started.id} exists with this key, and is {row.status}", "")])
        if row.owner is not None and row.owner != runtime.store.worker:
            place.say([("another process drives it; this one takes over should that one die", "dim")])

    async def _say_why_it_waits(self, runtime: Runtime, run: str) -> None:
        """A command that waits for a run that nobody may begin would look as if it hung."""
        view = await runtime.intake.view()
        if not view.is_open:
            show = ours("intake", "show", *store_words(self._settings))
            self._output.warn(f"{run} waits, for the intake of {view.workflow} is {view.state}: see {show}")

    def _answer(self, result: Result) -> None:
        document = result_json(self._workflow, result)
        if self._output.json:
            self._output.document(document)
        elif result.status == "succeeded":
            self._output.answer(answer_text(document["output"]))
        tell_result(self._output, result, self._settings, self._target)


def answer_text(output: Any) -> str:
    """A run's output for people: a text as it is, anything else as indented JSON."""
    import json

    return clean(output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2))
