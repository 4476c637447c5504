"""How much text a second goes through redaction when there is nothing to find, as nearly always."""

from __future__ import annotations

import hashlib
import random
import statistics
import time
import uuid
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from surefoot.core.jsons import dumps
from surefoot.rails import detect
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
        *detecting(size),
    ]


def detecting(size: Size) -> list[Line]:
    """Layers two and three, over text that has digits, hashes and keys in it but nothing to find. Seconds of
    CPU, of the best round: the other layers are measured beside each other, this one alone."""
    detector = detect.standard()
    chance = random.Random(12)
    lines = []
    rounds = size.pick(15, 5)
    for length in (100, 300, 3_000):
        events = [event(chance, length) for _ in range(size.pick(400, 100))]
        best = min(_cpu(detector, events) for _ in range(rounds))
        lines.append(Line(f"detection in an event of {length} bytes", best / len(events) * 1e6, "µs"))
    for name, text in (
        ("letters", letters(chance, 1_000_000)),
        ("code", code(1_000_000)),
        ("logs", logs(chance, 1_000_000)),
    ):
        speed = len(text) / min(_cpu(detector, [text]) for _ in range(rounds)) / 1e6
        lines.append(Line(f"detection in a megabyte of {name}", speed, "MB/s", 20, "more"))
    return lines


def _cpu(detector: detect.Detector, texts: list[str]) -> float:
    started = time.thread_time()
    for text in texts:
        detector.find(text)
    return time.thread_time() - started


def event(chance: random.Random, size: int) -> str:
    """JSON like the journal's, of about this many bytes."""
    head = {
        "step": "reply",
        "call": f"c{chance.randrange(9)}",
        "key": _id(chance),
        "amount": f"{chance.randrange(99)}.90",
        "at": 1_763_847_000_000_000 + chance.randrange(10**9),
    }
    room = size - len(dumps(head)) - 10
    if room > 0:
        head["text"] = letters(chance, room).replace("\n", " ")[:room]
    return dumps(head)[:size]


def logs(chance: random.Random, size: int) -> str:
    parts: list[str] = []
    length = 0
    while length < size:
        line = (
            f"2026-11-22T21:{chance.randrange(60):02}:{chance.randrange(60):02}.{chance.randrange(999):03}Z "
            f"INFO 10.0.{chance.randrange(255)}.{chance.randrange(255)} GET /v1/runs/{_id(chance)} 200 "
            f"{chance.randrange(999)}ms trace={chance.randbytes(16).hex()} SD-{chance.randrange(9999)}\n"
        )
        parts.append(line)
        length += len(line)
    return "".join(parts)


def code(size: int) -> str:
    """Our own."""
    files = sorted(Path(detect.__file__).parents[1].rglob("*.py"))
    text = "".join(file.read_text("utf-8") for file in files)
    return "".join(islice(cycle(text), size))


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _seconds(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
