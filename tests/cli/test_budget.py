"""`surefoot budget`: what the days have cost, as a person reads it and as JSON."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Any

import pytest

from surefoot.state.opening import make_store
from surefoot.state.store import Append, DayCharge, NewRun, Record

from .conftest import PROGRAMS, Shell

STORE = "sqlite:///.surefoot/state.db"


@pytest.fixture
def spent(shell: Shell) -> Shell:
    """Three runs of half a dollar on a day of $2.20; the fourth, of at most a dollar, is refused; a fifth
    waits."""
    shutil.copy(PROGRAMS / "spending.py", shell.folder)
    codes = [run(shell, number).code for number in range(4)]
    assert codes == [0, 0, 0, 1]
    assert run(shell, 5, "--no-wait").json["status"] == "queued"
    return shell


def run(shell: Shell, number: int, *words: str) -> Any:
    order = json.dumps({"number": number})
    return shell.here("run", "spending:spending", "--input", "-", "--json", "--quiet", *words, stdin=order)


def charge(shell: Shell, day: str, nanousd: int, workflow: str = "spending") -> None:
    async def put() -> None:
        store, _ = make_store(f"sqlite:///{shell.folder}/.surefoot/state.db", now=lambda: 1, worker="other")
        await store.open()
        new = NewRun(
            f"r-{day}-{workflow}", workflow, "1", "f", None, "d", b"", (Record("run.submitted", 1, 1, "{}"),),
            "{}", 1, lease=True,
        )  # fmt: skip
        lease = (await store.submit(new)).lease
        assert lease is not None
        await store.append(Append(lease, (), charges=(DayCharge(workflow, day, nanousd, 10, 5 * 10**9),)))
        await store.close()

    asyncio.run(put())


def test_it_shows_what_is_spent_and_held_against_the_caps_and_whether_runs_are_let_in(spent: Shell) -> None:
    said = spent.here("budget", "spending:spending")
    assert said.code == 0
    header, today, intake = said.out.splitlines()
    assert header.split() == "DAY WORKFLOW SPENT HELD CAP USED TOKENS HELD CAP USED".split()
    assert today.split()[:6] == ["today", "spending", "$1.5", "$2.2", "68", "%"]
    assert intake == "intake of spending: spent"


def test_as_json_it_is_one_document_in_dollars(spent: Shell) -> None:
    found = spent.here("budget", "--json").json
    (day,) = found["days"]
    assert (day["workflow"], day["day"]) == ("spending", found["today"])
    assert day["usd"] == {"spent": 1.5, "held": 0.0, "cap": 2.2}
    assert day["tokens"]["held"] == 0
    assert day["tokens"]["cap"] is None
    assert day["warned"] == ["usd"], "a dollar was reserved beside the one that was spent"
    (intake,) = found["intakes"]
    assert (intake["state"], intake["to_begin"]) == ("spent", 1)
    assert intake["opens_at"] > found["today"]


def test_a_target_gives_the_caps_of_the_code_and_only_its_own_days(spent: Shell) -> None:
    charge(spent, spent.here("budget", "--json").json["today"], 10**9, "other")
    assert {day["workflow"] for day in spent.here("budget", "--json").json["days"]} == {"other", "spending"}
    text = (spent.folder / "spending.py").read_text().replace("2.20", "7")
    spent.write("richer.py", text)
    (day,) = spent.here("budget", "richer:spending", "--json").json["days"]
    assert (day["workflow"], day["usd"]["cap"]) == ("spending", 7.0)


def test_days_before_are_shown_as_far_back_as_was_asked(spent: Shell) -> None:
    charge(spent, "2020-01-01", 10**9, "other")
    days = [day["day"] for day in spent.here("budget", "--json").json["days"]]
    assert len(days) == 1
    days = spent.here("budget", "--days", "3650", "--json").json["days"]
    assert [day["day"] for day in days][:1] == ["2020-01-01"]
    assert days[0]["usd"] == {"spent": 0.0, "held": 1.0, "cap": 5.0}


def test_a_day_without_any_request_is_told_so(shell: Shell) -> None:
    shutil.copy(PROGRAMS / "spending.py", shell.folder)
    run(shell, 1, "--no-wait")
    assert shell.here("budget").out.splitlines()[0] == "No model was asked on these days."


def test_looking_makes_no_store(shell: Shell) -> None:
    said = shell.here("budget")
    assert said.code == 1
    assert "there is no store" in said.err
    assert not (shell.folder / ".surefoot").exists()
