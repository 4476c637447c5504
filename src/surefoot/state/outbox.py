"""What is done about deliveries inside a transaction; the triggers that write them are in the schema."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .deliveries import DeliveryRow, DeliveryStatus, EndpointRow
from .queries import load
from .transaction import Duty, Transaction

_SQL = load("deliveries")

KEPT = 30 * 86_400 * 1_000_000
"""Microseconds for which a delivery that has ended is kept, for looking and for replay."""


def set_endpoints(endpoints: Sequence[EndpointRow]) -> Duty:
    def put(transaction: Transaction) -> None:
        connection = transaction.connection
        connection.execute(_SQL["remove_endpoints"], (json.dumps([one.id for one in endpoints]),))
        for one in endpoints:
            connection.execute(_SQL["put_endpoint"], (one.id, one.url, json.dumps(one.types), one.created))
        connection.execute(_SQL["drop_stray"])

    return Duty(put)


def take(endpoint: str, limit: int, until: int) -> Duty:
    def take(transaction: Transaction) -> list[DeliveryRow]:
        connection = transaction.connection
        connection.execute(_SQL["sweep"], (transaction.now - KEPT,))
        asked = {"endpoint": endpoint, "now": transaction.now, "until": until, "limit": limit}
        taken = [number for (number,) in connection.execute(_SQL["take"], asked).fetchall()]
        where = "WHERE d.id IN (SELECT value FROM json_each(?)) ORDER BY d.at, d.id"
        sql = _SQL["deliveries"].replace("{where}", where)
        return [DeliveryRow(*row) for row in connection.execute(sql, (json.dumps(taken),)).fetchall()]

    return Duty(take, counts=False)


def settle(taken: DeliveryRow, status: DeliveryStatus, answer: str, due: int) -> Duty:
    def settle(transaction: Transaction) -> bool:
        values = (status, due, answer, taken.id, taken.attempts)
        changed: int = transaction.connection.execute(_SQL["settle"], values).rowcount
        return changed > 0

    return Duty(settle, counts=False)


def replay(delivery: int) -> Duty:
    def again(transaction: Transaction) -> bool:
        changed: int = transaction.connection.execute(_SQL["replay"], (transaction.now, delivery)).rowcount
        return changed > 0

    return Duty(again)
