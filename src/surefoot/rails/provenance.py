"""Provenance: whose words stand in a call's arguments?

What a tool that is declared `untrusted` returned is remembered for the run, word by word. An effect asks a
person when one of its arguments shares text with that: the whole of a short value, any three words in a row,
any address, number or identifier, however it is spaced, cased or punctuated. Words can also be washed: a
model that has read such text may translate it, or turn the user's own words against them. So an effect that
a model wants in a conversation which holds untrusted text asks a person, too, whatever its arguments say.
What a tool answers to words that nobody trusted has said is not trusted either; and what a step that held
such a conversation gives to later steps counts as untrusted wherever it does not stand in what the step was
given. A rule `accept(tool, "field")` says that this field may carry anything; a call of which every field is
accepted, or the tool's own default, goes ahead. The model is never asked for its opinion.

Not seen: what a step's own code decides by what it has read (an `if` on a model's yes), and a call that code
makes of words which all stand in the request. For those there is `approve`.

Pure: built from a run's state, the same on every replay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.fold import RunState
from ..core.jsons import dumps, loads
from ..core.rule import Rule
from ..core.tool import Tool
from ..core.wiring import Plan

LONG = 8
"""Characters from which one or two words are a name worth finding inside a longer value."""
MANY = 8
"""Words in a row that are no chance: a text which has them was copied."""
COPIED = 12
"""Letters and digits in a row, whatever stands between them, that are no chance either."""
PIECE = (COPIED + 1) // 2
SHOWN = 80


@dataclass(frozen=True, slots=True)
class Carried:
    """`field` is a path such as `body` or `lines.0.note`; `source` whence the text came."""

    field: str
    source: str
    text: str

    def to_json(self) -> dict[str, str]:
        return {"field": self.field, "source": self.source, "text": self.text}


class Texts:
    """Texts of one standing, indexed so that looking a value up costs by the value's length."""

    def __init__(self, *, loose: bool = False) -> None:
        """`loose`, for finding and not for trusting: all that a number may mean, and COPIED characters."""
        self._runs: dict[tuple[str, ...], str] = {}
        """One, two, three or MANY words in a row -> the source that first had them."""
        self._names: dict[tuple[str, ...], str] = {}
        """Whole values of one or two words that are long enough to be told from any other."""
        self._close: list[tuple[str, str]] = []
        """(source, text without anything but letters and digits)."""
        self._pieces: dict[str, list[tuple[int, int]]] = {}
        """Every PIECE characters of those, end to end -> where: (number in `_close`, offset)."""
        self._loose = loose

    def __bool__(self) -> bool:
        return bool(self._close)

    def add(self, source: str, value: Any, names: Collection[str] | None = None) -> None:
        """All texts and numbers in a JSON value, and the keys of its objects other than `names` (None: than
        what may be a name)."""
        for text in _leaves_and_keys(value, names):
            self.add_text(source, text)

    def add_text(self, source: str, text: str) -> None:
        words = _words(text)
        if not words:
            return
        runs = self._runs
        for length in (1, 2, 3, MANY):
            runs.update({run: source for run in _in_a_row(words, length) if run not in runs})
        if len(words) <= 2 and len(text) >= LONG:
            self._names.setdefault(tuple(words), source)
        close = _close(text)
        if self._loose:
            for number in _readings(text):
                self._runs.setdefault((number,), source)
            for offset in range(0, len(close) - PIECE + 1, PIECE):
                places = self._pieces.setdefault(close[offset : offset + PIECE], [])
                if len(places) < 50:  # a text that repeats itself is found at its first places
                    places.append((len(self._close), offset))
        self._close.append((source, close))

    def source_of_part(self, text: str) -> str | None:
        """Whose text stands in this one, if any of these."""
        words = _words(text)
        if not words:
            return None
        for length in (3,) if len(words) > 3 else (len(words),):
            for run in _in_a_row(words, length):
                if source := self._runs.get(run):
                    return source
        for word in words:
            if _tells(word) and (source := self._runs.get((word,))):
                return source
        for length in (1, 2):
            for run in _in_a_row(words, length):
                if source := self._names.get(run):
                    return source
        for number in _readings(text):
            if source := self._runs.get((number,)):
                return source
        close = _close(text)
        if len(close) >= LONG:
            for source, other in self._close:
                if close in other:
                    return source
        return self._source_of_copied(close)

    def _source_of_copied(self, close: str) -> str | None:
        """Whose are COPIED characters in a row of this, if any. COPIED of them always hold a whole piece."""
        for start in range(len(close) - PIECE + 1):
            for number, offset in self._pieces.get(close[start : start + PIECE], ()):
                source, other = self._close[number]
                before = after = 0
                while before < min(start, offset) and close[start - before - 1] == other[offset - before - 1]:
                    before += 1
                ends = start + PIECE, offset + PIECE
                while (
                    ends[0] + after < len(close)
                    and ends[1] + after < len(other)
                    and close[ends[0] + after] == other[ends[1] + after]
                ):
                    after += 1
                if before + PIECE + after >= COPIED:
                    return source
        return None

    def source_of_whole(self, text: str) -> str | None:
        """Who wrote this text, if one of these: all of it, MANY words of it in a row, or a whole text of
        theirs inside it."""
        words = _words(text)
        for run in [tuple(words)] if 0 < len(words) <= 3 else _in_a_row(words, MANY):
            if source := self._runs.get(run):
                return source
        close = _close(text)
        for source, other in self._close:
            if (3 < len(words) <= MANY and close in other) or (len(other) >= 2 * COPIED and other in close):
                return source
        return None

    def holds(self, text: str) -> bool:
        """Whether the whole of a value stands here, in one piece."""
        words = _words(text)
        if not words:
            return True
        if len(words) <= 3:
            return tuple(words) in self._runs
        close = _close(text)
        return any(close in other for _, other in self._close)


