"""Provenance: whose words stand in a call's arguments?

What a tool that is declared `untrusted` returned is remembered for the run, word by word. An effect asks a
person when one of its arguments shares text with that: the whole of a short value, any three words in a row,
any address, number or identifier, however it is spaced, cased or punctuated. Words can also be washed: a
model that has read such text may translate it, or put it in words of its own. So where a model makes the
call in a conversation that holds untrusted text, each of its arguments must stand, word for word, in what
the conversation got from trusted sides, or a person is asked; and what a step that held such a conversation
gives to later steps counts as untrusted wherever it does not stand in what the step was given. A rule
`accept(tool, "field")` says that this field may carry anything. The model is never asked for its opinion.

Pure: built from a run's state, the same on every replay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

    def __init__(self) -> None:
        self._runs: dict[tuple[str, ...], str] = {}
        """One, two, three or MANY words in a row -> the source that first had them."""
        self._names: dict[tuple[str, ...], str] = {}
        """Whole values of one or two words that are long enough to be told from any other."""
        self._close: list[tuple[str, str]] = []
        """(source, text without anything but letters and digits)."""

    def __bool__(self) -> bool:
        return bool(self._close)

    def add(self, source: str, value: Any) -> None:
        """All texts and numbers in a JSON value, and the keys of its objects."""
        for text in _leaves_and_keys(value):
            words = _words(text)
            if not words:
                continue
            for length in (1, 2, 3, MANY):
                for run in _in_a_row(words, length):
                    self._runs.setdefault(run, source)
            if len(words) <= 2 and len(text) >= LONG:
                self._names.setdefault(tuple(words), source)
            self._close.append((source, _close(text)))

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
        close = _close(text)
        if len(close) >= LONG:
            for source, other in self._close:
                if close in other:
                    return source
        return None

    def source_of_whole(self, text: str) -> str | None:
        """Who wrote this text, if one of these: all of it, or MANY words of it in a row."""
        words = _words(text)
        for run in [tuple(words)] if 0 < len(words) <= 3 else _in_a_row(words, MANY):
            if source := self._runs.get(run):
                return source
        close = _close(text) if 3 < len(words) <= MANY else ""
        return next((source for source, other in self._close if close and close in other), None)

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
        self._untrusted = frozenset(name for name, tool in tools.items() if tool.untrusted)
        self._texts = Texts()
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
                    self._texts.add(source, loads(call.result))
                elif call.error is not None:
                    self._texts.add(source, [call.error.get("what", ""), call.error.get("why", "")])
        if self._texts:
            self._add_outputs(state)
        return self._texts

    def learn(self, source: str, value: Any) -> None:
        """What a model said in a conversation that holds untrusted text, as far as nobody trusted said it."""
        self._texts.add(source, value)

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
            trusted, foreign = sorted_by(self._texts, given)
            if name not in met and not foreign:
                continue
            self._seen.add(mark)
            for call in state.calls.values():
                if call.step == name and call.status == "returned" and call.tool not in self._untrusted:
                    trusted.add(call.tool, loads(call.result))
            for text in leaves(loads(step.output)):
                if not trusted.holds(text):
                    self._texts.add(mark, text)


class Conversation:
    """One ask: what it got from trusted sides, and whether anything else has come into it."""

    def __init__(self, provenance: Provenance, state: RunState, instructions: str, data: Any) -> None:
        self._provenance = provenance
        self._trusted, foreign = sorted_by(provenance.untrusted(state), [data])
        self._trusted.add("instructions", instructions)
        self.read: str | None = foreign
        """The untrusted source that it holds text of."""

    def hears(self, tool: str, said: Any) -> None:
        """A tool's answer, or its refusal, goes to the model."""
        if self._provenance.distrusts(tool):
            self.read = self.read or tool
        else:
            self._trusted.add(tool, said)

    def answers(self, step: str, value: Any) -> None:
        """The model's answer goes to the step's own code."""
        if self.read is not None:
            for text in leaves(value):
                if not self._trusted.holds(text):
                    self._provenance.learn(f"the answer in {step}", text)

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
    accepted = {name for rule in rules if rule.kind == "accept" and rule.tool is tool for name in rule.fields}
    found = []
    for name, value in args.items():
        if name in accepted:
            continue
        for path, text in _paths(name, value):
            source = untrusted.source_of_part(text)
            if source is None and conversation is not None and not conversation.stands(text):
                source = f"the model, after it had read {conversation.read}"
            if source is not None:
                found.append(Carried(path, source, text[:SHOWN]))
    return found


def sorted_by(untrusted: Texts, values: Iterable[Any]) -> tuple[Texts, str | None]:
    """The texts that nobody untrusted wrote, and the source of the first that somebody did."""
    trusted, foreign = Texts(), None
    for value in values:
        for text in _leaves_and_keys(value):
            source = untrusted.source_of_whole(text) if untrusted else None
            if source is None:
                trusted.add("", text)
            else:
                foreign = foreign or source
    return trusted, foreign


# ── texts in JSON ────────────────────────────────────────────────────────────────────────────────


def leaves(value: Any) -> Iterator[str]:
    """The texts and numbers of a JSON value. True, false and null are nobody's words."""
    for _, text in _paths("", value):
        yield text


def _leaves_and_keys(value: Any) -> Iterator[str]:
    yield from leaves(value)
    queue = [value]
    while queue:
        match queue.pop():
            case dict() as found:
                yield from found
                queue += found.values()
            case list() | tuple() as found:
                queue += found
            case _:
                pass  # a leaf


def _paths(path: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case None | bool():
            return
        case str():
            yield path, value
        case dict():
            for key, item in value.items():
                yield from _paths(f"{path}.{key}", item)
        case list() | tuple():
            for number, item in enumerate(value):
                yield from _paths(f"{path}.{number}", item)
        case float() if value.is_integer():
            yield path, dumps(int(value))
        case _:
            yield path, dumps(value)


_WORD = re.compile(r"\S+")
_EDGES = re.compile(r"^\W+|\W+$")


def _words(text: str) -> list[str]:
    """Case, width of letters and punctuation around a word tell nothing of who wrote it. Invisible characters
    are left out: they are how text is hidden."""
    found = []
    for match in _WORD.finditer(_plain(text)):
        word = _EDGES.sub("", match[0])
        if word:
            found.append(_number(word))
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


def _tells(word: str) -> bool:
    """An address, a number, an identifier: alone it says whose it is."""
    return any(c.isdigit() or c in "@/\\_" for c in word) or ("." in word and len(word) >= 4)


def _close(text: str) -> str:
    return "".join(c for c in _plain(text) if c.isalnum())


def _in_a_row(words: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    for start in range(len(words) - length + 1):
        yield tuple(words[start : start + length])
