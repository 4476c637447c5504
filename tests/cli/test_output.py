"""Where words go: plain text without colour for what is no terminal, or where NO_COLOR asks for it."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from surefoot.cli import root
from surefoot.cli.failures import exit_code
from surefoot.cli.output import Cell, Column, clean, one_line, plain_table
from surefoot.cli.root import SECTIONS
from surefoot.errors import Interrupted, every_error

from .conftest import SOURCE, Shell


def on_terminal(folder: Path, words: Iterable[str], **env: str) -> str:
    """What a terminal is sent."""
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "surefoot", *words],
        cwd=folder,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm-256color", "COLUMNS": "160", **env},
    )
    os.close(follower)
    said = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(leader)
    running.wait(timeout=30)
    return said.decode()


def test_a_terminal_gets_colour_and_a_live_line(shell: Shell) -> None:
    said = on_terminal(shell.folder, ["run", "till:till", "--input", "small.json"])
    assert "\x1b[32m" in said
    assert "succeeded" in said
    assert "\x1b[?25h" in said, "the cursor is shown again"


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_and_dumb_terminals_are_honoured(shell: Shell, env: dict[str, str]) -> None:
    for words in (
        ["run", "till:till", "--input", "small.json"],
        ["runs", "list"],
        ["check", "till:till"],
        ["--help"],
    ):
        said = on_terminal(shell.folder, words, **env)
        assert "\x1b" not in said, words
        assert len(said) > 50


def test_a_pipe_gets_plain_text(shell: Shell) -> None:
    for words in (["run", "till:till", "--input", "small.json"], ["runs", "list"], ["check", "till:till"]):
        said = shell.process(*words)
        assert "\x1b" not in said.out + said.err


def test_a_table_fits_a_narrow_terminal(shell: Shell) -> None:
    shell.here("run", "till:till", "--input", "large.json")
    said = on_terminal(shell.folder, ["runs", "list"], COLUMNS="80")
    assert "waiting" in said


def test_text_that_ascii_cannot_hold_is_no_error(shell: Shell) -> None:
    shell.write("odd.json", {"item": "lámpara …", "amount": "80"})
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    said = shell.process("run", "till:till", "--input", "odd.json", "--json", **ascii_only)
    assert said.code == 3
    run = said.json["run"]
    assert shell.process("runs", "show", run, **ascii_only).code == 0
    shown = shell.process("runs", "show", run, "--json", **ascii_only)
    assert shown.json["input"]["item"] == "lámpara …"
    events = shell.process("runs", "events", run, "--json", **ascii_only)
    assert events.lines[0]["view"]["input"]["item"] == "lámpara …"


def test_control_characters_and_marks_that_turn_text_around_are_shown_not_sent() -> None:
    assert clean("a\x1b[2Jb\x9bc\u202ed\re") == "a\\x1b[2Jb\\x9bc\\u202ed\\x0de"
    assert clean("two\nlines\tand a tab") == "two\nlines\tand a tab"
    assert one_line("two\n lines", 7) == "two li…"


def test_a_plain_table_lines_its_columns_up() -> None:
    columns = [Column("name"), Column("n", right=True)]
    assert plain_table(columns, [[Cell("lamp"), Cell("7")], [Cell("x"), Cell("12")]]) == [
        "NAME   N",
        "lamp   7",
        "x     12",
    ]


def test_help_says_of_each_command_what_it_says_of_itself() -> None:
    for section in SECTIONS.values():
        for name, line in section.items():
            command = root.get_command(
                root.make_context("surefoot", ["--version"], resilient_parsing=True), name
            )
            assert command is not None
            assert command.name == name
            assert command.get_short_help_str(limit=200) == line


def test_help_teaches_with_sections_and_examples(shell: Shell) -> None:
    said = shell.here("--help")
    assert said.code == 0
    for word in ("Run:", "Look:", "Examples:", "surefoot inbox decide ITEM approve", "Exit codes:"):
        assert word in said.out
    assert shell.here().out == said.out, "and so does no command at all"


IMPORTS = "import sys, surefoot.cli\ntry:\n    surefoot.cli.root({words})\nexcept SystemExit:\n    pass\n"
IMPORTS += "sys.stderr.write('|' + ' '.join(sys.modules))"


@pytest.mark.parametrize(
    ("words", "never"),
    [
        (["--help"], {"rich", "asyncio", "sqlite3", "cryptography", "genai_prices", "openai", "anthropic"}),
        (
            ["run", "till:till", "--input", "small.json"],
            {"rich", "genai_prices", "openai", "anthropic", "jsonschema"},
        ),
        (["runs", "list"], {"rich", "genai_prices", "openai", "anthropic"}),
    ],
)
def test_a_command_imports_what_it_needs(shell: Shell, words: list[str], never: set[str]) -> None:
    shell.here("run", "till:till", "--input", "small.json")
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(words=words)],
        cwd=shell.folder,
        env=shell.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stderr.rpartition("|")[2].split())
    assert "surefoot.cli.root" in imported
    assert not imported & never


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell: Shell, shell_name: str) -> None:
    said = shell.here("completion", shell_name)
    assert said.code == 0
    assert "_SUREFOOT_COMPLETE" in said.out


def test_completion_knows_commands_and_options(shell: Shell) -> None:
    words = {"_SUREFOOT_COMPLETE": "bash_complete"}
    commands = shell.process(**words, COMP_WORDS="surefoot ru", COMP_CWORD="1").out
    assert {"plain,run", "plain,runs"} <= set(commands.split())
    options = shell.process(**words, COMP_WORDS="surefoot run --in", COMP_CWORD="2").out
    assert "--input" in options


def test_every_error_has_an_exit_code_of_the_contract() -> None:
    for cls in every_error().values():
        assert exit_code(cls("it failed")) in ((130,) if cls is Interrupted else (1, 2)), cls


def test_python_m_surefoot_is_the_same_program(shell: Shell) -> None:
    assert shell.process("--version").out.startswith("surefoot ")


def test_what_is_cut_is_redacted_before() -> None:
    card = "4539 1488 0343 6467"
    for most in range(6, len(f"card {card} of kim")):
        assert not any(digits in one_line(f"card {card} of kim", most) for digits in ("4539", "1488"))
