"""What the canary plants: values that exist nowhere else, and data of any type that carry them.

A plant is known by its kind only; its value is told to nobody. Data are made from a type's JSON Schema: texts
carry one value of each kind that a detector should find, and where a type does not take that, something
shorter.
"""

from __future__ import annotations

import base64
import html
import json
import random
import re
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ahocorasick_rs import AhoCorasick, MatchKind
from pydantic import ValidationError

from ..errors import UsageError
from .matching import fitting

ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Plant:
    """`kind` is what a report calls it: secret, private or a detector's kind; `where` it was put."""

    kind: str
    where: str
    value: str

    def __repr__(self) -> str:
        return f"Plant({self.kind!r}, {self.where!r})"


class Garden:
    """Makes plants, and remembers them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.plants: list[Plant] = []

    def secret(self, where: str) -> str:
        return self._plant("secret", where, "canary-" + self._letters(ALPHABET, 40))

    def private(self, kind: str, where: str, value: str) -> None:
        """A value that is private because its field is declared so."""
        if len(value) >= 6 and all(plant.value != value for plant in self.plants):
            self.plants.append(Plant(f"private {kind}", where, value))

    def text(self, where: str) -> str:
        """A sentence with one value of each kind that is found by its looks."""
        parts = [f"{kind} {self._plant(kind, where, make(self))}" for kind, make in KINDS.items()]
        return f"canary {self.word()}: " + ", ".join(parts)

    def one(self, kind: str, where: str) -> str:
        return self._plant(kind, where, KINDS[kind](self))

    def word(self) -> str:
        return self._letters(string.ascii_lowercase, 10)

    def _plant(self, kind: str, where: str, value: str) -> str:
        self.plants.append(Plant(kind, where, value))
        return value

    # ── values ──

    def _letters(self, of: str, size: int) -> str:
        return "".join(self.chance.choices(of, k=size))

    def digits(self, size: int) -> str:
        return self._letters(string.digits, size)

    def email(self) -> str:
        return f"{self.word()}.{self.word()}@{self.word()}.example"

    def card(self) -> str:
        body = "4" + self.digits(14)
        doubled = [int(d) * 2 if n % 2 == 0 else int(d) for n, d in enumerate(body)]
        total = sum(d - 9 if d > 9 else d for d in doubled)
        return body + str(-total % 10)

    def iban(self) -> str:
        body = self.digits(18)
        check = 98 - int(body + "131400") % 97
        return f"DE{check:02d}{body}"

    def ssn(self) -> str:
        middle, last = self.chance.randint(1, 99), self.chance.randint(1, 9999)
        return f"{self.chance.randint(100, 665)}-{middle:02d}-{last:04d}"

    def phone(self) -> str:
        return f"+4930{self.chance.randint(2, 9)}{self.digits(7)}"

    def token(self) -> str:
        return "ghp_" + self._letters(ALPHABET, 36)

    def aws(self) -> str:
        return "AKIA" + self._letters(string.ascii_uppercase + "234567", 16)


KINDS: dict[str, Callable[[Garden], str]] = {
    "email": Garden.email,
    "card": Garden.card,
    "iban": Garden.iban,
    "ssn": Garden.ssn,
    "phone": Garden.phone,
    "github-token": Garden.token,
    "aws-key": Garden.aws,
}


# ── how a plant may look when it has got out ─────────────────────────────────────────────────────


def disguises(value: str) -> Iterator[tuple[str, str]]:
    """(form, text). Made anew here, and not taken from the rails: what they do not know must be found too."""
    raw = value.encode()
    yield "plain", value
    yield "json", json.dumps(value)[1:-1]
    yield "url", quote(value, safe="")
    yield "html", html.escape(value)
    yield "hex", raw.hex()
    for shift in range(3):
        text = base64.b64encode(b"-" * shift + raw).decode()
        yield "base64", text[-(-8 * shift // 6) : len(text) - 4]
        yield "base64", base64.urlsafe_b64encode(b"-" * shift + raw).decode()[-(-8 * shift // 6) : -4]
    if len(value) >= 24:
        yield "beginning", value[:20]
        yield "end", value[-20:]


class Search:
    """For every plant of a garden, in every form."""

    def __init__(self, garden: Garden) -> None:
        self._garden = garden
        self._made: dict[bool, tuple[tuple[Plant, ...], AhoCorasick, list[tuple[str, Plant, str]]]] = {}

    def found(self, text: str, *, secrets_only: bool = False) -> Iterator[tuple[Plant, str]]:
        """Each plant that is in it, with the forms in which it is."""
        search, forms = self._of_now(secrets_only)
        found: dict[Plant, set[str]] = {}
        for how, one in (("", text), (", over lines", re.sub(r"\s+|\\+[nrt]", "", text))):
            for n in {match[0] for match in search.find_matches_as_indexes(one, overlapping=True)}:
                shown, plant, form = forms[n]
                if not how or shown not in text:
                    found.setdefault(plant, set()).add(form + how)
        for plant, hows in found.items():
            whole = {how for how in hows if not how.startswith(("beginning", "end"))}
            yield from ((plant, how) for how in sorted(whole or hows))

    def _of_now(self, secrets_only: bool) -> tuple[AhoCorasick, list[tuple[str, Plant, str]]]:
        """Made anew when more was planted."""
        plants = tuple(plant for plant in self._garden.plants if not secrets_only or plant.kind == "secret")
        if (made := self._made.get(secrets_only)) is not None and made[0] == plants:
            return made[1:]
        forms: dict[str, tuple[str, Plant, str]] = {}
        for plant in plants:
            for form, shown in disguises(plant.value):
                forms.setdefault(shown, (shown, plant, form))
        search = AhoCorasick(list(forms), matchkind=MatchKind.Standard)
        self._made[secrets_only] = (plants, search, list(forms.values()))
        return search, list(forms.values())


# ── data of a type ───────────────────────────────────────────────────────────────────────────────

_SHORT: tuple[Callable[[Garden], str], ...] = (
    lambda garden: f"canary {garden.word()}",
    lambda garden: garden.word(),
    lambda garden: garden.digits(4),
    lambda garden: garden.digits(8),
    Garden.email,
    Garden.card,
    Garden.iban,
    Garden.phone,
    lambda garden: "A1",
    lambda garden: "DE",
    lambda garden: "EUR",
    lambda garden: "1.50",
    lambda garden: "2026-01-02",
    lambda garden: "2026-01-02T03:04:05Z",
    lambda garden: f"https://{garden.word()}.example/",
    lambda garden: "00000000-0000-4000-8000-" + garden.digits(12),
    lambda garden: "203.0.113.7",
    lambda garden: f"#{garden.digits(4)}",
)
"""Tried in turn where a type takes no sentence."""

_FORMATS: dict[str, Callable[[Garden], str]] = {
    "email": Garden.email,
    "date": lambda garden: "2026-01-02",
    "date-time": lambda garden: "2026-01-02T03:04:05Z",
    "time": lambda garden: "03:04:05Z",
    "duration": lambda garden: "PT1H",
    "uuid": lambda garden: "00000000-0000-4000-8000-" + garden.digits(12),
    "uri": lambda garden: f"https://{garden.word()}.example/",
    "ipv4": lambda garden: "203.0.113.7",
    "ipv6": lambda garden: "2001:db8::1",
    "binary": lambda garden: garden.word(),
    "base64": lambda garden: "Y2FuYXJ5",
    "base64url": lambda garden: "Y2FuYXJ5",
}
_MOST_TRIES = 60


class Maker:
    """Data of a type, by its JSON Schema. `turn` chooses among alternatives, so that several rounds see
    several of them."""

    def __init__(self, garden: Garden, turn: int) -> None:
        self._garden = garden
        self._turn = turn

    def unchecked(self, schema: Mapping[str, Any], where: str, tries: int) -> str:
        """JSON text of it that nobody has looked at; simpler with each try."""
        return json.dumps(_Data(self._garden, schema, self._turn, where, _Everywhere(tries)).of(schema, ()))

    def made(self, schema: Mapping[str, Any], where: str, load: Callable[[str], Any]) -> str:
        """JSON text that `load` takes. Raises UsageError where no such text was found."""
        simpler: dict[tuple[Any, ...], int] = {}
        for _ in range(_MOST_TRIES):
            before = len(self._garden.plants)
            value = _Data(self._garden, schema, self._turn, where, simpler).of(schema, ())
            text = json.dumps(value)
            try:
                load(text)
            except ValidationError as error:
                del self._garden.plants[before:]
                for one in error.errors(include_url=False, include_context=False, include_input=False):
                    place = _place(one["loc"], value)
                    simpler[place] = simpler.get(place, 0) + 1
            except ValueError:
                break
            else:
                return text
        raise UsageError(
            f"the canary found no data that {where} takes",
            why="its type has rules of its own that no JSON Schema tells",
            remedy="Give an example with --input FILE, or call the real tools with --real-tools.",
        )


class _Everywhere(dict[tuple[Any, ...], int]):
    def __init__(self, tries: int) -> None:
        super().__init__()
        self._tries = tries

    def get(self, place: Any, default: Any = 0) -> Any:
        return self._tries


def _place(loc: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    """An error's place in the data: pydantic also names the branches of unions on the way."""
    place: list[Any] = []
    for part in loc:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_list or (isinstance(value, dict) and part in value):
            value = value[part]
            place.append(part)
    return tuple(place)


