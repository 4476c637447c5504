"""`surefoot run` and `surefoot work`: the contract of exit codes and JSON, and that nothing is lost."""

import re
import signal
import time

from .conftest import Shell

KEYS = {"run", "status", "degraded", "output", "error", "usage", "waiting_for", "items"}
USAGE = {"usd", "tokens_in", "tokens_out", "model_calls", "tool_calls", "seconds"}


def test_a_run_that_succeeds_is_one_json_document_and_exit_0(shell: Shell) -> None:
    said = shell.process("run", "till:till", "--input", "small.json", "--json")
    assert said.code == 0, said.err
    document = said.json
    assert document.keys() == KEYS
    assert document["usage"].keys() == USAGE
    assert document["status"] == "succeeded"
    assert document["degraded"] is False
    assert document["error"] is None
    assert document["waiting_for"] == []
    # who started the run gets its exact values
    assert document["output"] == {"text": "paid 20 for lamp", "buyer": "ann@post.example"}
    assert document["usage"]["model_calls"] == 2
    assert document["usage"]["tool_calls"] == 2
    assert shell.paid() == ["lamp 20"]


def test_what_the_workflow_s_code_prints_goes_to_stderr(shell: Shell) -> None:
    said = shell.process("run", "till:till", "--input", "small.json", "--json")
    assert said.json["status"] == "succeeded"
    assert "till.py is imported" in said.err
    assert "somebody looks at the stock" in said.err


def test_progress_tells_each_ask_call_and_step_on_stderr_and_the_result_on_stdout(shell: Shell) -> None:
    said = shell.process("run", "till:till", "--input", "small.json")
    assert said.code == 0
    assert said.out == '{\n  "text": "paid 20 for lamp",\n  "buyer": "ann@post.example"\n}\n'
    for told in (
        "asks scripted:scripted",
        'calls stock(item="lamp")',
        "stock returned",
        "calls pay(",
        "succeeded",
    ):
        assert told in said.err, said.err
    assert "ann@post.example" not in said.err, "progress shows views"


def test_quiet_shows_no_progress(shell: Shell) -> None:
    said = shell.here("run", "till:till", "--input", "small.json", "--quiet")
    assert "asks" not in said.err
    assert "succeeded" in said.err


def test_the_input_may_come_from_stdin(shell: Shell) -> None:
    said = shell.process("run", "till:till", "--input", "-", "--json", stdin='{"item": "x", "amount": 2}')
    assert said.json["output"]["text"] == "paid 2 for lamp"


def test_the_target_may_stand_in_pyproject(shell: Shell) -> None:
    shell.write("pyproject.toml", '[tool.surefoot]\nworkflow = "till:till"\nstore = "sqlite:///own.db"\n')
    said = shell.here("run", "--input", "small.json", "--json")
    assert said.json["status"] == "succeeded"
    assert (shell.folder / "own.db").exists()


def test_a_run_that_waits_is_exit_3_and_the_printed_commands_decide_it(shell: Shell) -> None:
    store = f"sqlite:///{shell.folder}/elsewhere/state.db"
    said = shell.process("run", "till:till", "--input", "large.json", "--store", store)
    assert (said.code, said.out) == (3, "")
    assert shell.paid() == []
    (approve,) = [line for line in said.err.splitlines() if " approve --by YOU" in line]
    assert "--store" in approve, "the store is not the default one"
    decided = shell.printed(approve)
    assert decided.code == 0, decided.err
    (again,) = [line for line in said.err.splitlines() if " work till:till" in line]
    worked = shell.printed(again)
    assert worked.code == 0, worked.err
    assert shell.paid() == ["lamp 80"]


def test_a_waiting_run_names_its_items_in_json(shell: Shell) -> None:
    said = shell.here("run", "till:till", "--input", "large.json", "--json")
    assert said.code == 3
    document = said.json
    assert document["status"] == "waiting"
    (item,) = document["waiting_for"]
    assert document["items"][0]["item"] == item
    assert document["items"][0]["choices"] == ["approve", "deny", "edit"]
    assert document["items"][0]["args"] == {"item": "lamp", "amount": "80"}
    assert shell.here("inbox", "decide", item, "deny", "--by", "kim", "--reason", "too much").code == 0
    assert shell.here("work", "till:till", "--until-idle").code == 0
    assert shell.paid() == []


