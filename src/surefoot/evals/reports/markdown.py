"""Markdown for a pull request: short, what is not green first.

Whatever others wrote stands in code spans, where Markdown, HTML, links, images and mentions of people mean
nothing. A bar would end a table's cell even there, so it is shown as a broken one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..diff import against_baseline
from ..results import SuiteResult
from .words import controls_said, counted, in_order, line, of_the_suite, tokens_of

ROWS = 25
"""Of a table; the rest is counted."""
LETTERS = 300
"""Of one cell."""
SIGNS = {"red": "❌", "inconclusive": "❔", "green": "✅"}


def to_markdown(result: SuiteResult) -> str:
    took = f"{result.took:.1f} s"
    parts = [
        f"### {SIGNS[result.verdict]} {code(result.workflow)} evals: {result.verdict.upper()}",
        f"{counted(result)} · {result.lane} lane · version {code(result.version)} · {took}",
    ]
    wrong = [one for one in in_order(result) if one.verdict != "green"]
    if wrong:
        rows = [f"| {code(one.id)} | {SIGNS[one.verdict]} {one.verdict} | {code(one.why)} |" for one in wrong]
        parts.append(_table("| scenario | verdict | why |\n|---|---|---|", rows))
    if whole := of_the_suite(result):
        parts.append("**Of the suite as a whole**\n\n" + _list([code(reason) for reason in whole]))
    changed = [(one, lines) for one in in_order(result) if (lines := against_baseline(one))]
    if changed:
        rows = [f"| {code(one.id)} | {'<br>'.join(code(text) for text in lines)} |" for one, lines in changed]
        parts.append("**Not as in the baseline**")
        parts.append(_table("| scenario | what changed |\n|---|---|", rows))
    parts.append(_foot(result))
    return "\n\n".join(parts) + "\n"


def _foot(result: SuiteResult) -> str:
    said = []
    if controls := controls_said(result):
        said.append(f"Negative controls: {controls}")
        missed = [control for control in result.controls if not control.caught]
        said += [f"Not caught: {code(f'{one.scenario}: {one.what}')}" for one in missed]
    tokens = sum(tokens_of(trial.usage) for one in result.scenarios for trial in one.trials)
    said.append(f"Cost: ${result.usd:.4f}, {tokens:,} tokens{_accepted(result)}")
    said += [code(note) for note in result.notes]
    if result.resume:
        said.append(f"It was cut short; it goes on with {code(f'surefoot eval --resume {result.resume}')}")
    return _list(said)


def _accepted(result: SuiteResult) -> str:
    known = [one.baseline for one in result.scenarios if one.baseline and "tokens" in one.baseline]
    if not known:
        return ""
    tokens, usd = (sum(one[name] for one in known) for name in ("tokens", "usd"))
    return f" (in the baseline ${usd:.4f}, {tokens:,} tokens)"


def _table(head: str, rows: Sequence[str]) -> str:
    more = f"\n\n… and {len(rows) - ROWS} more" if len(rows) > ROWS else ""
    return "\n".join([head, *rows[:ROWS]]) + more


def _list(lines: Sequence[str]) -> str:
    more = [f"… and {len(lines) - ROWS} more"] if len(lines) > ROWS else []
    return "\n".join(f"- {one}" for one in [*lines[:ROWS], *more])


def code(text: str) -> str:
    """A code span of whatever text."""
    text = line(text, LETTERS).replace("|", "¦")
    if not text.strip():
        return "–"
    fence = "`"
    while fence in text:
        fence += "`"
    space = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{space}{text}{space}{fence}"
