"""Makes the training examples from the templates: `python -m training.examples` shows some of them.

A template is a line of `templates/`: `{slots}` are filled from `words`, `[a|b]` is one of its choices, and
`{o}` is "order SD-1234" in one of the ways in which people write that, or just "my order" where the mail
names none. Around it come greetings, sentences that say nothing, phone numbers and invoices (which are no
order numbers), signatures, haste and typing errors. Same seed, same examples, on every machine.

One template in ten is held out: no wording of it is ever trained on.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import words as w

TEMPLATES = Path(__file__).parent / "templates"
WISHES = ("track", "cancel", "refund", "address", "return", "exchange")
INTENTS = (*WISHES, "other")
NONE = "SD-0000"
OVERLAP = (
    {"refund", "return"},
    {"return", "exchange"},
    {"cancel", "refund"},
    {"cancel", "return"},
    {"refund", "exchange"},
    {"cancel", "exchange"},
)
"""Wishes that may be one wish when they are about one order; as two wishes they need two orders."""


@dataclass(frozen=True)
class Example:
    intent: str
    number: str
    """`SD-1234`, or NONE."""
    subject: str
    text: str
    held_out: bool = False


@dataclass(frozen=True)
class Template:
    intent: str
    text: str
    kind: str

    @property
    def held_out(self) -> bool:
        return hashlib.sha256(self.text.encode()).digest()[0] % 10 == 0


@cache
def templates() -> dict[str, list[Template]]:
    """By kind: a wish, other, injections, foreign, neutral, stories:WISH."""
    found: dict[str, list[Template]] = {}
    for path in sorted(TEMPLATES.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            kind, intent, text = path.stem, path.stem, line
            if path.stem in ("stories", "asks", "situations"):
                intent, text = (part.strip() for part in line.split("|", 1))
                kind = f"{path.stem}:{intent}"
            if intent not in INTENTS:
                intent = "other"
            found.setdefault(kind, []).append(Template(intent, text, kind))
    return found


def digest() -> str:
    """Of all templates: which weights belong to which examples."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(TEMPLATES.glob("*.txt")))).hexdigest()


def written(number: str, chance: random.Random) -> str:
    """An order number as people write it, with its prefix."""
    digits = number[3:]
    if chance.random() < 0.6:
        return number
    forms = ["SD {}", "sd-{}", "sd{}", "SD{}", "SD\u2013{}", "#{}", "sd {}", "SD-{}", "#SD-{}", "SD - {}"]
    return chance.choice(forms).format(digits)


def order_phrase(number: str, chance: random.Random) -> str:
    if number == NONE:
        return chance.choice(
            ["my order", "the order", "my last order", "my order", "my order", "my purchase", "it"]
        )
    digits = number[3:]
    bare = [
        "order {}",
        "order no. {}",
        "order number {}",
        "order nr. {}",
        "my order {}",
        "order #{}",
        "order: {}",
    ]
    if chance.random() < 0.25:
        return chance.choice(bare).format(digits)
    forms = [
        "order {}",
        "my order {}",
        "{}",
        "the order {}",
        "order no. {}",
        "my order ({})",
        "order number {}",
    ]
    return chance.choice(forms).format(written(number, chance))


