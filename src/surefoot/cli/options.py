"""What commands have in common: their target, their settings, where they write."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from ..settings import Settings, gather
from .failures import ANSWERED
from .output import Output, taking_over

F = TypeVar("F", bound=Callable[..., Any])


_EVERYWHERE: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
    click.option("--debug", is_flag=True, help="Show where an error came from."),
    click.option("--json", is_flag=True, help="Answer as JSON: one document, or one a line for lists."),
    click.option("--store", metavar="URL", help="Where runs live. [default: sqlite:///.surefoot/state.db]"),
]


@dataclass(frozen=True)
class Given:
    """`flags` are the settings as the command line gave them."""

    output: Output
    flags: dict[str, Any]
    debug: bool

    @property
    def settings(self) -> Settings:
        """Raises UsageError."""
        return gather(self.flags, os.environ, Path.cwd())


def command(name: str, *, group: click.Group | None = None, **settings: Any) -> Callable[[F], click.Command]:
    """A command that takes `given: Given`, with --store, --json and --debug; it returns its exit code."""

    def decorate(function: F) -> click.Command:
        @wraps(function)
        def run(json: bool, debug: bool, **parameters: Any) -> Any:
            flags = dict(click.get_current_context().obj or {})
            for name in ("store", "grants", "models", "concurrency", "host", "port"):
                if parameters.get(name) not in (None, ()):
                    flags[name] = parameters[name]
                parameters.pop(name, None)
            with taking_over(json=json) as output:
                try:
                    return function(given=Given(output, flags, debug), **parameters)
                except BaseException as error:
                    if output.answered:
                        error.add_note(ANSWERED)
                    raise

        wrapped: Callable[..., Any] = run
        for option in _EVERYWHERE:
            wrapped = option(wrapped)
        make: Callable[[Callable[..., Any]], click.Command] = click.command(name, **settings)
        made = make(wrapped)
        if group is not None:
            group.add_command(made)
        return made

    return decorate


def target_argument(function: F) -> F:
    return click.argument("target", required=False, metavar="[TARGET]")(function)


def deployment_options(function: F) -> F:
    """What replaces a workflow's models, and what narrows its grants."""
    for option in (
        click.option(
            "--grants", metavar="LIST", help="Narrow the workflow's grants to these (commas between)."
        ),
        click.option(
            "--model",
            "models",
            multiple=True,
            metavar="MODEL",
            help="Ask this model in place of the workflow's own; several are tried in order.",
        ),
    ):
        function = option(function)
    return function
