"""What `--reveal` means wherever a command has it: exact values, for a named person, journaled first."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..errors import UsageError
from ..orchestrator import revealing
from ..orchestrator.clock import SystemClock
from ..orchestrator.revealing import Revealed
from ..settings import Settings
from .opening import Opened

F = TypeVar("F", bound=Callable[..., Any])


def reveal_options(function: F) -> F:
    reveal = click.option(
        "--reveal", is_flag=True, help="Exact values; needs --by, and is kept in the journal."
    )
    by = click.option("--by", default="", metavar="WHO", help="With --reveal: who looks.")
    reason = click.option("--reason", default="", metavar="TEXT", help="With --reveal: why.")
    return reveal(by(reason(function)))


def must_fit(*, reveal: bool, by: str, reason: str) -> None:
    """Raises UsageError."""
    if reveal and not by.strip():
        raise UsageError(
            "nobody asks for exact values",
            why="the journal keeps who has seen them",
            remedy="Say who you are: --by NAME.",
        )
    if not reveal and (by or reason):
        raise UsageError(
            "--by and --reason are for --reveal",
            why="looking at a view is kept nowhere",
            remedy="Leave them out, or add --reveal.",
        )


async def reveal_run(opened: Opened, settings: Settings, run: str, *, by: str, reason: str) -> Revealed:
    return await revealing.reveal(
        opened.store, opened.keyring, SystemClock(), run, by=by, reason=reason, people=settings.people
    )


async def reveal_one(opened: Opened, settings: Settings, item: str, *, by: str, reason: str) -> Revealed:
    return await revealing.reveal_item(
        opened.store, opened.keyring, SystemClock(), item, by=by, reason=reason, people=settings.people
    )


def as_lines(values: dict[str, Any]) -> list[str]:
    return json.dumps(values, indent=2, ensure_ascii=False).splitlines()
