"""Writes docs/reference/: the commands as `surefoot` has them, every error, and the format of scenarios. A
test compares; run this after a change of any:

    .venv/bin/python scripts/reference.py
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import click

from surefoot.catalogue import Entry, entries
from surefoot.cli import root
from surefoot.cli.root import EXAMPLES, SECTIONS
from surefoot.errors import SurefootError, every_error
from surefoot.evals import scenario
from surefoot.settings import OTHER_VARIABLES, SETTINGS

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
BAR = "\\|"
"""A bar inside a table's cell."""
WRITTEN = "<!-- Written by scripts/reference.py; a test compares it with the code. -->"


JSON = """\
With `--json` stdout holds exactly one JSON document, or one a line for lists; a command that fails writes
`{"error": {"code", "what", "why", "remedy", "docs"}}`. The [errors](errors.md) have a page of their own.
Ctrl-C and SIGTERM end a command with 130, after what is under way has been let finish."""

ERRORS = """\
An error says what failed, why, and what to do, and has a code that does not change. These are all codes that
there are; the particulars (which step, which tool, what sums) stand in the message itself. `surefoot explain
CODE` prints the same in a terminal.

The exit code is that of a command that ends with the error; a run that failed is always 1. The HTTP status is
that of a request that ends with it. An error that passes by itself may be tried again as it is: steps with
`retry=` do so. Where a code says that Surefoot raises only its kinds, you meet it only where your own code
raises that class, or a class of its own below it."""


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
        default = "-" if one.default in (None, {}, ()) else f"`{one.default}`"
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
    """A section for each family of the tree, and in it a heading, which is the anchor, for each code."""
    classes = {code: cls for code, cls in every_error().items() if cls.__module__ == SurefootError.__module__}
    families = [
        cls for cls in SurefootError.__subclasses__() if cls.__subclasses__() and cls in classes.values()
    ]
    known = entries()
    alone = [code for code in known if not any(issubclass(classes[code], family) for family in families)]
    sections = [
        (family.__name__, [code for code in known if issubclass(classes[code], family)])
        for family in families
    ]
    sections.append(("Others", alone))
    parts = ["# Errors", WRITTEN, ERRORS, _codes(sections)]
    for title, codes in sections:
        parts.append(f"## {title}")
        for code in codes:
            parts += _entry(known[code], classes[code].__name__)
    return "\n\n".join(parts) + "\n"


def _codes(sections: list[tuple[str, list[str]]]) -> str:
    rows = ["| code | what it means |", "|---|---|"]
    rows += [f"| [`{code}`](#{code}) | {entries()[code].title} |" for _, codes in sections for code in codes]
    return "\n".join(rows)


def _entry(entry: Entry, name: str) -> list[str]:
    passes = "may pass by itself" if entry.transient else "stays until somebody acts"
    facts = f"`{name}` · exit code {entry.exit} · HTTP {entry.status} · {passes} · since {entry.since}"
    why = "\n".join(["Usual causes:", "", *(f"- {sentence}" for sentence in entry.why)])
    remedy = "\n".join(["What helps:", "", *(f"- {sentence}" for sentence in entry.remedy)])
    return [f"### {entry.code}", f"{entry.title}.", why, remedy, facts]


SCENARIOS = """\
A scenario is one file of YAML in the project's `scenarios` folder (another one with `scenarios = "..."` in
`[tool.surefoot]`), named by its id. Beside it stand `recordings/ID.json`, which `surefoot eval --record`
writes, and `baseline.jsonl`, which `surefoot eval --accept` writes.

```yaml
# yaml-language-server: $schema=schema.json
id: refund-of-a-lamp
about: A lamp that flickers is refunded in full, once.
must: true
input: {customer: kim@shop.example, text: My lamp flickers.}
world:
  orders:
    "1042": {status: delivered, total: "49.90"}
turns:
  triage:
    - say: {intent: refund, order_number: "1042"}
decisions:
  - {decide: approve, tool: refund, by: kim}
expect:
  calls: {order: [find_order, refund], count: {refund: 1}}
  world:
    added: {refunds: 1}
    changes:
      orders: {"1042": {status: refunded}}
  said: ["49.90"]
```

The first line is for editors: with it they complete keys, and mark what is misspelt. `surefoot eval --schema`
prints the [schema](scenario.schema.json): `surefoot eval --schema > scenarios/schema.json`.

What looks checked is checked. An unknown key is an error, told with its path; so are a key that stands twice,
a check without content, and an expectation that nothing can meet. The YAML is that of version 1.2: `no`,
`12:30`, dates and numbers that begin with a zero are the texts that were written. Keys are texts: a number
is put in quotes.

With a world there is always a frame, also where `expect` does not name the world: what is not allowed to
change, did not. Values are compared by what they mean: `5`, `5.0` and `"5.00"` are one amount; `"0017"` is no
number, and `true` is not `1`."""

PARTS = {
    "Scenario": "The file",
    "Decide": "Each of `decisions`",
    "ToolFault": "Each of `faults`: a tool",
    "ModelFault": "Each of `faults`: the model",
    "Kill": "Each of `faults`: the process",
    "Say": "Each of `turns`: an answer",
    "Use": "Each of `turns`: calls",
    "Price": "`price`",
    "Expect": "`expect`",
    "Output": "`expect.output`",
    "Calls": "`expect.calls`",
    "CallCheck": "Each of `expect.calls.made`",
    "Asked": "`expect.asked`",
    "WorldCheck": "`expect.world`",
}


def scenarios_page() -> str:
    schema = scenario.json_schema()
    found = {"Scenario": schema, **schema["$defs"]}
    assert PARTS.keys() == found.keys(), PARTS.keys() ^ found.keys()
    parts = ["# Scenarios", WRITTEN, SCENARIOS]
    for name, title in PARTS.items():
        part = found[name]
        parts.append(f"## {title}")
        if name != "Scenario" and (text := part.get("description")):
            parts.append(" ".join(text.split()))
        rows = ["| key | is | |", "|---|---|---|"]
        for field, said in part["properties"].items():
            needed = " (needed)" if field in part.get("required", ()) else ""
            what = f"{_type(said)}{needed}".replace("|", BAR)
            rows.append(f"| `{field}` | {what} | {said.get('description', '').replace('|', BAR)} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _type(said: dict[str, Any]) -> str:
    """A field's type in a few words."""
    if "$ref" in said:
        return PARTS[said["$ref"].rpartition("/")[2]].removeprefix("Each of ")
    if choices := said.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    if kinds := said.get("anyOf") or said.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(kind) for kind in kinds if kind.get("type") != "null"))
    match said.get("type"):
        case "array" if "prefixItems" in said:
            return "a pair of " + " and ".join(_type(item) for item in said["prefixItems"])
        case "array":
            return f"a list of: {_type(said.get('items', {}))}"
        case "object" if isinstance(inner := said.get("additionalProperties"), dict):
            return f"by name: {_type(inner)}"
        case None:
            return "anything"
        case "string" if said.get("format") == "date-time":
            return "a time, with its zone"
        case kind:
            names = {"string": "text", "boolean": "true or false", "integer": "a whole number"}
            return names.get(kind, {"number": "a number", "object": "keys and values"}.get(kind, kind))


def schema_file() -> str:
    return json.dumps(scenario.json_schema(), indent=1, ensure_ascii=False) + "\n"


PAGES = {
    "cli.md": cli_page,
    "errors.md": errors_page,
    "scenarios.md": scenarios_page,
    "scenario.schema.json": schema_file,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
