"""`surefoot forget`: through the command, down to the bytes of every file of the folder."""

import sqlite3

import pytest

from .conftest import Shell

MAIL = "ann@post.example"


def start(shell: Shell, name: str = "small.json", key: str = f"{MAIL}-1") -> str:
    said = shell.here("run", "till:till", "--input", name, "--key", key, "--json")
    run = said.json["run"]
    assert isinstance(run, str)
    return run


def holds(shell: Shell, value: bytes) -> list[str]:
    files = [file for file in (shell.folder / ".surefoot").rglob("*") if file.is_file()]
    return [file.name for file in files if value in file.read_bytes()]


def wrapped_key(shell: Shell, run: str) -> bytes:
    connection = sqlite3.connect(shell.folder / ".surefoot" / "state.db")
    (found,) = connection.execute("SELECT data_key FROM runs WHERE id = ?", (run,)).fetchone()
    connection.close()
    assert isinstance(found, bytes)
    return found


def test_a_forgotten_run_is_there_and_its_values_are_not(shell: Shell) -> None:
    run = start(shell)
    key = wrapped_key(shell, run)
    assert holds(shell, key)
    said = shell.here("forget", run, "--by", "kim", "--reason", f"{MAIL} asked for it", "--json")
    assert said.code == 0, said
    assert said.json["first"]
    assert said.json["proved"] == 1
    for planted in (key, key[:20], key[40:], MAIL.encode()):
        assert holds(shell, planted) == []
    (listed,) = shell.here("runs", "list", "--json").lines
    assert (listed["run"], listed["status"], listed["key"]) == (run, "succeeded", None)
    assert listed["forgotten"]
    assert "its exact values are gone" in shell.here("runs", "show", run).out
    assert MAIL not in shell.here("runs", "events", run).out
    assert shell.here("audit", "verify").code == 0


def test_again_is_no_mistake(shell: Shell) -> None:
    run = start(shell)
    assert shell.here("forget", run).code == 0
    said = shell.here("forget", run, "--json")
    assert (said.code, said.json["first"], said.json["proved"]) == (0, False, 0)


def test_a_key_that_is_an_address_lies_nowhere_in_clear_even_before(shell: Shell) -> None:
    start(shell)
    assert holds(shell, MAIL.encode()) == []
    assert MAIL not in shell.here("runs", "list", "--json").out


def test_the_same_key_neither_does_the_work_again_nor_finds_a_value(shell: Shell) -> None:
    run = start(shell)
    shell.here("forget", run)
    said = shell.here("run", "till:till", "--input", "small.json", "--key", f"{MAIL}-1", "--json")
    assert said.code == 1
    assert said.json["error"]["code"] == "key_unavailable"
    assert "was forgotten" in said.json["error"]["what"]
    assert len(shell.paid()) == 1


def test_what_has_not_ended_is_cancelled_first(shell: Shell) -> None:
    run = start(shell, "large.json")
    said = shell.here("forget", run)
    assert said.code == 2
    assert f"surefoot runs cancel {run}" in said.err
    assert wrapped_key(shell, run)
    shell.here("runs", "cancel", run)
    shell.here("work", "till:till")
    assert shell.here("forget", run).code == 0
    for command in (["runs", "retry", run], ["runs", "show", run, "--reveal", "--by", "kim"]):
        said = shell.here(*command)
        assert said.code == 1
        assert "forgotten" in said.err


def test_a_reader_holds_up_the_proof_and_is_named(shell: Shell) -> None:
    run = start(shell)
    key = wrapped_key(shell, run)
    reader = sqlite3.connect(shell.folder / ".surefoot" / "state.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM runs").fetchone()
    said = shell.here("forget", run, "--patience", "0.2")
    assert said.code == 1
    assert "It is deleted" in said.err
    assert "same command again" in said.err
    reader.close()
    assert shell.here("forget", run).code == 0
    assert holds(shell, key) == []


@pytest.mark.parametrize("moment", ["1.before", "1", "2.before", "2"])
def test_killed_at_any_commit_the_same_command_ends_it(shell: Shell, moment: str) -> None:
    run = start(shell)
    key = wrapped_key(shell, run)
    died = shell.process("forget", run, SUREFOOT_TESTING="1", SUREFOOT_CRASH_AT=moment)
    assert died.code == -9
    assert shell.here("audit", "verify").code == 0
    assert shell.here("forget", run).code == 0
    assert holds(shell, key) == holds(shell, MAIL.encode()) == []
    assert shell.here("audit", "verify").code == 0


def test_a_run_that_there_is_not(shell: Shell) -> None:
    start(shell)
    assert shell.here("forget", "nobody").code == 2
