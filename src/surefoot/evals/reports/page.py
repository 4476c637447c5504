"""One page of HTML that holds everything of an eval: a table to filter, a trace for each trial, what changed.

It asks nobody for anything: no script, no image, no style from elsewhere, and its own policy forbids the
browser all of that. Filters are radio buttons and the folds are `details`, so it works in a mail too. Every
text passes `_text` on its way in.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from ..diff import against_baseline
from ..results import ScenarioResult, SuiteResult, Trial
from .words import controls_said, counted, in_order, of_the_suite, usage_said, visible

TRACES = 3
"""Trials of one scenario whose trace is shown: those that did not pass first."""
LONGEST = 4_000
"""Letters of one event of a trace."""
FILTERS = {"all": "all", "red": "red", "inconclusive": "inconclusive", "green": "green"}
FILTERS |= {"changed": "not as in the baseline", "must": "safety (must)"}


def to_html(result: SuiteResult) -> str:
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"{result.workflow}: {result.verdict}"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>",
            *_head(result),
            *_table(result),
            "</body>\n</html>\n",
        ]
    )


@cache
def _style() -> str:
    return files("surefoot.evals.reports").joinpath("page.css").read_text("utf-8")


def _head(result: SuiteResult) -> Iterable[str]:
    verdict = f'<span class="{result.verdict}">{result.verdict.upper()}</span>'
    yield f"<header>\n<h1>{_text(result.workflow)} evals: {verdict}</h1>"
    facts = [counted(result), f"{result.lane} lane", f"version {result.version}"]
    facts += [f"${result.usd:.4f}", f"{result.took:.1f} s"]
    yield f'<p class="quiet">{" · ".join(map(_text, facts))}</p>\n</header>'
    if whole := of_the_suite(result):
        yield f"<h2>Of the suite as a whole</h2>\n{_list(whole)}"
    if controls := controls_said(result):
        yield f"<h2>Negative controls</h2>\n<p>{_text(controls)}</p>"
        missed = [f"{one.scenario}: {one.what}" for one in result.controls if not one.caught]
        if missed:
            yield f"<p>Not caught:</p>\n{_list(missed)}"
    if result.notes:
        yield f"<h2>Notes</h2>\n{_list(result.notes)}"


def _table(result: SuiteResult) -> Iterable[str]:
    yield '<h2 id="scenarios">Scenarios</h2>\n<fieldset aria-labelledby="scenarios">'
    for name, label in FILTERS.items():
        checked = " checked" if name == "all" else ""
        yield f'<input type="radio" name="show" id="show-{name}"{checked}>'
        yield f'<label for="show-{name}">{label}</label>'
    yield '<div class="rows">'
    for one in in_order(result):
        yield from _row(one)
    yield "</div>\n</fieldset>"


def _row(one: ScenarioResult) -> Iterable[str]:
    changed = against_baseline(one)
    kinds = ["row", f"is-{one.verdict}"]
    kinds += [kind for kind, holds in (("is-changed", changed), ("is-must", one.must)) if holds]
    why = one.why or ("; ".join(changed) if changed else "")
    yield f'<details class="{" ".join(kinds)}">'
    yield f'<summary><span class="line"><code>{_text(one.id)}</code>'
    yield f'<span class="verdict {one.verdict}">{one.verdict}</span>'
    yield f'<span class="why">{_text(_short(why, 400))}</span></span></summary>\n<div class="inside">'
    facts = [*(["must"] if one.must else []), *one.tags, *([f"{one.drift} drift"] if one.drift else [])]
    if facts:
        yield f'<p class="quiet">{_text(" · ".join(facts))}</p>'
    if changed:
        yield f"<h3>Not as in the baseline</h3>\n{_list(changed)}"
    elif one.baseline is None:
        yield '<p class="quiet">It is not in the baseline.</p>'
    shown = sorted(one.trials, key=lambda trial: trial.outcome == "pass")
    for number, trial in enumerate(shown, 1):
        title = "" if len(shown) == 1 else f"<h3>Trial {number} of {len(shown)}: {_text(trial.outcome)}</h3>"
        yield from _trial(trial, title, trace=number <= TRACES)
    yield "</div>\n</details>"


def _trial(trial: Trial, title: str, *, trace: bool) -> Iterable[str]:
    yield title
    if trial.failures:
        yield f"<h3>What is wrong</h3>\n{_list([str(failure) for failure in trial.failures])}"
    for miss in trial.misses:
        yield f"<h3>Asked, and not recorded, by step {_text(miss.step)}</h3>"
        if miss.nearest:
            yield f"<p>{_text(miss.drift or 'no')} drift from the nearest recording, first differing at "
            yield f"<code>{_text(miss.path)}</code></p>"
            yield f"<pre>- {_text(miss.recorded)}\n+ {_text(miss.asked)}</pre>"
        else:
            yield "<p>Nothing was recorded that is like it.</p>"
    if trial.problem:
        yield f"<h3>Problem</h3>\n<p>{_text(trial.problem)}</p>"
    ended = " · ".join(filter(None, [trial.status, usage_said(trial.usage)]))
    if ended:
        yield f'<p class="quiet">{_text(ended)}</p>'
    if trial.calls:
        yield f"<h3>Effects</h3>\n<pre>{_text(chr(10).join(trial.calls))}</pre>"
    if trial.trace and trace:
        events = "\n".join(_text(_short(event, LONGEST)) for event in trial.trace)
        yield f"<details><summary>Trace, {len(trial.trace)} events</summary><pre>{events}</pre></details>"


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f'<li class="why">{_text(one)}</li>' for one in lines) + "</ul>"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} letters more)"


def _text(text: str) -> str:
    return escape(visible(text), quote=True)
