"""A trial: one run of one scenario on the engine that serves, in a world of its own.

Everything that could differ from one time to the next is handed in: the clock (which jumps to whatever the
run waits for next), ids, chance, the model's answers, the outside. Decisions come from the scenario; a kill
drops the runtime where it stands, and another one goes on with what is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from ..core.clock import MICROS
from ..core.decide import decide
from ..core.events import Entry
from ..core.fold import RunState
from ..core.model import Model, Price
from ..core.rule import Approve, Decision, Deny, Edit, Settle
from ..core.workflow import Definition, Resource
from ..errors import CallRefused, InboxError, InputError, InvalidInput, StoreUnavailable, SurefootError
from ..orchestrator.results import Result, Waiting
from ..orchestrator.runtime import Runtime
from ..state.sealing import Keyring, RunKey
from ..testing import ManualClock
from .canonical import story_of, trace_of
from .faults import Busy, FaultyInvoker, FaultyModel, Spoil, ToolTape
from .recording import ToolTurn
from .results import Played
from .scenario import Decide, Kill, ModelFault, Scenario, ToolFault
from .world import World, WorldFactory, as_json, changes, opening

IDLE = 0.002
"""Seconds of real time between two looks at whether anything is under way. No measure of idleness: see
`_jump`."""
RUN = "r" + "0" * 17
"""Each trial has a store of its own with this one run in it."""
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  a folder of its own in there
"""Where worlds lie while a trial lasts: in memory, where the system has such a place."""
PATIENCE = 120.0
"""Seconds of real time after which a trial that does not end is broken."""


Encore = Callable[[Runtime, World | None], Awaitable[None]]


class Broken(Exception):
    """The trial could not be run: the world did not open, nothing moves any more. Nothing is scored."""


@dataclass(frozen=True)
class Stage:
    """What all trials of a suite share. `world` None: the workflow's own resources are opened."""

    workflow: Definition
    world: WorldFactory | None = None
    models: Sequence[Model] = ()
    """Those that the workflow lists, opened: a replay asks them for their prices, and nothing else."""
    grants: Sequence[str] | None = None
    people: Any = None


async def play(
    stage: Stage,
    scenario: Scenario,
    models: Sequence[Model],
    *,
    spoil: Spoil | None = None,
    tools: Sequence[ToolTurn] | None = None,
    encore: Encore | None = None,
    lasting: Path | None = None,
    at_commit: Callable[[Literal["before", "after"]], None] | None = None,
) -> Played:
    """One run of the scenario to its end, or to where a person would be needed whom the scenario does not
    have. `spoil` stands between the gateway and the tools' functions (negative controls); `tools` answer from
    a recording, where there is no world; `encore` comes after the run, and before the world is looked at.
    With `lasting` the store and the world lie in that folder, and a run that another process began there goes
    on. Raises Broken."""
    stage = stage_of(stage, scenario)
    async with AsyncExitStack() as stack:
        try:
            folder = lasting or Path(stack.enter_context(TemporaryDirectory(prefix="surefoot-", dir=SCRATCH)))
            world = await _open_world(stack, stage, scenario, folder / "world")
            before = None if world is None else as_json(await world.snapshot())
        except Exception as error:
            raise Broken(f"the world did not open: {type(error).__name__}: {error}") from error
        theatre = _Theatre(stage, scenario, models, world, spoil, tools)
        if lasting is not None:
            theatre.url = f"sqlite:///{lasting / 'state.db'}"
        theatre.at_commit = at_commit
        async with theatre.opened():
            result, entries = await theatre.act()
            if encore is not None:
                await encore(theatre.current, world)
        try:
            after = None if world is None else as_json(await world.snapshot())
        except Exception as error:
            raise Broken(f"the world could not be shown: {type(error).__name__}: {error}") from error
    state = RunState(stage.workflow.plan)
    state.apply_all(entries)
    state.usage.seconds = state.active_micros(state.at) / MICROS
    return Played(
        status=result.status,
        output=to_jsonable_python(result.output, fallback=str),
        error=state.error,
        state=state,
        before=before,
        after=after,
        changes=[] if before is None or after is None else changes(before, after),
        trace=trace_of(result.run, entries),
        story=story_of(entries),
        decisions=theatre.decisions,
        unknown_calls=[] if theatre.tape is None else theatre.tape.misses,
    )


