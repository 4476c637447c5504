"""`surefoot demo` on the real embedded model: tickets come to an end or to a person, and a refund that was
approved with the printed command is made once."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from .conftest import Shell

DESK = Path(__file__).parents[2] / "examples" / "support_desk" / "support_desk"


@pytest.mark.live_embedded
def test_tickets_of_the_demo_are_worked_through_by_the_real_model(shell: Shell) -> None:
    """Two of the twelve, of a desk that stands in this folder."""
    shutil.copytree(DESK, shell.folder / "support_desk", ignore=shutil.ignore_patterns("__pycache__"))
    package = shell.folder / "support_desk" / "__init__.py"
    package.write_text(package.read_text() + "\nDEMO = DEMO[:2]\n")
    said = shell.process("demo", "--json", patience=120)
    assert said.code == 0, said.err
    assert [(one["ticket"], one["status"]) for one in said.json["tickets"]] == [
        ("01-lamp-flickers", "waiting"),
        ("02-towels", "succeeded"),
    ]
    assert "asks embedded" in said.err, "it tells what goes on"
    (approve,) = [line for line in said.err.splitlines() if " approve --by YOU" in line]
    assert shell.printed(approve).code == 0
    again = shell.process("demo", "--keep", "--json", patience=120)
    assert [one["status"] for one in again.json["tickets"]] == ["succeeded"] * 2, again.err


@pytest.mark.slow
@pytest.mark.live_embedded
def test_the_demo_ends_with_a_refund_that_waits_and_the_command_that_approves_it(shell: Shell) -> None:
    said = shell.process("demo", "--json", patience=300)
    assert said.code == 0, said.err
    tickets = {one["ticket"]: one for one in said.json["tickets"]}
    assert len(tickets) == 12
    assert {one["status"] for one in tickets.values()} <= {"succeeded", "waiting"}
    assert all(one["usage"]["model_calls"] >= 1 for one in tickets.values())
    assert "asks embedded" in said.err, "it tells what goes on"
    assert " new my-desk" in said.err, "and how to begin"
    (approve,) = [line for line in said.err.splitlines() if " approve --by YOU" in line]
    assert shell.printed(approve).code == 0
    again = shell.process("demo", "--keep", "--json", patience=300)
    assert again.code == 0, again.err
    after = {one["ticket"]: one for one in again.json["tickets"]}
    assert {name: one["run"] for name, one in after.items()} == {
        name: one["run"] for name, one in tickets.items()
    }
    (approved,) = [name for name in tickets if tickets[name]["status"] != after[name]["status"]]
    assert after[approved]["status"] == "succeeded"
    with sqlite3.connect(shell.folder / ".surefoot" / "demo" / "shop.db") as shop:
        number = after[approved]["output"]["outcome"]["number"]
        (made,) = shop.execute("SELECT count(*) FROM refunds WHERE number = ?", (number,)).fetchone()
    shop.close()
    assert made == 1
    assert shell.process("audit", "verify", "--store", "sqlite:///.surefoot/demo/state.db").code == 0


def test_a_fresh_demo_never_touches_the_folder_s_own_store(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.here("run", "till:till", "--input", "small.json")
    said = shell.process("demo", "--model", "gpt")
    assert (said.code, "names no model" in said.err) == (2, True)
    assert len(shell.here("runs", "list", "--json").lines) == 1
