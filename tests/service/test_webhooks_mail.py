"""News by mail: it reaches the group that decides, through a real SMTP server, and nobody can write themselves into
its headers."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from orchestrator.rig import until
from service.receiving import CARD, CUSTOMER, OTHER, SECRET, Receiver, Ticket, now, serving, told
from service.test_webhooks import ENVIRONMENT, HOOK, advance, asked, settled
from service.test_webhooks_egress import authority
from surefoot import Approve
from surefoot.errors import UsageError
from surefoot.service.endpoints import endpoints_of
from surefoot.service.mailing import MailSender, MailServer, hand_to_server, mail_of, server_of
from surefoot.service.news import News, trial
from surefoot.service.telling import telling
from surefoot.testing import ManualClock

pytestmark = pytest.mark.anyio

FROM = "Surefoot <desk@shop.example>"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now())


class Mailbox:
    """The handler of a mail server. `says` is its next answers to a recipient, then to a mail's content."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuses: list[str] = []
        self.says: list[str] = []
        self.logins: list[bytes] = []
        self.url = ""

    async def handle_RCPT(  # noqa: N802  the library's name
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.refuses:
            return self.refuses.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.says:
            return self.says.pop(0)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins += [data.login, data.password]
        return AuthResult(success=data.password == b"pass:word/1")


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None
) -> AsyncIterator[Mailbox]:
    box = Mailbox()
    more = {"authenticator": box.login, "auth_required": bool(tls or starttls), "auth_require_tls": not tls}

    def connected() -> SMTP:
        return SMTP(box, hostname="mail.example", tls_context=starttls, loop=loop, **more)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connected, "127.0.0.1", 0, ssl=tls)
    box.url = f"{'smtps' if tls else 'smtp'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()


def by_mail(box: Mailbox, **more: str) -> Any:
    mail = "leads=kim@shop.example;desk=bo@shop.example"
    return told(smtp=box.url, mail=mail, mail_from=FROM, **more)


def text_of(mail: EmailMessage) -> str:
    return mail.get_content().replace("\r\n", "\n")


async def test_an_approval_asked_for_reaches_the_mailbox_of_its_group(clock: ManualClock) -> None:
    async with (
        mail_server() as box,
        serving("memory:", clock) as service,
        telling(service, by_mail(box, url="https://desk.example"), environment={}),
    ):
        run, item = await asked(service)
        await until(lambda: box.mails)
        mine, others = sorted(await settled(service, 2), key=lambda one: one.status, reverse=True)
    assert (mine.status, others.status) == ("sent", "dropped")
    assert "another group" in others.answer
    (mail,) = box.mails
    assert box.recipients == [["kim@shop.example"]]
    assert (mail["To"], mail["From"]) == ("kim@shop.example", FROM)
    assert mail["Subject"] == "little-desk: refund waits for leads"
    assert mail["Auto-Submitted"] == "auto-generated"
    said = text_of(mail)
    assert '  amount = "80"' in said
    assert '  to = "[email-1]"' in said
    assert "more than 50 is for the leads" in said
    assert f"https://desk.example/inbox/{item}" in said
    assert f"surefoot inbox decide {item} approve --by YOU" in said
    assert f"surefoot inbox decide {item} deny --by YOU" in said
    assert run in said


async def test_a_review_goes_to_the_group_that_it_is_for(clock: ManualClock) -> None:
    async with (
        mail_server() as box,
        serving("memory:", clock) as service,
        telling(service, by_mail(box), environment={}),
    ):
        _, item = await asked(service, Ticket(unclear=True))
        await settled(service, 2)
    assert box.recipients == [["bo@shop.example"]]
    (mail,) = box.mails
    assert mail["Subject"] == "little-desk: reading waits for desk"
    assert f"surefoot inbox decide {item} settle --result JSON --by YOU" in text_of(mail)


async def test_people_hear_of_what_they_must_know_and_of_nothing_more(clock: ManualClock) -> None:
    async with (
        mail_server() as box,
        serving("memory:", clock) as service,
        telling(service, by_mail(box), environment={}),
    ):
        _, item = await asked(service)
        await settled(service, 2)
        await service.runtime.decide(item, Approve(by="kim"))
        await asked(service)
        await until(lambda: len(box.mails) == 2)
        await advance(clock, 86_401)
        await until(lambda: len(box.mails) == 3)
    assert box.mails[-1]["Subject"] == "little-desk: refund has expired, and nobody decided"