def stage_of(stage: Stage, scenario: Scenario) -> Stage:
    """A scenario that was made of a production run has no world, also where the project has a factory: its
    tools answer from its recording."""
    return replace(stage, world=None) if scenario.origin == "production" else stage


async def _open_world(stack: AsyncExitStack, stage: Stage, scenario: Scenario, folder: Path) -> World | None:
    if stage.world is None:
        if scenario.world:
            raise InvalidInput(
                f"{scenario.id} has a world, and the project has no factory for one",
                why="only a factory can make resources of it",
                remedy='Name it: world = "module:function" in [tool.surefoot] of pyproject.toml.',
            )
        return None
    folder.mkdir(exist_ok=True)
    return await stack.enter_async_context(_told(opening(stage.world, scenario.world, folder)))


@asynccontextmanager
async def _told(opened: AbstractAsyncContextManager[World]) -> AsyncIterator[World]:
    """A world that breaks while it is closed has no more to do with the workflow than one that does not
    open."""
    world = await opened.__aenter__()
    try:
        yield world
    except BaseException as error:
        try:
            await opened.__aexit__(type(error), error, error.__traceback__)
        except Exception as another:  # noqa: BLE001  what broke first is what is told
            if another is not error:
                error.add_note(f"and the world did not close: {another}")
        raise
    try:
        await opened.__aexit__(None, None, None)
    except Exception as error:
        raise Broken(f"the world did not close: {type(error).__name__}: {error}") from error


