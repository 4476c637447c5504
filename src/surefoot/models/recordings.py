"""Recordings: what a model answered, found again by everything that it was asked.

The key of a turn is the digest of the canonical request: model, instructions, messages, tool schemas, output
schema, limits. So a recording answers exactly the question that was asked when it was made, and nothing else:
a request that it does not hold is a miss, never a guess and never sent anywhere. Equal requests are answered
in the order in which they were recorded, each once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any, Literal

from ..core.error_view import error_of, view_of
from ..core.jsons import canonical
from ..core.model import (
    Bound,
    Model,
    ModelAnswer,
    ModelRequest,
    ProposedCall,
    Tokens,
)
from ..errors import ModelError, ModelRefused

Drift = Literal["model", "prompt", "input", "tool_schema", "tool_result", "output_schema", "settings"]
"""What part of a request changed since it was recorded."""

ORDER: tuple[str, ...] = ("model", "instructions", "tools", "output", "max_tokens", "messages")


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and how it was answered. `answer` or `error` is None."""

    step: str
    request: dict[str, Any]
    answer: ModelAnswer | None = None
    error: dict[str, Any] | None = None
    charged: bool = True

    @property
    def key(self) -> str:
        return key_of(self.request)

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"step": self.step, "key": self.key, "request": self.request}
        if self.answer is not None:
            found["answer"] = _answer_json(self.answer)
        else:
            found |= {"error": self.error, "charged": self.charged}
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Turn:
        """Raises ValueError, KeyError, TypeError for what is none."""
        answer = found.get("answer")
        turn = cls(
            str(found["step"]),
            dict(found["request"]),
            None if answer is None else _answer_of(answer),
            found.get("error"),
            bool(found.get("charged", True)),
        )
        if found.get("key", turn.key) != turn.key:
            raise ValueError(f"a request of step {turn.step!r} is not the one that its key was made of")
        return turn


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that nobody recorded. `nearest` is the step of the recorded one most like it, `path` the
    first place where they differ; both are empty where nothing was recorded for this step."""

    step: str
    request: dict[str, Any]
    nearest: str
    path: str
    drift: Drift | None
    recorded: str
    asked: str


class Cassette:
    """The turns of one scenario on their way out, each once. What is left over at the end was not asked."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = tuple(turns)
        self.misses: list[Miss] = []
        self._by_key: dict[str, list[int]] = {}
        for number, turn in enumerate(self.turns):
            self._by_key.setdefault(turn.key, []).append(number)
        self._given: set[int] = set()

    def take(self, model: str, request: ModelRequest) -> Turn:
        """Raises ModelRefused for a miss, and notes it."""
        asked = request_json(model, request)
        for number in self._by_key.get(key_of(asked), ()):
            if number not in self._given:
                self._given.add(number)
                return self.turns[number]
        miss = self._miss(request.step, asked)
        self.misses.append(miss)
        if miss.drift in ("input", "tool_result") and (turn := self._in_its_place(request, asked)):
            return turn
        where = f"it differs from the nearest at {miss.path}" if miss.path else "nothing like it was recorded"
        raise ModelRefused(
            f"step {request.step!r} asked what no recording answers",
            why=where,
            remedy="Record the scenario again with `surefoot eval --record`, or run it with --live.",
        )

    def _in_its_place(self, request: ModelRequest, asked: dict[str, Any]) -> Turn | None:
        """The recorded answer at the same place in the conversation, where only the data differ that the code
        around gave: then what follows still shows what that code does. It stays a miss."""
        for number, turn in enumerate(self.turns):
            recorded = turn.request
            same = all(recorded.get(name) == asked.get(name) for name in ORDER if name != "messages")
            if (
                number not in self._given
                and turn.step == request.step
                and same
                and len(recorded.get("messages", ())) == len(asked["messages"])
            ):
                self._given.add(number)
                return turn
        return None

    @property
    def left_over(self) -> list[Turn]:
        return [turn for number, turn in enumerate(self.turns) if number not in self._given]

    def _miss(self, step: str, asked: dict[str, Any]) -> Miss:
        if all(turn.step != step for turn in self.turns):
            # No drift of what a model is told: the code around asks where it never asked before.
            return Miss(step, asked, "", "", None, "", "")
        nearest = _nearest(step, asked, [turn for n, turn in enumerate(self.turns) if n not in self._given])
        nearest = nearest or _nearest(step, asked, self.turns)
        if nearest is None:
            return Miss(step, asked, "", "", None, "", "")
        path, recorded, now = first_difference(nearest.request, asked)
        if not path:
            # The very same request, more often than it was recorded.
            return Miss(step, asked, nearest.step, "(asked once more)", None, "", "")
        return Miss(step, asked, nearest.step, path, drift_at(path, asked), recorded, now)


