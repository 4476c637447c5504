"""What a command prints holds no known secret, and its stderr no private value either, also where the workflow's
own code prints it, bit by bit, as bytes, or dies of it."""

import asyncio
import io
import os

import pytest

from cli.conftest import Shell
from surefoot.cli.redacted import Redacted, Scrubbed
from surefoot.orchestrator.redacting import redactor
from surefoot.rails.redaction import Secrets
from surefoot.tools.isolated import run_isolated

KEY = "shop-9f8e7d6c5b-hunter2"
MAIL = "kim.berg@post.example"

PROGRAM = """
import os, sys, logging, threading, warnings
from typing import Annotated
from pydantic import BaseModel
from surefoot import Private, Run, Workflow, step

KEY = os.environ["DESK_KEY"]
print("imported with", KEY)

class Mail(BaseModel):
    sender: Annotated[str, Private("email")]
    fail: bool = False

@step
def said(mail: Mail) -> str:
    for one in KEY + " " + mail.sender + "\\n":
        sys.stderr.write(one)
    sys.stdout.buffer.write(KEY.encode() + b" as bytes\\n")
    print("to", mail.sender, flush=True)
    logging.getLogger("desk").error("a log of %s and %s", KEY, mail.sender)
    warnings.warn("a warning of " + KEY)
    thread = threading.Thread(target=int, args=(KEY,))
    thread.start()
    thread.join()
    if mail.fail:
        raise ValueError("no " + KEY + " for " + mail.sender)
    return mail.sender + " " + KEY

desk = Workflow("desk", input=Mail, steps=[said], secrets=["DESK_KEY"])
"""


def test_nothing_that_a_workflows_code_prints_shows_a_secret_or_a_private_value(shell: Shell) -> None:
    shell.write("desk.py", PROGRAM)
    source = shell.write("mail.json", {"sender": MAIL})
    said = shell.process("run", "desk:desk", "--input", source, "--json", DESK_KEY=KEY)
    assert said.json["output"] == f"{MAIL} [secret:DESK_KEY]"  # whoever started the run sees its own values
    assert KEY not in said.out + said.err
    assert MAIL not in said.err
    for line in (
        "imported with [secret:DESK_KEY]",
        "[secret:DESK_KEY] [email-1]",
        "[secret:DESK_KEY] as bytes",
        "to [email-1]",
        "a log of [secret:DESK_KEY] and [email-1]",
        "a warning of [secret:DESK_KEY]",
    ):
        assert line in said.err


def test_an_error_says_it_without_them_also_with_debug(shell: Shell) -> None:
    shell.write("desk.py", PROGRAM)
    source = shell.write("mail.json", {"sender": MAIL, "fail": True})
    for more in ([], ["--debug"], ["--json"]):
        said = shell.process("run", "desk:desk", "--input", source, *more, DESK_KEY=KEY)
        assert said.code == 1
        assert KEY not in said.out + said.err
        assert MAIL not in said.err
        assert "no [secret:DESK_KEY] for" in said.out + said.err


def test_a_stream_is_otherwise_what_it_was() -> None:
    raw = io.StringIO()
    stream = Redacted(raw)
    assert stream.write("a line\n") == 7
    stream.writelines(["one\n", "two"])
    assert raw.getvalue() == "a line\none\n"
    stream.flush()
    assert raw.getvalue() == "a line\none\ntwo"
    assert stream.isatty() is False
    assert stream.closed is False


def test_a_redactor_that_fails_lets_no_line_through() -> None:
    class Broken(io.StringIO):
        pass

    raw = Broken()
    stream = Redacted(raw)
    stream._redactor._redactor = None  # type: ignore[assignment]
    stream.write(f"key {KEY}\n")
    assert KEY not in raw.getvalue()
    assert "withheld" in raw.getvalue()


def test_answers_lose_known_secrets_and_nothing_else() -> None:
    raw = io.StringIO()
    forget = redactor().add(Secrets({"DESK_KEY": KEY}))
    Scrubbed(raw).write(f'{{"to": "{MAIL}", "key": "{KEY}"}}\n')
    forget()
    assert raw.getvalue() == f'{{"to": "{MAIL}", "key": "[secret:DESK_KEY]"}}\n'


def test_a_process_of_a_tool_does_not_get_the_master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREFOOT_MASTER_KEY", "k")
    monkeypatch.setenv("DESK_KEY", KEY)
    assert asyncio.run(run_isolated(os.getenv, None, {"key": "DESK_KEY"})) == KEY
    assert asyncio.run(run_isolated(os.getenv, None, {"key": "SUREFOOT_MASTER_KEY"})) is None