def test_a_run_that_fails_is_exit_1_with_code_what_why_and_remedy(shell: Shell) -> None:
    shell.write("bad.json", {"item": "a lamp", "amount": "20", "mode": "fail"})
    said = shell.here("run", "till:till", "--input", "bad.json", "--json")
    assert said.code == 1
    assert said.json["status"] == "failed"
    assert said.json["error"].keys() == {"code", "what", "why", "remedy", "docs"}
    assert said.json["error"]["code"] == "step_failed"
    assert "the till is broken" in said.json["error"]["why"]
    assert "Traceback" not in said.err + said.out


def test_the_same_key_is_the_same_run(shell: Shell) -> None:
    words = ["run", "till:till", "--input", "small.json", "--key", "k-1", "--json"]
    first, second = shell.here(*words), shell.here(*words)
    assert first.json["run"] == second.json["run"]
    assert second.code == 0
    assert shell.paid() == ["lamp 20"]
    by_key_alone = shell.here("run", "till:till", "--key", "k-1", "--json")
    assert by_key_alone.json == second.json


def test_the_same_key_with_another_input_is_refused(shell: Shell) -> None:
    shell.here("run", "till:till", "--input", "small.json", "--key", "k-1")
    said = shell.here("run", "till:till", "--input", "large.json", "--key", "k-1", "--json")
    assert said.code == 2
    assert said.json["error"]["code"] == "key_conflict"


def test_a_key_goes_on_with_a_decided_run(shell: Shell) -> None:
    words = ["run", "till:till", "--input", "large.json", "--key", "k-2", "--json"]
    (item,) = shell.here(*words).json["waiting_for"]
    shell.here("inbox", "decide", item, "edit", "--args", '{"item": "lamp", "amount": "49"}', "--by", "kim")
    said = shell.here(*words)
    assert (said.code, said.json["output"]["text"]) == (0, "paid 49 for lamp")


def test_no_wait_only_submits_and_work_drives(shell: Shell) -> None:
    said = shell.here("run", "till:till", "--input", "small.json", "--no-wait", "--json")
    assert (said.code, said.json["status"]) == (0, "queued")
    assert shell.paid() == []
    worked = shell.here("work", "till:till", "--until-idle", "--json")
    assert worked.code == 0
    assert worked.json["driven"] == 1
    assert worked.json["succeeded"] == 1
    assert worked.json["runs"][0]["run"] == said.json["run"]
    assert shell.paid() == ["lamp 20"]
    assert shell.here("work", "till:till", "--json").json["driven"] == 0


def test_work_ends_with_1_where_a_run_failed_and_3_where_one_waits(shell: Shell) -> None:
    shell.write("bad.json", {"item": "a lamp", "amount": "20", "mode": "fail"})
    shell.here("run", "till:till", "--input", "large.json", "--no-wait")
    assert shell.here("work", "till:till").code == 3
    shell.here("run", "till:till", "--input", "bad.json", "--no-wait")
    assert shell.here("work", "till:till").code == 1
    assert shell.here("work", "till:till").code == 0, "nothing is due any more"


def test_the_store_may_be_named_before_the_command_or_behind_it(shell: Shell) -> None:
    shell.here("--store", "sqlite:///one.db", "run", "till:till", "--input", "small.json")
    assert len(shell.here("runs", "list", "--json", "--store", "sqlite:///one.db").lines) == 1
    assert (shell.folder / "one.db").exists()
    assert not (shell.folder / ".surefoot").exists()


def test_a_store_in_memory_is_warned_of(shell: Shell) -> None:
    said = shell.here("run", "till:till", "--input", "small.json", "--store", "memory:", "--json")
    assert said.json["status"] == "succeeded"
    assert "warning: a store in memory ends with this command" in said.err


