"""`surefoot explain`: what an error's code means, why it happens, and what to do."""

from __future__ import annotations

import difflib
from typing import Any

import click

from ..catalogue import Entry, entries
from ..errors import UsageError
from .options import Given, command
from .output import Cell, Column


@command("explain")
@click.argument("code", required=False, metavar="[CODE]")
def explain(given: Given, code: str | None) -> None:
    """What an error's code means, and what helps.

    Without a code it lists all that there are. The code stands in brackets behind an error's first line, and
    as `code` in JSON.
    """
    known = entries()
    if code is None:
        _list(given, list(known.values()))
        return
    name = code.strip().strip("[]").lower().replace("-", "_")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"there is no error with the code {code!r}",
            why="it is not in this version's catalogue: misspelt, a newer version's, or a workflow's own",
            remedy=f"{hint}`surefoot explain` lists all codes.",
        )
    found = known[name]
    if given.output.json:
        given.output.document(entry_json(found))
        return
    given.output.answer(f"{found.title}  [{found.code}]", "strong")
    _tell(given, "why", found.why)
    _tell(given, "what helps", found.remedy)
    given.output.answer(
        f"\nexit code {found.exit}, HTTP {found.status}, "
        f"{'passes by itself' if found.transient else 'stays until somebody acts'}, since {found.since}",
        "dim",
    )
    given.output.answer(found.docs, "dim")


def _tell(given: Given, title: str, sentences: tuple[str, ...]) -> None:
    given.output.answer(f"\n{title}")
    for sentence in sentences:
        given.output.answer(f"  - {sentence}")


def _list(given: Given, known: list[Entry]) -> None:
    if given.output.json:
        for one in known:
            given.output.document(entry_json(one))
        return
    columns = [Column("code"), Column("what it means", wide=True)]
    given.output.table(columns, [[Cell(one.code), Cell(one.title)] for one in known])


def entry_json(entry: Entry) -> dict[str, Any]:
    """All that the catalogue says of a code, with its docs page."""
    return {
        "code": entry.code,
        "title": entry.title,
        "why": list(entry.why),
        "remedy": list(entry.remedy),
        "exit": entry.exit,
        "status": entry.status,
        "transient": entry.transient,
        "since": entry.since,
        "docs": entry.docs,
    }