class _Theatre:
    def __init__(
        self,
        stage: Stage,
        scenario: Scenario,
        models: Sequence[Model],
        world: World | None,
        spoil: Spoil | None,
        tools: Sequence[ToolTurn] | None,
    ) -> None:
        self._stage = stage
        self._scenario = scenario
        self._world = world
        self._spoil = spoil
        self.tape = None if tools is None or world is not None else ToolTape(tools)
        self._busy = Busy()
        asked: Counter[str] = Counter()
        called: Counter[str] = Counter()
        provider_faults = [one for one in scenario.faults if isinstance(one, ModelFault)]
        # Nano-dollars per token are thousandths of dollars per million tokens.
        told = scenario.price
        price = None if told is None else Price(told.input * 1000, told.output * 1000)
        start = scenario.now
        self._clock = ManualClock() if start is None else ManualClock(int(start.timestamp() * MICROS))
        self._models = [
            FaultyModel(model, provider_faults, self._busy, asked, self._clock.now, price) for model in models
        ]
        self._tool_faults = [one for one in scenario.faults if isinstance(one, ToolFault)]
        self._called = called
        self._kills = [one for one in scenario.faults if isinstance(one, Kill)]
        self.url = f"memory:{uuid.uuid4().hex}"
        self._ring = SameKeys()
        self._runtime: Runtime | None = None
        self._left = list(scenario.decisions)
        self._ignored: set[str] = set()
        self.decisions: list[str] = []
        """What came of each thing that was said."""
        numbers = count(1)
        self._uuids = lambda: uuid.UUID(int=next(numbers))
        self._run_ids: Callable[[int], str] = lambda _: RUN
        self._commits = 0
        self.at_commit: Callable[[Literal["before", "after"]], None] | None = None
        self._killed = False

    # ── runtimes ──

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """A store in memory lives as long as somebody holds it open, over all kills."""
        async with AsyncExitStack() as stack:
            if self._kills or not self.url.startswith("memory:"):
                keeper = await stack.enter_async_context(self._new_runtime(drive=False))
                await self._go_on_from(keeper)
            try:
                self._runtime = await self._another()
                yield
            except BaseException:
                # Not closed, which would wait for what is under way: it may be what hangs.
                if self._runtime is not None:
                    dead, self._runtime = self._runtime, None
                    await dead.die()
                raise
            finally:
                self._kills = []  # the run is over, and going home is no commit of its own
                if self._runtime is not None:
                    await self._runtime.__aexit__(None, None, None)

    async def _go_on_from(self, keeper: Runtime) -> None:
        """Where a process before this one left the run: at its time, with what people have said by then."""
        if await keeper.store.run(RUN) is None:
            return
        last = (await keeper.entries(RUN))[-1].at
        await self._clock.advance(max(last - self._clock.now(), 0) / MICROS)
        for item in await keeper.store.items(run=RUN, status=None):
            if item.status == "open":
                continue
            shown = (item.view.get("tool"), item.view.get("step"))
            place = next((n for n, one in enumerate(self._left) if _is_about(one, *shown)), None)
            if place is not None:
                self._left.pop(place)

    def _new_runtime(self, *, drive: bool = True) -> Runtime:
        return Runtime(
            self._stage.workflow,
            self.url,
            grants=self._stage.grants,
            people=self._stage.people,
            models=self._models,
            resources=self._resources(),
            clock=self._clock,
            chance=lambda: 0.5,
            uuids=self._uuids,
            run_ids=self._run_ids,
            keyring=self._ring,
            drive=drive,
            crash=None if not drive else self._count_commit if self._kills else self.at_commit,
        )

    def _resources(self) -> Sequence[Resource] | None:
        """None: the workflow's own. Where tools answer from a recording nothing outside is opened at all."""
        if self._world is not None:
            return self._world.resources
        return None if self.tape is None else ()

    async def _another(self) -> Runtime:
        runtime = self._new_runtime()
        await runtime.__aenter__()
        runtime.deployment.invoker = FaultyInvoker(
            self._tool_faults, self._busy, self._called, self._spoil, self.tape
        )
        return runtime

    def _count_commit(self, when: Literal["before", "after"]) -> None:
        """In the thread of the writer. Raises where the process would have died: nothing more is
        acknowledged."""
        if when == "before":
            self._commits += 1
        if any(kill.commit == self._commits and kill.kill == when for kill in self._kills):
            self._killed = True
        if self._killed:
            raise Killed("the process died here", why="the scenario says so")

    # ── the run ──

    async def act(self) -> tuple[Result, list[Entry]]:
        try:
            async with asyncio.timeout(PATIENCE):
                run = await self._start()
                while True:
                    result = await self._until_it_stands(run)
                    if result.status != "waiting" or not await self._say_something(result):
                        return result, await self.current.entries(run)
        except TimeoutError:
            raise Broken(f"the run did not come to an end within {PATIENCE:g} s") from None

    @property
    def current(self) -> Runtime:
        assert self._runtime is not None
        return self._runtime

    async def _start(self) -> str:
        """With a key, so that a client that was not answered asks again for the same run."""
        while True:
            try:
                return (await self.current.start(self._scenario.input, key=self._scenario.id)).id
            except SurefootError as error:
                if not self._killed:
                    raise Broken(f"the run did not start: {error}") from error
            await self._go_on_after_kill()

    async def _until_it_stands(self, run: str) -> Result:
        """Ended, or waiting for a person. The clock jumps to the run's own next moment whenever nothing is
        under way."""
        while True:
            waiting = asyncio.ensure_future(self.current.result(run))
            try:
                while not waiting.done():
                    await asyncio.wait([waiting], timeout=IDLE)
                    if self._killed:
                        break
                    if not waiting.done() and not self._busy.acts:
                        await self._jump(run)
                if not self._killed:
                    return waiting.result()
            except SurefootError as error:
                if not self._killed:
                    raise Broken(f"the run broke the engine: {error}") from error
            finally:
                waiting.cancel()
                await asyncio.wait([waiting])
            await self._go_on_after_kill()

    async def _jump(self, run: str) -> None:
        """To the run's next moment, if nothing can happen before it.

        A jump while something is under way would let a timer fire before what a slower machine, or a busier
        one, has not finished yet: another order of events. So it is asked of the run itself, and not of how
        long it has been silent: no body is entered but such as wait for a call that will never answer, and
        `decide`, which says what a run does next, has nothing to do. Then the earliest of all that is due
        comes first, however fast the machine is. Only bodies that hang in one call while they make another
        one at the same time are beyond this; a commit of theirs may fall on either side.
        """
        state, runtime = self.current.driving(run), self.current
        if state is None:
            row = await runtime.store.run(run)
            parked = row is not None and row.owner is None and not row.summary.get("waiting_for")
            due = row.due if row is not None and parked else None
        else:
            bodies = runtime.bodies(run)
            hanging = {step for _, step in self._busy.hangs}
            if bodies - hanging or decide(self._stage.workflow.plan, state, self._clock.now(), bodies):
                return
            # Not the end of a question to a person: whether they answer in time is the scenario's to say.
            due = min([*(at for at, _ in self._busy.hangs), *_own_dues(state)], default=None)
        if due is not None:
            await self._clock.advance(max(due - self._clock.now(), 0) / MICROS)

    async def _pass(self, run: str, until: int) -> None:
        """Time goes by while a person thinks: what falls due meanwhile comes to its own end first."""
        before = -1
        while (row := await self.current.store.run(run)) is not None and row.owner is None:
            if row.due is None or row.due >= until or row.due == before or row.status != "waiting":
                break
            before = row.due
            await self._clock.advance(max(before - self._clock.now(), 0) / MICROS)
            await self._until_it_stands(run)
        await self._clock.advance(max(until - self._clock.now(), 0) / MICROS)

    async def _go_on_after_kill(self) -> None:
        """As SIGKILL leaves it: nothing more is done or written, nothing is given back, the lock is free."""
        dead, self._runtime = self.current, None
        await dead.die()
        self._kills = [kill for kill in self._kills if kill.commit > self._commits]
        self._killed = False
        self._runtime = await self._another()

    # ── people ──

    async def _say_something(self, result: Result) -> bool:
        """The next decision of the scenario, about the item that it fits. False: it has none for these."""
        for item in result.waiting_for:
            place = next((n for n, one in enumerate(self._left) if _fits(one, item)), None)
            if place is None or item.item in self._ignored:
                continue
            said = self._left.pop(place)
            if said.after is not None:
                await self._pass(result.run, self._clock.now() + round(said.after * MICROS))
            if said.decide == "ignore":
                self._ignored.add(item.item)
                if item.expires is None:
                    continue
                await self._pass(result.run, item.expires)
                return True
            await self._decide(item.item, said)
            return True
        return False

    async def _decide(self, item: str, said: Decide) -> None:
        decision = _decision(said)
        for _ in range(1 + said.again):
            try:
                await self.current.decide(item, decision)
            except (InboxError, InputError, CallRefused) as refused:
                self.decisions.append(f"{said.decide} refused: {refused.code}")
            except SurefootError:
                if not self._killed:
                    raise
                self._left.insert(0, said)  # the person was not answered, and tries again
                return
            else:
                self.decisions.append(f"{said.decide} accepted")


