"""The whole way, in real processes: an approval asked for by `surefoot serve` reaches a receiver and a mailbox, also when
the process that was telling it is killed."""

from __future__ import annotations

import shutil
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from cli.conftest import PROGRAMS as TILL
from service.processes import Place, Process, ask, free_port, place
from service.receiving import SECRET, Receiver, listening
from service.test_webhooks_mail import Mailbox

BUYER = "ann.planted@post.example"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path, "counter.py") as made:
        shutil.copy(TILL / "till.py", tmp_path)
        yield made


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    box.url = f"smtp://127.0.0.1:{controller.port}"
    yield box
    controller.stop()


def serve(shop: Place, receiver: Receiver, *words: str, **more: str) -> Process:
    environment = {"SUREFOOT_WEBHOOKS": receiver.url, "SUREFOOT_WEBHOOK_SECRET": SECRET, **more}
    return shop.start("serve", "till:till", "--port", "0", *words, **environment)


def buy(process: Process) -> str:
    body = {"input": {"item": "a lamp", "amount": "80", "buyer": BUYER}}
    run: str = ask(process.port, "POST", "/v1/runs", body).body["id"]
    return run


def test_an_approval_reaches_a_receiver_and_a_mailbox_and_is_decided(shop: Place, mailbox: Mailbox) -> None:
    with listening(Receiver()) as receiver:
        process = serve(
            shop,
            receiver,
            SUREFOOT_SMTP=mailbox.url,
            SUREFOOT_MAIL="leads=kim@shop.example",
            SUREFOOT_MAIL_FROM="desk@shop.example",
            SUREFOOT_URL="https://desk.example",
        )
        run = buy(process)
        shop.until(lambda: bool(receiver.requests and mailbox.mails))
        opened = receiver.requests[0].verified()
        item = opened["data"]["item"]["item"]
        assert (opened["type"], opened["data"]["run"]) == ("item.opened", run)
        assert f"https://desk.example/inbox/{item}" in mailbox.mails[0].get_content()
        decided = ask(process.port, "POST", f"/v1/inbox/{item}/decision", {"choice": "approve"})
        assert decided.status == 200, decided.body
        shop.until(lambda: len(receiver.requests) == 3)
        assert sorted(receiver.types[1:]) == ["item.decided", "run.succeeded"]
        assert process.stop() == 0
    said = [one.body.decode() for one in receiver.requests] + [one.as_string() for one in mailbox.mails]
    assert not [text for text in (*said, process.log) if BUYER in text or SECRET in text]
    assert shop.lines("paid.txt")[0].endswith(" lamp 80")


def test_what_a_worker_does_elsewhere_is_told_by_the_service(shop: Place) -> None:
    with listening(Receiver()) as receiver:
        process = serve(shop, receiver, "--no-worker")
        worker = shop.start("worker", "till:till")
        run = buy(process)
        shop.until(lambda: bool(receiver.requests))
        assert receiver.requests[0].verified()["data"]["run"] == run
        assert (worker.stop(), process.stop()) == (0, 0)


def test_one_that_is_killed_while_it_tells_is_told_again_by_the_next(shop: Place) -> None:
    answered = threading.Event()

    def wait(number: int) -> Any:
        if number == 0:
            answered.wait(30)  # the sender dies meanwhile
        return 204, {}, ""

    with listening(Receiver(wait)) as receiver:
        first = serve(shop, receiver)
        buy(first)
        shop.until(lambda: bool(receiver.requests))
        first.kill()
        answered.set()
        with sqlite3.connect(shop.folder / ".surefoot" / "state.db") as store:
            assert store.execute("SELECT status, attempts FROM deliveries").fetchall() == [("waiting", 1)]
            store.execute(
                "UPDATE deliveries SET due = 0"
            )  # as if the minute for which it was taken had passed
        store.close()
        second = serve(shop, receiver)
        shop.until(lambda: len(receiver.requests) == 2)
        assert second.stop() == 0
    one, two = receiver.requests
    assert one.id == two.id
    assert one.verified()["type"] == two.verified()["type"] == "item.opened"
    with sqlite3.connect(shop.folder / ".surefoot" / "state.db") as store:
        assert store.execute("SELECT status, attempts FROM deliveries").fetchall() == [("sent", 2)]
    store.close()


def test_a_mail_server_that_says_nothing_keeps_no_process_from_ending(shop: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, listening(Receiver()) as receiver:
        process = serve(
            shop,
            receiver,
            SUREFOOT_SMTP=f"smtp://127.0.0.1:{silent.getsockname()[1]}",
            SUREFOOT_MAIL="leads=kim@shop.example",
            SUREFOOT_MAIL_FROM="desk@shop.example",
            SUREFOOT_DRAIN="10",
        )
        buy(process)
        connection, _ = silent.accept()
        with connection:
            shop.until(lambda: len(receiver.requests) == 1)
            process.send(signal.SIGTERM)
            assert process.ends(within=10) == 0


def test_a_service_that_could_tell_nobody_does_not_start(shop: Place) -> None:
    process = shop.start("serve", "till:till", "--port", "0", SUREFOOT_WEBHOOKS="https://hooks.example/x")
    assert process.ends() == 2
    assert "SUREFOOT_WEBHOOK_SECRET is not set" in process.said["error"]["why"]
