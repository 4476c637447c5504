"""The service as a process: it starts, says where, serves, and stops in good order. Under load, too."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import PATIENCE, Answer, Load, Place, ask, free_port, place

TARGET = "counter:counter"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path, "counter.py") as made:
        yield made


def test_serve_tells_where_and_as_whom_and_drives_what_it_takes_in(here: Place) -> None:
    served = here.start("serve", TARGET, "--port", "0", SUREFOOT_PERSON="kim")
    assert served.said["person"] == "kim"
    assert served.said["url"] == f"http://127.0.0.1:{served.port}"
    started = ask(served.port, "POST", "/v1/runs", {"input": {"number": 1}})
    assert started.status == 202
    here.until(lambda: here.statuses()["succeeded"] == 1)
    assert "You are kim" in served.log
    assert f"POST {served.said['url']}/v1/runs" in served.log
    assert ask(served.port, "GET", "/").status == 200
    told = ask(served.port, "GET", "/metrics").body
    assert "surefoot_workers_alive 1.0" in told
    for route in ("/v1/runs", "/"):
        assert f'surefoot_http_request_seconds_count{{route="{route}"}} 1.0' in told
    began = time.monotonic()
    assert served.stop() == 0
    assert time.monotonic() - began < 5
    assert "nothing is under way" in served.log


def test_a_port_that_is_taken_is_told_and_nothing_is_served(here: Place) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = here.start("serve", TARGET, "--port", str(port))
        assert f"cannot listen at 127.0.0.1:{port}" in refused.said["error"]["what"]
        assert "--port" in refused.said["error"]["remedy"]
        assert refused.ends() == 2


def test_without_a_token_only_this_machine_is_listened_to(here: Place) -> None:
    refused = here.start("serve", TARGET, "--host", "0.0.0.0", "--port", "0")
    assert "tokens create" in refused.said["error"]["remedy"]
    assert refused.ends() == 2


def test_the_service_goes_by_its_own_names_and_no_others(here: Place) -> None:
    served = here.start("serve", TARGET, "--port", "0", SUREFOOT_URL="https://desk.example")
    codes = {}
    for name in ("localhost", "desk.example", "evil.example"):
        answer = ask(served.port, "GET", "/v1/runs", Host=name)
        codes[name] = answer.body.get("code", answer.status)
    # Under a name that is not this machine's own nobody is the local person, wherever he sits.
    assert codes == {"localhost": 200, "desk.example": "not_authenticated", "evil.example": "cross_site"}
    assert ask(served.port, "GET", "/openapi.json").body["paths"]


def test_nobody_could_drive_a_store_in_memory_without_a_worker(here: Place) -> None:
    for words in (["serve", TARGET, "--no-worker", "--port", "0"], ["worker", TARGET]):
        refused = here.start(*words, "--store", "memory:")
        assert refused.said["error"]["code"] == "usage"
        assert refused.ends() == 2


def test_a_service_that_is_killed_under_load_loses_no_run_and_doubles_none(here: Place) -> None:
    port = free_port()
    first = here.start("serve", TARGET, "--port", str(port))
    load = Load(port, 200).start()
    load.until_accepted(60)
    first.kill()
    here.start("serve", TARGET, "--port", str(port))
    load.join()
    assert not load.others
    assert len(load.accepted) == 200
    assert all(len(ids) == 1 for ids in load.accepted.values()), "a repeated key is the same run"
    here.until(lambda: here.statuses() == {"succeeded": 200})
    assert {row.id for row in here.rows()} == {run for ids in load.accepted.values() for run in ids}
    counted = [line.split() for line in here.lines("counted.txt")]
    assert len({key for key, _ in counted}) == 200, "one key for each, also where a call was repeated"
    assert {int(number) for _, number in counted} == set(range(200))


@pytest.mark.slow
def test_a_service_that_is_killed_again_and_again_under_load_ends_every_run_once(here: Place) -> None:
    """With a worker beside it, and every other end in good order."""
    port = free_port()
    worker = here.start("worker", TARGET)
    load = Load(port, 400, clients=8, input=lambda number: {"number": number, "seconds": 0.2})
    served = here.start("serve", TARGET, "--port", str(port))
    load.start()
    for turn in range(1, 7):
        load.until_accepted(50 * turn)
        if turn % 2:
            served.kill()
        else:
            assert served.stop() == 0, served.log
        if turn == 3:
            worker.kill()
        served = here.start("serve", TARGET, "--port", str(port))
    load.join()
    assert not load.others
    here.until(lambda: here.statuses() == {"succeeded": 400})
    assert all(len(ids) == 1 for ids in load.accepted.values())
    assert len({line.split()[0] for line in here.lines("counted.txt")}) == 400


def test_a_service_that_is_told_to_stop_under_load_refuses_new_work_and_loses_none(here: Place) -> None:
    served = here.start("serve", TARGET, "--port", "0", SUREFOOT_DRAIN="8")
    load = Load(served.port, 100_000, goes_on=lambda: served.alive).start()
    load.until_accepted(50)
    assert ask(served.port, "GET", "/readyz").status == 200
    began = time.monotonic()
    served.send(signal.SIGTERM)
    load.until_refused()
    ready = ask(served.port, "GET", "/readyz")
    assert (ready.status, ready.body["code"]) == (503, "draining")
    assert ask(served.port, "GET", "/healthz").status == 200, "it lives, and answers what it can"
    assert served.ends() == 0, served.log
    assert time.monotonic() - began < 8
    load.join()
    assert not load.others
    assert load.statuses.keys() == {202, 503}
    assert {answer.body["code"] for answer in load.refusals} == {"draining"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in load.refusals)
    # Who comes after the end is refused a connection, or gets one reset that the kernel had taken up for a process
    # that takes none any more; nobody who was let in is left without an answer.
    assert load.broken.keys() <= {"ConnectionRefusedError", "ConnectionResetError"}, load.broken
    assert load.broken["ConnectionResetError"] <= load.clients, load.broken
    accepted = {run for ids in load.accepted.values() for run in ids}
    assert accepted == {row.id for row in here.rows()}
    rest = here.start("serve", TARGET, "--port", "0")
    here.until(lambda: here.statuses().keys() == {"succeeded"})
    assert rest.stop() == 0
    assert len({line.split()[0] for line in here.lines("counted.txt")}) == len(accepted)


def test_who_waits_for_a_run_or_hears_of_it_gets_a_clean_end(here: Place) -> None:
    served = here.start("serve", TARGET, "--port", "0")
    run = ask(served.port, "POST", "/v1/runs", {"input": {"number": 7, "seconds": 600}}).body["id"]
    here.until((here.folder / "waiting-7").exists)
    waited: list[Answer] = []
    heard: list[str] = []

    def wait() -> None:
        body = {"input": {"number": 8, "seconds": 600}}
        waited.append(ask(served.port, "POST", "/v1/runs", body, Prefer="wait=50"))

    def listen() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
        connection.request("GET", f"/v1/runs/{run}/events", headers={"Accept": "text/event-stream"})
        with contextlib.closing(connection), connection.getresponse() as answer:
            heard.append(str(answer.status))
            for line in answer:
                heard.append(line.decode())
            heard.append("a clean end")

    threads = [threading.Thread(target=wait), threading.Thread(target=listen)]
    for thread in threads:
        thread.start()
    here.until((here.folder / "waiting-8").exists)
    here.until(lambda: "event: run.submitted\n" in heard)
    began = time.monotonic()
    assert served.stop() == 0, served.log
    assert time.monotonic() - began < 5
    for thread in threads:
        thread.join(5)
    (answer,) = waited
    assert (answer.status, answer.body["status"] in ("queued", "running", "waiting")) == (202, True)
    assert (heard[0], heard[-1]) == ("200", "a clean end")


def test_a_step_under_way_is_given_back_to_whoever_comes_next(here: Place) -> None:
    served = here.start("serve", TARGET, "--port", "0")
    ask(served.port, "POST", "/v1/runs", {"input": {"number": 7, "seconds": 600}})
    here.until((here.folder / "waiting-7").exists)
    assert served.stop() == 0
    (row,) = here.rows()
    assert (row.status, row.owner) == ("queued", None)
    (here.folder / "quick.txt").touch()
    here.start("worker", TARGET)
    here.until(lambda: here.statuses() == {"succeeded": 1})


def test_a_call_under_way_is_let_finish_and_is_not_made_again(here: Place) -> None:
    served = here.start("serve", TARGET, "--port", "0")
    ask(served.port, "POST", "/v1/runs", {"input": {"number": 7, "seconds": 1.5, "where": "call"}})
    here.until((here.folder / "waiting-7").exists)
    assert served.stop() == 0, served.log
    assert len(here.lines("counted.txt")) == 1
    here.start("worker", TARGET)
    here.until(lambda: here.statuses() == {"succeeded": 1})
    assert len(here.lines("counted.txt")) == 1, "its result was in the journal"


@pytest.mark.parametrize("where", ["call", "loop"])
def test_what_cannot_be_ended_in_time_ends_with_the_process(here: Place, where: str) -> None:
    """A call between its intent and its outcome is not cut off, and a step that blocks hears nothing."""
    served = here.start("serve", TARGET, "--port", "0", SUREFOOT_DRAIN="1")
    ask(served.port, "POST", "/v1/runs", {"input": {"number": 7, "seconds": 600, "where": where}})
    here.until((here.folder / "waiting-7").exists)
    served.send(signal.SIGTERM)
    assert served.ends(5) == 1, served.log
    assert "ended as if killed" in served.log
    (here.folder / "quick.txt").touch()
    here.start("worker", TARGET)
    here.until(lambda: here.statuses() == {"succeeded": 1})
    assert len(here.lines("counted.txt")) == 1


def test_a_service_whose_store_is_gone_says_so_and_ends(here: Place) -> None:
    """Whoever restarts it tries again; one that went on would look as if it worked."""
    served = here.start("serve", TARGET, "--port", "0", SUREFOOT_DRAIN="5")
    ask(served.port, "POST", "/v1/runs", {"input": {"number": 1}})
    here.until(lambda: here.statuses()["succeeded"] == 1)
    database = here.folder / ".surefoot" / "state.db"
    database.write_bytes(b"no database " * (database.stat().st_size // 12))
    database.with_name("state.db-wal").write_bytes(b"")
    assert served.ends() == 1, served.log
    assert "error: the store sqlite:///.surefoot/state.db" in served.log


def test_a_second_signal_ends_it_at_once(here: Place) -> None:
    served = here.start("serve", TARGET, "--port", "0")
    ask(served.port, "POST", "/v1/runs", {"input": {"number": 7, "seconds": 600}})
    here.until((here.folder / "waiting-7").exists)
    served.send(signal.SIGTERM)
    here.until(lambda: "stopping" in served.log)
    served.send(signal.SIGTERM)
    assert served.ends(3) == 128 + signal.SIGTERM


def test_workers_beside_a_service_without_one_share_its_runs_and_one_may_be_killed(here: Place) -> None:
    served = here.start("serve", TARGET, "--port", "0", "--no-worker")
    assert served.said["worker"] is False
    one, two = (here.start("worker", TARGET, "--concurrency", "5") for _ in range(2))
    load = Load(served.port, 60, input=lambda number: {"number": number, "seconds": 0.1}).start()
    here.until(lambda: len(here.lines("counted.txt")) > 10)
    one.kill()
    load.join()
    here.until(lambda: here.statuses() == {"succeeded": 60})
    assert len({line.split()[0] for line in here.lines("counted.txt")}) == 60
    assert two.stop() == 0
    assert served.stop() == 0
