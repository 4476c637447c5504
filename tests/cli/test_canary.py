"""The canary finds nothing where nothing leaks, and finds each leak that was made on purpose: one at every place
where it looks. A canary that never dies proves nothing."""

import base64
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import PROGRAMS, Shell
from marks import quick_or_slow
from surefoot.cli import canary, output, redacted
from surefoot.core.schema import Shape
from surefoot.orchestrator import logs, recorder, redacting, spans
from surefoot.orchestrator.plants import KINDS, Garden, Maker
from surefoot.rails.redaction import Private, Secrets

Leaky = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def kiosk(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Without the extra `service`, which is asked hundreds of things: see test_canary_service."""
    shutil.copy(PROGRAMS / "kiosk.py", shell.folder)
    monkeypatch.setattr(canary, "has_service", lambda: False)
    return shell


def test_nothing_leaks_from_a_workflow_that_does_nothing_wrong(kiosk: Shell) -> None:
    before = dict(os.environ)
    handlers = list(logging.getLogger().handlers)
    said = kiosk.here("canary", "kiosk:kiosk", "--json")
    report = said.json
    assert report["leaks"] == []
    assert said.code == 0
    assert report["ok"] is True
    assert report["asked"] is None
    assert [(run["status"], run["steps"]) for run in report["runs"]][:2] == [("succeeded", 3)] * 2
    assert report["runs"][2]["status"] == "failed"  # in the last one every tool fails
    assert {"secret", "private email", "private name", *KINDS} <= set(report["planted"])
    looked = report["looked"]
    for place in ("log lines", "spans", "files of the store (.db)", "inbox rows", "surefoot runs export"):
        assert looked[place] > 500
    assert dict(os.environ) == before
    assert logging.getLogger().handlers == handlers
    assert not (kiosk.folder / ".surefoot").exists()


def test_the_report_for_people_names_kinds_and_places_and_no_value(kiosk: Shell) -> None:
    wish = {"sender": "ann@post.example", "name": "Ann Berg", "text": "a lamp, please", "code": "K-0001"}
    said = kiosk.here("canary", "kiosk:kiosk", "--input", kiosk.write("wish.json", wish))
    assert said.code == 0
    assert "Nothing that was planted was found" in said.out
    assert "searched  spans" in said.out
    assert "searched  neither the API nor the console: pip install 'surefoot[service]'" in said.out
    assert "ann@post.example" not in said.out + said.err
    assert "canary-" not in said.out


# ── leaks made on purpose ────────────────────────────────────────────────────────────────────────


def key() -> str:
    return os.environ["KIOSK_KEY"]


def no_redaction_of_streams(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(redacted.StreamRedactor, "feed", lambda self, chunk: chunk)


def no_redaction_of_answers(patch: pytest.MonkeyPatch) -> None:
    """And a command that says the key in a form that it was not asked for."""
    said = output.Output._write_answer
    patch.setattr(redacted.Scrubbed, "write", lambda self, text: self._stream.write(text))

    def careless(self: Any, text: str) -> None:
        said(self, text)
        if "KIOSK_KEY" in os.environ and not self.json:
            said(self, base64.b64encode(key().encode()).decode())

    patch.setattr(output.Output, "_write_answer", careless)


def no_redaction_of_logs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(logs, "redacted", lambda record: record)


def spans_of_exact_values(patch: pytest.MonkeyPatch) -> None:
    saw = spans.Spans.saw

    def careless(self: Any, kind: str, at: int, view: str) -> None:
        saw(self, kind, at, view)
        self._stretch.set_attribute("key", key()[:25])

    patch.setattr(spans.Spans, "saw", careless)


def views_of_exact_values(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recorder.Sealer, "_view", lambda self, event, clean: clean)


def no_private_values(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Private, "learn", lambda self, values: {})


def no_detector(patch: pytest.MonkeyPatch) -> None:
    class Blind:
        def find(self, text: str) -> list[Any]:
            return []

    patch.setattr(recorder, "standard", Blind)


def no_secrets(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Secrets, "scrub_json", lambda self, text, data=None: text)
    patch.setattr(Secrets, "scrub", lambda self, text: text)


def items_of_exact_values(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recorder.Sealer, "shown", lambda self, value: value)


def a_file(written: Callable[[str], str]) -> Leaky:
    def leak(patch: pytest.MonkeyPatch) -> None:
        done = recorder.Recorder.summary

        def careless(self: Any) -> str:
            folder = Path(os.environ["SUREFOOT_STORE"].removeprefix("sqlite:///")).parent
            (folder / "dump.txt").write_text(written(key()))
            return done(self)

        patch.setattr(recorder.Recorder, "summary", careless)

    return leak


def a_file_s_name(patch: pytest.MonkeyPatch) -> None:
    done = recorder.Recorder.summary

    def careless(self: Any) -> str:
        folder = Path(os.environ["SUREFOOT_STORE"].removeprefix("sqlite:///")).parent
        (folder / f"of-{key()}.txt").touch()
        return done(self)

    patch.setattr(recorder.Recorder, "summary", careless)


LEAKS: dict[str, tuple[Leaky, str, str]] = {
    "stdout": (no_redaction_of_streams, "stdout and stderr of the run", "private email"),
    "answers": (no_redaction_of_answers, "surefoot runs list", "secret"),
    "doctor": (no_redaction_of_answers, "surefoot doctor", "secret"),
    "logs": (no_redaction_of_logs, "log lines", "email"),
    "spans": (spans_of_exact_values, "spans", "secret"),
    "events": (views_of_exact_values, "surefoot runs events", "private name"),
    "rows": (views_of_exact_values, "files of the store (.db)", "private email"),
    "private values": (no_private_values, "surefoot runs show", "private name"),
    "looks": (no_detector, "surefoot runs export", "iban"),
    "secrets": (no_secrets, "the answer to who started the run (secrets)", "secret"),
    "inbox": (items_of_exact_values, "inbox rows", "private name"),
    "a file": (a_file(lambda value: f"key={value}"), "files of the store (.txt)", "secret"),
    "a file, in base64": (
        a_file(lambda value: base64.b64encode(b"a:" + value.encode()).decode()),
        "files of the store (.txt)",
        "secret",
    ),
    "a file, over lines": (
        a_file(lambda value: f"key: {value[:20]}\n     {value[20:]}"),
        "files of the store (.txt)",
        "secret",
    ),
    "a file, cut short": (a_file(lambda value: f"{value[:22]}..."), "files of the store (.txt)", "secret"),
    "a file's name": (a_file_s_name, "names of files", "secret"),
}


QUICK = ("stdout", "logs", "rows", "private values", "a file, in base64")


@pytest.mark.parametrize("name", quick_or_slow(LEAKS, QUICK))
def test_a_leak_made_on_purpose_is_found(kiosk: Shell, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    leak, place, kind = LEAKS[name]
    leak(monkeypatch)
    said = kiosk.here("canary", "kiosk:kiosk", "--json")
    monkeypatch.undo()
    found = {(one["place"], one["kind"]) for one in said.json["leaks"]}
    assert (place, kind) in found
    assert said.code == 1
    assert said.json["ok"] is False


def test_a_leak_is_told_without_its_value(kiosk: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    a_file(lambda value: value)(monkeypatch)
    said = kiosk.here("canary", "kiosk:kiosk")
    assert said.code == 1
    assert "1 leak." in said.out
    assert "files of the store (.txt)" in said.out
    assert "the variable KIOSK_KEY" in said.out
    assert "canary-" not in said.out


# ── what is planted ──────────────────────────────────────────────────────────────────────────────


def test_what_is_planted_to_be_found_by_its_looks_is_found() -> None:
    """Or the canary would blame the rails for values that are none."""
    import random

    garden = Garden(random.Random(5))
    for _ in range(200):
        garden.text("here")
    for plant in garden.plants:
        assert plant.value not in redacting.redactor().redact(f"{plant.kind} {plant.value}, and so on")


def test_data_of_a_type_fit_it() -> None:
    import random
    from datetime import datetime
    from decimal import Decimal
    from typing import Annotated
    from uuid import UUID

    from pydantic import AfterValidator, BaseModel, Field

    def even(value: int) -> int:
        if value % 2:
            raise ValueError("odd")
        return value

    class Part(BaseModel):
        at: datetime
        id: UUID
        code: Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{3,5}(-x)?$")]
        short: Annotated[str, Field(max_length=3)]
        amount: Decimal
        whole: Annotated[int, AfterValidator(even)]
        near: Annotated[int, Field(gt=4, le=6)]

    class Whole(BaseModel):
        parts: list[Part]
        one: Part | None
        either: int | str
        by_name: dict[str, Part]

    for turn in range(3):
        shape = Shape(Whole, "x")
        shape.load(Maker(Garden(random.Random(turn)), turn).made(shape.json_schema, "x", shape.load))


def test_a_type_that_takes_nothing_is_said_so() -> None:
    import random
    from typing import Annotated

    from pydantic import AfterValidator

    from surefoot.errors import UsageError

    def never(value: str) -> str:
        raise ValueError("no")

    shape = Shape(Annotated[str, AfterValidator(never)], "x")
    with pytest.raises(UsageError, match="found no data that the input takes"):
        Maker(Garden(random.Random(1)), 0).made(shape.json_schema, "the input", shape.load)


@pytest.mark.parametrize("number", [1, 2])
def test_it_hears_what_goes_past_python_s_streams(kiosk: Shell, number: int) -> None:
    kiosk.write(
        "shouting.py",
        "import os\n"
        "from typing import Annotated\n"
        "from pydantic import BaseModel\n"
        "from surefoot import Private, Workflow, step\n\n"
        "class Wish(BaseModel):\n"
        "    sender: Annotated[str, Private('email')]\n\n"
        "@step\n"
        "def heard(wish: Wish) -> int:\n"
        f"    return os.write({number}, wish.sender.encode())\n\n"
        "shout = Workflow('shout', input=Wish, steps=[heard])\n",
    )
    said = kiosk.here("canary", "shouting:shout", "--json")
    assert said.code == 1
    assert {leak["place"] for leak in said.json["leaks"]} == {"stdout and stderr, past Python's streams"}