class Provenance:
    """Of one run: what is untrusted in it so far."""

    def __init__(self, plan: Plan, tools: Mapping[str, Tool[..., Any]]) -> None:
        self._plan = plan
        self._untrusted = {
            name: names_in(tool.output.json_schema) for name, tool in tools.items() if tool.untrusted
        }
        """Untrusted tool -> the names that its author gave to the fields of its result."""
        self._texts = Texts(loose=True)
        self._input: Texts | None = None
        self._seen: set[str] = set()

    @property
    def watches(self) -> bool:
        """False where no tool is declared untrusted: then nothing is looked at."""
        return bool(self._untrusted)

    def distrusts(self, tool: str) -> bool:
        return tool in self._untrusted

    def untrusted(self, state: RunState) -> Texts:
        """What others wrote, as the journal has it now."""
        for call in state.calls.values():
            if call.id in self._seen or call.tool not in self._untrusted:
                continue
            if call.status in ("returned", "failed", "unknown"):
                self._seen.add(call.id)
                source = f"{call.tool} ({call.id})"
                if call.status == "returned":
                    self._texts.add(source, loads(call.result), self._untrusted[call.tool])
                elif call.error is not None:
                    self._texts.add(source, [call.error.get("what", ""), call.error.get("why", "")])
        if self._texts:
            self._add_outputs(state)
        return self._texts

    def learn(self, source: str, text: str) -> None:
        """What a model said in a conversation that holds untrusted text, as far as nobody trusted said it."""
        self._texts.add_text(source, text)

    def sorted_by(self, state: RunState, values: Iterable[Any]) -> tuple[Texts, str | None]:
        """The texts that nobody untrusted wrote, and the source of the first that somebody did. Whoever
        started the run is trusted, also with what somebody else repeats."""
        if self._input is None:
            self._input = Texts()
            if state.submitted is not None:
                self._input.add("input", loads(state.submitted.input))
        trusted, foreign = Texts(), None
        for value in values:
            for text in _leaves_and_keys(value):
                source = self._texts.source_of_whole(text) if self._texts else None
                if source is None or self._input.holds(text):
                    trusted.add_text("", text)
                else:
                    foreign = foreign or source
        return trusted, foreign

    def _add_outputs(self, state: RunState) -> None:
        """Steps that asked a model where untrusted text was at hand, in the order in which they feed
        each other."""
        asked = {ask.step for ask in state.asks.values()}
        met = {call.step for call in state.calls.values() if call.tool in self._untrusted}
        for name, wired in self._plan.steps.items():
            step = state.steps.get(name)
            mark = f"step {name}"
            if step is None or step.status != "finished" or name not in asked or mark in self._seen:
                continue
            given: list[Any] = [loads(state.submitted.input)] if state.submitted else []
            given += [loads(state.steps[need].output) for need in wired.needs if need in state.steps]
            trusted, foreign = self.sorted_by(state, given)
            if name not in met and not foreign:
                continue
            self._seen.add(mark)
            for call in state.calls_of.get(name, {}).values():
                if call.tool in self._untrusted or call.status != "returned":
                    continue
                if all(trusted.holds(text) for text in leaves(loads(call.args))):
                    trusted.add(call.tool, loads(call.result))
            for text in _leaves_and_keys(loads(step.output)):
                if not trusted.holds(text):
                    self._texts.add_text(mark, text)


