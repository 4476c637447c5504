"""`surefoot` itself: its commands by name, and the funnel through which every error leaves.

A command's module is imported when the command is used, so this file says in a line what each one does; a
test holds these lines to what the commands say of themselves.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping, Sequence
from importlib import import_module
from typing import Any

import click

from .failures import ANSWERED, FAILED, no_text, report, silence, wants

SECTIONS: dict[str, dict[str, str]] = {
    "Run": {
        "run": "Run a workflow for one input, or go on with that run.",
        "work": "Drive every run that is due, then exit.",
        "serve": "Serve a workflow: its API, its console, and a worker that drives the runs.",
        "worker": "Drive runs until told to stop; several may work on one store.",
        "eval": "Run the scenarios and compare them with what was accepted.",
        "crashtest": "Kill a workflow at every durable commit, and see each effect happen once.",
        "scenario": "Make scenarios for `surefoot eval`.",
        "demo": "Watch twelve real tickets worked through by a real model.",
        "new": "Make a project: the support desk under a name of your own.",
    },
    "Look": {
        "runs": "List runs, look into one, cancel it, retry it, fork it.",
        "inbox": "What waits for a person, and decide it.",
        "tools": "The tools of a workflow.",
        "check": "The rails report: every tool, rule and limit.",
        "canary": "Plant secrets and private values in runs, and look for leaks.",
        "budget": "What the last days have cost, against the daily caps.",
        "audit": "Prove that journals are what was written.",
        "forget": "Delete the data key of an ended run, and prove that it is gone.",
        "keys": "The master keys under which every run's data key is wrapped.",
    },
    "Look after it": {
        "doctor": "Look whether this machine is in order.",
        "explain": "What an error's code means, and what helps.",
        "config": "The settings that hold here, and where each comes from.",
        "db": "The store's schema.",
        "intake": "Whether new runs are taken up; pause and resume that.",
        "tokens": "Who may ask the service, and for what.",
        "webhooks": "Who is told of what happens, and what became of it.",
        "backup": "Copy the store and its key ring into a new folder, while workers go on.",
        "restore": "Put a store back from a backup, where there is none.",
        "prune": "Delete the journals of runs that ended long ago.",
        "completion": "Print what makes a shell complete `surefoot`.",
    },
}

EXAMPLES = """\
Examples:
  surefoot check support_desk:desk                        what may it do, and what is missing?
  surefoot run support_desk:desk --input ticket.json      run it for one ticket
  surefoot run support_desk:desk --input - --key t-17     input from stdin; the same key is the same run
  surefoot runs show RUN                                  what happened, step by step
  surefoot inbox list                                     what waits for a person
  surefoot inbox decide ITEM approve --by kim             decide it
  surefoot work support_desk:desk                         go on with everything that is due
  surefoot explain CODE                                   what an error means, and what helps

A target is module:object, importable from the current folder. Without one, commands take
`workflow = "module:object"` from [tool.surefoot] of the folder's pyproject.toml.

Answers go to stdout (--json: as JSON), everything else to stderr.
Exit codes: 0 done, 1 failed, 2 used wrongly, 3 waiting for a person.
"""


class Root(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if not any(cmd_name in section for section in SECTIONS.values()):
            return None
        command: click.Command = getattr(import_module(f".{cmd_name}", __package__), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(section.items()), col_max=12)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write("\n" + EXAMPLES)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(words, prog_name or "surefoot", complete_var, standalone_mode=False, **extra)
        except BrokenPipeError:
            # Whoever read our answer has read enough (`| head`). Python would complain again at its exit.
            silence(sys.stdout)
            code = FAILED
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # whatever it is, it is told here
            if isinstance(error, UnicodeEncodeError) and (strange := no_text(words)) is not None:
                error = strange
            answered = any(note == ANSWERED for note in getattr(error, "__notes__", ()))
            stdout = sys.stdout if wants(words, "--json") and not answered else None
            code = report(error, sys.stderr, debug=wants(words, "--debug"), stdout=stdout)
        if standalone_mode:
            sys.exit(code or 0)
        return code or 0

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        commands = [item for section in SECTIONS.values() for item in section.items()]
        found = [CompletionItem(name, help=what) for name, what in commands if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"surefoot {version('surefoot')}")
        ctx.exit()


@click.group(cls=Root, invoke_without_command=True, context_settings={"max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Say which."
)
@click.option("--store", metavar="URL", help="The same as --store after a command.")
@click.pass_context
def root(ctx: click.Context, store: str | None) -> None:
    """Ships one agentic workflow as a reliable service: durable, within its budget, and asking a person
    before it does something risky."""
    flags: MutableMapping[str, Any] = ctx.ensure_object(dict)
    flags["store"] = store
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
