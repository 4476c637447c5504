"""What is done about tokens and sessions inside a transaction."""

from __future__ import annotations

import json

from .access import SessionRow, TokenRow
from .queries import load
from .schema import must_be_ours
from .transaction import Duty, Transaction

_SQL = load("access")


def probe(where: str) -> Duty:
    """Writes, and leaves nothing: a row that is changed to what it is would not be written at all."""

    def write(transaction: Transaction) -> None:
        must_be_ours(transaction.connection, where)
        transaction.connection.execute(_SQL["add_session"], ("probe", "", 0, 0))
        transaction.connection.execute(_SQL["end_session"], ("probe",))

    return Duty(write, counts=False)


def add_token(token: TokenRow) -> Duty:
    def add(transaction: Transaction) -> None:
        scopes = json.dumps(list(token.scopes))
        row = (token.id, token.person, scopes, token.digest, token.note, token.created, token.expires)
        transaction.connection.execute(_SQL["add_token"], row)

    return Duty(add)


def revoke_token(token: str) -> Duty:
    def revoke(transaction: Transaction) -> bool:
        connection = transaction.connection
        found: int = connection.execute(_SQL["revoke"], (transaction.now, token)).rowcount
        connection.execute(_SQL["end_sessions_of"], (token,))
        return found > 0

    return Duty(revoke)


def token_used(token: str, at: int) -> Duty:
    def used(transaction: Transaction) -> None:
        transaction.connection.execute(_SQL["used"], (at, token))

    return Duty(used, counts=False)


def add_session(session: SessionRow) -> Duty:
    def add(transaction: Transaction) -> None:
        transaction.connection.execute(_SQL["sweep_sessions"], (transaction.now,))
        row = (session.digest, session.token, session.created, session.expires)
        transaction.connection.execute(_SQL["add_session"], row)

    return Duty(add)


def session_used(digest: str, at: int) -> Duty:
    def used(transaction: Transaction) -> None:
        transaction.connection.execute(_SQL["session_used"], (at, digest))

    return Duty(used, counts=False)


def end_session(digest: str) -> Duty:
    def end(transaction: Transaction) -> None:
        transaction.connection.execute(_SQL["end_session"], (digest,))

    return Duty(end)