def _own_dues(state: RunState) -> list[int]:
    """When something happens by itself: timers and next attempts."""
    dues = [state.timers[name].due for name in state.waits if name in state.timers]
    for name in state.ready:
        step = state.steps.get(name)
        if step is not None and step.retry_at is not None and step.status == "failed":
            dues.append(step.retry_at)
    return dues


def _fits(said: Decide, item: Waiting) -> bool:
    return _is_about(said, item.tool, item.step)


def _is_about(said: Decide, tool: str | None, step: str | None) -> bool:
    return said.tool in (None, tool) and said.step in (None, step)


def _decision(said: Decide) -> Decision:
    match said.decide:
        case "deny":
            return Deny(said.by, said.reason)
        case "edit":
            return Edit(said.args or {}, said.by, said.reason)
        case "settle":
            return Settle(said.result, said.by, said.reason)
        case _:
            return Approve(said.by, said.reason)


class Killed(StoreUnavailable):
    """Where a process would have died. To the engine it is a store that is gone, which no step's code is told
    of."""


def _is_news(record: logging.LogRecord) -> bool:
    """A worker that a scenario kills says loudly that its store is gone, and a run that a scenario brings to
    the end of its budget that it nears it: they are meant to."""
    killed = record.exc_info and isinstance(record.exc_info[1], Killed)
    return not killed and RUN not in record.getMessage()


for _name in ("surefoot.worker", "surefoot.budget"):
    logging.getLogger(_name).addFilter(_is_news)


class SameKeys(Keyring):
    """Keys of which nothing is secret: the same in every trial, so that what is derived from them is, too."""

    def __init__(self) -> None:
        super().__init__([bytes(32)])

    def new_run_key(self) -> RunKey:
        key = bytes(32)
        return RunKey(key, self._wrap(key))