class Conversation:
    """One ask: what it got from trusted sides, and whether anything else has come into it."""

    def __init__(self, provenance: Provenance, state: RunState, instructions: str, data: Any) -> None:
        self._provenance = provenance
        provenance.untrusted(state)
        self._trusted, foreign = provenance.sorted_by(state, [data])
        self._trusted.add("instructions", instructions)
        self.read: str | None = foreign
        """The untrusted source that it holds text of."""

    def hears(self, tool: str, arguments: Any, said: Any) -> None:
        """A tool's answer, or its own no, to these JSON arguments goes to the model. What answers to words
        that nobody trusted has said may be an echo of them."""
        if self._provenance.distrusts(tool):
            self.read = self.read or tool
        elif all(self.stands(text) for text in leaves(arguments)):
            self._trusted.add(tool, said)
        else:
            for text in leaves(said):
                if not self._trusted.holds(text):
                    self._provenance.learn(f"{tool}, asked by the model after it had read {self.read}", text)

    def answers(self, step: str, value: Any) -> None:
        """The model's answer goes to the step's own code."""
        if self.read is not None:
            for text in _leaves_and_keys(value):
                if not self._trusted.holds(text):
                    self._provenance.learn(f"step {step}", text)

    def stands(self, text: str) -> bool:
        return self.read is None or self._trusted.holds(text)


def carried(
    provenance: Provenance,
    state: RunState,
    tool: Tool[..., Any],
    args: Mapping[str, Any],
    rules: Sequence[Rule],
    conversation: Conversation | None = None,
) -> list[Carried]:
    """Where untrusted text stands in the JSON arguments of an effect. At most one finding for each value."""
    if tool.effect.value == "read" or not provenance.watches:
        return []
    untrusted = provenance.untrusted(state)
    model = f"the model, after it had read {conversation.read}" if conversation and conversation.read else ""
    accepted = {name for rule in rules if rule.kind == "accept" and rule.tool is tool for name in rule.fields}
    defaults = tool.input_schema.get("properties", {}) if model else {}
    names = names_in(tool.input_schema)
    found: list[Carried] = []
    for name, value in args.items():
        if name in accepted:
            continue
        before = len(found)
        for path, text in _paths(name, value, names):
            if source := untrusted.source_of_part(text):
                found.append(Carried(path, source, text[:SHOWN]))
        if model and len(found) == before and not _is_default(defaults.get(name), value):
            found.append(Carried(name, model, dumps(value)[:SHOWN]))
    if model and not found and not accepted & args.keys():
        found.append(Carried("the call itself", model, ""))
    return found


