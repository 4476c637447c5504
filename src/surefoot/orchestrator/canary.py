"""The canary: runs of a workflow full of values that exist nowhere else, and a search for them everywhere
that is not theirs.

Secrets are planted in the variables that the workflow names and in the providers' keys; private values and
what detectors should find in the input, in what tools answer, in what a model says, in what people write, and
in errors. The runs go to their end on a store of their own. Models are never asked, and tools not called
unless it is wished: what they would answer is made from their types, and they talk: what they are given and
give is logged and printed, as careless libraries do.

Then every place is searched where none of it may be, for every value in every disguise.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..core.clock import Clock
from ..core.events import Event
from ..core.fold import RunState
from ..core.model import Bound, ModelAnswer, ModelRequest, ProposedCall, Tokens
from ..core.private import Found
from ..core.rule import Approve, Decision, Deny, Settle
from ..core.schema import Shape
from ..core.tool import Call, Tool
from ..core.workflow import Definition
from ..errors import SurefootError
from ..rails.redaction import Private
from ..state.rows import ENDED
from ..tools.invoke import Invoker
from . import logs, spans
from .clock import SystemClock
from .listening import Listener
from .plants import KINDS, Garden, Maker, Search
from .redacting import know_environment, open_runs
from .results import Result, Waiting
from .runtime import Runtime

PROVIDER_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
ROUNDS = 3
"""Runs: two that see different alternatives of each type, and one in which every tool fails."""

LOOK = 0.3
"""Seconds after which it is looked whether a run sleeps, so that its clock can be set forward."""

PATIENCE = 300.0
"""Seconds after which a run is cancelled that does not come to its end."""

log = logging.getLogger("surefoot.canary")


@dataclass(frozen=True)
class Leak:
    """`place` where it was found, `kind` of what, `planted` where it was put, `form` how it was written."""

    place: str
    kind: str
    planted: str
    form: str


@dataclass(frozen=True)
class Flown:
    """One run: how it ended, and how many of its steps were entered."""

    run: str
    status: str
    steps: int
    error: str


@dataclass
class Report:
    workflow: str
    steps: int
    runs: list[Flown] = field(default_factory=list)
    planted: Counter[str] = field(default_factory=Counter)
    looked: dict[str, int] = field(default_factory=dict)
    """Place -> characters."""
    asked: dict[str, int] | None = None
    """What -> how many of it a visitor has looked at; None: there was none."""
    leaks: list[Leak] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "workflow": self.workflow,
            "ok": not self.leaks,
            "runs": [vars(run) for run in self.runs],
            "planted": dict(self.planted),
            "looked": self.looked,
            "asked": self.asked,
            "leaks": [vars(leak) for leak in self.leaks],
        }


class Visitor(Protocol):
    """Looks at what floors above this one show of the runs of a store."""

    def heard(self, event: Event, state: RunState) -> None:
        """Fits `Runtime(hears=...)`."""

    async def visit(self, canary: Canary, runtime: Runtime, clock: Clock) -> None:
        """Before the first run, whenever one waits for a person, and once it has ended. `runtime` drives
        nothing, and its process is as one that never drove a run: private values are not known to it."""


class Canary:
    """`example` is an input as JSON, or None: then one is made from the input's type."""

    def __init__(
        self,
        workflow: Definition,
        folder: Path,
        *,
        example: Any = None,
        real_tools: bool = False,
        visitor: Visitor | None = None,
        seed: int = 0,
    ) -> None:
        self.workflow = workflow
        self.url = f"sqlite:///{folder / 'state.db'}"
        self.garden = Garden(random.Random(seed or time.time_ns()))
        self.report = Report(workflow.name, len(workflow.plan.steps))
        self._folder = folder
        self._example = example
        self._real_tools = real_tools
        self._visitor = visitor
        self.keys: dict[str, str] = {}
        """Run -> its key, exactly."""
        self._secrets: list[str] = []
        self._search = Search(self.garden)
        self._heard = Listener()
        self._lines = _Lines()

    # ── planting ──

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While it lasts, the environment holds planted secrets, and every log line and span is heard."""
        names = [*self.workflow.secrets, *PROVIDER_KEYS]
        before = {name: os.environ.get(name) for name in [*names, "SUREFOOT_STORE", "SUREFOOT_MASTER_KEY"]}
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level
        try:
            os.environ.pop("SUREFOOT_MASTER_KEY", None)  # the store's own key file, beside it
            os.environ["SUREFOOT_STORE"] = self.url
            for name in dict.fromkeys(names):
                secret = self.garden.secret(f"the variable {name}")
                self._secrets.append(secret)
                os.environ[name] = secret
            know_environment()
            logs.install()
            root.handlers[:] = [self._lines]
            root.setLevel(logging.DEBUG)
            with spans.listening(self._heard):
                yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            know_environment()

    def quotes(self, where: str) -> list[str]:
        """What somebody may quote who has seen it: a planted secret, a value of each kind that has the look
        of one, and all of these in one text."""
        each = [self._secrets[0], *(self.garden.one(kind, where) for kind in KINDS)]
        return [*each, ", ".join(each)]

    def input(self, turn: int) -> Any:
        shape = self.workflow.plan.input
        if self._example is None:
            text = Maker(self.garden, turn).made(shape.json_schema, "the input", shape.load)
        else:
            text = self._replanted(json.dumps(self._example))
        value = shape.load(text)
        self.note_private(shape, value, "the input")
        return value

    def _replanted(self, text: str) -> str:
        """The example, with what is private in it replaced and its sentences made longer, where its type
        takes that."""
        shape = self.workflow.plan.input
        found = Found()
        shape.dump(shape.load(text), found)
        sentences = [one for one in _texts(json.loads(text)) if " " in one and one not in found.values]
        for value, kind in found.values.items():
            made = KINDS[kind](self.garden) if kind in KINDS else f"{self.garden.word()} {self.garden.word()}"
            text = _taken(shape.load, text, value, made)
        for sentence in sentences:
            text = _taken(shape.load, text, sentence, f"{sentence} {self.garden.text('the input')}")
        return text

    def note_private(self, shape: Any, value: Any, where: str) -> None:
        found = Found()
        shape.dump(value, found)
        for text, kind in found.values.items():
            self.garden.private(kind, where, text)

    # ── flying ──

    async def fly(self) -> list[Result]:
        """Every run to its end; gives their results, which are for who started them."""
        results = []
        for turn in range(ROUNDS):
            clock = _Hasty()
            if not turn:
                await self._visited(clock, turn)
            async with self._runtime(clock, turn) as runtime:
                if not self._real_tools:
                    runtime.deployment.invoker = _Pretender(self, turn, fails=turn == ROUNDS - 1)
                key = f"mail of {self.garden.one('email', 'the key of a run')}"
                started = await runtime.start(self.input(turn), key=key)
                self.keys[started.id] = key
                result = await self._to_its_end(runtime, started.id, clock, turn)
                state = await runtime.state(started.id)
                await asyncio.sleep(2 * LATER)
                await self._visited(clock, turn)
                entered = sum(step.status != "idle" for step in state.steps.values())
            why = "" if result.error is None else result.error.code
            self.report.runs.append(Flown(started.id, result.status, entered, why))
            results.append(result)
        return results

    def _runtime(self, clock: Clock, turn: int, *, drive: bool = True) -> Runtime:
        return Runtime(
            self.workflow,
            self.url,
            models=[_Talker(self, turn)] if self.workflow.models else [],
            resources=None if self._real_tools else [],
            clock=clock,
            drive=drive,
            trace_content=True,
            hears=None if self._visitor is None else self._visitor.heard,
        )

    async def _visited(self, clock: Clock, turn: int) -> None:
        if self._visitor is None:
            return
        with open_runs.at_work(Private()):
            async with self._runtime(clock, turn, drive=False) as runtime:
                await self._visitor.visit(self, runtime, clock)

    async def _to_its_end(self, runtime: Runtime, run: str, clock: _Hasty, turn: int) -> Result:
        late = time.monotonic() + PATIENCE
        while time.monotonic() < late:
            try:
                result = await asyncio.wait_for(runtime.result(run), LOOK)
            except TimeoutError:
                row = await runtime.store.run(run)
                if row is not None and row.due is not None:
                    clock.skip_to(row.due)
                    runtime._look()
                continue
            if result.status in ENDED:
                return result
            for item in await runtime.store.items():
                self.look("inbox rows", json.dumps(item.view))
            await self._visited(clock, turn)
            for waiting in result.waiting_for:
                try:
                    await runtime.decide(waiting.item, self._decision(waiting, turn))
                except SurefootError as error:
                    log.debug("not decided: %s", error)
                    await runtime.decide(waiting.item, Deny(by="canary", reason=error.what))
        await runtime.cancel(run, by="canary", reason=self.garden.text("a person's words"))
        return await asyncio.wait_for(runtime.result(run), 30)

    def _decision(self, waiting: Waiting, turn: int) -> Decision:
        """Yes to every call; of a review the result that the step should have given."""
        reason = self.garden.text("a person's words")
        if waiting.kind == "approval":
            return Approve(by="canary", reason=reason)
        step = self.workflow.plan.steps.get(waiting.step or "")
        tool = self.workflow.tools.get(waiting.tool or "") if waiting.kind == "unknown" else None
        shape = tool.output if tool is not None else step.output if step is not None else None
        if shape is None or "settle" not in waiting.choices:
            return Deny(by="canary", reason=reason)
        where = "a result that a person gives"
        text = Maker(self.garden, turn).made(shape.json_schema, where, shape.load)
        self.note_private(shape, shape.load(text), where)
        return Settle(json.loads(text), by="canary", reason=reason)

    # ── looking ──

    def look(self, place: str, text: str, *, secrets_only: bool = False) -> None:
        """Searches a text. Where the one who started the run reads it, private values are in their place."""
        self.report.looked[place] = self.report.looked.get(place, 0) + len(text)
        for plant, form in self._search.found(text, secrets_only=secrets_only):
            leak = Leak(place, plant.kind, plant.where, form)
            if leak not in self.report.leaks:
                self.report.leaks.append(leak)

    def look_at_all(self) -> None:
        """What was heard meanwhile, and every file of the store, but for the keys."""
        self.look("log lines", "\n".join(self._lines.texts))
        self.look("spans", "\n".join(self._heard.heard))
        for path in sorted(self._folder.rglob("*")):
            self.look("names of files", path.name)
            if path.is_file() and not path.name.startswith("keys."):
                kind = "-wal" if path.name.endswith("-wal") else path.suffix or path.name
                self.look(f"files of the store ({kind})", path.read_bytes().decode("latin-1"))
        self.report.planted = Counter(plant.kind for plant in self.garden.plants)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
        case _:
            return


def _taken(load: Any, text: str, before: str, after: str) -> str:
    changed = text.replace(json.dumps(before)[1:-1], json.dumps(after)[1:-1])
    try:
        load(changed)
    except ValueError:
        return text
    return changed


# ── what talks ───────────────────────────────────────────────────────────────────────────────────


class _Lines(logging.Handler):
    """Writes down all that a record holds."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{self.format(record)} {vars(record)!r}")


