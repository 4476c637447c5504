"""The labelled texts of tests/data/redaction: read, made anew from their seeds, and measured.

    python tests/rails/labelled.py          the table of docs/explanation/redaction.md

A found text is one whose every letter of value is covered by findings; a false finding is one that touches
nothing that is marked. Kinds are compared by what they hide, not by their names: a token that the rule for
any secret finds is found.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from surefoot.rails.checks import IBAN_LENGTHS, card, iban, luhn, outside_address, ssn
from surefoot.rails.detect import Detector, standard
from surefoot.rails.detect_rules import pieces_of

FOLDER = Path(__file__).parents[1] / "data" / "redaction"
_MARK = re.compile("⟦([^⟧:=]*)(?:([:=])([^⟧]*))?⟧")
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}


@dataclass(frozen=True)
class Labelled:
    text: str
    spans: tuple[tuple[int, int, str], ...]
    """Start, end, kind of what must be hidden."""


def read(name: str, seed: int = 1) -> list[Labelled]:
    """Every line as often as it says, each time with other values."""
    chance = random.Random(f"{name}-{seed}")
    found = []
    for line in (FOLDER / name).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            times, _, template = line.partition("|")
            found += [_made(template, chance) for _ in range(int(times))]
    return found


def _made(template: str, chance: random.Random) -> Labelled:
    parts: list[str] = []
    spans = []
    size = last = 0
    for mark in _MARK.finditer(template):
        before = _plain(template[last : mark.start()])
        kind, how, said = mark[1], mark[2], mark[3]
        value = (
            value_of(kind, chance)
            if how is None
            else _plain(said)
            if how == "="
            else "".join(piece.example(chance) for piece in pieces_of(_plain(said)))
        )
        parts += (before, value)
        size += len(before)
        if kind:
            spans.append((size, size + len(value), kind))
        size += len(value)
        last = mark.end()
    return Labelled("".join(parts) + _plain(template[last:]), tuple(spans))


def _plain(text: str) -> str:
    return re.sub(r"\\[nt\\]", lambda found: _ESCAPES[found[0]], text)


# ── values of private data ──


def value_of(kind: str, chance: random.Random) -> str:
    return {
        "email": _email,
        "card": _card,
        "iban": _iban,
        "ssn": _ssn,
        "ip": _ip,
        "ip6": _ip6,
        "phone": _phone,
    }[kind](chance)


def _digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices("0123456789", k=count))


def _email(chance: random.Random) -> str:
    name = chance.choice(["kim", "jo.doe", "a-b", "x_1", "mary.ann.smith", "info", "kim+desk", "o.k99"])
    host = chance.choice(["mail", "post.web", "shop-1", "uni-x"])
    return f"{name}@{host}.{chance.choice(['example', 'com', 'co.uk', 'org', 'de', 'io', 'museum'])}"


def _card(chance: random.Random) -> str:
    while True:
        head, size = chance.choice(
            [
                ("4", 16),
                ("51", 16),
                ("55", 16),
                ("2221", 16),
                ("34", 15),
                ("37", 15),
                ("6011", 16),
                ("36", 14),
            ]
        )
        body = head + _digits(chance, size - len(head) - 1)
        number = next(body + digit for digit in "0123456789" if luhn(body + digit))
        if card(number):
            break
    sign = chance.choice(["", "", " ", "-"])
    if not sign:
        return number
    cuts = [4, 8, 12] if size == 16 else [4, 10]
    return sign.join(number[a:b] for a, b in zip([0, *cuts], [*cuts, size], strict=True))


def _iban(chance: random.Random) -> str:
    country = chance.choice(["DE", "GB", "FR", "NL", "ES", "IT", "AT", "CH", "NO", "PL", "SE", "MT"])
    body = _digits(chance, IBAN_LENGTHS[country] - 4)
    if country in ("GB", "NL"):
        body = "".join(chance.choices("ABCDEFGHKLMNPRST", k=4)) + body[4:]
    text = next(f"{country}{check:02}{body}" for check in range(2, 99) if iban(f"{country}{check:02}{body}"))
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4)) if chance.random() < 0.5 else text


def _ssn(chance: random.Random) -> str:
    while not ssn(number := _digits(chance, 9)):
        pass
    return f"{number[:3]}-{number[3:5]}-{number[5:]}"


def _ip(chance: random.Random) -> str:
    while not outside_address(text := ".".join(str(chance.randint(1, 254)) for _ in range(4))):
        pass
    return text


def _ip6(chance: random.Random) -> str:
    head = chance.choice(["2001:db8", "2a00:1450", "2606:4700"])
    return chance.choice([f"{head}::{chance.randint(16, 65535):x}", _full(head, chance)])


def _full(head: str, chance: random.Random) -> str:
    return ":".join([head, *(f"{chance.randint(0, 65535):x}" for _ in range(6))])


def _phone(chance: random.Random) -> str:
    last = _digits(chance, 4)
    return chance.choice(
        [
            f"+49 30 901{last}5",
            f"+44 20 7946 {last}",
            f"+1 415 555 {last}",
            f"(415) 555-{last}",
            f"415-555-{last}",
            f"+33 6 12 34 {last[:2]} {last[2:]}",
            f"+4930901{last}5",
        ]
    )


# ── measuring ──


@dataclass
class Measured:
    marked: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    """Negatives with a finding in them."""
    negatives: int = 0

    @property
    def recall(self) -> float:
        return self.found.total() / self.marked.total()

    @property
    def precision(self) -> float:
        return self.found.total() / (self.found.total() + self.false.total())


def measure(detector: Detector, seed: int = 1) -> Measured:
    result = Measured()
    for one in read("positives.txt", seed):
        hits = detector.find(one.text)
        for start, end, kind in one.spans:
            result.marked[kind] += 1
            open_letters = set(range(start, end)) - {at for hit in hits for at in range(hit.start, hit.end)}
            if open_letters:
                result.missed.append(f"{kind}: {one.text!r}")
            else:
                result.found[kind] += 1
        for hit in hits:
            if not any(hit.start < end and start < hit.end for start, end, _ in one.spans):
                result.false[hit.kind] += 1
                result.touched.append(f"{hit.kind}: {one.text[hit.start : hit.end]!r} in {one.text!r}")
    for one in read("negatives.txt", seed):
        result.negatives += 1
        for hit in detector.find(one.text):
            result.false[hit.kind] += 1
            result.touched.append(f"{hit.kind}: {one.text[hit.start : hit.end]!r} in {one.text!r}")
    return result


PRIVATE = ("email", "card", "card-code", "iban", "ssn", "ip", "ip6", "phone")


def table(result: Measured) -> str:
    lines = ["| kind | marked | found | recall | false findings |", "|---|---|---|---|---|"]

    def row(name: str, kinds: set[str]) -> None:
        marked = sum(result.marked[kind] for kind in kinds)
        found = sum(result.found[kind] for kind in kinds)
        false = sum(result.false[kind] for kind in kinds)
        share = f"{found / marked:.1%}" if marked else "-"
        lines.append(f"| {name} | {marked} | {found} | {share} | {false} |")

    every = set(result.marked) | set(result.false)
    named = {"password", "secret", "private-key", "jwt", "basic-auth", "bearer-token", "url-signature"}
    row("providers' tokens", every - named - set(PRIVATE))
    for kind in sorted(named & every):
        row(kind, {kind})
    for kind in PRIVATE:
        row(kind, {kind})
    row("all", every)
    lines.append("")
    lines.append(
        f"Precision {result.precision:.1%}; {len(result.touched)} false findings in {result.negatives} ordinary texts."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    measured = measure(standard())
    print(table(measured))
    for text in measured.missed + measured.touched:
        print("  ", text)