class Stand:
    """In front of a model: bears its name and asks its prices, and answers otherwise than by asking it."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return self._model.name

    def bound(self, request: ModelRequest) -> Bound:
        return self._model.bound(request)

    def price(self, usage: Tokens) -> int:
        return self._model.price(usage)

    async def close(self) -> None:
        await self._model.close()


class RecordedModel(Stand):
    """Answers from a cassette; the model that it stands for is never asked."""

    def __init__(self, model: Model, cassette: Cassette) -> None:
        super().__init__(model)
        self._cassette = cassette

    async def request(self, request: ModelRequest) -> ModelAnswer:
        return said_by(self._cassette.take(self.name, request))


class RecordingModel(Stand):
    """Asks `source` (the model itself, unless another one is to speak for it) and tells `heard` of each turn.
    Used by `surefoot eval --record` alone."""

    def __init__(self, model: Model, heard: Callable[[Turn], None], source: Model | None = None) -> None:
        super().__init__(model)
        self._heard = heard
        self._source = source or model

    async def request(self, request: ModelRequest) -> ModelAnswer:
        asked = request_json(self.name, request)
        try:
            answer = await self._source.request(request)
        except ModelError as error:
            self._heard(Turn(request.step, asked, error=view_of(error), charged=error.charged))
            raise
        self._heard(Turn(request.step, asked, answer))
        return answer


class RepinningModel(Stand):
    """Gives recorded answers to requests that differ from the recorded ones in one class of drift, and tells
    `heard` of the pairs, as `surefoot eval --accept-drift` writes them. What differs otherwise is a miss.
    `left` is shared by the models of one run."""

    def __init__(self, model: Model, left: list[Turn], drift: Drift, heard: Callable[[Turn], None]) -> None:
        super().__init__(model)
        self._left = left
        self._drift = drift
        self._heard = heard

    async def request(self, request: ModelRequest) -> ModelAnswer:
        asked = request_json(self.name, request)
        same = next((turn for turn in self._left if turn.key == key_of(asked)), None)
        turn = same or self._of_its_place(request, asked)
        if turn is None:
            raise ModelRefused(
                f"step {request.step!r} asked what no recording answers",
                why=f"what differs from what was recorded is not {self._drift} drift alone",
                remedy="Record the scenario again with `surefoot eval --record`.",
            )
        self._left.remove(turn)
        pinned = replace(turn, request=asked)
        self._heard(pinned)
        return said_by(pinned)

    def _of_its_place(self, request: ModelRequest, asked: dict[str, Any]) -> Turn | None:
        """Of the same step and as far into the conversation; of several the most alike."""
        here = [
            turn
            for turn in self._left
            if turn.step == request.step
            and sum(one["role"] == "assistant" for one in turn.request["messages"]) == request.turn
            and drifts(turn.request, asked) == {self._drift}
        ]
        return _nearest(request.step, asked, here)


def said_by(turn: Turn) -> ModelAnswer:
    """Raises the error that was recorded."""
    if turn.answer is not None:
        return turn.answer
    error = error_of(turn.error or {})
    if isinstance(error, ModelError):
        error.charged = turn.charged
    raise error


# ── requests and their differences ───────────────────────────────────────────────────────────────


def request_json(model: str, request: ModelRequest) -> dict[str, Any]:
    """All that the model is told, as JSON; the key is made of it."""
    return {
        "model": model,
        "instructions": request.instructions,
        "messages": [
            {"role": one.role, "text": one.text}
            | ({"calls": [[c.id, c.name, c.arguments] for c in one.calls]} if one.calls else {})
            | ({"call_id": one.call_id} if one.call_id else {})
            for one in request.messages
        ],
        "tools": [[one.name, one.description, one.input_schema] for one in request.tools],
        "output": request.output_schema,
        "max_tokens": request.max_tokens,
    }


def key_of(request: Mapping[str, Any]) -> str:
    # Half a surrogate pair, which a mail may hold, is part of the question as well.
    return hashlib.sha256(canonical(dict(request)).encode("utf-8", "surrogatepass")).hexdigest()


def first_difference(recorded: Any, asked: Any) -> tuple[str, str, str]:
    """(path, what was recorded there, what is asked now), both cut short. An empty path: they are equal."""
    for path, one, other in _differences("", recorded, asked):
        return path, _short(one, other), _short(other, one)
    return "", "", ""


def drifts(recorded: Any, asked: Mapping[str, Any]) -> set[Drift]:
    """Every class in which the two differ; a miss names the first difference alone."""
    return {drift_at(path, asked) for path, _, _ in _differences("", recorded, asked)}


def drift_at(path: str, asked: Mapping[str, Any]) -> Drift:
    head, _, rest = path.partition(".")
    match head:
        case "model":
            return "model"
        case "instructions":
            return "prompt"
        case "tools":
            return "tool_schema"
        case "output":
            return "output_schema"
        case "messages":
            number = rest.partition(".")[0]
            messages = asked.get("messages", [])
            role = (
                str(messages[int(number)]["role"]) if number.isdigit() and int(number) < len(messages) else ""
            )
            return "tool_result" if role == "tool" else "input"
        case _:
            return "settings"


def _differences(path: str, one: Any, other: Any) -> Iterable[tuple[str, Any, Any]]:
    match one, other:
        case dict(), dict():
            keys = [*one, *(key for key in other if key not in one)]
            if not path:
                keys.sort(key=lambda key: ORDER.index(key) if key in ORDER else len(ORDER))
            for key in keys:
                yield from _differences(f"{path}.{key}".lstrip("."), one.get(key), other.get(key))
        case list(), list():
            for number in range(max(len(one), len(other))):
                a = one[number] if number < len(one) else None
                b = other[number] if number < len(other) else None
                yield from _differences(f"{path}.{number}", a, b)
        case _:
            if one != other:
                yield path, one, other


def _nearest(step: str, asked: dict[str, Any], turns: Sequence[Turn]) -> Turn | None:
    """The most alike: of the same step first, then with as much in common as possible."""
    if not turns:
        return None
    text = canonical(asked)

    def likeness(turn: Turn) -> tuple[bool, int, float]:
        same = sum(turn.request.get(name) == asked.get(name) for name in ORDER)
        matcher = SequenceMatcher(None, canonical(turn.request)[:4000], text[:4000], autojunk=False)
        return turn.step == step, same, matcher.quick_ratio()

    return max(turns, key=likeness)


def _short(text: Any, other: Any) -> str:
    """Of two long texts the part where they begin to differ."""
    said: str = text if isinstance(text, str) else canonical(text)
    other = other if isinstance(other, str) else canonical(other)
    start = next(
        (n for n, (a, b) in enumerate(zip(said, other, strict=False)) if a != b), min(len(said), len(other))
    )
    start = max(start - 20, 0)
    cut = said[start : start + 80]
    return ("…" if start else "") + cut + ("…" if start + 80 < len(said) else "")


def _answer_json(answer: ModelAnswer) -> dict[str, Any]:
    found: dict[str, Any] = {"text": answer.text, "finish": answer.finish, "version": answer.version}
    if answer.calls:
        found["calls"] = [[call.id, call.name, call.arguments] for call in answer.calls]
    if answer.usage is not None:
        found["usage"] = [answer.usage.input, answer.usage.output, answer.usage.cached]
    return found


def _answer_of(found: Mapping[str, Any]) -> ModelAnswer:
    usage = found.get("usage")
    return ModelAnswer(
        text=str(found["text"]),
        calls=tuple(ProposedCall(*map(str, call)) for call in found.get("calls", ())),
        finish=found["finish"],
        usage=None if usage is None else Tokens(*usage),
        version=str(found.get("version", "")),
    )