class Writer:
    """Writes one mail after another. `train`: from the templates to train on, else the held-out."""

    def __init__(self, seed: int, *, train: bool = True) -> None:
        self.chance = random.Random(seed)
        self.train = train
        self._place: dict[str, list[Template]] = {}

    # ── parts ──

    def template(self, kind: str) -> Template:
        """The next one of a shuffled round, so that every template comes equally often."""
        if not self._place.get(kind):
            found = [one for one in templates()[kind] if one.held_out != self.train]
            if not found or kind == "neutral" or kind.startswith("situations"):
                found = templates()[kind][:]  # these say nothing about the wish
            self.chance.shuffle(found)
            self._place[kind] = found
        return self._place[kind].pop()

    def number(self) -> str:
        one = self.chance
        return f"SD-{one.randint(1001, 1999) if one.random() < 0.6 else one.randint(1001, 9989)}"

    def address(self) -> str:
        one = self.chance
        street, house = one.choice(w.STREETS), one.randint(1, 140)
        city, code = one.choice(w.CITIES), one.choice([f"{one.randint(1000, 99999)}", self.postcode()])
        forms = [
            f"{house} {street}, {code} {city}",
            f"{street} {house}, {code} {city}",
            f"{street} {house}, {city}",
        ]
        text = one.choice(forms)
        if one.random() < 0.15:
            text = f"{one.choice(w.NAMES)}, {text}"
        return f"flat {one.randint(1, 30)}, {text}" if one.random() < 0.12 else text

    def postcode(self) -> str:
        one = self.chance
        letters = "ABCDEFGHLNPRSTW"
        return (
            f"{one.choice(letters)}{one.choice(letters)}{one.randint(1, 20)} {one.randint(1, 9)}"
            f"{one.choice(letters)}{one.choice(letters)}"
        )

    def slot(self, name: str, number: str, other: str) -> str:
        one = self.chance
        match name:
            case "o":
                return order_phrase(number, one)
            case "n":
                return written(number, one) if number != NONE else "my order"
            case "n2":
                return written(other, one)
            case "item" | "item2":
                return one.choice(w.ITEMS)
            case "items":
                return one.choice(w.PLURALS)
            case "color" | "color2":
                return one.choice(w.COLORS)
            case "color_c":
                return one.choice(w.COLORS).capitalize()
            case "size" | "size2":
                return one.choice(w.SIZES)
            case "material":
                return one.choice(w.MATERIALS)
            case "material2":
                return one.choice(w.DULL)
            case "person":
                return "my " + one.choice(w.PEOPLE) if one.random() < 0.5 else one.choice(w.NAMES).split()[0]
            case "person_c":
                return "My " + one.choice(w.PEOPLE)
            case "day":
                return one.choice(w.DAYS)
            case "date" | "date2":
                day, month = one.randint(1, 28), one.choice(w.MONTHS)
                return one.choice(
                    [f"{day} {month}", f"{month} {day}", f"{day}.{one.randint(1, 12)}.", f"the {day}th"]
                )
            case "city" | "city2":
                return one.choice(w.CITIES)
            case "country":
                return one.choice(w.COUNTRIES)
            case "street":
                return one.choice(w.STREETS)
            case "house":
                return str(one.randint(2, 99))
            case "zip":
                return one.choice([self.postcode(), str(one.randint(10000, 99999))])
            case "addr":
                return self.address()
            case "name":
                return one.choice(w.NAMES)
            case "carrier":
                return one.choice(w.CARRIERS)
            case "money" | "money2":
                euros, cents = one.randint(8, 390), one.choice([0, 50, 90, 95])
                return one.choice(["{}.{:02d} EUR", "€{}.{:02d}", "{}.{:02d} euros", "{},{:02d} €"]).format(
                    euros, cents
                )
            case "clock":
                return one.choice(["half past six", "seven", "9 pm", "18:40", "nearly eight"])
            case "phone":
                return f"0{one.randint(100, 999)} {one.randint(1000, 9999)} {one.randint(100, 999)}"
            case "invoice":
                return one.choice(["INV-{}", "RE-{}", "2026-{}", "{}"]).format(one.randint(10000, 99999))
            case "customer":
                return str(one.randint(10000, 999999))
            case "tracking":
                return f"{one.choice(['GP', 'NL', 'PT'])}{one.randint(10**8, 10**9)}"
            case "code":
                return one.choice(["WINTER10", "X7731", "HELLO5", "AB-22"])
            case "quantity":
                return str(one.randint(2, 12))
        raise KeyError(name)

    def fill(self, text: str, number: str, other: str = NONE) -> str:
        text = re.sub(r"\[([^\[\]]*\|[^\[\]]*)\]", lambda m: self.chance.choice(m[1].split("|")), text)
        filled: dict[str, str] = {}
        goods = self.slot("item", number, other)

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name == "item":
                return goods
            if name not in filled:
                filled[name] = self.slot(name, number, other)
                twin = name.removesuffix("2")
                if twin != name and filled.get(twin) == filled[name]:
                    filled[name] = self.slot(name, number, other)
            return filled[name]

        text = re.sub(r"\b([Mm]y) \{person\}", lambda m: f"{m[1]} {self.chance.choice(w.PEOPLE)}", text)
        text = re.sub(r"\{(\w+)\}", value, text)
        return re.sub(r"\ba (?=[aeiou])", "an ", text)

    # ── whole mails ──

    def one_wish(self, kind: str) -> Example:
        one = self.chance
        template = self.template(kind)
        names_one = "{n}" in template.text or one.random() < (0.78 if template.intent != "other" else 0.5)
        number = self.number() if (names_one and kind != "foreign") or "{n}" in template.text else NONE
        other = self.number() if "{n2}" in template.text else NONE
        core = self.fill(template.text, number, other)
        wish = template.intent
        if kind.startswith("asks:"):
            about = [self.fill(self.template(f"situations:{wish}").text, number) for _ in range(2)]
            core = one.choice(["{0}", "{0}", "{1} {0}", "{1} {0}", "{0} {1}", "{1} {2} {0}"]).format(
                core, *about
            )
        elif wish != "other" and one.random() < 0.25:  # the same wish said twice, in other words
            more = self.template(one.choice([wish, f"asks:{wish}"]))
            if not (
                ("{n}" in more.text and number == NONE)
                or ("{addr}" in more.text and "{addr}" in template.text)
            ):
                core += " " + self.fill(more.text, number if one.random() < 0.3 else NONE)
        if number != NONE and number[3:] not in core and one.random() < 0.35:
            core = self.placed(core, number)
        said = number == NONE or number[3:] in core
        label = NONE if other != NONE else number
        bare = kind in ("injections", "foreign") or len(template.text) < 12
        return self.finish(wish, label, core, said, bare=bare, long=kind.startswith("stor"))

    def placed(self, core: str, number: str) -> str:
        """With the number in the middle of it: "the lamp from SD-1234"."""
        link = self.chance.choice(
            ["{} from {}", "{} of {}", "{} in {}", "{} ({})", "{} from order {}", "{}, {},"]
        )
        goods = "|".join(map(re.escape, sorted({*w.ITEMS, *w.PLURALS}, key=len, reverse=True)))
        told = written(number, self.chance)
        return re.sub(
            rf"\b(?:the|my|your) (?:{goods})\b(?!')", lambda m: link.format(m[0], told), core, count=1
        )

    def no_wish(self) -> Example:
        """What has happened, and nobody says what should be done about it."""
        one = self.chance
        wish = one.choice(["refund", "return", "exchange", "refund"])
        number = self.number() if one.random() < 0.6 else NONE
        core = " ".join(
            self.fill(self.template(f"situations:{wish}").text, number) for _ in range(one.randint(1, 2))
        )
        return self.finish("other", number, core, number == NONE or number[3:] in core)

    def two_wishes(self) -> Example:
        one = self.chance
        first, second = one.sample(WISHES, 2)
        number = self.number() if one.random() < 0.7 else NONE
        apart = {first, second} in OVERLAP or one.random() < 0.3
        other = self.number() if apart and one.random() < 0.5 else NONE
        links = [
            "Also: {}",
            "And another thing: {}",
            "Besides, {}",
            "Secondly: {}",
            "PS: {}",
            "By the way, {}",
            "2) {}",
        ]
        if apart:
            links = [
                "For another order of mine: {}",
                "Now to my other order: {}",
                "As to the older order: {}",
            ]
        first, second = (one.choice([wish, f"asks:{wish}"]) for wish in (first, second))
        core = self.fill(self.template(first).text, number)
        more = self.fill(self.template(second).text, other)
        if not apart and one.random() < 0.3:
            links = ["And {}", "{}", "and {}"]
        core += one.choice([" ", "\n\n", "\n"]) + one.choice(links).format(more)
        return self.finish(
            "other", NONE if other != NONE else number, core, number == NONE or one.random() < 0.5
        )

    def finish(
        self, intent: str, number: str, core: str, said: bool, *, bare: bool = False, long: bool = False
    ) -> Example:
        """Subject, greeting, the number where the core does not say it, what else people write, haste."""
        one = self.chance
        subject = self._subject(intent)
        before, after = self._neutral(0.3 if not long else 0.15), self._neutral(0.3 if not long else 0.15)
        if one.random() < 0.07:
            before, after = self._neutral(1) + self._neutral(1) + before, after + self._neutral(1)
        if bare:
            before, after = [], []
        end = ""
        if not said and number != NONE:
            told = written(number, one)
            match one.randrange(5):
                case 0 | 1:
                    subject = one.choice(
                        ["{1}", "{0} {1}", "{0} ({1})", "Order {1}", "{1} {0}", "Re: Order {1}"]
                    ).format(subject, told)
                case 2:
                    after.append(
                        one.choice(
                            [
                                "Order number: {}.",
                                "It's order {}.",
                                "The number is {}.",
                                "Order: {}",
                                "({})",
                                "{}.",
                            ]
                        ).format(told)
                    )
                case 3:
                    before.insert(
                        0,
                        one.choice(["Order {}.", "This is about order {}.", "Regarding {}:", "{}:"]).format(
                            told
                        ),
                    )
                case 4:
                    end = "\n" + one.choice(["{}", "Order {}", "order no. {}", "(order {})"]).format(told)
        body = " ".join([*before, core, *after])
        parts = [body]
        if one.random() < 0.6 and not bare:
            parts.insert(0, one.choice(w.GREETINGS))
        if one.random() < 0.6 and not bare:
            parts.append(one.choice(w.THANKS))
        if one.random() < 0.45 and not bare:
            parts.append(one.choice(w.NAMES) if one.random() < 0.6 else one.choice(w.NAMES).split()[0])
        text = one.choice([" ", "\n", "\n\n"]).join(parts) + end
        subject, text = self._haste(subject, text)
        return Example(intent, number, subject[:200], text[:3900], held_out=not self.train)

    def _subject(self, intent: str) -> str:
        one = self.chance
        if one.random() < 0.5:
            return one.choice(w.PLAIN_SUBJECTS)
        return one.choice(w.SUBJECTS[intent].split("|"))

    def _neutral(self, likely: float) -> list[str]:
        if self.chance.random() >= likely:
            return []
        return [self.fill(self.template("neutral").text, NONE) for _ in range(self.chance.randint(1, 2))]

    def _haste(self, subject: str, text: str) -> tuple[str, str]:
        one = self.chance
        style = one.random()
        if style < 0.14:  # a phone, no shift key
            text, subject = text.lower(), subject.lower()
            if one.random() < 0.6:
                text = " ".join(self._shorten(word) for word in text.split(" "))
            if one.random() < 0.4:
                text = re.sub(r"[.,;:'](?=\s|$)|(?<=\w)'(?=\w)", "", text)
        elif style < 0.17:
            text = text.upper()
        elif style < 0.22:  # another mother tongue
            text = re.sub(r"\b(the|a|an) ", lambda m: m[0] if one.random() < 0.4 else "", text)
        elif style < 0.27:
            text = text.replace("'", "\u2019")
        elif style < 0.33:
            text = (
                text.replace("'m", " am")
                .replace("'ve", " have")
                .replace("n't", " not")
                .replace("'d like", " would like")
            )
        elif style < 0.36:
            text = text.replace(". ", "!! ").rstrip(".") + one.choice(["!", "!!!", "!!", "??"])
        if one.random() < 0.22:
            text = re.sub(
                r"[A-Za-z]{4,}", lambda m: self._mistype(m[0]) if one.random() < 0.05 else m[0], text
            )
        if one.random() < 0.02:
            text = text.replace("\n", "<br>\n") + "&nbsp;"
        return subject, text

    def _shorten(self, word: str) -> str:
        if word in w.SHORT and self.chance.random() < 0.4:
            return self.chance.choice(w.SHORT[word])
        return word

    def _mistype(self, word: str) -> str:
        one = self.chance
        at = one.randrange(1, len(word) - 1)
        match one.randrange(4):
            case 0:
                return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            case 1:
                return word[:at] + word[at + 1 :]
            case 2:
                return word[:at] + word[at] + word[at:]
            case _:
                return word[:at] + one.choice("aeinorst") + word[at + 1 :]


