"""What `surefoot eval` shows: a line of progress, a table, the verdict; and the files that it can write.

The modules that make a file, and that compare two evals, are imported when they are asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UsageError
from ..evals.gate import Verdict
from ..evals.reports import to_json
from ..evals.results import ScenarioResult, SuiteResult
from ..settings import Settings
from .failures import DONE
from .output import Cell, Column, Output, Style, clean, one_line
from .progress import telling

if TYPE_CHECKING:
    from ..evals.diff import Changed, Comparison

F = TypeVar("F", bound=Callable[..., Any])
Heard = Callable[[ScenarioResult], None]

FEW = 25
"""As many scenarios are all listed; of more only those that are not green."""
STYLES: dict[str, Style] = {"green": "good", "red": "bad", "inconclusive": "warn"}
FORMATS = ("junit", "markdown", "html")


# ── while it goes on, and at its end ─────────────────────────────────────────────────────────────


@contextmanager
def telling_of(output: Output, scenarios: int, then: str = "") -> Iterator[Heard]:
    """Progress in one line, redrawn, on terminals; elsewhere nothing. `then` is what follows the last one."""
    counted: Counter[Verdict] = Counter()
    with telling(output, quiet=not output.is_live) as place:

        def heard(one: ScenarioResult) -> None:
            counted[one.verdict] += 1
            if (done := counted.total()) == scenarios and then:
                place.now(then)
                return
            wrong = ", ".join(f"{counted[name]} {name}" for name in ("red", "inconclusive") if counted[name])
            place.now(f"{done} of {scenarios} scenarios{f', {wrong}' if wrong else ''}")

        place.now(f"{scenarios} scenarios")
        yield heard


def show(output: Output, result: SuiteResult) -> None:
    if output.json:
        output.document(to_json(result))
        return
    from ..evals.reports.words import controls_said, counted, in_order, of_the_suite

    listed = [one for one in in_order(result) if len(result.scenarios) <= FEW or one.verdict != "green"]
    if listed:
        columns = [Column("scenario"), Column("verdict"), Column("why", wide=True)]
        output.table(
            columns,
            [[one.id, Cell(one.verdict, STYLES[one.verdict]), one_line(one.why, 100)] for one in listed],
        )
    for one in listed:
        if one.verdict != "green" and len(one.why) > 60:
            output.answer(f"\n{one.id}", STYLES[one.verdict])
            for part in _parts(one):
                output.answer(f"  {one_line(part)}")
    for reason in of_the_suite(result):
        output.answer(f"{one_line(reason)}", STYLES[result.verdict])
    for note in result.notes:
        output.answer(one_line(note), "dim")
    for control in result.controls:
        if not control.caught:
            output.answer(f"not caught: {control.scenario}: {one_line(control.what)}", "warn")
    if controls := controls_said(result):
        output.answer(f"negative controls: {controls}")
    said = f"{result.verdict.upper()}: {counted(result)} in {result.took:.1f} s"
    output.answer(said + (f", ${result.usd:.4f}" if result.usd else ""), STYLES[result.verdict])


def _parts(one: ScenarioResult) -> list[str]:
    """What is wrong, a line each."""
    failures = [str(failure) for trial in one.trials for failure in trial.failures]
    return failures if one.verdict == "red" and "; ".join(failures) == one.why else [one.why]


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def report_options(function: F) -> F:
    """`--junit FILE` and its like; the command takes them as `junit`, `markdown` and `html`."""
    whats = {
        "junit": "Write JUnit XML, as build servers read it.",
        "markdown": "Write Markdown for a pull request.",
        "html": "Write one page of HTML, with every trace.",
    }
    for name in reversed(FORMATS):
        kind = click.Path(dir_okay=False, path_type=Path)
        function = click.option(f"--{name}", type=kind, metavar="FILE", help=whats[name])(function)
    return function


def can_be_written(files: Mapping[str, Path | None]) -> dict[str, Path]:
    """By format, those that were asked for. Raises UsageError now, and not after an hour of trials."""
    wanted = {name: path for name, path in files.items() if path is not None}
    for name, path in wanted.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w"):  # an old report must not outlive an eval that breaks off
                pass
        except OSError as error:
            raise UsageError(
                f"--{name} {path} cannot be written",
                why=error.strerror or str(error),
                remedy="Name a file in a folder that this user may write to.",
            ) from error
    return wanted


def write(files: Mapping[str, Path], result: SuiteResult) -> None:
    """Without what this process knows to be secret. Raises UsageError."""
    if not files:
        return
    from ..evals.reports.junit import to_junit
    from ..evals.reports.markdown import to_markdown
    from ..evals.reports.page import to_html

    shown = _without_secrets(result)
    makers = {"junit": to_junit, "markdown": to_markdown, "html": to_html}
    for name, path in files.items():
        try:
            path.write_text(makers[name](shown), "utf-8")
        except OSError as error:
            raise UsageError(
                f"--{name} {path} was not written",
                why=error.strerror or str(error),
                remedy="The verdict stands above; run it again with another file.",
            ) from error


def keep(
    output: Output,
    result: SuiteResult,
    settings: Settings,
    *,
    target: str | None,
    token: str,
    only: Sequence[str],
) -> None:
    """The report beside the store. That it cannot be written there is told, and changes no verdict."""
    from ..evals.saved import folder_beside, save_report

    folder = folder_beside(settings.store)
    named = target or settings.workflow or result.workflow
    try:
        save_report(
            folder,
            _without_secrets(result),
            target=named,
            token=token,
            when=datetime.now(UTC),
            only=only,
        )
    except OSError as error:
        output.say(f"the report was not kept in {folder}: {error.strerror or error}", "warn")


def _without_secrets(result: SuiteResult) -> Any:
    from ..evals.reports.words import scrubbed
    from ..orchestrator.redacting import know_environment, redactor

    know_environment()
    return scrubbed(result, redactor().scrub)


# ── surefoot eval diff A B ───────────────────────────────────────────────────────────────────────


def target_of(words: Sequence[str]) -> str | None:
    """The target among a command's words. Raises UsageError."""
    if len(words) > 1:
        raise UsageError(
            f"{words[1]!r} is one word too many",
            why="an eval is of one workflow",
            remedy="See `surefoot eval --help`; `surefoot eval diff A B` compares two results.",
        )
    return words[0] if words else None