def _is_default(schema: Any, value: Any) -> bool:
    """What a tool's author wrote is nobody else's word."""
    return isinstance(schema, Mapping) and "default" in schema and schema["default"] == value


# ── texts in JSON ────────────────────────────────────────────────────────────────────────────────


def leaves(value: Any) -> Iterator[str]:
    """The texts and numbers of a JSON value. True, false and null are nobody's words."""
    for _, text in _paths("", value, None):
        yield text


def names_in(schema: Any) -> frozenset[str]:
    """The names of fields in a JSON Schema: an author's, and nobody's text."""
    found: set[str] = set()
    queue = [schema]
    while queue:
        match queue.pop():
            case dict() as one:
                if isinstance(own := one.get("properties"), dict):
                    found.update(own)
                queue += one.values()
            case list() as several:
                queue += several
            case _:
                pass
    return frozenset(found)


def _leaves_and_keys(value: Any, names: Collection[str] | None = None) -> Iterator[str]:
    yield from leaves(value)
    queue = [value]
    while queue:
        match queue.pop():
            case dict() as found:
                yield from (
                    key for key in found if (not key.isidentifier() if names is None else key not in names)
                )
                queue += found.values()
            case list() | tuple() as found:
                queue += found
            case _:
                pass  # a leaf


def _paths(path: str, value: Any, names: Collection[str] | None) -> Iterator[tuple[str, str]]:
    """(path, text); a key counts as text unless it is one of `names` (None: no key does)."""
    match value:
        case None | bool():
            return
        case str():
            yield path, value
        case dict():
            for key, item in value.items():
                if names is not None and key not in names:
                    yield f"{path}.{key}", key
                yield from _paths(f"{path}.{key}", item, names)
        case list() | tuple():
            for number, item in enumerate(value):
                yield from _paths(f"{path}.{number}", item, names)
        case float() if value.is_integer():
            yield path, dumps(int(value))
        case _:
            yield path, dumps(value)


_WORD = re.compile(r"\w(?:\S*\w)?")
"""What stands between spaces, without the punctuation around it."""


def _words(text: str) -> list[str]:
    """Case, width of letters and punctuation around a word tell nothing of who wrote it. Invisible characters
    are left out: they are how text is hidden."""
    found = [
        _number(word) if word[0].isdigit() and word[-1].isdigit() else word
        for word in _WORD.findall(_plain(text))
    ]
    if not found and (signs := "".join(text.split())):
        return [signs]  # such as "*" or "/": all that is said
    return found


def _plain(text: str) -> str:
    if text.isascii():
        return text.casefold()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Mn"))


def _number(word: str) -> str:
    """30.00 and 30 are one number; so are +30 and 30."""
    bare = word.replace(",", "")
    if "." in bare and bare.replace(".", "", 1).isdigit():
        bare = bare.rstrip("0").rstrip(".")
    return bare if bare.replace(".", "", 1).isdigit() else word


_FIGURES = re.compile(r"\d(?:[\d.,'\u2019\u00a0\u202f ]*\d)?")


def _readings(text: str) -> Iterator[str]:
    """What the numbers in a text may mean: 1.250,00 and 1 250 are 1250; 1.250 is that, or 1.25."""
    for match in _FIGURES.finditer(_plain(text)):
        figures = match[0]
        for part in {figures, *figures.split()}:
            parts = re.split(r"\D", part)
            yield "".join(parts).lstrip("0") or "0"
            if len(parts) > 1 and parts[-1]:
                whole, rest = "".join(parts[:-1]).lstrip("0") or "0", parts[-1].rstrip("0")
                yield f"{whole}.{rest}" if rest else whole


def _tells(word: str) -> bool:
    """An address, a number, an identifier: alone it says whose it is."""
    return any(c.isdigit() or c in "@/\\_" for c in word) or ("." in word and len(word) >= 4)


def _close(text: str) -> str:
    return "".join(c for c in _plain(text) if c.isalnum())


def _in_a_row(words: Sequence[str], length: int) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(length)), strict=False)
