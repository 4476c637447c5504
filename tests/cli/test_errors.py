"""Every error of the catalogue, met through a door that its user has: a command, or a Runtime. Whatever it is,
it says what failed, why and what to do, its exit code is the catalogue's, and nobody sees a stack trace."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from surefoot import Run, Runtime, Workflow, errors, step
from surefoot.catalogue import FILE, entries, read
from surefoot.cli import root

from ..test_docs import wrong_with
from .conftest import PROGRAMS, SOURCE, Said, Shell

RUN = ["run", "wrongs:ok", "--input", "c.json", "-q"]


@dataclass(frozen=True)
class Door:
    """How a code is met. `words` is the command; `ready` prepares the folder, and may tell the words itself.
    `of_run`: the command shows a run that failed with it, rather than ending with it itself."""

    words: list[str] = field(default_factory=list)
    ready: Callable[[Shell], list[str] | None] = lambda _: None
    of_run: bool = False


def running(code: str, **more: Any) -> Door:
    return Door(["run", f"wrongs:w_{code}", "--input", "c.json", "-q"], of_run=True, **more)


def module(content: str, *, imports: str = "") -> Door:
    """A program with a mistake in it."""
    head = "from surefoot import *\n" + imports + "\n@step\ndef first(n: int) -> str:\n    return 'x'\n\n"

    def write(shell: Shell) -> None:
        shell.write("mine.py", head + content)
        shell.write("c.json", 1)

    return Door(["run", "mine:w", "--input", "c.json"], write)


def one(lines: list[Any]) -> Any:
    (line,) = lines
    return line


def started(shell: Shell, target: str, *more: str) -> str:
    """A run with the key k, and its id."""
    said = shell.here("run", target, "--input", "c.json", "--key", "k", "-q", "--json", *more)
    return str(said.json["run"])


def decided(shell: Shell, target: str, choice: str, kind: str = "") -> list[str]:
    """The one open item (of its kind) is decided, and the run goes on."""
    items = [item for item in shell.here("inbox", "list", "--json").lines if kind in item["kind"]]
    item = one(items)["item"]
    assert shell.here("inbox", "decide", item, choice, "--by", "kim").code == 0
    shell.here("work", target, "--until-idle")
    return ["run", target, "--key", "k", "-q"]


def cancelled(shell: Shell) -> list[str]:
    run = started(shell, "wrongs:ok", "--no-wait")
    assert shell.here("runs", "cancel", run, "--reason", "not needed any more").code == 0
    shell.here("work", "wrongs:ok", "--until-idle")
    return ["run", "wrongs:ok", "--key", "k", "-q"]


def given_up(shell: Shell) -> list[str]:
    started(shell, "wrongs:w_given_up")
    return decided(shell, "wrongs:w_given_up", "deny")


CHANGING = """
from surefoot import *

@tool(effect=Effect.KEYED)
async def pay(call: Call, number: int) -> int:
    return number

@step
def first(case: dict) -> {type}:
    return {value}

@step
async def last(first: {type}, run: Run) -> int:
    return await run.call(pay, number=1)

