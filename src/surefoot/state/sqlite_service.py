"""The part of the store on SQLite that the service needs: tokens, sessions, endpoints, deliveries."""

from __future__ import annotations

from collections.abc import Sequence

from . import accessduties, outbox
from .access import SessionRow, TokenRow
from .deliveries import DeliveryRow, DeliveryStatus, EndpointRow
from .faults import Explained
from .reads import Reader
from .store import StoreOptions
from .writer import Writer

MINUTE = 60 * 1_000_000


class SqliteService:
    """Mixed into `SqliteStore`, whose writer and reader it uses."""

    url: str
    _options: StoreOptions
    _explained: Explained

    @property
    def _writer(self) -> Writer:
        raise NotImplementedError

    @property
    def _reader(self) -> Reader:
        raise NotImplementedError

    async def probe(self) -> None:
        with self._explained:
            self._reader.ring()
        await self._writer.put(accessduties.probe(self.url))

    # ── access ──

    async def add_token(self, token: TokenRow) -> None:
        await self._writer.put(accessduties.add_token(token))

    async def revoke_token(self, token: str) -> bool:
        revoked: bool = await self._writer.put(accessduties.revoke_token(token))
        return revoked

    async def token(self, token: str) -> TokenRow | None:
        with self._explained:
            return self._reader.token(token)

    async def tokens(self) -> list[TokenRow]:
        with self._explained:
            return self._reader.tokens()

    async def token_used(self, token: TokenRow) -> None:
        now = self._options.now()
        if token.used is None or now - token.used >= MINUTE:
            await self._writer.put(accessduties.token_used(token.id, now))

    async def add_session(self, session: SessionRow) -> None:
        await self._writer.put(accessduties.add_session(session))

    async def session(self, digest: str) -> SessionRow | None:
        with self._explained:
            return self._reader.session(digest)

    async def session_used(self, session: SessionRow) -> None:
        now = self._options.now()
        if session.used is None or now - session.used >= MINUTE:
            await self._writer.put(accessduties.session_used(session.digest, now))

    async def end_session(self, digest: str) -> None:
        await self._writer.put(accessduties.end_session(digest))

    # ── deliveries ──

    async def endpoints(self) -> list[EndpointRow]:
        with self._explained:
            return self._reader.endpoints()

    async def set_endpoints(self, endpoints: Sequence[EndpointRow]) -> None:
        await self._writer.put(outbox.set_endpoints(endpoints))

    async def take_deliveries(self, endpoint: str, limit: int, until: int) -> list[DeliveryRow]:
        with self._explained:
            if not self._reader.any_delivery_due(endpoint, self._options.now()):
                return []  # asked often, and mostly so: not worth a transaction
        taken: list[DeliveryRow] = await self._writer.put(outbox.take(endpoint, limit, until))
        return taken

    async def settle_delivery(
        self, taken: DeliveryRow, status: DeliveryStatus, answer: str, *, due: int = 0
    ) -> bool:
        settled: bool = await self._writer.put(outbox.settle(taken, status, answer, due))
        return settled

    async def replay_delivery(self, delivery: int) -> bool:
        again: bool = await self._writer.put(outbox.replay(delivery))
        return again

    async def deliveries(
        self, *, status: DeliveryStatus | None = None, before: int | None = None, limit: int = 50
    ) -> list[DeliveryRow]:
        with self._explained:
            return self._reader.deliveries(status, before, limit)

    async def delivery_counts(self) -> dict[DeliveryStatus, int]:
        with self._explained:
            return self._reader.delivery_counts()

    async def next_delivery(self, endpoint: str) -> int | None:
        with self._explained:
            return self._reader.next_delivery(endpoint)