async def test_nobody_gets_mail_for_what_was_decided_before_it_was_sent(clock: ManualClock) -> None:
    async with mail_server() as box:
        box.says = ["451 come back"]
        async with serving("memory:", clock) as service, telling(service, by_mail(box), environment={}):
            _, item = await asked(service)
            await settled(service, 1, "waiting")
            await service.runtime.decide(item, Approve(by="kim"))
            await advance(clock, 10)
            rows = await settled(service, 2)
    assert [one.status for one in rows] == ["dropped", "dropped"]
    assert "not sent: it needs no decision any more" in [one.answer for one in rows]
    assert box.mails == []


async def test_a_group_that_nobody_would_be_told_for_is_warned_of(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    settings = told(
        mail="leeds=kim@shop.example;desk=bo@shop.example", smtp="smtp://localhost", mail_from=FROM
    )
    async with serving("memory:", clock) as service, telling(service, settings, environment={}):
        pass
    assert [one.getMessage() for one in caplog.records if "nobody is told" in one.getMessage()] == [
        "nobody is told of what waits for leads: is SUREFOOT_MAIL to name it?"
    ]


async def test_a_mailbox_may_be_a_webhook_for_any_news(clock: ManualClock) -> None:
    async with mail_server() as box:
        settings = told(webhooks="mailto:ops@shop.example", smtp=box.url, mail_from=FROM)
        async with serving("memory:", clock) as service, telling(service, settings, environment={}):
            _, item = await asked(service)
            await service.runtime.decide(item, Approve(by="kim"))
            await settled(service, 3)
    subjects = [mail["Subject"] for mail in box.mails]
    assert subjects[-1] == "little-desk: a run has succeeded"
    assert len(subjects) == 3


async def test_a_mail_that_failed_is_sent_again_under_the_same_message_id(clock: ManualClock) -> None:
    async with mail_server() as box:
        box.says = ["451 greylisted, come back"]
        seen: list[str] = []
        async with serving("memory:", clock) as service, telling(service, by_mail(box), environment={}):
            await asked(service)
            waits = [one for one in await settled(service, 1, "waiting") if one.status == "waiting"]
            assert waits[0].answer == "451 greylisted, come back"
            await advance(clock, 10)
            await until(lambda: len(box.mails) == 1)
            rows = await settled(service, 2)
            (sent,) = (one for one in rows if one.status == "sent")
            await service.store.replay_delivery(sent.id)
            await until(lambda: len(box.mails) == 2)
            await settled(service, 2)
        seen = [mail["Message-ID"] for mail in box.mails]
    assert len(set(seen)) == 1
    assert seen[0].startswith("<msg_")
    assert seen[0].endswith("@shop.example>")


async def test_a_mailbox_that_does_not_exist_is_not_tried_again(clock: ManualClock) -> None:
    async with mail_server() as box:
        box.refuses = ["550 no such user here"]
        async with serving("memory:", clock) as service, telling(service, by_mail(box), environment={}):
            await asked(service)
            rows = await settled(service, 2)
    (failed,) = (one for one in rows if one.status == "failed")
    assert failed.answer == "550 no such user here"
    assert box.mails == []


async def test_a_mail_server_that_is_down_holds_up_no_webhook(clock: ManualClock) -> None:
    receiver = Receiver()
    async with mail_server() as box:
        down = box.url
    settings = told(smtp=down, mail="leads=kim@shop.example", mail_from=FROM, webhooks=HOOK)
    async with (
        serving("memory:", clock) as service,
        telling(service, settings, environment=ENVIRONMENT, post=receiver.post),
    ):
        await asked(service)
        await settled(service, 1, "sent")
        waits = next(one for one in await settled(service, 1, "waiting") if one.status == "waiting")
    assert waits.answer.startswith("no mail server: ConnectionRefusedError")


async def test_nothing_private_stands_in_a_mail(clock: ManualClock) -> None:
    planted = f"write to {CUSTOMER}, card {CARD}, key {SECRET}"
    async with (
        mail_server() as box,
        serving("memory:", clock) as service,
        telling(service, by_mail(box), environment={"SUREFOOT_WEBHOOK_SECRET": f"{SECRET} {OTHER}"}),
    ):
        await asked(service, Ticket(text=planted))
        await asked(service, Ticket(text=planted, unclear=True))
        await until(lambda: len(box.mails) == 2)
    for mail in box.mails:
        whole = mail.as_string() + text_of(mail)
        assert not [value for value in (CUSTOMER, CARD, SECRET) if value in whole]


async def test_a_test_mail_says_that_it_is_one() -> None:
    async with mail_server() as box:
        sender = MailSender(server_of(box.url, FROM), "kim@shop.example")
        outcome = await sender.send(trial("mail", 0, "https://desk.example"))
    assert outcome.how == "sent"
    (mail,) = box.mails
    assert mail["Subject"] == "Surefoot: a test"
    assert "https://desk.example" in text_of(mail)


def hostile(text: str) -> News:
    item = {"item": "r1-1", "status": "open", "for": text, "tool": text, "args": {text: text}, "reason": text}
    item |= {"choices": ["approve"], "expires": None, "rule": text}
    return News("msg_1", "item.opened", 0, {"run": "r1", "workflow": text, "item": item})


@pytest.mark.parametrize(
    "text",
    [
        "x\r\nBcc: all@shop.example",
        "x\nBcc: all@shop.example\n\nnew body",
        "x\rBcc: all@shop.example",
        "x\u2028Bcc: all@shop.example",
        "x\x85Bcc: all@shop.example",
        "x\x00\x1b[2J\u202ereversed",
        "ü" * 300,
    ],
)
def test_what_others_wrote_can_add_no_header_and_no_line(text: str) -> None:
    mail = mail_of(hostile(text), "kim@shop.example", FROM)
    read = message_from_bytes(mail.as_bytes(), policy=default)
    assert set(read.keys()) == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    }
    body = mail.get_content()
    assert not [line for line in body.splitlines() if line.startswith(("Bcc", "new body"))]
    assert not [one for one in body if not one.isprintable() and one not in "\r\n"]
    assert len(read["Subject"]) <= 200


