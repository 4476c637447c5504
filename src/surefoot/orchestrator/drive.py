"""Driving one run: fold, decide, act, until it has ended or waits.

`Drive.go` is the whole loop. It can be cut off anywhere and begun again by any worker: what it knows
is in the journal, and what it decides is decided by `surefoot.core.decide`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..core import events as e
from ..core.change import what_hinders
from ..core.clock import Timer, micros
from ..core.decide import Expire, FallBack, Finish, Fire, OpenReview, Start, decide
from ..core.error_view import view_of
from ..core.fold import RunState
from ..core.journal import Body
from ..core.jsons import loads
from ..core.states import CallState
from ..core.wiring import Wired
from ..errors import (
    BudgetExceeded,
    ItemClosed,
    Poisoned,
    StaleLease,
    SurefootError,
    WorkflowChanged,
)
from ..models.ask import ModelRoad
from ..rails import ledger, policy
from ..rails.provenance import Provenance
from ..state.store import Append, Claimed, RunChange
from ..tools.gateway import Gateway
from .acts import Acts
from .bodies import Bodies
from .deployment import Deployment
from .endings import cancelled, why_failed
from .mail import Mailroom
from .recorder import Recorder, Sealer
from .redacting import open_runs
from .spans import follow


class Drive:
    def __init__(
        self,
        deployment: Deployment,
        claimed: Claimed,
        state: RunState,
        sealer: Sealer,
        holds_lease: Callable[[], bool],
    ) -> None:
        self._deployment = deployment
        self._plan = deployment.workflow.plan
        self._clock = deployment.clock
        self._claimed = claimed
        self.run = claimed.lease.run
        self.state = state
        self.journal = Recorder(
            workflow=deployment.workflow.name,
            state=state,
            lease=claimed.lease,
            store=deployment.store,
            sealer=sealer,
            clock=deployment.clock,
            day_caps=deployment.day_caps,
            sign_of=deployment.intake.sign_of,
            hears=deployment.hears,
        )
        self._acts = Acts(deployment.clock, lambda: holds_lease() and not self.journal.lost)
        starter = state.submitted.grants if state.submitted else None
        self._gateway = Gateway(
            deployment.workflow.name,
            deployment.workflow.tools,
            policy.narrowed(deployment.grants, starter),
            deployment.workflow.rules,
            self.journal,
            deployment.clock,
            deployment.invoker,
            deployment.resources.of,
            self._acts,
            Provenance(self._plan, deployment.workflow.tools),
            deployment.people,
        )
        self._road = ModelRoad(deployment.workflow.name, deployment.models, self.journal, self._acts)
        self._bodies = Bodies(deployment, self.journal, self._acts, self._road, self._gateway, self._conclude)
        self._mailroom = Mailroom(deployment, self.journal)
        self._active: dict[str, tuple[asyncio.Task[None], Body]] = {}
        self._poked = asyncio.Event()
        self._mail = False
        self._stopping = False
        self._time_up: Timer | None = None
        self._warn_at: int | None = None
        """When most of the run's time is used."""

    # ── from outside ──

    def poke(self) -> None:
        """There may be mail."""
        self._mail = True
        self._poked.set()

    def stop(self) -> None:
        """The worker shuts down: nothing new is started, what is under way is drained, the lease released."""
        self._stopping = True
        self._poked.set()

    def abandon(self) -> None:
        """The lease is lost: whatever this process still does for the run must end now."""
        self.journal.lost = True
        self._acts.interrupt()
        for task, body in self._active.values():
            body.stopped = True
            task.cancel()
        self._poked.set()

    @property
    def is_done(self) -> bool:
        """Ended, or parked until a person decides (a timer brings it back by itself)."""
        return self.state.is_ended or (not self._stopping and bool(self.state.open_items()))

    @property
    def bodies(self) -> frozenset[str]:
        """Steps whose bodies are entered at this moment."""
        return frozenset(self._active)

    # ── the loop ──

    async def go(self) -> None:
        """Returns when the run has ended, waits, was given back, or belongs to another worker now."""
        open_runs.add(self.run, self.journal.sealer.private)
        workflow = self._deployment.workflow
        content = self._deployment.trace_content
        private = self.journal.sealer.private
        spans = follow(self.run, workflow.name, workflow.version, self._clock.now, private, content=content)
        self.journal.spans = spans
        try:
            if await self._take_up():
                await self._loop()
        except StaleLease:
            self.abandon()
            await self._hand_back()
        except SurefootError:
            # The store, or a key: not this run's fault. Stop acting, and let the worker say so.
            self.abandon()
            raise
        finally:
            if self._time_up is not None:
                self._time_up.cancel()
            if self.journal.lost and self._deployment.defined_by == self.run:
                self._deployment.defined_by = None  # what it wrote may not have arrived
            await self._let_go_of_bodies()
            open_runs.remove(self.run)
            if spans is not None:
                left = "queued" if self._stopping or self.journal.lost else "waiting"
                spans.close(self.state.status if self.state.is_ended else left)

    async def _take_up(self) -> bool:
        """False where the run was set aside at once."""
        lease, state = self._claimed.lease, self.state
        changed = self._claimed.fingerprint != self._deployment.fingerprint
        lines: list[str] = []
        if changed:
            before = await self._deployment.store.definition(self._claimed.fingerprint)
            lines = what_hinders(None if before is None else loads(before), self._plan, state)
        adopted = changed and not lines
        self.journal.note(
            e.RunClaimed(
                self._deployment.store.worker,
                lease.epoch,
                lease.doubt,
                self._deployment.workflow.version if adopted else None,
                self._deployment.fingerprint if adopted else None,
            )
        )
        self._warn_at = ledger.warn_at(state, self._clock.now())
        self._watch_time()
        if not lines and self._deployment.defined_by is None:
            # Once per process: a later version can tell by it what has changed.
            self._deployment.defined_by = self.run
            self.journal.define((self._deployment.fingerprint, self._deployment.definition))
        if adopted:
            self.journal.change(
                RunChange(version=self._deployment.workflow.version, fingerprint=self._deployment.fingerprint)
            )
        await self._mailroom.collect()
        if state.is_ended:
            # Mail that came too late, such as a decision made while the run was being cancelled.
            self.journal.change(RunChange(status=state.status, release=True))  # type: ignore[arg-type]
            await self.journal.flush()
            return False
        self.journal.change(RunChange(status="running"))
        if state.run_review is not None or state.cancelling is not None or state.refused is not None:
            return True
        if lines:
            await self._set_aside(
                "changed", WorkflowChanged("the workflow has changed", why="; ".join(lines))
            )
            return False
        if self._claimed.claims > self._deployment.most_claims + 1:
            await self._set_aside(
                "poisoned",
                Poisoned(
                    f"{self._claimed.claims - 1} workers in a row took this run up and died or lost it",
                    why="it may be what kills them; the last try was alone in its process",
                    remedy="Look at its last step, then approve (try again) or deny (fail it).",
                ),
            )
            return False
        return True

    def _watch_time(self) -> None:
        """One timer: for when most of the run's time is used, and after that for when it is over."""
        now = self._clock.now()
        at = self._warn_at
        if at is None and (left := ledger.micros_left(self.state, now)) is not None:
            at = now + left
        if at is not None:
            self._time_up = self._clock.call_at(at, self._poked.set)

    async def _set_aside(self, about: Any, error: SurefootError) -> None:
        self.journal.note(
            e.ReviewOpened(
                item=self.journal.new_id("item"),
                reason=f"{error.what}: {error.why}",
                choices=["approve", "deny"],
                about=about,
                error=view_of(error),
            )
        )
        await self._park()

    async def _loop(self) -> None:
        state = self.state
        while True:
            self._poked.clear()
            if self._mail:
                self._mail = False
                await self._mailroom.collect()
            if self._stopping:
                return await self._give_back()
            now = self._clock.now()
            if self._overtime(now):
                return await self._fail_overtime()
            if self._warn_at is not None and now >= self._warn_at:
                self._warn_at = None
                self._watch_time()
                for warned in ledger.warnings(state, now):
                    self.journal.warn(warned)
            moved = False
            for action in decide(self._plan, state, now, self._active):
                match action:
                    case Start(step=name, attempt=attempt):
                        moved |= await self._start(self._plan.steps[name], attempt)
                    case Finish():
                        return await self._finish(action)
                    case _:
                        moved = True
                        await self._act_on(action)
            if state.is_ended:
                return None
            if not moved and not await self._wait():
                return None

    async def _act_on(self, action: Fire | Expire | FallBack | OpenReview) -> None:
        match action:
            case Fire(timer=timer):
                self.journal.note(e.TimerFired(timer))
            case Expire(item=item):
                await self._expire(item)
            case FallBack(step=step):
                await self._bodies.fall_back(self._plan.steps[step])
            case OpenReview(step=step, queue=queue, reason=reason):
                found = self.state.steps[step]
                await self.journal.write(
                    e.ReviewOpened(
                        item=self.journal.new_id("item"),
                        reason=reason,
                        choices=["settle", "approve", "deny"],
                        queue=queue,
                        step=step,
                        error=found.error,
                    )
                )

    async def _expire(self, item: str) -> None:
        await self._mailroom.collect()
        if self.state.items[item].status != "open":
            return
        try:
            await self.journal.write(e.ApprovalExpired(item))
        except ItemClosed:
            # Decided at this very moment: the expiry was not written, and this state has it. Begin anew.
            self.journal.change(RunChange(status="queued", release=True, due=self._clock.now()))
            await self.journal.flush()
            raise StaleLease(
                f"{self.run}: {item} was decided while it expired",
                why="the decision was first, and is taken up when the run is next driven",
            ) from None

    async def _wait(self) -> bool:
        """Until something may have changed. False: parked, this worker is done with the run."""
        due = self.state.next_due()
        if not self._active and (
            due is None or due - self._clock.now() > micros(self._deployment.park_after)
        ):
            await self._park()
            return False
        timer = None if due is None else self._clock.call_at(due, self._poked.set)
        try:
            await self._poked.wait()
        finally:
            if timer is not None:
                timer.cancel()
        if self.journal.lost:
            raise StaleLease(f"{self.run}: another worker holds the run now", why="it took the run over")
        return True

    # ── bodies ──

    async def _start(self, wired: Wired, attempt: int) -> bool:
        """True where the step has already ended or parked when this returns."""
        body = Body(wired.name, attempt, frozenset(c.id for c in self.state.effects_of(wired.name)))
        if not wired.step.is_async and not wired.step.isolation:
            await self._bodies.enter(wired, body)
            return True
        task = asyncio.get_running_loop().create_task(self._bodies.enter(wired, body))
        self._active[wired.name] = (task, body)
        task.add_done_callback(lambda done: self._left(wired.name, done))
        return False

    def _left(self, name: str, done: asyncio.Task[None]) -> None:
        self._active.pop(name, None)
        self._poked.set()
        if not done.cancelled() and (error := done.exception()) is not None:
            if not isinstance(error, StaleLease):
                self._crash = error
            self.journal.lost = True

    _crash: BaseException | None = None
    """What broke the engine itself while a body ran (a store that is gone, a bug of ours)."""

    async def _conclude(self, finished: e.StepFinished) -> None:
        """The last step's end and the run's end are one commit."""
        self.journal.note(finished)
        if not self.state.ready and self.state.cancelling is None and not self._active_besides(finished.step):
            self._end("succeeded", None)
        await self.journal.flush()

    def _active_besides(self, name: str) -> bool:
        return any(other != name for other in self._active)

    # ── ends ──

    async def _finish(self, action: Finish) -> None:
        await self._let_go_of_bodies()
        if self.journal.lost:
            raise StaleLease(f"{self.run}: another worker holds the run now", why="it took the run over")
        match action.status:
            case "succeeded":
                self._end("succeeded", None)
            case "cancelled":
                self._end("cancelled", view_of(cancelled(self.state)))
            case _:
                self._end("failed", why_failed(self.state, action.step))
        await self.journal.flush()

    def _end(self, status: Any, error: e.ErrorView | None) -> None:
        self.journal.note(e.RunFinished(status, error))
        self.journal.change(RunChange(status=status, summary=self.journal.summary(), release=True))

    def _overtime(self, now: int) -> bool:
        left = ledger.micros_left(self.state, now)
        return left is not None and left <= 0

    async def _fail_overtime(self) -> None:
        for _, body in self._active.values():
            body.stopped = True
        self._acts.interrupt()
        await self._let_go_of_bodies()
        seconds = ledger.caps_of(self.state)["seconds"]
        error = BudgetExceeded(
            f"the run has been active for more than {seconds:g} s",
            why="that is all that its budget allows",
            remedy="Raise Budget(seconds=...); time that it waits for people does not count.",
        )
        self._end("failed", view_of(error))
        await self.journal.flush()

    async def _park(self) -> None:
        due = self.state.next_due()
        self.journal.change(
            RunChange(status="waiting", summary=self.journal.summary(), release=True, due=due)
        )
        await self.journal.flush()

    async def _give_back(self) -> None:
        await self._let_go_of_bodies()
        if not self.journal.lost and not self.state.is_ended:
            self.journal.change(RunChange(status="queued", release=True, due=self._clock.now()))
            await self.journal.flush()

    async def _hand_back(self) -> None:
        """This worker has given the run up. By the store's word it may hold it still (its lease lapsed, and
        nobody has noticed): then it is free from now on, or it would wait for the end of this process."""
        await self._let_go_of_bodies()
        for call in self.state.calls.values():
            if call.status == "intended" and call.effect == "once":
                await self._last_of(call)
        change = RunChange(release=True, due=self._clock.now())
        try:
            await self._deployment.store.append(Append(self._claimed.lease, (), change))
        except StaleLease:
            return  # as expected: another worker holds it

    async def _last_of(self, call: CallState) -> None:
        """Nothing stops a thread: before it ends or its deadline has passed, nobody may settle its call."""
        ended = asyncio.ensure_future(self._deployment.invoker.last_of(call.key))
        timer = self._clock.call_at(call.deadline, ended.cancel)  # type: ignore[arg-type]  # its bool
        await asyncio.wait([ended])
        timer.cancel()

    async def _let_go_of_bodies(self) -> None:
        """Stops every body, and waits for what is between intent and outcome."""
        while self._active:
            for task, body in list(self._active.values()):
                body.stopped = True
                task.cancel()
            await asyncio.wait([task for task, _ in self._active.values()])
        await self._acts.drain()
        if self._crash is not None:
            raise self._crash