class _Hasty(SystemClock):
    """The real clock, until somebody sets it forward over a long sleep."""

    by_hand = True  # its jumps say nothing of whether this process lives

    def __init__(self) -> None:
        self._ahead = 0

    def now(self) -> int:
        return super().now() + self._ahead

    def skip_to(self, at: int) -> None:
        self._ahead += max(0, at - self.now())


def _talk(about: str, said: str) -> None:
    """What a careless library does."""
    log.debug("%s: %s", about, said, extra={"said": {"about": about, "whole": said}})
    print(f"{about}: {said}")  # noqa: T201
    try:
        raise ValueError(said)
    except ValueError:
        log.warning("%s went wrong", about, exc_info=True)


LATER = 0.05


def _talk_later(about: str, said: str) -> None:
    """Of what a tool or model answers, once the run knows it. Before that nobody can tell which of its words
    are private: what is known by its looks only is found by its looks only."""
    asyncio.get_running_loop().call_later(LATER, _talk, about, said)


class _Talker:
    """A model that uses each tool that it is offered once, and then answers what is asked for."""

    name = "canary:model"

    def __init__(self, canary: Canary, turn: int) -> None:
        self._canary = canary
        self._garden = canary.garden
        self._turn = turn

    def bound(self, request: ModelRequest) -> Bound:
        return Bound(1, 1, 0)

    def price(self, usage: Tokens) -> int:
        return 0

    async def close(self) -> None:
        pass

    async def request(self, request: ModelRequest) -> ModelAnswer:
        where = f"the model's answer in {request.step}"
        _talk(f"a request of {request.step}", "\n".join(message.text for message in request.messages))
        usage, maker = Tokens(1, 1), Maker(self._garden, self._turn)
        if request.tools and not request.turn:
            calls = tuple(
                ProposedCall(f"canary-{n}", tool.name, maker.unchecked(tool.input_schema, where, 1))
                for n, tool in enumerate(request.tools)
            )
            return ModelAnswer(self._garden.text(where), calls, "tool_calls", usage, "canary-1")
        refused = sum("your_answer_was_refused" in message.text for message in request.messages)
        if request.output_schema is None:
            return ModelAnswer(self._garden.text(where), (), "stop", usage, "canary-1")
        if (shape := self._shape(request)) is not None and not refused:
            text = maker.made(request.output_schema, where, shape.load)
            self._canary.note_private(shape, shape.load(text), where)
        else:
            text = maker.unchecked(request.output_schema, where, refused)
        _talk_later(where, text)
        return ModelAnswer(text, (), "stop", usage, "canary-1")

    def _shape(self, request: ModelRequest) -> Shape | None:
        """The type that is asked for, where the step's module knows it by its name: it has rules that its
        schema does not tell."""
        step = self._canary.workflow.plan.steps.get(request.step)
        known = getattr(step.step.function, "__globals__", {}) if step is not None else {}
        found = known.get(request.output_name)
        if not isinstance(found, type):
            return None
        shape = Shape(found, f"the model's answer in {request.step}")
        return shape if shape.json_schema == request.output_schema else None


class _Pretender(Invoker):
    """In place of the tools: answers with data of their types, or fails loudly."""

    def __init__(self, canary: Canary, turn: int, *, fails: bool) -> None:
        super().__init__()
        self._canary = canary
        self._turn = turn
        self._fails = fails

    async def invoke(
        self, tool: Tool[..., Any], call: Call, arguments: Mapping[str, Any], seconds: float
    ) -> Any:
        garden, where = self._canary.garden, f"what {tool.name} answers"
        _talk(f"{tool.name} is given", repr(dict(arguments)))
        if self._fails:
            secrets = " ".join(os.environ.get(name, "") for name in self._canary.workflow.secrets)
            raise RuntimeError(f"401 for {secrets} of {garden.text(where)}")
        maker = Maker(garden, self._turn)
        text = maker.made(tool.output.json_schema or {}, where, tool.output.load)
        _talk_later(where, text)
        value = tool.output.load(text)
        self._canary.note_private(tool.output, value, where)
        return value
