"""Whatever is logged, warned of or printed by Python itself holds no secret and no private value, whoever wrote
it and whatever handlers there are; and what is clean stays as it was."""

import asyncio
import io
import logging
import logging.handlers
import queue
import threading
import traceback
import warnings
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from surefoot import (
    Approve,
    Call,
    Effect,
    Private,
    Retry,
    Run,
    Runtime,
    Transient,
    Workflow,
    approve,
    step,
    tool,
)
from surefoot.orchestrator import logs, redacting
from surefoot.orchestrator.redacting import know_environment, redactor, secrets_of_environment
from surefoot.rails.redaction import Secrets

pytestmark = pytest.mark.anyio

KEY = "shop-9f8e7d6c5b-hunter2"
MAIL = "kim.berg@post.example"


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    logs.install()
    forget = redactor().add(Secrets({"SHOP_KEY": KEY}))
    yield
    forget()


class Lines(logging.Handler):
    """A handler of the most careless kind: it writes down all that a record holds."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.texts.append(self.format(record) + repr(vars(record)))
        if record.exc_info:
            self.texts.append("".join(traceback.format_exception(*record.exc_info)))


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


class Thing:
    def __repr__(self) -> str:
        return f"Thing(key={KEY})"


def fail() -> None:
    raise ValueError(f"401 for {KEY}")


def test_wherever_a_record_holds_a_secret_no_handler_sees_it(lines: Lines) -> None:
    log = logging.getLogger("somebody.else")
    log.warning("key %s", KEY)
    log.warning("key %(key)s", {"key": KEY})
    log.warning("only %(shown)s", {"shown": 1, "key": KEY})
    log.warning(KEY)
    log.warning(Thing())
    log.warning("a thing: %r", Thing())
    log.warning("extra", extra={"headers": {"auth": [KEY, {KEY: 1}]}, "text": KEY, "thing": Thing()})
    log.warning("named", extra={KEY: 1})
    log.warning("stack", stack_info=True, extra={"x": KEY})
    try:
        fail()
    except ValueError:
        log.exception("it failed")
        log.warning("too", exc_info=True)
    assert len(lines.records) == 11
    assert KEY not in "".join(lines.texts)
    assert sum("[secret:SHOP_KEY]" in text for text in lines.texts) == 10
    assert "ValueError: 401 for [secret:SHOP_KEY]" in lines.texts[-1]
    assert "in fail" in lines.texts[-1]


def test_a_clean_record_is_the_very_same_and_filters_may_add_to_it(lines: Lines) -> None:
    """Also its exception, its arguments and attributes: other handlers make something of them."""

    class Adds(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.request = "r-17"
            return True

    lines.addFilter(Adds())
    lines.setFormatter(logging.Formatter("%(request)s %(levelname)s %(name)s %(message)s"))
    log = logging.getLogger("clean")
    made = log.makeRecord("clean", logging.INFO, "f.py", 3, "order %d of %s", (17, "Ann"), None)
    log.handle(made)
    assert lines.records == [made]
    assert made.args == (17, "Ann")
    assert lines.format(made) == "r-17 INFO clean order 17 of Ann"
    error = KeyError("lamp")
    log.error("no lamp", exc_info=error)
    assert lines.records[-1].exc_info == (KeyError, error, None)


def test_what_a_handlers_own_filter_adds_is_looked_at_too(lines: Lines) -> None:
    class Adds(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.key = KEY
            return True

    lines.addFilter(Adds())
    logging.getLogger("late").warning("clean as it is")
    assert KEY not in "".join(lines.texts)
    assert vars(lines.records[0])["key"] == "[secret:SHOP_KEY]"


def test_a_queue_the_last_resort_and_a_logger_without_propagation_are_no_way_around(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    passed: queue.Queue[logging.LogRecord] = queue.Queue()
    log = logging.getLogger("alone")
    log.propagate = False
    log.addHandler(logging.handlers.QueueHandler(passed))
    log.error("key %s", KEY)
    assert KEY not in repr(vars(passed.get()))
    log.handlers.clear()
    stream = io.StringIO()
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler(stream))
    log.error("key %s", KEY)
    assert stream.getvalue() == "key [secret:SHOP_KEY]\n"


def test_a_redactor_that_fails_takes_the_text_along(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str) -> str:
        raise RuntimeError(text)

    monkeypatch.setattr(redactor(), "redact", broken)
    logging.getLogger("x").warning("key %s", KEY, extra={"key": KEY})
    assert KEY not in "".join(lines.texts)
    assert "withheld: its redaction failed with RuntimeError" in lines.records[0].getMessage()
    monkeypatch.undo()


def test_a_record_whose_own_formatting_fails_takes_its_text_along(lines: Lines) -> None:
    wrong = f"%d items for {KEY}"
    logging.getLogger("x").warning(wrong, "many")
    assert KEY not in "".join(lines.texts)
    assert "%d items for [secret:SHOP_KEY] ('many',)" in lines.texts[0]


def test_installing_twice_is_installing_once() -> None:
    before = (logging.Logger.callHandlers, logging.Handler.filter, warnings.formatwarning)
    logs.install()
    assert (logging.Logger.callHandlers, logging.Handler.filter, warnings.formatwarning) == before


def test_a_warning_names_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    text = warnings.formatwarning(UserWarning(f"key {KEY}"), UserWarning, "f.py", 3, f"use({KEY!r})")
    assert KEY not in text
    assert "UserWarning: key [secret:SHOP_KEY]" in text


def test_what_python_prints_of_threads_and_finalisers_names_no_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        fail()
    except ValueError as error:
        failed = threading.ExceptHookArgs(
            (ValueError, error, error.__traceback__, threading.current_thread())
        )
        logs._thread_failed(failed)
        logs._uncaught(ValueError, error, error.__traceback__)

        class Left:
            err_msg, object, exc_type, exc_value, exc_traceback = None, Thing(), ValueError, error, None

        logs._unraisable(Left)
    said = capsys.readouterr().err
    assert KEY not in said
    assert said.count("ValueError: 401 for [secret:SHOP_KEY]") == 3


def test_what_the_event_loop_complains_of_names_no_secret(lines: Lines) -> None:
    loop = asyncio.new_event_loop()
    loop.call_exception_handler({"message": f"never retrieved {KEY}", "exception": ValueError(KEY)})
    loop.close()
    assert lines.records[-1].name == "asyncio"
    assert KEY not in "".join(lines.texts)


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


class Ticket(BaseModel):
    sender: Annotated[str, Private("email")]
    name: Annotated[str, Private("name")]


@tool(effect=Effect.READ, permission="x")
def look(call: Call, name: str) -> str:
    """In a thread."""
    logging.getLogger("tool").info("looking for %s", name)
    return name


@step
def first(ticket: Ticket) -> str:
    logging.getLogger("first").info("plain: %s", ticket.name)
    return "one"


@step
async def second(ticket: Ticket, first: str, run: Run) -> str:
    logging.getLogger("second").info("a mail from %s", ticket.sender)
    asyncio.get_running_loop().call_soon(logging.getLogger("later").info, "%s", ticket.name)
    await run.call(look, name=ticket.name)
    raise ValueError(f"{ticket.name} is unknown")


async def test_a_run_that_is_at_work_has_its_own_placeholders_and_others_know_them_too(
    lines: Lines, tmp_path: Any
) -> None:
    made = Workflow("logging", input=Ticket, steps=[first, second], tools=[look], grants=["x"])
    async with Runtime(made, store=f"sqlite:///{tmp_path}/x.db") as runtime:
        run = await runtime.start(Ticket(sender=MAIL, name="Annegret Berg"))
        await runtime.result(run.id)
        logging.getLogger("outside").info("that was %s", "Annegret Berg")
    said = {record.name: record.getMessage() for record in lines.records}
    assert said["first"] == "plain: [name-1]"
    assert said["second"] == "a mail from [email-1]"
    assert said["tool"] == "looking for [name-1]"
    assert said["later"] == "[name-1]"
    assert said["outside"] == "that was [name-1]"
    assert "Annegret" not in "".join(lines.texts)


async def test_a_run_at_work_does_not_use_anothers_placeholders() -> None:
    one, two = redacting.Private(), redacting.Private()
    one.learn({"Annegret Berg": "name"})
    two.learn({"Kim Berg": "name", "Annegret Berg": "name"})
    runs = redacting.OpenRuns()
    runs.add("r1", one)
    runs.add("r2", two)
    with runs.at_work(two):
        assert runs.privates() == [two]
    assert runs.privates() == [one, two]
    runs.remove("r1")
    assert runs.privates() == [two, one]  # its last words may come late


# ── the environment ──────────────────────────────────────────────────────────────────────────────


def test_what_the_environment_holds_is_known_by_its_names() -> None:
    found = secrets_of_environment(
        {
            "OPENAI_API_KEY": "sk-0123456789",
            "github_token": "ghx-0123456789",
            "DB_PASSWORD": "hunter2-db",
            "MYSQL_PWD": "hunter2-my",
            "SUREFOOT_MASTER_KEY": "k1:AAAA",
            "DATABASE_URL": "postgresql://desk:hunter2-pg@db.example/desk",
            "PWD": "/srv/desk",
            "SSH_AUTH_SOCK": "/tmp/agent.1",
            "GOOGLE_APPLICATION_CREDENTIALS": "/etc/key.json",
            "USE_AUTH": "disabled",
            "KEYBOARD": "de",
            "PATH": "/usr/bin:/bin",
            "TOKEN_LIMIT": "40000",
        }
    )
    assert found == {
        "OPENAI_API_KEY": "sk-0123456789",
        "github_token": "ghx-0123456789",
        "DB_PASSWORD": "hunter2-db",
        "MYSQL_PWD": "hunter2-my",
        "SUREFOOT_MASTER_KEY": "k1:AAAA",
        "DATABASE_URL.password": "hunter2-pg",
    }


def test_the_environment_as_it_is_now_is_known() -> None:
    know_environment({"DESK_TOKEN": "tok-0123456789"})
    assert redactor().redact("tok-0123456789") == "[secret:DESK_TOKEN]"
    know_environment({})
    assert redactor().redact("tok-0123456789") == "tok-0123456789"
    know_environment()


async def test_a_secret_that_is_called_like_a_field_of_the_journal_breaks_no_event(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("workflow", "attempt", "output", "remedy", "choices"):
        monkeypatch.setenv(f"KEY_{name.upper()}", name)

    @tool(effect=Effect.KEYED, permission="x")
    async def act(call: Call, text: str) -> str:
        return text

    @step(retry=Retry(2, base=0))
    async def work(ticket: Ticket, run: Run) -> dict[str, str]:
        if run.attempt == 1:
            raise Transient("the workflow has no remedy", remedy="another attempt")
        return {"said": await run.call(act, text="my output"), "output": "x"}

    made = Workflow(
        "fields",
        input=Ticket,
        steps=[work],
        tools=[act],
        grants=["x"],
        rules=[approve(act)],
        secrets=["KEY_WORKFLOW", "KEY_ATTEMPT", "KEY_OUTPUT", "KEY_REMEDY", "KEY_CHOICES"],
    )
    async with Runtime(made, store=f"sqlite:///{tmp_path}/x.db") as runtime:
        run = await runtime.start(Ticket(sender=MAIL, name="Annegret Berg"))
        waiting = await runtime.result(run.id)
        (item,) = await runtime.store.items()
        assert item.view["choices"] == ["approve", "deny", "edit"]
        assert item.view["args"] == {"text": "my [secret:KEY_OUTPUT]"}
        await runtime.decide(waiting.waiting_for[0].item, Approve(by="kim"))
        done = await runtime.result(run.id)
    assert done.status == "succeeded"
    assert done.output == {"said": "my [secret:KEY_OUTPUT]", "[secret:KEY_OUTPUT]": "x"}
