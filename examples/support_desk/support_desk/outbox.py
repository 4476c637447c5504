"""Mail to customers: by SMTP where SUPPORT_DESK_SMTP says how, else only into the shop's outbox.

A mail cannot be taken back, so the outbox is written first: `sending` before the server is spoken to, `sent`
after it took the mail. Whoever finds `sending` later knows that nobody can tell, and asks a person; a mail
that the server refused is taken out again.

SUPPORT_DESK_SMTP is smtp://[user@]host[:port] (with TLS as soon as the server offers it) or smtps://...; the
password is SUPPORT_DESK_SMTP_PASSWORD, the sender SUPPORT_DESK_FROM.
"""

from __future__ import annotations

import asyncio
import os
import smtplib
import sqlite3
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

from .books import Clock, ShopNotNow, ShopRefused, now, opened, place, writing
from .facts import Sent

DOMAIN = "desk.harbour-goods.example"
SMTP_SECONDS = 10.0
"""How long the server may take for one answer; less than the tool's own timeout."""

Deliver = Callable[[EmailMessage], None]
"""Raises ShopRefused or ShopNotNow where the mail surely did not leave; anything else: nobody knows."""


class StillSending(Exception):
    """A mail that was handed to the server, and nobody knows what became of it."""


@asynccontextmanager
async def open_outbox() -> AsyncGenerator[Outbox]:
    """The desk's resource."""
    url = os.environ.get("SUPPORT_DESK_SMTP", "")
    async with outbox_at(place(), deliver=by_smtp(url) if url else None) as outbox:
        yield outbox


@asynccontextmanager
async def outbox_at(
    path: Path, *, deliver: Deliver | None = None, clock: Clock = now
) -> AsyncGenerator[Outbox]:
    with opened(path) as db:
        yield Outbox(db, deliver, clock)


class Outbox:
    def __init__(self, db: sqlite3.Connection, deliver: Deliver | None = None, clock: Clock = now) -> None:
        self._db = db
        self._deliver = deliver
        self._clock = clock

    async def send(self, to: str, subject: str, body: str, *, message_id: str, not_after: datetime) -> Sent:
        """Send a mail. Like a mail server, it sends again what it is given twice.

        Raises ShopRefused and ShopNotNow: it did not leave. ShopNotNow also after `not_after`: whoever asked
        has been given up by then, and others act for it.
        """
        with writing(self._db):
            # Inside the transaction: a process that was stopped right here holds the lock, and nobody else
            # can look (see `sent`) or send meanwhile; one that was stopped before is told that it is late.
            at = self._clock()
            if at > not_after:
                raise ShopNotNow(f"this was to be sent until {not_after:%H:%M:%S}")
            state = "sent" if self._deliver is None else "sending"
            row = self._db.execute(
                "INSERT INTO outbox (message_id, recipient, subject, body, at, state)"
                " VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                (message_id, to, subject, body, at.isoformat(), state),
            ).fetchone()
        if self._deliver is not None:
            mail = _mail(to, subject, body, message_id, at)
            try:
                await asyncio.to_thread(self._deliver, mail)
            except (ShopRefused, ShopNotNow):
                with writing(self._db):
                    self._db.execute("DELETE FROM outbox WHERE id = ?", (row["id"],))
                raise
            with writing(self._db):
                self._db.execute("UPDATE outbox SET state = 'sent' WHERE id = ?", (row["id"],))
        return Sent(message_id=message_id, to=to, subject=subject, at=at)

    async def sent(self, message_id: str) -> Sent | None:
        """The first mail that left under `message_id`, if one did; looked up while nobody can be beginning.

        Raises StillSending: one was handed over, with an unknown end. ShopNotNow: somebody writes.
        """
        with writing(self._db):
            rows = self._db.execute(
                "SELECT * FROM outbox WHERE message_id = ? ORDER BY id", (message_id,)
            ).fetchall()
        if any(row["state"] == "sending" for row in rows):
            raise StillSending(message_id)
        if not rows:
            return None
        row = rows[0]
        return Sent(message_id=message_id, to=row["recipient"], subject=row["subject"], at=row["at"])


def message_id(key: str) -> str:
    """The Message-ID of the mail that a call with this key sends: how the outbox is asked about it later."""
    return f"<{key}@{DOMAIN}>"


def _mail(to: str, subject: str, body: str, message_id: str, at: datetime) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = os.environ.get("SUPPORT_DESK_FROM") or f"Harbour Goods <help@{DOMAIN}>"
    mail["To"], mail["Subject"], mail["Message-ID"] = to, subject, message_id
    mail["Date"] = format_datetime(at)
    mail["Auto-Submitted"] = "auto-replied"  # so that no other robot answers it
    mail.set_content(body)
    return mail


def by_smtp(url: str) -> Deliver:
    """Raises ValueError for a URL that says no server."""
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("SUPPORT_DESK_SMTP must be smtp://[user@]host[:port] or smtps://...")
    host, port, user = parts.hostname, parts.port or 0, parts.username
    password = os.environ.get("SUPPORT_DESK_SMTP_PASSWORD", "")

    def deliver(mail: EmailMessage) -> None:
        tls = ssl.create_default_context()
        try:
            if parts.scheme == "smtps":
                server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=SMTP_SECONDS, context=tls)
            else:
                server = smtplib.SMTP(host, port, timeout=SMTP_SECONDS)
        except (OSError, smtplib.SMTPException) as error:
            raise ShopNotNow(f"no mail server answers at {host}: {error}") from error
        try:
            _greet(server, tls, user, password)
            server.send_message(mail)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError) as no:
            raise ShopRefused(f"the mail server does not take this mail: {no}") from no
        except smtplib.SMTPResponseException as no:  # it said no, so it did not take the mail
            kind = ShopNotNow if 400 <= no.smtp_code < 500 else ShopRefused
            raise kind(f"the mail server refused: {no.smtp_code} {no.smtp_error!r}") from no
        finally:
            with suppress(OSError, smtplib.SMTPException):  # the mail is decided by now, whatever it says
                server.quit()
            server.close()

    return deliver


def _greet(server: smtplib.SMTP, tls: ssl.SSLContext, user: str | None, password: str) -> None:
    """Everything before the mail itself: if this fails, nothing left."""
    try:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=tls)
        elif user and not isinstance(server, smtplib.SMTP_SSL):
            raise ShopRefused("the mail server offers no TLS, and the password is not sent without")
        if user:
            server.login(user, password)
    except (OSError, smtplib.SMTPException) as error:
        raise ShopNotNow(f"the mail server does not let us in: {error}") from error
