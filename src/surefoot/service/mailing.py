"""News by mail: what a person needs to decide, as plain text over SMTP.

A mail shows views, like everything that leaves the store, with the page that shows the item and the commands
that decide it. What a customer wrote can break no header and no line. The Message-ID stays the same however
often it is sent, so a mailbox that got it twice shows it once.

Nothing goes over the network in the clear: `smtps://` begins with TLS, and `smtp://` demands STARTTLS, but
for a server on the loopback address, and for one whose URL ends in `?tls=no`, which then has no password.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

from ..core.clock import MICROS
from ..core.jsons import dumps
from ..errors import UsageError
from .blocking import on_a_thread
from .news import News, Outcome, words

PATIENCE = 20.0
"""Seconds that the server may take for each of its answers."""

IN_ALL = 45.0
"""Seconds after which an attempt counts as failed."""


@dataclass(frozen=True)
class MailServer:
    """`sender` is the address that mail comes from, perhaps with a name."""

    host: str
    port: int
    tls: bool
    """From the first byte on."""
    plain: bool
    """Never."""
    user: str
    password: str = field(repr=False)
    sender: str


def server_of(url: str, sender: str | None) -> MailServer:
    """Raises UsageError."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    host = parts.hostname or ""
    tls = parts.scheme == "smtps"
    plain = not tls and (options.pop("tls", "") == "no" or _is_loopback(host))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if options or parts.path not in ("", "/"):
        raise _unusable("it has more than user, password, host, port and perhaps ?tls=no")
    if plain and user and not _is_loopback(host):
        raise _unusable("it has a password, which would pass in the clear with ?tls=no")
    if not sender:
        raise UsageError(
            "mail has no sender",
            why="SUREFOOT_MAIL_FROM is not set",
            remedy="Set it to the address that mail is to come from.",
        )
    must_be_address(parseaddr(sender)[1] if sender.isprintable() else sender)
    return MailServer(host, parts.port or (465 if tls else 587), tls, plain, user, password, sender)


def must_be_address(text: str) -> None:
    """Raises UsageError."""
    name, at, domain = text.rpartition("@")
    with suppress(ValueError, IndexError):  # what the library refuses is refused below
        if name and at and domain and Address(addr_spec=text).addr_spec == text and text.isprintable():
            return
    raise UsageError(
        f"{text!r} is no mail address",
        why="it is not name@host",
        remedy="Write one such as leads@shop.example.",
    )


class MailSender:
    def __init__(self, server: MailServer, to: str) -> None:
        must_be_address(to)
        self._server = server
        self._to = to

    async def send(self, news: News) -> Outcome:
        message = mail_of(news, self._to, self._server.sender)
        try:
            async with asyncio.timeout(IN_ALL):
                await on_a_thread(lambda: hand_to_server(self._server, message), "mail")
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            lasts = 500 <= code < 600
            return Outcome("refused" if lasts else "again", words(f"{code} {_text(said)}"))
        except smtplib.SMTPResponseException as error:
            return Outcome("again", words(f"{error.smtp_code} {_text(error.smtp_error)}"))
        except TimeoutError:
            return Outcome("again", "the mail server did not answer in time")
        except (OSError, smtplib.SMTPException) as error:
            return Outcome("again", words(f"no mail server: {type(error).__name__}: {error}"))
        return Outcome("sent", "taken by the mail server")


def hand_to_server(server: MailServer, message: EmailMessage) -> None:
    """Blocks until the server has taken it. Raises OSError, smtplib.SMTPException."""
    trust = ssl.create_default_context()
    smtp: smtplib.SMTP
    if server.tls:
        smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=PATIENCE, context=trust)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=PATIENCE)
    with smtp:
        smtp.ehlo()
        if not (server.tls or server.plain):
            smtp.starttls(context=trust)
        if server.user:
            smtp.login(server.user, server.password)
        smtp.send_message(message)


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said


# ── what it says ──


def mail_of(news: News, to: str, sender: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = words(subject_of(news), 200)
    message["Date"] = format_datetime(datetime.fromtimestamp(news.at / MICROS, UTC))
    message["Message-ID"] = f"<{news.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(lines_of(news)) + "\n")
    return message


def subject_of(news: News) -> str:
    if (item := news.data.get("item")) is None:
        if "run" not in news.data:
            return "Surefoot: a test"
        return f"{news.data['workflow']}: a run has {news.data['status']}"
    what = item.get("tool") or item.get("step") or "a run"
    match item.get("status"):
        case "open":
            whom = f" for {item['for']}" if item.get("for") else ""
            return f"{news.data['workflow']}: {what} waits{whom}"
        case "decided":
            return f"{news.data['workflow']}: {what} was decided ({item['decision']} by {item['by']})"
        case "expired":
            return f"{news.data['workflow']}: {what} has expired, and nobody decided"
        case _:
            return f"{news.data['workflow']}: {what} needs no decision any more"


def lines_of(news: News) -> list[str]:
    data = news.data
    item = data.get("item") or {}
    lines = [words(subject_of(news), 200), ""]
    if said := data.get("said"):
        lines += [words(str(said))]
    if item.get("tool"):
        lines += [f"{words(item['tool'])}("]
        for name, value in (item.get("args") or {}).items():
            lines += [f"  {words(name)} = {words(dumps(value), 400)}"]
        lines += [")", ""]
    error = data.get("error") or {}
    facts = {
        "why": item.get("reason"),
        "rule": item.get("rule"),
        "for": item.get("for"),
        "expires": item.get("expires"),
        "failed": error.get("what") and f"{error['what']}: {error.get('why', '')}",
        "run": data.get("run"),
    }
    lines += [f"{name + ':':<9}{words(str(fact), 400)}" for name, fact in facts.items() if fact]
    if link := item.get("link") or data.get("link"):
        lines += ["", "Look, and decide:" if item.get("status") == "open" else "Look:", f"  {link}"]
    if item.get("status") == "open":
        lines += ["", "Or where the service's store is:", f"  surefoot inbox show {item['item']}"]
        needs = {"edit": " --args JSON", "settle": " --result JSON"}
        for choice in item.get("choices") or ():
            lines += [f"  surefoot inbox decide {item['item']} {choice}{needs.get(choice, '')} --by YOU"]
    return lines


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unusable(why: str) -> UsageError:
    return UsageError(
        "SUREFOOT_SMTP cannot be used",
        why=why,
        remedy="Write smtp://user:password@mail.example:587 (STARTTLS) or smtps://user:password@mail.example.",
    )
