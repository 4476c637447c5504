"""From production: a run's journal becomes a scenario that replays green, with nobody's data in it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, field_validator

from surefoot import (
    Approve,
    Call,
    Deny,
    Edit,
    Effect,
    Private,
    Retry,
    Run,
    Runtime,
    Workflow,
    approve,
    step,
    tool,
)
from surefoot.core.decide import decide
from surefoot.core.events import AskFailed
from surefoot.errors import InvalidInput, KeyUnavailable, NotDone, RunNotFinished, RunNotFound, UsageError
from surefoot.evals import baseline
from surefoot.evals.controls import controls
from surefoot.evals.from_run import Made, from_run, journal_of
from surefoot.evals.pseudonyms import Pseudonyms, stand_in
from surefoot.evals.record import IN_CI
from surefoot.evals.replay import replay
from surefoot.evals.suite import load
from surefoot.evals.trial import Stage
from surefoot.rails import checks
from surefoot.rails.redaction import Secrets
from surefoot.testing import Fail, ManualClock, Say, ScriptedModel, UseTools

pytestmark = pytest.mark.anyio

ADA = "Ada Quillfeather"
MAIL = "ada.quill@harbour-books.net"
CARD = "4556 7375 8689 9855"
IBAN = "DE89 3704 0044 0532 0130 00"
PHONE = "+49 170 9438812"
SSN = "536-22-8726"
SECRET = "tq7-PLUM-44-secret-of-the-shop"
ORIGINALS = (MAIL, CARD, IBAN, PHONE, SSN, ADA, "Quillfeather", SECRET)


class Mail(BaseModel):
    name: Annotated[str, Private("name")] = ADA
    sender: Annotated[str, Private("email")] = MAIL
    account: Annotated[int, Private("account")] = 7731904
    text: str = f"My lamp is broken. Call me: {PHONE}. Card {CARD}, or IBAN {IBAN}. SSN: {SSN}"
    amount: int = 5

    @field_validator("sender")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if not re.fullmatch(r"[^@ ]+@[^@ ]+\.[a-z]+", value):
            raise ValueError("no address")
        return value


class Reply(BaseModel):
    to: Annotated[str, Private("email")]
    text: str
    number: str


opened: list[str] = []


@asynccontextmanager
async def shop() -> AsyncIterator[dict[str, Any]]:
    opened.append("shop")
    yield {}


@tool(effect=Effect.READ, timeout=5)
async def customer(call: Call, email: str) -> dict[str, str]:
    """Looks a customer up."""
    call.use(dict)
    return {"email": email, "name": ADA, "note": f"pays with {CARD}", "key": SECRET}


busy: list[int] = []


@tool(effect=Effect.KEYED, timeout=5)
async def refund(call: Call, email: str, amount: int, number: str) -> str:
    """Refunds."""
    call.use(dict)
    if busy:
        busy.pop()
        raise NotDone("the bank is busy", transient=True)
    return f"refunded {amount} to {email}"


@step(retry=Retry(3, base=5))
async def read(mail: Mail, run: Run) -> str:
    return await run.ask(str, "What is it about?", {"mail": mail}, tools=[customer])


@step(retry=Retry(3, base=5))
async def paid(read: str, mail: Mail, run: Run) -> Reply:
    number = str(run.uuid())
    said = await run.call(refund, email=mail.sender, amount=mail.amount, number=number)
    return Reply(to=mail.sender, text=f"Dear {mail.name.split()[0]}, {said}. {read}", number=number)


MODEL = ScriptedModel(
    {
        "read": [
            UseTools([("customer", {"email": MAIL})]),
            Say(f"{ADA} ({base64.b64encode(MAIL.encode()).decode()}) wants money. Write to {MAIL}"),
        ]
    },
    name="scripted:x",
)


def flow_of(**more: Any) -> Workflow:
    given: dict[str, Any] = {
        "name": "mail",
        "input": Mail,
        "steps": [read, paid],
        "tools": [customer, refund],
        "rules": [approve(refund, when=lambda email, amount, number: amount > 10, within=timedelta(days=1))],
        "models": [MODEL],
        "resources": [shop],
        "secrets": ["SHOP_KEY"],
    }
    return Workflow(**(given | more))


@pytest.fixture(autouse=True)
def _the_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", SECRET)
    opened.clear()
    busy.clear()


@asynccontextmanager
async def ran(
    folder: Path, given: dict[str, Any] | None = None, decision: Any = None, model: Any = MODEL
) -> AsyncIterator[tuple[Runtime, str, Any]]:
    clock = ManualClock()
    flow = flow_of(models=[model])
    async with Runtime(flow, f"sqlite:///{folder / 'state.db'}", clock=clock, chance=lambda: 0.5) as runtime:
        run = (await runtime.start(given or {})).id
        result = None
        for _ in range(2000):
            waiting = asyncio.ensure_future(runtime.result(run))
            done, _pending = await asyncio.wait([waiting], timeout=0.02)
            if not done:
                waiting.cancel()
                state = runtime.driving(run)
                now = clock.now()
                if state is not None:
                    asks = bool(
                        state.open_items() or runtime.bodies(run) or decide(flow.plan, state, now, ())
                    )
                    due = state.next_due()
                else:
                    found = await runtime.store.run(run)
                    assert found is not None
                    asks, due = found.owner is not None or bool(found.summary.get("waiting_for")), found.due
                if due is not None and not asks:  # nothing is under way but a wait
                    await clock.advance(max(due - now, 0) / 1e6)
                continue
            result = waiting.result()
            if result.status == "waiting" and decision is not None:
                if decision == "late":
                    asked = await runtime.store.item(result.waiting_for[0].item)
                    assert asked is not None
                    assert asked.expires is not None
                    await clock.advance((asked.expires - clock.now()) / 1e6)
                    while (row := await runtime.store.item(asked.id)) is not None and row.status == "open":
                        await asyncio.sleep(0.01)
                else:
                    await runtime.decide(result.waiting_for[0].item, decision)
                continue
            break
        yield runtime, run, result


async def made_of(runtime: Runtime, run: str, name: str = "one", model: Any = MODEL) -> Made:
    deployment = runtime.deployment
    journal = await journal_of(runtime.store, deployment.keyring, run, deployment.secrets)
    opened.clear()
    return await from_run(stage_of(model), journal, name=name)


def stage_of(model: Any = MODEL) -> Stage:
    return Stage(flow_of(models=[model]), None, [ScriptedModel({}, name=model.name)])


def write(folder: Path, made: Made) -> None:
    (folder / "recordings").mkdir(parents=True, exist_ok=True)
    (folder / f"{made.scenario.id}.yaml").write_text(made.text)
    (folder / "recordings" / f"{made.scenario.id}.json").write_text(made.recording.to_text())
    line = baseline.line_of(made.scenario, made.trial, reason="run", before=None)
    baseline.write(folder / "baseline.jsonl", [line])


def forms(value: str) -> list[str]:
    raw = value.encode()
    plain = [value, value.replace(" ", ""), value.replace("-", ""), value.lower(), value.upper()]
    return [*plain, base64.b64encode(raw).decode().rstrip("=")[:-1], raw.hex(), urllib.parse.quote(value)]


def must_hold_nothing(text: str) -> None:
    for value in (*ORIGINALS, "7731904"):
        for form in forms(value):
            assert form not in text, f"{value!r} is in it as {form!r}"


async def test_a_run_becomes_a_scenario_that_replays_green_at_once_without_anybodys_data(
    tmp_path: Path,
) -> None:
    async with ran(tmp_path) as (runtime, run, result):
        assert result.status == "succeeded", result.error
        made = await made_of(runtime, run)
    must_hold_nothing(made.text + made.recording.to_text())
    assert made.scenario.origin == made.recording.origin == "production"
    assert made.scenario.expect.calls is not None
    assert made.scenario.expect.calls.count == {"customer": 1, "refund": 1}
    write(tmp_path / "s", made)
    found = await replay(stage_of(), load(tmp_path / "s"))
    assert (found.verdict, found.reasons) == ("green", [])
    assert opened == [], "nothing outside is opened where tools answer from a recording"


async def test_pseudonyms_are_of_the_same_kind_and_the_same_everywhere(tmp_path: Path) -> None:
    async with ran(tmp_path) as (runtime, run, _):
        made = await made_of(runtime, run)
    given = made.scenario.input
    Mail.model_validate(given)
    assert isinstance(given["account"], int)
    assert len(str(given["account"])) == 7
    requests = json.dumps([turn.request for turn in made.recording.turns])
    assert given["sender"] in requests
    assert [turn.args["email"] for turn in made.recording.tools] == [given["sender"]] * 2
    first = given["name"].split()[0]
    output = made.trial.trace[-2]
    assert f"Dear {first}" in output
    cards = re.findall(r"Card ([\d ]+\d)", given["text"])
    assert checks.luhn(cards[0].replace(" ", ""))


async def test_it_is_red_when_the_workflow_does_something_else(tmp_path: Path) -> None:
    async with ran(tmp_path) as (runtime, run, _):
        write(tmp_path / "s", await made_of(runtime, run))

    @step
    async def paid(read: str, mail: Mail, run: Run) -> str:
        return read

    stage = replace(stage_of(), workflow=flow_of(steps=[read, paid]))
    assert (await replay(stage, load(tmp_path / "s"))).verdict == "red"


@pytest.mark.parametrize(
    ("decision", "asked"),
    [
        (Approve(by="kim"), "approve"),
        (Deny("kim", "too much"), "deny"),
        (Edit({"email": MAIL, "amount": 7, "number": "n-1"}, "kim"), "edit"),
        ("late", "ignore"),
    ],
    ids=["approve", "deny", "edit", "late"],
)
async def test_what_people_decided_is_in_the_scenario(tmp_path: Path, decision: Any, asked: str) -> None:
    async with ran(tmp_path, {"amount": 50}, decision) as (runtime, run, _):
        made = await made_of(runtime, run)
    must_hold_nothing(made.text + made.recording.to_text())
    assert [one.decide for one in made.scenario.decisions] == [asked]
    assert made.scenario.expect.asked is not None
    assert made.scenario.expect.asked.approvals == 1
    write(tmp_path / "s", made)
    assert (await replay(stage_of(), load(tmp_path / "s"))).verdict == "green"


async def test_what_failed_and_was_tried_again_fails_and_is_tried_again(tmp_path: Path) -> None:
    busy.append(1)
    shaky = ScriptedModel({"read": [Say("a lamp")]}, name="scripted:x")
    async with ran(tmp_path, model=shaky) as (runtime, run, result):
        assert result.status == "succeeded", result.error
        made = await made_of(runtime, run, model=shaky)
    assert made.scenario.expect.calls is not None
    assert made.scenario.expect.calls.count["refund"] == 2


async def test_a_run_that_failed_becomes_a_scenario_that_expects_it(tmp_path: Path) -> None:
    refuses = ScriptedModel({"read": [Fail("refused")]}, name="scripted:x")
    async with ran(tmp_path, model=refuses) as (runtime, run, result):
        assert result.status == "failed"
        made = await made_of(runtime, run, model=refuses)
        events = [entry.event for entry in await runtime.entries(run)]
    assert (made.scenario.expect.status, made.scenario.expect.error) == ("failed", "model_refused")
    journaled = [event for event in events if isinstance(event, AskFailed)]
    assert [turn.charged for turn in made.recording.turns] == [event.charged for event in journaled]
    assert len(journaled) == 1


async def test_a_project_with_a_world_replays_it_from_its_recording(tmp_path: Path) -> None:
    async with ran(tmp_path) as (runtime, run, _):
        write(tmp_path / "s", await made_of(runtime, run))

    def world(state: dict[str, Any]) -> Any:
        raise AssertionError("a scenario of a production run has no world")

    suite = load(tmp_path / "s", world)
    stage = replace(stage_of(), world=world)
    assert (await replay(stage, suite)).verdict == "green"
    found = await controls(stage, suite, ["one"])
    assert [(one.kind, one.caught) for one in found] == [("do_nothing", True)]
    assert opened == []


# ── what is refused ──


async def test_a_run_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    async with ran(tmp_path, {"amount": 50}) as (runtime, run, result):
        assert result.status == "waiting"
        with pytest.raises(RunNotFinished, match="has not ended"):
            await made_of(runtime, run)


async def test_a_forgotten_run_is_refused(tmp_path: Path) -> None:
    async with ran(tmp_path) as (runtime, run, _):
        await runtime.forget(run, by="kim")
        with pytest.raises(KeyUnavailable, match="was forgotten"):
            await made_of(runtime, run)


async def test_a_run_whose_journal_was_tampered_with_is_refused(tmp_path: Path) -> None:
    import sqlite3

    async with ran(tmp_path) as (runtime, run, _):
        with sqlite3.connect(tmp_path / "state.db") as db:
            db.execute("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")
        with pytest.raises(InvalidInput, match="not what was written"):
            await made_of(runtime, run)


async def test_a_run_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    async with ran(tmp_path) as (runtime, _, _):
        with pytest.raises(RunNotFound):
            await made_of(runtime, "r" + "1" * 17)


async def test_a_run_of_another_workflow_or_model_is_refused(tmp_path: Path) -> None:
    async with ran(tmp_path) as (runtime, run, _):
        journal = await journal_of(runtime.store, runtime.deployment.keyring, run, Secrets({}))
    with pytest.raises(UsageError, match="no scenario can be made"):
        await from_run(replace(stage_of(), workflow=flow_of(name="other")), journal, name="one")
    with pytest.raises(UsageError, match="no scenario can be made") as refused:
        await from_run(stage_of(ScriptedModel({}, name="scripted:y")), journal, name="one")
    assert "scripted:x" in refused.value.why


async def test_a_workflow_that_does_something_else_by_now_is_refused(tmp_path: Path) -> None:
    async with ran(tmp_path) as (runtime, run, _):
        journal = await journal_of(runtime.store, runtime.deployment.keyring, run, Secrets({}))

    @step
    async def paid(read: str, mail: Mail, run: Run) -> str:
        return read

    with pytest.raises(InvalidInput, match="does not come out as it did") as refused:
        await from_run(replace(stage_of(), workflow=flow_of(steps=[read, paid])), journal, name="one")
    assert "it did not call" in refused.value.why


# ── pseudonyms by themselves ──


@pytest.mark.parametrize("number", [1, 2, 17])
def test_check_digits_fit(number: int) -> None:
    assert checks.luhn(stand_in("card", number, CARD).replace(" ", ""))
    iban = stand_in("iban", number, IBAN).replace(" ", "")
    assert iban[:2] == "DE"
    assert int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1


@pytest.mark.parametrize(
    ("kind", "value", "looks"),
    [
        ("email", MAIL, r"[^@]+@example\.com"),
        ("phone", PHONE, r"\+49 \d{3} \d{7}"),
        ("phone", "(212) 736-5000", r"\(212\) 555-01\d\d"),
        ("ssn", SSN, r"\d{3}-\d{2}-\d{4}"),
        ("ip", "91.12.7.200", r"203\.0\.113\.\d+"),
        ("name", ADA, r"[A-Z][a-z]{2} [A-Z][a-z]{11}"),
        ("born", "1984-03-09", r"19\d\d-\d\d-\d\d"),
        ("account", "7731904", r"7\d{6}"),
        ("street", "Harbour Road 12b", r"[A-Z][a-z]{6} [A-Z][a-z]{3} \d\d[a-z]"),
    ],
)
def test_the_shape_stays(kind: str, value: str, looks: str) -> None:
    own = stand_in(kind, 3, value)
    assert own != value
    assert re.fullmatch(looks, own), own


def test_a_name_in_capitals_gets_the_same_pseudonym_in_capitals() -> None:
    pseudonyms = Pseudonyms({"[customer-1]": "Ottilie Quackenbush"})
    other = pseudonyms.by_value["Ottilie Quackenbush"]
    assert pseudonyms.of_text("to OTTILIE QUACKENBUSH") == f"to {other.upper()}"
    assert pseudonyms.left_in("to OTTILIE QUACKENBUSH") == [other]


def test_what_stands_in_json_inside_of_text_stays_json() -> None:
    pseudonyms = Pseudonyms({"[street-1]": 'Harbour "Road"\n12'})
    inner = json.dumps({"street": 'Harbour "Road"\n12', "n": 1})
    found = pseudonyms.of({"text": inner, "list": [inner]})
    assert json.loads(found["text"])["n"] == 1
    assert "Harbour" not in json.dumps(found)
    assert pseudonyms.left_in(json.dumps({"a": 'Harbour "Road"\n12'}))


# ── the command ──

deployed = flow_of()


def said(*words: str) -> Any:
    from click.testing import CliRunner

    from surefoot.cli.root import root

    return CliRunner().invoke(root, list(words))


async def test_the_command_writes_both_files_and_the_eval_is_green_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ran(tmp_path) as (_, run, _):
        pass
    (tmp_path / "pyproject.toml").write_text(
        '[tool.surefoot]\nworkflow = "tests.evals.test_from_run:deployed"\n'
    )
    monkeypatch.chdir(tmp_path)
    for name in IN_CI:
        monkeypatch.delenv(name, raising=False)
    store = f"sqlite:///{tmp_path / 'state.db'}"
    made = await asyncio.to_thread(
        said, "scenario", "from-run", run, "--store", store, "--id", "ada", "--json"
    )
    assert made.exit_code == 0, made.output
    found = json.loads(made.stdout)
    assert (found["turns"], found["tools"]) == (2, 2)
    must_hold_nothing(made.output + Path(found["file"]).read_text() + Path(found["recording"]).read_text())
    green = await asyncio.to_thread(said, "eval", "--json")
    assert green.exit_code == 0, green.output
    assert json.loads(green.stdout)["verdict"] == "green"
    again = await asyncio.to_thread(said, "scenario", "from-run", run, "--store", store, "--id", "ada")
    assert again.exit_code == 2
    assert "there is a scenario 'ada' already" in again.output
    monkeypatch.setenv("CI", "true")
    refused = await asyncio.to_thread(said, "scenario", "from-run", run, "--store", store, "--id", "bob")
    assert refused.exit_code == 2
    assert not (tmp_path / "scenarios" / "bob.yaml").exists()