def test_work_tells_when_the_next_run_falls_due(shell: Shell) -> None:
    shell.here("run", "till:till", "--input", "large.json")
    due = shell.here("work", "till:till", "--json").json["next_due"]
    (item,) = shell.here("inbox", "list", "--json").lines
    assert due == item["expires"], "an approval that nobody decides expires"


def test_work_tells_what_it_does_and_not_what_was_done_before(shell: Shell) -> None:
    (item,) = shell.here("run", "till:till", "--input", "large.json", "--json").json["waiting_for"]
    shell.here("inbox", "decide", item, "approve", "--by", "kim")
    said = shell.here("work", "till:till")
    for told in ("goes on", "pay approved by kim", "calls pay(", "pay returned", "succeeded"):
        assert told in said.err, said.err
    assert "asks scripted" not in said.err, "the model was asked by the process before"
    assert said.out == "1 run driven: 1 succeeded\n"


def wait_for(shell: Shell, name: str) -> None:
    until = time.monotonic() + 30
    while not (shell.folder / name).exists():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_ctrl_c_gives_the_run_back_and_says_how_to_go_on(shell: Shell) -> None:
    shell.write("slow.json", {"item": "a lamp", "amount": "20", "mode": "slow"})
    running = shell.start("run", "till:till", "--input", "slow.json")
    wait_for(shell, "slow.txt")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    (again,) = [line for line in err.splitlines() if re.search(r"surefoot work till:till$", line)]
    shell.write("hurry.txt", "")
    assert shell.printed(again).code == 0
    assert shell.paid() == ["lamp 20"]
    assert [row["status"] for row in shell.here("runs", "list", "--json").lines] == ["succeeded"]


def test_sigterm_ends_work_as_cleanly(shell: Shell) -> None:
    shell.write("slow.json", {"item": "a lamp", "amount": "20", "mode": "slow"})
    shell.here("run", "till:till", "--input", "slow.json", "--no-wait")
    running = shell.start("work", "till:till")
    wait_for(shell, "slow.txt")
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    (row,) = shell.here("runs", "list", "--json").lines
    assert row["status"] == "queued"


def test_a_killed_process_is_followed_by_the_same_command(shell: Shell) -> None:
    shell.write("slow.json", {"item": "a lamp", "amount": "20", "mode": "slow"})
    words = ["run", "till:till", "--input", "slow.json", "--key", "k-9", "--json"]
    running = shell.start(*words)
    wait_for(shell, "slow.txt")
    running.kill()
    running.communicate(timeout=30)
    shell.write("hurry.txt", "")
    said = shell.process(*words)
    assert (said.code, said.json["status"]) == (0, "succeeded")
    assert said.json["usage"]["model_calls"] == 2, "no answer was asked for twice"
    assert shell.paid() == ["lamp 20"]


def test_two_processes_with_one_key_make_one_run(shell: Shell) -> None:
    words = ["run", "till:till", "--input", "small.json", "--key", "k-5", "--json"]
    running = [shell.start(*words) for _ in range(2)]
    outs = [one.communicate(timeout=60) for one in running]
    assert [one.returncode for one in running] == [0, 0], outs
    assert shell.paid() == ["lamp 20"]
    assert len({out for out, _ in outs}) == 1


def test_a_stopped_process_is_waited_for_and_taken_over_and_finds_the_same_end(shell: Shell) -> None:
    shell.setenv("SUREFOOT_LEASE", "1")
    shell.write("slow.json", {"item": "a lamp", "amount": "20", "mode": "slow"})
    words = ["run", "till:till", "--input", "slow.json", "--key", "k-7", "--json"]
    stopped = shell.start(*words)
    wait_for(shell, "slow.txt")
    stopped.send_signal(signal.SIGSTOP)
    shell.write("hurry.txt", "")
    said = shell.process(*words)
    assert said.code == 0, said.err
    assert "another process drives it" in said.err
    stopped.send_signal(signal.SIGCONT)
    out, err = stopped.communicate(timeout=30)
    assert stopped.returncode == 0, err
    assert out == said.out
    assert shell.paid() == ["lamp 20"]
