"""`surefoot config`: the settings that hold in this folder."""

from __future__ import annotations

import json
import os

import click

from ..settings import SECRET_VARIABLES, SETTINGS
from .options import Given, command, deployment_options
from .output import Cell, Column, one_line


@click.group("config")
def config() -> None:
    """The settings that hold here, and where each comes from.

    Looked for in this order: the command line, SUREFOOT_* in the environment, [tool.surefoot] of this
    folder's pyproject.toml, the default.
    """


@command("show", group=config)
@click.option("--sources", is_flag=True, help="Also where each value comes from.")
@deployment_options
def show(given: Given, sources: bool) -> None:
    """Every setting with its value. Secrets are told as set or not, never shown."""
    settings = given.settings
    shown = {one.name: settings.shown(one.name) for one in SETTINGS}
    secrets = {name: bool(os.environ.get(name)) for name in sorted(SECRET_VARIABLES)}
    if given.output.json:
        document = {
            name: {"value": value, "source": settings.sources[name]} if sources else value
            for name, value in shown.items()
        }
        given.output.document({**document, "secrets": secrets, "unknown": list(settings.unknown)})
    else:
        rows = [
            [Cell(name, "strong"), Cell(_text(value)), Cell(settings.sources[name])]
            for name, value in shown.items()
        ]
        rows += [
            [Cell(name, "strong"), Cell("set" if is_set else "not set"), Cell("")]
            for name, is_set in secrets.items()
        ]
        columns = [Column("setting"), Column("value", wide=True), Column("source")]
        keep = 3 if sources else 2
        given.output.table(columns[:keep], [row[:keep] for row in rows])
    for complaint in settings.unknown:
        given.output.warn(complaint)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