# ── the mail server ──


@pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS"
)  # of a server that begins with it
async def test_mail_goes_over_tls_with_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = authority(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.pem"))
    mail = mail_of(hostile("x"), "kim@shop.example", FROM)
    for how in ("tls", "starttls"):
        async with mail_server(**{how: server}) as box:
            where = box.url.replace("127.0.0.1", "localhost").replace("//", "//kim:pass%3Aword%2F1@")
            elsewhere = replace(server_of(where, FROM), plain=False)  # as if it were not beside us
            await asyncio.to_thread(hand_to_server, elsewhere, mail)
        assert len(box.mails) == 1
        assert box.logins == [b"kim", b"pass:word/1"]


async def test_nothing_is_sent_in_the_clear_to_a_server_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server_of("smtp://mail.example", FROM).plain is False
    assert server_of("smtp://mail.example?tls=no", FROM).plain is True
    assert server_of("smtp://localhost", FROM).plain is True
    mail = mail_of(hostile("x"), "kim@shop.example", FROM)
    async with mail_server() as box:
        port = int(box.url.rpartition(":")[2])
        elsewhere = MailServer("127.0.0.1", port, False, False, "", "", FROM)
        with pytest.raises(smtplib.SMTPNotSupportedError):
            await asyncio.to_thread(hand_to_server, elsewhere, mail)
    assert box.mails == []
    server, _ = authority(tmp_path, "other.example")
    async with mail_server(starttls=server) as box:
        port = int(box.url.rpartition(":")[2])
        stranger = MailServer("127.0.0.1", port, False, False, "", "", FROM)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(hand_to_server, stranger, mail)
    assert box.mails == []


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("smtp://kim:word@mail.example?tls=no", FROM),
        ("smtp://mail.example/path", FROM),
        ("smtp://mail.example?cc=all@shop.example", FROM),
        ("smtp://mail.example", None),
        ("smtp://mail.example", "nobody"),
        ("smtp://mail.example", "desk@shop.example\r\nBcc: all@shop.example"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_refused(url: str, sender: str | None) -> None:
    with pytest.raises(UsageError):
        server_of(url, sender)


@pytest.mark.parametrize(
    "address", ["kim", "kim@", "@shop.example", "a b@shop.example", "kim@shop.example\r\nBcc: x@y.z"]
)
async def test_an_address_that_is_none_is_refused_at_the_start(clock: ManualClock, address: str) -> None:
    settings = told(smtp="smtp://mail.example", mail=f"leads={address}", mail_from=FROM)
    async with serving("memory:", clock) as service:
        with pytest.raises(UsageError):
            async with telling(service, settings, environment={}):
                pass


def test_one_address_for_two_groups_is_one_mailbox() -> None:
    settings = told(mail="leads=kim@shop.example;desk=kim@shop.example,bo@shop.example")
    kim, bo = endpoints_of(settings)
    assert (kim.name, kim.groups) == ("mail-leads-desk", frozenset({"leads", "desk"}))
    assert (bo.name, bo.wants("desk"), bo.wants("leads"), bo.wants("")) == ("mail-desk", True, False, True)
    assert kim.view == "mailto:…@shop.example"
