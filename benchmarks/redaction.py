"""How much text a second goes through redaction when there is nothing to find, as nearly always."""

from __future__ import annotations

import hashlib
import random
import statistics
import time
from collections.abc import Callable

from surefoot.core.jsons import dumps
from surefoot.rails.redaction import Private, Secrets

from .measuring import Line, Size

WORDS = """
the order parcel came late and was open when we got it so please send another one or give the money back
thank you for looking into this again since nobody has answered my letter of last week 1042 89.90 2 days
customer delivery address street number invoice total paid card shoes size blue returned label question
""".split()


def letters(chance: random.Random, size: int) -> str:
    """Plain text of about this many bytes, with lines and figures."""
    parts: list[str] = []
    length = 0
    while length < size:
        word = chance.choice(WORDS) + ("\n" if chance.random() < 0.05 else " ")
        parts.append(word)
        length += len(word)
    return "".join(parts)


def scrubbing(size: Size) -> list[Line]:
    chance = random.Random(11)
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    secrets = Secrets({f"SECRET_{n}": "".join(chance.choices(alphabet, k=32)) for n in range(50)})
    private = Private()
    private.learn({f"{chance.choice(WORDS)}.{n}@shop.example": "email" for n in range(10)})
    text = letters(chance, 1_000_000)
    events = [dumps({"step": "reply", "output": {"text": letters(chance, 1_500)}}) for _ in range(300)]

    def whole() -> None:
        assert secrets.scrub(text) is text

    def one_by_one() -> None:
        for event in events:
            assert private.view_json(secrets.scrub_json(event)) is event

    def beside() -> None:
        hashlib.sha256(text.encode()).digest()

    rounds = size.pick(9, 3)
    sizes = [len(text), sum(len(event) for event in events), len(text)]
    speeds: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        for index, act in enumerate((whole, one_by_one, beside)):
            speeds[index].append(sizes[index] / _seconds(act) / 1e6)
    text_speed, event_speed, hash_speed = (statistics.median(speed) for speed in speeds)
    return [
        Line("text without findings, 50 known secrets", text_speed, "MB/s", 20, "more"),
        Line("events of 1.5 KB, 50 secrets and 10 private values", event_speed, "MB/s", 20, "more"),
        Line("SHA-256 of the same text", hash_speed, "MB/s"),
    ]


def _seconds(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