def examples(
    count: int, seed: int = 1, *, train: bool = True, without: tuple[str, ...] = ()
) -> Iterator[Example]:
    """`count` examples, three in ten of them without one of the wishes. `without`: kinds to leave out."""
    writer = Writer(seed, train=train)
    shares = {"": 5.5, "asks:": 9.5, "stories:": 2.2}
    kinds = [(f"{part}{wish}", share) for part, share in shares.items() for wish in WISHES]
    kinds += [
        ("other", 12.0),
        ("other_asks", 8.0),
        ("stories:other", 2.0),
        ("injections", 2.5),
        ("foreign", 2.5),
    ]
    kinds += [("two", 6.0), ("none", 1.7)]
    kinds = [(kind, share) for kind, share in kinds if kind not in without]
    names, weights = zip(*kinds, strict=True)
    seen: set[str] = set()
    while len(seen) < count:
        kind = writer.chance.choices(names, weights)[0]
        if not train and kind in templates() and not any(one.held_out for one in templates()[kind]):
            continue
        made = (
            writer.two_wishes()
            if kind == "two"
            else writer.no_wish()
            if kind == "none"
            else writer.one_wish(kind)
        )
        if made.text not in seen:
            seen.add(made.text)
            yield made


def main() -> None:
    for one in examples(20, seed=99):
        print(json.dumps([one.intent, one.number, one.subject, one.text], ensure_ascii=False))


if __name__ == "__main__":
    main()
