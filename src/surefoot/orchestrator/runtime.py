"""The Runtime: a workflow, running in this process, and everything a program does with its runs.

async with Runtime(workflow, store="sqlite:///x.db") as runtime:
    run = await runtime.start(input, key="order-17")
    result = await runtime.result(run.id)
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from uuid import UUID, uuid4

from ..core import events as e
from ..core.clock import Clock
from ..core.events import Entry
from ..core.fold import RunState
from ..core.jsons import Raw
from ..core.model import Model, ModelSettings
from ..core.rule import Decision
from ..core.workflow import Definition, Resource, fingerprint_of
from ..errors import (
    KeyConflict,
    RunNotFound,
    UsageError,
)
from ..models.providers import open_model
from ..rails import policy
from ..rails.breaker import USUAL, BreakerTerms
from ..rails.redaction import Secrets
from ..state.crash import CrashPoint
from ..state.opening import DEFAULT_STORE, make_store
from ..state.rows import ENDED, ItemRow, RunRow
from ..state.sealing import Keyring
from ..state.store import Claimed, NewRun, Store
from ..tools.invoke import Invoker
from . import forgetting, revealing, saying
from .clock import SystemClock
from .deployment import Deployment
from .drive import Drive
from .forgetting import Forgotten
from .forking import fork_of
from .ids import new_run_id
from .intake import Intake
from .logs import install
from .prompts import Prompts
from .recorder import Hears, Sealer
from .redacting import know
from .resources import OpenResources
from .results import Result, result_of
from .revealing import Revealed
from .rows import row_of, waits_for_person
from .starting import new_run, secret_values, unwritable, valid_input
from .worker import Worker

LEASE = 15.0
LEASE_BY_HAND = 3e8
"""Seconds: ten years, since a clock that is moved by hand may jump over days."""


@dataclass(frozen=True)
class Started:
    """`created` is False where a run with this key existed already."""

    id: str
    created: bool


class Runtime:
    """Drives runs in this process, and talks to those that other processes drive.

    `store` is a URL. `concurrency` is how many runs this process holds in memory at once. `grants`
    narrows the workflow's grants; `models` and `resources` replace its own; `people` says who belongs to a
    group.
    `breaker` says when providers that keep failing pause the intake (None: never).
    `lease` is how many seconds this process may be silent before others may take its runs (15).
    With `drive=False` it submits, decides and looks, and leaves the driving to others. `on_left` is told
    of each run that leaves this process's hands: ended, waiting, or given back. `hears` is told of each event
    of the runs driven here, and how the run stands after it, with exact values. `crash` is called around
    every durable commit, in the thread that commits: for tests that die there.
    """

    def __init__(
        self,
        workflow: Definition,
        store: str = DEFAULT_STORE,
        *,
        concurrency: int = 100,
        grants: Sequence[str] | None = None,
        models: Sequence[str | Model] | None = None,
        model_settings: Mapping[str, ModelSettings] | None = None,
        people: Mapping[str, Sequence[str]] | None = None,
        resources: Sequence[Resource] | None = None,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
        uuids: Callable[[], UUID] = uuid4,
        run_ids: Callable[[int], str] = new_run_id,
        lease: float | None = None,
        park_after: float = 5.0,
        breaker: BreakerTerms | None = USUAL,
        drive: bool = True,
        trace_content: bool = False,
        keyring: Keyring | None = None,
        on_left: Callable[[str, RunState], None] | None = None,
        hears: Hears | None = None,
        crash: Callable[[Literal["before", "after"]], None] | None = None,
    ) -> None:
        self.workflow = workflow
        self._url = store
        self._concurrency = concurrency
        self._grants = grants
        self._model_specs = workflow.models if models is None else models
        self._model_settings = model_settings
        self._people = people
        self._resources = workflow.resources if resources is None else resources
        self._clock: Clock = clock or SystemClock()
        self._chance = chance
        self._uuids = uuids
        self._run_ids = run_ids
        self._crash = crash
        self._lease = lease or (LEASE_BY_HAND if self._clock.by_hand else LEASE)
        self._park_after = park_after
        self._trace_content = trace_content
        self._breaker = breaker
        self._drive = drive
        self._keyring = keyring
        self._on_left = on_left
        self._hears = hears
        self._worker: Worker | None = None
        self._driving: asyncio.Task[None] | None = None
        self._waiters: dict[str, list[asyncio.Future[Drive | None]]] = {}

    # ── opening and closing ──

    async def __aenter__(self) -> Self:
        worker_id = f"{os.getpid()}-{uuid4().hex[:8]}"
        crash = self._crash or CrashPoint.from_env(os.environ)
        self._store, ring = make_store(
            self._url, now=self._clock.now, worker=worker_id, crash=crash, keyring=self._keyring
        )
        models = [open_model(spec, self._model_settings) for spec in self._model_specs]
        prompts = Prompts()
        fingerprint, definition = fingerprint_of(self.workflow.describe(prompts.digests(self.workflow)))
        secrets = Secrets(secret_values(self.workflow))
        intake = Intake(
            self._store,
            self.workflow.name,
            self._clock,
            models=[model.name for model in models],
            terms=self._breaker,
            scrub=secrets.scrub,
        )
        self._deployment = Deployment(
            workflow=self.workflow,
            store=self._store,
            keyring=ring,
            clock=self._clock,
            chance=self._chance,
            uuids=self._uuids,
            run_ids=self._run_ids,
            models=models,
            invoker=Invoker(),
            resources=OpenResources(),
            prompts=prompts,
            grants=policy.narrowed(self.workflow.grants, self._grants),
            secrets=secrets,
            fingerprint=fingerprint,
            definition=secrets.scrub_json(definition, []),  # a tool's description may name what it was given
            intake=intake,
            people=self._people,
            park_after=self._park_after,
            trace_content=self._trace_content,
            hears=self._hears,
        )
        install()
        self._forget_secrets = know(self._url, self._deployment.secrets)
        await self._store.open()
        try:
            if self._drive:
                await self._deployment.resources.open(self.workflow, self._resources)
                self._worker = Worker(
                    self._deployment, concurrency=self._concurrency, lease=self._lease, on_left=self._left
                )
                await self._worker.begin()
        except BaseException:
            self._forget_secrets()
            await self._deployment.resources.close()
            await self._store.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._worker is not None:
                await self._worker.stop()
                if self._driving is not None:
                    await asyncio.wait([self._driving])
                await self._store.retire()
        finally:
            for model in self._deployment.models:
                await model.close()
            self._deployment.invoker.close()
            self._forget_secrets()
            await self._deployment.resources.close()
            await self._store.close()

    async def drain(self, within: float) -> bool:
        """Starts nothing new, and gives runs back as what is under way in them ends. False where something is
        still under way after `within` seconds: then this process must end as if it were killed, for only its
        death proves to others that nothing of it acts any more."""
        if self._worker is None:
            return True
        stopping = asyncio.create_task(self._worker.stop(), name="drain")
        ended, _ = await asyncio.wait([stopping], timeout=within)
        return bool(ended)

    async def die(self) -> None:
        """Instead of being closed: leaves all as a killed process would. For tests of what comes after."""
        if self._worker is not None:
            await self._worker.die()
        if self._driving is not None:
            self._driving.cancel()
            await asyncio.gather(self._driving, return_exceptions=True)
        self._deployment.invoker.close()
        await self._store.close()
        await self._deployment.resources.close()

    @property
    def store(self) -> Store:
        return self._store

    @property
    def deployment(self) -> Deployment:
        return self._deployment

    @property
    def drives(self) -> bool:
        """Whether it was opened with a worker."""
        return self._worker is not None

    @property
    def held(self) -> list[str]:
        """Runs that this process drives at this moment."""
        return [] if self._worker is None else self._worker.runs

    def driving(self, run: str) -> RunState | None:
        """The state of a run that this process drives at this moment."""
        return None if self._worker is None else self._worker.state_of(run)

    def bodies(self, run: str) -> frozenset[str]:
        """Steps of a run whose bodies this process is in at this moment."""
        return frozenset() if self._worker is None else self._worker.bodies_of(run)

    @property
    def intake(self) -> Intake:
        """Whether new runs of the workflow are taken up, by any worker: look, pause, resume."""
        return self._deployment.intake

    def begin_driving(self) -> None:
        """Takes up whatever is due in the store from now on; `start` and `result` do it by themselves."""
        if self._worker is not None and self._driving is None:
            self._driving = asyncio.create_task(self._worker.run(), name="worker")
            self._driving.add_done_callback(self._driving_ended)
        if self._driving is not None and self._driving.done() and not self._driving.cancelled():
            self._driving.result()

    async def keep_driving(self) -> None:
        """Takes up whatever is due until this runtime is drained or closed. Raises what broke the worker."""
        self.begin_driving()
        if self._driving is not None:
            await asyncio.shield(self._driving)

    async def until_idle(self) -> None:
        """Drives all that is due, also what a dead process left, then returns."""
        if self._worker is None:
            raise UsageError(
                "this runtime was opened with drive=False",
                why="it has no worker that could drive runs",
                remedy="Open it without drive=False, or let `surefoot work` drive them.",
            )
        await self._worker.until_idle()

    # ── runs ──

    async def start(
        self,
        input: Any,
        *,
        key: str | None = None,
        grants: Sequence[str] | None = None,
        starter: str | None = None,
    ) -> Started:
        """Returns at once, with the run on disk. Same key and input: the same run. `starter` is the id of the
        token that it is started with.

        Raises InvalidInput, and KeyConflict where the key came with another input before.
        """
        value, plan = valid_input(self.workflow, input), self.workflow.plan
        now = self._clock.now()
        run = self._run_ids(now)
        run_key = self._deployment.keyring.new_run_key()
        sealer = Sealer(run, run_key, self._deployment.secrets)
        try:
            raw = sealer.raw(plan.input, value)
        except (ValueError, RecursionError) as error:
            raise unwritable(self.workflow, error) from error
        submitted = e.RunSubmitted(
            input=raw,
            workflow=self.workflow.name,
            workflow_version=self.workflow.version,
            fingerprint=self._deployment.fingerprint,
            budget=self.workflow.budget.to_json(),
            rules=self.workflow.rules_digest,
            key=key,
            grants=None if grants is None else list(grants),
            starter=starter,
        )
        return await self._submit(run, sealer, [submitted], raw, key, now)

    async def _submit(
        self, run: str, sealer: Sealer, events: Sequence[e.Event], raw: Raw, key: str | None, now: int
    ) -> Started:
        take = self._worker is not None and self._worker.has_room
        new, state = new_run(self._deployment, run, sealer, events, raw, key, now, lease=take)
        if take and self._worker is not None:
            self._worker.expected += 1
        # A run that is born held must be driven, also where whoever asked for it has gone meanwhile.
        return await asyncio.shield(self._put(new, state, sealer))

    async def _put(self, new: NewRun, state: RunState, sealer: Sealer) -> Started:
        worker = self._worker
        try:
            submitted = await self._store.submit(new)
        finally:
            if new.lease and worker is not None:
                worker.expected -= 1
        self.begin_driving()
        if not submitted.created:
            if not submitted.same_input:
                raise KeyConflict(
                    f"the key {new.key!r} belongs to {submitted.run}, which has another input",
                    why="a key stands for one input: the same one again is the same run",
                    remedy="Use a key of its own for each input.",
                )
        elif submitted.lease is not None and worker is not None:
            claimed = Claimed(submitted.lease, 1, new.data_key, new.fingerprint, new.version, new.workflow)
            worker.take(claimed, state, sealer)
        if worker is not None and submitted.lease is None:
            worker.look()
        return Started(submitted.run, submitted.created)

    async def result(self, run: str) -> Result:
        """Waits until the run has ended, or waits for a person. Raises RunNotFound."""
        self.begin_driving()
        pause = 0.02
        while True:
            waiter: asyncio.Future[Drive | None] = asyncio.get_running_loop().create_future()
            self._waiters.setdefault(run, []).append(waiter)
            try:
                if self._worker is None or not self._worker.holds(run):
                    row = await self._row(run)
                    if not row.mail and (row.status in ENDED or waits_for_person(row, self._clock.now())):
                        found = await self.look(run)
                        if found.status in ENDED or found.waiting_for:
                            return found  # else somebody has decided between the two looks
                    # Another process may have it, or it queues here: look now and then.
                    pause = min(pause * 2, 0.5)
                    await asyncio.wait([waiter], timeout=pause)
                    continue
                drive = await waiter
            finally:
                self._stop_waiting(run, waiter)
            if drive is not None and not drive.journal.lost and drive.is_done:
                return result_of(run, self.workflow.plan, drive.state)

    def _stop_waiting(self, run: str, waiter: asyncio.Future[Drive | None]) -> None:
        waiters = self._waiters.get(run)
        if waiters is not None:
            waiters.remove(waiter)
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # seen, also where somebody stopped waiting at that very moment
            if not waiters:
                del self._waiters[run]

    def _left(self, run: str, drive: Drive) -> None:
        for waiter in self._waiters.get(run, ()):
            if not waiter.done():
                waiter.set_result(drive)
        if self._on_left is not None and not drive.journal.lost:
            self._on_left(run, drive.state)

    def _driving_ended(self, driving: asyncio.Task[None]) -> None:
        """Whatever broke the worker reaches everybody who waits for one of its runs."""
        error = None if driving.cancelled() else driving.exception()
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done() and error is not None:
                    waiter.set_exception(error)

    async def look(self, run: str) -> Result:
        """How a run stands now, with exact values. Raises RunNotFound, KeyUnavailable."""
        return result_of(run, self.workflow.plan, await self.state(run))

    async def state(self, run: str) -> RunState:
        """The run's journal, folded."""
        state = RunState(self.workflow.plan)
        for entry in await self.entries(run):
            state.apply(entry)
        return state

    async def entries(self, run: str) -> list[Entry]:
        """The run's journal, with exact values. Raises RunNotFound, KeyUnavailable."""
        row = await self._row(run)
        revealing.must_not_be_forgotten(row)
        if row.data_key is None:
            raise RunNotFound(f"the journal of {run} was deleted", why=f"it has {row.status}")
        key = self._deployment.keyring.unwrap(row.data_key)
        sealer = Sealer(run, key, self._deployment.secrets)
        return [sealer.open(stored) for stored in await self._store.events(run)]

    async def _row(self, run: str) -> RunRow:
        return await row_of(self._store, run, self._url)

    # ── saying something to a run ──

    async def decide(self, item: str, decision: Decision) -> ItemRow:
        """The first decision on an open item wins. Raises ItemNotFound, ItemClosed, WrongDecision,
        NotAllowedToDecide, InvalidArguments (of an edit), InvalidInput (a result that does not fit)."""
        ring = self._deployment.keyring
        decided = await saying.decide(
            self._store, ring, item, decision, people=self._people, workflow=self.workflow
        )
        self._look()
        return decided

    def _look(self) -> None:
        """The run may be due now: no need to wait until the store is looked at again."""
        if self._worker is not None:
            self._worker.look()

    async def cancel(self, run: str, *, by: str = "", reason: str = "") -> None:
        """What is under way is let finish; nothing new is started. Raises RunNotFound, WrongDecision."""
        await saying.cancel(self._store, self._deployment.keyring, run, by=by, reason=reason)
        self._look()

    async def retry(self, run: str, *, by: str = "", reason: str = "") -> None:
        """Takes a failed or cancelled run up again: its failed steps get new attempts."""
        await saying.retry(self._store, self._deployment.keyring, run, by=by, reason=reason)
        self._look()

    async def forget(self, run: str, *, by: str = "", reason: str = "") -> Forgotten:
        """Deletes the data key of an ended run: its exact values are gone for good. Raises RunNotFound,
        RunNotFinished, StoreUnavailable (deleted, and the proof is still to be made: call it again)."""
        deployment = self._deployment
        return await forgetting.forget(
            self._store,
            deployment.keyring,
            self._clock,
            run,
            by=by,
            reason=reason,
            secrets=deployment.secrets,
        )

    async def reveal(self, run: str, *, by: str, reason: str = "") -> Revealed:
        """A run's exact values, for a person; in its journal before this returns. Raises RunNotFound,
        KeyUnavailable, NotAllowedToDecide, UsageError, StoreUnavailable."""
        deployment = self._deployment
        return await revealing.reveal(
            self._store,
            deployment.keyring,
            self._clock,
            run,
            by=by,
            reason=reason,
            people=self._people,
            secrets=deployment.secrets,
        )

    async def fork(self, run: str, *, start_from: str, key: str | None = None) -> Started:
        """A new run with the same input, in which all steps that do not need `start_from` are taken over.
        Raises UsageError, WorkflowChanged where what is to be taken over does not fit any more."""
        state = await self.state(run)
        now = self._clock.now()
        new = self._run_ids(now)
        deployment = self._deployment
        sealer = Sealer(new, deployment.keyring.new_run_key(), deployment.secrets)
        raw, events = fork_of(deployment, state, run, sealer, start_from=start_from, key=key)
        return await self._submit(new, sealer, events, raw, key, now)
