"""Writes docs/reference/: the commands as `surefoot` has them, and every error. A test compares; run this
after a change of either:

    .venv/bin/python scripts/reference.py
"""

from __future__ import annotations

import inspect
from pathlib import Path

import click

from surefoot.cli import root
from surefoot.cli.failures import exit_code
from surefoot.cli.root import EXAMPLES, SECTIONS
from surefoot.errors import SurefootError, every_error
from surefoot.settings import OTHER_VARIABLES, SETTINGS

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
BAR = "\\|"
"""A bar inside a table's cell."""
WRITTEN = "<!-- Written by scripts/reference.py; a test compares it with the code. -->"


JSON = """\
With `--json` stdout holds exactly one JSON document, or one a line for lists; a command that fails writes
`{"error": {"code", "what", "why", "remedy"}}`. The [errors](errors.md) have a page of their own. Ctrl-C and
SIGTERM end a command with 130, after what is under way has been let finish."""

TREE = """\
An error says what failed, why, and what to do, and has a code that does not change. These are all that there
are; the particulars (which step, which tool, what sums) stand in the message. A command that ends with an
error has the exit code of the last column; a run that failed is always 1."""


def cli_page() -> str:
    context = click.Context(root, info_name="surefoot")
    parts = ["# Commands", WRITTEN, inspect.cleandoc(root.help or ""), _index()]
    targets = EXAMPLES[EXAMPLES.index("A target is") :].rstrip()
    parts += ["## Targets, output and exit codes", f"```text\n{targets}\n```", JSON]
    parts += ["## Settings", _settings()]
    for section, commands in SECTIONS.items():
        parts.append(f"## {section}")
        for name in commands:
            command = root.get_command(context, name)
            assert command is not None
            parts += _command(command, click.Context(command, parent=context, info_name=name))
    return "\n\n".join(parts) + "\n"


def _index() -> str:
    rows = ["| command | |", "|---|---|"]
    for commands in SECTIONS.values():
        rows += [f"| [`surefoot {name}`](#surefoot-{name}) | {what} |" for name, what in commands.items()]
    return "\n".join(rows)


def _settings() -> str:
    rows = ["| setting | variable | in pyproject.toml | default | |", "|---|---|---|---|---|"]
    for one in SETTINGS:
        variables = " or ".join(f"`{name}`" for name in one.variables) or "-"
        default = "-" if one.default in (None, {}) else f"`{one.default}`"
        rows.append(f"| {one.name} | {variables} | `{one.name}` | {default} | {one.what} |")
    others = ", ".join(f"`{name}`" for name in sorted(OTHER_VARIABLES))
    lead = "The command line comes first, then the environment, then `[tool.surefoot]`, then the default."
    return f"{lead}\n\n" + "\n".join(rows) + f"\n\nVariables of other uses: {others}."


def _command(command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"### {context.command_path}", f"```text\n{usage}\n```", *_prose(command.help or "")]
    options = [row for one in command.get_params(context) if (row := one.get_help_record(context))]
    if not isinstance(command, click.Group):
        rows = ["| option | |", "|---|---|"]
        rows += [f"| `{name.replace('|', BAR)}` | {what} |" for name, what in options if name.startswith("-")]
        parts.append("\n".join(rows))
        return parts
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        parts += _command(child, click.Context(child, parent=context, info_name=name))
    return parts


def _prose(text: str) -> list[str]:
    """Paragraphs as they are; those that must keep their lines (after a \\b) as text blocks."""
    found = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            found.append("```text\n" + paragraph.removeprefix("\b").strip("\n") + "\n```")
        else:
            found.append(" ".join(paragraph.split()))
    return found


def errors_page() -> str:
    """As a tree: a class below its parent, which says what is common to all of it."""
    parts = ["# Errors", WRITTEN, TREE]
    own = [cls for cls in every_error().values() if cls.__module__ == SurefootError.__module__]
    for family in SurefootError.__subclasses__():
        if family not in own:
            continue
        members = [cls for cls in own if issubclass(cls, family)]
        rows = ["| code | class | when | what helps | exit |", "|---|---|---|---|---|"]
        for cls in sorted(members, key=lambda cls: (len(cls.__mro__), cls.code)):
            meaning = " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())
            row = (
                f"`{cls.code}`",
                f"`{cls.__name__}`",
                meaning,
                cls.default_remedy,
                str(exit_code(cls("x"))),
            )
            rows.append(f"| {' | '.join(row)} |")
        parts += [f"## {family.__name__}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


PAGES = {"cli.md": cli_page, "errors.md": errors_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
