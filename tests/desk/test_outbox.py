"""Mail to customers: what the outbox knows of each, and a real SMTP server that takes, refuses or hangs up."""

import asyncio
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from threading import Thread
from typing import BinaryIO, cast

import pytest

from support_desk import outbox
from support_desk.books import ShopNotNow, ShopRefused
from support_desk.outbox import StillSending, by_smtp, outbox_at

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MAIL = ("anna.berg@post.example", "Re: lamp", "Hello,\n\nwe have returned 80.00 EUR. Grüße")


def rows(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT message_id, state FROM outbox").fetchall()


async def test_the_outbox_knows_what_left_and_does_not_hide_a_double(shop_file: Path) -> None:
    async with outbox_at(shop_file, clock=lambda: NOON) as box:
        assert await box.sent("<k>") is None
        sent = await box.send(*MAIL, message_id="<k>", not_after=NOON)
        assert await box.sent("<k>") == sent
        await box.send(*MAIL, message_id="<k>", not_after=NOON)
    assert rows(shop_file) == [("<k>", "sent")] * 2


async def test_a_process_that_wakes_up_too_late_sends_nothing(shop_file: Path) -> None:
    async with outbox_at(shop_file, clock=lambda: NOON) as box:
        with pytest.raises(ShopNotNow, match="was to be sent until"):
            await box.send(*MAIL, message_id="<k>", not_after=NOON - timedelta(seconds=1))
    assert rows(shop_file) == []


async def test_nobody_says_that_a_mail_did_not_leave_while_somebody_may_be_sending_it(
    shop_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support_desk.books.BUSY_SECONDS", 0.01)
    async with outbox_at(shop_file) as box:
        with closing(sqlite3.connect(shop_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ShopNotNow):
                await box.sent("<k>")


class SmtpServer:
    """One conversation after the other, on a real socket. `replies` overrides the answer to a command by its
    first word (`DATA-END` is the answer to the mail itself); None hangs up."""

    def __init__(self) -> None:
        self.replies: dict[str, str | None] = {}
        self.mails: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as talk:
                self._talk(cast(BinaryIO, talk))

    def _talk(self, file: BinaryIO) -> None:
        file.write(b"220 here\r\n")
        file.flush()
        while line := file.readline():
            word = line.split()[0].decode().upper()
            if not self._answer(file, word, "354 go on" if word == "DATA" else "250 fine"):
                return
            if word == "DATA" and (self.replies.get("DATA") or "354").startswith("354"):
                mail = b""
                while (line := file.readline()) != b".\r\n":
                    mail += line
                self.mails.append(mail)
                if not self._answer(file, "DATA-END", "250 taken"):
                    return

    def _answer(self, file: BinaryIO, word: str, usual: str) -> bool:
        reply = self.replies.get(word, usual)
        if reply is None:
            return False
        file.write(f"{reply}\r\n".encode())
        file.flush()
        return True


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    made = SmtpServer()
    yield made
    made.close()


async def test_a_mail_goes_out_by_smtp_and_the_outbox_says_so(shop_file: Path, server: SmtpServer) -> None:
    async with outbox_at(shop_file, deliver=by_smtp(server.url), clock=lambda: NOON) as box:
        sent = await box.send(*MAIL, message_id="<k@desk.example>", not_after=NOON)
        assert await box.sent("<k@desk.example>") == sent
    (raw,) = server.mails
    mail = message_from_bytes(raw, policy=policy.default)
    assert (mail["To"], mail["Subject"], mail["Message-ID"]) == (MAIL[0], MAIL[1], "<k@desk.example>")
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail.get_content().replace("\r\n", "\n").strip() == MAIL[2]


@pytest.mark.parametrize(
    ("word", "reply", "error"),
    [
        ("RCPT", "550 no such person", ShopRefused),
        ("MAIL", "451 later", ShopNotNow),
        ("MAIL", "554 never", ShopRefused),
        ("DATA", "451 later", ShopNotNow),
        ("DATA-END", "552 too large", ShopRefused),
        ("EHLO", None, ShopNotNow),
    ],
)
async def test_what_the_server_refuses_did_not_leave(
    shop_file: Path, server: SmtpServer, word: str, reply: str | None, error: type[Exception]
) -> None:
    server.replies[word] = reply
    async with outbox_at(shop_file, deliver=by_smtp(server.url), clock=lambda: NOON) as box:
        with pytest.raises(error):
            await box.send(*MAIL, message_id="<k>", not_after=NOON)
        assert await box.sent("<k>") is None
    assert rows(shop_file) == []


async def test_a_server_that_nobody_reaches_is_asked_again_later(shop_file: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    async with outbox_at(shop_file, deliver=by_smtp(f"smtp://127.0.0.1:{port}"), clock=lambda: NOON) as box:
        with pytest.raises(ShopNotNow, match="no mail server answers"):
            await box.send(*MAIL, message_id="<k>", not_after=NOON)
    assert rows(shop_file) == []


async def test_a_server_that_hangs_up_after_the_mail_leaves_a_doubt_that_a_person_settles(
    shop_file: Path, server: SmtpServer
) -> None:
    server.replies["DATA-END"] = None
    async with outbox_at(shop_file, deliver=by_smtp(server.url), clock=lambda: NOON) as box:
        with pytest.raises(Exception, match="closed") as caught:
            await box.send(*MAIL, message_id="<k>", not_after=NOON)
        assert not isinstance(caught.value, ShopRefused | ShopNotNow)
        with pytest.raises(StillSending):
            await box.sent("<k>")
    assert rows(shop_file) == [("<k>", "sending")]


async def test_a_goodbye_that_fails_takes_no_mail_back(shop_file: Path, server: SmtpServer) -> None:
    server.replies["QUIT"] = None
    async with outbox_at(shop_file, deliver=by_smtp(server.url), clock=lambda: NOON) as box:
        await box.send(*MAIL, message_id="<k>", not_after=NOON)
    assert rows(shop_file) == [("<k>", "sent")]


async def test_a_password_is_not_said_to_a_server_without_tls(
    shop_file: Path, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPPORT_DESK_SMTP_PASSWORD", "hush")
    deliver = by_smtp(server.url.replace("smtp://", "smtp://desk@"))
    async with outbox_at(shop_file, deliver=deliver, clock=lambda: NOON) as box:
        with pytest.raises(ShopRefused, match="no TLS"):
            await box.send(*MAIL, message_id="<k>", not_after=NOON)
    assert server.mails == []


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://"])
def test_a_url_of_no_mail_server_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="SUPPORT_DESK_SMTP"):
        by_smtp(url)


async def test_other_runs_go_on_while_the_server_takes_its_time(shop_file: Path) -> None:
    """A slow server holds a thread, never the event loop."""
    loop_went_on = asyncio.Event()

    def slow(mail: object) -> None:
        asyncio.run_coroutine_threadsafe(_set(loop_went_on), loop).result(timeout=30)

    loop = asyncio.get_running_loop()
    async with outbox_at(shop_file, deliver=slow, clock=lambda: NOON) as box:
        await box.send(*MAIL, message_id="<k>", not_after=NOON)
    assert loop_went_on.is_set()
    assert outbox.SMTP_SECONDS < 20, "less than the tool's timeout"


async def _set(event: asyncio.Event) -> None:
    event.set()
