"""Rotating master keys, inside the store's transactions.

The store knows of the ring only its generation, which key was announced last, and which keys were retired.
Every transaction that signs names the generation its process knows of, and is begun anew with the ring read
again where the store's is another. So nothing is written under a key after it was retired, whoever writes it.
"""

from __future__ import annotations

import json

from ..errors import KeyUnavailable
from .chain import head_message
from .queries import load
from .rows import Rekeyed
from .transaction import Duty, Transaction

_SQL = load("forgetting")


def announce() -> Duty:
    def tell(transaction: Transaction) -> int:
        transaction.check_ring()
        keys = transaction.options.keys
        generation, current, _ = transaction.connection.execute(_SQL["ring"]).fetchone()
        if current == keys.current:
            return int(generation)
        transaction.connection.execute(_SQL["announce"], (keys.current,))
        transaction.after.append(lambda: setattr(keys, "generation", generation + 1))
        return int(generation) + 1

    return Duty(tell)


def rekey(after: int, limit: int) -> Duty:
    def change(transaction: Transaction) -> Rekeyed:
        transaction.check_ring()
        connection, keys = transaction.connection, transaction.options.keys
        current = bytes.fromhex(keys.current)
        found = connection.execute(_SQL["to_rekey"], (after, limit)).fetchall()
        changed: list[tuple[bytes, bytes | None, int]] = []
        refused: list[str] = []
        for row, run, seq, head, signature, data_key, pruned, forgotten in found:
            if signature[:4] == current and (not data_key or data_key[:4] == current):
                continue
            message = head_message(run, seq, head, pruned=bool(pruned), forgotten=bool(forgotten))
            wrapped = keys.rewrap(data_key) if data_key else data_key
            if not keys.verify(message, signature) or (data_key and wrapped is None):
                refused.append(run)  # as it is, the audit can tell; signed anew it would look right
                continue
            changed.append((keys.sign(message), wrapped, row))
        connection.executemany(_SQL["rekey"], changed)
        last = found[-1][0] if len(found) == limit else None
        return Rekeyed(last, len(changed), tuple(refused))

    return Duty(change, long=True)


def retire(key: str) -> Duty:
    def refuse_from_now_on(transaction: Transaction) -> None:
        transaction.check_ring()
        connection, keys = transaction.connection, transaction.options.keys
        generation, _, text = connection.execute(_SQL["ring"]).fetchone()
        retired = json.loads(text)
        if key in retired:
            return
        if key == keys.current:
            raise KeyUnavailable(
                f"the master key {key} is the current one",
                why="everything new is sealed under it",
                remedy="Rotate first: `surefoot keys rotate`.",
            )
        (runs,) = connection.execute(_SQL["hangs"], {"key": bytes.fromhex(key)}).fetchone()
        if runs:
            raise KeyUnavailable(
                f"the master key {key} cannot go yet",
                why=f"{runs} runs hang on it",
                remedy="`surefoot keys rotate` moves them to the current key; run it again at any time.",
            )
        (text,) = connection.execute(_SQL["workers_with"], (key, transaction.now)).fetchone()
        if workers := json.loads(text):
            raise KeyUnavailable(
                f"the master key {key} cannot go yet",
                why=f"living workers still sign with it: {', '.join(workers)}",
                remedy="They take the current key with their next heartbeat, or, where theirs comes from "
                "SUREFOOT_MASTER_KEY, when they are started again with the new value.",
            )
        connection.execute(_SQL["retire"], (json.dumps([*retired, key]),))
        transaction.after.append(lambda: setattr(keys, "generation", generation + 1))

    return Duty(refuse_from_now_on)
