"""Who may ask: tokens and the logins made with them.

Of both only a keyed digest is kept, so whoever reads the store can be nobody else, and whoever writes it
without the key ring can make nobody. A token is made once, narrowed by its scopes, and revoked for good; its
sessions end in that same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TokenRow:
    """`person` is who acts with it; `used` is about when last, to the minute."""

    id: str
    person: str
    scopes: tuple[str, ...]
    digest: str
    note: str
    created: int
    expires: int | None = None
    revoked: int | None = None
    used: int | None = None

    def holds(self, now: int) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """`used` is about when last, to the minute."""

    digest: str
    token: str
    created: int
    expires: int
    used: int | None = None


class AccessStore(Protocol):
    async def add_token(self, token: TokenRow) -> None: ...

    async def revoke_token(self, token: str) -> bool:
        """Its sessions end with it. False where there is none of that id that still holds."""
        ...

    async def token(self, token: str) -> TokenRow | None: ...

    async def tokens(self) -> list[TokenRow]:
        """Oldest first, with those that were revoked."""
        ...

    async def token_used(self, token: TokenRow) -> None:
        """Writes it down at most once a minute."""
        ...

    async def add_session(self, session: SessionRow) -> None: ...

    async def session(self, digest: str) -> SessionRow | None: ...

    async def session_used(self, session: SessionRow) -> None:
        """Writes it down at most once a minute."""
        ...

    async def end_session(self, digest: str) -> None: ...
