"""Who is asking, and what they may do.

A token names a person and is narrowed by scopes. It is shown once, when it is made; the store keeps a keyed
digest over all that the row says of it. A login to the console makes a session of a token: the same person,
the same scopes, and it ends when the token does. As long as no token was ever made, whoever reaches the
loopback address is the local person and may do everything; with the first token that is over.

The person who decides is always the one named here, never a field of a request.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest

from ..core.clock import Clock
from ..errors import NotAuthenticated, ScopeMissing, UsageError
from ..state.access import SessionRow, TokenRow
from ..state.sealing import Keyring
from ..state.store import Store

SCOPES = ("runs:read", "runs:write", "runs:reveal", "inbox:decide", "admin")
"""What a token may be narrowed to. `admin` stands for all but `runs:reveal`: exact values are a matter of
their own."""

PREFIX = "sft"
SESSION_HOURS = 12
IDLE_HOURS = 2
"""A session ends when it was not used for so long, and after `SESSION_HOURS` in any case."""

HOUR = 3_600_000_000
_ID_LETTERS = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class Principal:
    """`token` is the id of the token behind it, None for the local person. `ambient`: a browser sends what
    identifies it by itself (a cookie, or nothing at all), so that a request may be another site's doing."""

    person: str
    scopes: frozenset[str]
    token: str | None = None
    ambient: bool = False

    def may(self, scope: str) -> bool:
        return scope in self.scopes or ("admin" in self.scopes and scope != "runs:reveal")

    def must(self, scope: str) -> None:
        """Raises ScopeMissing."""
        if not self.may(scope):
            raise ScopeMissing(
                f"this needs the scope {scope}",
                why=f"the token of {self.person} has {', '.join(sorted(self.scopes)) or 'none'}",
                scope=scope,
            )


class Access:
    """`person` is who acts where no token was ever made."""

    def __init__(self, store: Store, keyring: Keyring, clock: Clock, *, person: str) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._person = person

    # ── tokens ──

    async def make_token(
        self, person: str, scopes: Sequence[str], *, note: str = "", expires: int | None = None
    ) -> tuple[str, TokenRow]:
        """The token as it is shown this once, and its row. Raises UsageError."""
        _must_be_usable(person, scopes)
        name = "".join(secrets.choice(_ID_LETTERS) for _ in range(12))
        text = f"{PREFIX}_{name}_{secrets.token_urlsafe(32)}"
        row = TokenRow(name, person, tuple(sorted(set(scopes))), "", note, self._clock.now(), expires)
        row = TokenRow(name, person, row.scopes, self._digest(row, text), note, row.created, expires)
        await self._store.add_token(row)
        return text, row

    async def of_token(self, text: str) -> Principal:
        """Raises NotAuthenticated."""
        row = await self._holding(text)
        await self._store.token_used(row)
        return Principal(row.person, frozenset(row.scopes), row.id)

    async def _holding(self, text: str) -> TokenRow:
        kind, _, rest = text.partition("_")
        name, _, secret = rest.partition("_")
        row = await self._store.token(name) if kind == PREFIX and secret else None
        # The same work whether or not there is such a token, and no word of which of the two it was.
        digest = self._digest(row or _NOBODY, text)
        if row is None or not compare_digest(digest, row.digest) or not row.holds(self._clock.now()):
            raise NotAuthenticated(
                "the token does not hold", why="it is unknown, has expired, or was revoked"
            )
        return row

    def _digest(self, row: TokenRow, text: str) -> str:
        said = "|".join((row.id, row.person, ",".join(row.scopes), str(row.created), str(row.expires), text))
        return self._keyring.digest(b"token|" + said.encode("utf-8", "surrogatepass"))

    # ── the local person ──

    async def local(self) -> Principal | None:
        """Whoever is at this machine, while no token was ever made."""
        if await self._store.tokens():
            return None
        return Principal(self._person, frozenset(SCOPES), ambient=True)

    # ── sessions of the console ──

    async def log_in(self, token: str) -> tuple[str, Principal]:
        """What the cookie holds, and who that is. Raises NotAuthenticated."""
        row = await self._holding(token)
        now = self._clock.now()
        expires = now + SESSION_HOURS * HOUR
        if row.expires is not None:
            expires = min(expires, row.expires)
        cookie = f"{row.id}.{secrets.token_urlsafe(32)}"
        await self._store.add_session(SessionRow(self._session_digest(cookie), row.id, now, expires))
        return cookie, Principal(row.person, frozenset(row.scopes), row.id, ambient=True)

    async def of_session(self, cookie: str) -> Principal:
        """Raises NotAuthenticated."""
        session = await self._store.session(self._session_digest(cookie))
        name, now = cookie.partition(".")[0], self._clock.now()
        row = await self._store.token(name) if session is not None and session.token == name else None
        if session is None or row is None or not _is_going_on(session, now) or not row.holds(now):
            raise NotAuthenticated(
                "the session has ended",
                why="it has expired, was not used for long, or its token was revoked",
                remedy="Log in to the console again.",
            )
        await self._store.session_used(session)
        return Principal(row.person, frozenset(row.scopes), row.id, ambient=True)

    async def log_out(self, cookie: str) -> None:
        await self._store.end_session(self._session_digest(cookie))

    def _session_digest(self, cookie: str) -> str:
        return self._keyring.digest(b"session|" + cookie.encode("utf-8", "surrogatepass"))


def _is_going_on(session: SessionRow, now: int) -> bool:
    last = session.created if session.used is None else session.used
    return now < min(session.expires, last + IDLE_HOURS * HOUR)


def name_of(secret: str) -> str:
    """The id of the token that a token's text, or what the console's cookie holds, says it is."""
    kind, _, rest = secret.partition("_")
    return (rest.partition("_") if kind == PREFIX else secret.partition("."))[0][:12]


_NOBODY = TokenRow("", "", (), "", "", 0)


def _must_be_usable(person: str, scopes: Sequence[str]) -> None:
    if not person.strip() or any(not letter.isprintable() for letter in person):
        raise UsageError(
            "the token belongs to nobody",
            why="what is decided with it is kept under the name of a person",
            remedy="Say whose it is, with --person NAME.",
        )
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise UsageError(
            f"there is no scope {unknown[0]!r}" if unknown else "the token may do nothing",
            why=f"scopes are {', '.join(SCOPES)}",
            remedy="Name what it is to be used for, with --scope.",
        )
