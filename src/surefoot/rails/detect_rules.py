"""The secret patterns of `secret_rules.txt`: read, and turned into expressions and examples.

A rule says what a secret looks like as a shape (`ghp_{w36}`), in the notation that the head of the file
explains. One shape gives three things: the letters it begins with, which the one pass over a text looks
for; the expression that is tried where those letters stand; and an example for the tests. So no pattern
can be without an example, and no example lies in the repository.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from .checks import entropy

FILE = "secret_rules.txt"

_DIGITS, _UPPER, _LOWER = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_WORD = _DIGITS + _UPPER + _LOWER

LETTERS = {
    "w": _WORD,
    "u": _WORD + "_-",
    "v": _WORD + "_",
    "t": _WORD + "-",
    "b": _WORD + "+/",
    "e": _WORD + "_-=",
    "p": _WORD + "._-=~+/",
    "d": _DIGITS,
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "x": "0123456789abcdefABCDEF",
    "l": _DIGITS + _LOWER,
    "A": _DIGITS + _UPPER,
    "s": _LOWER,
    "L": _UPPER,
    "B": _UPPER + "234567",
}
_CLASSES = {
    name: "[" + letters.replace(_DIGITS, "0-9").replace(_UPPER, "A-Z").replace(_LOWER, "a-z") + "]"
    for name, letters in LETTERS.items()
}
# Which of the two cases letters have is the least certain thing in a provider's documentation.
_CLASSES["h"], _CLASSES["l"] = _CLASSES["x"], _CLASSES["w"]
for _name, _end in (("u", "_-"), ("t", "-"), ("e", "_=-"), ("p", "._=~+/-")):
    _CLASSES[_name] = f"[0-9A-Za-z{_end}]"

_UUID = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_PIECE = re.compile(r"\{([^{}]*)\}")
_COUNTED = re.compile(r"([wuvtbepdhHxlAsLB])(\d+)(?:-(\d+))?")

DEFAULT_ENTROPY = 2.5
_MOST_HEADS = 40


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a shape: letters of a class so many times, or one of some texts."""

    letters: str = ""
    least: int = 1
    most: int = 1
    texts: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        if self.texts:
            return (
                f"(?:{'|'.join(map(re.escape, self.texts))})"
                if len(self.texts) > 1
                else re.escape(*self.texts)
            )
        if self.letters == "g":
            return _UUID
        times = f"{{{self.least}}}" if self.least == self.most else f"{{{self.least},{self.most}}}"
        return _CLASSES[self.letters] + times

    @property
    def longest(self) -> int:
        if self.texts:
            return max(map(len, self.texts))
        return 36 if self.letters == "g" else self.most

    def example(self, chance: random.Random) -> str:
        if self.texts:
            return chance.choice(self.texts)
        if self.letters == "g":
            return "-".join("".join(chance.choices("0123456789abcdef", k=size)) for size in (8, 4, 4, 4, 12))
        size = chance.randint(self.least, min(self.most, self.least + 20))
        letters = LETTERS[self.letters]
        # The last letter is never one that a sentence could have put there.
        body = "".join(chance.choices(letters, k=size))
        return body if not body or body[-1].isalnum() else body[:-1] + chance.choice(letters[:10])


def pieces_of(shape: str) -> list[Piece]:
    """Raises ValueError where the shape says something that is not in the notation."""
    found: list[Piece] = []
    last = 0
    for part in _PIECE.finditer(shape):
        if part.start() > last:
            found.append(Piece(texts=(shape[last : part.start()],)))
        last = part.end()
        inner = part[1]
        if inner == "g":
            found.append(Piece("g"))
        elif inner.startswith("?"):
            found.append(Piece(texts=(inner[1:], "")))
        elif counted := _COUNTED.fullmatch(inner):
            least = int(counted[2])
            found.append(Piece(counted[1], least, int(counted[3] or least)))
        elif inner and not inner.isspace():
            texts = ("|",) if inner == "|" else tuple(inner.split("|"))
            found.append(Piece(texts=texts))
        else:
            raise ValueError(f"{shape}: what is {{{inner}}}?")
    if last < len(shape):
        found.append(Piece(texts=(shape[last:],)))
    return found


