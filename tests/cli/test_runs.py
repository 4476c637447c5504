"""`surefoot runs` and `surefoot audit`: what happened, read from views; and saying something to a run."""

import json
import sqlite3

import pytest

from .conftest import Shell


@pytest.fixture
def run(shell: Shell) -> str:
    run: str = shell.here("run", "till:till", "--input", "small.json", "--key", "k", "--json").json["run"]
    return run


def test_a_list_is_a_line_of_json_for_each_run_newest_first(shell: Shell, run: str) -> None:
    second = shell.here("run", "till:till", "--input", "large.json", "--json").json["run"]
    said = shell.here("runs", "list", "--json")
    assert said.code == 0
    assert [row["run"] for row in said.lines] == [second, run]
    assert [row["status"] for row in said.lines] == ["waiting", "succeeded"]
    assert said.lines[0]["waiting_for"] == [f"{second}-1"]
    assert said.lines[1]["key"] == "k"
    for words, found in (
        (["--status", "waiting"], [second]),
        (["--status", "waiting", "--status", "succeeded"], [second, run]),
        (["--before", second], [run]),
        (["--limit", "1"], [second]),
        (["--workflow", "other"], []),
        (["--since", "1h"], [second, run]),
    ):
        assert [row["run"] for row in shell.here("runs", "list", "--json", *words).lines] == found, words


def test_a_list_for_people_is_a_table_on_stdout(shell: Shell, run: str) -> None:
    said = shell.here("runs", "list")
    assert said.out.splitlines()[0].split() == ["RUN", "WORKFLOW", "STATUS", "MADE", "USD", "KEY", "NOTE"]
    assert run in said.out


def test_show_has_steps_calls_and_asks(shell: Shell, run: str) -> None:
    document = shell.here("runs", "show", run, "--json").json
    assert [(s["name"], s["status"], s["how"], s["attempts"]) for s in document["steps"]] == [
        ("reading", "finished", "ok", 1),
        ("checked", "finished", "ok", 1),
        ("paid", "finished", "ok", 1),
    ]
    assert all(step["ms"] >= 0 for step in document["steps"])
    calls = {call["tool"]: call for call in document["calls"]}
    assert calls["pay"]["args"] == {"item": "lamp", "amount": "20"}
    assert calls["pay"]["status"] == "returned"
    assert len(calls["pay"]["key"]) >= 16
    assert calls["pay"]["attempt"] == 1
    first, second = document["asks"]
    assert (first["model"], first["model_version"], first["finish"]) == (
        "scripted:scripted",
        "scripted-1",
        "tool_calls",
    )
    assert second["tokens"] == second["tokens_in"] + second["tokens_out"] > 0
    assert second["usd"] == 0
    assert second["ms"] >= 0


def test_show_and_events_are_views(shell: Shell, run: str) -> None:
    for words in (
        ["show", run],
        ["show", run, "--json"],
        ["events", run],
        ["events", run, "--json"],
        ["export"],
    ):
        said = shell.here("runs", *words)
        assert said.code == 0, said.err
        assert "ann@post.example" not in said.out, words
        assert "[email-1]" in said.out, words


def test_show_for_people_reads_like_a_waterfall(shell: Shell) -> None:
    run = shell.here("run", "till:till", "--input", "large.json", "--json").json["run"]
    out = shell.here("runs", "show", run).out
    lines = [line.rstrip() for line in out.splitlines()]
    (ask,) = [
        n for n, line in enumerate(lines) if line.startswith("  ask scripted") and "tool_calls" not in line
    ][:1]
    assert lines[ask - 1].startswith("reading")
    assert any('approve pay(item="lamp", amount="80")' in line and "open" in line for line in lines)
    assert f"inbox decide {run}-1 approve --by YOU" in out


def test_a_traceback_is_for_debug_only_and_without_private_values_of_the_step(shell: Shell) -> None:
    shell.write("bad.json", {"item": "a lamp", "amount": "20", "mode": "fail"})
    run = shell.here("run", "till:till", "--input", "bad.json", "--json").json["run"]
    assert "Traceback" not in shell.here("runs", "show", run).out
    shown = shell.here("runs", "show", run, "--debug").out
    assert "ZeroDivisionError: the till is broken" in shown
    assert "Traceback" in shown


def test_events_are_lines_in_order_and_can_be_followed_from_a_place(shell: Shell, run: str) -> None:
    events = shell.here("runs", "events", run, "--json").lines
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["kind"] == "run.submitted"
    assert events[-1]["kind"] == "run.finished"
    assert events[-1]["view"] == {"status": "succeeded"}
    later = shell.here("runs", "events", run, "--json", "--after", str(len(events) - 1)).lines
    assert later == events[-1:]


