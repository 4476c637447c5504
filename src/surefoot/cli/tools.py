"""`surefoot tools`: what a workflow's tools are, as a model and the gateway see them."""

from __future__ import annotations

import click

from ..core.jsons import dumps
from ..orchestrator.report import Surroundings, review
from .check import TOOL_COLUMNS, tool_row
from .options import Given, command, target_argument
from .target import load_target


@click.group("tools")
def tools() -> None:
    """The tools of a workflow.

    \b
    Examples:
      surefoot tools list support_desk:desk
      surefoot tools list --json | jq .input_schema
    """


@command("list", group=tools)
@target_argument
def list_tools(given: Given, target: str | None) -> None:
    """The workflow's tools: effect, permission, timeout, rules. As JSON also their schemas."""
    settings = given.settings
    workflow = load_target(target, settings)
    report = review(workflow, Surroundings(grants=settings.grants))
    if given.output.json:
        for one in report.tools:
            tool = workflow.tools[one["tool"]]
            more = {"description": tool.description, "input_schema": tool.input_schema}
            given.output.line(dumps({**one, **more, "output_schema": tool.output.json_schema}))
    elif report.tools:
        given.output.table(TOOL_COLUMNS, [tool_row(one) for one in report.tools])
    else:
        given.output.say(f"{workflow.name} lists no tools.")