w = Workflow("changing", input=dict, steps=[first, last], tools=[pay], rules=[approve(pay)])
"""


def changed(shell: Shell) -> list[str]:
    shell.write("mine.py", CHANGING.format(type="int", value="1"))
    started(shell, "mine:w")
    shell.write("mine.py", CHANGING.format(type="list[str]", value="[]"))
    sys.modules.pop("mine")
    decided(shell, "mine:w", "approve")
    return decided(shell, "mine:w", "deny", kind="review")


def poisoned(shell: Shell) -> list[str]:
    shell.process("run", "wrongs:w_dies", "--input", "c.json", "--key", "k", "-q")
    for _ in range(9):
        if shell.process("work", "wrongs:w_dies", "--until-idle").code != 9:
            break
    return decided(shell, "wrongs:w_dies", "deny")


def put_back(shell: Shell) -> list[str]:
    started(shell, "wrongs:w_waits")
    assert shell.here("backup", "kept").code == 0
    (shell.folder / ".surefoot").rename(shell.folder / "lost")
    assert shell.here("restore", "kept", "--by", "kim").code == 0
    shell.here("work", "wrongs:w_waits", "-q")
    return decided(shell, "wrongs:w_waits", "deny", kind="review")


def conflicting(shell: Shell) -> None:
    started(shell, "wrongs:ok")
    shell.write("c.json", {"number": 2})


def finished(shell: Shell) -> list[str]:
    return ["runs", "retry", started(shell, "wrongs:ok")]


def ended(shell: Shell) -> list[str]:
    return ["runs", "cancel", started(shell, "wrongs:ok")]


def refused(shell: Shell) -> None:
    started(shell, "wrongs:ok")
    said = shell.here("intake", "pause", "wrongs:ok", "--refuse", "--by", "kim", "--reason", "the shop moves")
    assert said.code == 0, said


def asked(shell: Shell) -> str:
    started(shell, "wrongs:w_waits")
    return str(one(shell.here("inbox", "list", "--json").lines)["item"])


def closed(shell: Shell) -> list[str]:
    item = asked(shell)
    assert shell.here("inbox", "decide", item, "deny", "--by", "kim").code == 0
    return ["inbox", "decide", item, "approve", "--by", "bo"]


def not_of_the_group(shell: Shell) -> list[str]:
    shell.setenv("SUREFOOT_PEOPLE", "leads=bo")
    return ["inbox", "decide", asked(shell), "approve", "--by", "kim"]


def database(shell: Shell, *statements: str) -> None:
    started(shell, "wrongs:ok")
    connection = sqlite3.connect(shell.folder / ".surefoot" / "state.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def no_keys(shell: Shell) -> None:
    started(shell, "wrongs:ok")
    (shell.folder / ".surefoot" / "keys.json").write_text('{"keys": "gone"}')


def unknown_price(shell: Shell) -> list[str]:
    shell.setenv("OPENAI_API_KEY", "sk-no-real-key")
    asks = ["run", "wrongs:w_model_refused", "--input", "c.json", "-q"]
    return [*asks, "--model", "openai:a-model-that-nobody-sells"]


DOORS: dict[str, Door] = {
    "definition": module("w = Workflow('a name', input=int, steps=[first])"),
    "bad_signature": module("@step\ndef last(*first: str) -> str:\n    return ''\n\nw = Workflow('w', input=int, steps=[first, last])"),
    "duplicate_name": module("w = Workflow('w', input=int, steps=[first, first])"),
    "missing_step": module("@step\ndef last(frist: str) -> str:\n    return ''\n\nw = Workflow('w', input=int, steps=[first, last])"),
    "wrong_type": module("@step\ndef last(first: int) -> str:\n    return ''\n\nw = Workflow('w', input=int, steps=[first, last])"),
    "none_not_allowed": module("@step\ndef maybe(n: int) -> str | None:\n    return None\n\n@step\ndef last(maybe: str) -> str:\n    return ''\n\nw = Workflow('w', input=int, steps=[maybe, last])"),
    "step_cycle": module("@step\ndef egg(hen: str) -> str:\n    return ''\n\n@step\ndef hen(egg: str) -> str:\n    return ''\n\nw = Workflow('w', input=int, steps=[egg, hen])"),
    "wrong_fallback": module("@step(fallback=Use(3))\ndef last(first: str) -> str:\n    return ''\n\nw = Workflow('w', input=int, steps=[first, last])"),
    "tool_not_listed": module("@tool(effect=Effect.READ)\nasync def look(call: Call, n: int) -> int:\n    return n\n\nw = Workflow('w', input=int, steps=[first], rules=[approve(look)])"),
    "prompt_missing": module("@step\nasync def last(first: str, run: Run) -> str:\n    return await run.ask(str, 'prompts/none.md', {})\n\nw = Workflow('w', input=int, steps=[first, last], models=[ScriptedModel({})])", imports="from surefoot.testing import ScriptedModel\n"),
    "target": Door(["run", "wrongs:nothing", "--input", "c.json"]),
    "input": running("input"),
    "invalid_input": Door(RUN, lambda shell: shell.write("c.json", '{"number": "many"}') and None),
    "key_conflict": Door([*RUN, "--key", "k"], conflicting),
    "usage": Door(["inbox", "decide", "x", "edit", "--by", "kim"]),
    "tool": running("tool"),
    "call_refused": running("call_refused"),
    "invalid_arguments": running("invalid_arguments"),
    "unknown_tool": running("unknown_tool"),
    "tool_denied": running("tool_denied"),
    "denied": running("denied"),
    "not_done": running("not_done"),
    "transient": running("transient"),
    "call_unknown": running("call_unknown"),
    "invalid_result": running("invalid_result"),
    "given_up": Door(ready=given_up, of_run=True),
    "model": running("model"),
    "model_unavailable": running("model_unavailable"),
    "model_refused": running("model_refused"),
    "output_invalid": running("output_invalid"),
    "output_truncated": running("output_truncated"),
    "turns_exhausted": running("turns_exhausted"),
    "budget": running("budget"),
    "budget_exceeded": running("budget_exceeded"),
    "price_unknown": Door(ready=unknown_price, of_run=True),
    "timed_out": running("timed_out"),
    "step_timed_out": running("step_timed_out"),
    "run": running("run"),
    "step_failed": running("step_failed"),
    "run_not_found": Door(["runs", "show", "r0"], lambda shell: started(shell, "wrongs:ok") and None),
    "run_not_finished": Door(ready=finished),
    "run_cancelled": Door(ready=cancelled, of_run=True),
    "workflow_changed": Door(ready=changed, of_run=True),
    "poisoned": Door(ready=poisoned, of_run=True),
    "put_back": Door(ready=put_back, of_run=True),
    "intake_closed": Door(RUN, refused),
    "inbox": running("inbox"),
    "item_not_found": Door(["inbox", "show", "r0-1"], lambda shell: started(shell, "wrongs:ok") and None),
    "item_closed": Door(ready=closed),
    "wrong_decision": Door(ready=ended),
    "not_allowed_to_decide": Door(ready=not_of_the_group),
    "error": running("error"),
    "store": Door(["runs", "list"], lambda shell: database(shell, "DROP TABLE runs")),
    "store_unavailable": Door(["runs", "list", "--store", "sqlite:///none/x.db"]),
    "store_version": Door(["runs", "list"], lambda shell: database(shell, "PRAGMA user_version = 9999")),
    "key_unavailable": Door(["runs", "list"], no_keys),
    "system": Door(["run", "wrongs:w_missing_file", "--input", "c.json"]),
    "unexpected": Door(["run", "wrongs:w_factory", "--input", "c.json"]),
}  # fmt: skip

ELSEWHERE = {"interrupted", "stale_lease"}
"""Met in a test of their own below: by a signal, and by another worker."""


OVER_HTTP = {code for code, kind in errors.every_error().items() if issubclass(kind, errors.RequestError)}
"""Met in tests/service/test_errors.py."""


def test_every_code_of_the_catalogue_has_a_door() -> None:
    assert set(DOORS) | ELSEWHERE | OVER_HTTP == set(entries())


@pytest.fixture
def folder(shell: Shell) -> Shell:
    shutil.copy(PROGRAMS / "wrongs.py", shell.folder)
    shell.write("c.json", {"number": 1})
    return shell


def no_trace(said: Said) -> None:
    text = said.out + said.err
    for sign in ("Traceback", 'File "', str(SOURCE / "surefoot"), "site-packages", "errors.pydantic.dev"):
        assert sign not in text, text


def complete(error: dict[str, Any], code: str) -> None:
    """Particular to this case: what its code means in general is not enough."""
    entry = entries()[code]
    assert list(error) == ["code", "what", "why", "remedy", "docs"]
    assert error["code"] == code
    assert error["docs"] == entry.docs
    for text in (error["what"], error["why"]):
        assert text.strip(), error
        assert text not in {entry.title, *entry.why}, "it says nothing of this case"
    assert len(error["remedy"]) > 8


@pytest.mark.parametrize("code", sorted(DOORS))
def test_every_error_is_told_with_what_why_and_remedy(folder: Shell, code: str) -> None:
    door, entry = DOORS[code], entries()[code]
    words = door.ready(folder) or door.words
    code_of_exit = 1 if door.of_run else entry.exit
    plain = folder.here(*words)
    assert plain.code == code_of_exit, plain
    assert f"[{code}]" in plain.err
    assert "  why:  " in plain.err
    assert "  do:   " in plain.err
    assert f"  more: surefoot explain {code}" in plain.err
    assert plain.out == ""
    no_trace(plain)

    said = folder.here(*words, "--json")
    no_trace(said)
    assert said.code == code_of_exit
    document = said.json
    assert door.of_run or list(document) == ["error"]
    complete(document["error"], code)
    assert document["error"]["what"] in plain.err
    if door.of_run:
        complete(one(folder.here("runs", "list", "--json", "--limit", "1").lines)["error"], code)

    explained = folder.here("explain", code)
    assert explained.code == 0
    assert entry.title in explained.out
    assert entry.remedy[0] in explained.out


def test_an_interrupted_command_says_so(folder: Shell) -> None:
    with folder.start("run", "wrongs:w_slow", "--input", "c.json", "-q", "--json") as process:
        try:
            until = time.monotonic() + 60
            while not (folder.folder / "slow.txt").exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until
                time.sleep(0.05)  # another process: nothing here can be handed a clock
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    said = Said(process.returncode, out, err)
    assert said.code == entries()["interrupted"].exit == 130
    assert said.json.keys() == {"error"}
    complete(said.json["error"], "interrupted")
    no_trace(said)


@pytest.mark.anyio
async def test_a_step_whose_run_another_worker_took_is_told_so(tmp_path: Path) -> None:
    seen: list[errors.SurefootError] = []
    entered, go = asyncio.Event(), asyncio.Event()

    @step
    async def only(n: int, run: Run) -> int:
        entered.set()
        await go.wait()
        try:
            await run.sleep(3600)
        except errors.SurefootError as error:
            seen.append(error)
            raise
        return n

    flow = Workflow("taken", input=int, steps=[only])
    async with Runtime(flow, f"sqlite:///{tmp_path}/x.db") as runtime:
        run = (await runtime.start(1)).id
        await asyncio.wait_for(entered.wait(), 60)
        with sqlite3.connect(tmp_path / "x.db") as connection:
            assert connection.execute("UPDATE runs SET epoch = epoch + 1 WHERE id = ?", (run,)).rowcount == 1
        connection.close()
        go.set()
        for _ in range(600):
            if seen:
                break
            await asyncio.sleep(0.05)
    assert [error.code for error in seen] == ["stale_lease"]
    assert "another worker" in seen[0].what + seen[0].why
    assert seen[0].remedy
    assert seen[0].docs == entries()["stale_lease"].docs


# ── the catalogue itself ─────────────────────────────────────────────────────────────────────────


def commands_in(text: str) -> list[tuple[str, ...]]:
    import re
    import shlex

    return [tuple(shlex.split(found)) for found in re.findall(r"`surefoot ([^`]+)`", text)]


@pytest.mark.parametrize("code", sorted(entries()))
def test_every_command_that_the_catalogue_names_exists(code: str) -> None:
    for text in (*entries()[code].why, *entries()[code].remedy):
        for words in commands_in(text):
            if words[0] not in ("COMMAND", "--version"):
                assert wrong_with(root, words) is None, text


def test_explain_lists_every_code_and_takes_what_was_copied(folder: Shell) -> None:
    listed = folder.here("explain", "--json").lines
    assert [entry["code"] for entry in listed] == list(entries())
    assert all(folder.here("explain").out.count(code) for code in entries())
    assert folder.here("explain", "[Run-Not-Found]", "--json").json["code"] == "run_not_found"
    wrong = folder.here("explain", "run_not_fond")
    assert wrong.code == 2
    assert "Did you mean run_not_found?" in wrong.err


def test_neither_an_import_nor_a_run_that_goes_well_reads_the_catalogue(folder: Shell) -> None:
    program = (
        "import sys, surefoot\n"
        "from surefoot.cli import root\n"
        "import surefoot.catalogue as catalogue\n"
        "code = root.main(['run', 'wrongs:ok', '--input', 'c.json', '-q', '--json'], standalone_mode=False)\n"
        "assert code == 0\n"
        "assert catalogue.entries.cache_info().currsize == 0, 'it was read'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder.folder, env=folder.environment(), timeout=60, check=False, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_catalogue_that_cannot_be_read_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from surefoot import catalogue

    monkeypatch.setattr(catalogue, "FILE", Path("/nowhere/at/all.toml"))
    catalogue.entries.cache_clear()
    try:
        error = errors.RunNotFound("there is no run")
        assert str(error) == "there is no run. `surefoot explain run_not_found` may tell more."
        assert catalogue.shown(error.code, error.what)["docs"] == catalogue.PAGE
    finally:
        catalogue.entries.cache_clear()


def test_the_catalogue_in_the_folder_is_what_was_read() -> None:
    assert read(FILE.read_text(encoding="utf-8")) == dict(entries())