def test_an_export_holds_every_event_of_every_run_with_its_hash(shell: Shell, run: str) -> None:
    second = shell.here("run", "till:till", "--input", "large.json", "--json").json["run"]
    lines = shell.here("runs", "export").lines
    assert {line["run"] for line in lines} == {run, second}
    assert len({line["hash"] for line in lines}) == len(lines)
    assert shell.here("runs", "export", run).lines == [line for line in lines if line["run"] == run]


def test_a_cancelled_run_ends_at_the_next_work(shell: Shell) -> None:
    run = shell.here("run", "till:till", "--input", "large.json", "--json").json["run"]
    said = shell.here("runs", "cancel", run, "--by", "kim", "--reason", "double")
    assert said.code == 0
    assert "work" in said.err
    assert shell.here("work", "till:till").code == 0
    document = shell.here("runs", "show", run, "--json").json
    assert document["status"] == "cancelled"
    assert document["error"]["why"] == "double"
    assert shell.here("runs", "cancel", run).code == 2


def test_a_failed_run_is_retried(shell: Shell) -> None:
    shell.write("bad.json", {"item": "a lamp", "amount": "20", "mode": "fail"})
    run = shell.here("run", "till:till", "--input", "bad.json", "--json").json["run"]
    assert shell.here("runs", "retry", run, "--by", "kim").code == 0
    assert shell.here("work", "till:till").code == 1
    (paid,) = [s for s in shell.here("runs", "show", run, "--json").json["steps"] if s["name"] == "paid"]
    assert paid["attempts"] == 2
    assert shell.here("runs", "show", run, "--json").json["usage"]["model_calls"] == 2, (
        "it was not asked anew"
    )


def test_a_succeeded_run_is_not_retried(shell: Shell, run: str) -> None:
    said = shell.here("runs", "retry", run, "--json")
    assert (said.code, said.json["error"]["code"]) == (2, "run_not_finished")


def test_a_fork_takes_over_what_came_before_the_step(shell: Shell, run: str) -> None:
    said = shell.here("runs", "fork", run, "till:till", "--from", "paid", "--json")
    assert said.code == 0
    assert said.json["forked_from"] == run
    assert shell.here("work", "till:till").code == 0
    document = shell.here("runs", "show", said.json["run"], "--json").json
    assert [step["how"] for step in document["steps"]] == ["forked", "forked", "ok"]
    assert document["usage"]["model_calls"] == 0
    assert shell.paid() == ["lamp 20", "lamp 20"], "a fork is a run of its own"


def test_audit_tells_a_changed_event(shell: Shell, run: str) -> None:
    assert shell.here("audit", "verify").code == 0
    good = shell.here("audit", "verify", run, "--json")
    assert (good.json["ok"], good.json["runs"], good.json["findings"]) == (True, 1, [])
    database = sqlite3.connect(shell.folder / ".surefoot" / "state.db")
    with database:
        database.execute(
            """UPDATE events SET view = replace(view, '"20"', '"90"') WHERE view LIKE '%"20"%'"""
        )
    database.close()
    bad = shell.here("audit", "verify", "--json")
    assert bad.code == 1
    assert {one["problem"] for one in bad.json["findings"]} == {"changed"}
    assert shell.here("audit", "verify", run).code == 1


def test_prune_deletes_old_journals_and_keeps_how_they_ended(shell: Shell, run: str) -> None:
    assert shell.here("prune", "--older-than", "1d", "--json").json == {"runs": 0, "events": 0}
    database = sqlite3.connect(shell.folder / ".surefoot" / "state.db")
    with database:
        database.execute("UPDATE runs SET ended = 1")
    database.close()
    pruned = shell.here("prune", "--older-than", "30d", "--json").json
    assert pruned["runs"] == 1
    assert pruned["events"] > 5
    shown = shell.here("runs", "show", run, "--json")
    assert (shown.code, shown.json["status"], shown.json["pruned"]) == (0, "succeeded", True)
    assert "pruned" in shell.here("runs", "show", run).out
    assert shell.here("runs", "list", "--json").lines[0]["pruned"] is True
    assert shell.here("audit", "verify").code == 0


def test_looking_at_a_folder_without_a_store_makes_none(shell: Shell) -> None:
    said = shell.here("runs", "list")
    assert said.code == 1
    assert "there is no store" in said.err
    assert not (shell.folder / ".surefoot").exists()


def test_json_that_is_piped_to_a_reader_who_stops_early_is_no_error(shell: Shell, run: str) -> None:
    running = shell.start("runs", "events", run, "--json")
    assert running.stdout is not None
    assert json.loads(running.stdout.readline())["seq"] == 1
    running.stdout.close()
    running.wait(timeout=30)
    assert running.stderr is not None
    assert "Traceback" not in running.stderr.read()
    running.stderr.close()
