"""Pseudonyms: what stands for a person's data in a scenario that was made of a production run.

A placeholder would not do: the workflow validates its input, and takes another road where an address is none.
So each private value gets another one of its kind and shape (an address that is one, a card and an IBAN whose
check digits fit), the same wherever the value turns up. It is made of the kind and the number of its
placeholder, and of no letter or digit of the value but what its kind needs (a country, how many signs).
"""

from __future__ import annotations

import hashlib
import re
import string
import uuid
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from ipaddress import ip_address
from typing import Any

from ..core.jsons import dumps, loads
from ..rails.forms import CASINGS, SHORTEST, casings, encoded_forms, plain_forms
from ..rails.known import Known, Value

NAMES = ("name", "person")
"""Kinds whose words stand for somebody by themselves, too: "Dear Ada" is about Ada Moss."""


class Pseudonyms:
    """`private` is placeholder -> value, as a run knows them."""

    def __init__(self, private: Mapping[str, str]) -> None:
        self.by_value: dict[str, str] = {}
        words: dict[str, str] = {}
        for placeholder, value in private.items():
            kind, _, number = placeholder.strip("[]").rpartition("-")
            own = stand_in(kind, int(number), value)
            self.by_value[value] = own
            if kind in NAMES:
                pairs = zip(re.findall(r"[^\W\d_]+", value), re.findall(r"[^\W\d_]+", own), strict=False)
                words |= {word: other for word, other in pairs if len(word) >= 3}
        for word, other in words.items():
            self.by_value.setdefault(word, other)
        self._drawn: dict[str, str] = {}
        self._known = self._built()

    def _built(self) -> Known:
        pairs = {**self._drawn, **self.by_value}
        for value, other in self.by_value.items():
            for casing in CASINGS if len(value) >= SHORTEST else ():
                pairs.setdefault(casing(value), casing(other))
        values = (Value(value, other, _forms(value), bounded=True) for value, other in pairs.items())
        return Known(sorted(values, key=lambda one: -len(one.text)))

    def drawn(self, pairs: Mapping[str, str]) -> bool:
        """Values that a run draws (`run.uuid()`) are others each time: what stands for them. False: nothing
        new."""
        new = {one: other for one, other in pairs.items() if one != other and self._drawn.get(one) != other}
        if new:
            self._drawn |= new
            self._known = self._built()
        return bool(new)

    def of(self, value: Any) -> Any:
        """The same JSON with pseudonyms, in keys and in texts that are JSON themselves as well."""
        match value:
            case str():
                return self.of_text(value)
            case bool() | None:
                return value
            case int() | float():
                other = self.by_value.get(dumps(value))
                return value if other is None else loads(other)
            case list() | tuple():
                return [self.of(one) for one in value]
            case dict():
                return {self.of_text(key): self.of(one) for key, one in value.items()}
            case _:
                raise TypeError(f"{type(value).__name__} is no JSON")

    def of_text(self, text: str) -> str:
        if text[:1] in ("{", "["):
            try:
                return dumps(self.of(loads(text)))
            except ValueError:
                pass  # no JSON after all: a text like any other
        return self._known.replace(text)

    def left_in(self, text: str) -> list[str]:
        """Pseudonyms whose original is still there, in any form that we know."""
        originals = Known(
            Value(said, other, _forms(said), bounded=True)
            for value, other in self.by_value.items()
            for said in casings(value)
        )
        return [span.label for span in originals.spans(text)]


def _forms(value: str) -> list[str]:
    forms = plain_forms(value)
    return forms + encoded_forms(value) if len(value) >= SHORTEST else forms


def stand_in(kind: str, number: int, value: str) -> str:
    """Another value of the same kind and shape. Never the value itself."""
    for turn in range(100):
        found = _one(kind, number + 97 * turn, value)
        if found != value:
            return found
    raise ValueError(f"nothing else has the shape of this {kind}")


