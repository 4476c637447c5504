"""`surefoot intake`: whether new runs are taken up, and a person's word on it."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from .conftest import PROGRAMS, Shell


@pytest.fixture
def shop(shell: Shell) -> Shell:
    """A folder in which a run has been made."""
    shutil.copy(PROGRAMS / "spending.py", shell.folder)
    assert run(shell, 0).code == 0
    return shell


def run(shell: Shell, number: int, *words: str, target: str = "spending:spending") -> Any:
    order = json.dumps({"number": number})
    return shell.here("run", target, "--input", "-", "--json", "--quiet", *words, stdin=order)


def state(shell: Shell) -> Any:
    return shell.here("intake", "show", "spending:spending", "--json").json["intakes"][0]


def test_a_paused_intake_queues_runs_until_it_is_resumed(shop: Shell) -> None:
    said = shop.here("intake", "pause", "spending:spending", "--by", "kim", "--reason", "we move house")
    assert (said.code, said.out) == (0, "spending: paused: new runs wait in the queue\n")
    assert run(shop, 1, "--no-wait").json["status"] == "queued"
    assert shop.here("work", "spending:spending", "--json", "--quiet").json["driven"] == 0
    found = state(shop)
    assert (found["state"], found["by"], found["reason"], found["to_begin"]) == (
        "paused",
        "kim",
        "we move house",
        1,
    )
    said = shop.here("intake", "resume", "spending:spending", "--by", "lee", "--json").json
    assert (said["state"], said["changed"]) == ("open", True)
    assert shop.here("work", "spending:spending", "--json", "--quiet").json["succeeded"] == 1


def test_a_command_that_waits_for_a_run_that_nobody_may_begin_says_so(shop: Shell) -> None:
    shop.here("intake", "pause", "spending:spending")
    command = ["run", "spending:spending", "--input", "order.json", "--quiet"]
    shop.write("order.json", {"number": 7})
    process = shop.start(*command)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "waits, for the intake of spending is paused" in line
    shop.here("intake", "resume", "spending:spending")
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, "x" * 200 in out) == (0, True)


def test_an_intake_that_refuses_turns_runs_away_by_an_error_with_a_code(shop: Shell) -> None:
    assert shop.here("intake", "pause", "--workflow", "spending", "--refuse").code == 0
    said = run(shop, 1)
    assert said.code == 1
    assert said.json["error"]["code"] == "intake_closed"
    assert state(shop)["state"] == "refused"


def test_show_tells_who_when_and_why_and_what_was_before(shop: Shell) -> None:
    shop.here("intake", "pause", "spending:spending", "--by", "kim", "--reason", "first")
    shop.here("intake", "resume", "spending:spending", "--by", "lee")
    shop.here("intake", "pause", "spending:spending", "--by", "ann", "--reason", "again")
    said = shop.here("intake", "show").out
    assert said.splitlines()[0] == "spending: paused"
    assert "by ann: again" in said
    told = shop.here("intake", "show", "--json").json
    assert [(one["what"], one["by"], one["reason"]) for one in told["changes"]] == [
        ("paused", "ann", "again"),
        ("resumed", "lee", ""),
        ("paused", "kim", "first"),
    ]
    assert len(shop.here("intake", "show", "--changes", "1", "--json").json["changes"]) == 1


def test_saying_it_twice_is_said_so_and_keeps_the_first_word(shop: Shell) -> None:
    shop.here("intake", "pause", "spending:spending", "--by", "kim")
    said = shop.here("intake", "pause", "spending:spending", "--by", "lee")
    assert (said.code, "as it was before" in said.out) == (0, True)
    assert state(shop)["by"] == "kim"


def test_a_reason_is_kept_without_the_private_data_in_it(shop: Shell) -> None:
    shop.here("intake", "pause", "spending:spending", "--reason", "call ann@post.example")
    said = shop.process("intake", "show", "--json")
    assert "ann@post.example" not in said.out + said.err
    assert "[email" in said.json["intakes"][0]["reason"]
    for path in (shop.folder / ".surefoot").glob("state.db*"):
        assert path.is_dir() or b"ann@post.example" not in path.read_bytes()


def test_the_breaker_is_shown_with_what_the_provider_said(shop: Shell) -> None:
    for number in range(5):
        assert run(shop, number, target="spending:down").code == 1
    assert run(shop, 9, "--no-wait", target="spending:down").json["status"] == "queued"
    found = shop.here("intake", "show", "spending:down", "--json").json
    assert (found["intakes"][0]["state"], found["intakes"][0]["to_begin"]) == ("tripped", 1)
    assert found["changes"][0]["what"] == "opened"
    assert "is unavailable" in found["changes"][0]["reason"]
    said = shop.here("intake", "show", "spending:down").out
    assert "the providers keep failing" in said
    assert "goes on in" in said
    signs = shop.here("doctor", "--json").json["signs"]
    (sign,) = [sign for sign in signs if sign["about"] == "intake"]
    assert (sign["level"], sign["what"]) == ("warning", "down is tripped, 1 runs to begin")
    shop.here("intake", "resume", "spending:down")
    assert shop.here("intake", "show", "spending:down", "--json").json["intakes"][0]["state"] == "open"


def test_a_workflow_is_named_in_one_way(shop: Shell) -> None:
    said = shop.here("intake", "pause", "spending:spending", "--workflow", "spending")
    assert said.code == 2
    assert shop.here("intake", "pause").code == 2, "which one?"
    assert shop.here("intake", "show").out.startswith("open")


def test_a_store_that_nobody_ever_closed_is_open(shop: Shell) -> None:
    assert state(shop)["state"] == "open"
    (sign,) = [sign for sign in shop.here("doctor", "--json").json["signs"] if sign["about"] == "intake"]
    assert (sign["level"], sign["what"]) == ("ok", "open")


def test_a_known_secret_in_a_reason_is_not_kept(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "Kv9/4IpUiKKRHssE+q==")
    for word in ("pause", "resume"):
        shop.here(
            "intake", word, "spending:spending", "--by", "kim", "--reason", "it is Kv9/4IpUiKKRHssE+q=="
        )
    said = shop.here("intake", "show", "spending:spending", "--json").json
    assert [one["reason"] for one in said["changes"]] == ["it is [secret:SHOP_API_KEY]"] * 2
    files = [path for path in (shop.folder / ".surefoot").rglob("*") if path.is_file()]
    assert not [path for path in files if b"4IpUiKKRHssE" in path.read_bytes()]