@dataclass(frozen=True)
class Rule:
    """One line of the file."""

    id: str
    kind: str
    shape: str
    words: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    least_entropy: float = DEFAULT_ENTROPY
    allow: str = ""
    any_case: bool = False
    run: bool = False
    digit: bool = False

    @cached_property
    def pieces(self) -> list[Piece]:
        return pieces_of(self.shape)

    @cached_property
    def expression(self) -> re.Pattern[str]:
        said = "".join(piece.expression for piece in self.pieces)
        if self.near:
            # The name is half of the proof, so the letters need less care.
            return re.compile(said.replace(_CLASSES["u"], _CLASSES["e"]), re.I)
        return re.compile(said, re.I if self.any_case else 0)

    @cached_property
    def allowed(self) -> re.Pattern[str] | None:
        return re.compile(self.allow) if self.allow else None

    @cached_property
    def keywords(self) -> tuple[tuple[str, int], ...]:
        """What the one pass looks for, in small letters and with 0 for any digit, and how far at most the
        secret may begin before it (0: it begins there)."""
        if self.near:
            return tuple((plainly(word), 0) for word in self.near)
        if self.words:
            return tuple((plainly(word), self._before(word)) for word in self.words)
        if self.run:
            return ()
        heads = self.heads
        if "" in heads:
            raise ValueError(f"{self.id}: needs words= or near=, for its shape begins with no fixed letters")
        return tuple((plainly(head), 0) for head in heads)

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The fixed letters that the shape begins with, in all their variants; none where a name or another
        word leads to it."""
        if self.near or self.words or self.run:
            return ()
        heads = [""]
        for piece in self.pieces:
            if not piece.texts or len(heads) * len(piece.texts) > _MOST_HEADS:
                break
            heads = [head + text for head in heads for text in piece.texts]
        return tuple(dict.fromkeys(heads))

    @property
    def before_run(self) -> int:
        """How many signs of the shape stand before its row of letters, as the `s.` of `s.{w24}`."""
        first = self.pieces[0]
        return len(first.texts[0]) if len(first.texts) == 1 and not first.texts[0][-1].isalnum() else 0

    @property
    def run_begins(self) -> frozenset[str]:
        """The letters that its row of letters begins with."""
        piece = self.pieces[1 if self.before_run else 0]
        return frozenset(text[0] for text in piece.texts) or frozenset(LETTERS[piece.letters])

    def _before(self, word: str) -> int:
        if any(plainly(text).startswith(word) for text in self.pieces[0].texts):
            return 0
        return min(sum(piece.longest for piece in self.pieces), 400)

    def fits(self, value: str) -> bool:
        """Whether what the expression matched may be a secret, and is no example or dummy."""
        if self.allowed is not None and self.allowed.fullmatch(value):
            return False
        if self.digit and not any(sign.isdigit() for sign in value):
            return False
        return entropy(value) >= self.least_entropy

    def example(self, chance: random.Random) -> str:
        """A secret of this shape that never was anybody's."""
        while True:
            text = "".join(piece.example(chance) for piece in self.pieces)
            if self.fits(text) and self.expression.fullmatch(text):
                return text


def plainly(text: str) -> str:
    """As the search sees it: small letters, and 0 for every digit."""
    return text.lower().translate(_ZEROS)


_ZEROS = str.maketrans("123456789", "000000000")


def read_rules() -> tuple[Rule, ...]:
    """The packaged rules. Raises ValueError where a line is not one."""
    text = files("surefoot.rails").joinpath(FILE).read_text("utf-8")
    return tuple(_rules(text))


def _rules(text: str) -> Iterator[Rule]:
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, kind, shape, *options = line.split()
        said: dict[str, str] = {}
        for option in options:
            word, _, value = option.partition("=")
            said[word] = value
        unknown = said.keys() - {"words", "near", "entropy", "allow", "any", "run", "digit"}
        if unknown:
            raise ValueError(f"{name}: no option is called {', '.join(sorted(unknown))}")
        yield Rule(
            name,
            kind,
            shape,
            words=tuple(said["words"].split(",")) if said.get("words") else (),
            near=tuple(said["near"].split(",")) if said.get("near") else (),
            least_entropy=float(said.get("entropy", DEFAULT_ENTROPY)),
            allow=said.get("allow", ""),
            any_case="any" in said,
            run="run" in said,
            digit="digit" in said,
        )