def diff(output: Output, words: Sequence[str]) -> int:
    """Tells what changed; whether that is red is the gate's to say."""
    from ..evals.diff import compare, read

    if len(words) != 2:
        raise UsageError(
            f"diff takes two files, and {len(words)} were named",
            why="it says what changed from the first to the second",
            remedy="surefoot eval diff BEFORE.json AFTER.json, or two baselines.",
        )
    found = compare(read(Path(words[0])), read(Path(words[1])))
    if output.json:
        output.document(found.to_json())
    else:
        _show_diff(output, found)
    return DONE


def _show_diff(output: Output, found: Comparison) -> None:
    if found.is_same:
        output.answer("nothing changed", "good")
        return
    if found.verdict[0] != found.verdict[1]:
        output.answer(f"verdict: {found.verdict[0]} -> {found.verdict[1]}", STYLES.get(found.verdict[1], ""))
    for verdict in ("red", "inconclusive", "green"):
        for one in found.became.get(verdict, ()):
            output.answer(f"{one_line(one.id)}: {one.before} -> {verdict}", STYLES[verdict])
            _lines(output, one)
    for one in found.changed:
        output.answer(one_line(one.id))
        _lines(output, one)
    for said, names in (("new", found.added), ("gone", found.removed)):
        if names:
            output.answer(f"{said}: {one_line(', '.join(names))}", "warn" if said == "gone" else "")
    for missed in found.newly_missed:
        output.answer(f"not caught any more: {one_line(missed)}", "warn")
    if found.controls[0] != found.controls[1]:
        (was, of), (now, of_now) = found.controls
        output.answer(f"negative controls: {was} of {of} caught -> {now} of {of_now}")
    if found.tokens[0] != found.tokens[1] or found.usd[0] != found.usd[1]:
        (tokens, tokens_now), (usd, usd_now) = found.tokens, found.usd
        output.answer(f"in all: {tokens:,g} -> {tokens_now:,g} tokens, ${usd:.4f} -> ${usd_now:.4f}")


def _lines(output: Output, one: Changed) -> None:
    for text in one.lines:
        output.answer(f"  {clean(one_line(text))}")