class _Data:
    def __init__(
        self,
        garden: Garden,
        root: Mapping[str, Any],
        turn: int,
        where: str,
        simpler: Mapping[tuple[Any, ...], int],
    ) -> None:
        self._garden = garden
        self._root = root
        self._turn = turn
        self._where = where
        self._simpler = simpler

    def of(self, schema: Mapping[str, Any], place: tuple[Any, ...]) -> Any:
        if len(place) > 12:
            return None  # a type that holds itself
        tries = self._simpler.get(place, 0)
        if "$ref" in schema:
            return self.of(self._referred(schema["$ref"]), place)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][(self._turn + tries) % len(schema["enum"])]
        for word in ("anyOf", "oneOf"):
            if word in schema:
                branches = [one for one in schema[word] if one.get("type") != "null"] or schema[word]
                if tries > len(branches) and len(branches) < len(schema[word]):
                    return None
                return self.of(branches[(self._turn + tries) % len(branches)], place)
        if "allOf" in schema:
            whole: dict[str, Any] = {}
            for one in schema["allOf"]:
                part = self._referred(one["$ref"]) if "$ref" in one else one
                fields = {**whole.get("properties", {}), **part.get("properties", {})}
                whole = {**whole, **part, "properties": fields}
            return self.of(whole, place)
        kind = schema.get("type")
        match kind[0] if isinstance(kind, list) else kind:
            case "string":
                return self._text(schema, tries)
            case "integer" | "number":
                return self._number(schema, 1) + (tries if "maximum" not in schema else 0)
            case "boolean":
                return (self._turn + tries) % 2 == 0
            case "null":
                return None
            case "array":
                size = max(1, schema.get("minItems", 0))
                items = schema.get("prefixItems")
                if items is not None:
                    return [self.of(one, (*place, n)) for n, one in enumerate(items)]
                return [self.of(schema.get("items", {}), (*place, n)) for n in range(size)]
            case _ if "properties" in schema or kind == "object":
                fields = schema.get("properties", {})
                found = {name: self.of(one, (*place, name)) for name, one in fields.items()}
                more = schema.get("additionalProperties")
                if not found and isinstance(more, dict):
                    found["canary"] = self.of(more, (*place, "canary"))
                return found
            case _:
                return self._text({}, tries)

    def _referred(self, ref: str) -> Mapping[str, Any]:
        found: Any = self._root
        for part in ref.removeprefix("#/").split("/"):
            found = found[part]
        return found  # type: ignore[no-any-return]

    def _text(self, schema: Mapping[str, Any], tries: int) -> str:
        most = schema.get("maxLength", 10_000)
        if (make := _FORMATS.get(schema.get("format", ""))) is not None and not tries:
            return make(self._garden)
        if (pattern := schema.get("pattern")) is not None and tries < 3:
            fits = fitting(pattern, self._garden.chance)
            if fits is not None and len(fits) <= most:
                return fits
        if not tries and pattern is None:
            if most >= 400:
                return self._garden.text(self._where)
            if most >= 48:
                return f"canary {self._garden.one('email', self._where)}"
        return _SHORT[tries % len(_SHORT)](self._garden)[:most].ljust(schema.get("minLength", 0), "x")

    def _number(self, schema: Mapping[str, Any], usual: int) -> int:
        least = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        most = schema.get("maximum", schema.get("exclusiveMaximum", 1 << 53))
        number = min(max(usual + self._turn, least), most)
        step = schema.get("multipleOf")
        return int(number if not step else -(-number // step) * step)