def _one(kind: str, number: int, value: str) -> str:
    match kind:
        case "email" if "@" in value:
            return f"person{number}@example.com"
        case "card":
            return _card(number, value)
        case "iban":
            return _iban(number, value)
        case "ssn":
            return _digits(value, f"{100 + number % 500:03}{10 + number % 80:02}{1000 + number % 8000:04}")
        case "phone":
            return _phone(number, value)
        case "ip":
            return _ip(number, value)
        case _ if (found := _date(number, value)) is not None:
            return found
        case _ if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
            return str(uuid.UUID(int=number, version=4))
        case _ if re.fullmatch(r"[^\s@]+@[^\s@]+\.[a-z]{2,}", value):
            return f"person{number}@example.com"
        case _:
            return _shape(kind, number, value)


def _stream(*of: Any) -> Iterator[int]:
    block = 0
    while True:
        yield from hashlib.sha256("/".join(map(str, (*of, block))).encode()).digest()
        block += 1


def _shape(kind: str, number: int, value: str) -> str:
    """Letters for letters, digits for digits, all else as it was. Of a number the first digit stays, so that
    it is as large."""
    chance = _stream(kind, number)
    number_itself = re.fullmatch(r"-?[1-9]\d*(\.\d+)?", value) is not None
    made: list[str] = []
    for sign in value:
        drawn = next(chance)
        if sign.isdigit():
            first = number_itself and not any(one.isdigit() for one in made)
            made.append(sign if first else str(drawn % 9 + 1))
        elif sign.isalpha():
            vowel = bool(made) and made[-1].lower() not in "aeiou" and made[-1].isalpha()
            letters = "aeiou" if vowel else "bdfgklmnprstv"
            letter = letters[drawn % len(letters)]
            made.append(letter.upper() if sign.isupper() else letter)
        else:
            made.append(sign)
    return "".join(made)


def _digits(value: str, digits: str) -> str:
    """These digits in the places of the value's."""
    left = iter(digits)
    return "".join(next(left, "1") if sign.isdigit() else sign for sign in value)


def _card(number: int, value: str) -> str:
    """The first digit tells the scheme and how long it is; the last one is Luhn's."""
    digits = [sign for sign in value if sign.isdigit()]
    chance = _stream("card", number)
    body = digits[:1] + [str(next(chance) % 10) for _ in digits[1:-1]]
    total = 0
    for place, digit in enumerate(reversed(body)):
        worth = int(digit) * (2 if place % 2 == 0 else 1)
        total += worth - 9 if worth > 9 else worth
    return _digits(value, "".join([*body, str(-total % 10)]))


def _iban(number: int, value: str) -> str:
    """Country, length and groups stay; the check digits are made anew (mod 97)."""
    signs = [sign for sign in value if sign.isalnum()]
    country = "".join(signs[:2]).upper()
    chance = _stream("iban", number)
    body = "".join(
        str(next(chance) % 10) if sign.isdigit() else string.ascii_uppercase[next(chance) % 26]
        for sign in signs[4:]
    )
    worth = "".join(str(int(sign, 36)) for sign in f"{body}{country}00")
    made = iter(f"{country}{98 - int(worth) % 97:02}{body}")
    return "".join(next(made) if sign.isalnum() else sign for sign in value)


def _phone(number: int, value: str) -> str:
    """The country of an international one stays; what follows begins with no 0 or 1, and ends in a number
    that is nobody's where they have those (555 01xx)."""
    digits = [sign for sign in value if sign.isdigit()]
    if value.lstrip().startswith(("+1", "1")) or (
        not value.lstrip().startswith(("+", "0")) and len(digits) == 10
    ):
        lead = digits[:1] if len(digits) == 11 else []
        return _digits(value, "".join([*lead, "212", "555", f"{100 + number % 100:04}"]))
    kept = 2 if value.lstrip().startswith("+") else 1
    chance = _stream("phone", number)
    return _digits(value, "".join(digits[:kept] + [str(next(chance) % 8 + 2) for _ in digits[kept:]]))


def _ip(number: int, value: str) -> str:
    """Of the ranges that are kept for documentation."""
    try:
        is_six = ip_address(value).version == 6
    except ValueError:
        return f"203.0.113.{number % 254 + 1}"
    return f"2001:db8::{number:x}" if is_six else f"203.0.113.{number % 254 + 1}"


def _date(number: int, value: str) -> str | None:
    try:
        date.fromisoformat(value)
    except ValueError:
        return None
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return None
    return str(date(1970, 1, 1) + timedelta(days=37 * number % 9000))
