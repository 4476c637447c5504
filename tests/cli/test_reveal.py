"""`--reveal`: exact values for a named person, and never before the journal says so."""

import pytest

from .conftest import Shell

MAIL = "ann@post.example"


@pytest.fixture
def run(shell: Shell) -> str:
    said = shell.here("run", "till:till", "--input", "small.json", "--key", f"{MAIL}-1", "--json")
    found = said.json["run"]
    assert isinstance(found, str)
    return found


def revealed(shell: Shell, run: str) -> list[dict[str, str]]:
    lines = shell.here("runs", "events", run, "--json").lines
    return [line["view"] for line in lines if line["kind"] == "private.revealed"]


def test_a_run_is_shown_as_it_is_and_the_journal_tells_to_whom_and_why(shell: Shell, run: str) -> None:
    plain = shell.here("runs", "show", run, "--json")
    assert MAIL not in plain.out
    assert "revealed" not in plain.json
    said = shell.here("runs", "show", run, "--reveal", "--by", "kim", "--reason", "she asked", "--json")
    assert said.code == 0
    exact = said.json["revealed"]
    assert exact["input"]["buyer"] == MAIL
    assert exact["key"] == f"{MAIL}-1"
    assert exact["outputs"]["paid"]["buyer"] == MAIL
    assert [call["tool"] for call in exact["calls"]] == ["stock", "pay"]
    assert revealed(shell, run) == [{"to": "kim", "what": "everything", "reason": "she asked"}]
    assert MAIL in shell.here("runs", "show", run, "--reveal", "--by", "kim").out
    assert shell.here("audit", "verify").code == 0


def test_events_are_shown_as_they_are(shell: Shell, run: str) -> None:
    assert MAIL not in shell.here("runs", "events", run, "--json").out
    said = shell.here("runs", "events", run, "--reveal", "--by", "kim", "--after", "0", "--json")
    assert said.lines[0]["view"]["input"]["buyer"] == MAIL
    assert said.lines[-1]["kind"] == "private.revealed", "the look itself is among them"
    assert len(revealed(shell, run)) == 1


def test_whoever_may_decide_an_item_may_see_it(shell: Shell) -> None:
    shell.write("mine.json", {"item": f"a lamp for {MAIL}", "amount": "80"})
    (item,) = shell.here("run", "till:till", "--input", "mine.json", "--json").json["waiting_for"]
    shell.setenv("SUREFOOT_PEOPLE", "leads=kim;reveal=lou")
    for who, code in (("kim", 0), ("lou", 0), ("bo", 1)):
        said = shell.here("inbox", "show", item, "--reveal", "--by", who, "--json")
        assert said.code == code, said
        if code == 0:
            assert said.json["revealed"]["args"]["amount"] == "80"
    assert shell.here("runs", "show", item.rpartition("-")[0], "--reveal", "--by", "kim").code == 1
    assert [one["to"] for one in revealed(shell, item.rpartition("-")[0])] == ["kim", "lou"]
    shell.here("inbox", "decide", item, "deny", "--by", "kim")
    said = shell.here("inbox", "show", item, "--reveal", "--by", "kim")
    assert said.code == 1, "a decided one is like any other past"


@pytest.mark.parametrize("words", [["runs", "show"], ["runs", "events"]])
def test_nobody_in_particular_sees_nothing(shell: Shell, run: str, words: list[str]) -> None:
    for options in (["--reveal"], ["--reveal", "--by", " "], ["--by", "kim"], ["--reason", "why"]):
        said = shell.here(*words, run, *options)
        assert said.code == 2, options
        assert MAIL not in said.out + said.err
    assert revealed(shell, run) == []


@pytest.mark.parametrize("moment", ["1.before", "1"])
def test_killed_at_its_commit_nothing_was_shown(shell: Shell, run: str, moment: str) -> None:
    said = shell.process(
        "runs", "show", run, "--reveal", "--by", "kim", SUREFOOT_TESTING="1", SUREFOOT_CRASH_AT=moment
    )
    assert said.code == -9
    assert MAIL not in said.out + said.err
    assert len(revealed(shell, run)) == (0 if moment == "1.before" else 1)
    assert shell.here("audit", "verify").code == 0


def test_a_known_secret_in_a_reason_is_not_kept(shell: Shell) -> None:
    shell.setenv("SHOP_API_KEY", "Kv9/4IpUiKKRHssE+q==")
    reason = "it is Kv9/4IpUiKKRHssE+q=="
    shell.here("run", "till:till", "--input", "small.json", "--quiet")
    (row,) = shell.here("runs", "list", "--json").lines
    assert shell.here("runs", "show", row["run"], "--reveal", "--by", "kim", "--reason", reason).code == 0
    assert shell.here("forget", row["run"], "--by", "kim", "--reason", reason).code == 0
    events = shell.here("runs", "events", row["run"], "--json").out
    assert events.count("it is [secret:SHOP_API_KEY]") == 2
    files = [path for path in (shell.folder / ".surefoot").rglob("*") if path.is_file()]
    assert not [path for path in files if b"4IpUiKKRHssE" in path.read_bytes()]
