"""`surefoot canary`: plants secrets and private values in runs of a workflow, and looks for them wherever
they must not be: files, rows, views, log lines, spans, what every reading command prints, and all that the
service shows."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

import click

from ..core.jsons import dumps
from ..orchestrator.canary import Canary, Report
from ..orchestrator.redacting import know_environment
from .canary_service import Caller
from .failures import DONE, FAILED
from .formats import count
from .opening import go, has_service, warn_of_unknown
from .options import Given, command, target_argument
from .output import Cell, Column, Output
from .redacted import Redacted
from .results import result_json
from .run import read_input
from .target import load_target


@command("canary")
@target_argument
@click.option("--input", "source", metavar="FILE|-", help="An example of an input. [default: one is made up]")
@click.option("--real-tools", is_flag=True, help="Call the real tools, whatever they do.")
def canary(given: Given, target: str | None, source: str | None, real_tools: bool) -> int:
    """Plant secrets and private values in runs, and look for leaks.

    The runs go to a store of their own, which is deleted afterwards. No model is asked; tools are not called
    unless --real-tools is given: what they would answer is made from their types. Approvals are given.
    Where the service is installed, its API, its console and its news are looked at too.

    \b
    Exit codes: 0 nothing leaked, 1 something did, 2 used wrongly.
    """
    settings = given.settings
    warn_of_unknown(given, settings)
    workflow = load_target(target, settings)
    example = None
    if source is not None:
        example = json.loads(workflow.plan.input.dump(read_input(workflow, source)))
    with tempfile.TemporaryDirectory(prefix="surefoot-canary-") as folder:
        visitor = Caller(workflow, settings) if has_service() else None
        flying = Canary(workflow, Path(folder), example=example, real_tools=real_tools, visitor=visitor)
        report = look_everywhere(flying, target, settings.workflow)
    if given.output.json:
        given.output.document(report.to_json())
    else:
        tell(given.output, report)
    return FAILED if report.leaks else DONE


def look_everywhere(canary: Canary, *targets: str | None) -> Report:
    with canary.planted():
        with _past_streams() as past, _captured() as said:
            results = go(canary.fly())
        canary.look("stdout and stderr of the run", said.getvalue())
        canary.look("stdout and stderr, past Python's streams", past.getvalue())
        for result in results:
            answer = dumps(result_json(canary.workflow, result))
            canary.look("the answer to who started the run (secrets)", answer, secrets_only=True)
        runs = [result.run for result in results]
        target = next((one for one in targets if one), None)
        for words in _reading(runs, target):
            canary.look(f"surefoot {' '.join(words[:2])}".removesuffix(" --json"), _run(words))
        canary.look_at_all()
    return canary.report


def _reading(runs: Sequence[str], target: str | None) -> list[list[str]]:
    """Every command that shows something of a store, a workflow or this machine."""
    found = [["runs", "list"], ["runs", "export"], ["inbox", "list", "--all"], ["audit", "verify"]]
    found += [["audit", "export"], ["config", "show", "--sources"], ["doctor"]]
    for run in runs:
        found += [["runs", "show", run], ["runs", "show", run, "--debug"], ["runs", "events", run]]
        found += [["inbox", "show", f"{run}-{n}"] for n in range(1, 4)]
    if target is not None:
        found += [["tools", "list", target], ["check", target]]
    return found + [[*words, "--json"] for words in found if "--debug" not in words]


def _run(words: Sequence[str]) -> str:
    """What a command prints, on both streams, also where it fails."""
    from .root import root

    said = io.StringIO()
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = said, said
    try:
        root.main(list(words), standalone_mode=False)
    finally:
        sys.stdout, sys.stderr = out, err
    return said.getvalue()


@contextmanager
def _captured() -> Iterator[io.StringIO]:
    """What the run's own code prints, as a command would pass it on."""
    said = io.StringIO()
    know_environment()
    stream = Redacted(said)
    out, err = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = cast(TextIO, stream)
    try:
        yield said
    finally:
        sys.stdout, sys.stderr = out, err
        stream.finish()


@contextmanager
def _past_streams() -> Iterator[io.StringIO]:
    """What reaches the process's own descriptors: words of a C library, of a child, of `os.write`."""
    said = io.StringIO()
    with tempfile.TemporaryFile() as file:
        try:
            saved = {number: os.dup(number) for number in (1, 2)}
        except OSError:  # one of them is closed: nobody reads there
            yield said
            return
        try:
            for number in saved:
                os.dup2(file.fileno(), number)
            yield said
        finally:
            for number, copy in saved.items():
                os.dup2(copy, number)
                os.close(copy)
            file.seek(0)
            said.write(file.read().decode(errors="replace"))


OF_SERVICE = ("the API: ", "the console: ", "news by ")
"""How places begin that are many: a report for people counts them."""


def tell_asked(output: Output, report: Report) -> None:
    if report.asked is None:
        output.answer("searched  neither the API nor the console: pip install 'surefoot[service]'", "warn")
        return
    places = [place for place in report.looked if place.startswith(OF_SERVICE)]
    size = sum(report.looked[place] for place in places)
    asked = ", ".join(f"{number} {what}" for what, number in report.asked.items())
    output.answer(f"searched  {asked}: {count(len(places), 'place')} of the service ({size:,} characters)")


def tell(output: Output, report: Report) -> None:
    planted = ", ".join(f"{number} {kind}" for kind, number in sorted(report.planted.items()))
    output.answer(f"planted   {planted}")
    for run in report.runs:
        how = f"{run.status} {run.error}".strip()
        output.answer(f"run       {run.run}: {how}, {run.steps} of {count(report.steps, 'step')}")
    for place, size in report.looked.items():
        if not place.startswith(OF_SERVICE):
            output.answer(f"searched  {place} ({size:,} characters)")
    tell_asked(output, report)
    if report.leaks:
        columns = [Column("found in"), Column("what"), Column("written"), Column("planted in", wide=True)]
        output.table(
            columns,
            [[Cell(leak.place), Cell(leak.kind, "bad"), leak.form, leak.planted] for leak in report.leaks],
        )
        output.answer(f"{count(len(report.leaks), 'leak')}.", "bad")
    else:
        output.answer("Nothing that was planted was found where it must not be.", "good")
